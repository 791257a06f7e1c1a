# SPDX-License-Identifier: Apache-2.0
"""What an answer of /sync says of what people do in one direct room: they talk, type and read. No
I/O. For groups see `group_speech`.

Matrix spec, client-server API, "Syncing", "Receipts", "Typing notifications".
"""

from __future__ import annotations

from collections.abc import Callable

from msgspec.structs import replace

from adapters.matrix.chat_events import Said, said_to, taken_back_in
from adapters.matrix.filters import Mode
from adapters.matrix.inbound import Event, as_dict, as_dicts, event_id_of, timestamp_of
from adapters.matrix.marks import read_up_to
from adapters.matrix.ongoing import Change, Ongoing
from adapters.matrix.opened import Opened
from adapters.matrix.parts import Cuts, Parts
from adapters.matrix.places import place_named_in
from adapters.matrix.rooms import Room, RoomId
from adapters.matrix.unreadable import as_it_came, where
from gateway.events import (
    CallStage,
    RemoteCall,
    RemoteMessage,
    RemoteNotice,
    RemoteRead,
    RemoteRetraction,
    RemoteUndecryptable,
    RemoteUnreadable,
)
from gateway.ids import RemoteMessageId, RemoteUserId


class ChatSpeech:
    """Of one direct room in one answer."""

    def __init__(
        self,
        parts: Parts,
        mode: Mode,
        account: RemoteUserId,
        room_id: RoomId,
        known: Room,
        now: float,
        opened: Opened,
        name_of: Callable[[str], str],
    ) -> None:
        self._parts = parts
        self._mode = mode
        self._account = account
        self._room_id = room_id
        self._now = now
        self._opened = opened
        self._ongoing = Ongoing(parts, room_id, now)
        self._name_of = name_of
        self._before = {known.last: known.message}
        """Events that are no new messages, each with the last one before it."""

    def said(self, room: Room, event: Event, *, tell: bool) -> Room:
        """An event of the timeline. One that cannot be converted is told of as what it is, a
        defect; it must not keep those behind it from coming."""
        event_id = event_id_of(event)
        if not event_id:
            return room
        told: Said | RemoteRetraction | RemoteUnreadable | None
        place, changes = None, list[RemoteMessage]()
        try:
            told = self._told(room, event)
            if isinstance(told, RemoteMessage):
                place = place_named_in(self._clear(event))
            if tell:
                told, changes = self._going_on(room, event, told)
        except Exception as error:  # whatever it is, it belongs to this event alone
            told = RemoteUnreadable(
                contact=room.contact,
                id=RemoteMessageId(event_id),
                content=as_it_came(event),
                reason=where(error),
            )
        for change in changes:
            self._parts.say(change)
        if told is not None and tell:
            self._parts.say(told)
        if place is not None and tell:
            self._parts.say(RemoteNotice(contact=room.contact, id=place[0], text=place[1]))
        room = replace(room, last=event_id)
        if not _is_new_message(told):
            self._before[event_id] = room.message
            return room
        self._parts.outcome.rooms[RemoteMessageId(event_id)] = self._room_id
        used = max(room.used, timestamp_of(event, self._now))
        guests = room.guests or event.get("sender") not in (self._account, room.contact)
        return replace(room, message=event_id, used=used, guests=guests)

    def _told(self, room: Room, event: Event) -> Said | RemoteRetraction | None:
        place = self._room_id, event_id_of(event)
        return said_to(
            self._room_id,
            self._clear(event),
            contact=room.contact,
            account=self._account,
            name_of=self._name_of,
            now=self._now,
            unread=self._opened.unread.get(place),
            guests=room.guests,
        ) or taken_back_in(
            event,
            contact=room.contact,
            account=self._account,
            now=self._now,
            version=room.version,
        )

    def _going_on(
        self, room: Room, event: Event, told: Said | RemoteRetraction | None
    ) -> tuple[Said | RemoteRetraction | None, list[RemoteMessage]]:
        """What an event says, and what it changes of what goes on. Where somebody else has spoken
        through the contact nobody knows whose message would be corrected."""
        clear = self._clear(event)
        result = self._ongoing.result(clear)
        if result and isinstance(told, RemoteMessage):
            told = replace(told, body=f"{told.body}\n{result}")
        gone = told.message if isinstance(told, RemoteRetraction) else None
        changes = self._ongoing.changes(clear, gone)
        return told, [
            self._change(room, change)
            for change in changes
            if change.sender == self._account
            or (change.sender == room.contact and not room.guests)
        ]

    def _change(self, room: Room, change: Change) -> RemoteMessage:
        return RemoteMessage(
            contact=room.contact,
            id=change.id,
            body=change.words,
            sent_at=change.at,
            own=change.sender == self._account,
            edits=None if change.is_over else change.message,
            reply_to=change.message if change.is_over else None,
            is_ongoing=not change.is_over,
        )

    def _clear(self, event: Event) -> Event:
        return self._opened.clear.get((self._room_id, event_id_of(event)), event)

    def passing(self, room: Room, content: Event) -> Cuts:
        """What is not part of the timeline."""
        for event in as_dicts(as_dict(content.get("ephemeral")).get("events")):
            said = as_dict(event.get("content"))
            if event.get("type") == "m.typing":
                users = said.get("user_ids")
                active = isinstance(users, list) and room.contact in users
                self._parts.outcome.typing.append((self._room_id, room.contact, active))
            elif event.get("type") == "m.receipt" and self._mode is not Mode.FIRST:
                self._read(room, said)
            if self._parts.stepped():
                yield from self._parts.cut()

    def _read(self, room: Room, receipts: Event) -> None:
        """A receipt may be for what is no new message, such as a reaction or an edit: then all
        before it has been read."""
        for reader in (room.contact, self._account):
            event_id = read_up_to(receipts, reader)
            up_to = self._before.get(event_id) or event_id
            if up_to:
                self._parts.say(
                    RemoteRead(
                        contact=room.contact,
                        up_to=RemoteMessageId(up_to),
                        own=reader == self._account,
                    )
                )


def _is_new_message(told: Said | RemoteRetraction | RemoteUnreadable | None) -> bool:
    if isinstance(told, RemoteMessage):
        return told.edits is None
    if isinstance(told, RemoteCall):
        return told.stage is CallStage.RINGS
    return isinstance(told, RemoteUndecryptable | RemoteUnreadable)
