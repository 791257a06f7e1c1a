# SPDX-License-Identifier: Apache-2.0
"""What people without an account react with, by the gateway's own bot."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from adapters.telegram import buckets, pictures
from adapters.telegram.votes import Votes
from gateway.adapter import Sent, Session
from gateway.errors import RateLimited, Transient, Uncertain
from gateway.events import Author
from gateway.ids import RemoteMessageId, UserJid, virtual_id
from tests.peers.bot_api import Message, too_many
from tests.peers.bot_api.text import part
from tests.unit.telegram.relay import ALICE, BERND, House, house

CLARA = Author(user=virtual_id(UserJid("clara@example.org")), name="clara")


@pytest.fixture
async def at() -> AsyncIterator[House]:
    async with house() as made:
        made.link()
        yield made


class _Room:
    """A message of anna, and those who react to it."""

    def __init__(self, at: House, session: Session, message: Message) -> None:
        self.at = at
        self.session = session
        self.message = message
        self.id = RemoteMessageId(f"{at.group.id}:{message.id}")
        self._keys = 0

    async def react(self, author: Author, *emoji: str) -> Sent:
        """As the gateway does: what was taken is stored."""
        self._keys += 1
        sent = await self.session.send(
            self.at.reacts(self.id, author, *emoji), f"instance.{self._keys}"
        )
        self.at.account.virtual[self.at.room, self.id, author.user] = tuple(sent.reactions)
        return sent

    @property
    def shown(self) -> str:
        """What the bot reacts with."""
        return "".join(each["emoji"] for each in self.message.reactions[self.at.bot.id])

    @property
    def lines(self) -> list[str]:
        return [each.text for each in self.at.answers()]


async def _room(at: House, session: Session) -> _Room:
    return _Room(at, session, at.anna.say(at.group, "tea?"))


async def test_most_have_it_and_the_rest_is_told(at: House) -> None:
    async with at.running() as session:
        room = await _room(at, session)
        await room.react(ALICE, "👍")
        assert (room.shown, room.lines) == ("👍", [])
        await room.react(BERND, "🎉")
        assert (room.shown, room.lines) == ("👍", ["Bernd 🐻 reacted with 🎉"])
        await room.react(CLARA, "🎉")
        assert (room.shown, len(room.lines)) == ("🎉", 1)
        await room.react(BERND)
        assert room.shown == "🎉"  # as many have each, and this is there
        await room.react(CLARA)
        assert room.shown == "👍"
        await room.react(ALICE)
        assert (room.shown, len(room.lines)) == ("", 1)
    (line,) = at.answers()
    assert line.reply_to is room.message
    (name,) = line.entities
    assert (name["type"], part(line.text, name["offset"], name["length"])) == ("bold", "Bernd 🐻")


async def test_who_takes_another_one(at: House) -> None:
    """Of one person it is shown, of several it is told; the same one twice is not."""
    async with at.running() as session:
        room = await _room(at, session)
        await room.react(ALICE, "👍")
        await room.react(ALICE, "🔥")
        assert (room.shown, room.lines) == ("🔥", [])
        await room.react(BERND, "🔥")
        await room.react(BERND, "👍")
        await room.react(BERND, "👍")
        assert (room.shown, room.lines) == ("🔥", ["Bernd 🐻 reacted with 👍"])


async def test_people_do_not_wait_for_one_another(at: House) -> None:
    """Nothing is stored before all are done."""
    async with at.running() as session:
        room = await _room(at, session)
        at.telegram.faults.hold(method="setMessageReaction")
        sending = [
            asyncio.create_task(
                session.send(at.reacts(room.id, author, emoji), f"instance.{author}")
            )
            for author, emoji in ((ALICE, "👍"), (BERND, "🎉"), (CLARA, "🎉"))
        ]
        await asyncio.sleep(0.2)
        at.telegram.faults.end()
        await asyncio.gather(*sending)
    assert (room.shown, room.lines) == ("🎉", ["Bernd 🐻 reacted with 🎉"])


async def test_ids_are_those_of_one_person(at: House) -> None:
    async with at.running() as session:
        room = await _room(at, session)
        made = [await room.react(author, "👍") for author in (ALICE, BERND, CLARA)]
    assert [list(sent.reactions) for sent in made] == [["👍"]] * 3
    assert len({id for sent in made for id in sent.reactions.values()}) == 3


async def test_clients_write_some_of_them_in_two_ways(at: House) -> None:
    async with at.running() as session:
        room = await _room(at, session)
        await room.react(ALICE, "👍")
        await room.react(BERND, "❤\ufe0f")
        await room.react(CLARA, "❤")
        assert room.shown == "❤"
        await room.react(ALICE, "❤\ufe0f")
        assert room.lines == ["Bernd 🐻 reacted with ❤\ufe0f"]


async def test_what_telegram_does_not_have_is_not_even_tried(at: House) -> None:
    async with at.running() as session:
        room = await _room(at, session)
        await room.react(ALICE, "🥦")
    assert room.lines == ["alice reacted with 🥦"]
    assert at.bot.id not in room.message.reactions


def test_what_is_shown_is_known_of_the_last_messages(
    at: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adapters.telegram.votes._MOST", 2)
    votes = Votes(at.account)
    first, *others = (RemoteMessageId(f"{at.group.id}:{number}") for number in range(3))
    at.account.virtual[at.room, first, ALICE.user] = ("👍",)
    votes.shows(others[0], "👍")
    votes.shows(first, "🎉")
    votes.shows(others[0], "🎉")
    assert votes.counted(at.reacts(first, BERND, "🎉"), BERND).shown[0] == "🎉"
    for message in others:
        votes.shows(message, "👍")
    assert votes.counted(at.reacts(first, BERND, "🎉"), BERND).shown[0] == "👍"


@pytest.mark.parametrize(("allowed", "shown"), [({"👍"}, "👍"), (set(), "")])
async def test_what_a_group_does_not_have_is_told(
    at: House, allowed: set[str], shown: str
) -> None:
    at.group.reactions = allowed
    async with at.running() as session:
        room = await _room(at, session)
        if shown:
            await room.react(ALICE, shown)
        for author in (BERND, CLARA):
            sent = await room.react(author, "🎉")
            assert list(sent.reactions) == ["🎉"]
        assert room.shown == shown if shown else at.bot.id not in room.message.reactions
    assert room.lines == ["Bernd 🐻 reacted with 🎉", "clara reacted with 🎉"]


async def test_what_is_there_is_known_after_a_restart_too(at: House) -> None:
    async with at.running() as session:
        room = await _room(at, session)
        await room.react(ALICE, "👍")
        await room.react(BERND, "👍")
    async with at.running() as session:
        room.session = session
        await room.react(CLARA, "🎉")
    assert (room.shown, room.lines) == ("👍", ["clara reacted with 🎉"])


async def test_a_line_has_its_turn_and_a_reaction_has_none(
    at: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(buckets, "_CHAT_BURST", 0.0)
    monkeypatch.setattr(pictures, "_MOST_WANTED", 0)  # nobody is looked at, at another pace
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    monkeypatch.setattr(at.clock, "sleep", sleep)
    async with at.running() as session:
        room = await _room(at, session)
        await session.turn(at.reacts(room.id, ALICE, "👍"))
        assert slept == []
        await room.react(ALICE, "👍")
        await session.turn(at.reacts(room.id, BERND, "🎉"))
    assert len(slept) == 1


async def test_a_line_that_fails(at: House) -> None:
    """What Telegram has not taken comes again whole; what it may have taken is uncertain."""
    async with at.running() as session:
        room = await _room(at, session)
        await room.react(ALICE, "👍")
        at.telegram.faults.refuse(too_many(3), method="sendMessage")
        with pytest.raises(RateLimited):
            await room.react(BERND, "🎉")
        at.clock.ahead += 4
        await room.react(BERND, "🎉")
        assert room.lines == ["Bernd 🐻 reacted with 🎉"]
        at.telegram.faults.cut(carried_out=True, method="sendMessage")
        with pytest.raises(Uncertain):
            await room.react(CLARA, "🔥")
        at.telegram.faults.cut(carried_out=True, method="setMessageReaction")
        with pytest.raises(Transient):
            await room.react(CLARA, "👍")
    assert room.shown == "👍"


async def test_a_line_in_another_language(at: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """The name may be anywhere in it."""
    monkeypatch.setattr(at.account, "worded", lambda text: f"🐻 {text}")
    async with at.running() as session:
        room = await _room(at, session)
        await room.react(ALICE, "👍")
        await room.react(CLARA, "🎉")
    (line,) = at.answers()
    (name,) = line.entities
    assert line.text == "🐻 clara reacted with 🎉"
    assert part(line.text, name["offset"], name["length"]) == "clara"
