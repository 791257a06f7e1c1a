# SPDX-License-Identifier: Apache-2.0
"""The archive of a room, by what its texts mean: which message, with which edits."""

from __future__ import annotations

from gateway.events import RoomMessage
from gateway.ids import ConversationId, RoomId, StanzaId
from gateway.store.rooms import Archived, decoded
from gateway.store.writer import Connection, Transaction


def message_of(db: Connection, room: RoomId, archive_id: str) -> int | None:
    """The message whose text the archive has under this id."""
    found = db.execute(
        "SELECT message FROM archived WHERE room = ? AND archive_id = ?", (room, archive_id)
    ).fetchone()
    return None if found is None else found[0]


def texts_of(db: Connection, room: RoomId, message: int) -> list[Archived]:
    """The texts of a message: the first one, then its edits."""
    found = db.execute(
        "SELECT id, sender, payload FROM archived WHERE message = ? AND room = ? ORDER BY id",
        (message, room),
    )
    return list(decoded(found))


def text_before(
    db: Connection, room: RoomId, quoted: StanzaId, quoting: StanzaId
) -> RoomMessage | None:
    """What a message said, with its edits, when another one in the archive was said; both by the
    room's own ids."""
    found = db.execute(
        "SELECT said.id, said.sender, said.payload FROM archived AS said"
        " WHERE said.message = (SELECT message FROM archived WHERE room = ? AND archive_id = ?)"
        " AND said.room = ?"
        " AND said.id < (SELECT id FROM archived WHERE room = ? AND archive_id = ?)"
        " ORDER BY said.id DESC LIMIT 1",
        (room, quoted, room, room, quoting),
    )
    text = next(decoded(found), None)
    return None if text is None else text.message


def last_text(db: Connection, conversation: ConversationId, up_to: int) -> int | None:
    """The newest message with a text that is not newer than message ``up_to``."""
    found = db.execute(
        "SELECT id FROM message WHERE conversation = ? AND id <= ?"
        " AND EXISTS (SELECT 1 FROM archived WHERE archived.message = message.id)"
        " ORDER BY id DESC LIMIT 1",
        (conversation, up_to),
    ).fetchone()
    return None if found is None else found[0]


def link(db: Transaction, room: RoomId, archive_id: StanzaId, message: int) -> None:
    """What the archive has under this id is the text of another message than it seemed."""
    db.execute(
        "UPDATE archived SET message = ? WHERE room = ? AND archive_id = ?",
        (message, room, archive_id),
    )
