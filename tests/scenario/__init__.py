# SPDX-License-Identifier: Apache-2.0
"""Scenarios: the test plays the XMPP server and the network, and the gateway stands between."""
