# SPDX-License-Identifier: Apache-2.0
"""A real gateway process, killed before and after each of its I/Os, and started again.

The gateway does I/O at three seams only: a commit, a write to the XMPP stream, a write to the
network. `victim` is the process, `world` is everything that outlives it: the XMPP server with
alice's client, and the scripted network.
"""
