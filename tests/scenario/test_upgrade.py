# SPDX-License-Identifier: Apache-2.0
"""What an older version left under way arrives, under the ids that it had."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.scenario.house import House
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
