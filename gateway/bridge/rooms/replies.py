# SPDX-License-Identifier: Apache-2.0
"""Replies, for clients that know none: they see what is answered above the answer (REQ-434)."""

from __future__ import annotations

from msgspec import structs

from gateway.events import RoomMessage
from gateway.ids import AccountId
from gateway.store import texts
from gateway.store.rooms import RoomRow
from gateway.store.writer import Connection
from gateway.text import concealed
from gateway.text.direction import closed

_MOST_LINES = 3
_MOST_CHARS = 200


def quote(said: RoomMessage) -> str:
    """The first lines of a text, without what its spoilers hide, and by whom; empty if there is no
    text any more."""
    if not said.body:
        return ""
    named = f"{said.nick}: " if said.nick else ""
    lines = f"{named}{concealed(said.body, said.spans)}"[: _MOST_CHARS + 1].split("\n")
    shown = "\n".join(lines[:_MOST_LINES])
    if len(lines) > _MOST_LINES or len(shown) > _MOST_CHARS:
        shown = f"{shown[: _MOST_CHARS - 1]}…"
    return "".join(f"> {line}\n" for line in closed(shown).split("\n"))


def quoted(db: Connection, room: RoomRow, said: RoomMessage, account: AccountId) -> RoomMessage:
    """What the archive has, with a quote; without one, if what it answers was taken back since,
    or the account may not read it."""
    if said.reply is None or said.reply.is_caption:
        return said
    reader = account if room.is_shared else None
    answered = texts.text_before(db, room.id, said.reply.message, said.archive_id, reader)
    return with_quote(said, "" if answered is None else quote(answered))


def with_quote(said: RoomMessage, told: str) -> RoomMessage:
    """If it is an answer. In the archive it has none."""
    if said.reply is None or said.reply.is_caption:
        return said
    return structs.replace(said, reply=structs.replace(said.reply, quote=told))
