# SPDX-License-Identifier: Apache-2.0
"""Every script of the scenario layer with a real process, killed before and after its I/Os.

In a normal run each script is played unharmed, and killed at one of its I/Os; which that is, and
whether before or after it, depends on the script's check sum, so that together all kinds of
moments are had. `make soak` has them all, before and after.
"""

from __future__ import annotations

import time
import zlib
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest

from tests.crash.lenient import LenientPlay
from tests.crash.process_house import process_house
from tests.crash.transcript import Transcript, differences, examine_the_dead, transcript_of
from tests.scenario.house import Options
from tests.scenario.play import VOCABULARY, Play
from tests.scenario.script import Script
from tests.scenario.test_scripts import SCRIPTS

_EVERY = 10
Record = Callable[[str, object], None]


async def _unharmed(path: Path, folder: Path) -> tuple[Transcript, int, int]:
    """The script as it is written, how many I/Os it has, and at which port there were files."""
    script = Script(path, VOCABULARY)
    async with process_house(folder, Options(**script.options())) as house:
        play = Play(house)
        await play.begin()
        await script.run(play)
        await play.end()
        ios = house.ios + house.ios_of_this_life()
        house.server.answer_barriers()
        await house.clock.advance(120)
        return transcript_of(house), ios, house.web.port


async def _killed(
    path: Path, folder: Path, number: int, unharmed: Transcript, port: int, *, after: bool
) -> int:
    """Raises AssertionError with all that is wrong; returns how often it died (once, or never)."""
    script = Script(path, VOCABULARY)
    options = Options(**script.options())
    wrong: list[str] = []
    async with process_house(folder, options, web_port=port, kill_at=number, after=after) as house:
        house.on_death = lambda: wrong.extend(examine_the_dead(house))
        play = LenientPlay(house)
        await play.begin()
        for step in script.steps:
            with suppress(AssertionError):  # of an expectation; the end is judged
                await script.play(step, play)
        await play.end()
        # A network without keys gets again what is delivered again: its user was told to look.
        has_keys = options.capabilities.idempotent_send
        wrong += differences(
            unharmed,
            transcript_of(house),
            play.sent,
            play.parts,
            play.died,
            play.said,
            has_keys=has_keys,
            delivered=Counter() if has_keys else play.delivered,
        )
        if wrong:
            trace = " ".join((folder / "trace").read_text().split())
            where = f"killed {'after' if after else 'before'} I/O {number}"
            raise AssertionError("\n".join([where, *wrong, f"I/Os of the last life: {trace}"]))
        return house.deaths


def _one_moment(path: Path, ios: int) -> list[tuple[int, bool]]:
    """An I/O, other ones for other scripts, and whether it dies after it; of very few, none."""
    checksum = zlib.crc32(path.stem.encode())
    every = max(_EVERY, -(-ios // 2))
    numbers = range(checksum % every or every, ios + 1, every)
    if not numbers:
        return []
    turn = checksum % len(numbers)
    return [(numbers[turn], (checksum // every + turn) % 2 == 1)]


async def _at_all(
    path: Path,
    tmp_path: Path,
    record: Record,
    moments_of: Callable[[int], Sequence[tuple[int, bool]]],
) -> None:
    """``moments_of`` that many I/Os: at which it dies, and whether after it."""
    unharmed, ios, port = await _unharmed(path, tmp_path / "unharmed")
    began, deaths, moments = time.monotonic(), 0, moments_of(ios)
    problems = []
    for number, after in moments:
        try:
            deaths += await _killed(
                path, tmp_path / str(number), number, unharmed, port, after=after
            )
        except AssertionError as error:
            problems.append(str(error))
    record("I/Os", ios)
    record("killed at", deaths)
    record("seconds", round(time.monotonic() - began, 1))
    assert not problems, "\n\n".join(problems)
    assert deaths >= len(moments) * 0.8


@pytest.mark.timeout(180)
@pytest.mark.parametrize("path", SCRIPTS, ids=[path.stem for path in SCRIPTS])
async def test_killed_at_some_ios(path: Path, tmp_path: Path, record_property: Record) -> None:
    await _at_all(path, tmp_path, record_property, partial(_one_moment, path))


@pytest.mark.soak
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("path", SCRIPTS, ids=[path.stem for path in SCRIPTS])
async def test_killed_at_every_io(
    path: Path, after: bool, tmp_path: Path, record_property: Record
) -> None:
    await _at_all(
        path, tmp_path, record_property, lambda ios: [(n + 1, after) for n in range(ios)]
    )
