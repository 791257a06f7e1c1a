# SPDX-License-Identifier: Apache-2.0
"""People of a test's own for the Matrix adapter, which is driven through the contract."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from adapters.matrix import MatrixAdapter
from gateway.adapter import Linked, Session
from gateway.events import AcceptInvite, RemoteInvite, RemoteRoom, RemoteRoomMessage
from gateway.ids import RemoteUserId
from tests.peers.element import Element
from tests.peers.matrix_client import MatrixClient
from tests.peers.synapse import Synapse
from tests.unit.matrix.memory import MemoryAccount, MemoryNetwork, Running

_PASSWORD = "secret"
_numbers = itertools.count()


@dataclass
class World:
    """Alice, whom the gateway has linked."""

    synapse: Synapse
    adapter: MatrixAdapter
    account: MemoryAccount

    @property
    def alice(self) -> str:
        return self.account.remote_id

    def running(self) -> Running:
        return Running(self.adapter, self.account)


@dataclass
class ChatWorld(World):
    """With another app of hers, and bob."""

    phone: MatrixClient
    bob: MatrixClient

    @property
    def contact(self) -> RemoteUserId:
        return RemoteUserId(self.bob.user_id)

    async def chat(self) -> str:
        """A direct room of both, made by other clients, before the session began."""
        room = await self.phone.create_direct(self.bob.user_id)
        await self.bob.join(room)
        await self.phone.wait_member(room, self.bob.user_id)
        return room


@dataclass
class GroupWorld(World):
    """With another app of hers; bob and carol."""

    phone: MatrixClient
    bob: MatrixClient
    carol: MatrixClient

    async def group(self, *, joined: bool = True, **creation: Any) -> str:
        """A group of bob's, with carol in it, and alice in it or invited."""
        body = {"preset": "private_chat", "name": "Tea", "topic": "Green", **creation}
        room = str((await self.bob.request("POST", "createRoom", body))["room_id"])
        for other in self.carol, self.phone:
            await self.bob.invite(room, other.user_id)
        await self.carol.join(room)
        if joined:
            await self.phone.join(room)
        return room

    async def wait_room(self, room: str, since: int = 0, **fields: Any) -> RemoteRoom:
        """The first that is told of a room with these fields."""
        return await self.account.wait(
            RemoteRoom,
            lambda told: (
                told.room == room
                and all(getattr(told, name) == value for name, value in fields.items())
            ),
            since,
        )

    async def wait_said(self, body: str, since: int = 0) -> RemoteRoomMessage:
        """The message with this text."""
        return await self.account.wait(RemoteRoomMessage, lambda said: said.body == body, since)

    def said(self) -> list[str]:
        """All that was said in rooms."""
        items = self.account.inbox.items
        return [item.body for item in items if isinstance(item, RemoteRoomMessage)]


@dataclass
class Pair(World):
    """And bob, who uses Element."""

    bob: Element

    @property
    def contact(self) -> RemoteUserId:
        return RemoteUserId(self.bob.user_id)

    async def begin(self, session: Session) -> str:
        """Bob begins an encrypted chat, and alice accepts; returns the room."""
        room = await self.bob.create_direct(self.account.remote_id)
        await self.account.wait(RemoteInvite)
        await session.send(AcceptInvite(contact=self.contact), "k0")
        await self.bob.wait_member(room, self.account.remote_id)
        return room


async def link(adapter: MatrixAdapter, url: str, user: str, password: str = _PASSWORD) -> Linked:
    """Log in with a password."""
    linked = await adapter.login().submit(
        {"homeserver": url, "username": user, "password": password}
    )
    assert isinstance(linked, Linked)
    return linked


async def _people(synapse: Synapse, *names: str) -> list[str]:
    """New users, called like this."""
    number = next(_numbers)
    users = [f"w-{name}{number}" for name in names]
    for user in users:
        await synapse.add_user(user, _PASSWORD)
    return users


async def _linked(
    synapse: Synapse, http: aiohttp.ClientSession, user: str, settings: dict[str, Any]
) -> tuple[MatrixAdapter, MemoryAccount]:
    adapter = MatrixAdapter(MemoryNetwork(http, **settings))
    return adapter, MemoryAccount(await link(adapter, synapse.url, user), http)


@asynccontextmanager
async def chat_world(
    synapse: Synapse, http: aiohttp.ClientSession, **settings: Any
) -> AsyncIterator[ChatWorld]:
    """An adapter with these settings."""
    users = await _people(synapse, "alice", "bob")
    made = await _linked(synapse, http, users[0], settings)
    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(_client(synapse, user)) for user in users]
        yield ChatWorld(synapse, *made, *clients)


@asynccontextmanager
async def group_world(
    synapse: Synapse, http: aiohttp.ClientSession, **settings: Any
) -> AsyncIterator[GroupWorld]:
    """The same."""
    users = await _people(synapse, "alice", "bob", "carol")
    made = await _linked(synapse, http, users[0], settings)
    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(_client(synapse, user)) for user in users]
        yield GroupWorld(synapse, *made, *clients)


@asynccontextmanager
async def pair_of(
    synapse: Synapse, http: aiohttp.ClientSession, directory: Path, **settings: Any
) -> AsyncIterator[Pair]:
    """The same; bob's Element keeps its log in a directory."""
    alice, bob = await _people(synapse, "alice", "bob")
    made = await _linked(synapse, http, alice, settings)
    async with Element(synapse.url, bob, _PASSWORD, directory=directory) as element:
        await reachable(element)
        yield Pair(synapse, *made, element)


def _client(synapse: Synapse, user: str) -> MatrixClient:
    return MatrixClient(synapse.url, user, _PASSWORD)


async def reachable(element: Element) -> None:
    """Its keys go out beside its first sync; before that nobody can encrypt to it."""
    for _ in range(100):
        if await element.one_time_keys():
            return
        await asyncio.sleep(0.1)
    raise AssertionError("its keys were not uploaded within 10 s")
