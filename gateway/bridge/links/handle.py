# SPDX-License-Identifier: Apache-2.0
"""The gateway as one session sees it, and no longer than that session counts.

A session that takes no notice of its end is left behind. It may go on for as long as it likes, but
its handle is dead: it cannot store anything, nor say that it is live, beside its successor.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from types import MappingProxyType
from typing import TYPE_CHECKING

import aiohttp

from gateway.adapter import Clock, Logger, Session, Upload
from gateway.bridge.inbound.rows import Committed
from gateway.errors import StoreUnavailable, Transient
from gateway.events import (
    Departure,
    Presence,
    RemoteEvent,
    RemoteMessage,
    RemoteRoomMessage,
    RemoteUndecryptable,
    SentFile,
)
from gateway.ids import RemoteMessageId, RemoteRoomId, RemoteUserId
from gateway.locale import in_language
from gateway.store import Transaction, accounts, conversations, held, reactions, sealed
from gateway.store.kinds import AccountKind
from gateway.text.wording import tr

if TYPE_CHECKING:
    from gateway.bridge.links.link import Link

_PART = 50
"""Events in one unit: all accounts share one writer, and nobody shall wait long for another's."""
_LATE_S = 1.0
"""So that a session that tries for ever does so slowly."""


class Handle:
    """Implements `gateway.adapter.AccountContext`. One for each session."""

    def __init__(self, link: Link, connected: Callable[[], None] | None = None) -> None:
        self._link = link
        self._connected = connected
        self.is_dead = False
        self._is_live = False
        self.session: Session | None = None
        self.log: Logger = link.log
        self.clock: Clock = link.clock
        self.http: aiohttp.ClientSession = link.http
        self.remote_id = link.remote_id
        self.instance = link.instance
        self._secret = link.account.secret
        """Of this session's login. One that is left behind must not get that of the next."""

    @property
    def secret(self) -> bytes:
        """What the login returned."""
        assert self._secret is not None, "only linked accounts have a session"
        return self._secret

    @property
    def cursor(self) -> str | None:
        """What was last committed."""
        return self._link.account.cursor

    def state(self) -> Mapping[str, str]:
        """The adapter's own key-value store; only a commit changes it."""
        return MappingProxyType(self._link.account.state)

    def sealed(self, key: str) -> bytes | None:
        """See `gateway.adapter.AccountContext.sealed`."""
        return self._link.sealed.get(key)

    def waiting(self, needs: str | None = None) -> Sequence[RemoteUndecryptable]:
        """See `gateway.adapter.AccountContext.waiting`."""
        return held.waiting(self._link.store.reader, self._link.account.id, needs)

    def reactions(
        self, room: RemoteRoomId, message: RemoteMessageId
    ) -> Mapping[str, RemoteMessageId]:
        """See `gateway.adapter.AccountContext.reactions`."""
        link = self._link
        found = link.intake.rooms.room_rows.find(link.store.reader, room)
        if found is None:
            return {}
        return reactions.of_sender(link.store.reader, found.conversation, message, link.remote_id)

    def chat_reactions(
        self, contact: RemoteUserId, message: RemoteMessageId, *, theirs: bool = False
    ) -> Mapping[str, RemoteMessageId]:
        """See `gateway.adapter.AccountContext.chat_reactions`."""
        reader, account = self._link.store.reader, self._link.account.id
        chat = conversations.find_chat(reader, account, contact)
        if chat is None:
            return {}
        sender = contact if theirs else self.remote_id
        return reactions.of_sender(reader, chat, message, sender)

    @property
    def is_house(self) -> bool:
        """See `gateway.adapter.AccountContext.is_house`."""
        return self._link.account.kind is AccountKind.HOUSE

    def linked_rooms(self) -> frozenset[RemoteRoomId]:
        """See `gateway.adapter.AccountContext.linked_rooms`."""
        return self._link.hooks.portals.rooms if self.is_house else frozenset()

    async def link_room(self, room: RemoteRoomId, code: str, *, is_owner: bool) -> str:
        """See `gateway.adapter.AccountContext.link_room`."""
        await self._must_count()
        return await self._link.hooks.portals.link(room, code, is_owner=is_owner)

    async def unlink_room(self, room: RemoteRoomId) -> str:
        """See `gateway.adapter.AccountContext.unlink_room`."""
        await self._must_count()
        return await self._link.hooks.portals.unlink(room)

    async def put_out(self, room: RemoteRoomId, message: RemoteMessageId, how: Departure) -> str:
        """See `gateway.adapter.AccountContext.put_out`."""
        await self._must_count()
        return await self._link.hooks.put_out(room, message, how)

    def authors_reactions(
        self, room: RemoteRoomId, message: RemoteMessageId
    ) -> Mapping[RemoteUserId, tuple[str, ...]]:
        """See `gateway.adapter.AccountContext.authors_reactions`."""
        link = self._link
        found = link.intake.rooms.room_rows.find(link.store.reader, room)
        if found is None:
            return {}
        return reactions.of_virtual(link.store.reader, found.conversation, message)

    def worded(self, text: str) -> str:
        """See `gateway.adapter.AccountContext.worded`."""
        return in_language(text, self._link.intake.rows.common_language)

    @asynccontextmanager
    async def open(self, file: SentFile) -> AsyncIterator[Upload]:
        """See `gateway.adapter.AccountContext.open`."""
        await self._must_count()
        async with self._link.hooks.open(self._link.account, file) as upload:
            yield upload

    async def ready(self) -> None:
        """See `gateway.adapter.AccountContext.ready`."""
        await self._must_count()
        self._link.asks = True
        await self._link.hooks.room(self._link.account.id)

    async def commit(
        self,
        events: Sequence[RemoteEvent],
        *,
        cursor: str | None = None,
        state: Mapping[str, str | None] | None = None,
        sealed: Mapping[str, bytes | None] | None = None,
    ) -> None:
        """See `gateway.adapter.AccountContext.commit`. Raises `Transient` for a dead session.

        Many events take several units. The last one has the cursor, so after a crash in between
        all of them come again, and those that are there are known.
        """
        await self._must_count()
        # What comes before the session is live must not keep it from that: what the user sends
        # does not depend on what waits for them.
        if events and self._is_live and not self._link.asks:
            await self._link.hooks.room(self._link.account.id)
        await self._until_quiet(events)
        parts = [events[start : start + _PART] for start in range(0, len(events), _PART)] or [()]
        for part in parts[:-1]:
            await self._commit(part, None, {}, {})
        secrets = self._link.sealed.seal(sealed) if sealed else {}
        await self._commit(parts[-1], cursor, dict(state or {}), secrets)

    async def _must_count(self) -> None:
        if self.is_dead:
            await self.clock.sleep(_LATE_S)
            raise Transient(tr("This session is over."))

    async def _until_quiet(self, events: Sequence[RemoteEvent]) -> None:
        """Without keys our own messages are known by their id alone, once the send has it."""
        if self._link.adapter.capabilities.echoes_key:
            return
        own = {place for event in events if (place := self._place_of_own(event)) is not None}
        if own:
            await self._link.hooks.quiet(self._link.account, own)

    def _place_of_own(self, event: RemoteEvent) -> RemoteUserId | RemoteRoomId | None:
        """Where the account has said that, if it has said it."""
        match event:
            case RemoteMessage(own=True):
                return event.contact
            case RemoteRoomMessage() if event.sender == self.remote_id:
                return event.room
        return None

    async def _commit(
        self,
        events: Sequence[RemoteEvent],
        cursor: str | None,
        changes: Mapping[str, str | None],
        secrets: Mapping[str, bytes | None],
    ) -> None:
        await self._must_count()
        link, now = self._link, self.clock.now()
        account = link.account.id
        apply = link.intake.unit

        def unit(db: Transaction) -> Committed:
            committed = apply(db, events, now)
            if cursor is not None:
                accounts.set_cursor(db, account, cursor, now)
            if changes:
                accounts.change_state(db, account, changes)
            if secrets:
                sealed.change(db, account, secrets)
            return committed

        def committed(result: Committed) -> None:
            self._remember(cursor, changes)
            link.hooks.committed(result)

        # A session that is cancelled now has its events committed all the same.
        try:
            await link.store.write(unit, committed)
        except StoreUnavailable:
            raise
        except Exception:  # one event that cannot be stored must not hold up all that follow
            link.log.warning("events_not_committed", events=len(events))
            apply = link.intake.unit_by_unit
            await link.store.write(unit, committed)

    def _remember(self, cursor: str | None, changes: Mapping[str, str | None]) -> None:
        account = self._link.account
        if cursor is not None:
            account.cursor = cursor
        for key, value in changes.items():
            if value is None:
                account.state.pop(key, None)
            else:
                account.state[key] = value

    def connected(self) -> None:
        """See `gateway.adapter.AccountContext.connected`."""
        if not self.is_dead and self._connected is not None:
            self._is_live = True
            self._connected()

    def typing(self, contact: RemoteUserId, active: bool) -> None:
        """See `gateway.adapter.AccountContext.typing`."""
        if not self.is_dead:
            self._link.hooks.typing(self._link.account, contact, active)

    def room_typing(self, room: RemoteRoomId, user: RemoteUserId, active: bool) -> None:
        """See `gateway.adapter.AccountContext.room_typing`."""
        if not self.is_dead:
            self._link.hooks.room_typing(self._link.account, room, user, active)

    def presence(self, contact: RemoteUserId, presence: Presence) -> None:
        """See `gateway.adapter.AccountContext.presence`."""
        if not self.is_dead:
            self._link.hooks.presence(self._link.account, contact, presence)
