# SPDX-License-Identifier: Apache-2.0
"""What there is in groups alone, or is something else there: `test_contract` tries it."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import pytest

from gateway.adapter import Session
from gateway.errors import AdapterError
from gateway.events import (
    MarkRoomRead,
    RemoteMember,
    RemoteMessage,
    RemoteProfile,
    RemoteRoom,
    RemoteRoomMessage,
    RemoteRoomRead,
    SendRoomText,
)
from gateway.ids import RemoteMessageId, RemoteRoomId
from tests.contract.account import Account
from tests.contract.peer import Peer

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAACAAAAAgAQMAAABJtOi3AAAABlBMVEX/AAD///9BHTQRAAAADElEQVQI12NgGNwAAACgAAFh"
    "JX1HAAAAAElFTkSuQmCC"
)
"""A small red picture."""
_PICTURES = (PNG[:8], b"\xff\xd8\xff")
"""How they begin: networks may make another kind of one."""


@asynccontextmanager
async def in_group(peer: Peer) -> AsyncIterator[tuple[Account, Session, RemoteRoomId]]:
    """A group of bob and alice, with a session of hers."""
    account = await peer.account()
    async with peer.running(account) as session:
        group = await peer.makes_group("Group of the suite")
        await account.first(RemoteRoom, lambda event: event.room == group)
        yield account, session, group


async def _says(session: Session, group: RemoteRoomId, key: str, **about: Any) -> RemoteMessageId:
    """Alice says something, twice under the same key: it is said once."""
    command = SendRoomText(room=group, **about)
    sent = await session.send(command, key)
    assert await session.send(command, key) == sent
    assert sent.remote_id is not None
    return sent.remote_id


async def _told(account: Account, message: RemoteMessageId) -> RemoteRoomMessage:
    return await account.first(RemoteRoomMessage, lambda event: event.id == message)


async def avatars(peer: Peer) -> None:
    """Who has a picture is told, and it can be had; what is none cannot."""
    async with in_group(peer) as (account, session, group):
        await peer.says("in the chat")
        await account.first(RemoteMessage, lambda event: event.body == "in the chat")
        await peer.pictures(group, PNG)
        shown = await account.first(RemoteProfile, lambda event: bool(event.avatar))
        assert shown.contact == peer.bob
        assert (await session.avatar(shown.avatar or "")).startswith(_PICTURES)
        assert (await session.find(peer.bob)).avatar == shown.avatar
        room = await account.first(RemoteRoom, lambda event: bool(event.avatar))
        told = await account.first(RemoteMember, lambda event: bool(event.member.avatar))
        assert (room.room, told.room, told.member.user) == (group, group, peer.bob)
        for reference in (room.avatar, told.member.avatar):
            assert (await session.avatar(reference)).startswith(_PICTURES)
        for nothing in ("", "no picture", f"{room.avatar}x"):
            with pytest.raises(AdapterError):
                await session.avatar(nothing)


async def read_marks(peer: Peer) -> None:
    async with in_group(peer) as (account, session, group):
        mine = await _says(session, group, "contract.1", body="read this")
        await peer.heard_in_group(group, "read this")
        await peer.reads_in_group(group, mine)
        read = await account.first(RemoteRoomRead, lambda event: event.reader == peer.bob)
        assert (read.room, read.up_to) == (group, mine)
        theirs = await peer.says_in_group(group, "and you this")
        await session.send(MarkRoomRead(room=group, up_to=theirs), "contract.2")
        await peer.sees_read_in_group(group, theirs)


async def typing(peer: Peer) -> None:
    async with in_group(peer) as (account, session, group):
        for active in (True, False):
            await session.set_room_typing(group, active)
            await peer.sees_typing_in_group(group, active)
        for active in (True, False):
            await peer.types_in_group(group, active)
            await account.until(lambda active=active: (peer.bob, active) in account.typists)  # type: ignore[misc]
    assert account.typists == [(peer.bob, True), (peer.bob, False)]


EXERCISES: dict[str, Callable[[Peer], Coroutine[Any, Any, None]]] = {
    "avatars": avatars,
}
