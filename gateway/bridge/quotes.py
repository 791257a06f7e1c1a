# SPDX-License-Identifier: Apache-2.0
"""What stands above an answer, for clients that know no replies: ``> text`` of a user's own client
(REQ-436), or what is marked as standing in for the reply (REQ-435).

What somebody has quoted themselves is left out on both sides: clients quote it with one ``>``
more, or not at all.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from gateway.text.direction import unturned

_LEAST_CHARS = 12
"""Of a part of a message. Less says nothing, if it is not the whole of it."""
_MOST_CHARS = 4_000
M = TypeVar("M", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Quote:
    """One that stands above a text."""

    words: str
    rest: str


def leading(body: str) -> Quote | None:
    """What is quoted above the user's own words, if there are both."""
    lines = body.split("\n") if body.startswith(">") else []
    own = next((at for at, line in enumerate(lines) if not line.startswith(">")), len(lines))
    above, rest = lines[:own], "\n".join(lines[own:]).lstrip("\n")
    if not rest.strip() or sum(map(len, above)) > _MOST_CHARS:
        return None
    words = folded("\n".join(line[1:].removeprefix(" ") for line in above))
    return Quote(words, rest) if words else None


def folded(text: str) -> str:
    """The words of a text without what it quotes, however they are laid out, and without what
    turns their direction: users are told more of that than was said."""
    own = unturned(text)
    if ">" in text:
        own = "\n".join(line for line in own.split("\n") if not line.startswith(">"))
    return " ".join(own.split())


def the_one(words: str, texts: Iterable[tuple[M, str]], most: int = 0) -> M | None:
    """The one message that says these words: as the whole of it, or else as a part. Of each there
    may be several texts. ``most``: so long a text is only how a longer one begins."""
    wholly: dict[M, None] = {}
    partly: dict[M, None] = {}
    first, last = words.split(" ", 1)[0], words.rsplit(" ", 1)[-1]
    for message, text in texts:
        said, is_beginning = unturned(text), 0 < most <= len(text)
        if first not in said or (last not in said and not is_beginning):
            continue
        own = folded(said)
        if own == words or (is_beginning and own and words.startswith(own)):
            wholly[message] = None
        elif len(words) >= _LEAST_CHARS and words in own:
            partly[message] = None
    found = list(wholly or partly)
    return found[0] if len(found) == 1 else None


def above(whole: str, text: str) -> str:
    """What stands above a text that is the end of another one."""
    return whole.removesuffix(text) if text and whole.endswith(text) else ""


def cited(quote: str, answered: str) -> str:
    """The part of a message that is quoted, as it stands there; empty if it is all of it, or
    cannot be told. ``quote``: what stands above the answer."""
    found = leading(f"{quote}x")
    if found is None or found.words == folded(answered):
        return ""
    words = r"\s+".join(map(re.escape, found.words.split(" ")))
    part = re.search(words, answered)
    return part[0] if part is not None else ""


def without_fallback(body: str, parts: Sequence[tuple[int, int]]) -> str:
    """The body without the parts that stand in for a reply, in code points (XEP-0428 §2.2). If one
    of them is not in the body, or nothing would be left, all of it is kept (REQ-435)."""
    kept, end = [], 0
    for start, stop in sorted(parts):
        if not end <= start <= stop <= len(body):
            return body
        kept.append(body[end:start])
        end = stop
    rest = "".join([*kept, body[end:]])
    return rest if rest.strip() else body
