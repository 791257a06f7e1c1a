# SPDX-License-Identifier: Apache-2.0
"""A thin client of the Matrix client-server API: JSON in, JSON out, errors by `errors`."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode, urljoin, urlsplit

import aiohttp
from yarl import URL

from adapters.matrix.answers import LARGE, beside, parsed
from adapters.matrix.errors import error_of, not_matrix, unreachable
from gateway.errors import AdapterError, NotFound, Transient
from gateway.text.wording import tr

KIB = 1024
MIB = 1024 * KIB
_ANSWER_LIMIT = 2 * MIB
_REDIRECTIONS = (301, 302, 303, 307, 308)
_MOST_REDIRECTIONS = 3
READ_BYTES = 128 * KIB
"""Of a file: when twice as many wait for who takes them, no more are read."""
_SILENCE_S = 60
"""So long nothing may come of a file that somebody waits for."""
_LOST = (aiohttp.ClientError, TimeoutError, OSError, ValueError)
"""What there is in place of an answer."""


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

    async def replacements(self, room_id: str, event_id: str) -> dict[str, Any]:
        """Spec, "GET /rooms/{roomId}/relations/{eventId}/{relType}": the newest edits."""
        path = ("rooms", room_id, "relations", event_id, "m.replace")
        return await self.request("GET", f"{self._url('v1', *path)}?limit=100")

    async def open_media(
        self, *path: str, query: Mapping[str, str], is_old: bool, start: int = 0
    ) -> aiohttp.ClientResponse:
        """GET below ``/_matrix/client/v1/media``, or where that was before Matrix 1.11.

        This is the head of the answer: whoever gets it reads the body, and closes it. ``start``:
        the first byte that is wanted, if the other side can leave out others (status 206)."""
        below = "media/v3/" if is_old else "client/v1/media/"
        url = f"{self._base}/_matrix/{below}{_quoted(path)}?{urlencode(query)}"
        headers = {**self._headers, "Accept-Encoding": "identity"}
        if start:
            headers["Range"] = f"bytes={start}-"
        for hops in range(_MOST_REDIRECTIONS + 1):
            answer = await _begun(self._http, url, headers)
            if answer.status in (200, 206):
                return answer
            try:
                if answer.status not in _REDIRECTIONS or hops == _MOST_REDIRECTIONS:
                    raise await _refusal(answer, urlsplit(url).netloc, is_elsewhere=hops > 0)
                # Spec, "GET /_matrix/client/v1/media/download/{serverName}/{mediaId}": to where
                # the bytes are, by a URL that is secret enough: it gets no token.
                url = _onward(url, answer)
                headers.pop("Authorization", None)
            finally:
                answer.close()
        raise AssertionError("the last one is followed or refused")

    async def media(self, *path: str, query: Mapping[str, str], is_old: bool, limit: int) -> bytes:
        """As `open_media`, of what is small."""
        try:
            async with asyncio.timeout(30):
                answer = await self.open_media(*path, query=query, is_old=is_old)
                try:
                    return await _bounded(answer, self._host, limit)
                finally:
                    answer.close()
        except _LOST as error:
            raise unreachable(self._host, error) from error

    async def upload(
        self,
        data: bytes | AsyncIterator[bytes],
        kind: str,
        *,
        size: int | None = None,
        name: str = "",
    ) -> str:
        """Spec, "POST /_matrix/media/v3/upload". Returns the ``mxc:`` URI. ``size``: of what
        comes in chunks, in bytes; that may take as long as it takes."""
        headers = {**self._headers, "Content-Type": kind}
        if size is not None:
            headers["Content-Length"] = str(size)
        query = f"?{urlencode({'filename': name})}" if name else ""
        answer = await fetch(
            self._http,
            "POST",
            f"{self._base}/_matrix/media/v3/upload{query}",
            headers=headers,
            body=data,
            timeout_s=30 if size is None else None,
            limit=64 * KIB,
        )
        content = parsed(answer.body)
        if content is None:
            raise not_matrix(answer.status, answer.headers)
        if answer.status != 200:
            raise error_of(answer.status, content, answer.headers)
        uri = content.get("content_uri")
        if not isinstance(uri, str):
            raise Transient(tr("The homeserver's answer is not one of Matrix."))
        return uri

    async def upload_limit(self) -> int | None:
        """Spec, "GET /_matrix/client/v1/media/config": in bytes, None if there is none."""
        answer = await self.request("GET", self._url("v1", "media", "config"))
        limit = answer.get("m.upload.size")
        is_limit = isinstance(limit, int) and not isinstance(limit, bool) and limit >= 0
        return limit if is_limit else None

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
        content = await beside(is_large, parsed, answer.body)
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
    body: bytes | AsyncIterator[bytes] | None = None,
    timeout_s: float | None,
    limit: int,
) -> Fetched:
    """One request without redirections. Raises `Transient` or `Forbidden` if nothing comes.
    Without ``timeout_s`` it may take long, but the answer must begin soon after the body."""
    host = urlsplit(url).netloc
    timeout = aiohttp.ClientTimeout(total=None, connect=15, sock_read=_SILENCE_S)
    if timeout_s is not None:
        timeout = aiohttp.ClientTimeout(total=timeout_s, connect=min(timeout_s, 15))
    try:
        async with http.request(
            method,
            URL(url, encoded=True),
            data=body,
            headers=headers,
            allow_redirects=False,
            timeout=timeout,
        ) as answer:
            content = await _bounded(answer, host, limit)
            return Fetched(answer.status, dict(answer.headers), content)
    except _LOST as error:
        raise unreachable(host, error) from error


async def _begun(
    http: aiohttp.ClientSession, url: str, headers: Mapping[str, str]
) -> aiohttp.ClientResponse:
    """The head of an answer. Raises `Transient` or `Forbidden` if nothing comes."""
    timeout = aiohttp.ClientTimeout(total=None, connect=15, sock_read=_SILENCE_S)
    to = URL(url, encoded=True)
    try:
        return await http.get(
            to,
            headers=headers,
            allow_redirects=False,
            timeout=timeout,
            read_bufsize=READ_BYTES,
        )
    except _LOST as error:
        raise unreachable(urlsplit(url).netloc, error) from error


def _onward(url: str, answer: aiohttp.ClientResponse) -> str:
    """Where a redirection leads: never from https to something else."""
    try:
        onward = urljoin(url, answer.headers.get("Location", ""))
    except ValueError:
        onward = ""
    wanted = ("https://",) if url.startswith("https://") else ("https://", "http://")
    if not onward.startswith(wanted) or onward == url:
        raise not_matrix(answer.status, answer.headers)
    return onward


async def _refusal(
    answer: aiohttp.ClientResponse, host: str, *, is_elsewhere: bool
) -> AdapterError:
    """The error for media that are not given; ``is_elsewhere``: by none that speaks Matrix."""
    status, headers = answer.status, answer.headers
    if is_elsewhere and status not in _REDIRECTIONS:
        if status in (404, 410):
            return NotFound(tr("The homeserver no longer has this file."))
        return Transient(
            tr("{host} does not give the file (HTTP {status}).", host=host, status=status)
        )
    try:
        content = parsed(await _bounded(answer, host, _ANSWER_LIMIT))
    except _LOST as error:
        return unreachable(host, error)
    return not_matrix(status, headers) if content is None else error_of(status, content, headers)


async def _bounded(answer: aiohttp.ClientResponse, host: str, limit: int) -> bytes:
    content = bytearray()
    async for chunk in answer.content.iter_chunked(64 * KIB):
        content += chunk
        if len(content) > limit:
            raise TooMuch(
                tr(
                    "{host} answered with more than {limit} MiB.",
                    host=host,
                    limit=limit // MIB or 1,
                )
            )
    return bytes(content)


def _encoded(body: Mapping[str, Any]) -> bytes:
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
