# SPDX-License-Identifier: Apache-2.0
"""Pictures of a homeserver: which URIs are some, and from where they are fetched."""

from __future__ import annotations

from typing import Any

import aiohttp
import pytest
from aiohttp import web

from adapters.matrix.http import Api
from adapters.matrix.media import Media, avatar_in
from gateway.errors import AdapterError, NotFound, TooLarge, Transient
from tests.unit.matrix.homeserver import Handler, Homeserver, misbehaving

URI = "mxc://example.org/aZ_9-x"
NEW = "/_matrix/client/v1/media/thumbnail/example.org/aZ_9-x"
OLD = "/_matrix/media/v3/thumbnail/example.org/aZ_9-x"
UNRECOGNIZED = (404, {"errcode": "M_UNRECOGNIZED", "error": "?"})


@pytest.mark.parametrize(
    "uri",
    [URI, "mxc://[::1]:8448/a", "mxc://localhost/" + "a" * 255, "mxc://1.2.3.4:80/a.b~c="],
)
def test_pictures(uri: str) -> None:
    assert avatar_in({"url": uri}, "url") == uri


@pytest.mark.parametrize(
    "uri",
    [
        None, 7, [URI], "", "mxc://", "mxc://example.org", "mxc://example.org/", f" {URI}",
        f"{URI}/..", "mxc://example.org/a b", "https://example.org/a", "mxc://example.org/a?b=c",
        "mxc://example.org/a#", "mxc://exam%2Fple/a", "mxc://e/" + "a" * 256, f"{URI}\n",
    ],
)  # fmt: skip
def test_what_is_no_picture(uri: Any) -> None:
    assert avatar_in({"url": uri}, "url") == ""
    assert avatar_in({}, "url") == ""


async def _fetch(*times: Any, **handlers: Handler) -> tuple[Homeserver, Any]:
    async with misbehaving(**handlers) as server, aiohttp.ClientSession() as http:
        media = Media(Api(http, server.url, "T"))
        found: Any = None
        for _ in times or (1,):
            try:
                found = await media.thumbnail(URI)
            except AdapterError as error:
                found = error
        return server, found


async def test_req_593_a_picture_is_fetched_with_the_token_and_small() -> None:
    tokens = []

    def answer(request: Any) -> web.Response:
        tokens.append(request.token)
        return web.Response(body=b"png")

    server, found = await _fetch(**{NEW: answer})
    assert found == b"png"
    assert tokens == ["Bearer T"]
    (asked,) = server.requests
    assert (asked.path, asked.query["width"], asked.query["method"]) == (NEW, "256", "scale")


@pytest.mark.parametrize("unknown", [UNRECOGNIZED, web.Response(status=404, text="Not found")])
async def test_an_older_homeserver_is_asked_in_the_older_way(unknown: Any) -> None:
    handlers: dict[str, Handler] = {
        NEW: lambda _: unknown if isinstance(unknown, tuple) else web.Response(status=404),
        OLD: lambda _: web.Response(body=b"png"),
    }
    server, found = await _fetch(1, 2, **handlers)
    assert found == b"png"
    assert server.paths("GET") == [NEW, OLD, OLD]


async def test_a_picture_that_is_not_there_is_not_asked_for_elsewhere() -> None:
    server, found = await _fetch()
    assert type(found) is NotFound
    assert server.paths("GET") == [NEW]


async def test_a_redirection_is_followed_once_and_without_the_token() -> None:
    tokens = []

    def elsewhere(request: Any) -> web.Response:
        tokens.append(request.token)
        return web.Response(body=b"png")

    async with misbehaving(**{"/there": elsewhere}) as there:
        location = {"Location": f"{there.url}/there"}
        _, found = await _fetch(**{NEW: lambda _: web.Response(status=307, headers=location)})
        assert found == b"png"
        assert tokens == [""]
        again = {"Location": f"{there.url}/again"}
        there.handlers["/again"] = lambda _: web.Response(status=307, headers=again)
        _, found = await _fetch(**{NEW: lambda _: web.Response(status=307, headers=again)})
        assert type(found) is Transient


@pytest.mark.parametrize("location", ["", "file:///etc/passwd", "ftp://example.org/x"])
async def test_a_redirection_to_elsewhere_is_not_followed(location: str) -> None:
    headers = {"Location": location}
    _, found = await _fetch(**{NEW: lambda _: web.Response(status=308, headers=headers)})
    assert type(found) is Transient


async def test_what_is_too_large_is_no_picture() -> None:
    server, found = await _fetch(**{NEW: lambda _: web.Response(body=b" " * (5 * 2**20))})
    assert type(found) is TooLarge
    assert server.paths("GET") == [NEW]
