# SPDX-License-Identifier: Apache-2.0
"""A row that cannot end as it should ends all the same, is told, and holds up nobody."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from xml.etree.ElementTree import Element

import pytest

from gateway.ids import RemoteMessageId
from gateway.store import Transaction, conversations, journal
from tests.scenario.house import House
from tests.scenario.patterns import ACCEPT


def _body(stanza: Element) -> str:
    return stanza.findtext(f"{ACCEPT}body") or ""


async def test_req_913_an_outcome_that_cannot_be_stored_is_told_as_uncertain(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store_id = conversations.set_remote_id

    def fails(db: Transaction, message: int, remote_id: RemoteMessageId) -> None:
        if remote_id == "m1":
            raise ValueError(remote_id)
        store_id(db, message, remote_id)

    monkeypatch.setattr(conversations, "set_remote_id", fails)
    async with House(tmp_path) as house:
        await house.start()
        await house.connected()
        await house.link("alice@home.example", "alice")
        while not house.server.received.empty():
            house.server.received.get_nowait()
        for name in ("m1", "m2"):
            house.server.send(
                f"<message from='alice@home.example/phone' to='bob@net.example' type='chat'"
                f" id='{name}'><body>{name}</body></message>"
            )
        await house.clock.settle()
        came = [house.server.received.get_nowait() for _ in range(house.server.received.qsize())]
        # The network's copy cannot be stored either, and becomes a line.
        (refused,) = (stanza for stanza in came if stanza.get("type") == "error")
        assert refused.get("id") == "m1"
        assert "it may have arrived or not" in "".join(refused.itertext())
        assert [text.body for text in house.network.sent] == ["m1", "m2"]
        assert house.query("SELECT state FROM outbound ORDER BY id") == [(3,), (2,)]
        assert [log["row"] for log in house.logs if log["event"] == "row_not_settled"] == [1]
        await house.kill()
        await house.start()
        await house.connected()
        assert [text.body for text in house.network.sent] == ["m1", "m2"]


async def test_req_412_an_outcome_that_cannot_be_stored_for_a_while_is_told_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise ValueError("nothing of it can be stored")

    async with House(tmp_path) as house:
        await house.start()
        await house.connected()
        await house.link("alice@home.example", "alice")
        while not house.server.received.empty():
            house.server.received.get_nowait()
        with monkeypatch.context() as patch:
            patch.setattr(journal, "settle_outbound", fails)
            house.server.send(
                "<message from='alice@home.example/phone' to='bob@net.example' type='chat'"
                " id='m1'><body>one</body><request xmlns='urn:xmpp:receipts'/></message>"
            )
            await house.clock.advance(90)
        await house.clock.advance(60)
        came = [house.server.received.get_nowait() for _ in range(house.server.received.qsize())]
        # By then it has come back from the network, so nobody need be in doubt.
        confirmed = [stanza.find("{urn:xmpp:receipts}received") for stanza in came]
        assert [one.get("id") for one in confirmed if one is not None] == ["m1"]
        assert house.query("SELECT state FROM outbound") == [(2,)]
        assert not +house.bridge._outbound._open
        assert [text.body for text in house.network.sent] == ["one"]


async def test_a_full_disk_makes_no_dead_letter_of_a_sound_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries = 0

    def full(*_: object, **__: object) -> None:
        nonlocal tries
        tries += 1
        if tries == 1:
            raise ValueError("so that each event is tried alone")
        error = sqlite3.OperationalError("database or disk is full")
        error.sqlite_errorcode = sqlite3.SQLITE_FULL
        raise error

    async with House(tmp_path) as house:
        await house.start()
        await house.connected()
        await house.link("alice@home.example", "alice")
        while not house.server.received.empty():
            house.server.received.get_nowait()
        with monkeypatch.context() as patch:
            patch.setattr(conversations, "add_message", full)
            house.network.says("alice", "bob", "one")
            await house.clock.advance(5)
            assert tries > 1
        await house.clock.advance(60)
        came = [house.server.received.get_nowait() for _ in range(house.server.received.qsize())]
        assert [body for body in map(_body, came) if body] == ["one"]
        assert not [log for log in house.logs if log["event"] == "dead_letter"]
