# SPDX-License-Identifier: Apache-2.0
"""Lines of a room itself: what has happened there that nobody has said (REQ-577), and what is
missing.

Runs inside the writer's transaction, as `gateway.bridge.rooms.intake`.
"""

from __future__ import annotations

from dataclasses import dataclass

from gateway.bridge.inbound.rows import Committed
from gateway.bridge.rooms import threads
from gateway.bridge.rooms.references import References
from gateway.bridge.rooms.room_rows import THE_ROOM, RoomRows
from gateway.bridge.splitting import brief
from gateway.events import RemoteRoomNotice, RoomMessage
from gateway.locale import in_language
from gateway.store import Transaction, archive, conversations
from gateway.store.archive import Level
from gateway.store.conversations import Origin
from gateway.store.rooms import RoomRow
from gateway.text.wording import tr, trn

NOT_FETCHED = tr(
    "earlier messages were not fetched. Please read them in another app of the network."
)


def not_fetched(about: int | None) -> str:
    """What is said of a gap, with how many messages are missing, if that is known."""
    if about is None:
        return NOT_FETCHED
    return trn(
        "about {count} earlier message was not fetched. Please read it in another app of the "
        "network.",
        "about {count} earlier messages were not fetched. Please read them in another app of the "
        "network.",
        about,
    )


@dataclass(frozen=True, slots=True)
class Lines:
    """In the rooms of one account."""

    room_rows: RoomRows
    references: References

    def line(
        self,
        db: Transaction,
        room: RoomRow,
        about: str,
        text: str,
        now: float,
        out: Committed,
        level: Level = Level.SAID,
    ) -> None:
        """Once for each ``about``. ``level``: who wants to hear of it; what is missing, everybody
        has to."""
        self._line(db, room, about, text, now, out, level)

    def notice(
        self,
        db: Transaction,
        room: RoomRow,
        event: RemoteRoomNotice,
        now: float,
        out: Committed,
        level: Level,
    ) -> None:
        """What the network tells. In a thread it is one of the messages there: what follows may
        answer it."""
        self._line(db, room, f"notice {event.id}", event.text, now, out, level, event)

    def _line(
        self,
        db: Transaction,
        room: RoomRow,
        about: str,
        text: str,
        now: float,
        out: Committed,
        level: Level,
        event: RemoteRoomNotice | None = None,
    ) -> None:
        """``event``: of which it tells."""
        archive_id = self.room_rows.id(room, "archive", "line", about)
        if not text or archive.get(db, room.id, archive_id) is not None:
            return
        said = RoomMessage(
            id=self.room_rows.id(room, "line", about),
            archive_id=archive_id,
            nick="",
            occupant="",
            body=brief(in_language(text, self.room_rows.language(room))),
            sent_at=now,
            thread=threads.id_of(room, None if event is None else event.thread),
            reply=None if event is None else self.references.reply(db, room, event.about),
        )
        message = conversations.add_message(
            db,
            room.conversation,
            stanza_id=said.id,
            origin=Origin.CONTACT,
            sent_at=now,
            remote_id=None if event is None or event.thread is None else event.id,
            number=self.room_rows.place(),
        )
        self.room_rows.say(db, room, THE_ROOM, said, now, out, message, level=level)
