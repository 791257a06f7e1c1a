# SPDX-License-Identifier: Apache-2.0
"""Characters that turn the direction of what follows (UAX #9), so that it looks like something
else: what a text has begun of that must not reach beyond it (REQ-732)."""

from __future__ import annotations

import re
from collections.abc import Sequence

TURNS = re.compile("[\u202a-\u202e\u2066-\u2069]")
_POP, _POP_ISOLATE = "\u202c", "\u2069"
_CLOSING = dict.fromkeys("\u202a\u202b\u202d\u202e", _POP)
_CLOSING |= dict.fromkeys("\u2066\u2067\u2068", _POP_ISOLATE)
_TURN_OR_END = re.compile("[\u202a-\u202e\u2066-\u2069]|\r\n|[\n\r\x85\u2028\u2029]|\\Z")
"""Programs do not agree where a line ends: at each such place nothing is open, so that all of them
see the same."""


def unclosed(text: str) -> Sequence[tuple[int, str]]:
    """What is missing at the ends of lines: where, and the characters that close what is open."""
    if text.isascii() or TURNS.search(text) is None:
        return ()
    missing = []
    open_, isolates = list[str](), 0
    for found in _TURN_OR_END.finditer(text):
        turn = found[0]
        if turn in _CLOSING:
            open_.append(_CLOSING[turn])
            isolates += _CLOSING[turn] == _POP_ISOLATE
        elif turn == _POP:
            if open_ and open_[-1] == _POP:  # else it closes nothing (X7)
                open_.pop()
        elif turn == _POP_ISOLATE:
            if isolates:  # and all that was begun within (X6a)
                while open_.pop() != _POP_ISOLATE:
                    pass
                isolates -= 1
        else:
            if open_:
                missing.append((found.start(), "".join(reversed(open_))))
            open_, isolates = [], 0
    return missing


def closed(text: str) -> str:
    """The text with what is missing."""
    parts, done = [], 0
    for place, closing in unclosed(text):
        parts += [text[done:place], closing]
        done = place
    return "".join([*parts, text[done:]]) if parts else text


def unturned(text: str) -> str:
    """The text without such characters."""
    return text if text.isascii() else TURNS.sub("", text)
