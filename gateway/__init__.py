# SPDX-License-Identifier: Apache-2.0
"""Dragoman, a gateway between XMPP and other chat networks."""

__version__ = "0.1.0"
__dragoman__ = True
