# SPDX-License-Identifier: Apache-2.0
"""The book of an account together with the commits that make its changes durable."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from msgspec.structs import replace

from adapters.matrix.rooms import Book, Draft, Room, RoomId
from adapters.matrix.secrets import Secrets
from gateway.adapter import AccountContext
from gateway.errors import StoreUnavailable, Transient
from gateway.events import RemoteEvent
from gateway.ids import RemoteMessageId, RemoteUserId
from gateway.text.wording import tr

_REMEMBERED_MESSAGES = 2_000


class Ledger:
    """One writer at a time: the sync loop and the commands change the same rooms."""

    def __init__(self, account: AccountContext) -> None:
        self._account = account
        self.secrets = Secrets(account)
        self._lock = asyncio.Lock()
        self._places: OrderedDict[RemoteMessageId, RoomId] = OrderedDict()
        self.book = Book(account.state())

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[Book]:
        """Nobody else changes the book meanwhile."""
        async with self._lock:
            yield self.book

    async def commit(
        self, draft: Draft, events: Sequence[RemoteEvent] = (), cursor: str | None = None
    ) -> None:
        """Within `writing`. Raises `Transient` if nothing was committed."""
        changes, secrets = draft.changes(), self.secrets.changes()
        if not changes and not secrets and not events and cursor is None:
            return
        try:
            await self._account.commit(events, cursor=cursor, state=changes, sealed=secrets)
        except StoreUnavailable as error:
            raise Transient(tr("The gateway cannot store anything at the moment.")) from error
        except asyncio.CancelledError:
            # The writer goes on without us. Should it fail after all, the next change of the
            # same room writes the whole of it.
            self.book.apply(draft)
            raise
        self.book.apply(draft)
        self.secrets.committed(secrets)

    async def flush(self) -> None:
        """Make durable what the store of secrets has. Raises `Transient`."""
        async with self.writing() as book:
            await self.commit(book.draft())

    async def update(self, room_id: RoomId, **fields: Any) -> Room | None:
        """Change what is known of a room. Returns it, or None if it is not in the book."""
        async with self.writing() as book:
            room = book.room(room_id)
            if room is None:
                return None
            draft = book.draft()
            draft.put(room_id, replace(room, **fields))
            await self.commit(draft)
        return book.room(room_id)

    async def update_group(self, room_id: RoomId, **fields: Any) -> None:
        """Change what is known of a group, if the account is in it."""
        async with self.writing() as book:
            group = book.group(room_id)
            if group is not None:
                draft = book.draft()
                draft.put_group(room_id, replace(group, **fields))
                await self.commit(draft)

    async def tell_anew(self, room_ids: Iterable[RoomId] | None) -> None:
        """These groups, or all, are to be told whole, each when its members are known. Those that
        are not told have nothing to tell."""
        async with self.writing() as book:
            draft = book.draft()
            for room_id in book.groups() if room_ids is None else room_ids:
                group = book.group(room_id)
                if group is not None and not group.is_space and not group.is_hidden:
                    draft.put_group(room_id, replace(group, is_stale=True))
            await self.commit(draft)

    async def enter(self, room_id: RoomId, contact: RemoteUserId, theirs: str) -> None:
        """A room was made or found for a contact: one commit with the end of the search."""
        async with self.writing() as book:
            draft = book.draft()
            room = book.room(room_id) or Room(contact=contact, unlisted=True)
            draft.put(room_id, replace(room, contact=contact, mine="join", theirs=theirs))
            draft.put_opening(contact, False)
            await self.commit(draft)

    async def opening(self, contact: RemoteUserId, opening: bool) -> None:
        """Note that a room is about to be made, or that none was."""
        async with self.writing() as book:
            draft = book.draft()
            draft.put_opening(contact, opening)
            await self.commit(draft)

    def place(self, message: RemoteMessageId) -> RoomId | None:
        """The room of a recent message."""
        return self._places.get(message)

    def remember(self, places: Mapping[RemoteMessageId, RoomId]) -> None:
        """In memory only: a look-up at the homeserver replaces it."""
        self._places.update(places)
        while len(self._places) > _REMEMBERED_MESSAGES:
            self._places.popitem(last=False)
