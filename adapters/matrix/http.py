# SPDX-License-Identifier: Apache-2.0
"""A thin client of the Matrix client-server API: JSON in, JSON out, errors by `errors`."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import quote, urlencode, urlsplit

import aiohttp
from yarl import URL

from adapters.matrix.errors import error_of, not_matrix, unreachable
from gateway.errors import Transient

T = TypeVar("T")

KIB = 1024
MIB = 1024 * KIB
_ANSWER_LIMIT = 2 * MIB
LARGE = 256 * KIB
"""Work on an answer of more than this is done in a thread, beside the loop."""
_MOST = {b"{": 1_000_000, b"[": 500_000, b",": 2_500_000}
"""An answer has no more of these, texts included; one of 200,000 events has half as many.
32 MiB of nothing else take a gigabyte of memory, and the loop waits while a run of them is read.
"""

_BESIDE = ThreadPoolExecutor(1, thread_name_prefix="large answers")


@dataclass(frozen=True, slots=True)
class Fetched:
    """An answer to a plain GET, as it came."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    """May have an access token in it."""


class TooMuch(Transient):
    """An answer is longer than was allowed."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A JSON object, and whether it is so large that work on it has to be done in a thread."""

    content: dict[str, Any] = field(repr=False)
    is_large: bool = False
    size: int = 0
    """Bytes, as it came."""


class Api:
    """One homeserver, with or without an access token. Holds no connection of its own."""

    def __init__(self, http: aiohttp.ClientSession, base_url: str, token: str = "") -> None:
        self._http = http
        self._base = base_url
        self._host = urlsplit(base_url).netloc
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}

    async def get(
        self,
        *path: str,
        query: Mapping[str, str] | None = None,
        timeout_s: float = 30,
        limit: int = _ANSWER_LIMIT,
    ) -> dict[str, Any]:
        """GET below ``/_matrix/client/v3``; each part of ``path`` is quoted."""
        answer = await self.get_answer(*path, query=query, timeout_s=timeout_s, limit=limit)
        return answer.content

    async def get_answer(
        self,
        *path: str,
        query: Mapping[str, str] | None = None,
        timeout_s: float = 30,
        limit: int = _ANSWER_LIMIT,
        on_large: Callable[[], None] | None = None,
    ) -> Answer:
        """As `get`, for what may be large; ``on_large`` is called before it is parsed."""
        url = self._url("v3", *path) + (f"?{urlencode(query)}" if query else "")
        return await self._request("GET", url, timeout_s=timeout_s, limit=limit, on_large=on_large)

    async def post(
        self,
        *path: str,
        body: Mapping[str, Any] | None = None,
        query: Sequence[tuple[str, str]] = (),
        limit: int = _ANSWER_LIMIT,
        on_large: Callable[[], None] | None = None,
    ) -> dict[str, Any]:
        """POST a JSON object; the empty one if there is none."""
        url = self._url("v3", *path) + (f"?{urlencode(query)}" if query else "")
        encoded = _encoded(body or {})
        answer = await self._request(
            "POST", url, encoded, timeout_s=30, limit=limit, on_large=on_large
        )
        return answer.content

    async def put(
        self, *path: str, body: Mapping[str, Any], query: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        """PUT a JSON object."""
        url = self._url("v3", *path) + (f"?{urlencode(query)}" if query else "")
        return await self.request("PUT", url, _encoded(body))

    async def delete(self, *path: str) -> dict[str, Any]:
        """DELETE."""
        return await self.request("DELETE", self._url("v3", *path))

    async def annotations(
        self, room_id: str, event_id: str, query: Mapping[str, str]
    ) -> dict[str, Any]:
        """Spec, "GET /rooms/{roomId}/relations/{eventId}/{relType}/{eventType}": reactions."""
        path = ("rooms", room_id, "relations", event_id, "m.annotation", "m.reaction")
        return await self.request("GET", f"{self._url('v1', *path)}?{urlencode(query)}")

    async def media(
        self, *path: str, query: Mapping[str, str], is_old: bool, limit: int
    ) -> Fetched:
        """GET below ``/_matrix/client/v1/media``, or where that was before Matrix 1.11."""
        below = "media/v3/" if is_old else "client/v1/media/"
        url = f"{self._base}/_matrix/{below}{_quoted(path)}?{urlencode(query)}"
        answer = await fetch(
            self._http, "GET", url, headers=self._headers, timeout_s=30, limit=limit
        )
        if answer.status in (307, 308):  # spec: to where the bytes are; it gets no token
            location = answer.headers.get("Location", "")
            if not location.startswith("https://" if url.startswith("https://") else "http"):
                raise not_matrix(answer.status, answer.headers)
            answer = await fetch(self._http, "GET", location, timeout_s=30, limit=limit)
        if answer.status != 200:
            content = _object(answer.body)
            if content is None:
                raise not_matrix(answer.status, answer.headers)
            raise error_of(answer.status, content, answer.headers)
        return answer

    async def upload(self, data: bytes, kind: str) -> str:
        """Spec, "POST /_matrix/media/v3/upload". Returns the ``mxc:`` URI."""
        headers = {**self._headers, "Content-Type": kind}
        url = f"{self._base}/_matrix/media/v3/upload"
        answer = await fetch(
            self._http, "POST", url, headers=headers, body=data, timeout_s=30, limit=KIB
        )
        content = _object(answer.body)
        if content is None:
            raise not_matrix(answer.status, answer.headers)
        if answer.status != 200:
            raise error_of(answer.status, content, answer.headers)
        uri = content.get("content_uri")
        if not isinstance(uri, str):
            raise Transient("The homeserver's answer is not one of Matrix.")
        return uri

    async def versions(self) -> dict[str, Any]:
        """Spec, "GET /_matrix/client/versions"."""
        return await self.request("GET", self._url("versions"), timeout_s=10)

    async def raw(self, method: str, path: str, body: str) -> dict[str, Any]:
        """A request that another library has built."""
        return await self.request(method, self._base + path, body.encode())

    async def request(
        self, method: str, url: str, body: bytes | None = None, *, timeout_s: float = 30
    ) -> dict[str, Any]:
        """Raises an `AdapterError` for everything but a JSON object with status 200."""
        return (await self._request(method, url, body, timeout_s=timeout_s)).content

    async def _request(
        self,
        method: str,
        url: str,
        body: bytes | None = None,
        *,
        timeout_s: float,
        limit: int = _ANSWER_LIMIT,
        on_large: Callable[[], None] | None = None,
    ) -> Answer:
        headers = dict(self._headers)
        if body is not None:
            headers["Content-Type"] = "application/json"
        answer = await fetch(
            self._http, method, url, headers=headers, body=body, timeout_s=timeout_s, limit=limit
        )
        is_large = len(answer.body) > LARGE
        if is_large and on_large is not None:
            on_large()
        content = await beside(is_large, _object, answer.body)
        if content is None:
            raise not_matrix(answer.status, answer.headers)
        if answer.status != 200:
            raise error_of(answer.status, content, answer.headers)
        return Answer(content, is_large, len(answer.body))

    def _url(self, *path: str) -> str:
        return f"{self._base}/_matrix/client/" + _quoted(path)


def _quoted(path: Sequence[str]) -> str:
    return "/".join(quote(part, safe="") for part in path)


async def fetch(
    http: aiohttp.ClientSession,
    method: str,
    url: str,
    *,
    headers: Mapping[str, str] | None = None,
    body: bytes | None = None,
    timeout_s: float,
    limit: int,
) -> Fetched:
    """One request without redirections. Raises `Transient` or `Forbidden` if nothing comes."""
    host = urlsplit(url).netloc
    try:
        async with http.request(
            method,
            URL(url, encoded=True),
            data=body,
            headers=headers,
            allow_redirects=False,
            timeout=aiohttp.ClientTimeout(total=timeout_s, connect=min(timeout_s, 15)),
        ) as answer:
            content = await _bounded(answer, host, limit)
            return Fetched(answer.status, dict(answer.headers), content)
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
        raise unreachable(host, error) from error


async def _bounded(answer: aiohttp.ClientResponse, host: str, limit: int) -> bytes:
    content = bytearray()
    async for chunk in answer.content.iter_chunked(64 * KIB):
        content += chunk
        if len(content) > limit:
            raise TooMuch(f"{host} answered with more than {limit // MIB or 1} MiB.")
    return bytes(content)


async def beside(is_large: bool, work: Callable[..., T], *args: Any) -> T:
    """Do some computing: at once if it is small, in a thread beside the loop if it is large.

    One thread for all: each that computes takes its share of the interpreter from the loop.
    """
    if not is_large:
        return work(*args)
    return await asyncio.get_running_loop().run_in_executor(_BESIDE, work, *args)


def dismantle(content: object) -> None:
    """Free what nobody needs any more, piece by piece.

    Left to the interpreter, a large answer goes in one uninterruptible step, and all threads wait.
    """
    waiting = [content]
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            waiting.extend(item.values())
            item.clear()
        elif isinstance(item, list):
            waiting.extend(item)
            item.clear()


def _object(body: bytes) -> dict[str, Any] | None:
    """Python's own parser, since lone surrogates must not cost the whole answer.

    The parser holds the interpreter's lock from beginning to end; only a call into Python, as the
    hooks are, lets the loop's thread go on meanwhile.
    """
    is_large = len(body) > LARGE
    if is_large and _is_excessive(body):
        return None
    try:
        content = json.loads(body, **(_HOOKS if is_large else {}))
    except (ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) else None


def _is_excessive(body: bytes) -> bool:
    """Whether this is made to cost as much as possible. Piece by piece, for the same reason."""
    return any(
        sum(body.count(sign, at, at + MIB) for at in range(0, len(body), MIB)) > most
        for sign, most in _MOST.items()
    )


def _same(item: dict[str, Any]) -> dict[str, Any]:
    return item


def _integer(digits: str) -> int:
    return int(digits)


def _number(digits: str) -> float:
    return float(digits)


_HOOKS: dict[str, Any] = {
    "object_hook": _same,
    "parse_int": _integer,
    "parse_float": _number,
}
"""They do what the parser does itself, but in Python."""


def _encoded(body: Mapping[str, Any]) -> bytes:
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
