# SPDX-License-Identifier: Apache-2.0
"""The collector rests while large answers are there, and never for long."""

from __future__ import annotations

import gc

import pytest

from adapters.matrix import garbage
from adapters.matrix.garbage import Pause


async def test_the_collector_rests_until_the_last_large_answer_is_gone() -> None:
    pause = Pause()
    pause.begin()
    pause.begin()
    assert not gc.isenabled()
    pause.end()
    assert not gc.isenabled()
    pause.end()
    assert gc.isenabled()
    pause.end()
    assert gc.isenabled()


async def test_it_does_not_rest_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(garbage, "_LIMIT_S", 3600)
    pause = Pause()
    pause.begin()
    frozen = gc.get_freeze_count()
    (timer,) = pause._timers
    pause._too_long()  # as the timer does
    assert timer.cancelled()
    assert gc.isenabled()
    assert gc.get_freeze_count() > frozen
    gc.unfreeze()
