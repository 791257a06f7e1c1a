# SPDX-License-Identifier: Apache-2.0
"""With what bots may react. Bot API, "ReactionTypeEmoji"."""

from __future__ import annotations

import re
from typing import Final

from telegram.constants import ReactionEmoji

_SHORT = re.compile("[❤🕊✍☃♂♀]")
"""These are letters in some fonts; clients put a selector after them that says that they are not,
and Telegram does not (Unicode TS #51, "Emoji Presentation")."""


def bare(emoji: str) -> str:
    """As Telegram writes it."""
    return emoji.replace("\ufe0f", "")


ALLOWED: Final = tuple(
    dict.fromkeys(
        form
        for emoji in map(bare, ReactionEmoji)
        for form in (_SHORT.sub("\\g<0>\ufe0f", emoji), emoji)
    )
)
"""What bots may react with, as clients write it and as Telegram does."""
