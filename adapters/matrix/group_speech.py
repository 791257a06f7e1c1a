# SPDX-License-Identifier: Apache-2.0
"""What an answer of /sync says of what people do in one group: they talk, type and read. No I/O.

Matrix spec, client-server API, "Syncing", "Receipts", "Typing notifications".
"""

from __future__ import annotations

from msgspec.structs import replace

from adapters.matrix.filters import Mode
from adapters.matrix.group_events import Said, done_in, said_in
from adapters.matrix.groups import effective, level_of
from adapters.matrix.ids import is_user_id
from adapters.matrix.inbound import Event, as_dict, as_dicts, event_id_of, is_message
from adapters.matrix.marks import all_read_up_to, read_up_to
from adapters.matrix.ongoing import Change, Ongoing
from adapters.matrix.opened import Opened
from adapters.matrix.parts import Cuts, Parts
from adapters.matrix.places import place_named_in
from adapters.matrix.rooms import Group, RoomId
from adapters.matrix.unreadable import as_it_came, where
from gateway.events import (
    RemoteRoomGap,
    RemoteRoomMessage,
    RemoteRoomNotice,
    RemoteRoomRead,
    RemoteRoomRetraction,
    RemoteUnreadable,
)
from gateway.ids import RemoteMessageId, RemoteRoomId, RemoteUserId

_MOST_READERS = 50
"""People of a group in which it is told what others than the account have read (REQ-570)."""
_MOST_TYPISTS = 20
Told = Said | RemoteRoomNotice | RemoteRoomRetraction


class GroupSpeech:
    """Of one group in one answer."""

    def __init__(
        self,
        parts: Parts,
        mode: Mode,
        account: RemoteUserId,
        room_id: RoomId,
        known: Group | None,
        now: float,
        opened: Opened,
    ) -> None:
        self._parts = parts
        self._mode = mode
        self._account = account
        self._room_id = room_id
        self._room = RemoteRoomId(room_id)
        self._now = now
        self._opened = opened
        self._ongoing = Ongoing(parts, room_id, now)
        self._before = {known.last: known.message} if known else {}
        """Events that are no messages, each with the last message before it."""

    def gap(self, first: str) -> None:
        """What was said before this event could not be fetched."""
        self._parts.say(RemoteRoomGap(room=self._room, id=RemoteMessageId(first)))

    def said(self, group: Group, event: Event, *, tell: bool) -> Group:
        """An event of the timeline. One that cannot be converted is told of as what it is, a
        defect; it must not keep those behind it from coming."""
        event_id, sender = event_id_of(event), event.get("sender")
        if not event_id or not is_user_id(sender):
            return group
        if is_message(event):
            group = replace(group, message=event_id)
        else:
            self._before[event_id] = group.message
        if not tell:
            return group
        place = self._room_id, event_id
        clear = self._opened.clear.get(place, event)
        told: Told | None
        try:
            told = said_in(
                self._room,
                clear,
                account=self._account,
                now=self._now,
                unread=self._opened.unread.get(place),
                group=group,
            ) or done_in(self._room, event, now=self._now, version=group.version)
            named = place_named_in(clear)
            told, changes = self._going_on(group, clear, told)
        except Exception as error:  # whatever it is, it belongs to this event alone
            unreadable = RemoteUnreadable(
                contact=RemoteUserId(sender),
                id=RemoteMessageId(event_id),
                content=as_it_came(event),
                reason=where(error),
                room=self._room,
            )
            self._parts.say(unreadable)
            return group
        for change in changes:
            self._parts.say(change)
        if told is not None:
            self._parts.say(told)
        if named is not None:
            self._parts.say(RemoteRoomNotice(room=self._room, id=named[0], text=named[1]))
        return group

    def _going_on(
        self, group: Group, clear: Event, told: Told | None
    ) -> tuple[Told | None, list[RemoteRoomMessage]]:
        """What an event says, and what it changes of what goes on."""
        result = self._ongoing.result(clear)
        if result and isinstance(told, RemoteRoomMessage):
            told = replace(told, body=f"{told.body}\n{result}")
        gone = told.message if isinstance(told, RemoteRoomRetraction) else None
        is_ruler = level_of(group, str(clear.get("sender"))) >= effective(group).redact
        changes = self._ongoing.changes(clear, gone, is_ruler=is_ruler)
        return told, [self._change(change) for change in changes]

    def _change(self, change: Change) -> RemoteRoomMessage:
        return RemoteRoomMessage(
            room=self._room,
            sender=change.sender,
            id=change.id,
            body=change.words,
            sent_at=change.at,
            edits=None if change.is_over else change.message,
            reply_to=change.message if change.is_over else None,
            is_ongoing=not change.is_over,
        )

    def passing(self, group: Group, content: Event) -> Cuts:
        """What is not part of the timeline."""
        for event in as_dicts(as_dict(content.get("ephemeral")).get("events")):
            said = as_dict(event.get("content"))
            if event.get("type") == "m.typing":
                self._typing(said.get("user_ids"))
            elif event.get("type") == "m.receipt" and self._mode is not Mode.FIRST:
                yield from self._read(group, said)

    def _typing(self, user_ids: object) -> None:
        typists = [
            RemoteUserId(user_id)
            for user_id in (user_ids if isinstance(user_ids, list) else ())
            if is_user_id(user_id) and user_id != self._account
        ]
        self._parts.outcome.typists[self._room_id] = frozenset(typists[:_MOST_TYPISTS])

    def _read(self, group: Group, receipts: Event) -> Cuts:
        """A receipt may be for what is no message, such as a reaction: then all before it has
        been read. Where everything is told anew, only that of the account is of interest."""
        marks: dict[str, str] = {}
        if self._mode is Mode.NEXT and 0 < group.people <= _MOST_READERS:
            marks = all_read_up_to(receipts, _MOST_READERS)
        marks[self._account] = read_up_to(receipts, self._account)
        for reader, event_id in marks.items():
            up_to = self._before.get(event_id) or event_id
            if up_to:
                read = RemoteRoomRead(
                    room=self._room, reader=RemoteUserId(reader), up_to=RemoteMessageId(up_to)
                )
                self._parts.say(read)
                if self._parts.stepped():
                    yield from self._parts.cut()
