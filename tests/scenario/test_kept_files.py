# SPDX-License-Identifier: Apache-2.0
"""Files that were fetched once are not asked for again, where the admin has room for them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from tests.scenario.test_files import PICTURE, Scene, files_in
from tests.scenario.test_stream import bodies, events


@pytest_asyncio.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    async with files_in(tmp_path, file_cache=1_000_000) as scene:
        yield scene


def _lies(scene: Scene) -> list[Path]:
    return list((scene.house.folder / "gateway.db.files").iterdir())


async def test_req_444_the_second_one_comes_from_the_disk(scene: Scene) -> None:
    url = await scene.told()
    before = await scene.fetch(url)
    assert before.data == PICTURE
    for restarts in (False, True):
        if restarts:
            await scene.house.stop()
            await scene.house.start()
            await scene.house.connected()
        await scene.house.network.stop()  # nor does it have to be there
        again = await scene.fetch(url)
        assert (again.status, again.data) == (200, PICTURE)
        same = ("Content-Type", "Content-Length", "ETag", "Content-Disposition")
        assert [again.headers[name] for name in same] == [before.headers[name] for name in same]
        part = await scene.fetch(url, Range="bytes=70000-140000")
        assert (part.status, part.data) == (206, PICTURE[70_000:140_001])
        assert part.headers["Content-Range"] == f"bytes 70000-140000/{len(PICTURE)}"
        looked = await scene.fetch(url, "HEAD")
        assert looked.headers["Content-Length"] == str(len(PICTURE))
        await scene.house.network.start()


async def test_req_444_a_part_is_not_taken_for_the_whole(scene: Scene) -> None:
    url = await scene.told(size=len(PICTURE))
    assert (await scene.fetch(url, Range="bytes=5-")).data == PICTURE[5:]
    assert (await scene.fetch(url, Range="bytes=0-99999")).data == PICTURE[:100_000]
    assert not (scene.house.folder / "gateway.db.files").exists()
    assert (await scene.fetch(url, Range="bytes=0-")).data == PICTURE  # as players ask for it
    assert len(_lies(scene)) == 1


async def test_req_428_725_what_was_taken_back_is_not_kept(scene: Scene) -> None:
    url, other = await scene.told(), await scene.told()
    for each in (url, other):
        assert (await scene.fetch(each)).data == PICTURE
    scene.house.network.event(
        "alice", "retraction", contact="bob", id="t1", message="m1", sent_at=1.0
    )
    await bodies(scene.house)
    assert (await scene.fetch(url)).status == 404
    await scene.house.clock.advance(70)
    assert len(_lies(scene)) == 1
    assert (await scene.fetch(other)).data == PICTURE


async def test_what_was_damaged_comes_from_the_network(scene: Scene) -> None:
    """From the byte on at which it was found, when the answer has begun."""
    data = PICTURE + PICTURE[:40_000]
    url = await scene.told(data)
    await scene.fetch(url)
    for at in (30, 170, -1):
        (path,) = _lies(scene)
        lies = bytearray(path.read_bytes())
        lies[at] ^= 1
        path.write_bytes(lies)
        found = await scene.fetch(url)
        assert (found.status, found.data) == (200, data)
        await scene.fetch(url)
    assert events(scene.house).count("file_cache_damaged") == 3


async def test_a_disk_that_fails_keeps_no_file_from_anybody(scene: Scene) -> None:
    (scene.house.folder / "gateway.db.files").write_text("this is no folder")
    url = await scene.told()
    for _ in range(2):
        assert (await scene.fetch(url)).data == PICTURE
    assert events(scene.house).count("file_cache_failed") == 1
