# SPDX-License-Identifier: Apache-2.0
"""Who administers a group where the gateway's own bot is, and what that costs in requests."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from adapters.telegram import administrators
from gateway.events import Departure
from gateway.ids import RemoteRoomId
from tests.peers.bot_api import bad
from tests.unit.telegram.relay import House, house


@pytest.fixture
async def at() -> AsyncIterator[House]:
    async with house() as made:
        yield made


def _asked(at: House, method: str = "getChatAdministrators") -> int:
    return sum(each.method == method for each in at.telegram.asked.items)


async def test_each_of_many_who_are_put_out_at_once_is(at: House) -> None:
    """A raid, and an administrator who answers one line after the other."""
    at.link()
    async with at.running() as session:
        sent = [(await session.send(at.text(f"spam {n}"), f"k.{n}")).remote_id for n in range(4)]
        for said in at.answers()[:]:
            at.anna.say(at.group, "/ban", reply_to=said)
        at.anna.say(at.group, "/ban", reply_to=at.answers()[0])
        await at.polled()
    assert at.account.verdicts == [(at.room, each, Departure.BANNED) for each in sent]
    assert [each.text for each in at.answers()[4:]] == ["banned it is."] * 4


@pytest.mark.parametrize(
    ("rights", "is_hidden", "is_obeyed"),
    [
        (("can_restrict_members",), False, True),
        (("can_pin_messages", "can_delete_messages"), False, False),
        (("can_restrict_members",), True, True),
        (("can_pin_messages",), True, False),
    ],
)
async def test_only_who_may_ban_there_puts_people_on_xmpp_out(
    at: House, rights: tuple[str, ...], is_hidden: bool, is_obeyed: bool
) -> None:
    """Nobody has more power over people on XMPP than over those in Telegram."""
    carol = at.telegram.person("Carol")
    group = at.telegram.groups.create("Super", at.anna, at.bot, is_super=True)
    at.telegram.groups.add(group, carol)
    at.telegram.groups.promote(group, carol, *rights)
    if is_hidden:
        at.telegram.groups.hide(group, carol)
    at.group = group
    at.link()
    async with at.running() as session:
        await session.send(at.text("rude"), "k.1")
        (said,) = at.answers()
        carol.say(group, "/ban", reply_to=said, is_anonymous=is_hidden)
        await at.polled()
    assert bool(at.account.verdicts) is is_obeyed
    told = at.answers()[1].text
    assert (told == "banned it is.") is is_obeyed
    why = "You are anonymous" if is_hidden else "Only administrators who may ban people"
    assert is_obeyed or told.startswith(why)


async def test_if_several_hide_all_of_them_have_to_be_allowed_it(at: House) -> None:
    carol, dora = at.telegram.person("Carol"), at.telegram.person("Dora")
    group = at.telegram.groups.create("Super", at.anna, at.bot, is_super=True)
    for who, right in ((carol, "can_restrict_members"), (dora, "can_pin_messages")):
        at.telegram.groups.add(group, who)
        at.telegram.groups.promote(group, who, right)
        at.telegram.groups.hide(group, who)
    at.group = group
    at.link()
    async with at.running() as session:
        await session.send(at.text("rude"), "k.1")
        dora.say(group, "/ban", reply_to=at.answers()[0], is_anonymous=True)
        await at.polled()
    assert at.account.verdicts == []


async def test_thousands_who_want_something_are_one_request(at: House) -> None:
    """Who may be anybody in the group: nobody knows that before it is asked."""
    at.link()
    many = [at.telegram.person(f"Person {n}") for n in range(30)]
    for each in many:
        at.telegram.groups.add(at.group, each)
    async with at.running() as session:
        await session.send(at.text("rude"), "k.1")
        (said,) = at.answers()
        await at.polled()
        asked = _asked(at)
        for each in many:
            each.say(at.group, "/unlink")
            each.say(at.group, "/ban", reply_to=said)
        at.anna.say(at.group, "/ban", reply_to=said)
        await at.polled()
    assert _asked(at) - asked <= 1
    assert len(at.account.verdicts) == 1


async def test_groups_that_are_not_linked_do_not_keep_the_others_waiting(at: House) -> None:
    """Whoever puts the bot into many, and has it look at each of them."""
    at.link()
    others = [at.telegram.groups.create(f"Other {n}", at.anna, at.bot) for n in range(40)]
    async with at.running() as session:
        await session.send(at.text("rude"), "k.1")
        for each in others:
            at.anna.say(each, "/link ABCD-EFGH")
        at.anna.say(at.group, "/ban", reply_to=at.answers()[0])
        await at.polled()
        assert _asked(at) <= administrators.MOST_STRANGERS + 2
        assert len(at.account.verdicts) == 1
        at.clock.ahead += 60
        at.account.codes["ABCD-EFGH"] = False
        at.anna.say(others[-1], "/link ABCD-EFGH")
        await at.polled()
    assert RemoteRoomId(str(others[-1].id)) in at.account.linked


async def test_a_server_that_does_not_answer_is_not_asked_at_once_again(at: House) -> None:
    others = [at.telegram.groups.create(f"Other {n}", at.anna, at.bot) for n in range(5)]
    async with at.running():
        fault = at.telegram.faults.fail(method="getChatAdministrators", times=0)
        for each in others:
            at.anna.say(each, "/link ABCD-EFGH")
        await at.polled()
        assert fault.hits == 1
        fault.end()
        at.clock.ahead += 10
        at.account.codes["ABCD-EFGH"] = False
        at.anna.say(others[0], "/link ABCD-EFGH")
        await at.polled()
    assert at.account.linked == {RemoteRoomId(str(others[0].id))}


async def test_a_group_that_is_refused_keeps_no_other_from_being_looked_at(at: House) -> None:
    at.account.codes["ABCD-EFGH"] = False
    other = at.telegram.groups.create("Other", at.anna, at.bot)
    async with at.running():
        at.telegram.faults.refuse(
            bad("Bad Request: chat not found"), method="getChatAdministrators", chat=other
        )
        at.anna.say(other, "/link ABCD-EFGH")
        at.anna.say(at.group, "/link ABCD-EFGH")
        await at.polled()
    assert at.account.linked == {at.room}


async def test_what_is_known_of_many_groups_is_bounded(
    at: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(administrators, "_MOST_GROUPS", 2)
    others = [at.telegram.groups.create(f"Other {n}", at.anna, at.bot) for n in range(4)]
    async with at.running() as session:
        for each in others:
            at.anna.say(each, "/link ABCD-EFGH")
        await at.polled()
        relay = session._relay  # type: ignore[attr-defined]
    assert list(relay._administrators._known) == [each.id for each in others[-2:]]


async def test_what_the_bot_is_called_is_not_asked_with_each_command(at: House) -> None:
    """Anybody may name any bot."""
    async with at.running():
        pass
    at.telegram.asked.items.clear()
    fault = at.telegram.faults.fail(method="getMe", times=0)
    async with at.running():
        for n in range(20):
            at.anna.say(at.group, f"/help@other{n}_bot")
        await at.polled()
    assert fault.hits <= 2
