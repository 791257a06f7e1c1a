# SPDX-License-Identifier: Apache-2.0
"""The gateway's own bot: which groups it hears, and how they are linked."""

import asyncio
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import pytest

from adapters.telegram.groups import Groups
from adapters.telegram.pictures import Faces
from adapters.telegram.relay import Heard, Relay
from adapters.telegram.request import SharedRequest
from gateway.errors import StoreUnavailable
from gateway.events import (
    Affiliation,
    Departure,
    RemoteMemberGone,
    RemoteRoom,
    RemoteRoomMessage,
    RemoteRoomMoved,
    RemoteRoomNotice,
    RemoteRoomReaction,
)
from gateway.ids import RemoteRoomId, RemoteUserId
from tests.peers.bot_api import forbidden
from tests.unit.telegram.relay import House, house
from tests.unit.telegram.world import World


@pytest.fixture
async def at() -> AsyncIterator[House]:
    async with house() as made:
        yield made


def test_a_gateway_without_a_token_has_no_bot(world: World) -> None:
    assert world.adapter.house() is None


def test_whose_bot_it_is(at: House) -> None:
    linked = at.adapter.house()
    assert linked is not None
    assert (linked.realm, linked.remote_id) == ("telegram", str(at.bot.id))
    assert linked.secret == at.bot.token.encode()
    assert not linked.ours
    assert at.bot.token not in repr(linked) + repr(at.adapter.context.settings)


def _relay(at: House) -> Relay:
    """That of a session."""
    bot: Any = SimpleNamespace(base_url=at.telegram.url)
    groups = Groups(at.account.remote_id, {}, Faces({}))
    return Relay(at.account, bot, SharedRequest(at.account.http), groups, lambda _: None)


# --- what it hears ----------------------------------------------------------------------------


async def test_of_groups_that_are_not_linked_nothing_is_told(at: House) -> None:
    """Nor of those who write to the bot, and nobody is asked what such a group is."""
    carol = at.telegram.person("Carol")
    async with at.running():
        at.anna.say(at.group, "hello")
        at.telegram.groups.add(at.group, carol)
        at.telegram.groups.promote(at.group, at.bot)
        carol.react(at.anna.say(at.group, "tea?"), "👍")
        at.anna.block(at.bot)
        at.anna.say(at.bot, "psst")
        await at.polled()
    assert at.account.events == []
    assert not [each for each in at.telegram.asked.items if each.method == "getChat"]
    assert not [key for key in at.account.stored if key.startswith("group ")]


async def test_nobodys_own_chats_come_by_it(at: House) -> None:
    """Whoever lets the gateway's bot into theirs."""
    at.bot.is_secretary = True
    carol = at.telegram.person("Carol")
    chat = at.telegram.world.connect(at.anna, at.bot, "can_reply").chat(carol)
    async with at.running():
        carol.say(chat, "hello")
        at.anna.say(at.bot, "/own 12345678")
        at.anna.delete(at.anna.say(chat, "hi"))
        await at.polled()
    assert at.account.events == []
    assert not [key for key in at.account.stored if key.startswith("own")]
    assert not [each for each in at.telegram.asked.items if "Business" in each.method]


async def test_a_linked_group_is_a_room(at: House) -> None:
    at.link()
    carol = at.telegram.person("Carol")
    at.telegram.groups.promote(at.group, at.bot)
    async with at.running() as session:
        at.telegram.groups.add(at.group, carol)
        carol.say(at.group, "hello")
        heard = await at.heard("hello")
        sent = await session.send(at.text("hi"), "k.1")
        (said,) = at.answers()
        carol.say(at.group, "good", reply_to=said)
        carol.react(said, "👍")
        reacted = await at.account.first(RemoteRoomReaction)
    assert (heard.room, heard.sender) == (at.room, str(carol.id))
    answer = await at.heard("good")
    assert (answer.reply_to, reacted.message) == (sent.remote_id, sent.remote_id)
    (room,) = at.account.of(RemoteRoom)
    assert (room.room, room.name, room.shows_past) == (at.room, "Tea", False)
    assert not at.account.of(RemoteRoomNotice)


@pytest.mark.parametrize("reads_all", [True, False])
async def test_what_the_bot_is_not_told_is_said_once(at: House, reads_all: bool) -> None:
    """As it is no administrator; what is in the way of all else comes first."""
    at.link()
    at.bot.reads_all = reads_all
    for _ in range(2):
        async with at.running():
            at.anna.say(at.group, "/hello")
            await at.polled()
    (notice,) = at.account.of(RemoteRoomNotice)
    assert notice.text.startswith(
        "The bot is no administrator" if reads_all else "The bot is in privacy mode"
    )


async def test_who_comes_later_may_see_what_was_said_before(at: House) -> None:
    """If the group is so, or anybody can look at it."""
    shown = at.telegram.groups.create("Shown", at.anna, at.bot, is_super=True)
    public = at.telegram.groups.create("Public", at.anna, at.bot, is_super=True)
    hidden = at.telegram.groups.create("Hidden", at.anna, at.bot, is_super=True)
    shown.shows_past, public.username = True, "teatime"
    for group in (shown, public, hidden):
        at.telegram.groups.promote(group, at.bot)
        at.account.linked.add(type(at.room)(str(group.id)))
    async with at.running():
        for group in (shown, public, hidden):
            at.anna.say(group, "hello")
        await at.account.until(lambda: len(at.account.of(RemoteRoom)) == 3)
    found = {room.name: room.shows_past for room in at.account.of(RemoteRoom)}
    assert found == {"Shown": True, "Public": True, "Hidden": False}


async def test_a_poll_of_a_linked_group_is_told_when_it_is_closed(at: House) -> None:
    """Then it does not say where it is."""
    at.link()
    async with at.running():
        asked = at.anna.ask(at.group, "Tea?", "yes", "no")
        await at.polled()
        at.anna.close_poll(asked, 3, 1)
        told = await at.account.first(RemoteRoomNotice, lambda event: "closed" in event.text)
    assert (told.room, told.text.splitlines()[1]) == (at.room, "• yes: 3")


async def test_a_linked_group_that_becomes_a_supergroup_stays_linked(at: House) -> None:
    at.link()
    async with at.running() as session:
        at.anna.say(at.group, "before")
        await at.heard("before")
        new = at.telegram.groups.upgrade(at.group)
        at.anna.say(new, "after")
        assert (await at.heard("after")).room == at.room
        await session.send(at.text("yes"), "k.1")
    assert [each.text for each in new.seen.items] == ["alice: yes"]
    assert not at.account.of(RemoteRoomMoved)


async def test_what_a_linked_group_became_is_linked_before_the_group_says_so(at: House) -> None:
    at.link()
    relay, new = _relay(at), {"id": -1002000000009, "type": "supergroup", "title": "Tea"}
    moved = {"message_id": 1, "from": at.anna.json(), "chat": new}
    heard = await relay.heard({"message": {**moved, "migrate_from_chat_id": at.group.id}})
    assert heard is Heard.ALL
    assert await relay.heard({"message": {**moved, "text": "hello"}}) is Heard.NOTHING


# --- linking ----------------------------------------------------------------------------------


async def test_how_to_link_a_group_is_said(at: House) -> None:
    """By name as soon as it is known."""
    assert "/link ABCD-EFGH" in at.adapter.how_to_link("ABCD-EFGH")
    async with at.running():
        said = at.adapter.how_to_link("ABCD-EFGH")
    assert "https://t.me/relay_bot?startgroup=ABCD-EFGH " in said
    assert "/link@relay_bot ABCD-EFGH" in said


async def _codes(at: House, *said: str, **how: Any) -> None:
    """Anna sends these, with some time between."""
    for each in said:
        at.clock.ahead += 10
        at.anna.say(at.group, each, **how)
        await at.polled()


async def test_an_administrator_links_a_group_by_a_code(at: House) -> None:
    """All of it is told then; the code is in no room."""
    at.account.codes["ABCD-EFGH"] = True
    async with at.running():
        await _codes(at, "/link", "/link WRONG", "/LINK  ABCD-EFGH ", "hello")
        await at.heard("hello")
    (room,) = at.account.of(RemoteRoom)
    assert {each.user: each.affiliation for each in room.members or ()} == {
        RemoteUserId(str(at.bot.id)): Affiliation.MEMBER,
        RemoteUserId(str(at.anna.id)): Affiliation.OWNER,
    }
    assert [event.body for event in at.account.of(RemoteRoomMessage)] == ["hello"]
    missing, wrong, done = at.answers()
    assert missing.text.startswith("Send /link and after it the code")
    assert (wrong.text, done.text) == ("This code does not count.", "This group is linked now.")
    assert done.reply_to is not None
    assert done.reply_to.text == "/LINK  ABCD-EFGH"


@pytest.mark.parametrize(
    "said",
    ["/link@relay_bot ABCD-EFGH", "/link@Relay_Bot ABCD-EFGH", "/start@relay_bot ABCD-EFGH"],
)
async def test_the_bot_is_named_where_there_are_several(at: House, said: str) -> None:
    """A link to put the bot into a group sends the last of them."""
    at.account.codes["ABCD-EFGH"] = False
    async with at.running():
        await _codes(at, said)
    assert at.account.linked == {at.room}


@pytest.mark.parametrize(
    "said",
    ["/link@other_bot ABCD-EFGH", "/start ABCD-EFGH", "/linked ABCD-EFGH", "x /link ABCD-EFGH"],
)
async def test_what_is_meant_for_others_is_a_message(at: House, said: str) -> None:
    at.account.codes["ABCD-EFGH"] = False
    async with at.running():
        await _codes(at, said)
        assert not at.account.linked
        at.link()
        await _codes(at, said)
    assert [event.body for event in at.account.of(RemoteRoomMessage)] == [said]
    assert at.answers() == []


async def test_what_is_said_to_the_bot_is_no_message(at: House) -> None:
    at.link()
    async with at.running():
        await _codes(at, "/help@relay_bot", "/start@relay_bot", "end")
        await at.heard("end")
    assert [event.body for event in at.account.of(RemoteRoomMessage)] == ["end"]


async def test_nobody_else_can_link_and_nobody_else_gets_an_answer(at: House) -> None:
    at.account.codes["ABCD-EFGH"] = False
    carol = at.telegram.person("Carol")
    at.telegram.groups.add(at.group, carol)
    async with at.running():
        carol.say(at.group, "/link ABCD-EFGH")
        at.anna.say(at.group, "/link ABCD-EFGH", forwarded_from=carol)
        other = at.telegram.bot("Other", "other_bot")
        at.anna.send(at.group, {"text": "/link ABCD-EFGH", "via_bot": other.json()})
        await at.polled()
        assert (at.account.linked, at.answers()) == (set(), [])
        at.link()
        carol.say(at.group, "/unlink")
        await at.polled()
    assert (at.account.linked, at.answers()) == ({at.room}, [])
    assert not at.account.of(RemoteRoomMessage)


async def test_what_only_the_owner_may_do(at: House) -> None:
    at.account.codes["ABCD-EFGH"] = True
    carol = at.telegram.person("Carol")
    at.telegram.groups.add(at.group, carol)
    at.telegram.groups.promote(at.group, carol)
    async with at.running():
        carol.say(at.group, "/link ABCD-EFGH")
        await at.polled()
        assert not at.account.linked
        await _codes(at, "/link ABCD-EFGH")
    assert at.account.linked == {at.room}
    assert at.answers()[0].text == "Only the owner can do that."


@pytest.mark.parametrize("hidden", [("anna",), ("carol",), ("anna", "carol"), ()])
async def test_an_administrator_who_hides(at: House, hidden: tuple[str, ...]) -> None:
    """Is the owner if nobody else can be meant."""
    at.account.codes["ABCD-EFGH"] = True
    carol = at.telegram.person("Carol")
    at.telegram.groups.add(at.group, carol)
    at.telegram.groups.promote(at.group, carol)
    for name in hidden:
        at.telegram.groups.hide(at.group, {"anna": at.anna, "carol": carol}[name])
    async with at.running():
        await _codes(at, "/link ABCD-EFGH", is_anonymous=True)
    assert at.account.linked == ({at.room} if hidden == ("anna",) else set())
    (answer,) = at.answers()
    assert ("You are anonymous" in answer.text) is (hidden != ("anna",))


async def test_a_channel_of_somebody_administers_nothing(at: House) -> None:
    """Whoever has it may administer the group, and may not."""
    at.account.codes["ABCD-EFGH"] = False
    channel = {"id": -1001234567890, "type": "channel", "title": "News"}
    async with at.running():
        at.anna.send(at.group, {"text": "/link ABCD-EFGH", "sender_chat": channel})
        await at.polled()
    assert (at.account.linked, at.answers()) == (set(), [])


async def test_a_code_that_comes_again_does_no_harm(at: House) -> None:
    """As after a crash: linked, and what is told then not committed."""
    at.account.codes["ABCD-EFGH"] = False
    at.anna.say(at.group, "/link ABCD-EFGH")
    await at.account.link_room(at.room, "ABCD-EFGH", is_owner=True)
    async with at.running():
        await at.account.first(RemoteRoom)
        await at.polled()
    (answer,) = at.answers()
    assert answer.text == "This code does not count."
    assert len(at.account.of(RemoteRoom)) == 1
    assert not at.account.of(RemoteRoomMessage)


async def test_a_group_is_linked_no_longer_and_then_again(at: House) -> None:
    """By its administrators, or by somebody on XMPP; what it is is told anew."""
    carol = at.telegram.person("Carol")
    at.link()
    async with at.running():
        at.telegram.groups.add(at.group, carol)
        await _codes(at, "one")
        await at.heard("one")
        await _codes(at, "/unlink", "not heard")
        assert at.account.linked == set()
        assert not [key for key in at.account.stored if key.startswith("group ")]
        at.account.codes["ABCD-EFGH"] = at.account.codes["IJKL-MNOP"] = False
        await _codes(at, "/link ABCD-EFGH", "two")
        await at.heard("two")
        at.account.linked.clear()
        await _codes(at, "/link IJKL-MNOP", "three")
        await at.heard("three")
    assert [event.body for event in at.account.of(RemoteRoomMessage)] == ["one", "two", "three"]
    told = [{each.user for each in room.members or ()} for room in at.account.of(RemoteRoom)]
    assert told == [{str(at.bot.id), str(at.anna.id)}] * 3
    assert at.answers()[0].text == "This group is not linked any more."


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("place", range(3))
async def test_wherever_it_ends_a_group_is_linked_and_told_whole(
    at: House, monkeypatch: pytest.MonkeyPatch, place: int, after: bool
) -> None:
    """It was linked before, and somebody on XMPP has ended that."""
    at.link()
    async with at.running():
        await _codes(at, "before")
        await at.heard("before")
    at.account.linked.clear()
    at.account.codes["ABCD-EFGH"] = False
    at.anna.say(at.group, "/link ABCD-EFGH")
    at.anna.say(at.group, "hello")
    told = len(at.account.events)
    steps = 0

    def cut(name: str) -> None:
        work = getattr(at.account, name)

        async def step(*args: Any, **named: Any) -> Any:
            nonlocal steps
            is_last, steps = steps == place, steps + 1
            if is_last and not after:
                raise StoreUnavailable("before")
            done = await work(*args, **named)
            if is_last:
                raise StoreUnavailable("after")
            return done

        monkeypatch.setattr(at.account, name, step)

    cut("commit")
    cut("link_room")
    running = at.running()
    task = await running.start()
    await asyncio.wait({task})
    assert isinstance(task.exception(), StoreUnavailable)
    monkeypatch.undo()
    async with at.running():
        await at.polled()
    assert at.account.linked == {at.room}
    events = at.account.events[told:]
    bodies = {event.id: event.body for event in events if isinstance(event, RemoteRoomMessage)}
    assert list(bodies.values()) == ["hello"]
    assert isinstance(events[0], RemoteRoom)
    assert {each.user for each in events[0].members or ()} == {
        at.account.remote_id,
        str(at.anna.id),
    }


async def test_many_commands_of_one_person_are_one(at: House) -> None:
    async with at.running():
        for _ in range(5):
            at.anna.say(at.group, "/link WRONG")
        await at.polled()
    assert len(at.answers()) == 1


async def test_a_bot_that_cannot_answer_links_all_the_same(at: House) -> None:
    """And says nothing twice; where nobody can tell who administers the group, nothing is done."""
    at.account.codes["ABCD-EFGH"] = False
    async with at.running():
        fault = at.telegram.faults.fail(method="getChatAdministrators", times=1)
        await _codes(at, "/link ABCD-EFGH")
        assert (fault.hits, at.account.linked) == (1, set())
        at.telegram.faults.refuse(forbidden("no"), method="sendMessage")
        await _codes(at, "/link ABCD-EFGH", "hello")
        await at.heard("hello")
    assert (at.account.linked, at.answers()) == ({at.room}, [])


async def test_a_pause_in_one_group_keeps_no_answer_from_another(at: House) -> None:
    """Nor is it asked again there."""
    other = at.telegram.groups.create("Other", at.anna, at.bot)
    for group in (at.group, other):
        at.account.linked.add(RemoteRoomId(str(group.id)))
    fault = at.telegram.faults.too_many(30, method="sendMessage", chat=at.group, times=0)
    at.anna.say(at.group, "/unlink")
    at.anna.say(at.group, "/link")
    at.anna.say(other, "/unlink")
    async with at.running():
        await at.polled()
        await other.seen.wait_for(lambda message: "not linked" in message.text)
    assert fault.hits == 1


async def test_the_bot_is_put_out_and_comes_again(at: House) -> None:
    at.link()
    async with at.running():
        at.anna.say(at.group, "one")
        await at.heard("one")
        at.telegram.groups.remove(at.group, at.bot, by=at.anna)
        await at.account.first(RemoteMemberGone)
        at.telegram.groups.add(at.group, at.bot, by=at.anna)
        at.anna.say(at.group, "two")
        await at.heard("two")
    assert len(at.account.of(RemoteRoom)) == 2


# --- people on XMPP ---------------------------------------------------------------------------


async def test_who_administers_the_group_puts_people_on_xmpp_out_by_an_answer(at: House) -> None:
    """These commands are none of a room; nobody else is obeyed."""
    at.link()
    carol = at.telegram.person("Carol")
    at.telegram.groups.add(at.group, carol)
    async with at.running() as session:
        sent = await session.send(at.text("rude"), "k.1")
        (said,) = at.answers()
        mine = at.anna.say(at.group, "no bot has said this")
        for who, command, answered in (
            (carol, "/ban", said),  # who may not
            (at.anna, "/ban@relay_bot", None),
            (at.anna, "/unban@relay_bot", mine),
            (at.anna, "/kick", said),
            (at.anna, "/BAN now", said),
            (at.anna, "/unban", said),
        ):
            who.say(at.group, command, reply_to=answered)
            await at.polled()
            at.clock.ahead += 6
    assert at.account.verdicts == [
        (at.room, sent.remote_id, how)
        for how in (Departure.KICKED, Departure.BANNED, Departure.LEFT)
    ]
    told = [message.text for message in at.answers()[1:]]
    asked = "Send this as an answer to what somebody on XMPP has said here."
    assert told == [asked, asked, "kicked it is.", "banned it is.", "left it is."]
    bodies = [event.body for event in at.account.of(RemoteRoomMessage)]
    assert bodies == ["no bot has said this"]


async def test_other_bots_put_out_others(at: House) -> None:
    """Their commands are what people say."""
    at.link()
    async with at.running():
        said = at.anna.say(at.group, "hello")
        at.anna.say(at.group, "/ban", reply_to=said)
        at.anna.say(at.group, "/kick")
        await at.polled()
    assert not at.account.verdicts
    assert not at.answers()
    bodies = [event.body for event in at.account.of(RemoteRoomMessage)]
    assert bodies == ["hello", "/ban", "/kick"]


async def test_of_a_group_that_is_not_linked_nobody_is_put_out(at: House) -> None:
    at.link()
    async with at.running() as session:
        await session.send(at.text("spam"), "k.1")
        at.account.linked.clear()
        at.anna.say(at.group, "/ban", reply_to=at.answers()[0])
        await at.polled()
    assert at.account.verdicts == []


# --- people who write to the bot --------------------------------------------------------------


async def test_who_writes_to_the_bot_is_told_once_what_it_is_for(at: House) -> None:
    chat = at.telegram.world.private(at.bot, at.anna)
    carol = at.telegram.person("Carol")
    async with at.running():
        at.anna.start(at.bot)
        at.anna.say(at.bot, "hello?")
        carol.start(at.bot)
        await at.polled()
        assert [len(chat.seen.items)] == [1]
        at.clock.ahead += 3_601
        at.anna.say(at.bot, "hello??")
        await at.polled()
    first, second = chat.seen.items
    assert first.text == second.text
    assert "people on XMPP" in first.text
    assert len(at.telegram.world.private(at.bot, carol).seen.items) == 1
    assert at.account.events == []


async def test_who_cannot_be_told_holds_up_nobody(at: House) -> None:
    carol = at.telegram.person("Carol")
    at.anna.start(at.bot)
    at.anna.block(at.bot)
    carol.start(at.bot)
    async with at.running():
        await at.polled()
    assert len(at.telegram.world.private(at.bot, carol).seen.items) == 1


async def test_very_many_who_write_are_not_all_told(
    at: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Within one hour."""
    monkeypatch.setattr("adapters.telegram.relay._MOST_HEARD", 2)
    people = [at.telegram.person(f"Person {number}") for number in range(5)]
    chats = [at.telegram.world.private(at.bot, person) for person in people]
    async with at.running():
        for person in people[:3]:
            person.start(at.bot)
        await at.polled()
        at.clock.ahead += 3_601
        for person in people[2:]:
            person.say(at.bot, "hello")
        await at.polled()
    assert [len(chat.seen.items) for chat in chats] == [1, 1, 1, 1, 0]


@pytest.mark.parametrize(
    "message",
    [
        {"chat": {"type": "private"}},
        {"chat": {"id": -4, "type": "group"}, "text": "/link X"},
        {
            "chat": {"id": -4, "type": "group"},
            "message_id": 1,
            "from": {"id": {}},
            "text": "/link X",
        },
        {"chat": {"id": -4, "type": "group"}, "text": 4},
    ],
)
async def test_what_nobody_understands_is_told_as_ever(at: House, message: Any) -> None:
    relay = _relay(at)
    assert await relay.heard({"update_id": 7, "message": message}) is Heard.ALL
