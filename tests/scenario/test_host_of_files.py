# SPDX-License-Identifier: Apache-2.0
"""Files at a host of their own, to which browsers send no cookie of the login pages (REQ-723)."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import pytest_asyncio

from tests.scenario.house import GATEWAY
from tests.scenario.test_files import PICTURE, Scene, Seen, files_in
from tests.scenario.test_stream import bodies

_PAGES, _FILES = "https://pages.example/chat", "https://files.example:8443/here"
_NEITHER = "127.0.0.1:8087"
"""As web servers say it that do not hand on what they were asked for."""


@pytest_asyncio.fixture(params=[_FILES, "https://files.example/chat"], ids=["path", "same-path"])
async def apart(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Scene]:
    """Bob's file is there, and a page for Carol."""
    async with files_in(tmp_path, public_url=_PAGES, files_url=request.param) as scene:
        yield scene


async def _page(scene: Scene) -> str:
    """The address of one for Carol's login."""
    scene.house.server.send(
        f"<message from='carol@home.example/x' to='{GATEWAY}' type='chat'><body>login</body>"
        "</message>"
    )
    (offer,) = await bodies(scene.house)
    return str(re.findall(r"https://\S+", offer)[0])


async def _asked(scene: Scene, url: str, host: str = "", method: str = "GET") -> Seen:
    """A URL, by the web server, under its own host or another one."""
    parts = urlsplit(url)
    return await scene.fetch(parts.path, method, Host=host or parts.netloc)


async def test_req_723_files_have_their_host_and_logins_theirs(apart: Scene) -> None:
    file, page = await apart.told(), await _page(apart)
    at = apart.house.options.files_url
    assert file.startswith(f"{at}/files/")
    assert page.startswith(f"{_PAGES}/login/")
    found = await _asked(apart, file)
    assert (found.status, found.data, "Set-Cookie" in found.headers) == (200, PICTURE, False)
    shown = await _asked(apart, page)
    assert (shown.status, shown.headers["Set-Cookie"].partition("=")[0]) == (200, "__Host-visitor")
    for url, host in (
        (page, "files.example"),
        (page, "files.example:8443"),
        (page.replace("/chat/", "/here/"), "files.example"),
        (page, _NEITHER),
        (file, _NEITHER),
        (file, "["),
        (f"{_PAGES}/alive", _NEITHER),
    ):
        refused = await _asked(apart, url, host)
        assert refused.status in (421, 404)
        assert (PICTURE in refused.data, "Set-Cookie" in refused.headers) == (False, False)


async def test_req_723_444_the_addresses_of_before_lead_there(apart: Scene) -> None:
    """They are in archives and in clients, for as long as was promised."""
    file = await apart.told()
    before = file.replace(apart.house.options.files_url, _PAGES)
    for method in ("GET", "HEAD"):
        led = await _asked(apart, before, method=method)
        assert (led.status, led.headers["Location"], PICTURE in led.data) == (308, file, False)
        assert led.headers["Access-Control-Allow-Origin"] == "*"
    asked = await _asked(apart, before, method="OPTIONS")
    assert (asked.status, asked.headers["Access-Control-Allow-Origin"]) == (204, "*")


async def test_req_723_each_address_is_looked_at(apart: Scene) -> None:
    alive = [await _asked(apart, f"{at}/alive") for at in (_PAGES, apart.house.options.files_url)]
    assert [seen.status for seen in alive] == [200, 200]
    assert alive[0].data != alive[1].data  # so that a web server is not taken for both
    await apart.house.clock.advance(400)
    told = [log["address"] for log in apart.house.logs if log["event"] == "pages_not_reached"]
    assert sorted(told) == sorted((_PAGES, apart.house.options.files_url))


@pytest.mark.parametrize("host", ["pages.example", _NEITHER])
async def test_at_one_host_nobody_has_to_say_which(tmp_path: Path, host: str) -> None:
    """Nothing there sets or reads a cookie but the login."""
    async with files_in(tmp_path, public_url=_PAGES) as scene:
        file, page = await scene.told(), await _page(scene)
        assert (await _asked(scene, page, host)).status == 200
        found = await _asked(scene, file, host)
        assert (found.status, found.data, "Set-Cookie" in found.headers) == (200, PICTURE, False)
