"""`make look`: what people see in desktop clients, as pictures.

Real servers, the gateway as admins run it, and Gajim and Dino of Debian 12, each on a screen that
nobody has. Nothing is asserted but that the clients are there: somebody has to look.
"""
