# SPDX-License-Identifier: Apache-2.0
"""What people do in Matrix chats with what was said, on a real homeserver: in plain rooms with the
bare API, in encrypted ones with Element's own crypto. For what always works see the contract
suite."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp
import pytest

from gateway.adapter import Session
from gateway.errors import Forbidden, NotFound, Unsupported
from gateway.events import (
    AcceptInvite,
    Command,
    React,
    RemoteGap,
    RemoteInvite,
    RemoteMessage,
    RemoteReaction,
    RemoteRead,
    RemoteRetraction,
    RemoteUndecryptable,
    Retract,
    SendText,
)
from gateway.ids import RemoteMessageId
from tests.e2e.matrix_worlds import ChatWorld, Pair, chat_world, pair_of
from tests.peers.matrix_client import MatrixClient, MatrixEvent
from tests.peers.synapse import Synapse

pytestmark = [pytest.mark.asyncio(loop_scope="function"), pytest.mark.waits]


@pytest.fixture
async def world(synapse: Synapse, http: aiohttp.ClientSession) -> AsyncIterator[ChatWorld]:
    async with chat_world(synapse, http) as made:
        yield made


async def _does(session: Session, key: str, command: Command) -> str:
    """Twice under the same key: it is done once."""
    sent = await session.send(command, key)
    assert await session.send(command, key) == sent
    return str(sent.remote_id)


def _about(message: str) -> RemoteMessageId:
    return RemoteMessageId(message)


async def _sees(client: MatrixClient, room: str, kind: str, **relation: Any) -> MatrixEvent:
    """An event in a room that is about another one in this way."""
    return await client.wait_for(
        lambda event: (
            (event.room_id, event.type) == (room, kind)
            and relation.items() <= event.content.get("m.relates_to", {}).items()
        )
    )


async def test_an_absence_is_filled_with_what_was_done_in_it(world: ChatWorld) -> None:
    """More than one answer has, in order; what is gone comes as its redaction alone."""
    room, bob = await world.chat(), world.bob
    async with world.running():
        old = await bob.send_text(room, "helo")
        await world.account.wait_text("helo")
    mark = world.account.inbox.mark()
    secret = await bob.send_text(room, "a secret")
    edit = await bob.edit(room, old, "hello")
    reaction = await bob.react(room, old, "👍")
    own = await world.phone.react(room, old, "🎉")
    for number in range(60):
        await bob.send_text(room, f"missed {number}")
    await bob.redact(room, reaction)
    gone = await bob.redact(room, secret)
    async with world.running():
        await bob.send_text(room, "last")
        await world.account.wait_text("last")
    items = world.account.inbox.items[mark:]
    assert "a secret" not in [event.body for event in world.account.messages()]
    assert not [item for item in items if isinstance(item, RemoteGap)]
    told: list[Any] = [
        item
        for item in items
        if isinstance(item, RemoteReaction | RemoteRetraction)
        or (isinstance(item, RemoteMessage) and item.edits)
    ]
    assert [item.id for item in told[:2]] == [edit, own]
    assert (told[0].body, told[0].edits, told[1].own) == ("hello", old, True)
    assert [(item.message, item.own) for item in told[2:]] == [(reaction, False), (secret, False)]
    assert told[3].id == gone
    assert world.account.chat_reactions(world.contact, _about(old)) == {"🎉": own}


async def test_what_is_about_a_message_stays_in_its_room(world: ChatWorld) -> None:
    """Two direct rooms with one person are one chat, in which the newer one is written to."""
    older, bob, contact = await world.chat(), world.bob, world.contact
    async with world.running() as session:
        asked = await bob.send_text(older, "tea?")
        await world.account.wait_text("tea?")
        mine = await _does(session, "k1", SendText(contact=contact, body="yse!"))
        newer = await world.chat()
        await bob.send_text(newer, "here now")
        await world.account.wait_text("here now")
        await _does(session, "k2", SendText(contact=contact, body="fine"))
        assert (await bob.wait_text("fine")).room_id == newer
    async with world.running() as session:  # which has to ask where the messages are
        edit = SendText(contact=contact, body="yes!", edits=_about(mine))
        edited = await _does(session, "k3", edit)
        await _sees(bob, older, "m.room.message", rel_type="m.replace", event_id=mine)
        await session.send(React(contact=contact, message=_about(asked), emoji=("🎉",)), "k4")
        await _sees(bob, older, "m.reaction", event_id=asked, key="🎉")
        answer = SendText(contact=contact, body="black", reply_to=_about(asked))
        await _does(session, "k5", answer)
        relation = {"m.in_reply_to": {"event_id": asked}}
        await _sees(bob, older, "m.room.message", **relation)
        await _does(session, "k6", Retract(contact=contact, message=_about(mine)))
        for event_id in (mine, edited):  # no word of it stays
            await bob.wait_for(lambda event, of=event_id: event.raw.get("redacts") == of)  # type: ignore[misc]
            path = f"rooms/{quote(older)}/event/{quote(event_id)}"
            left = (await bob.request("GET", path))["content"]
            assert "body" not in left
        await world.phone.leave(older)
        await world.phone.wait_member(older, world.alice, "leave")
        late = SendText(contact=contact, body="x", edits=_about(mine))
        with pytest.raises((Forbidden, NotFound), match=r"may not edit|not there"):
            await session.send(late, "k8")
        # The text is not lost, but nobody there could see what it answers.
        await _does(session, "k9", SendText(contact=contact, body="no", reply_to=_about(asked)))
        last = await bob.wait_text("no")
        assert (last.room_id, last.content.get("m.relates_to")) == (newer, None)


async def test_what_the_account_may_not_do_is_said(world: ChatWorld) -> None:
    bob, contact = world.bob, world.contact
    async with world.running() as session:
        # Not by the preset of direct chats, which makes both rule.
        body = {"preset": "private_chat", "is_direct": True, "invite": [world.alice]}
        room = str((await bob.request("POST", "createRoom", body))["room_id"])
        await world.account.wait(RemoteInvite)
        await session.send(AcceptInvite(contact=contact), "k1")
        said = _about(await bob.send_text(room, "mine"))
        await world.account.wait_text("mine")
        with pytest.raises(Forbidden, match="may not take this message back"):
            await session.send(Retract(contact=contact, message=said), "k2")
        levels = {"events_default": 50, "users": {}}
        path = f"rooms/{quote(room)}/state/m.room.power_levels/"
        await bob.request("PUT", path, {**await bob.request("GET", path), **levels})
        commands: list[tuple[Command, str]] = [
            (React(contact=contact, message=said, emoji=("👍",)), "may not react"),
            (SendText(contact=contact, body="x", edits=said), "may not edit"),
        ]
        for number, (command, words) in enumerate(commands, start=3):
            with pytest.raises(Forbidden, match=words):
                await session.send(command, f"k{number}")


async def test_to_have_read_a_reaction_is_to_have_read_what_is_before_it(world: ChatWorld) -> None:
    room, bob = await world.chat(), world.bob
    async with world.running() as session:
        said = await bob.send_text(room, "read this")
        await world.account.wait_text("read this")
        reaction = await bob.react(room, said, "👍")
        await world.account.wait(RemoteReaction)
        private = f"rooms/{quote(room)}/receipt/m.read.private/{quote(reaction)}"
        await world.phone.request("POST", private)
        own = await world.account.wait(RemoteRead, lambda event: event.own)
        assert own.up_to == said
        mine = await _does(session, "k1", SendText(contact=world.contact, body="and this"))
        edit = SendText(contact=world.contact, body="and that", edits=_about(mine))
        await bob.read(room, await _does(session, "k2", edit))
        read = await world.account.wait(RemoteRead, lambda event: not event.own)
        assert read.up_to == mine


# --- in an encrypted chat -----------------------------------------------------------------------


@pytest.fixture
async def two(
    synapse: Synapse, http: aiohttp.ClientSession, tmp_path: Path
) -> AsyncIterator[Pair]:
    async with pair_of(synapse, http, tmp_path) as made:
        yield made


async def test_both_ways_in_an_encrypted_chat(two: Pair) -> None:
    """Nothing but the emoji, and what it all is about, is in clear."""
    bob, contact, account = two.bob, two.contact, two.account
    async with two.running() as session:
        room = await two.begin(session)
        said = await bob.send_text(room, "helo")
        await account.wait_text("helo")
        edit = await bob.edit(room, said, "hello")
        told = await account.wait_text("hello")
        assert (told.id, told.edits, told.own) == (edit, said, False)
        for encrypted in (False, True):
            mark = account.inbox.mark()
            made = await bob.react(room, said, "🎉" if encrypted else "👍", encrypted=encrypted)
            reaction = await account.wait(RemoteReaction, since=mark)
            assert (reaction.id, reaction.message) == (made, said)

        mine = await _does(
            session, "k1", SendText(contact=contact, body="yse!", reply_to=_about(said))
        )
        assert (await bob.wait_text("yse!", room_id=room)).decrypted
        changed = await _does(
            session, "k2", SendText(contact=contact, body="yes!", edits=_about(mine))
        )
        assert (await bob.wait_event(changed)).content["m.new_content"]["body"] == "yes!"
        for event_id, relation in (
            (mine, {"m.in_reply_to": {"event_id": said}}),
            (changed, {"rel_type": "m.replace", "event_id": mine}),
        ):
            raw = await bob.raw_event(room, event_id)
            assert raw["type"] == "m.room.encrypted"
            assert raw["content"]["m.relates_to"] == relation
            assert "yse!" not in str(raw)
        echo = await account.wait(RemoteMessage, lambda event: event.id == changed)
        assert (echo.own, echo.key, echo.edits, echo.body) == (True, "k2", mine, "yes!")
        reacts = React(contact=contact, message=_about(said), emoji=("👍",))
        sent = await session.send(reacts, "k3")
        assert (await bob.raw_event(room, sent.reactions["👍"]))["type"] == "m.reaction"
        words = React(contact=contact, message=_about(said), emoji=("in words",))
        with pytest.raises(Unsupported, match="nothing but emoji"):
            await session.send(words, "k4")
        await bob.redact(room, said)
        await account.wait(RemoteRetraction, lambda event: event.message == said)
        await _does(session, "k5", Retract(contact=contact, message=_about(mine)))
        gone = await account.wait(RemoteRetraction, lambda event: event.message == mine)
        assert gone.own
    assert not [item for item in account.inbox.items if isinstance(item, RemoteUndecryptable)]


async def test_a_poll_in_an_encrypted_chat(two: Pair) -> None:
    """REQ-455: it is read, and so is the vote, by those who have the key alone."""
    start = "org.matrix.msc3381.poll.start"
    response = "org.matrix.msc3381.poll.response"
    answers = [{"id": each, "org.matrix.msc1767.text": each} for each in ("yes", "no")]
    question = {"org.matrix.msc1767.text": "Tea?"}
    async with two.running() as session:
        room = await two.begin(session)
        poll = await two.bob.send_event(
            room, start, {start: {"question": question, "answers": answers}}
        )
        told = await two.account.wait(RemoteMessage, lambda event: event.id == poll)
        assert told.body == "📊 Tea?\n1️⃣ yes\n2️⃣ no\nTo vote, react or reply with a number."
        vote = React(contact=two.contact, message=_about(poll), emoji=("2️⃣",))
        sent = await session.send(vote, "k1")
        assert await session.send(vote, "k1") == sent
        seen = await two.bob.wait_event(sent.reactions["2️⃣"])
        assert (seen.decrypted, seen.type) == (True, response)
        assert seen.content[response] == {"answers": ["no"]}
        raw = await two.bob.raw_event(room, sent.reactions["2️⃣"])
        assert (raw["type"], "answers" in str(raw)) == ("m.room.encrypted", False)
        reply = SendText(contact=two.contact, body="1", reply_to=_about(poll))
        seen = await two.bob.wait_event(await _does(session, "k2", reply))
        assert (seen.decrypted, seen.content[response]) == (True, {"answers": ["yes"]})
