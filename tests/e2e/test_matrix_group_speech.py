# SPDX-License-Identifier: Apache-2.0
"""What people do in Matrix groups with what was said, on a real homeserver: in plain groups with
the bare API, in encrypted ones with Element's own crypto."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp
import pytest

from gateway.adapter import Session
from gateway.errors import Forbidden, Unsupported
from gateway.events import (
    MarkRoomRead,
    ReactInRoom,
    RemoteRoomGap,
    RemoteRoomMessage,
    RemoteRoomNotice,
    RemoteRoomReaction,
    RemoteRoomRead,
    RemoteRoomRetraction,
    RemoteUndecryptable,
    RetractInRoom,
    SendRoomText,
)
from gateway.ids import RemoteMessageId, RemoteRoomId
from tests.e2e.matrix_worlds import GroupWorld, group_world
from tests.peers.element import Element
from tests.peers.matrix_client import MatrixClient, MatrixEvent
from tests.peers.synapse import Synapse


@pytest.fixture
async def world(synapse: Synapse, http: aiohttp.ClientSession) -> AsyncIterator[GroupWorld]:
    async with group_world(synapse, http) as made:
        yield made


async def _react(session: Session, room: str, message: str, key: str, *emoji: str) -> Any:
    command = ReactInRoom(room=RemoteRoomId(room), message=RemoteMessageId(message), emoji=emoji)
    sent = await session.send(command, key)
    assert await session.send(command, key) == sent
    return sent.reactions


async def _say(session: Session, room: str, body: str, key: str, **about: str) -> str:
    told: dict[str, Any] = {name: RemoteMessageId(value) for name, value in about.items()}
    command = SendRoomText(room=RemoteRoomId(room), body=body, **told)
    sent = await session.send(command, key)
    assert await session.send(command, key) == sent
    return str(sent.remote_id)


def _reactions(client: MatrixClient, message: str) -> list[str]:
    """Of everybody, without those that were taken back; oldest first."""
    made: dict[str, str] = {}
    for event in client.inbox.items:
        relation = event.content.get("m.relates_to", {})
        if event.type == "m.reaction" and relation.get("event_id") == message:
            made[event.event_id] = relation["key"]
        elif event.type == "m.room.redaction":
            made.pop(str(event.raw.get("redacts") or event.content.get("redacts")), None)
    return list(made.values())


async def _sees(client: MatrixClient, message: str, *emoji: str) -> None:
    def seen(_: MatrixEvent) -> bool:
        return sorted(_reactions(client, message)) == sorted(emoji)

    await client.wait_for(seen)


# --- in a plain group ---------------------------------------------------------------------------


@pytest.mark.parametrize("version", ["9", "10", "11", "12"])
async def test_what_others_do_comes_in_its_order(world: GroupWorld, version: str) -> None:
    """In rooms where a redaction names its target beside its content, and within."""
    room = await world.group(room_version=version)
    async with world.running():
        await world.wait_room(room)
        bob, carol, mark = world.bob, world.carol, world.account.inbox.mark()
        said = await bob.send_text(room, "helo")
        edit = await bob.edit(room, said, "hello")
        reaction = await carol.react(room, said, "👍")
        relation = {"rel_type": "m.thread", "event_id": said, "is_falling_back": True}
        relation |= {"m.in_reply_to": {"event_id": said}}
        threaded = await carol.send_event(
            room, "m.room.message",
            {"msgtype": "m.text", "body": "in a thread", "m.relates_to": relation},
        )  # fmt: skip
        undone = await carol.redact(room, reaction)
        path = f"rooms/{quote(room)}/redact/{quote(threaded)}/moderated"
        moderated = await bob.request("PUT", path, {"reason": "no threads"})
        gone = await bob.redact(room, said)
        await bob.send_text(room, "end")
        await world.wait_said("end")
    items = [item for item in world.account.inbox.items[mark:] if not isinstance(item, tuple)]
    told: list[Any] = [item for item in items if not isinstance(item, RemoteRoomRead)]
    assert [(type(item).__name__, item.id) for item in told[:-1]] == [
        ("RemoteRoomMessage", said),
        ("RemoteRoomMessage", edit),
        ("RemoteRoomReaction", reaction),
        ("RemoteRoomMessage", threaded),
        ("RemoteRoomRetraction", undone),
        ("RemoteRoomRetraction", moderated["event_id"]),
        ("RemoteRoomRetraction", gone),
    ]
    assert (told[1].body, told[1].edits) == ("hello", said)
    assert (told[2].message, told[2].emoji, told[2].sender) == (said, "👍", carol.user_id)
    assert (told[3].body, told[3].thread, told[3].reply_to) == ("in a thread", said, None)
    assert [(item.message, item.by, item.reason) for item in told[4:7]] == [
        (reaction, carol.user_id, ""),
        (threaded, bob.user_id, "no threads"),
        (said, bob.user_id, ""),
    ]


async def test_what_was_missed_comes_as_it_is_now(world: GroupWorld) -> None:
    """What was redacted meanwhile comes as nothing, and its redaction all the same."""
    room = await world.group()
    async with world.running():
        await world.bob.send_text(room, "first")
        await world.wait_said("first")
    mark = world.account.inbox.mark()
    secret = await world.bob.send_text(room, "a secret")
    reaction = await world.carol.react(room, secret, "👍")
    for number in range(60):
        await world.bob.send_text(room, f"missed {number}")
    await world.carol.redact(room, reaction)
    redaction = await world.bob.redact(room, secret)
    async with world.running():
        await world.bob.send_text(room, "last")
        await world.wait_said("last")
    items: list[Any] = world.account.inbox.items[mark:]
    told = [item for item in items if isinstance(item, RemoteRoomRetraction | RemoteRoomReaction)]
    assert [item.message for item in told] == [reaction, secret]
    assert told[1].id == redaction
    assert "a secret" not in world.said()
    assert not [item for item in items if isinstance(item, RemoteRoomGap)]


async def test_a_gap_is_told_in_the_group(synapse: Synapse, http: aiohttp.ClientSession) -> None:
    async with group_world(synapse, http, max_gap=20) as small:
        room = await small.group()
        async with small.running():
            await small.wait_room(room)
        for number in range(100):
            await small.bob.send_text(room, f"missed {number}")
        async with small.running():
            await small.wait_said("missed 99")
        items: list[Any] = small.account.inbox.items
        first = next(item for item in items if isinstance(item, RemoteRoomMessage))
        gap = items[items.index(first) - 1]
        assert isinstance(gap, RemoteRoomGap)
        assert (gap.room, gap.id) == (room, first.id)
        assert first.body == "missed 30"


async def test_what_the_user_does(world: GroupWorld) -> None:
    room = await world.group()
    async with world.running() as session:
        await world.wait_room(room)
        said = await world.bob.send_text(room, "lunch?")
        await world.wait_said("lunch?")
        mine = await _say(session, room, "yse!", "k1", reply_to=said)
        await _say(session, room, "yes!", "k2", edits=mine)
        seen = await world.carol.wait_for(lambda event: "m.new_content" in event.content)
        assert seen.content["m.new_content"] == {"msgtype": "m.text", "body": "yes!"}
        path = f"rooms/{quote(room)}/event/{quote(mine)}"
        bundled = (await world.bob.request("GET", path))["unsigned"]["m.relations"]
        assert bundled["m.replace"]["content"]["m.new_content"]["body"] == "yes!"

        first = await _react(session, room, said, "k3", "👍", "❤️")
        await _sees(world.bob, said, "👍", "❤️")
        await world.account.wait(RemoteRoomReaction, lambda made: made.id == first["❤️"])
        await _react(session, room, said, "k4", "❤️", "🎉")
        await _sees(world.bob, said, "❤️", "🎉")

        retract = RetractInRoom(room=RemoteRoomId(room), message=RemoteMessageId(mine))
        await session.send(retract, "k5")
        await session.send(retract, "k5")
        gone = await world.account.wait(RemoteRoomRetraction, lambda event: event.message == mine)
        assert gone.by == world.alice
        theirs = RetractInRoom(room=RemoteRoomId(room), message=RemoteMessageId(said))
        with pytest.raises(Forbidden, match="not take this message back"):
            await session.send(theirs, "k6")
    redactions = [event for event in world.bob.inbox.items if event.type == "m.room.redaction"]
    assert len(redactions) == 3  # of a reaction, of the message, and of the edit


async def test_a_reaction_of_another_app_is_known_and_can_be_taken_back(world: GroupWorld) -> None:
    room = await world.group()
    before = await world.bob.send_text(room, "before the link")
    old = await world.phone.react(room, before, "👍")
    async with world.running() as session:
        await world.wait_room(room)
        # Nobody has told the gateway of this one, and the homeserver takes no second.
        assert await _react(session, room, before, "k1", "👍", "🎉") == {
            "👍": old,
            "🎉": _made(world, before, "🎉") or await _wait_made(world, before, "🎉"),
        }
        said = await world.bob.send_text(room, "now")
        await world.phone.react(room, said, "🙂")
        await world.account.wait(RemoteRoomReaction, lambda made: made.emoji == "🙂")
        assert await _react(session, room, said, "k2") == {}
        await _sees(world.bob, said)


def _made(world: GroupWorld, message: str, emoji: str) -> str:
    for event in world.bob.inbox.items:
        relation = event.content.get("m.relates_to", {})
        if (relation.get("event_id"), relation.get("key")) == (message, emoji):
            return event.event_id
    return ""


async def _wait_made(world: GroupWorld, message: str, emoji: str) -> str:
    await world.bob.wait_for(lambda _: bool(_made(world, message, emoji)))
    return _made(world, message, emoji)


async def test_reading_and_typing(world: GroupWorld) -> None:
    room = await world.group()
    async with world.running() as session:
        await world.wait_room(room)
        said = await world.bob.send_text(room, "read this")
        await world.wait_said("read this")
        reaction = await world.carol.react(room, said, "👍")
        await world.carol.read(room, reaction)
        read = await world.account.wait(
            RemoteRoomRead, lambda event: event.reader == world.carol.user_id
        )
        assert (read.room, read.up_to) == (room, said)
        mark = RemoteMessageId(said)
        await session.send(MarkRoomRead(room=RemoteRoomId(room), up_to=mark), "k1")
        await world.bob.wait_receipt(said, user_id=world.alice)
        private = f"rooms/{quote(room)}/receipt/m.read.private/{quote(reaction)}"
        seen = world.account.inbox.mark()
        await world.phone.request("POST", private)
        own = await world.account.wait(
            RemoteRoomRead, lambda event: event.reader == world.alice, seen
        )
        assert own.up_to == said

        for active in (True, False):
            await session.set_room_typing(RemoteRoomId(room), active)
            await world.bob.wait_typing(room, world.alice, typing=active)
        await world.bob.typing(room)
        await world.carol.typing(room)
        await world.bob.typing(room, False)
        bob, carol = world.bob.user_id, world.carol.user_id
        wanted = ("room-typing", room, bob, False)
        await world.account.inbox.wait_for(lambda item: item == wanted)
    typing = [item for item in world.account.inbox.items if isinstance(item, tuple)]
    assert [(item[2], item[3]) for item in typing] == [
        (bob, True), (carol, True), (bob, False), (carol, False),
    ]  # fmt: skip


async def test_pins_and_encryption_are_noticed(world: GroupWorld) -> None:
    room = await world.group()
    async with world.running():
        await world.wait_room(room)
        said = await world.bob.send_text(room, "important")
        for kind, content in (
            ("m.room.pinned_events", {"pinned": [said]}),
            ("m.room.pinned_events", {"pinned": []}),
            ("m.room.encryption", {"algorithm": "m.megolm.v1.aes-sha2"}),
        ):
            await world.bob.request("PUT", f"rooms/{quote(room)}/state/{kind}/", content)
        await world.account.wait(RemoteRoomNotice, lambda told: "encrypted" in told.text)
    notices = [item for item in world.account.inbox.items if isinstance(item, RemoteRoomNotice)]
    assert [notice.text for notice in notices] == [
        "A message was pinned.",
        "A message is no longer pinned.",
        "This group is end-to-end encrypted from now on.",
    ]


# --- in an encrypted group ----------------------------------------------------------------------


@asynccontextmanager
async def _encrypted(
    world: GroupWorld, directory: Path
) -> AsyncIterator[tuple[Element, Session, str]]:
    user = f"sp{world.bob.user}"
    await world.synapse.add_user(user, "secret")
    async with (
        Element(world.synapse.url, user, "secret", directory=directory) as element,
        world.running() as session,
    ):
        room = await element.create_room(invite=[world.alice, world.carol.user_id])
        await world.carol.join(room)
        await world.phone.join(room)
        await world.wait_room(room)
        await element.wait_member(room, world.alice)
        yield element, session, room


async def test_what_others_do_in_an_encrypted_group(world: GroupWorld, tmp_path: Path) -> None:
    async with _encrypted(world, tmp_path) as (element, _, room):
        said = await element.send_text(room, "helo")
        await world.wait_said("helo")
        edit = await element.edit(room, said, "hello")
        told = await world.wait_said("hello")
        assert (told.id, told.edits, told.sender) == (edit, said, element.user_id)
        reply = await element.reply(room, said, "to myself")
        told = await world.wait_said("to myself")
        assert (told.id, told.reply_to) == (reply, said)
        made = ""
        for encrypted in (False, True):
            mark = world.account.inbox.mark()
            made = await element.react(
                room, said, "🎉" if encrypted else "👍", encrypted=encrypted
            )
            reaction = await world.account.wait(RemoteRoomReaction, since=mark)
            assert (reaction.id, reaction.message) == (made, said)
        await element.redact(room, made)
        await element.redact(room, said)
        gone = await world.account.wait(RemoteRoomRetraction, lambda event: event.message == said)
        assert gone.by == element.user_id
    waiting = [item for item in world.account.inbox.items if isinstance(item, RemoteUndecryptable)]
    assert waiting == []


async def test_what_the_user_does_in_an_encrypted_group(world: GroupWorld, tmp_path: Path) -> None:
    """Nothing but the emoji, and what it all is about, is in clear."""
    async with _encrypted(world, tmp_path) as (element, session, room):
        said = await element.send_text(room, "lunch?")
        await world.wait_said("lunch?")
        mine = await _say(session, room, "yse!", "k1", reply_to=said)
        answer = await element.wait_text("yse!", room_id=room)
        assert answer.decrypted
        edit = await _say(session, room, "yes!", "k2", edits=mine)
        changed = await element.wait_event(edit)
        assert changed.decrypted
        assert changed.content["m.new_content"]["body"] == "yes!"
        for event_id, relation in (
            (mine, {"m.in_reply_to": {"event_id": said}}),
            (edit, {"rel_type": "m.replace", "event_id": mine}),
        ):
            raw = await element.raw_event(room, event_id)
            assert raw["type"] == "m.room.encrypted"
            assert raw["content"]["m.relates_to"] == relation
            assert "yse!" not in str(raw)
        echo = await world.account.wait(RemoteRoomMessage, lambda event: event.id == edit)
        assert (echo.key, echo.edits, echo.body) == ("k2", mine, "yes!")

        made = await _react(session, room, said, "k3", "👍")
        reaction = await element.raw_event(room, made["👍"])
        assert reaction["type"] == "m.reaction"
        with pytest.raises(Unsupported, match="nothing but emoji"):
            await _react(session, room, said, "k4", "in words")
        retract = RetractInRoom(
            room=RemoteRoomId(room), message=RemoteMessageId(mine), reason="was wrong"
        )
        await session.send(retract, "k5")
        gone = await world.account.wait(RemoteRoomRetraction, lambda event: event.message == mine)
        assert gone.reason == ""
