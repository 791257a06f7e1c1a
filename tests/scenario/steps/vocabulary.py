# SPDX-License-Identifier: Apache-2.0
"""How the lines of a script are read."""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable
from typing import TypeVar

F = TypeVar("F", bound=Callable[..., Awaitable[None]])

VOCABULARY: list[tuple[re.Pattern[str], str]] = []
_PARTS = {
    "<who>": r"(\w+)",
    "<person>": r"(.+?)",
    "<jid>": r"(\S+@\S+)",
    "<text>": r'("(?:[^"\\]|\\.)*"(?: x \d+)?(?: \+ "(?:[^"\\]|\\.)*"(?: x \d+)?)*)',
    "<name>": r"(?: = (\w+))?",
    "<json>": r"(\{.*\})",
    "<n>": r"(\d+)",
    "<rest>": r"(.+)",
}


def step(line: str) -> Callable[[F], F]:
    """This line of a script does that."""
    pattern = re.sub(r"<\w+>", lambda part: _PARTS[part[0]], line)

    def add(method: F) -> F:
        VOCABULARY.append((re.compile(pattern), method.__name__))
        return method

    return add


def said(text: str) -> str:
    """``"hello"``, with JSON's escapes, or ``"a" x 1000 + "b"``."""
    return "".join(
        str(json.loads(quoted)) * int(times or 1) for quoted, times in _QUOTED.findall(text)
    )


_QUOTED = re.compile(r'("(?:[^"\\]|\\.)*")(?: x (\d+))?')
