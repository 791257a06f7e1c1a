# SPDX-License-Identifier: Apache-2.0
"""A large file each way while a hundred messages a second flow: the messages go on, and the file
is never in the memory of the gateway."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.transfers.homeserver import CHATS, Chat
from tests.transfers.talk import Talk, Waited, talking
from tests.transfers.world import World, world

_MB = 1_000_000
_MIB = 1024 * 1024
_PER_S = 100
_SMALL = 2 * _MB
_PACE = 25 * _MB
"""Bytes a second of a smaller file that a user sends: it takes longer than what comes after it may
wait."""
_USUAL_S = 2.0
_MOST_GROWN = 32 * _MIB
_LONGEST_S = 1.0
"""A message may wait for a file, beside what it takes without one."""
_LEAST = 20
"""Messages of each chat and direction beside a file: without them nothing was seen."""
_SAMPLED_S = 0.02
Note = Callable[[str, object], None]


@dataclass(frozen=True)
class _Judge:
    """What there was before the file."""

    world: World
    talk: Talk
    resident: int
    usual: dict[str, list[Waited]]

    async def beside(self, chat: Chat, size: int, per_s: float, note: Note) -> None:
        """Files of this size flow both ways in a chat."""
        began = time.monotonic()
        both = asyncio.gather(self.world.comes(chat, size), self.world.goes(chat, size, per_s))
        most = self.world.resident()
        while not both.done():
            await asyncio.wait([both], timeout=_SAMPLED_S)
            most = max(most, self.world.resident())
        await both
        took_s = time.monotonic() - began
        waited = self.talk.since(began)
        while min(map(len, waited.values())) < _LEAST:  # the file was quicker than they
            await asyncio.sleep(_SAMPLED_S)
            waited = self.talk.since(began)
        note(f"{chat.name}: MB/s, both ways together", round(2 * size / _MB / took_s))
        note(f"{chat.name}: memory grew by, MiB", round((most - self.resident) / _MIB, 1))
        for where, messages in waited.items():
            longest = max(each.seconds for each in messages)
            note(f"{chat.name}: longest of {len(messages)} {where}, s", round(longest, 3))
            assert longest < _LONGEST_S + max(each.seconds for each in self.usual[where]), where
        assert most - self.resident < _MOST_GROWN


async def _large(directory: Path, size: int, per_s: float, note: Note) -> None:
    async with world(directory, size) as here:
        async with talking(here, _PER_S) as talk:
            sealed_and_not = CHATS[:2]
            for chat in sealed_and_not:  # what has to be loaded for a first file
                await asyncio.gather(here.comes(chat, _SMALL), here.goes(chat, _SMALL))
            began = time.monotonic()
            await asyncio.sleep(_USUAL_S)
            usual = talk.since(began)
            note("messages a second, before", round(sum(map(len, usual.values())) / _USUAL_S))
            judge = _Judge(here, talk, here.resident(), usual)
            for chat in sealed_and_not:
                await judge.beside(chat, size, per_s, note)
        assert not talk.twice
        levels = {entry.get("level") for entry in here.gateway.log()}
        assert levels == {"info"}


@pytest.mark.timeout(300)
async def test_req_446_a_large_file_each_way_beside_a_hundred_messages_a_second(
    tmp_path: Path, record_property: Note
) -> None:
    """A tenth of a gigabyte, in a plain and in an encrypted room."""
    await _large(tmp_path, 100 * _MB, _PACE, record_property)


@pytest.mark.soak
async def test_req_446_a_gigabyte_each_way_beside_a_hundred_messages_a_second(
    tmp_path: Path, record_property: Note
) -> None:
    await _large(tmp_path, 1_000 * _MB, math.inf, record_property)
