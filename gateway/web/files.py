# SPDX-License-Identifier: Apache-2.0
"""Files of networks, for whoever has their address (REQ-444).

What is asked for is fetched from the network, and flows from there to who has asked, as fast as
they take it; and into the cache, if there is one, which has it for the next time.
"""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import replace
from typing import Protocol

import structlog
from aiohttp import web
from aiohttp.typedefs import Handler

from gateway.adapter import Clock, Download
from gateway.config.values import WebAddress
from gateway.errors import AdapterError, Forbidden, NotFound, TooLarge, Transient
from gateway.ids import FileId
from gateway.media.cache import FileCache, Kept
from gateway.media.links import FILES, THUMBNAILS, FileLinks
from gateway.media.names import disposition
from gateway.media.turns import Turns
from gateway.media.types import is_shown
from gateway.store import Store, conversations, files
from gateway.store.files import FileRow
from gateway.tasks import within
from gateway.text.wording import tr
from gateway.web import ranges
from gateway.web.ranges import Part, Range
from gateway.web.rest import Rest

log = structlog.get_logger("files")

_AT_ONCE = 100
"""Open files of everybody."""
_AT_ONCE_OF_ACCOUNT = 32
_AT_ONCE_OF_ONE = 8
"""Of one file: players ask for parts of it, and all who are in a room for it at once."""
_TURN_LIMIT_S = 20.0
"""So long who comes when so many are open waits for one of them to be closed."""
_MOST_WAITING = 200
"""Of one account or room; who comes then is told at once to come again later."""
_SILENCE_S = 60.0
"""In which something has to come from the network, and to be taken."""
_OPEN_LIMIT_S = 45.0
"""For which a turn is held until it has begun to come."""
_MOST_KNOWN = 5_000
"""Files whose size is remembered."""
_LOOK_EVERY_S = 60.0
"""At whether what is in the cache is still to be there."""
_LOOK_AT = 500
"""Files at once."""
_OF_ALL = "application/octet-stream"
_FOR_ANY_ORIGIN = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Expose-Headers": "Content-Length, Content-Range, ETag",
    "Cross-Origin-Resource-Policy": "cross-origin",
}
_HEADERS = {
    **_FOR_ANY_ORIGIN,
    "Accept-Ranges": "bytes",
    "Cache-Control": "private, max-age=604800, immutable",
    "Content-Security-Policy": "sandbox; default-src 'none'",
}
_PREFLIGHT = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Methods": "GET, HEAD",
    "Access-Control-Allow-Headers": "Range, If-Range, If-None-Match",
    "Access-Control-Max-Age": "86400",
}


class Source(Protocol):
    """Who fetches files of some network: see `gateway.bridge.files.downloads`."""

    def is_ours(self, file: FileRow) -> bool: ...
    async def open(self, file: FileRow, start: int = 0, *, in_part: bool = False) -> Download: ...


class Files:
    """Answers who comes to the address of a file."""

    def __init__(
        self,
        store: Store,
        links: FileLinks,
        clock: Clock,
        sources: Callable[[], list[Source]],
        cache: FileCache,
    ) -> None:
        self._store = store
        self._links = links
        self._clock = clock
        self._sources = sources
        self._cache = cache
        self._turns = Turns(_AT_ONCE, _AT_ONCE_OF_ACCOUNT)
        self._turns_of_one = Turns(sys.maxsize, _AT_ONCE_OF_ONE)
        self._waiting: Counter[str] = Counter()
        """By account or room."""
        self._known: dict[tuple[FileId, str], tuple[int, str]] = {}
        """Sizes and types that the network has said."""

    @property
    def routes(self) -> list[tuple[str, str, Handler]]:
        """Method, path and handler."""
        path = f"/{{what:{FILES}|{THUMBNAILS}}}/{{token}}/{{name:.*}}"
        return [
            ("GET", path, _for_any_origin(self._get)),
            ("HEAD", path, _for_any_origin(self._head)),
            ("OPTIONS", path, self._preflight),
        ]

    def moved(self, before: WebAddress, to: WebAddress) -> list[tuple[str, str, Handler]]:
        """Where files were before: their addresses are in archives."""

        async def elsewhere(request: web.Request) -> web.Response:
            path = request.rel_url.raw_path.removeprefix(before.path)
            raise web.HTTPPermanentRedirect(f"{to}{path}", headers=_FOR_ANY_ORIGIN)

        return [
            (method, path, handler if method == "OPTIONS" else elsewhere)
            for method, path, handler in self.routes
        ]

    async def clean(self) -> None:
        """For ever: what was taken back, or is too old, is nowhere (REQ-428, REQ-725)."""
        while True:
            try:
                await self._clean()
            except Exception:  # a database that cannot be read may be again
                log.exception("file_cache_not_cleaned")
            await self._clock.sleep(_LOOK_EVERY_S)

    async def _clean(self) -> None:
        kept = list(self._cache.ids)
        for start in range(0, len(kept), _LOOK_AT):
            ids = kept[start : start + _LOOK_AT]
            gone = set(ids) - files.there(self._store.reader, ids)
            if gone:
                await self._cache.drop(gone)
            await asyncio.sleep(0)  # others have their turn

    async def _preflight(self, _: web.Request) -> web.Response:
        """Of a page of another origin, such as a client in a browser."""
        return web.Response(status=204, headers=_PREFLIGHT)

    async def _head(self, request: web.Request) -> web.StreamResponse:
        """Some clients ask for size and type before they decide (REQ-444)."""
        file = self._asked(request)
        if ranges.is_known(request, _tag(file, request)):
            return web.Response(status=304, headers=_headers(file, request, ""))
        size: int | None
        size, media_type = self._known.get(_key(file), (None, ""))
        if size is None:
            async with self._opened(file, None) as (download, _):
                size, media_type = download.size, download.media_type
        response = web.StreamResponse(headers=_headers(file, request, media_type))
        response.content_length = size
        await response.prepare(request)
        return response

    async def _get(self, request: web.Request) -> web.StreamResponse:
        file = self._asked(request)
        tag = _tag(file, request)
        if ranges.is_known(request, tag):
            return web.Response(status=304, headers=_headers(file, request, ""))
        async with self._opened(file, ranges.asked(request, tag)) as (download, part):
            # The size that its sender says may be another one: only the network's counts.
            left = download.size
            response = web.StreamResponse(headers=_headers(file, request, download.media_type))
            if part is not None:
                first, last = part
                response.set_status(206)
                response.headers["Content-Range"] = f"bytes {first}-{last}/{download.size}"
                left = last - first + 1
            if left is None:
                response.enable_chunked_encoding()
            response.content_length = left
            await response.prepare(request)
            try:
                await self._flow(response, download, left)
            except (AdapterError, TimeoutError, ConnectionError) as error:
                # It has begun: that it is not whole can only be told by its end.
                log.info("file_broken_off", file=file.id, reason=str(error))
                if request.transport is not None:
                    request.transport.abort()
        return response

    async def _flow(
        self, response: web.StreamResponse, download: Download, left: int | None
    ) -> None:
        """As many bytes as were announced; it never only looks as if it were whole.

        Raises any `AdapterError`, `TimeoutError`, `ConnectionError`.
        """
        chunks = aiter(download.chunks)

        async def step(most: int | None) -> int:
            chunk = await anext(chunks, b"")
            if chunk:
                await response.write(chunk if most is None else chunk[:most])
            return len(chunk)

        while left is None or left > 0:
            # One limit for both: it costs as much as all the rest.
            passed = await within(self._clock, _SILENCE_S, step(left))
            if not passed:
                break
            if left is not None:
                left = max(left - passed, 0)
        if left:
            raise Transient(tr("The network sent less of the file than it had said."))
        await response.write_eof()

    def _asked(self, request: web.Request) -> FileRow:
        """Raises `web.HTTPException` if nothing is there."""
        id = self._links.file(request.match_info["token"])
        file = None if id is None else files.get(self._store.reader, id)
        if file is None:
            raise web.HTTPNotFound
        if self._clock.now() - file.stored_at > self._links.lasts_s:
            raise web.HTTPGone
        if request.match_info["what"] == FILES:
            return file
        if file.file.thumbnail is None:
            raise web.HTTPNotFound
        return replace(file, file=file.file.thumbnail)

    @asynccontextmanager
    async def _opened(
        self, file: FileRow, wanted: Range | None
    ) -> AsyncIterator[tuple[Download, Part | None]]:
        """With the part that it is, or None for the whole: that comes where no part can be had,
        as RFC 9110 §14.2 allows. Raises `web.HTTPException` if nothing can, or breaks off the
        connection."""
        source = next((each for each in self._sources() if each.is_ours(file)), None)
        if source is None:
            raise web.HTTPGone
        try:
            async with AsyncExitStack() as stack:
                await within(self._clock, _TURN_LIMIT_S, self._turn(file, stack))
                download, part = await self._begun(source, file, wanted)
                stack.push_async_callback(download.close)
                yield download, part
        except (NotFound, Forbidden):
            raise web.HTTPGone from None
        except (AdapterError, TimeoutError) as error:
            log.info("file_not_fetched", file=file.id, reason=str(error))
            raise _unavailable() from None

    async def _turn(self, file: FileRow, stack: AsyncExitStack) -> None:
        """Wait for one: who is slow, or asks for much, keeps the files of others from nobody.
        Raises `web.HTTPException` if too many wait."""
        is_room = conversations.is_room(self._store.reader, file.conversation)
        # One of a room was told by one account and is read by all.
        owner = f"room {file.conversation}" if is_room else f"account {file.account}"
        if self._waiting[owner] >= _MOST_WAITING:
            raise _unavailable()
        self._waiting[owner] += 1
        try:
            await stack.enter_async_context(self._turns_of_one.turn(str(file.id)))
            await stack.enter_async_context(self._turns.turn(owner))
        finally:
            self._waiting[owner] -= 1
            if not self._waiting[owner]:
                del self._waiting[owner]

    async def _begun(
        self, source: Source, file: FileRow, wanted: Range | None
    ) -> tuple[Download, Part | None]:
        """A part is had by the size that the network says, and not at all without one."""
        kept = await self._cache.open(*_key(file))
        if kept is not None:
            return await self._kept(source, file, wanted, kept)
        if wanted is None:
            return await self._fetched(source, file), None
        size = self._known.get(_key(file), (None, ""))[0]
        if size is None:
            whole = await self._fetched(source, file)
            if whole.size is None:
                return whole, None
            if wanted == Range(0, None):  # as players ask for it
                return whole, wanted.of(whole.size)
            size = whole.size
            await whole.close()
        part = wanted.of(size)
        if part is not None and part != (0, size - 1):
            with suppress(TooLarge, Transient, TimeoutError):
                download = await self._fetched(source, file, part[0], in_part=True)
                if download.size in (None, size):
                    return replace(download, size=size), part
                await download.close()
            part = None
        whole = await self._fetched(source, file)
        return whole, part if whole.size == size else None

    async def _kept(
        self, source: Source, file: FileRow, wanted: Range | None, kept: Kept
    ) -> tuple[Download, Part | None]:
        try:
            part = None if wanted is None else wanted.of(kept.size)
        except web.HTTPRequestRangeNotSatisfiable:
            await kept.close()
            raise

        async def fetch(start: int) -> Download:
            return await self._fetched(source, file, start, in_part=start > 0)

        return Rest(kept, 0 if part is None else part[0], fetch).download, part

    async def _fetched(
        self, source: Source, file: FileRow, start: int = 0, *, in_part: bool = False
    ) -> Download:
        """Raises any `AdapterError`, `TimeoutError`."""
        opening = source.open(file, start, in_part=in_part)
        download = await within(self._clock, _OPEN_LIMIT_S, opening)
        if start or in_part or file.file.content:
            return download
        if download.size is not None:
            self._known.pop(_key(file), None)
            self._known[_key(file)] = download.size, download.media_type
            if len(self._known) > _MOST_KNOWN:
                del self._known[next(iter(self._known))]
        return self._cache.keeping(*_key(file), download)


def _for_any_origin(handler: Handler) -> Handler:
    """A page of another origin is also to see why it does not get a file."""

    async def answered(request: web.Request) -> web.StreamResponse:
        try:
            return await handler(request)
        except web.HTTPException as error:
            error.headers.update(_FOR_ANY_ORIGIN)
            raise

    return answered


def _unavailable() -> web.HTTPServiceUnavailable:
    return web.HTTPServiceUnavailable(headers={"Retry-After": "60"})


def _key(file: FileRow) -> tuple[FileId, str]:
    """A file and its small picture are of one row."""
    return file.id, file.file.reference


def _headers(file: FileRow, request: web.Request, media_type: str) -> dict[str, str]:
    """``media_type``: as the network says it; who has sent the file knows better."""
    media_type = file.file.media_type or media_type
    may_be_shown = is_shown(media_type)
    return {
        **_HEADERS,
        "Content-Type": media_type if may_be_shown else _OF_ALL,
        "Content-Disposition": disposition(file.file.name or "file", is_shown=may_be_shown),
        "ETag": _tag(file, request),
    }


def _tag(file: FileRow, request: web.Request) -> str:
    """A file never changes: another one has another address."""
    return f'"{file.id}-{request.match_info["token"][-16:]}"'
