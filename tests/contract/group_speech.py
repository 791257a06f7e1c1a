# SPDX-License-Identifier: Apache-2.0
"""What is said in groups about what was said, by both sides."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TypeVar

from gateway.adapter import Session
from gateway.events import (
    ReactInRoom,
    RemoteRoom,
    RemoteRoomMessage,
    RemoteRoomReaction,
    RemoteRoomRetraction,
    RetractInRoom,
    SendRoomText,
)
from gateway.ids import RemoteMessageId, RemoteRoomId
from tests.contract.account import Account
from tests.contract.peer import Peer


@dataclass(frozen=True)
class Talk:
    """Alice and bob are in a group, and each has said something."""

    peer: Peer
    account: Account
    session: Session
    group: RemoteRoomId
    hers: RemoteMessageId
    his: RemoteMessageId


@asynccontextmanager
async def _talk(peer: Peer) -> AsyncIterator[Talk]:
    account = await peer.account()
    async with peer.running(account) as session:
        group = await peer.makes_group("Talk")
        await account.first(RemoteRoom, lambda event: event.room == group)
        his = await peer.says_in_group(group, "his")
        await account.first(RemoteRoomMessage, lambda event: event.id == his)
        sent = await session.send(SendRoomText(room=group, body="hers"), "contract.s1")
        assert sent.remote_id is not None
        yield Talk(peer, account, session, group, sent.remote_id, his)


Made = TypeVar("Made", RemoteRoomMessage, RemoteRoomReaction)


async def _first(talk: Talk, kind: type[Made], made: RemoteMessageId) -> Made:
    """What alice's session has told of it."""
    return await talk.account.first(kind, lambda event: event.id == made)


async def edits(peer: Peer) -> None:
    """The first message is meant, however often it was edited."""
    async with _talk(peer) as talk:
        for number, body in enumerate(("once", "twice")):
            command = SendRoomText(room=talk.group, body=body, edits=talk.hers)
            await talk.session.send(command, f"contract.e{number}")
            await peer.sees_edit(talk.group, talk.hers, body)
            made = await peer.edits_in_group(talk.group, talk.his, body)
            told = await _first(talk, RemoteRoomMessage, made)
            assert (told.body, told.edits, told.sender) == (body, talk.his, peer.bob)


async def replies(peer: Peer) -> None:
    """Without a quotation in the text."""
    async with _talk(peer) as talk:
        command = SendRoomText(room=talk.group, body="yes", reply_to=talk.his)
        await talk.session.send(command, "contract.r1")
        await peer.sees_answer(talk.group, talk.his, "yes")
        made = await peer.answers_in_group(talk.group, talk.hers, "no")
        told = await _first(talk, RemoteRoomMessage, made)
        assert (told.body, told.reply_to) == ("no", talk.hers)


async def reactions(peer: Peer) -> None:
    """A command has all of them: some are new, some are gone."""
    async with _talk(peer) as talk:
        first = ReactInRoom(room=talk.group, message=talk.his, emoji=("👍", "🎉"))
        sent = await talk.session.send(first, "contract.x1")
        assert sent.reactions.keys() == {"👍", "🎉"}
        await peer.sees_reactions(talk.group, talk.his, {"👍", "🎉"})
        for emoji, made in sent.reactions.items():
            echo = await _first(talk, RemoteRoomReaction, made)
            assert (echo.sender, echo.emoji, echo.message) == (peer.alice, emoji, talk.his)
        assert (await talk.session.send(first, "contract.x1")).reactions == sent.reactions
        second = ReactInRoom(room=talk.group, message=talk.his, emoji=("🎉", "❤️"))
        again = await talk.session.send(second, "contract.x2")
        assert again.reactions.keys() == {"🎉", "❤️"}
        assert again.reactions["🎉"] == sent.reactions["🎉"]
        await peer.sees_reactions(talk.group, talk.his, {"🎉", "❤️"})
        made = await peer.reacts_in_group(talk.group, talk.hers, "👀")
        told = await _first(talk, RemoteRoomReaction, made)
        assert (told.sender, told.emoji, told.message) == (peer.bob, "👀", talk.hers)
        await peer.takes_back(talk.group, made)
        await talk.account.first(RemoteRoomRetraction, lambda event: event.message == made)


async def retractions(peer: Peer) -> None:
    """Of messages, each by who has said it; twice is once."""
    async with _talk(peer) as talk:
        command = RetractInRoom(room=talk.group, message=talk.hers)
        for _ in range(2):
            await talk.session.send(command, "contract.t1")
        await peer.sees_gone(talk.group, talk.hers)
        await peer.takes_back(talk.group, talk.his)
        told = await talk.account.first(
            RemoteRoomRetraction, lambda event: event.message == talk.his
        )
        assert told.by == peer.bob
