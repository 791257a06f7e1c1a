"""`make demo`: two people on two real servers, the gateway between them, and a kill in the middle.

====================  ==========================================================================
``stage``             Prosody, Synapse and the gateway as processes, with their users
``login``             linking an account by talking to the gateway
``xmpp_app``          what a decent XMPP client does with what it is given
``matrix_app``        the same on the other side
``play``              what the two say, and when the gateway is killed
``files``             a picture each way
``compare``           whether both have seen the same
``screen``            progress and transcript
====================  ==========================================================================
"""
