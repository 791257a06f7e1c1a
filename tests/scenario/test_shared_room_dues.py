# SPDX-License-Identifier: Apache-2.0
"""What is due to each of several accounts that share a room, and what waits when that changes."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from gateway.bridge.rooms import leading
from gateway.xmpp.rooms import stanzas
from tests.scenario.house import GATEWAY, House, Options
from tests.scenario.test_shared_rooms import USERS, Town, _groupchat, _member, _texts
from tests.scenario.test_stream import running


@pytest_asyncio.fixture
async def town(tmp_path: Path) -> Any:
    async with House(tmp_path, Options(adapter="trusted")) as house:
        yield await Town(house).begin()


async def _dave_comes(town: Town) -> None:
    await town.house.link(USERS["dave"], "dave")
    town.members.append("dave")
    town.describe("dave")
    await town.settle()
    await town.join("dave")


def _locked(town: Town, accounts: Sequence[str], id: str) -> None:
    """These sessions are told of something that they cannot read."""
    secret = {"contact": "bob", "id": id, "content": "{}", "needs": "k1"}
    for account in accounts:
        town.tell(account, "room-encrypted", **secret, sent_at=town.house.clock.now())


async def test_what_a_line_stood_for_is_not_for_who_joined_since(town: Town) -> None:
    """REQ-585: nobody could read it for a minute; the archive has it in the place of the line."""
    await town.both_join()
    _locked(town, ["alice"], "m1")
    await town.house.clock.advance(10)
    await _dave_comes(town)
    await town.house.clock.advance(120)
    told = await town.settle()
    assert len(_texts(_groupchat(told["alice"]))) == 1  # the line
    town.says(("carol",), "bob", "secret", "m1")
    told = await town.settle()
    assert "secret" in _texts(_groupchat(told["alice"]))
    assert "secret" in await town.archive("carol")
    assert not _groupchat(told["dave"])
    assert await town.archive("dave") == []


async def test_an_edit_that_becomes_readable_is_not_for_who_joined_since(town: Town) -> None:
    await town.both_join()
    town.says(("alice", "carol"), "bob", "first", "m0")
    _locked(town, ["alice"], "m1")
    await town.house.clock.advance(10)
    await _dave_comes(town)
    town.says(("carol",), "bob", "secret", "m1", edits="m0")
    told = await town.settle()
    assert _texts(_groupchat(told["alice"]))[-1:] == ["secret"]
    assert not _groupchat(told["dave"])
    assert await town.archive("dave") == []


async def test_what_becomes_readable_is_for_who_was_told_of_it(town: Town) -> None:
    """Dave was in when it was said: his own session says so, though it was late with that."""
    await town.both_join()
    _locked(town, ["alice"], "m1")
    await town.house.clock.advance(10)
    await _dave_comes(town)
    _locked(town, ["dave"], "m1")
    town.says(("carol",), "bob", "secret", "m1")
    told = await town.settle()
    assert _texts(_groupchat(told["dave"])) == ["secret"]
    assert await town.archive("dave") == ["secret"]


async def test_what_ones_own_session_can_read_is_due(town: Town) -> None:
    await town.both_join()
    _locked(town, ["alice"], "m1")
    await town.house.clock.advance(10)
    await _dave_comes(town)
    town.says(("dave",), "bob", "secret", "m1")
    told = await town.settle()
    assert _texts(_groupchat(told["dave"])) == ["secret"]
    assert await town.archive("dave") == ["secret"]


async def test_answers_quote_nothing_to_who_may_not_read_that(town: Town) -> None:
    """REQ-434: neither live, nor in the archive, nor when they join."""
    await town.both_join()
    town.house.network.event("carol", "room-ignored", users=["bob"])
    town.says(("alice",), "bob", "hidden", "m0")
    await town.settle()
    await _dave_comes(town)
    town.says(("alice", "carol", "dave"), "alice", "answer", "m1", reply_to="m0")
    told = await town.settle()
    assert "hidden" in _texts(_groupchat(told["alice"]))[-1]
    for name in ("carol", "dave"):
        assert _texts(_groupchat(told[name])) == ["answer"]
        assert await town.archive(name) == ["answer"]
        assert _texts(_groupchat(await town.join(name, "desk"))) == ["answer"]
    assert "hidden" in (await town.archive("alice"))[-1]


async def test_what_cannot_be_converted_is_said_to_each(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    """REQ-577: by the gateway, to those who should have had it; and nothing waits for ever."""
    await town.both_join()

    def fail(*_: Any, **__: Any) -> Any:
        raise ValueError("no")

    with monkeypatch.context() as broken:
        broken.setattr(stanzas, "message", fail)
        town.says(("alice", "carol"), "bob", "odd", "m1")
        told = await town.settle()
    for name in ("alice", "carol"):
        lines = [each for each in told[name] if each.get("from", "").startswith(GATEWAY)]
        assert len(_texts(lines)) == 1
        assert "could not be converted" in _texts(lines)[0]
    town.says(("alice", "carol"), "bob", "fine", "m2")
    told = await town.settle()
    assert _texts(_groupchat(told["carol"])) == ["fine"]
    await town.house.clock.advance(60)
    assert not town.house.query("SELECT payload FROM inbound WHERE state < 2")


async def test_what_waits_is_not_lost_when_rooms_become_one(tmp_path: Path) -> None:
    """REQ-224: Carol's room goes, as Alice's is there already; what she has said is sent."""
    async with House(tmp_path, Options()) as house:
        town = await Town(house).begin()
        await town.both_join()
        house.network.mute = True
        for name in ("alice", "carol"):
            town.send(name, f"by {name}", f"{name}-1")
        await house.clock.settle()
        await house.kill()
        house.network.mute = False
        house.options = Options(adapter="trusted")
        await house.start()
        await house.connected()
        await house.clock.advance(40)
        assert {"by alice", "by carol"} <= {text.body for text in house.network.sent}
        assert not house.query("SELECT 1 FROM outbound WHERE state = 0")


async def test_an_invitation_that_waits_is_told_when_rooms_become_one(tmp_path: Path) -> None:
    """REQ-590: it is for one user, whose server was not there."""
    async with House(tmp_path, Options()) as house:
        town = await Town(house).begin()
        await house.server.stop()
        town.members = ["alice", "bob"]
        house.network.event(
            "alice", "room", room="!new", name="New", members=[_member("alice")], is_new=True
        )
        await house.clock.settle()
        await house.kill()
        assert house.query("SELECT count(*) FROM inbound WHERE state < 2") != [(0,)]
        await house.server.start()
        house.options = Options(adapter="trusted")
        await house.start()
        await house.connected()
        told = await town.settle()
        assert [each for each in told["alice"] if "New" in " ".join(_texts([each]))]
        assert not [log for log in house.logs if log["event"] == "dead_letter"]


async def test_rooms_that_nobody_else_may_lead_are_in_nobodys_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Alice is alone in the first of her rooms. When she fails, Carol leads the other one."""
    monkeypatch.setattr(leading, "_ROOMS", 1)
    async with House(tmp_path, Options(adapter="trusted")) as house:
        await running(house)
        house.network.event("alice", "room", room="!own", name="Own", members=[_member("alice")])
        await house.clock.settle()
        town = Town(house)
        await house.link(USERS["carol"], "carol")
        for account in ("alice", "carol"):
            town.describe(account)
        await house.clock.settle()
        house.network.revoke("alice")
        await house.clock.advance(100)
        asked = [c["rooms"] for c in house.network.commands if c["op"] == "tell-rooms"]
        assert asked[0] == ["!club"]


async def test_req_712_what_waits_for_a_shared_room_counts_for_those_in_it(
    tmp_path: Path,
) -> None:
    """While the server is away the network keeps what comes beyond the mark."""
    async with House(tmp_path, Options(adapter="trusted", inbound_rows=4)) as house:
        town = await Town(house).begin()
        await town.both_join()
        await house.clock.advance(60)
        await house.server.stop()
        for number in range(20):
            town.says(("alice", "carol"), "bob", f"text {number}", f"m{number}")
            await house.clock.settle()
        assert house.query("SELECT count(*) FROM archived")[0][0] < 10
        await house.server.start()
        await house.clock.advance(30)
        await house.connected()
        await house.clock.advance(60)
        told = await town.settle()
        for name in ("alice", "carol"):
            texts = list(dict.fromkeys(_texts(_groupchat(told[name]))))
            assert texts == [f"text {number}" for number in range(20)]


async def test_what_ones_session_was_late_to_tell_is_due(town: Town) -> None:
    """REQ-585: the network has told Dave what was said before we knew that he was in."""
    town.says(("alice",), "bob", "before", "m0")
    town.says(("alice",), "bob", "early", "m1")
    await town.settle()
    await _dave_comes(town)
    town.says(("dave",), "bob", "early", "m1")
    await town.settle()
    assert await town.archive("dave") == ["early"]


async def test_who_comes_back_may_not_read_what_was_said_meanwhile(town: Town) -> None:
    """REQ-585."""
    await town.both_join()
    town.says(("alice", "carol"), "bob", "before", "m0")
    town.tell("alice", "member-gone", user="carol", how="kicked", actor="bob")
    town.says(("alice",), "bob", "meanwhile", "m1")
    await town.settle()
    town.tell("alice", "member", member=_member("carol"))
    town.describe("carol")
    town.says(("alice", "carol"), "bob", "after", "m2")
    await town.settle()
    assert await town.archive("carol") == ["before", "after"]


@pytest.mark.parametrize("has_session", [True, False])
async def test_req_511_who_was_put_out_is_told_nothing_by_who_knows_that(
    town: Town, has_session: bool
) -> None:
    """Alice's session leads, and is not as far as Carol's; or there is none."""
    await town.both_join()
    town.says(("alice", "carol"), "bob", "before", "m0")
    await town.settle()
    if not has_session:
        await town.house.network.stop()
        await town.house.clock.advance(1)
        town.house.network.passwords.pop("alice")
    town.tell("carol", "member-gone", user="alice", how="kicked", actor="bob")
    town.says(("carol",), "bob", "after", "m1")
    if not has_session:
        await town.house.network.start()
        await town.house.clock.advance(15)
    told = await town.settle()
    assert "after" in _texts(_groupchat(told["carol"]))
    assert "after" not in _texts(_groupchat(told["alice"]))
    assert await town.archive("alice") == ["before"]
    town.tell("alice", "member-gone", user="alice", how="kicked", actor="bob")
    gone = [each for each in (await town.settle())["alice"] if each.get("type") == "unavailable"]
    assert len(gone) == 1
    town.members.remove("alice")
    town.tell("carol", "member", member=_member("alice"))
    town.members.append("alice")
    town.describe("alice")
    await town.settle()
    await town.join("alice")
    assert await town.archive("alice") == ["before"]


async def test_a_session_that_is_late_puts_nobody_out(town: Town) -> None:
    """Alice was put out and has come back, and Carol's session tells of the first alone."""
    await town.both_join()
    town.tell("alice", "member-gone", user="alice", how="kicked")
    town.describe("alice")
    town.says(("alice",), "bob", "welcome back", "m1")
    await town.settle()
    await town.join("alice")
    town.tell("carol", "member-gone", user="alice", how="kicked")
    town.says(("alice",), "bob", "one", "m2")
    told = await town.settle()
    assert _texts(_groupchat(told["alice"])) == ["one"]
    assert await town.archive("alice") == ["welcome back", "one"]
    town.says(("carol",), "bob", "welcome back", "m1")
    town.tell("carol", "member", member=_member("alice"))
    town.says(("carol",), "bob", "one", "m2")
    town.says(("carol",), "bob", "two", "m3")
    told = await town.settle()
    assert _texts(_groupchat(told["alice"])) == ["two"]
    assert await town.archive("alice") == ["welcome back", "one", "two"]


async def test_req_511_who_has_come_back_is_not_put_out_once_more(town: Town) -> None:
    """Carol's session tells of it after Alice's has told that she is back. The next time
    counts."""
    await town.both_join()
    town.tell("alice", "member-gone", user="carol", how="kicked")
    town.tell("alice", "member", member=_member("carol"))
    await town.settle()
    await town.join("carol")
    town.tell("carol", "member-gone", user="carol", how="kicked")
    town.describe("carol")
    town.says(("carol",), "bob", "hello", "m1")
    told = await town.settle()
    assert [each.tag.rpartition("}")[2] for each in told["carol"]] == ["message"]
    town.tell("carol", "member-gone", user="carol", how="kicked")
    told = await town.settle()
    assert [each.get("type") for each in told["carol"]] == ["unavailable"]


async def test_req_585_what_was_said_before_one_came_is_not_hers_when_it_is_told_late(
    town: Town,
) -> None:
    """Alice's session was away, and Dave's is faster than hers. What his own session tells is
    his, however late."""
    await town.both_join()
    said_at = town.house.clock.now()
    await town.house.clock.advance(600)
    await _dave_comes(town)
    late = {"sender": "bob", "sent_at": said_at}
    town.tell("alice", "room-message", id="m0", body="before", **late)
    town.tell("alice", "room-message", id="m1", body="changed", edits="m0", **late)
    told = await town.settle()
    for name in ("alice", "carol"):
        assert _texts(_groupchat(told[name])) == ["before", "changed"]
        assert await town.archive(name) == ["before", "changed"]
    assert not _groupchat(told["dave"])
    assert await town.archive("dave") == []
    town.tell("dave", "room-message", id="m2", body="with him", **late)
    told = await town.settle()
    assert _texts(_groupchat(told["dave"])) == ["with him"]
    assert await town.archive("dave") == ["with him"]
    town.tell("dave", "room-message", id="m1", body="changed", edits="m0", **late)
    await town.settle()
    assert await town.archive("dave") == ["changed", "with him"]
    town.tell("dave", "room-message", id="m0", body="before", **late)
    await town.settle()
    assert await town.archive("dave") == ["before", "changed", "with him"]


def _shares(town: Town, account: str, at: float) -> None:
    file = {"reference": "f", "name": "f.bin"}
    said = {"sender": "bob", "id": "f1", "body": "", "files": [file], "sent_at": at}
    town.tell(account, "room-message", **said)


async def test_req_446_a_file_that_is_late_is_for_whom_the_network_tells_of_it(
    tmp_path: Path,
) -> None:
    """Its place says nothing of who was in: neither of Alice, who was put out before it was told,
    nor of Dave, whom his session tells of it later still."""
    async with House(tmp_path, Options(adapter="trusted", uploads=True)) as house:
        town = await Town(house).begin()
        await town.both_join()
        assert house.server.uploads is not None
        house.server.uploads.doings["f.bin"] = deque(["held"])
        house.network.files["f"] = b"12345"
        said_at = house.clock.now()
        _shares(town, "carol", said_at)
        await town.settle()
        await house.clock.advance(2)
        town.says(("carol",), "bob", "with her", "m1")
        await town.settle()
        town.tell("carol", "member-gone", user="alice", how="kicked", actor="bob")
        await _dave_comes(town)
        town.says(("carol",), "bob", "without her", "m2")
        await town.settle()
        house.server.uploads.go_on("f.bin")
        await house.clock.advance(2)
        await town.settle()
        for account in ("alice", "dave"):
            _shares(town, account, said_at)
        await town.settle()
        town.says(("carol",), "bob", "still without her", "m3")
        told = await town.settle()
        assert "still without her" in _texts(_groupchat(told["carol"]))
        assert not _groupchat(told["alice"])
        url = f"{house.web.base}/uploads/f.bin"
        assert await town.archive("alice") == ["with her", url]
        assert await town.archive("dave") == ["without her", url, "still without her"]
