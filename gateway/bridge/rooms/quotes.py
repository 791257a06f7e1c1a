# SPDX-License-Identifier: Apache-2.0
"""Which message of a room a quote is of (REQ-436)."""

from __future__ import annotations

from gateway.bridge.quotes import the_one
from gateway.ids import StanzaId
from gateway.store import texts
from gateway.store.rooms import RoomRow
from gateway.store.writer import Connection

_MOST_MESSAGES = 200


def quoted(db: Connection, room: RoomRow, words: str) -> StanzaId | None:
    """The one message that says these words, if there is one."""
    said = ((id, said.body) for id, said in texts.newest(db, room.id, _MOST_MESSAGES))
    message = the_one(words, said)
    first = None if message is None else texts.first(db, room.id, message)
    return None if first is None else first.message.archive_id
