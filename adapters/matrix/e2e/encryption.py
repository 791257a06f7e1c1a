# SPDX-License-Identifier: Apache-2.0
"""Where the encryption of an account meets its session: rooms, commits and events."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from adapters.matrix.chat_events import said_to
from adapters.matrix.e2e.flow import MatrixEncryptionFlow
from adapters.matrix.e2e.machine import Machine
from adapters.matrix.e2e.waiting import Received, missing_of
from adapters.matrix.filters import Mode
from adapters.matrix.gaps import Fill, rooms_in
from adapters.matrix.group_events import said_in
from adapters.matrix.http import Api
from adapters.matrix.inbound import as_dict, as_dicts
from adapters.matrix.ledger import Ledger
from adapters.matrix.opened import Opened
from adapters.matrix.rooms import RoomId
from gateway.adapter import AccountContext, EncryptionFlow
from gateway.events import RemoteEvent, RemoteUndecryptable

_AT_ONCE = 50
"""Events that are converted without a pause: a few milliseconds."""


def _needs(opened: Opened) -> list[str]:
    return [unread.needs for unread in opened.unread.values()]


class Encryption:
    """Of one session."""

    def __init__(self, account: AccountContext, api: Api, ledger: Ledger, device_id: str) -> None:
        self._account = account
        self._ledger = ledger
        self._machine = Machine(account, api, device_id, ledger.secrets, ledger.flush, self._tell)
        self._past: set[str] = set()
        """Keys for what was said before; whether it was committed, is not known here."""

    def flow(self) -> EncryptionFlow:
        """What the user may ask and decide."""
        return MatrixEncryptionFlow(self._machine.trust)

    async def _tell(self, received: Received) -> None:
        """Commit what came, together with the keys."""
        known = self._ledger.book.contacts()
        events: list[RemoteEvent] = [
            notice
            for notice in received.notices
            if notice.contact is None or notice.contact in known
        ]
        events += received.explained
        for number, (waiting, clear) in enumerate(received.released, start=1):
            if number % _AT_ONCE == 0:
                await asyncio.sleep(0)
            if (event := self._readable(waiting, clear)) is not None:
                events.append(event)
        async with self._ledger.writing() as book:
            await self._ledger.commit(book.draft(), events)

    async def run(self) -> None:
        """Exchange keys, until cancelled."""
        named = self._machine.waiting.named(self._encrypted_rooms)
        if named:
            async with self._ledger.writing() as book:
                await self._ledger.commit(book.draft(), named)
        await self._tell(await self._machine.waiting.resume())
        await self._machine.run()

    def _encrypted_rooms(self, contact: str) -> list[RoomId]:
        rooms = self._ledger.book.rooms().items()
        return [room_id for room_id, room in rooms if room.contact == contact and room.encrypted]

    async def take(
        self, answer: Mapping[str, Any], fills: Mapping[RoomId, Fill], mode: Mode
    ) -> Opened:
        """Take what an answer of /sync has for the device, and decrypt what was said.

        Keys are durable when this returns, together with what they made readable.
        """
        if mode is Mode.AGAIN:
            self._machine.cursor_was_refused()
        for room_id, content in rooms_in(answer, "join"):
            if as_dict(content.get("timeline")).get("limited"):
                self._machine.room_was_cut(room_id)
        await self._tell(await self._machine.receive(answer))
        if mode is Mode.FIRST:
            return Opened()  # nothing of it is told
        return await self._machine.open(self._said(answer, fills))

    async def open_past(self, room_id: RoomId, events: Sequence[Mapping[str, Any]]) -> Opened:
        """What was said before. Keys that are missing are looked for in the user's backup at
        once, since somebody waits."""
        rooms = {room_id: [event for event in events if event.get("type") == "m.room.encrypted"]}
        opened = await self._machine.open(rooms)
        if opened.unread and await self._machine.restore(_needs(opened)):
            opened = await self._machine.open(rooms)
        self._past.update(_needs(opened))
        return opened

    async def settle(self, opened: Opened) -> None:
        """After these were committed: keys that came meanwhile did not find them waiting."""
        needs, self._past = [*_needs(opened), *self._past], set()
        received = await self._machine.waiting.overlooked(needs)
        if received.released:
            await self._tell(received)

    def _readable(
        self, waiting: RemoteUndecryptable, clear: Mapping[str, Any]
    ) -> RemoteEvent | None:
        own, now = self._account.remote_id, self._account.clock.now()
        if waiting.room is not None:
            return said_in(waiting.room, clear, account=own, now=now)
        missing = missing_of((waiting.needs,))
        room_id = missing[0].room_id if missing else RoomId("")
        room = self._ledger.book.room(room_id)
        return said_to(
            room_id,
            clear,
            contact=waiting.contact,
            account=own,
            name_of=self._ledger.book.name,
            now=now,
            guests=room is not None and room.guests,
        )

    def _said(
        self, answer: Mapping[str, Any], fills: Mapping[RoomId, Fill]
    ) -> dict[RoomId, Sequence[Mapping[str, Any]]]:
        """What was said in chats and groups, with what had to be fetched."""
        said: dict[RoomId, Sequence[Mapping[str, Any]]] = {}
        for membership in ("join", "leave"):
            for room_id, content in rooms_in(answer, membership):
                state = as_dicts(as_dict(content.get("state")).get("events"))
                timeline = as_dicts(as_dict(content.get("timeline")).get("events"))
                fill = fills.get(room_id)
                said[room_id] = [*state, *(fill.events if fill else ()), *timeline]
        return said

    async def encrypt(
        self, room_id: RoomId, kind: str, content: Mapping[str, Any]
    ) -> dict[str, Any]:
        """The content of an ``m.room.encrypted`` event. Raises any `AdapterError`."""
        return await self._machine.encrypt(room_id, kind, content)

    async def can_read(self, user_id: str) -> bool:
        """Whether somebody has a device that reads what is encrypted. Raises `Transient`."""
        return await self._machine.can_read(user_id)
