# SPDX-License-Identifier: Apache-2.0
"""Plays every script in ``scripts/``."""

from pathlib import Path

import pytest

from tests.scenario.house import House, Options
from tests.scenario.play import VOCABULARY, Play
from tests.scenario.script import Script

SCRIPTS = sorted((Path(__file__).parent / "scripts").glob("*.txt"))


@pytest.mark.parametrize("path", SCRIPTS, ids=[path.stem for path in SCRIPTS])
async def test_script(path: Path, tmp_path: Path) -> None:
    script = Script(path, VOCABULARY)
    async with House(tmp_path, Options(**script.options())) as house:
        play = Play(house)
        await play.begin()
        await script.run(play)
        await play.end()
