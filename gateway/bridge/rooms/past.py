# SPDX-License-Identifier: Apache-2.0
"""What was said in a room before all that is kept: placed before it, and told to nobody.

Runs inside the writer's transaction, as `gateway.bridge.rooms.intake`. What is said becomes what
it becomes live, by the same code; only the rows differ.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import structlog
from msgspec import structs

from gateway.bridge.rooms import replies
from gateway.bridge.rooms.references import is_gone
from gateway.bridge.rooms.room_rows import RoomRows
from gateway.bridge.rooms.said import NOT_FETCHED, Said, what_is_said
from gateway.bridge.rows import Committed
from gateway.bridge.unread import storable
from gateway.bridge.wellformed import honest_time, must_be_whole
from gateway.events import (
    RemoteEvent,
    RemoteRoomMessage,
    RemoteRoomNotice,
    RemoteRoomReaction,
    RemoteRoomRetraction,
    RemoteUndecryptable,
    RemoteUnreadable,
    RoomDelivery,
    RoomInvitation,
    RoomMessage,
)
from gateway.ids import RemoteMessageId, RemoteUserId, StanzaId
from gateway.store import Transaction, archive, conversations, dead_events, held, history
from gateway.store.archive import Beginning
from gateway.store.rooms import RoomRow
from gateway.store.writer import is_unavailable

log = structlog.get_logger("rooms")

UNREADABLE = (
    "A message that the gateway could not read. Please look for it in another app of the network."
)
_SpokenOf = RemoteRoomMessage | RemoteRoomReaction | RemoteRoomRetraction


@dataclass(frozen=True, slots=True)
class _PastRows(RoomRows):
    """Nothing is told, and nobody becomes an occupant by it."""

    beginning: Beginning

    def place(self) -> int:
        return self.beginning.place()

    def say(
        self,
        db: Transaction,
        room: RoomRow,
        sender: RemoteUserId,
        said: RoomMessage,
        now: float,
        out: Committed,
        text_of: int | None = None,
        *,
        came_at: float | None = None,
    ) -> None:
        self.keep(db, room, sender, said, now, text_of)

    def add(
        self,
        db: Transaction,
        room: RoomRow,
        sid: StanzaId,
        told: RoomDelivery | RoomInvitation,
        now: float,
        out: Committed,
    ) -> None:
        pass


@dataclass(slots=True)
class Past:
    """One page of the history of one room."""

    db: Transaction
    room: RoomRow
    rows: _PastRows
    said: Said
    now: float
    """Nothing of it was said later."""
    since: float
    """What was said before is not kept."""
    at: float
    """When the last event was sent that says so."""
    ids: list[RemoteMessageId] = field(default_factory=list)
    """What was said, in the order in which it was taken."""

    @classmethod
    def of(
        cls, live: RoomRows, db: Transaction, room: RoomRow, now: float, keeps_s: float
    ) -> Past:
        """Nothing of it yet."""
        rows = _PastRows(live.rows, live.own, live.cutoffs, Beginning(db))
        begun_at = archive.begun_at(db, room.id)
        until = now if begun_at is None else min(now, begun_at)
        return cls(db, room, rows, what_is_said(rows), until, now - keeps_s, until)

    def cut(self, about: str) -> None:
        """What is further back will not be fetched."""
        self.said.lines.line(self.db, self.room, about, NOT_FETCHED, self.at, Committed())

    def take(self, events: Sequence[RemoteEvent], *, is_last: bool) -> bool:
        """Keep these, which are in their order. Returns whether some of them may be kept: if not,
        nor may what is further back."""
        times = [sent_at for event in events if (sent_at := self._time(event)) is not None]
        self.at = min(times, default=self.now)
        for event in events:
            self._apart(event)
        for id in self.ids:  # and what is said about what is appended meanwhile
            for _, event in history.take(self.db, self.room.id, id):
                self._apart(event)
        for _, event in history.take(self.db, self.room.id) if is_last else ():
            self.said.apply(self.db, self.room, event, self._sent(event), Committed())
        archive.level(self.db, self.room.id)
        return not times or max(times) >= self.since

    def _time(self, event: RemoteEvent) -> float | None:
        sent_at = getattr(event, "sent_at", None)
        return honest_time(sent_at, self.now) if isinstance(sent_at, int | float) else None

    def _sent(self, event: RemoteEvent) -> float:
        sent_at = self._time(event)
        self.at = self.at if sent_at is None else sent_at
        return self.at

    def _apart(self, event: RemoteEvent) -> None:
        """What is wrong with one event is that one's trouble."""
        self.db.execute("SAVEPOINT past")
        try:
            must_be_whole(event)
            self._take(event)
        except Exception as error:
            if is_unavailable(error):
                raise
            self.db.execute("ROLLBACK TO past")
            self._dead(event, f"{type(error).__name__}: {error}")
        self.db.execute("RELEASE past")

    def _take(self, event: RemoteEvent) -> None:
        at = self._sent(event)
        if at < self.since:
            return
        match event:
            case RemoteRoomMessage() | RemoteRoomReaction() | RemoteRoomRetraction():
                self._said(event, at)
            case RemoteRoomNotice():
                self.said.apply(self.db, self.room, event, at, Committed())
            case RemoteUndecryptable():
                self._secret(event, at)
            case RemoteUnreadable():
                self._dead(event, event.reason, event.id)
            case _:
                raise TypeError(f"a {type(event).__name__} is no part of a history")

    def _said(self, event: _SpokenOf, at: float) -> None:
        if self._is_known(event.id):
            self._answers(event)
            return
        about = event.edits if isinstance(event, RemoteRoomMessage) else event.message
        if about is not None and not self._is_known(about):
            self._wait(about, event)
            return
        self.said.apply(self.db, self.room, event, at, Committed())
        self.ids.append(event.id)
        answered = event.reply_to if isinstance(event, RemoteRoomMessage) else None
        if answered is not None and not self._is_known(answered):
            self._wait(answered, event)

    def _wait(self, target: RemoteMessageId, event: _SpokenOf) -> None:
        history.wait(self.db, self.room.id, self.rows.place(), target, event)

    def _answers(self, event: _SpokenOf) -> None:
        """What it answers may have come after it, from further back."""
        if not isinstance(event, RemoteRoomMessage) or event.reply_to is None:
            return
        answer = archive.get(
            self.db, self.room.id, self.rows.id(self.room, "archive", event.id, 0)
        )
        if answer is None or answer.message.reply is not None or is_gone(answer):
            return
        reply = self.said.speech.references.reply(self.db, self.room, event.reply_to)
        named = replies.with_quote(structs.replace(answer.message, reply=reply), "")
        archive.rewrite(self.db, self.room.id, named)

    def _secret(self, event: RemoteUndecryptable, at: float) -> None:
        """A line at once: it must not come live a minute later."""
        if self._is_known(event.id):
            return
        kept = storable(event, at)
        held.hold(self.db, self.room.conversation, kept, at)
        held.tell(self.db, self.room.conversation, kept.id)
        self.said.speech.stand_in(self.db, kept, kept.reason, at, Committed())
        self.ids.append(event.id)

    def _dead(
        self, event: RemoteEvent, reason: str, remote_id: RemoteMessageId | None = None
    ) -> None:
        rows = self.rows.rows
        letter = dead_events.add(self.db, rows.account, event, reason, self.now, remote_id)
        if letter is None:
            return
        log.error(
            "dead_letter",
            network=rows.network,
            account=rows.account,
            letter=f"e{letter}",
            kind=type(event).__name__,
            reason=reason,
        )
        about = f"unreadable {remote_id or letter}"
        self.said.lines.line(self.db, self.room, about, UNREADABLE, self.at, Committed())

    def _is_known(self, id: RemoteMessageId) -> bool:
        conversation = self.room.conversation
        known = conversations.by_remote_id(self.db, conversation, id)
        return known is not None or held.kept_since(self.db, conversation, id) is not None
