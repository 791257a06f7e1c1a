"""What homeservers and the proxies before them answer → the error tree."""

from typing import Any

import aiohttp
import pytest
from aiohttp import web

from adapters.matrix.errors import error_of, status_of
from adapters.matrix.http import MIB, Api, TooMuch
from gateway.errors import (
    AdapterError,
    AuthExpired,
    Forbidden,
    NotFound,
    RateLimited,
    TooLarge,
    Transient,
    Unsupported,
)
from tests.unit.matrix.homeserver import misbehaving


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (401, "M_UNKNOWN_TOKEN", AuthExpired),
        (401, "M_MISSING_TOKEN", AuthExpired),
        (401, "M_USER_LOCKED", Forbidden),
        (401, "", Forbidden),
        (403, "M_FORBIDDEN", Forbidden),
        (403, "M_USER_DEACTIVATED", Forbidden),
        (404, "M_NOT_FOUND", NotFound),
        (404, "M_UNKNOWN", NotFound),
        (404, "M_UNRECOGNIZED", Unsupported),
        (413, "M_TOO_LARGE", TooLarge),
        (413, "", TooLarge),
        (400, "M_BAD_JSON", Unsupported),
        (408, "", Transient),
        (429, "", RateLimited),
        (500, "M_UNKNOWN", Transient),
        (502, "", Transient),
        (403, "M_RESOURCE_LIMIT_EXCEEDED", Transient),
        (400, ["odd"], Unsupported),
    ],
)
def test_errors(status: int, code: Any, kind: type[AdapterError]) -> None:
    error = error_of(status, {"errcode": code, "error": "be\x00cause\n" * 100}, {})
    assert type(error) is kind
    assert status_of(error) == status
    assert len(error.text) < 400
    assert error.text.isprintable()


@pytest.mark.parametrize(
    ("answer", "headers", "seconds"),
    [
        ({"retry_after_ms": 1500}, {}, 1.5),
        ({"retry_after_ms": 1500}, {"Retry-After": "7"}, 7),
        ({}, {"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT"}, 5),
        ({"retry_after_ms": "soon"}, {}, 5),
        ({"retry_after_ms": -1}, {}, 0),
        ({"retry_after_ms": 10**400}, {}, 600),
        ({"retry_after_ms": float("inf")}, {}, 600),
        ({"retry_after_ms": float("nan")}, {}, 600),
    ],
)
def test_how_long_to_wait(answer: Any, headers: dict[str, str], seconds: float) -> None:
    error = error_of(429, {"errcode": "M_LIMIT_EXCEEDED", **answer}, headers)
    assert isinstance(error, RateLimited)
    assert error.retry_after_s == seconds


def _page(status: int, text: str = "<html>oops</html>", **headers: str) -> web.Response:
    return web.Response(status=status, text=text, content_type="text/html", headers=headers)


@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        (_page(200), Transient, "web page"),
        (_page(502), Transient, "HTTP 502"),
        (_page(404), Transient, "web page"),
        (_page(401), Transient, "web page"),
        (_page(413), TooLarge, "too long"),
        (_page(429, **{"Retry-After": "3"}), RateLimited, "wait"),
        (_page(302, Location="http://127.0.0.1/"), Transient, "redirection"),
        (web.Response(body=b"\xff\xfe\x00", content_type="application/json"), Transient, "else"),
        (web.Response(body=b"[" * 100_000), Transient, "else"),
        (web.Response(text="[1]", content_type="application/json"), Transient, "else"),
        (web.Response(text="9" * 10_000), Transient, "else"),
        (web.Response(body=b" " * (3 * 2**20)), TooMuch, "more than 2 MiB"),
    ],
)
async def test_answers_that_are_not_matrix(
    answer: web.Response, kind: type[AdapterError], words: str
) -> None:
    async with misbehaving(profile=lambda _: answer) as server, aiohttp.ClientSession() as http:
        with pytest.raises(kind, match=words) as caught:
            await Api(http, server.url).get("profile")
        assert type(caught.value) is kind


async def test_no_answer_at_all() -> None:
    async with aiohttp.ClientSession() as http:
        with pytest.raises(Transient, match="cannot be reached"):
            await Api(http, "http://127.0.0.1:1").get("profile")


async def test_parts_of_a_path_are_quoted_and_lone_surrogates_survive() -> None:
    answer = web.Response(text='{"body": "\\ud800"}', content_type="application/json")
    async with misbehaving(x=lambda _: answer) as server, aiohttp.ClientSession() as http:
        found = await Api(http, server.url, "token").get("a/../b?c#d", "%2f", "x")
        assert found == {"body": "\ud800"}
        assert server.paths("GET") == ["/a/../b?c#d/%2f/x"]


@pytest.mark.parametrize("unit", ["[],", "{},", "1,", "1e5,", '"",', "[[[[]]]],"])
async def test_an_answer_that_is_made_to_cost_as_much_as_possible_is_none(unit: str) -> None:
    """32 MiB of it are 900 MiB in memory, and the parser kept everybody waiting for seconds."""
    body = f'{{"x":[{unit * (16 * MIB // len(unit))}0]}}'
    answer = web.Response(text=body, content_type="application/json")
    async with misbehaving(sync=lambda _: answer) as server, aiohttp.ClientSession() as http:
        with pytest.raises(Transient, match="instead of Matrix data"):
            await Api(http, server.url).get("sync", limit=32 * MIB)


async def test_an_answer_with_very_many_events_is_one() -> None:
    event = {
        "type": "m.room.message",
        "sender": "@a:b",
        "content": {"msgtype": "m.text", "body": "a, b, c", "m.mentions": {"user_ids": ["@c:d"]}},
        "unsigned": {"age": 1},
    }
    events = {"events": [event] * 100_000}
    whole = (200, events)
    async with misbehaving(sync=lambda _: whole) as server, aiohttp.ClientSession() as http:
        answer = await Api(http, server.url).get_answer("sync", limit=32 * MIB)
    assert answer.is_large
    assert answer.content == events
