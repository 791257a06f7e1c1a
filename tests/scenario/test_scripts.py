# SPDX-License-Identifier: Apache-2.0
"""Plays every script in ``scripts/``."""

import re
from pathlib import Path

import pytest

from tests.scenario.house import House, Options
from tests.scenario.play import VOCABULARY, Play
from tests.scenario.script import Script

SCRIPTS = sorted((Path(__file__).parent / "scripts").glob("*.txt"))
LONG = sorted((Path(__file__).parent / "scripts" / "long").glob("*.txt"))
"""In which so many hours pass that a process of its own takes minutes for them: they are not for
the crash tests."""
_LINKED = re.compile(r"^given (\S+@\S+) is linked", re.MULTILINE)
FEDERATION = {
    path: tuple(_LINKED.findall(text))
    for path in SCRIPTS
    if "@far.example is linked" in (text := path.read_text())
}
"""Users of other servers, whom the admin may have admitted in several ways."""


@pytest.mark.parametrize("path", [*SCRIPTS, *LONG], ids=lambda path: path.stem)
async def test_script(path: Path, tmp_path: Path) -> None:
    script = Script(path, VOCABULARY)
    await _play(script, tmp_path, Options(**script.options()))


@pytest.mark.parametrize("everybody", [True, False], ids=["everybody", "by-address"])
@pytest.mark.parametrize("path", FEDERATION, ids=[path.stem for path in FEDERATION])
async def test_federation_script(path: Path, tmp_path: Path, everybody: bool) -> None:
    """The other way of admitting: servers are then no people whom the admin has named."""
    script = Script(path, VOCABULARY)
    options = Options(**script.options())
    options.allow = ("*",) if everybody else FEDERATION[path]
    await _play(script, tmp_path, options)


async def _play(script: Script, folder: Path, options: Options) -> None:
    async with House(folder, options) as house:
        play = Play(house)
        await play.begin()
        await script.run(play)
        await play.end()
