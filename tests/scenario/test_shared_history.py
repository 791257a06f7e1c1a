# SPDX-License-Identifier: Apache-2.0
"""What was said in a shared room and was not told live: each account gets what the network tells
that one (REQ-584, REQ-585)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.scenario.house import House, Options
from tests.scenario.test_rooms import _bodies
from tests.scenario.test_shared_rooms import USERS, Town, _member


class Chronicle(Town):
    """With what the network has of the past."""

    def past(self, body: str, *hidden_from: str, ago_s: float = 1000.0, **fields: Any) -> str:
        """Something was said, which some accounts may not see. Returns its id."""
        known = self.house.network.past["!club"]
        id = str(fields.pop("id", f"past{len(known)}"))
        at = self.house.clock.now() - ago_s
        said = {"type": "room-message", "room": "!club", "sender": "bob", "id": id, "body": body}
        known.append({**said, "sent_at": at, **fields})
        self.house.network.hidden[id] = hidden_from
        return id

    async def read(self, name: str) -> list[str]:
        """All that her client finds who pages back, three at a time."""
        found: list[str] = []
        before = "<before/>"
        for _ in range(100):
            self.house.server.send(
                f"<iq type='set' id='mam' from='{USERS[name]}/phone' to='{self.room}'>"
                "<query xmlns='urn:xmpp:mam:2'><set xmlns='http://jabber.org/protocol/rsm'>"
                f"<max>3</max>{before}</set></query></iq>"
            )
            await self.house.clock.settle()
            page = (await self.settle())[name]
            found = [*_bodies(page), *found]
            fin = page[-1].find("{urn:xmpp:mam:2}fin")
            assert fin is not None
            if fin.get("complete") == "true":
                return found
            first = fin.findtext(".//{http://jabber.org/protocol/rsm}first")
            assert first, "neither more nor the end"
            before = f"<before>{first}</before>"
        raise AssertionError("there is no end")


@pytest_asyncio.fixture
async def town(tmp_path: Path) -> Any:
    async with House(tmp_path, Options(adapter="trusted")) as house:
        yield await Chronicle(house).begin()


@pytest.mark.parametrize("page", [1, 2, 100])
@pytest.mark.parametrize("order", [("alice", "carol"), ("carol", "alice")])
async def test_req_584_585_each_gets_what_the_network_tells_that_one(
    town: Chronicle, order: tuple[str, str], page: int
) -> None:
    """Whoever of them has looked first; and all of it in its order."""
    town.house.network.page = page
    seen: dict[str, list[str]] = {"alice": [], "carol": []}
    for number, hidden in enumerate(("", "carol", "carol", "alice", "", "carol", "alice", "")):
        body = f"before {number}"
        town.past(body, hidden)
        for name, bodies in seen.items():
            bodies += [] if name == hidden else [body]
    town.says(("alice", "carol"), "bob", "now", "m0")
    town.past("now", id="m0")
    await town.settle()
    for name in (*order, *order):
        assert await town.read(name) == [*seen[name], "now"]
    town.house.network.mute = True
    for name in order:
        assert await town.read(name) == [*seen[name], "now"]


async def test_req_584_what_one_has_fetched_is_not_told_to_the_other(town: Chronicle) -> None:
    await town.both_join()
    town.past("before")
    assert await town.read("alice") == ["before"]
    told = await town.settle()
    assert not told["carol"]
    await town.house.network.stop()
    await town.house.clock.settle()
    assert await town.archive("carol") == []


async def test_req_584_nothing_is_kept_twice(town: Chronicle) -> None:
    for number in range(7):
        town.past(f"before {number}")
    assert await town.read("alice") == await town.read("carol")
    assert town.house.query("SELECT count(*) FROM archived") == [(7,)]


@pytest.mark.parametrize("order", [("alice", "carol"), ("carol", "alice")])
async def test_what_only_one_can_open_is_for_that_one(
    town: Chronicle, order: tuple[str, str]
) -> None:
    """She was in the room when it was said, and the other one may not have been."""
    town.past("before")
    secret = town.past("secret")
    town.past("after")
    locked = {
        "type": "room-encrypted", "room": "!club", "id": secret, "contact": "bob",
        "content": "{}", "needs": "k1", "reason": "Why.", "sent_at": town.house.clock.now() - 900,
    }  # fmt: skip
    town.house.network.seen_by[secret, "carol"] = locked
    for name in order:
        await town.read(name)
    assert await town.read("alice") == ["before", "secret", "after"]
    assert "secret" not in await town.read("carol")
    assert (await town.read("carol"))[-1] == "after"


async def test_req_584_edits_and_reactions_are_for_whom_the_network_tells_them(
    town: Chronicle,
) -> None:
    town.house.network.page = 2
    first = town.past("tee?")
    town.past("tea?", "carol", edits=first, ago_s=900)
    town.past("the end")
    assert await town.read("carol") == ["tee?", "the end"]
    assert sorted(await town.read("alice")) == ["tea?", "tee?", "the end"]
    assert await town.read("carol") == ["tee?", "the end"]


async def test_req_585_what_was_said_while_one_was_out(town: Chronicle) -> None:
    """The network lets her read it: that is not for the gateway to say."""
    town.says(("alice", "carol"), "bob", "before", "m0")
    town.past("before", id="m0")
    town.tell("alice", "member-gone", user="carol", how="kicked")
    for number in range(4):
        id = f"meanwhile{number}"
        town.says(("alice",), "bob", id, id)
        town.past(id, *(("carol",) if number == 2 else ()), id=id)
    town.past("not told to alice", "alice")
    await town.settle()
    town.tell("alice", "member", member=_member("carol"))
    town.describe("carol")
    town.says(("alice", "carol"), "bob", "after", "m1")
    town.past("after", id="m1")
    await town.settle()
    meanwhile = [f"meanwhile{number}" for number in (0, 1, 3)]
    assert await town.read("carol") == ["before", *meanwhile, "not told to alice", "after"]
    assert "not told to alice" not in await town.read("alice")


@pytest.mark.parametrize("first", ["alice", "carol"])
async def test_req_583_all_sessions_have_the_same_gap(town: Chronicle, first: str) -> None:
    """Nobody was connected for long."""
    other = "carol" if first == "alice" else "alice"
    town.says(("alice", "carol"), "bob", "before", "m0")
    town.past("before", id="m0")
    await town.settle()
    await town.house.clock.advance(2000)
    missing = [f"missing {number}" for number in range(5)]
    for body in missing:
        town.past(body)
    for name in (first, other):
        town.tell(name, "room-gap", id="g0")
        town.says((name,), "bob", "after", "g0")
        await town.settle()
    town.past("after", id="g0")
    await town.settle()
    for name in ("carol", "alice"):
        found = [body for body in await town.read(name) if "not fetched" not in body]
        assert found == ["before", *missing, "after"]
    assert town.house.query("SELECT count(DISTINCT top) FROM gap WHERE top > 0") == [(1,)]


async def test_who_was_told_all_by_others_has_no_gap(town: Chronicle) -> None:
    """Alice's session was there, and has told what Carol's did not fetch."""
    for number in range(3):
        town.says(("alice",), "bob", f"text {number}", f"m{number}")
    await town.settle()
    town.tell("carol", "room-gap", id="m2")
    town.says(("carol",), "bob", "text 2", "m2")
    await town.settle()
    assert town.house.query("SELECT count(*) FROM gap WHERE top > 0") == [(0,)]
    assert await town.archive("carol") == [f"text {number}" for number in range(3)]


async def test_req_587_what_was_fetched_for_one_alone_goes_with_that_one(town: Chronicle) -> None:
    town.past("for both")
    town.past("for carol", "alice")
    for name in ("alice", "carol"):
        await town.read(name)
    account = town.house.bridge.accounts.of(USERS["carol"])  # type: ignore[arg-type]
    assert account is not None
    await town.house.bridge.logins.unregister(account)
    assert town.house.query("SELECT count(*) FROM archived") == [(1,)]
    assert await town.read("alice") == ["for both"]


async def test_req_587_rooms_become_one_and_each_finds_what_was_said(tmp_path: Path) -> None:
    """The room of the first is the one that stays. What that one was told the other one gets as
    well, where the network tells it to her."""
    async with House(tmp_path, Options()) as house:
        town = await Chronicle(house).begin()
        town.past("long ago")
        for name, hidden in (("alice", "carol"), ("carol", "alice")):
            town.says((name,), "bob", f"for {name}", f"m-{name}")
            town.past(f"for {name}", hidden, id=f"m-{name}")
        town.says(("alice", "carol"), "bob", "for both", "m1")
        town.past("for both", id="m1")
        await town.settle()
        assert await town.read("alice") == ["long ago", "for alice", "for both"]
        await house.stop()
        house.options = Options(adapter="trusted")
        await house.start()
        await house.connected()
        await house.clock.advance(40)
        for name in ("alice", "carol"):
            town.describe(name)
        await town.settle()
        assert await town.read("alice") == ["long ago", "for alice", "for both"]
        assert sorted(await town.read("carol")) == ["for both", "for carol", "long ago"]


async def test_req_584_a_crash_in_a_shared_room_loses_and_doubles_nothing(
    town: Chronicle,
) -> None:
    town.house.network.page = 3
    bodies = [f"before {number}" for number in range(10)]
    for body in bodies:
        town.past(body)
    for name in ("alice", "carol"):
        town.house.network.mute = True
        town.house.server.send(
            f"<iq type='set' id='q' from='{USERS[name]}/phone' to='{town.room}'>"
            "<query xmlns='urn:xmpp:mam:2'><set xmlns='http://jabber.org/protocol/rsm'><before/>"
            "</set></query></iq>"
        )
        await town.house.clock.settle()
        await town.house.kill()
        town.house.network.mute = False
        await town.house.start()
        await town.house.connected()
        await town.house.clock.advance(5)
        await town.settle()
        assert await town.read(name) == bodies
