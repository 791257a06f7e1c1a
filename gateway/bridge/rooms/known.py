# SPDX-License-Identifier: Apache-2.0
"""What an event of the network has become in the archive of a room, if it is known.

Runs inside the writer's transaction.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count

from gateway.bridge.rooms import topics
from gateway.bridge.rooms.references import References
from gateway.bridge.rooms.room_rows import RoomRows
from gateway.events import (
    RemoteEvent,
    RemoteRoomMessage,
    RemoteRoomNotice,
    RemoteRoomReaction,
    RemoteRoomRetraction,
    RemoteRoomTopic,
    RemoteUndecryptable,
)
from gateway.ids import RemoteMessageId, StanzaId
from gateway.store import Transaction, archive, conversations, texts
from gateway.store.rooms import RoomRow


@dataclass(frozen=True, slots=True)
class Known:
    """In the rooms of one account."""

    room_rows: RoomRows
    references: References

    def place(self, db: Transaction, room: RoomRow, event: RemoteEvent) -> int | None:
        """Where it is; None if it is not there."""
        return archive.place_of(db, room.id, self.entries(db, room, event))

    def entries(self, db: Transaction, room: RoomRow, event: RemoteEvent) -> Iterator[StanzaId]:
        """The room's own ids of all that it may have become."""
        match event:
            case RemoteRoomMessage():
                yield from self._of_text(db, room, event.id)
                if event.edits is not None:
                    yield from self._of_more_parts(db, room, event.id)
            case RemoteUndecryptable():
                yield from self._of_text(db, room, event.id)
            case RemoteRoomReaction():
                yield self.room_rows.id(room, "archive", "reaction", event.id)
            case RemoteRoomRetraction():
                yield self.room_rows.id(room, "archive", "reaction", f"without {event.message}")
                for part in conversations.parts(db, room.conversation, event.message):
                    first = texts.first(db, room.id, part.id)
                    if first is not None:
                        of = first.message.archive_id
                        yield self.room_rows.id(room, "archive", "retraction", of)
            case RemoteRoomNotice():
                yield self.room_rows.id(room, "archive", "line", f"notice {event.id}")
            case RemoteRoomTopic():
                topic = topics.topic(event.topic)
                yield topics.archive_id(self.room_rows, room, topic, event.sent_at)

    def _of_text(
        self, db: Transaction, room: RoomRow, remote_id: RemoteMessageId
    ) -> Iterator[StanzaId]:
        for part in conversations.parts(db, room.conversation, remote_id):
            yield from self.references.archive_ids(room, part)
            first = texts.first(db, room.id, part.id)
            if first is not None:  # of before the room was shared it has another id
                yield first.message.archive_id

    def _of_more_parts(
        self, db: Transaction, room: RoomRow, remote_id: RemoteMessageId
    ) -> Iterator[StanzaId]:
        """Of an edit only the first part is a message."""
        for part in count(1):
            archive_id = self.room_rows.id(room, "archive", remote_id, part)
            if archive.get(db, room.id, archive_id) is None:
                return
            yield archive_id
