# SPDX-License-Identifier: Apache-2.0
"""What a session gets of the gateway, in memory: for tests of adapters without one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

from gateway.adapter import Clock, Linked, Logger, Upload
from gateway.errors import NotFound, StoreUnavailable
from gateway.events import (
    Departure,
    FileFacts,
    Presence,
    RemoteEvent,
    RemoteMessage,
    RemoteReaction,
    RemoteRetraction,
    RemoteRoomMessage,
    RemoteRoomReaction,
    RemoteRoomRetraction,
    RemoteUndecryptable,
    SentFile,
)
from gateway.ids import RemoteMessageId, RemoteRoomId, RemoteUserId
from gateway.tasks import SystemClock

_PIECE = 64 * 1024


class Log:
    """Keeps what was logged."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, dict[str, Any]]] = []

    def note(self, event: str, **fields: Any) -> None:
        """Any level."""
        self.lines.append((event, fields))

    debug = info = warning = error = note


class AccountInMemory:
    """A `gateway.adapter.AccountContext` that outlives its sessions."""

    def __init__(self, linked: Linked, http: aiohttp.ClientSession) -> None:
        self.lines = Log()
        self.log: Logger = self.lines
        self.clock: Clock = SystemClock()
        self.http = http
        self.remote_id = linked.remote_id
        self.instance = "instance-of-the-tests"
        self.secret = linked.secret
        self.cursor: str | None = None
        self.stored: dict[str, str] = {}
        self.secrets: dict[str, bytes] = {}
        """Of the account's store of secrets."""
        self.held: dict[str, RemoteUndecryptable] = {}
        """Events that are kept until they can be read, by id."""
        self.made_reactions: dict[RemoteMessageId, RemoteReaction | RemoteRoomReaction] = {}
        """By their ids."""
        self.files: dict[str, bytes] = {}
        """What is at the addresses of files that are sent."""
        self.is_house = False
        self.codes: dict[str, bool] = {}
        """Those that link a group, and whether only its owner may use each."""
        self.linked: set[RemoteRoomId] = set()
        self.virtual: dict[tuple[RemoteRoomId, RemoteMessageId, RemoteUserId], tuple[str, ...]]
        self.virtual = {}
        """What those react to a message with for whom the house speaks."""
        self.verdicts: list[tuple[RemoteRoomId, RemoteMessageId, Departure]] = []
        """Who was to be put out of groups, by what they have said."""
        self.commits = 0
        self.is_broken = False
        """The disk is full: commits fail."""

    def state(self) -> Mapping[str, str]:
        """A copy, so that nobody changes it behind a commit's back."""
        return dict(self.stored)

    def sealed(self, key: str) -> bytes | None:
        """As last committed."""
        key.encode()  # as a database does
        return self.secrets.get(key)

    def waiting(self, needs: str | None = None) -> Sequence[RemoteUndecryptable]:
        """What was handed over as unreadable, and not as readable since."""
        return [event for event in self.held.values() if needs in (None, event.needs)]

    def reactions(
        self, room: RemoteRoomId, message: RemoteMessageId
    ) -> Mapping[str, RemoteMessageId]:
        """Those that have come back."""
        return {
            reaction.emoji: reaction.id
            for reaction in self.made_reactions.values()
            if isinstance(reaction, RemoteRoomReaction)
            and (reaction.room, reaction.message) == (room, message)
            and reaction.sender == self.remote_id
        }

    def chat_reactions(
        self, contact: RemoteUserId, message: RemoteMessageId, *, theirs: bool = False
    ) -> Mapping[str, RemoteMessageId]:
        """The same in a chat."""
        return {
            reaction.emoji: reaction.id
            for reaction in self.made_reactions.values()
            if isinstance(reaction, RemoteReaction)
            and (reaction.contact, reaction.message) == (contact, message)
            and reaction.own is not theirs
        }

    def linked_rooms(self) -> frozenset[RemoteRoomId]:
        """Those for which a code was sent."""
        return frozenset(self.linked)

    async def link_room(self, room: RemoteRoomId, code: str, *, is_owner: bool) -> str:
        """By one of `codes`, once."""
        if code not in self.codes:
            return "This code does not count."
        if self.codes[code] and not is_owner:
            return "Only the owner can do that."
        del self.codes[code]
        self.linked.add(room)
        return "This group is linked now."

    async def unlink_room(self, room: RemoteRoomId) -> str:
        """Also if it is not linked."""
        self.linked.discard(room)
        return "This group is not linked any more."

    async def put_out(self, room: RemoteRoomId, message: RemoteMessageId, how: Departure) -> str:
        """Kept in `verdicts`."""
        self.verdicts.append((room, message, how))
        return f"{how} it is."

    def authors_reactions(
        self, room: RemoteRoomId, message: RemoteMessageId
    ) -> Mapping[RemoteUserId, tuple[str, ...]]:
        """As a test wants them."""
        return {
            author: emoji
            for (there, of, author), emoji in self.virtual.items()
            if (there, of) == (room, message)
        }

    def worded(self, text: str) -> str:
        """In English."""
        return text

    @asynccontextmanager
    async def open(self, file: SentFile) -> AsyncIterator[Upload]:
        """In pieces of 64 KiB. Raises `NotFound` where there is nothing."""
        if file.url not in self.files:
            raise NotFound("There is no such file.")
        data = self.files[file.url]
        said = {name: getattr(file, name) for name in FileFacts.__struct_fields__}
        yield Upload(facts=FileFacts(**{**said, "size": len(data)}), chunks=_pieces(data))

    async def ready(self) -> None:
        """More may be fetched."""

    async def commit(
        self,
        events: Sequence[RemoteEvent],
        *,
        cursor: str | None = None,
        state: Mapping[str, str | None] | None = None,
        sealed: Mapping[str, bytes | None] | None = None,
    ) -> None:
        """All or nothing, after a turn of the loop."""
        await asyncio.sleep(0)
        if self.is_broken:
            raise StoreUnavailable("the disk is full")
        self.commits += 1
        self.cursor = self.cursor if cursor is None else cursor
        for key, value in (state or {}).items():
            if value is None:
                self.stored.pop(key, None)
            else:
                self.stored[key] = value
        for key, secret in (sealed or {}).items():
            if secret is None:
                self.secrets.pop(key, None)
            else:
                self.secrets[key] = secret
        for event in events:
            self._keep(event)

    def _keep(self, event: RemoteEvent) -> None:
        if isinstance(event, RemoteUndecryptable):
            self.held[event.id] = event
        elif isinstance(event, RemoteMessage | RemoteRoomMessage):
            self.held.pop(event.id, None)
        elif isinstance(event, RemoteReaction | RemoteRoomReaction):
            self.made_reactions[event.id] = event
        elif isinstance(event, RemoteRetraction | RemoteRoomRetraction):
            self.made_reactions.pop(event.message, None)
        self.took(event)

    def took(self, event: RemoteEvent) -> None:
        """An event was committed."""

    def connected(self) -> None:
        """The session is live."""

    def typing(self, contact: RemoteUserId, active: bool) -> None:
        """Latest wins."""

    def room_typing(self, room: RemoteRoomId, user: RemoteUserId, active: bool) -> None:
        """Latest wins."""

    def presence(self, contact: RemoteUserId, presence: Presence) -> None:
        """Latest wins."""


async def _pieces(data: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(data), _PIECE):
        await asyncio.sleep(0)
        yield data[start : start + _PIECE]
