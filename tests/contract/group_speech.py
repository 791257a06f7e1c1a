# SPDX-License-Identifier: Apache-2.0
"""What is said in groups about what was said there, both ways: `test_contract` tries it."""

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
    Mention,
    ReactInRoom,
    RemoteMember,
    RemoteRoom,
    RemoteRoomMessage,
    RemoteRoomReaction,
    RemoteRoomRead,
    RemoteRoomRetraction,
    RetractInRoom,
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


@asynccontextmanager
async def _group(peer: Peer) -> AsyncIterator[tuple[Account, Session, RemoteRoomId]]:
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
    async with _group(peer) as (account, session, group):
        await peer.pictures(group, PNG)
        room = await account.first(RemoteRoom, lambda event: bool(event.avatar))
        told = await account.first(RemoteMember, lambda event: bool(event.member.avatar))
        assert (room.room, told.room, told.member.user) == (group, group, peer.bob)
        for reference in (room.avatar, told.member.avatar):
            assert (await session.avatar(reference)).startswith(PNG[:8])
        for nothing in ("", "no picture", f"{room.avatar}x"):
            with pytest.raises(AdapterError):
                await session.avatar(nothing)


async def edits(peer: Peer) -> None:
    """An edit has an id of its own, and names the first text, however often that was edited."""
    async with _group(peer) as (account, session, group):
        said = await peer.says_in_group(group, "helo")
        for body in ("hello", "hello!"):
            edit = await peer.edits_in_group(group, said, body)
            told = await _told(account, edit)
            assert (told.room, told.sender, told.body, told.edits) == (group, peer.bob, body, said)
        mine = await _says(session, group, "contract.1", body="hi bbo")
        for number, body in enumerate(("hi bob", "hi, bob"), start=2):
            edit = await _says(session, group, f"contract.{number}", body=body, edits=mine)
            await peer.sees_edit(group, mine, body)
            echo = await _told(account, edit)
            assert (echo.body, echo.edits, echo.sender) == (body, mine, peer.alice)
            if peer.adapter.capabilities.echoes_key:
                assert echo.key == f"contract.{number}"


async def replies(peer: Peer) -> None:
    async with _group(peer) as (account, session, group):
        said = await peer.says_in_group(group, "tea?")
        await _told(account, said)
        mine = await _says(session, group, "contract.1", body="yes", reply_to=said)
        await peer.sees_reply(group, said, "yes")
        echo = await _told(account, mine)
        assert (echo.body, echo.reply_to) == ("yes", said)
        answer = await peer.replies_in_group(group, mine, "at noon")
        told = await account.first(RemoteRoomMessage, lambda event: event.body == "at noon")
        assert (told.id, told.reply_to, told.edits) == (answer, mine, None)


async def reactions(peer: Peer) -> None:
    """What alice reacts with is a set; bob's come and go one by one."""
    async with _group(peer) as (account, session, group):
        said = await peer.says_in_group(group, "done")

        async def reacts(key: str, *emoji: str) -> set[RemoteMessageId]:
            command = ReactInRoom(room=group, message=said, emoji=emoji)
            sent = await session.send(command, key)
            assert await session.send(command, key) == sent
            assert sent.reactions.keys() == set(emoji)
            await peer.sees_reactions(group, said, set(emoji))
            await account.until(lambda: account.reactions(group, said) == sent.reactions)
            assert await session.send(command, key) == sent
            return set(sent.reactions.values())

        first = await reacts("contract.1", "👍", "❤️")
        second = await reacts("contract.2", "❤️", "🎉")
        assert len(first & second) == 1
        await reacts("contract.3")
        last = await reacts("contract.4", "👍")
        assert not last & (first | second)
        if peer.adapter.capabilities.echoes_key:
            told = await account.first(RemoteRoomReaction, lambda event: event.id in last)
            assert told.key == "contract.4"

        mine = await _says(session, group, "contract.5", body="me too")
        made = await peer.reacts_in_group(group, mine, "🙂")
        told = await account.first(RemoteRoomReaction, lambda event: event.sender == peer.bob)
        assert (told.room, told.id, told.message, told.emoji) == (group, made, mine, "🙂")
        await peer.takes_back_in_group(group, made)
        gone = await account.first(RemoteRoomRetraction, lambda event: event.message == made)
        assert (gone.room, gone.by) == (group, peer.bob)


async def retractions(peer: Peer) -> None:
    async with _group(peer) as (account, session, group):
        said = await peer.says_in_group(group, "a mistake")
        await peer.takes_back_in_group(group, said)
        gone = await account.first(RemoteRoomRetraction, lambda event: event.message == said)
        assert (gone.room, gone.by) == (group, peer.bob)
        mine = await _says(session, group, "contract.1", body="another one")
        command = RetractInRoom(room=group, message=mine)
        await session.send(command, "contract.2")
        await peer.sees_taken_back(group, mine)
        gone = await account.first(RemoteRoomRetraction, lambda event: event.message == mine)
        assert gone.by == peer.alice


async def mentions(peer: Peer) -> None:
    """Somebody is named in a part of the text."""
    async with _group(peer) as (account, session, group):
        await peer.mentions_in_group(group, "I say, ", ", tea?")
        told = await account.first(RemoteRoomMessage, lambda event: bool(event.mentions))
        assert told.body == "I say, Alice, tea?"
        assert told.mentions == (Mention(user=peer.alice, begin=7, end=12),)
        body, bob = "yes, bob!", Mention(user=peer.bob, begin=5, end=8)
        mine = await _says(session, group, "contract.1", body=body, mentions=(bob,))
        await peer.sees_mention(group, body)
        echo = await _told(account, mine)
        assert (echo.body, echo.mentions) == (body, (bob,))


async def threads(peer: Peer) -> None:
    """What belongs to a thread, and what answers something in it."""
    async with _group(peer) as (account, session, group):
        root = await peer.says_in_group(group, "tea?")
        first = await peer.says_in_thread(group, root, root, "green")
        told = await account.first(RemoteRoomMessage, lambda event: event.body == "green")
        assert (told.id, told.thread, told.thread_after, told.reply_to) == (
            first, root, root, None,
        )  # fmt: skip
        about = {"thread": root, "thread_after": first}
        mine = await _says(session, group, "contract.1", body="black", **about)
        await peer.sees_in_thread(group, root, first, "black", is_answer=False)
        echo = await _told(account, mine)
        assert (echo.thread, echo.reply_to) == (root, None)
        about = {"thread": root, "thread_after": mine, "reply_to": first}
        answer = await _says(session, group, "contract.2", body="both", **about)
        await peer.sees_in_thread(group, root, first, "both", is_answer=True)
        echo = await _told(account, answer)
        assert (echo.thread, echo.reply_to) == (root, first)


async def read_marks(peer: Peer) -> None:
    async with _group(peer) as (account, session, group):
        mine = await _says(session, group, "contract.1", body="read this")
        await peer.heard_in_group(group, "read this")
        await peer.reads_in_group(group, mine)
        read = await account.first(RemoteRoomRead, lambda event: event.reader == peer.bob)
        assert (read.room, read.up_to) == (group, mine)
        theirs = await peer.says_in_group(group, "and you this")
        await session.send(MarkRoomRead(room=group, up_to=theirs), "contract.2")
        await peer.sees_read_in_group(group, theirs)


async def typing(peer: Peer) -> None:
    async with _group(peer) as (account, session, group):
        for active in (True, False):
            await session.set_room_typing(group, active)
            await peer.sees_typing_in_group(group, active)
        for active in (True, False):
            await peer.types_in_group(group, active)
            await account.until(lambda active=active: (peer.bob, active) in account.typists)  # type: ignore[misc]
    assert account.typists == [(peer.bob, True), (peer.bob, False)]


EXERCISES: dict[str, Callable[[Peer], Coroutine[Any, Any, None]]] = {
    "avatars": avatars,
    "edits": edits,
    "replies": replies,
    "reactions": reactions,
    "retractions": retractions,
    "mentions": mentions,
    "threads": threads,
}
