# SPDX-License-Identifier: Apache-2.0
"""The one way by which the gateway fetches what somebody has given it a URL of (REQ-720, REQ-721).

::

    async with guard.open(url, user=jid, most=limit) as download:
        await upload(download.chunks, size=download.size)

Nothing is kept: a chunk is read when it is asked for, so a slow reader slows the sender down. What
a server says of a file is what a stranger says. One that breaks off is asked for the rest, if it
has said by what the file is known again. Everything raises `gateway.errors.FetchError`, in words
for the user who gave the URL.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import partial

import aiohttp
from aiohttp.abc import AbstractResolver
from yarl import URL

from gateway.adapter import Download, PrivateAddress, named_connector, public_connector
from gateway.config.tree import Fetch
from gateway.errors import FetchBroken, FetchFailed, FetchGone, FetchRefused, FetchTooLarge
from gateway.media.destinations import Destinations, private
from gateway.media.resuming import Mark
from gateway.media.turns import Turns
from gateway.text.wording import tr

_CONNECT_S = 5.0
"""For finding the address, connecting, and agreeing on keys together."""
_MOST_REDIRECTS = 3
_SLOWEST = 16_000
"""Bytes a second."""
_PIECE = 256 * 1024
_AGAIN_S = (0.1, 1.0, 2.0, 4.0)
"""After which a server is asked for the rest of a file; so often in all."""
_MB = 1_000_000
_HEADERS = {"Accept": "*/*", "Accept-Encoding": "identity", "User-Agent": "Dragoman"}
"""Nothing is unpacked here, so nothing small becomes large."""


@dataclass(slots=True)
class _Patience:
    """How long the other side may still take. What our own side takes does not count."""

    silence_s: float
    time_s: float
    received: int = 0
    spent_s: float = 0.0

    @property
    def left_s(self) -> float:
        """In all."""
        return self.time_s + self.received / _SLOWEST - self.spent_s

    @asynccontextmanager
    async def wait(self) -> AsyncIterator[None]:
        """For one answer, or some bytes. Raises `TimeoutError`."""
        clock = asyncio.get_running_loop().time
        began = clock()
        try:
            async with asyncio.timeout(min(self.silence_s, self.left_s)):
                yield
        finally:
            self.spent_s += clock() - began


class Guard:
    """Fetches for everybody. One for the process; made while the loop runs."""

    def __init__(
        self,
        settings: Fetch,
        *,
        trusted: ssl.SSLContext | bool = True,
        resolver: AbstractResolver | None = None,
    ) -> None:
        """``trusted`` and ``resolver``: by default the system's."""
        self._settings = settings
        self._destinations = Destinations(settings)
        self._turns = Turns(settings.at_once, settings.at_once_per_user)
        if settings.proxy:
            others = aiohttp.TCPConnector(
                resolver=resolver, limit=0, ssl=trusted, force_close=True
            )
        else:  # names are looked up anew each time: there may be any number of them
            networks = self._destinations.networks
            others = public_connector(
                networks, resolver, ssl=trusted, force_close=True, use_dns_cache=False
            )
        self._guarded = _http(others)
        # To what the admin has named: hosts that may be anywhere.
        ports = self._destinations.usual_ports
        self._named = _http(named_connector(ports, resolver, ssl=trusted, force_close=True))

    async def close(self) -> None:
        """End everything that is under way."""
        await self._guarded.close()
        await self._named.close()

    @asynccontextmanager
    async def open(
        self, url: str, *, user: str, most: int | None = None
    ) -> AsyncIterator[Download]:
        """Wait for a turn of this user, and ask for the file; at the end the connection is closed.

        ``most``: bytes that can be used, if that is less than the admin allows. If there is a
        ``size``, just so many bytes come, or an error; no chunk is empty or larger than 256 KiB.
        Raises `FetchError`, and so do the chunks.
        """
        allowed = self._settings.max_size
        limit = allowed if most is None else min(allowed, most)
        async with self._turns.turn(user):
            patience = _Patience(self._settings.silence_limit, self._settings.time_limit)
            answer = await self._follow(url, patience)
            flow = _Flow(answer, patience, limit, partial(self._follow, url, patience))
            try:
                yield _download(answer, flow, limit)
            finally:
                flow.close()

    async def _follow(
        self, given: str, patience: _Patience, more: Mapping[str, str] | None = None
    ) -> aiohttp.ClientResponse:
        """``more``: headers."""
        url = self._destinations.checked(given)
        for _ in range(_MOST_REDIRECTS + 1):
            answer = await self._ask(url, patience, more)
            if answer.status not in (301, 302, 303, 307, 308):
                return answer
            answer.close()
            url = self._destinations.checked(answer.headers.get("Location", ""), url)
        raise FetchRefused(
            tr("{host} leads from one address to the next, without an end.", host=url.host)
        )

    async def _ask(
        self, url: URL, patience: _Patience, more: Mapping[str, str] | None
    ) -> aiohttp.ClientResponse:
        is_free = self._destinations.is_allowed(url)
        proxy = "" if is_free else self._settings.proxy
        http = self._named if is_free else self._guarded
        with _explained(url.host or ""):
            async with patience.wait():
                return await http.get(
                    url,
                    headers=more,
                    allow_redirects=False,
                    proxy=proxy or None,
                    timeout=aiohttp.ClientTimeout(total=None, connect=_CONNECT_S),
                )


def _http(connector: aiohttp.TCPConnector) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        headers=_HEADERS,
        auto_decompress=False,
    )


def _download(answer: aiohttp.ClientResponse, flow: _Flow, most: int) -> Download:
    """Raises `FetchError` if it is no file, or one that is too large."""
    host, status = answer.url.host or "", answer.status
    if status in (404, 410):
        raise FetchGone(tr("The file is not at {host} any more.", host=host))
    if status in (408, 425, 429) or status >= 500:
        raise FetchFailed(
            tr("{host} cannot give the file now (HTTP {status}).", host=host, status=status)
        )
    if status >= 400:
        raise FetchGone(
            tr("{host} does not give the file (HTTP {status}).", host=host, status=status)
        )
    packed = answer.headers.get("Content-Encoding", "identity").strip().lower()
    if status != 200 or packed not in ("", "identity"):
        raise FetchBroken(tr("{host} answers with something that is not the file.", host=host))
    if answer.content_length is not None and answer.content_length > most:
        raise _too_large(most)
    named = answer.headers.get("Content-Type", "").partition(";")[0]
    return Download(
        chunks=flow.chunks(),
        size=answer.content_length,
        media_type=named.strip().lower(),
    )


class _Flow:
    """The bytes of a file, by as many connections as that takes."""

    def __init__(
        self,
        answer: aiohttp.ClientResponse,
        patience: _Patience,
        most: int,
        ask: Callable[[Mapping[str, str]], Awaitable[aiohttp.ClientResponse]],
    ) -> None:
        self._answer = answer
        self._patience = patience
        self._most = most
        self._ask = ask
        self._mark = Mark.of(answer)
        self._again_s = list(_AGAIN_S)

    def close(self) -> None:
        """Of the connection nothing is used again."""
        self._answer.close()

    async def chunks(self) -> AsyncIterator[bytes]:
        """All of them."""
        while True:
            try:
                chunk = await self._read()
            except FetchFailed as error:
                await self._resume(error)
                continue
            if not chunk:
                return
            self._patience.received += len(chunk)
            if self._patience.received > self._most:
                raise _too_large(self._most)
            yield chunk

    async def _read(self) -> bytes:
        with _explained(self._answer.url.host or ""):
            async with self._patience.wait():
                return await self._answer.content.read(_PIECE)

    async def _resume(self, error: FetchFailed) -> None:
        """Go on where it broke off. Raises the error if that cannot be."""
        mark, first = self._mark, self._patience.received
        while mark is not None and 0 < first < mark.size and self._again_s:
            pause_s = self._again_s.pop(0)
            if self._patience.left_s <= pause_s:
                break
            self._patience.spent_s += pause_s
            await asyncio.sleep(pause_s)
            try:
                answer = await self._ask(mark.asking(first))
            except FetchFailed:
                continue
            self._answer.close()
            self._answer = answer
            if mark.is_rest(answer, first):
                return
            if answer.status < 500:
                break
        raise error


def _too_large(most: int) -> FetchTooLarge:
    size = f"{most / _MB:.3g}" if most < 1000 * _MB else f"{most / _MB:.0f}"
    return FetchTooLarge(tr("The file is larger than {size} MB.", size=size))


@contextmanager
def _explained(host: str) -> Iterator[None]:
    """What goes wrong with a request, as a `FetchError`."""
    try:
        yield
    except aiohttp.ClientSSLError as error:
        raise FetchRefused(
            tr("{host} has no valid certificate, or does not speak https there.", host=host)
        ) from error
    except aiohttp.ClientConnectorError as error:
        if isinstance(error.os_error, PrivateAddress):
            raise FetchRefused(private(host)) from error
        raise FetchFailed(tr("{host} cannot be reached.", host=host)) from error
    except TimeoutError as error:
        raise FetchFailed(tr("{host} is too slow.", host=host)) from error
    except aiohttp.ClientHttpProxyError as error:
        if error.status in (403, 407):
            raise FetchRefused(
                tr("The proxy of this gateway does not lead to {host}.", host=host)
            ) from error
        raise FetchFailed(tr("{host} cannot be reached.", host=host)) from error
    except (aiohttp.ClientResponseError, aiohttp.InvalidURL, ValueError) as error:
        raise FetchBroken(
            tr("{host} answers with something that is not the file.", host=host)
        ) from error
    except (aiohttp.ClientError, OSError) as error:
        raise FetchFailed(
            tr("{host} broke off before the whole file was there.", host=host)
        ) from error
