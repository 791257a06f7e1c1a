# SPDX-License-Identifier: Apache-2.0
"""Hundreds and thousands of contacts in the contact lists of users."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree.ElementTree import Element, SubElement

import pytest
import pytest_asyncio

from gateway.ids import UserJid
from gateway.xmpp.codec.xml import attribute
from tests.scenario.house import GATEWAY, HOME, House, Options
from tests.scenario.patterns import ACCEPT
from tests.stalls import Stalls

ALICE = f"alice@{HOME}"
_ROSTER = "{jabber:iq:roster}"
_GRANT = (
    f"<message from='{HOME}' to='{GATEWAY}'><privilege xmlns='urn:xmpp:privilege:2'>"
    "<perm access='roster' type='both'/></privilege></message>"
)


@dataclass
class Lists:
    """A server that keeps alice's contact list, and notes when what was put there."""

    house: House
    items: dict[str, Element] = field(default_factory=dict)
    at: dict[str, float] = field(default_factory=dict)
    most_at_once: int = 0
    reads: int = 0
    others: list[Element] = field(default_factory=list)
    leaves_out: bool = False
    """The subscription, and the approval, as ejabberd did before 26.03."""

    def answer(self) -> int:
        """Whatever was asked. Returns how much that was."""
        queue, asked = self.house.server.received, []
        while not queue.empty():
            stanza = queue.get_nowait()
            query = stanza.find(f"{_ROSTER}query")
            if query is None:
                self.others.append(stanza)
            else:
                asked.append((stanza, query))
        sets = [query for stanza, query in asked if stanza.get("type") == "set"]
        self.most_at_once = max(self.most_at_once, len(sets))
        for stanza, query in asked:
            self._answer(stanza, query)
        return len(asked)

    def _answer(self, stanza: Element, query: Element) -> None:
        inner = ""
        if stanza.get("type") == "set":
            (item,) = query
            if self.leaves_out:
                item.set("subscription", "none")
            jid = item.get("jid", "")
            self.items[jid] = item
            self.at.setdefault(jid, self.house.clock.monotonic())
        else:
            self.reads += 1
            items = "".join(map(_written, self.items.values()))
            inner = f"<query xmlns='jabber:iq:roster'>{items}</query>"
        self.house.server.send(
            f"<iq type='result' from='{stanza.get('to')}' to='{GATEWAY}'"
            f" id='{stanza.get('id')}'>{inner}</iq>"
        )


def _written(item: Element) -> str:
    group = item.findtext(f"{_ROSTER}group", "")
    return (
        f"<item jid='{item.get('jid')}' name='{attribute(item.get('name', ''))}'"
        f" subscription='{item.get('subscription')}'><group>{group}</group></item>"
    )


@pytest_asyncio.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    """Its accounts want their contacts."""
    async with House(tmp_path, Options(adds_contacts=True)) as house:
        await house.start()
        await house.connected()
        await house.link(ALICE, "alice")
        yield house


async def _import_all(house: House, number: int) -> None:
    house.network.contacts = [{"id": f"c{n}", "name": f"Contact {n}"} for n in range(number)]
    for said in ("import", "3"):
        house.server.send(
            f"<message from='{ALICE}/phone' to='{GATEWAY}' type='chat'>"
            f"<body>{said}</body></message>"
        )
        await house.clock.settle()


async def test_req_229_500_contacts_are_taken_over_within_two_minutes(house: House) -> None:
    lists = Lists(house)
    house.server.send(_GRANT)
    await _import_all(house, 500)
    began = house.clock.monotonic()
    while len(lists.items) < 500 and house.clock.monotonic() < began + 120:
        await house.clock.advance(0.5)
        while lists.answer():
            await house.clock.settle()
    assert len(lists.items) == 500
    assert max(lists.at.values()) - began < 120
    # No flood: fifty at once, and as many in any five seconds.
    assert lists.most_at_once <= 50
    times = sorted(lists.at.values())
    assert all(later - at >= 4.9 for at, later in zip(times, times[50:], strict=False))
    assert lists.reads <= 1 + 1 + 10
    item = lists.items[f"c7@{GATEWAY}"]
    assert (item.get("name"), item.get("subscription")) == ("Contact 7", "both")
    await house.clock.advance(10)
    lists.answer()
    presences = [
        each
        for each in lists.others
        if each.tag == f"{ACCEPT}presence" and "@" in each.get("from", "")
    ]
    assert {each.get("type") for each in presences} == {None}
    assert len({each.get("from") for each in presences}) == len(presences) == 500


async def _run(
    house: House, lists: Lists, limit_s: float, until: Callable[[], bool] = lambda: False
) -> None:
    began = house.clock.monotonic()
    while house.clock.monotonic() < began + limit_s and not until():
        await house.clock.advance(0.5)
        while lists.answer():
            await house.clock.settle()


async def test_req_1008_what_the_user_puts_there_between_two_batches_stays(house: House) -> None:
    lists = Lists(house)
    house.server.send(_GRANT)
    await _import_all(house, 200)
    await _run(house, lists, 60, lambda: len(lists.items) >= 50)
    later = [f"c{n}@{GATEWAY}" for n in range(200) if f"c{n}@{GATEWAY}" not in lists.items]
    assert later
    mine = Element("item", jid=later[-1], name="My old friend", subscription="none")
    SubElement(mine, f"{_ROSTER}group").text = "Family"
    lists.items[later[-1]] = mine
    await _run(house, lists, 60)
    assert len(lists.items) == 200
    assert lists.items[later[-1]] is mine


async def test_req_1008_what_the_user_removes_between_two_batches_stays_away(
    house: House,
) -> None:
    lists = Lists(house)
    house.server.send(_GRANT)
    await _import_all(house, 200)
    await _run(house, lists, 60, lambda: len(lists.items) >= 50)
    # One that was put there a moment ago, whom nobody has read back,
    removed = [next(iter(lists.items))]
    del lists.items[removed[0]]
    await _run(house, lists, 60)
    assert len(lists.items) == 199
    # and one that is about to have another name.
    for n in range(200):
        house.network.event("alice", "profile", contact=f"c{n}", name=f"New {n}")
    await _run(house, lists, 120, lambda: len(_named_new(lists)) >= 50)
    removed.append(next(jid for jid in reversed(lists.items) if jid not in _named_new(lists)))
    del lists.items[removed[1]]
    await _run(house, lists, 120)
    assert len(_named_new(lists)) == len(lists.items) == 198
    assert not set(removed) & lists.items.keys()


def _named_new(lists: Lists) -> list[str]:
    return [jid for jid, item in lists.items.items() if item.get("name", "").startswith("New")]


async def test_req_1008_four_who_take_over_thousands_hold_up_nobody(house: House) -> None:
    users = [f"u{n}@{HOME}" for n in range(5)]
    for n, user in enumerate(users):
        await house.link(user, f"n{n}")
    lists = Lists(house)
    house.server.send(_GRANT)
    await _run(house, lists, 5)
    house.network.contacts = [{"id": f"c{n}", "name": f"Contact {n}"} for n in range(1000)]
    for user in users[:4]:
        for said in ("import", "3"):
            house.server.send(
                f"<message from='{user}/phone' to='{GATEWAY}' type='chat'>"
                f"<body>{said}</body></message>"
            )
            await house.clock.settle()
    await _run(house, lists, 4)
    began = house.clock.monotonic()
    house.network.says("n4", "bob", "hello")
    await _run(house, lists, 60, lambda: f"bob@{GATEWAY}" in lists.at)
    assert lists.at[f"bob@{GATEWAY}"] - began < 5
    assert len(lists.items) < 1000  # the others are at it still


async def test_req_234_twenty_contacts_ask_within_an_hour(house: House) -> None:
    lists = Lists(house)
    await _import_all(house, 100)
    for n in range(30):
        house.network.says("alice", f"p{n}", "hello")
    await house.clock.advance(3)
    lists.answer()

    assert len(_asked(lists)) == len(set(_asked(lists))) == 20
    # Those who had to stand back ask when they write again; not all of them at once either.
    await house.clock.advance(3600)
    for n in range(30):
        house.network.says("alice", f"p{n}", "again")
    await house.clock.advance(3)
    lists.answer()
    assert len(_asked(lists)) == len(set(_asked(lists))) == 40
    assert {f"p{n}@{GATEWAY}" for n in range(20)} <= set(_asked(lists))


async def test_req_234_twenty_of_those_who_invite_ask_within_an_hour(house: House) -> None:
    lists = Lists(house)
    for n in range(50):
        house.network.event("alice", "invite", contact=f"s{n}", id=f"i{n}")
        house.network.says("alice", f"p{n}", "hello")
    await house.clock.advance(3)
    lists.answer()
    assert len(_asked(lists)) == len(set(_asked(lists))) == 20
    lines = [
        each.get("from", "").split("@")[0]
        for each in lists.others
        if "wants to talk with you" in each.findtext(f"{ACCEPT}body", "")
    ]
    assert sorted(lines) == sorted(f"s{n}" for n in range(50))
    # Nobody who has only invited is put into the list; who has been accepted, and talks, is.
    house.server.send(_GRANT)
    house.network.says("alice", "s1", "hello")
    await _run(house, lists, 30)
    assert {f"s{n}@{GATEWAY}" for n in range(50)} & lists.items.keys() == {f"s1@{GATEWAY}"}


def _asked(lists: Lists) -> list[str]:
    return [
        each.get("from", "")
        for each in lists.others
        if each.get("type") == "subscribe" and each.get("from") != GATEWAY
    ]


async def test_req_234_1007_twenty_ask_where_the_server_leaves_out_the_approval(
    house: House,
) -> None:
    lists = Lists(house, leaves_out=True)
    house.server.send(_GRANT)
    await _import_all(house, 120)
    await _run(house, lists, 60)
    assert len(lists.items) == 120
    assert len(_asked(lists)) == len(set(_asked(lists))) == 20
    # Those who had to stand back ask when they write, once.
    await house.clock.advance(3600)
    stood_back = {f"c{n}" for n in range(120)} - {jid.split("@")[0] for jid in _asked(lists)}
    one = sorted(stood_back)[0]
    for said in ("hello", "hello?"):
        house.network.says("alice", one, said)
        await _run(house, lists, 3)
    assert len(_asked(lists)) == 21
    assert _asked(lists)[-1] == f"{one}@{GATEWAY}"


async def test_req_306_5000_contacts_see_the_user_change_each_second(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As it is with a full contact list: whatever the user does comes 5,000 times."""
    number = 5000
    house.server.send(_GRANT)
    lists = Lists(house)
    lists.items = {
        f"c{n}@{GATEWAY}": Element(
            "item", jid=f"c{n}@{GATEWAY}", name=f"C{n}", subscription="both"
        )
        for n in range(number)
    }
    await house.clock.advance(2)
    while lists.answer():
        await house.clock.advance(1)
    known = "SELECT count(*) FROM contact WHERE to_user = 2 AND from_user = 2 AND remote_id <> ''"
    assert house.query(known) == [(number,)]
    puppets = [GATEWAY, *lists.items]
    house.server.send("".join(f"<presence from='{ALICE}/phone' to='{to}'/>" for to in puppets))
    await house.clock.advance(60)  # that they may see her is looked up once
    lists.answer()
    lists.others.clear()
    account = house.bridge.accounts.of(UserJid(ALICE))
    assert account is not None
    for name in ("write", "reader"):
        monkeypatch.setattr(house.store, name, None)
    with Stalls(0.05) as stalls:
        for show in ("away", "dnd", "xa", "chat", "away"):
            house.server.send(
                "".join(
                    f"<presence from='{ALICE}/phone' to='{to}'><show>{show}</show></presence>"
                    for to in puppets
                )
            )
            await house.clock.advance(1)
    monkeypatch.undo()
    ((resource, device),) = account.devices
    assert (resource, device.presence.availability) == ("phone", "away")
    lists.answer()
    assert not lists.others
    assert not [log for log in house.logs if log["log_level"] == "error"]
    assert not stalls.found


async def test_req_1011_what_was_lost_with_a_stream_is_no_silence(house: House) -> None:
    """What was asked on a stream that broke gets no answer: that says nothing of the next one."""
    lists = Lists(house)
    house.server.send(_GRANT)
    await house.clock.advance(2)
    lists.answer()
    await _import_all(house, 60)
    await house.clock.advance(2)
    lists.answer()  # the list; what is then put there comes to nothing
    await house.clock.settle()
    house.server.cut()
    house.server.received = asyncio.Queue()
    await house.clock.advance(5)
    await house.connected()
    house.server.send(_GRANT)
    began = house.clock.monotonic()
    while len(lists.items) < 60 and house.clock.monotonic() < began + 120:
        await house.clock.advance(0.5)
        while lists.answer():
            await house.clock.settle()
    assert len(lists.items) == 60
    assert not [log for log in house.logs if log["event"] == "privilege_refused"]


async def test_req_1011_a_batch_without_an_answer_is_one_silence(house: House) -> None:
    lists = Lists(house)
    house.server.send(_GRANT)
    await house.clock.advance(2)
    lists.answer()
    await _import_all(house, 50)
    await house.clock.advance(2)
    lists.answer()  # the list is read; nothing is heard of the fifty that are put there
    await house.clock.settle()
    assert house.server.received.qsize() >= 50
    house.server.received = asyncio.Queue()
    await house.clock.advance(21)
    assert not [log for log in house.logs if log["event"] == "privilege_refused"]
    house.server.send(_GRANT)
    await _run(house, lists, 60)
    assert len(lists.items) == 50


async def test_req_1008_who_changes_their_name_all_day_is_seen_to_once_a_minute(
    house: House,
) -> None:
    lists = Lists(house)
    house.server.send(_GRANT)
    await _import_all(house, 1)
    await _run(house, lists, 10)
    before = lists.reads
    for _ in range(20):  # nothing new
        house.network.event("alice", "profile", contact="c0", name="Contact 0")
        await _run(house, lists, 3)
    assert lists.reads == before
    for n in range(60):
        house.network.event("alice", "profile", contact="c0", name=f"Name {n}")
        await _run(house, lists, 2)
    await _run(house, lists, 60)
    assert lists.items[f"c0@{GATEWAY}"].get("name") == "Name 59"
    assert lists.reads - before <= 8


async def test_req_209_who_unregisters_meanwhile_has_their_list_left_alone(house: House) -> None:
    lists = Lists(house)
    house.server.send(_GRANT)
    await _import_all(house, 120)
    await house.clock.advance(2)
    lists.answer()
    await house.clock.settle()
    lists.answer()
    assert 0 < len(lists.items) <= 50
    account = house.bridge.accounts.of(UserJid(ALICE))
    assert account is not None
    await asyncio.gather(house.bridge.logins.unregister(account), house.clock.settle())
    for _ in range(60):
        await house.clock.advance(1)
        lists.answer()
    assert len(lists.items) <= 50
    assert house.query("SELECT count(*) FROM roster_item") == [(0,)]
    assert not [log for log in house.logs if log["log_level"] == "error"]
