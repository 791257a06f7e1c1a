# SPDX-License-Identifier: Apache-2.0
"""What was said in a room and was not told when it was said: placed where it belongs, and told to
nobody.

Runs inside the writer's transaction, as `gateway.bridge.rooms.intake`. What is said becomes what
it becomes live, by the same code; only the rows differ. What is known already was told by another
account that shares the room: from now on it is for this one as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import structlog
from msgspec import structs

from gateway.bridge.inbound.rows import Committed
from gateway.bridge.inbound.unread import storable
from gateway.bridge.inbound.wellformed import honest_time, must_be_whole
from gateway.bridge.rooms import replies, threads
from gateway.bridge.rooms.known import Known
from gateway.bridge.rooms.lines import NOT_FETCHED
from gateway.bridge.rooms.past_rows import PastRows
from gateway.bridge.rooms.room_rows import RoomRows
from gateway.bridge.rooms.said import Said, what_is_said
from gateway.events import (
    RemoteEvent,
    RemoteRoomEvent,
    RemoteRoomMessage,
    RemoteRoomNotice,
    RemoteRoomReaction,
    RemoteRoomRetraction,
    RemoteRoomTopic,
    RemoteUndecryptable,
    RemoteUnreadable,
)
from gateway.ids import RemoteMessageId
from gateway.store import (
    Transaction,
    archive,
    conversations,
    dead_events,
    early,
    held,
    sharing,
    texts,
)
from gateway.store.gaps import Gap
from gateway.store.places import RESERVED, Places
from gateway.store.rooms import RoomRow
from gateway.store.writer import is_unavailable
from gateway.text.wording import tr

log = structlog.get_logger("rooms")

UNREADABLE = tr(
    "A message that the gateway could not read. Please look for it in another app of the network.",
)
_EVER = -(2**62)
_SpokenOf = RemoteRoomMessage | RemoteRoomReaction | RemoteRoomRetraction


@dataclass(slots=True)
class Past:
    """One page of what is missing in one room."""

    db: Transaction
    room: RoomRow
    gap: Gap
    rows: PastRows
    said: Said
    known: Known
    now: float
    """Nothing of it was said later."""
    since: float
    """What was said before is not kept."""
    low: int
    """The place before which it lies; then that of the oldest."""
    at: float
    """When the last event was sent that says so."""
    oldest_at: float
    """When the first was."""
    ids: list[RemoteMessageId] = field(default_factory=list)
    """What was said, in the order in which it was taken."""
    has_reached: bool = False
    """The page goes back to what was told."""

    @classmethod
    def of(
        cls, live: RoomRows, db: Transaction, room: RoomRow, gap: Gap, now: float, keeps_s: float
    ) -> Past:
        """Nothing of it yet."""
        # What is told to nobody now is not uploaded: there may be thousands of files.
        told = replace(live.rows, uploads=False)
        rows = PastRows(told, live.own, live.cutoffs, Places(db, room.id, gap.top))
        said = what_is_said(rows)
        known = Known(rows, said.speech.references)
        until = _until(db, room, gap, now)
        reader = live.rows.account if room.is_shared else None
        low = gap.top or archive.oldest(db, room.id, reader) if gap.low is None else gap.low
        return cls(db, room, gap, rows, said, known, until, now - keeps_s, low, until, until)

    def cut(self, about: str) -> None:
        """What is further back will not be fetched."""
        self.rows.places.between(None, self.low, 1)
        self.said.lines.line(self.db, self.room, about, NOT_FETCHED, self.oldest_at, Committed())

    def level(self) -> None:
        """When all is placed."""
        after = self.gap.top - RESERVED if self.gap.top else _EVER
        archive.level(self.db, self.room.id, after, self.gap.top)

    def take(self, events: Sequence[RemoteEvent], *, is_last: bool, is_only: bool) -> bool:
        """Keep these, which are in their order. Returns whether some of them may be kept: if not,
        nor may what is further back. ``is_only``: nothing else is missing."""
        events, places = self._missing(events)
        times = [sent_at for event in events if (sent_at := self._time(event)) is not None]
        self.at = self.oldest_at = min(times, default=self.now)
        newest = self._each(events, places)
        self.rows.places.between(newest, self.low, len(events) + 1)
        if events:
            self.low = min(self.low, self._oldest(places[0]))
        for id in self.ids:  # and what is said about what is appended meanwhile
            for event in early.take(self.db, self.room.id, self.rows.rows.account, id):
                self._apart(event)
        if is_only and (is_last or self.has_reached):
            for event in early.take(self.db, self.room.id, self.rows.rows.account):
                self._apply(event, self._sent(event))
        return not times or max(times) >= self.since

    def _missing(
        self, events: Sequence[RemoteEvent]
    ) -> tuple[Sequence[RemoteEvent], list[int | None]]:
        """Those that come after all that was told before the gap, and where each of them is."""
        places = [self._place(event) for event in events]
        floor = self.gap.floor
        told = [
            index
            for index, place in enumerate(places)
            if floor is not None and place is not None and place <= floor
        ]
        start = told[-1] + 1 if told else 0
        self.has_reached = bool(told)
        return events[start:], places[start:]

    def _place(self, event: RemoteEvent) -> int | None:
        try:
            must_be_whole(event)
        except Exception:  # what is wrong with it is said in its turn
            return None
        return self.known.place(self.db, self.room, event)

    def _each(self, events: Sequence[RemoteEvent], places: Sequence[int | None]) -> int | None:
        """Take them, each run of what is new between what is known. Returns where the newest
        is."""
        self.rows.places.between(None, self.low, len(events) + 1)
        before: int | None = None
        is_run = False
        for index, event in enumerate(events):
            place = places[index]
            if place is None and not is_run:
                rest = places[index:]
                following = next((known for known in rest if known is not None), self.low)
                count = next((n for n, known in enumerate(rest) if known is not None), len(rest))
                self.rows.places.between(before, min(following, self.low), count)
            is_run = place is None
            self._apart(event)
            before = self.rows.places.last if place is None else place
        return before

    def _oldest(self, first: int | None) -> int:
        given = self.rows.places.first
        return min((place for place in (first, given) if place is not None), default=self.low)

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
            case RemoteRoomNotice() | RemoteRoomTopic():
                self._apply(event, at)
            case RemoteUndecryptable():
                self._secret(event, at)
            case RemoteUnreadable():
                self._dead(event, event.reason, event.id)
            case _:
                raise TypeError(f"a {type(event).__name__} is no part of a history")

    def _said(self, event: _SpokenOf, at: float) -> None:
        if self._is_known(event.id):
            if isinstance(event, RemoteRoomMessage) and self._is_a_line(event.id):
                self._apply(event, at)
            self._answers(event)
            self._is_due(event)
            return
        about = event.edits if isinstance(event, RemoteRoomMessage) else event.message
        if about is not None and not self._is_known(about):
            self._wait(about, event)
            return
        self._apply(event, at)
        self.ids.append(event.id)
        answered = threads.answered(event) if isinstance(event, RemoteRoomMessage) else None
        if answered is not None and not self._is_known(answered):
            self._wait(answered, event)

    def _apply(self, event: RemoteRoomEvent, at: float) -> None:
        self.said.apply(self.db, self.room, event, at, Committed())
        self._is_due(event)

    def _is_due(self, event: RemoteEvent) -> None:
        """The network has told it to the account, so this one may read what it has become."""
        if self.room.is_shared:
            for archive_id in tuple(self.known.entries(self.db, self.room, event)):
                sharing.owe(self.db, self.room.id, self.rows.rows.account, archive_id)

    def _wait(self, target: RemoteMessageId, event: _SpokenOf) -> None:
        account, place = self.rows.rows.account, self.rows.place()
        early.wait(self.db, self.room.id, account, place, target, event)

    def _answers(self, event: _SpokenOf) -> None:
        """What it answers may have come after it, from further back."""
        answered = threads.answered(event) if isinstance(event, RemoteRoomMessage) else None
        if answered is None:
            return
        answer = archive.get(
            self.db, self.room.id, self.rows.id(self.room, "archive", event.id, 0)
        )
        if answer is None or answer.message.reply is not None or texts.is_gone(answer):
            return
        reply = self.said.speech.references.reply(self.db, self.room, answered)
        named = replies.with_quote(structs.replace(answer.message, reply=reply), "")
        archive.rewrite(self.db, self.room.id, named)

    def _secret(self, event: RemoteUndecryptable, at: float) -> None:
        """A line at once: it must not come live a minute later. What others could read is not
        for who cannot."""
        if self._is_known(event.id):
            if self._is_a_line(event.id):
                self._is_due(event)
            return
        kept = storable(event, at)
        held.hold(self.db, self.room.conversation, kept, at)
        held.tell(self.db, self.room.conversation, kept.id)
        self.said.speech.stand_in(self.db, self.room, kept, kept.reason, at, Committed())
        self.ids.append(event.id)

    def _is_a_line(self, id: RemoteMessageId) -> bool:
        """Whether it was fetched, and could not be read."""
        if held.kept_since(self.db, self.room.conversation, id) is None:
            return False
        line = archive.get(self.db, self.room.id, self.rows.id(self.room, "archive", id, 0))
        return line is not None and archive.is_fetched(self.db, line)

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


def _until(db: Transaction, room: RoomRow, gap: Gap, now: float) -> float:
    after = archive.begun_at(db, room.id, gap.top)
    return now if after is None else min(now, after)
