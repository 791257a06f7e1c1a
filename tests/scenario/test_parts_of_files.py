# SPDX-License-Identifier: Apache-2.0
"""Parts of files, and what is said of their size: only the network knows it (REQ-444)."""

from __future__ import annotations

import pytest

from tests.scenario.test_files import Scene, scene

__all__ = ["scene"]

TEN = b"0123456789"


async def test_req_444_the_size_is_that_of_the_network(scene: Scene) -> None:
    """Its sender may say any other one."""
    for said in (6, 20):
        url = await scene.told(TEN, size=said)
        looked = await scene.fetch(url, "HEAD")
        assert (looked.status, looked.headers["Content-Length"]) == (200, "10")
        found = await scene.fetch(url)
        assert (found.data, found.headers["Content-Length"]) == (TEN, "10")
        url = await scene.told(TEN, size=said)  # of which nothing was asked yet
        for asked, first, last in (
            ("bytes=7-", 7, 9),
            ("bytes=-3", 7, 9),
            ("bytes=0-", 0, 9),
            ("bytes=5-8", 5, 8),
        ):
            part = await scene.fetch(url, Range=asked)
            assert (part.status, part.data) == (206, TEN[first : last + 1]), asked
            assert part.headers["Content-Range"] == f"bytes {first}-{last}/10"


async def test_req_444_a_size_that_is_known_is_not_asked_again(scene: Scene) -> None:
    url = await scene.told(TEN)
    await scene.fetch(url, "HEAD")
    await scene.house.network.stop()
    await scene.house.clock.settle()
    assert (await scene.fetch(url, "HEAD")).headers["Content-Length"] == "10"


@pytest.mark.parametrize("said", [None, 6, 10])
async def test_req_444_without_a_size_only_the_whole_comes(scene: Scene, said: int | None) -> None:
    url = await scene.told(TEN, size=said, reference="unsized:")
    scene.house.network.files["unsized:"] = TEN
    for asked in ("bytes=4-", "bytes=-3", "bytes=0-", "bytes=0-5", ""):
        found = await scene.fetch(url, **({"Range": asked} if asked else {}))
        assert (found.status, found.data) == (200, TEN), asked
        assert "Content-Length" not in found.headers
        assert "Content-Range" not in found.headers
    assert "Content-Length" not in (await scene.fetch(url, "HEAD")).headers


async def test_req_444_where_a_part_takes_too_long_the_whole_comes(scene: Scene) -> None:
    scene.house.network.files["slow:"] = TEN
    found = await scene.fetch(await scene.told(reference="slow:"), Range="bytes=4-")
    assert (found.status, found.data) == (200, TEN)
    assert "Content-Range" not in found.headers


async def test_req_444_an_empty_file_is_given_whole(scene: Scene) -> None:
    url = await scene.told(b"")
    for asked in ("bytes=0-", "bytes=-1"):
        found = await scene.fetch(url, Range=asked)
        assert (found.status, found.data, found.headers["Content-Length"]) == (200, b"", "0")


async def test_req_444_what_a_client_has_already(scene: Scene) -> None:
    url = await scene.told(TEN)
    tag = (await scene.fetch(url, "HEAD")).headers["ETag"]
    for known in (tag, f"W/{tag}", f'"a", W/"b,c",{tag}', "*", " * "):
        for method in ("GET", "HEAD"):
            assert (await scene.fetch(url, method, If_None_Match=known)).status == 304, known
    for other in ('"a"', tag.strip('"'), f'"*", "x{tag[1:]}', "W/*"):
        assert (await scene.fetch(url, If_None_Match=other)).status == 200, other
    part = await scene.fetch(url, Range="bytes=4-", If_Range=tag)
    assert (part.status, part.data) == (206, TEN[4:])
    for other in (f"W/{tag}", '"a"', "*", "Sun, 06 Nov 1994 08:49:37 GMT", ""):
        whole = await scene.fetch(url, Range="bytes=4-", If_Range=other)
        assert (whole.status, whole.data) == (200, TEN), other


async def test_req_444_pages_of_other_origins_see_why_they_get_nothing(scene: Scene) -> None:
    url = await scene.told(TEN)
    beyond = await scene.fetch(url, Range="bytes=10-")
    assert (beyond.status, beyond.headers["Content-Range"]) == (416, "bytes */10")
    missing = await scene.fetch(url.replace("/files/", "/thumbnails/"))
    del scene.house.network.files["r0"]
    gone = await scene.fetch(url)
    assert [missing.status, gone.status] == [404, 410]
    for answer in (beyond, missing, gone):
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
        assert "Content-Range" in answer.headers["Access-Control-Expose-Headers"]
        assert answer.headers["Cross-Origin-Resource-Policy"] == "cross-origin"
