# SPDX-License-Identifier: Apache-2.0
"""Bytes on their way to a place that an upload service has given (XEP-0363 §7)."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterable, AsyncIterator, Sequence
from urllib.parse import urlsplit

import aiohttp
from yarl import URL

from gateway.config.values import Host

_TAKEN = (200, 201, 204)
OTHER_LENGTH = "the network has sent another length than it has said"
_NO_LIMIT = aiohttp.ClientTimeout(total=None)
"""Whoever waits has one."""
_LOOK_LIMIT = aiohttp.ClientTimeout(total=2.0)


class PutRefused(Exception):
    """A file is not there. ``is_final``: nor will it be, however often that is tried."""

    def __init__(self, reason: str, *, is_final: bool) -> None:
        super().__init__(reason)
        self.is_final = is_final


def is_good(url: str) -> bool:
    """Whether it can be told to users, or used at all: by https, or on this machine."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        _ = parts.port  # raises if it is none
    except ValueError:
        return False
    if parts.fragment or not url.isascii() or any(sign.isspace() for sign in url):
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and Host(host).is_loopback)


async def is_there(http: aiohttp.ClientSession, url: str, size: int) -> bool:
    """Whether a file is still where it was put: services forget files, by age or by quota."""
    try:
        async with http.head(
            URL(url, encoded=True), allow_redirects=False, timeout=_LOOK_LIMIT
        ) as answer:
            return answer.status == 200 and answer.content_length in (None, size)
    except (aiohttp.ClientError, TimeoutError):
        return False


async def put(
    http: aiohttp.ClientSession,
    url: str,
    headers: Sequence[tuple[str, str]],
    chunks: AsyncIterable[bytes],
    size: int,
    media_type: str,
) -> bytes:
    """Send exactly so many bytes as they come; returns the SHA-256 of them.

    Raises `PutRefused`, also if there are more or less of them, and what ``chunks`` raises.
    """
    flow = _Flow(chunks, size)
    own = [("Content-Length", str(size)), ("Content-Type", media_type)]
    try:
        async with http.put(
            URL(url, encoded=True),
            data=flow.run(),
            headers=[*own, *headers],
            allow_redirects=False,
            timeout=_NO_LIMIT,
        ) as answer:
            if flow.error is not None:
                raise flow.error
            if answer.status not in _TAKEN:
                raise PutRefused(f"status {answer.status}", is_final=answer.status == 413)
    except aiohttp.ClientError as error:
        raise flow.error or PutRefused(str(error), is_final=False) from None
    return flow.digest()


class _Flow:
    """What flows; aiohttp tells nobody why it broke off."""

    def __init__(self, chunks: AsyncIterable[bytes], size: int) -> None:
        self._chunks = chunks
        self._left = size
        self._hash = hashlib.sha256()
        self.error: Exception | None = None

    async def run(self) -> AsyncIterator[bytes]:
        try:
            async for chunk in self._chunks:
                self._left -= len(chunk)
                if self._left < 0:
                    raise PutRefused(OTHER_LENGTH, is_final=False)
                self._hash.update(chunk)
                yield chunk
            if self._left:
                raise PutRefused(OTHER_LENGTH, is_final=False)
        except Exception as error:
            self.error = error
            raise

    def digest(self) -> bytes:
        return self._hash.digest()
