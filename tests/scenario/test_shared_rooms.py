# SPDX-License-Identifier: Apache-2.0
"""Rooms that several accounts share, since the admin trusts their homeserver."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self
from xml.etree.ElementTree import Element

import pytest
import pytest_asyncio

from gateway.store.journal import OF_SHARED_ROOM
from tests.scenario.house import GATEWAY, HOME, House, Options
from tests.scenario.test_rooms import MAM, MUC_USER, _received
from tests.scenario.test_stream import ALICE, running

CAROL = f"carol@{HOME}"
DAVE = f"dave@{HOME}"
USERS = {"alice": ALICE, "carol": CAROL, "dave": DAVE}
SID = "{urn:xmpp:sid:0}stanza-id"
STANZAS = "{urn:ietf:params:xml:ns:xmpp-stanzas}"
OCCUPANT_ID = "{urn:xmpp:occupant-id:0}occupant-id"


def _member(name: str) -> dict[str, Any]:
    return {"user": name, "name": name.title()}


class Town:
    """Alice and Carol are in a room of the network, each with an account of her own."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.members = ["alice", "bob", "carol"]
        self.room = ""

    async def begin(self) -> Self:
        await running(self.house)
        await self.house.link(CAROL, "carol")
        for account in ("alice", "carol"):
            self.describe(account)
        await self.settle()
        ((address,),) = self.house.query("SELECT localpart FROM address WHERE remote_id='!club'")
        self.room = f"{address}@{GATEWAY}"
        return self

    def describe(self, account: str, **fields: Any) -> None:
        """Its session tells the whole room."""
        members = list(map(_member, self.members))
        fields = {"name": "Club", "members": members, **fields}
        self.house.network.event(account, "room", room="!club", **fields)

    def tell(self, account: str, kind: str, **fields: Any) -> None:
        """Its session tells something of the room."""
        self.house.network.event(account, kind, room="!club", **fields)

    def says(self, accounts: Sequence[str], sender: str, body: str, id: str, **more: Any) -> None:
        """These sessions are told, in this order, that somebody says something."""
        sent_at = self.house.clock.now()
        for account in accounts:
            fields = {"sender": sender, "id": id, "body": body, "sent_at": sent_at}
            self.tell(account, "room-message", **fields, **more)

    async def settle(self) -> dict[str, list[Element]]:
        """What has been sent until now, by the local part of the addressee."""
        await self.house.clock.settle()
        found: dict[str, list[Element]] = {name: [] for name in USERS}
        for element in _received(self.house):
            found.setdefault(element.get("to", "").partition("@")[0], []).append(element)
        return found

    async def join(self, name: str, device: str = "phone") -> list[Element]:
        self.house.server.send(
            f"<presence from='{USERS[name]}/{device}' to='{self.room}/{name.title()}'>"
            "<x xmlns='http://jabber.org/protocol/muc'/></presence>"
        )
        return (await self.settle())[name]

    async def both_join(self) -> None:
        await self.join("alice")
        await self.join("carol")

    def send(self, name: str, body: str, id: str) -> None:
        self.house.server.send(
            f"<message type='groupchat' id='{id}' from='{USERS[name]}/phone' to='{self.room}'>"
            f"<body>{body}</body></message>"
        )

    async def archive(self, name: str) -> list[str]:
        """What her clients read there."""
        self.house.server.send(
            f"<iq type='set' id='mam' from='{USERS[name]}/phone' to='{self.room}'>"
            "<query xmlns='urn:xmpp:mam:2'/></iq>"
        )
        answers = (await self.settle())[name]
        results = (answer.find(f"{MAM}result") for answer in answers)
        return _texts(
            message
            for result in results
            if result is not None
            for message in result.iter("{jabber:client}message")
        )


def _texts(messages: Any) -> list[str]:
    return [
        child.text or ""
        for message in messages
        for child in message
        if child.tag.endswith("}body")
    ]


def _groupchat(stanzas: Sequence[Element]) -> list[Element]:
    return [each for each in stanzas if each.get("type") == "groupchat"]


def _codes(presence: Element) -> set[str]:
    return {status.get("code", "") for status in presence.iter(f"{MUC_USER}status")}


@pytest_asyncio.fixture
async def town(tmp_path: Path) -> Any:
    async with House(tmp_path, Options(adapter="trusted")) as house:
        yield await Town(house).begin()


async def test_each_sees_the_other_as_one_occupant(town: Town) -> None:
    """REQ-521, REQ-528: with her real address, as the group is private."""
    seen = {name: await town.join(name) for name in ("alice", "carol")}
    for name, other in (("alice", "carol"), ("carol", "alice")):
        presences = {
            each.get("from", "").partition("/")[2]: each
            for each in seen[name]
            if each.tag.endswith("presence")
        }
        assert sorted(presences) == ["Alice", "Bob", "Carol"]
        jids = {
            nick: item.get("jid")
            for nick, each in presences.items()
            if (item := each.find(f".//{MUC_USER}item")) is not None
        }
        assert jids["Bob"] == f"bob@{GATEWAY}"
        assert jids[other.title()] == USERS[other]
        assert jids[name.title()] == f"{USERS[name]}/phone"
        assert "110" in _codes(presences[name.title()])
        assert "110" not in _codes(presences[other.title()])


async def test_req_521_who_comes_in_later_is_shown_as_who_they_are(town: Town) -> None:
    """To those who have seen a puppet of the network until then."""
    await town.house.link(DAVE, "dave")
    town.members.append("dave")
    town.tell("alice", "member", member=_member("dave"))
    await town.settle()
    jids = []
    seen = await town.join("alice")
    town.describe("dave")
    for told in (seen, (await town.settle())["alice"]):
        for each in told:
            item = each.find(f".//{MUC_USER}item")
            if each.get("from") == f"{town.room}/Dave" and item is not None:
                jids.append(item.get("jid"))
    assert jids == [f"dave@{GATEWAY}", DAVE]


@pytest.mark.parametrize("order", [("alice", "carol"), ("carol", "alice")])
async def test_what_is_said_comes_once_and_under_one_id(
    town: Town, order: tuple[str, str]
) -> None:
    await town.both_join()
    town.says(order, "bob", "hello", "m1")
    told = await town.settle()
    ids = {name: [each.find(SID) for each in _groupchat(told[name])] for name in order}
    assert [len(found) for found in ids.values()] == [1, 1]
    (first, second) = (found[0].get("id") for found in ids.values() if found[0] is not None)
    assert first == second
    assert await town.archive("alice") == await town.archive("carol") == ["hello"]


async def test_one_fan_out(town: Town) -> None:
    """One row for all sessions, however many accounts there are."""
    await town.both_join()
    town.says(("alice", "carol"), "bob", "hello", "m1")
    await town.settle()
    rows = town.house.query("SELECT payload FROM inbound")
    assert sum(b"hello" in payload for (payload,) in rows) == 1


@pytest.mark.parametrize("first", ["own", "other", "crash", "other and crash"])
async def test_req_560_own_messages_come_once(town: Town, first: str) -> None:
    """Whichever session sees the echo first, and with a crash in between."""
    house = town.house
    await town.both_join()
    if "crash" in first:
        house.network.faults.append({"silent": "after"})  # it is taken, and no answer comes
    town.send("alice", "mine", "client-1")
    await house.clock.settle()
    (sent,) = [text for text in house.network.sent if text.body == "mine"]
    if "other" in first:
        town.says(("carol",), "alice", "mine", sent.id, key=sent.key)
        await house.clock.settle()
    told = _received(house)
    if "crash" in first:
        await house.kill()
        await house.start()
        await house.connected()
        await house.clock.advance(5)
        town.says(("alice", "carol"), "alice", "mine", sent.id, key=sent.key)
    town.says(("carol",), "alice", "mine", sent.id, key=sent.key)
    await house.clock.advance(5)
    told += _received(house)
    for name in ("alice", "carol"):
        mine = {
            each.get("id")
            for each in _groupchat(told)
            if each.get("to", "").startswith(name) and _texts([each])
        }
        assert mine == {"client-1"}
    assert await town.archive("alice") == ["mine"]
    assert await town.archive("carol") == ["mine"]
    assert len([text for text in house.network.sent if text.body == "mine"]) == 1


async def test_a_key_in_somebody_elses_message_is_no_echo(town: Town) -> None:
    """Everybody in the room can read the key of a message."""
    await town.both_join()
    town.house.network.faults.append({"silent": "before"})
    town.send("alice", "mine", "client-1")
    await town.settle()
    key = town.house.query("SELECT id FROM outbound")[0][0]
    instance = town.house.store.instance
    town.says(("carol", "alice"), "bob", "forged", "m77", key=f"{instance}.{key}")
    told = await town.settle()
    assert _texts(_groupchat(told["alice"])) == ["forged"]
    assert {each.get("id") for each in _groupchat(told["alice"])} != {"client-1"}


async def test_one_logs_out_and_the_other_notices_nothing(town: Town) -> None:
    await town.both_join()
    carol = town.house.bridge.accounts.of(CAROL)  # type: ignore[arg-type]
    assert carol is not None
    await town.house.bridge.logins.log_out(carol)
    told = await town.settle()
    assert [_codes(each) for each in told["carol"] if each.get("type") == "unavailable"][-1:] == [
        {"110", "333"}
    ]
    assert not [each for each in told["alice"] if each.get("from", "").startswith(town.room)]
    town.says(("alice",), "bob", "hello", "m1")
    told = await town.settle()
    assert _texts(_groupchat(told["alice"])) == ["hello"]
    assert not _groupchat(told["carol"])


async def test_one_unregisters_and_the_room_stays(town: Town) -> None:
    """REQ-587: what was said goes with the last account that shares the room."""
    await town.both_join()
    town.says(("carol", "alice"), "bob", "hello", "m1")
    await town.settle()
    for name in ("carol", "alice"):
        assert town.house.query("SELECT count(*) FROM archived") == [(1,)]
        account = town.house.bridge.accounts.of(USERS[name])  # type: ignore[arg-type]
        assert account is not None
        await town.house.bridge.logins.unregister(account)
        told = await town.settle()
        if name == "carol":
            seen = [each for each in told["alice"] if each.get("from", "").startswith(town.room)]
            assert [each.get("type") for each in seen] == [None]  # see the test of REQ-521
            assert await town.archive("alice") == ["hello"]
    assert town.house.query("SELECT count(*) FROM archived") == [(0,)]
    assert town.house.query("SELECT count(*) FROM room") == [(0,)]


async def test_req_521_who_unregisters_is_somebody_of_the_network(town: Town) -> None:
    """To those who are in the room, at once: her address here is nobody's there any more."""
    await town.both_join()
    account = town.house.bridge.accounts.of(USERS["carol"])  # type: ignore[arg-type]
    assert account is not None
    await town.house.bridge.logins.unregister(account)
    told = (await town.settle())["alice"]
    (presence,) = [each for each in told if each.get("from", "").startswith(town.room)]
    item = presence.find(f".//{MUC_USER}item")
    assert item is not None
    assert (presence.get("from"), presence.get("type")) == (f"{town.room}/Carol", None)
    assert (item.get("jid"), item.get("role")) == (f"carol@{GATEWAY}", "participant")
    again = {each.get("from"): each for each in await town.join("alice")}
    item = again[f"{town.room}/Carol"].find(f".//{MUC_USER}item")
    assert item is not None
    assert item.get("jid") == f"carol@{GATEWAY}"


async def test_what_waits_in_a_room_goes_with_the_last_who_shares_it(town: Town) -> None:
    """REQ-712: and counts no more."""
    await town.both_join()
    await town.house.clock.advance(5)
    town.house.server.answers_barriers = False
    town.says(("carol",), "bob", "hello", "m1")
    await town.settle()
    for name in ("carol", "alice"):
        account = town.house.bridge.accounts.of(USERS[name])  # type: ignore[arg-type]
        assert account is not None
        assert OF_SHARED_ROOM in town.house.bridge.traffic.backlog._loads
        await town.house.bridge.logins.unregister(account)
        await town.settle()
    assert OF_SHARED_ROOM not in town.house.bridge.traffic.backlog._loads


@pytest.mark.parametrize(
    "tellers", [("alice", "carol"), ("carol", "alice"), ("alice",), ("carol",)]
)
async def test_req_511_one_is_kicked(town: Town, tellers: tuple[str, ...]) -> None:
    """The other sees that, and stays. What is said then is not told to who is out."""
    await town.both_join()
    town.says(("alice", "carol"), "bob", "before", "m0")
    await town.settle()
    for account in tellers:
        town.tell(account, "member-gone", user="carol", how="kicked", actor="bob")
    told = await town.settle()
    gone = {name: [e for e in told[name] if e.get("type") == "unavailable"] for name in USERS}
    assert [_codes(each) for each in gone["carol"]] == [{"110", "307"}]
    assert [_codes(each) for each in gone["alice"]] == [{"307"}]
    town.says(("alice",), "bob", "after", "m1")
    told = await town.settle()
    assert _texts(_groupchat(told["alice"])) == ["after"]
    assert not _groupchat(told["carol"])
    assert await town.archive("carol") == []
    assert await town.archive("alice") == ["before", "after"]


async def test_one_fails_and_the_other_notices_nothing(town: Town) -> None:
    """Carol's session is the one that led: what happens is told by Alice's."""
    await town.both_join()
    town.house.network.revoke("alice")
    await town.house.clock.advance(100)
    asked = [c for c in town.house.network.commands if c["op"] == "tell-rooms"]
    assert asked
    assert asked[0]["rooms"] == ["!club"]
    await town.settle()
    town.members.append("eve")
    town.describe("carol")
    told = await town.settle()
    assert [each.get("from") for each in told["carol"]] == [f"{town.room}/Eve"]
    assert [each.get("from") for each in told["alice"]] == [f"{town.room}/Eve"]
    town.says(("carol",), "bob", "hello", "m1")
    told = await town.settle()
    assert _texts(_groupchat(told["alice"])) == _texts(_groupchat(told["carol"])) == ["hello"]


def _asked(town: Town) -> list[list[str]]:
    """Of which rooms sessions were asked to tell them whole."""
    commands = town.house.network.commands
    return [command["rooms"] for command in commands if command["op"] == "tell-rooms"]


@pytest.mark.parametrize("how", ["expires", "logs out", "unregisters", "is stopped"])
async def test_another_one_leads_at_once_when_the_leader_does_not_come_back(
    town: Town, how: str
) -> None:
    """Nobody waits half a minute for a session that will not be there again by itself."""
    await town.both_join()
    house = town.house
    account = house.bridge.accounts.of(ALICE)  # type: ignore[arg-type]
    assert account is not None
    if how == "expires":
        house.network.revoke("alice")
    elif how == "logs out":
        await house.bridge.logins.log_out(account)
    elif how == "unregisters":
        await house.bridge.logins.unregister(account)
    else:
        assert account.link is not None
        await account.link.stop()  # as when the admin does not admit her any more
        await house.clock.advance(10)
    await house.clock.advance(1)
    assert _asked(town)[:1] == [["!club"]]


async def test_a_leader_who_comes_back_soon_leads_on(town: Town) -> None:
    """To tell a room whole costs much."""
    await town.both_join()
    house = town.house
    house.network.event("alice", "room", room="!club", members="nonsense")  # her session fails
    account = house.bridge.accounts.of(ALICE)  # type: ignore[arg-type]
    assert account is not None
    await house.clock.advance(25)
    assert not house.bridge.accounts.is_live(account.id)
    assert not _asked(town)
    await house.clock.advance(20)
    assert _asked(town)[:1] == [["!club"]]
    house.logs.clear()


@pytest.mark.parametrize("trouble", ["raises", "hangs"])
async def test_an_adapter_that_fails_to_tell_its_rooms_keeps_no_other_from_it(
    town: Town, trouble: str
) -> None:
    """All of their rooms have lost their leaders."""

    async def tell_rooms(rooms: object) -> None:
        if trouble == "raises":
            raise RuntimeError("this adapter has a defect")
        await town.house.clock.sleep(1_000_000)

    await town.house.link(DAVE, "dave")
    town.house.network.event("dave", "room", room="!tea", name="Tea", members=[_member("dave")])
    await town.settle()
    for name in ("alice", "carol"):  # one of them is asked before dave
        account = town.house.bridge.accounts.of(USERS[name])  # type: ignore[arg-type]
        assert account is not None
        assert account.link is not None
        assert account.link.session is not None
        account.link.session.tell_rooms = tell_rooms  # type: ignore[method-assign]
    await town.house.store.write(lambda db: db.execute("UPDATE room SET leader = NULL"))
    await town.house.clock.advance(100)
    asked = [c["rooms"] for c in town.house.network.commands if c["op"] == "tell-rooms"]
    assert ["!tea"] in asked


async def test_what_one_tells_late_undoes_nothing(town: Town) -> None:
    """Alice's session leads. What Carol's was told before that comes late."""
    await town.both_join()
    town.members.append("eve")
    town.tell("alice", "member", member=_member("eve"))
    town.tell("alice", "member-gone", user="eve")
    town.describe("alice", name="New", members=None)
    await town.settle()
    town.tell("carol", "member", member=_member("eve"))
    town.describe("carol", name="Club")
    told = await town.settle()
    assert not told["alice"]
    assert not told["carol"]
    assert town.house.query("SELECT name FROM room") == [("New",)]
    assert town.house.query("SELECT count(*) FROM member WHERE remote_id = 'eve'") == [(0,)]


async def test_ghosts_do_not_come_back_with_a_new_leader(town: Town) -> None:
    """What changed while nobody led is in the list that the new one tells."""
    await town.both_join()
    town.house.network.revoke("alice")
    await town.house.clock.advance(40)
    town.tell("carol", "member-gone", user="bob")  # before it leads
    await town.settle()
    await town.house.clock.advance(60)
    town.members.remove("bob")
    town.describe("carol")
    told = await town.settle()
    assert [each.get("type") for each in told["carol"]] == ["unavailable"]
    assert not town.house.query("SELECT 1 FROM member WHERE remote_id = 'bob'")


@pytest.mark.parametrize("shows_past", [False, True])
@pytest.mark.parametrize("order", [("alice", "dave"), ("dave", "alice")])
async def test_one_joined_late(town: Town, order: tuple[str, str], shows_past: bool) -> None:
    """What was said before is read by who may: the room says whether newcomers do."""
    if shows_past:
        town.describe("alice", shows_past=True)
    town.says(("alice", "carol"), "bob", "before", "m0")
    await town.settle()
    await town.house.link(DAVE, "dave")
    town.members.append("dave")
    for account in order:
        if account == "dave":
            town.describe("dave", is_new=True, shows_past=shows_past)
        else:
            town.tell("alice", "member", member=_member("dave"))
    await town.settle()
    await town.join("dave")
    town.says(("alice", "carol", "dave"), "bob", "after", "m1")
    told = await town.settle()
    assert _texts(_groupchat(told["dave"])) == ["after"]
    due = ["before", "after"] if shows_past else ["after"]
    assert await town.archive("dave") == due
    await town.join("alice")
    assert await town.archive("alice") == ["before", "after"]


async def test_the_past_is_hidden_as_soon_as_any_session_says_so(town: Town) -> None:
    """That of the leader may be slower than the one that tells what is said next."""
    town.describe("alice", shows_past=True)
    town.describe("carol", shows_past=False)
    town.says(("carol", "alice"), "bob", "before", "m0")
    town.describe("alice", shows_past=False)
    await town.settle()
    await town.house.link(DAVE, "dave")
    town.members.append("dave")
    town.describe("dave", is_new=True)
    await town.settle()
    await town.join("dave")
    assert await town.archive("dave") == []


async def test_history_on_join_is_what_is_due(town: Town) -> None:
    """REQ-509."""
    town.says(("alice",), "bob", "before", "m0")
    await town.settle()
    await town.house.link(DAVE, "dave")
    town.members.append("dave")
    town.describe("dave")
    await town.settle()
    town.says(("alice",), "bob", "after", "m1")
    await town.settle()
    assert _texts(await town.join("dave")) == ["after"]
    assert _texts(await town.join("alice")) == ["before", "after"]


@pytest.mark.parametrize("order", [("alice", "carol"), ("carol", "alice"), ("alice",)])
async def test_one_ignores_the_sender(town: Town, order: tuple[str, ...]) -> None:
    """Live, in the archive, and when she joins; the network tells her own session nothing."""
    await town.both_join()
    town.house.network.event("carol", "room-ignored", users=["bob"])
    await town.settle()
    town.says(order, "bob", "noise", "m1")
    town.says(order, "alice", "word", "m2")
    told = await town.settle()
    assert _texts(_groupchat(told["alice"])) == ["noise", "word"]
    assert _texts(_groupchat(told["carol"])) == ["word"]
    assert await town.archive("carol") == ["word"]
    assert await town.archive("alice") == ["noise", "word"]
    assert _texts(await town.join("carol", "desk")) == ["word"]
    town.house.network.event("carol", "room-ignored", users=[])
    await town.settle()
    town.says(order, "bob", "again", "m3")
    assert _texts(_groupchat((await town.settle())["carol"])) == ["again"] * 2  # two devices


@pytest.mark.parametrize("order", [("alice", "carol"), ("carol", "alice")])
async def test_one_lacks_the_keys(town: Town, order: tuple[str, str]) -> None:
    """What one could open is for all who were members then; what nobody can waits for a key and
    does not take the place of the message."""
    await town.both_join()
    sent_at = town.house.clock.now()
    for account in order:
        if account == "alice":
            town.says(("alice",), "bob", "secret", "m1")
        else:
            locked = {"contact": "bob", "id": "m1", "content": "{}", "needs": "k1"}
            town.tell("carol", "room-encrypted", **locked, sent_at=sent_at)
    told = await town.settle()
    assert _texts(_groupchat(told["alice"])) == ["secret"]
    assert _texts(_groupchat(told["carol"])) == ["secret"]
    await town.house.clock.advance(120)
    told = await town.settle()
    assert not _groupchat(told["alice"])
    assert not _groupchat(told["carol"])
    assert not town.house.query("SELECT 1 FROM held")
    assert await town.archive("carol") == ["secret"]


async def test_what_becomes_readable_is_not_for_who_joined_since(town: Town) -> None:
    await town.both_join()
    locked = {"contact": "bob", "id": "m1", "content": "{}", "needs": "k1"}
    town.tell("alice", "room-encrypted", **locked, sent_at=town.house.clock.now())
    await town.settle()
    await town.house.clock.advance(10)
    await town.house.link(DAVE, "dave")
    town.members.append("dave")
    town.describe("dave")
    await town.settle()
    await town.join("dave")
    town.says(("carol",), "bob", "secret", "m1")
    told = await town.settle()
    assert _texts(_groupchat(told["alice"])) == ["secret"]
    assert not _groupchat(told["dave"])
    assert await town.archive("dave") == []
    assert await town.archive("carol") == ["secret"]


@pytest.mark.parametrize("goes", [False, True])
async def test_req_423_who_edits_again_and_again_is_told_of_once_in_a_while(
    town: Town, *, goes: bool
) -> None:
    """And in the end, whoever has told the last edit; but not to who has come in since."""
    await town.both_join()
    both = ("carol", "alice")
    town.says(both, "bob", "0", "m1")
    for number in range(1, 4):
        town.says(both, "bob", str(number), f"e{number}", edits="m1")
    told = await town.settle()
    for name in both:
        assert _texts(_groupchat(told[name])) == ["0", "1"]
    await town.house.clock.advance(1)
    await town.house.link(DAVE, "dave")
    town.members.append("dave")
    town.describe("dave")
    await town.settle()
    await town.join("dave")
    if goes:
        carol = town.house.bridge.accounts.of(CAROL)  # type: ignore[arg-type]
        assert carol is not None
        await town.house.bridge.logins.log_out(carol)
    await town.house.clock.advance(3)
    told = await town.settle()
    assert _texts(_groupchat(told["alice"])) == ["3"]
    assert _texts(_groupchat(told["carol"])) == ([] if goes else ["3"])
    assert not _groupchat(told["dave"])
    assert await town.archive("alice") == ["0", "1", "3"]
    assert await town.archive("dave") == []


async def test_only_who_has_said_it_can_change_it(town: Town) -> None:
    await town.both_join()
    town.send("alice", "mine", "client-1")
    told = await town.settle()
    said = _groupchat(told["carol"])[0].find(SID)
    assert said is not None
    retract = f"<retract xmlns='urn:xmpp:message-retract:1' id='{said.get('id')}'/>"
    for name, is_hers in (("carol", False), ("alice", True)):
        town.house.server.send(
            f"<message type='groupchat' id='r-{name}' from='{USERS[name]}/phone' to='{town.room}'>"
            f"{retract}</message>"
        )
        told = await town.settle()
        assert any(each.get("type") == "error" for each in told[name]) is not is_hers


async def test_only_who_has_said_it_can_change_what_is_still_on_its_way(town: Town) -> None:
    """Nobody else is known to have said it: the archive does not have it yet."""
    await town.both_join()
    town.house.network.faults.append({"silent": "before"})
    town.send("alice", "mine", "client-1")
    await town.house.clock.settle()
    about = {
        "retraction": "<retract xmlns='urn:xmpp:message-retract:1' id='client-1'/>",
        "edit": "<body>x</body><replace xmlns='urn:xmpp:message-correct:0' id='client-1'/>",
    }
    for kind, content in about.items():
        for name, is_hers in (("carol", False), ("alice", True)):
            town.house.server.send(
                f"<message type='groupchat' id='{kind}-{name}' from='{USERS[name]}/phone'"
                f" to='{town.room}'>{content}</message>"
            )
            told = await town.settle()
            refused = {each.get("id"): each for each in told[name] if each.get("type") == "error"}
            assert list(refused) == ([] if is_hers else [f"{kind}-{name}"])
            assert all(
                each.find(f".//{STANZAS}forbidden") is not None for each in refused.values()
            )


async def test_read_marks_are_each_ones_own(town: Town) -> None:
    """REQ-570: what one has read is told to her own devices alone."""
    await town.both_join()
    await town.join("alice", "desk")
    await town.join("carol", "desk")
    town.says(("alice", "carol"), "bob", "hello", "m1")
    told = await town.settle()
    said = _groupchat(told["alice"])[0].find(SID)
    assert said is not None
    for name, other in (("alice", "carol"), ("carol", "alice")):
        town.house.server.send(
            f"<message type='groupchat' from='{USERS[name]}/phone' to='{town.room}'>"
            f"<displayed xmlns='urn:xmpp:chat-markers:0' id='{said.get('id')}'/></message>"
        )
        told = await town.settle()
        assert [each.get("to") for each in told[name]] == [f"{USERS[name]}/desk"]
        assert not told[other]
    marked = [c["op"] for c in town.house.network.commands if c["op"] == "read-room"]
    assert len(marked) == 2


async def test_req_570_how_far_somebody_has_read_is_not_told_to_who_ignores_them(
    town: Town,
) -> None:
    await town.both_join()
    town.house.network.event("carol", "room-ignored", users=["bob"])
    town.says(("alice", "carol"), "alice", "hello", "m1")
    await town.settle()
    town.tell("alice", "room-read", reader="bob", up_to="m1")
    told = await town.settle()
    assert [each.get("from") for each in told["alice"]] == [f"{town.room}/Bob"]
    assert not told["carol"]


async def test_req_549_a_subject_is_what_the_room_is_whoever_has_set_it(town: Town) -> None:
    """Networks tell what a room is to those as well who ignore the one who has changed it, and
    whoever joins is told the subject in any case."""
    await town.both_join()
    town.house.network.event("carol", "room-ignored", users=["bob"])
    town.describe("alice", topic="Tea", topic_by="bob")
    told = await town.settle()
    subjects = [each.findtext("{jabber:component:accept}subject") for each in told["carol"]]
    assert subjects == ["Tea"]


async def test_req_571_read_in_another_app(town: Town) -> None:
    await town.both_join()
    town.says(("alice", "carol"), "bob", "hello", "m1")
    await town.settle()
    town.tell("carol", "room-read", reader="carol", up_to="m1")
    told = await town.settle()
    assert [each.get("from") for each in told["carol"]] == [f"{town.room}/Carol"]
    assert not told["alice"]
    rows = town.house.query(
        "SELECT account.user, payload FROM inbound"
        " JOIN conversation ON conversation.id = inbound.conversation"
        " JOIN account ON account.id = conversation.account"
    )
    marks = [user for user, payload in rows if b"RoomDisplayed" in payload]
    assert marks == [CAROL]  # whose server is asked to keep it


async def test_nobody_waits_for_what_somebody_else_says(town: Town) -> None:
    """Each account's commands are carried out apart from those of others."""
    await town.both_join()
    town.house.network.faults.append({"silent": "before"})
    town.send("alice", "slow", "client-1")
    await town.house.clock.settle()
    town.send("carol", "quick", "client-2")
    told = await town.settle()
    assert _texts(_groupchat(told["carol"])) == ["quick"]
    assert _texts(_groupchat(told["alice"])) == ["quick"]


async def test_req_549_nobody_waits_for_the_subject_of_somebody_else(town: Town) -> None:
    members = [{**_member(name), "affiliation": "admin"} for name in town.members]
    for account in ("alice", "carol"):
        town.describe(account, members=members)
    await town.both_join()
    town.house.network.mute = True
    for number, name in enumerate(("alice", "carol", "carol")):
        to_room = f"from='{USERS[name]}/phone' to='{town.room}' type='groupchat'"
        town.house.server.send(
            f"<message id='s{number}' {to_room}><subject>{name}</subject></message>"
        )
    refused = [each for found in (await town.settle()).values() for each in found]
    assert [(each.get("type"), each.get("id")) for each in refused] == [("error", "s2")]


async def test_the_same_id_of_two_clients_is_two_messages(town: Town) -> None:
    await town.both_join()
    for name in ("alice", "carol"):
        town.send(name, f"by {name}", "same")
        told = await town.settle()
        for other in ("alice", "carol"):
            assert _texts(_groupchat(told[other])) == [f"by {name}"]


async def test_req_559_a_kill_changes_nothing(town: Town) -> None:
    await town.both_join()
    await town.house.clock.advance(5)
    await town.settle()
    await town.house.kill()
    await town.house.start()
    await town.house.connected()
    await town.house.clock.advance(5)
    told = await town.settle()
    assert not [e for name in USERS for e in told[name] if e.get("from", "").startswith(town.room)]
    town.says(("carol", "alice"), "bob", "hello", "m1")
    told = await town.settle()
    assert _texts(_groupchat(told["alice"])) == _texts(_groupchat(told["carol"])) == ["hello"]


async def test_what_is_trusted_may_change(tmp_path: Path) -> None:
    """With a start: rooms that were each one's own become one, with what was said there; and when
    the homeserver is trusted no longer each has a room of her own, told anew."""
    async with House(tmp_path, Options()) as house:
        town = await Town(house).begin()
        town.says(("alice", "carol"), "bob", "before", "m0")
        await town.settle()
        assert house.query("SELECT count(*) FROM room") == [(2,)]
        await house.stop()
        house.options = Options(adapter="trusted")
        await house.start()
        await house.connected()
        assert house.query("SELECT count(*) FROM room") == [(1,)]
        await house.clock.advance(40)
        asked = [c["rooms"] for c in house.network.commands if c["op"] == "tell-rooms"]
        assert asked == [None, None]
        for account in ("alice", "carol"):
            town.describe(account)
        await town.settle()
        await town.both_join()
        town.says(("alice", "carol"), "bob", "shared", "m1")
        told = await town.settle()
        assert _texts(_groupchat(told["alice"])) == _texts(_groupchat(told["carol"])) == ["shared"]
        assert await town.archive("alice") == ["before", "shared"]
        await house.stop()
        house.options = Options()
        await house.start()
        await house.connected()
        await house.clock.advance(40)
        for account in ("alice", "carol"):
            town.describe(account)
        await town.settle()
        assert house.query("SELECT count(*) FROM room") == [(2,)]
        await town.both_join()
        town.says(("alice",), "bob", "apart", "m2")
        told = await town.settle()
        assert _texts(_groupchat(told["alice"])) == ["apart"]
        assert not _groupchat(told["carol"])


async def test_untrusted_accounts_share_nothing(tmp_path: Path) -> None:
    async with House(tmp_path, Options()) as house:
        town = await Town(house).begin()
        await town.both_join()
        town.says(("carol",), "bob", "forged", "m1")
        told = await town.settle()
        assert not _groupchat(told["alice"])
        assert _texts(_groupchat(told["carol"])) == ["forged"]


async def test_req_576_in_a_slow_shared_room_everybody_waits_for_themselves(town: Town) -> None:
    await town.both_join()
    town.describe("alice", slow_mode_s=30)
    town.describe("carol", slow_mode_s=30)
    await town.settle()
    town.house.network.faults.append({"silent": "before"})
    town.send("alice", "one", "a1")
    await town.settle()
    town.send("carol", "two", "c1")
    town.send("alice", "three", "a2")
    told = await town.settle()
    refused = [
        stanza.get("id")
        for name in ("alice", "carol")
        for stanza in told[name]
        if stanza.get("type") == "error"
    ]
    assert refused == ["a2"]
