"""Real servers and thin clients for tests and the demo.

Nothing here imports the gateway: these are the other people at the table, and they have to be
right whatever the gateway does. Everything listens on the loopback interface only and keeps its
state in a directory that the caller names.
"""
