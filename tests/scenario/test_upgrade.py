# SPDX-License-Identifier: Apache-2.0
"""What an older version left under way arrives, under the ids that it had."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from xml.etree.ElementTree import Element

import pytest

from tests.scenario.house import GATEWAY, House
from tests.scenario.test_coming import PHONE, _received
from tests.unit.store import freeze


@pytest.mark.parametrize("schema", freeze.released())
async def test_rows_of_an_older_schema_arrive(schema: int, tmp_path: Path) -> None:
    freeze.restore(schema, tmp_path / "gateway.db")
    shutil.move(tmp_path / "gateway.db.key", tmp_path / "gateway.key")
    async with House(tmp_path) as house:
        house.network.tokens["token-alice"] = "alice"
        await house.start()
        await house.connected()
        await house.clock.advance(60)
        came = [house.server.received.get_nowait() for _ in range(house.server.received.qsize())]
        xml = [f"{stanza.get('id')} {''.join(stanza.itertext())}" for stanza in came]
        for number in (1, 2, 3, 5, 7, 9):  # 4 cannot be said without privileges
            assert [sid[:36] for sid in xml].count(freeze.stanza(number)) == 1, (number, xml)
        assert any(line.startswith("out-0 There is nobody.") for line in xml)
        assert any(
            stanza.get("type") == "subscribe" and stanza.get("from") == "bob@net.example"
            for stanza in came
        )
        settled, dead = freeze.stanza(11), freeze.stanza(12)
        assert not [line for line in xml if line[:36] in (settled, dead)]
        assert [text.body for text in house.network.sent] == ["on its way"]
        assert [command["op"] for command in house.network.commands] == [
            "read",
            "accept",
            "decline",
        ]
        # The receipt of the text that waited has come, too.
        assert house.query("SELECT count(*) FROM outbound WHERE state = 0") == [(0,)]
        await house.clock.advance(20 * 60)
        assert house.query("SELECT count(*) FROM inbound WHERE state < 2") == [(0,)]
        assert house.query("SELECT id FROM message WHERE remote_id IS NULL") == []
        errors = [log for log in house.logs if log["log_level"] == "error"]
        assert not errors


CLUB = f"#club-0123@{GATEWAY}"
ROOMS = 9
"""The schema that has had rooms first."""
GONE_USERS = 38
"""That which has had suspended accounts first, to which nothing is delivered."""
_MUC_USER = "{http://jabber.org/protocol/muc#user}"
_SID = "{urn:xmpp:sid:0}"
_BODY = "{jabber:component:accept}body"


@asynccontextmanager
async def _upgraded(schema: int, folder: Path, *, members: int = 0) -> AsyncIterator[House]:
    """A gateway on a database of that schema, in which alice is in a group from one device."""
    db = sqlite3.connect(folder / "gateway.db")
    db.executescript(freeze.freeze(schema))
    for number in range(members):
        name = f"m{number:03}"
        row = (2, name, name, name, name, "member", 1)
        known = "room, remote_id, name, nick, folded, affiliation, may_speak"
        db.execute(f"INSERT INTO member ({known}) VALUES (?, ?, ?, ?, ?, ?, ?)", row)
    if schema > ROOMS + 1:
        db.execute("UPDATE room SET moved_to = NULL")
    if schema >= GONE_USERS:
        db.execute("UPDATE account SET gone_since = NULL, suspended = 0")
    db.commit()
    db.close()
    (folder / "gateway.key").write_bytes(freeze.KEY)
    (folder / "gateway.key").chmod(0o600)
    async with House(folder) as house:
        house.network.tokens["token-alice"] = "alice"
        await house.start()
        await house.connected()
        yield house


async def _all_received(house: House) -> list[Element]:
    found: list[Element] = []
    while more := await _received(house):
        found += more
    return found


@pytest.mark.parametrize("schema", range(ROOMS, len(freeze.migrations()) + 1))
async def test_rooms_of_an_older_schema_go_on(schema: int, tmp_path: Path) -> None:
    """Sessions are still in, what waited for them arrives once, the archive and all ids are what
    they were, and what is said next comes after that."""
    async with _upgraded(schema, tmp_path) as house:
        came = [each for each in await _all_received(house) if each.get("to") == PHONE]
        assert [each.findtext(_BODY) for each in came].count("hello all") >= 1
        live = [each for each in came if each.get("id") == freeze.stanza(20)]
        (stanza_id,) = {each.find(f"{_SID}stanza-id").get("id") for each in live}  # type: ignore[union-attr]
        assert stanza_id == freeze.stanza(21)
        ping = "<ping xmlns='urn:xmpp:ping'/>"
        house.server.send(f"<iq type='get' id='p' from='{PHONE}' to='{CLUB}/Alice'>{ping}</iq>")
        answers = [each for each in await _received(house) if each.get("id") == "p"]
        assert [each.get("type") for each in answers] == ["result"]
        house.network.event(
            "alice", "room-message", room="!club", sender="bob", id="$new", body="b"
        )
        # What the gateway asks of servers and clients after a start may come beside it.
        (said,) = [each for each in await _received(house) if each.findtext(_BODY)]
        assert said.get("from") == f"{CLUB}/Bob"
        query = "<query xmlns='urn:xmpp:mam:2'/>"
        house.server.send(f"<iq type='set' id='q' from='{PHONE}' to='{CLUB}'>{query}</iq>")
        results = [each.find(".//{jabber:client}body") for each in await _received(house)]
        bodies = [body.text for body in results if body is not None]
        assert bodies[-1] == "b"
        if schema == ROOMS:  # what was under way in later ones has taken it back
            assert bodies == ["hello all", "hello bob", "b"]


async def test_a_large_group_of_an_older_schema_is_what_its_sessions_know(tmp_path: Path) -> None:
    """All were shown; whoever comes in after all sessions have left finds a few."""
    async with _upgraded(ROOMS, tmp_path, members=300) as house:
        await _all_received(house)
        join = "<x xmlns='http://jabber.org/protocol/muc'/>"
        house.server.send(f"<presence from='{PHONE}2' to='{CLUB}/Alice'>{join}</presence>")
        assert len(_presences(await _all_received(house))) == 302
        for session in PHONE, f"{PHONE}2":
            house.server.send(f"<presence from='{session}' to='{CLUB}' type='unavailable'/>")
        await _all_received(house)
        house.server.send(f"<presence from='{PHONE}' to='{CLUB}/Alice'>{join}</presence>")
        assert len(_presences(await _all_received(house))) == 2


def _presences(stanzas: list[Element]) -> list[Element]:
    return [each for each in stanzas if each.find(f"{_MUC_USER}x") is not None]
