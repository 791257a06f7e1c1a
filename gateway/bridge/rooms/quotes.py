# SPDX-License-Identifier: Apache-2.0
"""Quotes of clients that know no replies (REQ-436): ``> text`` above an answer. If it is clear
what is quoted, the answer becomes a reply to it.

What somebody has quoted themselves is left out on both sides: clients quote it with one ``>``
more, or not at all.
"""

from __future__ import annotations

from dataclasses import dataclass

from gateway.ids import StanzaId
from gateway.store import texts
from gateway.store.rooms import RoomRow
from gateway.store.writer import Connection

_MOST_MESSAGES = 200
_LEAST_CHARS = 12
"""Of a part of a message. Less says nothing, if it is not the whole of it."""
_MOST_CHARS = 4_000


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
    """The words of a text without what it quotes, however they are laid out."""
    own = text
    if ">" in text:
        own = "\n".join(line for line in text.split("\n") if not line.startswith(">"))
    return " ".join(own.split())


def quoted(db: Connection, room: RoomRow, words: str) -> StanzaId | None:
    """The one message that says these words: as the whole of it, or else as a part."""
    wholly: dict[int, StanzaId] = {}
    partly: dict[int, StanzaId] = {}
    first, last = words.split(" ", 1)[0], words.rsplit(" ", 1)[-1]
    for message, said in texts.newest(db, room.id, _MOST_MESSAGES):
        if first not in said.body or last not in said.body:
            continue
        text = folded(said.body)
        if text == words:
            wholly[message] = said.archive_id
        elif len(words) >= _LEAST_CHARS and words in text:
            partly[message] = said.archive_id
    found = list((wholly or partly).values())
    return found[0] if len(found) == 1 else None
