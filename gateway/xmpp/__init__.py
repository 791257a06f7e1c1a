# SPDX-License-Identifier: Apache-2.0
"""The XMPP side: the only package that imports slixmpp."""
