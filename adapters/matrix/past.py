# SPDX-License-Identifier: Apache-2.0
"""What was said in a group before the account was linked, page by page, when somebody asks for it.

Matrix spec, client-server API, "GET /rooms/{roomId}/context/{eventId}", "GET
/rooms/{roomId}/messages". What the account may see the homeserver knows ("Room history
visibility"). Redactions are not asked for: what was redacted says so itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from adapters.matrix.errors import status_of
from adapters.matrix.filters import PAST_FILTER
from adapters.matrix.group_events import done_in, said_in
from adapters.matrix.groups import described
from adapters.matrix.history import page
from adapters.matrix.http import Api
from adapters.matrix.ids import is_user_id
from adapters.matrix.inbound import (
    MESSAGE_TYPES,
    Event,
    as_dict,
    as_dicts,
    event_id_of,
    timestamp_of,
)
from adapters.matrix.ledger import Ledger
from adapters.matrix.opened import Opened
from adapters.matrix.rooms import Group, RoomId
from adapters.matrix.sync import NOTHING
from adapters.matrix.text import clean
from adapters.matrix.unreadable import as_it_came, where
from gateway.adapter import AccountContext, HistoryPage
from gateway.errors import Forbidden, NotFound, Transient, Unsupported
from gateway.events import (
    RemoteEvent,
    RemoteRoomMessage,
    RemoteRoomRetraction,
    RemoteRoomTopic,
    RemoteUnreadable,
)
from gateway.ids import RemoteMessageId, RemoteRoomId, RemoteUserId
from gateway.text.wording import tr

if TYPE_CHECKING:
    from adapters.matrix.e2e.encryption import Encryption

_MAX_REASON_BYTES = 512


class Past:
    """Of the groups of one account."""

    def __init__(
        self,
        account: AccountContext,
        api: Callable[[], Api],
        ledger: Ledger,
        encryption: Callable[[], Encryption | None],
    ) -> None:
        self._account = account
        self._api = api
        self._ledger = ledger
        self._encryption = encryption

    async def page(
        self, room: RemoteRoomId, before: str | None, known: RemoteMessageId | None, limit: int
    ) -> HistoryPage:
        """See `gateway.adapter.Session.history`."""
        room_id = RoomId(room)
        if before is not None:
            try:
                return await self._page(room_id, before, limit)
            except Unsupported as error:
                if status_of(error) != 400:
                    raise
                self._account.log.info("history_cursor_refused")
        found = await self._begin(room_id, known)
        if found is None:
            return HistoryPage(events=(), cursor=None)
        token, newest_first = found
        return await self._page(room_id, token, limit, newest_first)

    async def _begin(
        self, room_id: RoomId, known: RemoteMessageId | None
    ) -> tuple[str, list[Event]] | None:
        """Where what is before the oldest known event begins. Of a group of which nothing is known
        that is the last event that /sync has told of: what comes after it is still to be told."""
        group = self._ledger.book.group(room_id)
        found = [event_id for event_id in (known, group.last if group else "") if event_id]
        if not found:
            raise Transient(tr("The homeserver has not told of anything in this group yet."))
        query = {"limit": "0", "filter": PAST_FILTER}
        for event_id in found:
            path = ("rooms", room_id, "context", event_id)
            try:
                around = await self._api().get(*path, query=query)
            except (Forbidden, NotFound):
                continue  # it is not there any more
            token = around.get("start")
            if isinstance(token, str):
                return token, [
                    as_dict(around.get("event")),
                    *as_dicts(around.get("events_before")),
                ]
        return None

    async def _page(
        self, room_id: RoomId, token: str, limit: int, newer: Sequence[Event] = ()
    ) -> HistoryPage:
        answer = await page(self._api(), room_id, token, PAST_FILTER, limit)
        chunk, following = as_dicts(answer.content.get("chunk")), answer.content.get("end")
        events = [*newer, *chunk][::-1]
        encryption = self._encryption()
        opened = NOTHING if encryption is None else await encryption.open_past(room_id, events)
        is_more = isinstance(following, str) and following != token
        return HistoryPage(
            events=list(self._told(room_id, events, opened)),
            cursor=str(following) if is_more else None,
        )

    def _told(
        self, room_id: RoomId, events: Sequence[Event], opened: Opened
    ) -> Iterator[RemoteEvent]:
        group = self._ledger.book.group(room_id)
        for event in events:
            event_id, sender = event_id_of(event), event.get("sender")
            if not event_id or not is_user_id(sender):
                continue
            try:
                yield from self._one(RemoteRoomId(room_id), event, opened, group)
            except Exception as error:  # whatever it is, it belongs to this event alone
                yield RemoteUnreadable(
                    contact=RemoteUserId(sender),
                    id=RemoteMessageId(event_id),
                    content=as_it_came(event),
                    reason=where(error),
                    room=RemoteRoomId(room_id),
                )

    def _one(
        self, room: RemoteRoomId, event: Event, opened: Opened, group: Group | None
    ) -> Sequence[RemoteEvent]:
        now, place = self._account.clock.now(), (RoomId(room), event_id_of(event))
        if (gone := taken_back(room, event, now)) is not None:
            return gone
        told: RemoteEvent | None = (
            topic_in(room, event, now)
            or said_in(
                room,
                opened.clear.get(place, event),
                account=self._account.remote_id,
                now=now,
                unread=opened.unread.get(place),
                group=group,
            )
            or done_in(room, event, now=now, version=group.version if group is not None else 0)
        )
        return () if told is None else (told,)


def topic_in(room: RemoteRoomId, event: Event, now: float) -> RemoteRoomTopic | None:
    """What somebody has made the topic then."""
    if event.get("type") != "m.room.topic" or event.get("state_key") != "":
        return None
    group = described(Group(), event, now)
    at = group.topic_at or now
    return RemoteRoomTopic(
        room=room, by=RemoteUserId(event["sender"]), topic=group.topic, sent_at=at
    )


def taken_back(
    room: RemoteRoomId, event: Event, now: float
) -> tuple[RemoteRoomMessage, RemoteRoomRetraction] | None:
    """A message of which only that is left, and by whom it was redacted; None if it is none."""
    because: dict[str, Any] = as_dict(as_dict(event.get("unsigned")).get("redacted_because"))
    if event.get("type") not in MESSAGE_TYPES or not because or as_dict(event.get("content")):
        return None
    said = RemoteRoomMessage(
        room=room,
        sender=RemoteUserId(event["sender"]),
        id=RemoteMessageId(event_id_of(event)),
        body="",
        sent_at=timestamp_of(event, now) / 1000,
    )
    by, reason = because.get("sender"), as_dict(because.get("content")).get("reason")
    retraction = RemoteRoomRetraction(
        room=room,
        id=RemoteMessageId(event_id_of(because) or said.id),
        message=said.id,
        by=RemoteUserId(by) if is_user_id(by) else said.sender,
        sent_at=timestamp_of(because, now) / 1000,
        reason=clean(reason, _MAX_REASON_BYTES) if isinstance(reason, str) else "",
    )
    return said, retraction
