# SPDX-License-Identifier: Apache-2.0
"""The methods, a file for each kind of them."""

from . import bots, business, changing, chats, media, ruling, texts

__all__ = ["bots", "business", "changing", "chats", "media", "ruling", "texts"]
