# SPDX-License-Identifier: Apache-2.0
"""The console where much is said, or nothing for long: each has one answer (REQ-129)."""

from __future__ import annotations

import asyncio
from typing import Any
from xml.etree.ElementTree import Element

import pytest

from gateway.adapter import ListedContact
from gateway.ids import RemoteUserId, UserJid
from tests.scenario.house import GATEWAY, House, Options
from tests.scenario.patterns import shown
from tests.scenario.test_account_life import account, refusing
from tests.scenario.test_commands import _NS, Client, condition, form, started, status
from tests.scenario.test_requests import tell
from tests.scenario.test_stream import ALICE, bodies, events, running

_LIMIT = 256 * 1024


async def test_req_105_216_an_endless_answer_is_not_shown_again(house: House) -> None:
    """Escaped it would be four times as long, and no stanza."""
    client = await started(house)
    session = await client.begin("register")
    endless = form(username=">" * 100_000, password="x")
    reply = await client.give("register", session, "next", endless)
    assert status(reply) == "executing"
    assert "The answer to “User” is too long." in shown(reply)
    assert ">>>" not in "".join(reply.itertext())


async def test_req_105_an_endless_sentence_of_the_network_is_cut(house: House) -> None:
    await running(house)
    endless = {"error": "forbidden", "text": "no" * 200_000}
    house.network.faults += [endless, endless]
    client = Client(house)
    session = await client.begin("block")
    reply = await client.give("block", session, "complete", form(whom="bob"))
    assert status(reply) == "completed"
    assert "nono" in shown(reply)
    (said,) = await tell(house, "block bob")
    assert said.startswith("nono")
    assert len(said) <= 1000


@pytest.mark.parametrize(("length", "is_good"), [(_LIMIT - 1000, True), (_LIMIT, False)])
async def test_req_105_129_an_answer_that_is_too_large_is_an_error(
    house: House, monkeypatch: pytest.MonkeyPatch, length: int, is_good: bool
) -> None:
    client = await started(house)

    def answer(_: object) -> str:
        return "x" * length

    monkeypatch.setitem(house.component.iqs.gateway.now, ("set", "{urn:example}q"), answer)
    client.send("<q xmlns='urn:example'/>")
    await house.clock.settle()
    reply = await client.reply()
    if is_good:
        assert len(reply.text or "") == length
    else:
        assert condition(reply) == "resource-constraint"


async def test_req_105_thousands_of_blocked_people_are_one_answer(house: House) -> None:
    await running(house)
    house.bridge.contacts.own_people.blocked(
        account(house), [RemoteUserId(f"somebody.else.{n}") for n in range(3000)]
    )
    reply = await Client(house).give("blocked")
    assert status(reply) == "completed"
    assert "Blocked contacts: 3000. The first 200 are shown." in shown(reply)
    assert len(await tell(house, "blocked")) == 2


async def test_req_140_215_commas_are_nobody(house: House) -> None:
    house.options = Options(admins=(ALICE,))
    await running(house)
    said = await tell(house, "end-session", ",", "cancel")
    assert said[-3:] == ["An answer to “XMPP users” is needed.", "XMPP users?", "Cancelled."]


async def test_req_219_an_account_that_ends_while_the_network_is_asked(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    await running(house)
    go = asyncio.Event()

    async def slow(*_: object) -> list[ListedContact]:
        await go.wait()
        return [ListedContact(id=RemoteUserId("bob"), name="Bob", was_talked_with=True)]

    monkeypatch.setattr(house.bridge.contacts.own_people, "contacts", slow)
    house.server.send(
        f"<message from='{ALICE}/phone' to='{GATEWAY}' type='chat'><body>contacts</body></message>"
    )
    await house.clock.settle()
    await house.bridge.logins.unregister(account(house))
    await house.clock.settle()
    await bodies(house)
    go.set()
    await house.clock.settle()
    assert await bodies(house) == ["You have no account here any more."]
    assert "task_failed" not in events(house)


async def test_a_disk_that_takes_nothing_holds_up_no_command(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the network has done is stored later; the dialogue does not wait for that."""
    await running(house)
    with monkeypatch.context() as patch:
        patch.setattr(house.store, "write", refusing)
        assert not any(await tell(house, "block bob"))
        await house.clock.advance(61)
        said = list(filter(None, await bodies(house)))
        assert said == ["The network does not answer. The gateway goes on with it."]
    await house.clock.advance(10)
    assert account(house).blocked == {"bob"}
    assert "task_failed" not in events(house)


async def test_req_545_so_many_people_can_be_invited_at_once(house: House) -> None:
    await running(house)
    client = Client(house)
    session = await client.begin("create")
    names = ",".join(f"p{n}" for n in range(51))
    filled = form(name="Tea", private="1", invited=names)
    reply = await client.give("create", session, "complete", filled)
    assert status(reply) == "executing"
    assert "At most 50 people can be invited at once." in shown(reply)
    assert house.network.commands == []


async def test_req_218_220_who_has_left_a_group_slowly_is_told_at_its_address(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    await running(house)
    alice = {"user": "alice", "name": "Alice"}
    house.network.event("alice", "room", room="!tea", name="Tea", members=[alice])
    await house.clock.settle()
    await bodies(house)
    (room,) = house.bridge.rooms.of(account(house))
    tea, go = house.component.rooms.address(room), asyncio.Event()
    leave = house.bridge.rooms.coming.leave

    async def slow(*about: Any) -> None:
        await leave(*about)
        await go.wait()

    monkeypatch.setattr(house.bridge.rooms.coming, "leave", slow)

    async def give(about: str, wait_s: float = 0) -> Element:
        house.server.send(
            f"<iq type='set' id='c' from='{ALICE}/phone' to='{tea}'>"
            f"<command {_NS} node='leave' {about}</command></iq>"
        )
        await house.clock.settle()
        await house.clock.advance(wait_s)
        return await Client(house).reply()

    session = f"sessionid='{(await give('>'))[0].get('sessionid')}' action"
    await give(f"{session}='complete'>{form(sure='1')}", 11)
    house.network.event("alice", "member-gone", room="!tea", user="alice")
    go.set()
    await house.clock.settle()
    told = await give(f"{session}='next'>")
    assert status(told) == "completed"
    assert "You have left the group “Tea”." in shown(told)
    assert (await give(f"{session}='next'>")).get("type") == "error"


async def test_req_218_219_who_has_unregistered_slowly_is_told_of_it(house: House) -> None:
    await running(house)
    client = Client(house)
    session = await client.begin("unregister")
    house.network.mute = True
    attributes = f"node='unregister' sessionid='{session}' action='complete'"
    client.send(f"<command {_NS} {attributes}>{form(sure='1')}</command>")
    await house.clock.advance(11)
    assert status(await client.reply()) == "executing"
    await house.clock.advance(45)
    assert house.bridge.accounts.of(UserJid(ALICE)) is None
    await bodies(house)
    told = await client.give("unregister", session, "next")
    assert status(told) == "completed"
    assert "are deleted." in shown(told)
    assert condition(await client.give("unregister", session, "next")) == "bad-request"
