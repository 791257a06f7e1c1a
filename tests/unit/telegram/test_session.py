# SPDX-License-Identifier: Apache-2.0
"""Fetching and sending under what Telegram does that other networks do not: limits, two who
fetch, numbers that begin anew, and answers that never come."""

import asyncio
import json
import math
from types import SimpleNamespace
from typing import Any

import aiohttp
import pytest

from adapters.telegram.inbound import Inbound
from adapters.telegram.request import SharedRequest
from gateway.adapter import Contact, Session
from gateway.errors import (
    AdapterError,
    BadLogin,
    Forbidden,
    NotFound,
    RateLimited,
    Transient,
    Uncertain,
    Unsupported,
)
from gateway.events import (
    React,
    RemoteMessage,
    RemoteNotice,
    RemoteProfile,
    RemoteReaction,
    RemoteRetraction,
    RemoteUnreadable,
    Retract,
    SendText,
)
from gateway.ids import RemoteMessageId, RemoteUserId
from gateway.text import Span, Style
from tests.peers.bot_api import ApiError, bad
from tests.unit.telegram.world import Clock, World

_WEEK_S = 7 * 86_400


class _Impatient(Clock):
    """Waits for nothing."""

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(0)


class _Still(Clock):
    """No time passes, and who waits goes on at once."""

    def __init__(self) -> None:
        self.slept: list[float] = []

    def monotonic(self) -> float:
        return 0.0

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)


# --- linking ----------------------------------------------------------------------------------


@pytest.mark.parametrize("token", ["", "secret", "12:ab", "123456:/../getMe?" + "x" * 30])
async def test_what_is_no_token_is_not_even_asked_about(world: World, token: str) -> None:
    asked = len(world.telegram.asked.items)
    with pytest.raises(BadLogin, match="no token") as caught:
        await world.adapter.login().submit({"password": token})
    assert caught.value.field == "password"
    assert len(world.telegram.asked.items) == asked


# --- fetching ---------------------------------------------------------------------------------


async def test_what_waits_is_told_and_confirmed_only_after_its_commit(world: World) -> None:
    world.anna.say(world.bot, "first")
    world.account.is_broken = True
    running = world.running()
    await asyncio.wait({await running.start()})
    assert [len(world.bot.updates.waiting), world.account.events] == [2, []]
    world.account.is_broken = False
    async with world.running():
        world.anna.say(world.bot, "second")
        after = world.bot.updates.waiting[-1]["update_id"] + 1
        await world.account.text("second")
        await world.telegram.asked.wait_for(lambda each: each.arguments.get("offset") == after)
    assert world.account.texts() == ["/start", "first", "second"]


async def test_a_name_is_told_once_and_when_it_changes(world: World) -> None:
    async with world.running():
        await world.account.text("/start")
        world.anna.say(world.bot, "hello")
        await world.account.text("hello")
        world.anna.first_name = "Anne"
        world.anna.say(world.bot, "it is me")
        await world.account.text("it is me")
    names = [event.name for event in world.account.of(RemoteProfile)]
    assert names == ["Anna Bauer", "Anne Bauer"]


async def test_an_edit_that_nobody_sees_is_none(world: World) -> None:
    """Such as when Telegram has fetched the preview of a link."""
    async with world.running():
        said = world.anna.say(world.bot, "see https://x.example")
        world.anna.change(said, said.content)
        world.anna.edit(said, "look")
        world.anna.change(said, said.content)
        world.anna.edit(said, "see https://x.example")
        world.anna.say(world.bot, "end")
        await world.account.text("end")
    edits = [event.body for event in world.account.of(RemoteMessage) if event.edits]
    assert edits == ["look", "see https://x.example"]


async def test_a_reaction_is_taken_back_in_another_session(world: World) -> None:
    async with world.running() as session:
        await world.account.text("/start")
        await session.send(world.text("hello"), "k.1")
        world.anna.react(world.chat.seen.items[0], "👍")
        made = await world.account.first(RemoteReaction)
    world.anna.react(world.chat.seen.items[0])
    async with world.running():
        gone = await world.account.first(RemoteRetraction)
    assert (gone.message, gone.contact) == (made.id, world.contact)


async def test_what_old_messages_have_is_known_again_too(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those of which the state says nothing any more."""
    monkeypatch.setattr("adapters.telegram.reactions._MOST", 2)
    async with world.running() as session:
        await world.account.text("/start")
        for number in range(4):
            await session.send(world.text(f"text {number}"), f"k.{number}")
        said = world.chat.seen.items
        for message in said:
            world.anna.react(message, "👍")
        await world.account.until(lambda: len(world.account.made_reactions) == len(said))
    kept = [key for key in world.account.stored if key.startswith("reactions ")]
    assert [key.rpartition(":")[2] for key in kept] == [str(each.id) for each in said[-2:]]
    async with world.running():
        world.anna.react(said[0])
        world.anna.react(said[1], "🔥")
        await world.account.until(lambda: len(world.account.of(RemoteReaction)) == 5)
    gone = [event.message for event in world.account.of(RemoteRetraction)]
    assert gone == [event.id for event in world.account.of(RemoteReaction)[:2]]


async def test_numbers_begin_anew_after_a_silent_week(world: World) -> None:
    """While the session goes on, and when it starts again: whatever they are then."""
    running = world.running()
    task = await running.start()
    await world.account.text("/start")
    polls = len(world.polls())
    asked = world.telegram.asked
    await asked.wait_for(lambda _: len(world.polls()) > polls and not world.bot.updates.waiting)
    world.clock.ahead += _WEEK_S
    await asked.wait_for(lambda each: "offset" not in each.arguments, since=asked.mark())
    world.bot.updates.draw_ids_anew(5)
    world.anna.say(world.bot, "after a week")
    await world.account.text("after a week")
    await asked.wait_for(lambda each: each.arguments.get("offset") == 6)
    async with world.telegram.away():
        await asyncio.wait({task})
    world.clock.ahead += _WEEK_S
    world.bot.updates.draw_ids_anew(1)
    world.anna.say(world.bot, "after two")
    async with world.running():
        await world.account.text("after two")
    assert world.account.texts() == ["/start", "after a week", "after two"]


async def test_what_nobody_has_fetched_for_a_day_is_told_to_be_lost(world: World) -> None:
    """Once, and not of a gateway that had nothing to fetch."""
    async with world.running():
        await world.account.text("/start")
    world.clock.ahead += 23 * 3600
    polls = len(world.polls())
    async with world.running():  # nothing is there, and the time of that is stored
        await world.telegram.asked.wait_for(lambda _: len(world.polls()) > polls + 1)
    world.clock.ahead += 23 * 3600
    async with world.running():
        world.anna.say(world.bot, "after a day of silence")
        await world.account.text("after a day of silence")
    assert world.account.of(RemoteNotice) == []
    world.clock.ahead += 30 * 3600
    for _ in range(2):
        async with world.running():
            await world.account.first(RemoteNotice)
    (notice,) = world.account.of(RemoteNotice)
    assert notice.contact is None
    assert "for 30 hours" in notice.text


async def test_a_batch_leaves_turns_to_others(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Long ones take milliseconds each, and all of them would hold up everybody."""
    turns, at = 0, []

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    events = Inbound.events

    def noted(*about: Any) -> list[Any]:
        at.append(turns)
        return events(*about)

    monkeypatch.setattr(Inbound, "events", noted)
    for number in range(5):
        world.anna.say(world.bot, str(number))
    task = asyncio.create_task(others())
    async with world.running():
        await world.account.text("4")
    task.cancel()
    assert len(at) == len(set(at)) == 6


async def test_two_names_at_once_end_with_the_last(world: World) -> None:
    """Although that is the one that was told before."""
    async with world.running():
        world.account.has_room.clear()
        await world.account.until(lambda: world.account.waits)
        for name in ("Anne", "Anna"):
            world.anna.first_name = name
            world.anna.say(world.bot, f"I am {name}")
        world.account.has_room.set()
        await world.account.text("I am Anna")
    names = [event.name for event in world.account.of(RemoteProfile)]
    assert names == ["Anna Bauer", "Anne Bauer", "Anna Bauer"]


async def test_two_who_fetch_are_told_of(world: World) -> None:
    running = world.running()
    task = await running.start()
    elsewhere = f"{world.telegram.url}/bot{world.bot.token}/getUpdates"
    async with aiohttp.ClientSession() as http:
        while not task.done():
            async with http.get(elsewhere, params={"timeout": "1"}):
                pass
    with pytest.raises(Transient, match="Another program"):
        task.result()
    notices = world.account.of(RemoteNotice)
    assert [(each.contact, each.text) for each in notices] == [(None, str(task.exception()))]


async def test_a_pause_in_fetching_does_not_end_the_session(world: World) -> None:
    async with world.running() as session:
        fault = world.telegram.faults.too_many(1, method="getUpdates")
        await fault.reached()
        await session.send(world.text("meanwhile"), "k.1")
        world.anna.say(world.bot, "later")
        await world.account.text("later")


async def test_a_webhook_is_told_of_as_such(world: World) -> None:
    world.bot.updates.webhook = "https://bots.example/hook"
    running = world.running()
    task = await running.start()
    await asyncio.wait({task})
    (notice,) = world.account.of(RemoteNotice)
    assert "a webhook" in notice.text
    assert str(task.exception()) == notice.text


async def test_pauses_without_end_are_told(world: World) -> None:
    """Each of them is short enough to say nothing of it."""
    world.account.clock = _Impatient()
    fault = world.telegram.faults.too_many(25, method="getUpdates", times=math.inf)
    running = world.running()
    await asyncio.wait({await running.start()})
    assert running.task is not None
    assert isinstance(running.task.exception(), RateLimited)
    assert fault.hits == 3


@pytest.mark.parametrize("fault", ["fail", "garble", "cut"])
async def test_a_server_in_trouble_is_tried_again(world: World, fault: str) -> None:
    getattr(world.telegram.faults, fault)(method="getUpdates")
    running = world.running()
    await asyncio.wait({await running.start()})
    assert running.task is not None
    assert isinstance(running.task.exception(), Transient)
    async with world.running():
        await world.account.text("/start")


async def test_a_server_older_than_the_library_knows_people(world: World) -> None:
    """What it says of them has less in it than the library wants."""
    chat = {"id": world.anna.id, "type": "private", "first_name": "Anna", "last_name": " Bauer"}
    answer = json.dumps({"ok": True, "result": chat}).encode()
    async with world.running() as session:
        world.telegram.faults.garble(answer, method="getChat")
        assert await session.find(world.contact) == Contact(name="Anna Bauer")


async def test_what_nobody_can_read_is_kept_and_what_comes_after_it_too(world: World) -> None:
    broken = {"update_id": 1, "message": {"message_id": "x", "chat": "nobody"}}
    whole = {**world.bot.updates.waiting[0], "update_id": 2}
    answer = json.dumps({"ok": True, "result": [broken, whole]}).encode()
    world.telegram.faults.garble(answer, method="getUpdates")
    async with world.running():
        kept = await world.account.first(RemoteUnreadable)
        await world.account.text("/start")
    assert (kept.contact, json.loads(kept.content)) == (None, broken)


async def test_an_answer_without_end_is_not_waited_for(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is not silent, so that nothing else would end it."""
    monkeypatch.setattr(SharedRequest, "whole_s", 0.5)
    monkeypatch.setattr("adapters.telegram.polling._SPARE_S", 0.5)
    fault = world.telegram.faults.drip(method="getUpdates")
    running = world.running()
    await asyncio.wait({await running.start()})
    assert running.task is not None
    assert isinstance(running.task.exception(), Transient)
    assert fault.hits == 1


async def test_an_answer_is_parsed_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A long one takes 20 ms each time."""
    parsed: list[bytes] = []

    def loads(body: bytes) -> Any:
        parsed.append(body)
        return json.loads(body)

    monkeypatch.setattr(
        "adapters.telegram.request.json", SimpleNamespace(loads=loads, dumps=json.dumps)
    )
    async with world.running() as session:
        await world.account.text("/start")
        parsed.clear()
        await session.send(world.text("hello"), "k.1")
    assert len([body for body in parsed if b'"hello"' in body]) == 1


# --- sending ----------------------------------------------------------------------------------


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


async def test_events_of_a_batch_keep_their_order(world: World) -> None:
    for number in range(150):
        world.anna.say(world.bot, str(number))
    async with world.running():
        await world.account.text("149")
    bodies = [event.body for event in world.account.of(RemoteMessage)]
    assert bodies == ["/start", *map(str, range(150))]
