# SPDX-License-Identifier: Apache-2.0
"""The collector rests while large answers are there, and never for long."""

from __future__ import annotations

import asyncio
import gc

import pytest

from adapters.matrix import garbage
from adapters.matrix.garbage import Pause, Rest


async def test_the_collector_rests_until_the_last_large_answer_is_gone() -> None:
    rest = Rest()
    with Pause(rest) as first:
        first.begin()
        first.begin()
        with Pause(rest) as second:
            second.begin()
            assert not gc.isenabled()
        assert not gc.isenabled()
    assert gc.isenabled()


async def test_it_works_again_whatever_ends_the_block() -> None:
    def fails() -> None:
        with Pause() as pause:
            pause.begin()
            assert not gc.isenabled()
            raise LookupError

    with pytest.raises(LookupError):
        fails()
    assert gc.isenabled()


async def test_small_answers_do_not_matter() -> None:
    with Pause():
        assert gc.isenabled()


async def test_it_does_not_rest_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(garbage, "_LIMIT_S", 0.0)
    rest = Rest()
    frozen = gc.get_freeze_count()
    with Pause(rest) as first:
        first.begin()
        assert not gc.isenabled()
        await asyncio.sleep(0.01)
        assert gc.isenabled()
        with Pause(rest) as second:  # large answers without an end are no way to stop it
            second.begin()
            assert gc.isenabled()
    assert gc.isenabled()
    assert gc.get_freeze_count() == frozen
