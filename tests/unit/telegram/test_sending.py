# SPDX-License-Identifier: Apache-2.0
"""Sending under what Telegram does that other networks do not: limits, no keys, and words for
refusals."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.adapter import Session
from gateway.errors import (
    AdapterError,
    Forbidden,
    NotFound,
    RateLimited,
    Transient,
    Uncertain,
    Unsupported,
)
from gateway.events import (
    FileKind,
    React,
    RemoteNotice,
    Retract,
    SendText,
    SentFile,
)
from gateway.ids import RemoteMessageId, RemoteUserId
from gateway.text import Span, Style
from tests.peers.bot_api import ApiError, bad
from tests.unit.telegram.world import Clock, World


class _Still(Clock):
    """No time passes, and who waits goes on at once."""

    def __init__(self) -> None:
        self.slept: list[float] = []

    def monotonic(self) -> float:
        return 0.0

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)


async def test_styles_and_an_answer(world: World) -> None:
    asked = world.anna.say(world.bot, "tea?")
    async with world.running() as session:
        reply_to = RemoteMessageId(f"{world.anna.id}:{asked.id}")
        spans = (Span(Style.BOLD, 2, 6),)
        await session.send(world.text("🙂 yes!", spans=spans, reply_to=reply_to), "k.1")
        gone = RemoteMessageId(f"{world.anna.id}:4000")
        await session.send(world.text("to nothing", reply_to=gone), "k.2")
    made, alone = world.chat.seen.items
    assert (made.text, made.reply_to) == ("🙂 yes!", asked)
    assert made.entities == [{"type": "bold", "offset": 3, "length": 4}]
    assert (alone.text, alone.reply_to) == ("to nothing", None)


async def test_whoever_waits_for_a_turn_has_sent_nothing(world: World) -> None:
    """What is on its way after it would be unclear if the gateway were killed."""
    clock = world.account.clock = _Still()
    world.bot.updates.expire()  # nobody is looked at
    async with world.running() as session:
        for number in range(7):
            await session.turn(world.text(f"text {number}"))
        await session.turn(Retract(contact=world.contact, message=RemoteMessageId("7:1")))
        assert clock.slept == [1.0, 2.0]
        assert "sendMessage" not in {each.method for each in world.telegram.asked.items}
        await session.send(world.text("hello"), "k.1")
        assert clock.slept == [1.0, 2.0]


async def test_who_is_asked_to_wait_waits_alone(world: World) -> None:
    """The next message does not even ask."""
    other = world.telegram.person("Ben")
    other.start(world.bot)
    async with world.running() as session:
        fault = world.telegram.faults.too_many(7200, method="sendMessage", chat=world.chat)
        for key in ("k.1", "k.2"):
            with pytest.raises(RateLimited, match="2 hours") as caught:
                await session.send(world.text("hello"), key)
            assert 7000 < caught.value.retry_after_s <= 7200
        to_ben = SendText(contact=RemoteUserId(str(other.id)), body="hello")
        assert (await session.send(to_ben, "k.3")).remote_id
        start = RemoteMessageId(f"{world.anna.id}:{world.chat.next_message_id - 1}")
        react = React(contact=world.contact, message=start, emoji=("👍",))
        for command in (react, Retract(contact=world.contact, message=start)):
            assert isinstance(await _refused(session, command), RateLimited)
    assert fault.hits == 1
    asked = {each.method for each in world.telegram.asked.items}
    assert not asked & {"setMessageReaction", "deleteMessage"}


@pytest.mark.parametrize("code", [400, 403, 420])
async def test_a_pause_may_come_with_any_refusal(world: World, code: int) -> None:
    pause = ApiError(code, "Flood control exceeded", retry_after=40)
    async with world.running() as session:
        world.telegram.faults.refuse(pause, method="sendMessage")
        for key in ("k.1", "k.2"):
            with pytest.raises(RateLimited, match="40 seconds"):
                await session.send(world.text("hello"), key)


async def _refused(session: Session, command: Any) -> AdapterError:
    with pytest.raises(AdapterError) as caught:
        await session.send(command, "k.1")
    return caught.value


@pytest.mark.parametrize("fault", ["fail", "garble", "cut"])
async def test_nobody_knows_what_became_of_what_was_not_answered(world: World, fault: str) -> None:
    async with world.running() as session:
        getattr(world.telegram.faults, fault)(method="sendMessage")
        assert isinstance(await _refused(session, world.text("hello")), Uncertain)
        sent = await session.send(world.text("again"), "k.2")
        getattr(world.telegram.faults, fault)(method="editMessageText")
        edit = world.text("anew", edits=sent.remote_id)
        assert isinstance(await _refused(session, edit), Transient)
        await session.send(edit, "k.3")
        await session.send(edit, "k.3")  # which changes nothing, and that is no error
    assert world.chat.texts[-1] == "anew"


async def test_what_breaks_in_an_unknown_way_is_no_refusal(world: World) -> None:
    """That would be told as certain; a correction would even be said once more, as a text."""
    async with world.running() as session:
        sent = await session.send(world.text("hello"), "k.1")
        world.telegram.faults.garble(b'{"result":' + b"[" * 200_000, method="sendMessage")
        assert isinstance(await _refused(session, world.text("more")), Uncertain)
    session = world.adapter.session(world.account)
    await world.account.http.close()
    unsent = await _refused(session, world.text("more"))
    assert isinstance(unsent, Uncertain)
    assert "RuntimeError" not in unsent.text
    edit = world.text("anew", edits=sent.remote_id)
    assert isinstance(await _refused(session, edit), Transient)


async def test_what_did_not_go_out_is_tried_again(world: World) -> None:
    session = world.adapter.session(world.account)
    await world.telegram.stop()
    error = await _refused(session, world.text("hello"))
    assert isinstance(error, Transient)
    assert error.is_certain


async def test_what_is_deleted_already_is_deleted(world: World) -> None:
    async with world.running() as session:
        sent = await session.send(world.text("oops"), "k.1")
        assert sent.remote_id is not None
        for _ in range(2):
            await session.send(Retract(contact=world.contact, message=sent.remote_id), "k.2")
    assert world.chat.texts == ["/start"]


async def test_refusals_say_what_to_do(world: World) -> None:
    said = RemoteMessageId(f"{world.anna.id}:1")
    async with world.running() as session:
        blank = await _refused(session, world.text("\n"))
        assert isinstance(blank, Unsupported)
        assert "without words" in blank.text
        stranger = SendText(contact=RemoteUserId("4711"), body="hello")
        unknown = await _refused(session, stranger)
        assert isinstance(unknown, NotFound)
        assert "written to them first" in unknown.text
        world.telegram.faults.refuse(bad("REACTION_INVALID"), method="setMessageReaction")
        odd = await _refused(session, React(contact=world.contact, message=said, emoji=("👍",)))
        assert isinstance(odd, Unsupported)
        world.telegram.faults.refuse(bad("message can't be deleted"), method="deleteMessage")
        late = await _refused(session, Retract(contact=world.contact, message=said))
        assert isinstance(late, Forbidden)
        world.anna.block(world.bot)
        blocked = await _refused(session, world.text("hello"))
        assert isinstance(blocked, Forbidden)
        assert "stopped your bot" in blocked.text
        await world.account.first(RemoteNotice)


async def test_the_token_is_in_no_error(world: World) -> None:
    async with world.running() as session:
        for fault in ("fail", "garble", "cut"):
            getattr(world.telegram.faults, fault)(method="sendMessage")
            error: BaseException | None = await _refused(session, world.text("hello"))
            while error is not None:
                assert world.bot.token not in f"{error!r} {vars(error)}"
                error = error.__cause__ or error.__context__


async def test_an_answer_that_does_not_come_leaves_nobody_waiting(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Telegram has the request, and does it; what can be done twice is done again."""
    monkeypatch.setattr("adapters.telegram.request._SILENCE_S", 0.2)
    async with world.running() as session:
        world.telegram.faults.hold(method="sendMessage", carried_out=True)
        with pytest.raises(Uncertain, match="did not answer"):
            await session.send(world.text("hello"), "k.1")
        (there,) = world.chat.seen.items
        edited = RemoteMessageId(f"{world.anna.id}:{there.id}")
        world.telegram.faults.hold(method="editMessageText", carried_out=True)
        edit = world.text("anew", edits=edited)
        assert isinstance(await _refused(session, edit), Transient)
        await session.send(edit, "k.2")
    assert [message.text for message in world.chat.seen.items] == ["anew"]


async def test_what_was_answered_may_be_of_a_kind_that_nobody_can_read(world: World) -> None:
    """The answer of Telegram has all of it, and the message has been sent."""
    chat = {"id": world.anna.id, "type": "private", "first_name": "Anna"}
    made = {"message_id": 9, "date": 1, "chat": chat, "text": "yes"}
    answer = json.dumps({"ok": True, "result": {**made, "reply_to_message": {"novelty": 1}}})
    async with world.running() as session:
        world.telegram.faults.garble(answer.encode(), method="sendMessage")
        sent = await session.send(world.text("yes"), "k.1")
    assert sent.remote_id == f"{world.anna.id}:9"


@pytest.mark.parametrize("method", ["sendMessage", "sendDocument"])
async def test_what_is_sent_later_has_no_number_yet(world: World, method: str) -> None:
    """All such have 0, and are not one message."""
    chat = {"id": world.anna.id, "type": "private", "first_name": "Anna"}
    answer = {"ok": True, "result": {"message_id": 0, "date": 1, "chat": chat, "text": "yes"}}
    world.account.files["https://files.example/1"] = b"bytes"
    file = SentFile(
        url="https://files.example/1", name="x.bin", kind=FileKind.FILE, media_type="a/b"
    )
    async with world.running() as session:
        world.telegram.faults.garble(json.dumps(answer).encode(), method=method)
        command = world.text("yes", file=file if method == "sendDocument" else None)
        assert (await session.send(command, "k.1")).remote_id is None
