# SPDX-License-Identifier: Apache-2.0
"""Files of rooms, which all who are in have the address of."""

from __future__ import annotations

import random
from pathlib import Path

import aiohttp
import pytest

from gateway.web import files as web_files
from tests.peers.ports import free_port
from tests.scenario.house import House, Options
from tests.scenario.test_files import PICTURE, Scene
from tests.scenario.test_shared_rooms import Town


async def test_who_reads_one_slowly_holds_up_no_chat_of_who_was_told_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web_files, "_AT_ONCE_OF_ACCOUNT", 1)
    options = Options(adapter="trusted", http_port=free_port())
    async with House(tmp_path, options) as house, aiohttp.ClientSession() as http:
        town, scene = await Town(house).begin(), Scene(house, http)
        await town.both_join()
        house.network.files["large"] = random.Random(8).randbytes(8_000_000)
        files = [{"reference": "large", "name": "f.bin"}]
        town.says(("alice", "carol"), "bob", "", "f1", files=files)
        told = (await town.settle())["carol"]
        (url,) = {each.findtext("{jabber:x:oob}x/{jabber:x:oob}url") for each in told} - {None}
        async with scene._open(str(url), "GET", {}) as slow:
            await slow.content.readexactly(10)
            for account in ("alice", "carol"):
                assert (await scene.fetch(await scene.told(account=account))).data == PICTURE
            slow.close()
