# SPDX-License-Identifier: Apache-2.0
"""What people react with."""

from __future__ import annotations

import functools
from collections.abc import Iterable

import regex

from gateway.text import is_clean

MOST = 20
"""Emoji of one person for one message."""
_LONGEST = 32
CUSTOM = "⭐"
"""What is shown of a picture that only the network has (REQ-430)."""

_EMOJI = regex.compile(
    r"(?:\p{Extended_Pictographic}|\p{Emoji_Presentation}|\p{Regional_Indicator}{2}"
    r"|[0-9#*]\ufe0f?\u20e3).*",
    regex.DOTALL,
)
_GRAPHEME = regex.compile(r"\X", regex.DOTALL)


def is_emoji(text: str) -> bool:
    """Whether it is short enough for one; which ones there are changes each year."""
    return 0 < len(text) <= _LONGEST and is_clean(text) and not any(map(str.isspace, text))


@functools.lru_cache(maxsize=1024)
def shown(text: str) -> str:
    """What somebody has reacted with, as one emoji. Gajim and Movim show nothing else."""
    is_one = _GRAPHEME.fullmatch(text) is not None and _EMOJI.fullmatch(text) is not None
    return text if is_one and is_emoji(text) else CUSTOM


def each_once(emoji: Iterable[str]) -> tuple[str, ...]:
    """All that somebody reacts with, as it is shown: without doubles, whatever the network calls
    them."""
    return tuple(dict.fromkeys(map(shown, emoji)))
