# SPDX-License-Identifier: Apache-2.0
"""What is not in events: pictures and files. Matrix spec, client-server API, "Content repository".

What the gateway is told of a picture is its ``mxc:`` URI: the same URI is always the same picture.
What it is told of a file says `sealed_files`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from functools import partial
from typing import TypeVar

from adapters.matrix.errors import code_of, status_of
from adapters.matrix.http import MIB, Api, TooMuch
from adapters.matrix.proofs import PIECE, Proofs, proven
from adapters.matrix.sealed_files import (
    SMALL_HEIGHT,
    SMALL_WIDTH,
    URI,
    found,
    is_small,
)
from adapters.matrix.streams import Stream
from gateway.adapter import Download
from gateway.errors import AdapterError, NotFound, TooLarge
from gateway.text.wording import tr

T = TypeVar("T")

_LIMIT = 4 * MIB
"""Of a thumbnail: homeservers that cannot make one may send the whole picture."""
_EDGE = "256"
_PATIENCE = {"timeout_ms": "20000"}
"""For what is not there yet: another server has it, or somebody still sends it."""
_SMALL = {
    "width": str(SMALL_WIDTH),
    "height": str(SMALL_HEIGHT),
    "method": "scale",
    **_PATIENCE,
}
AVATAR_URL = "avatar_url"
"""Where a member event or a profile names the picture."""


def avatar_in(content: Mapping[str, object], key: str) -> str:
    """The picture that an event or a profile names; empty if it names none."""
    uri = content.get(key)
    return uri if isinstance(uri, str) and URI.fullmatch(uri) else ""


class Media:
    """Of one account."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._is_old = False
        """The homeserver does not know authenticated media yet."""
        self._proofs = Proofs()

    async def thumbnail(self, uri: str) -> bytes:
        """A small picture, as the homeserver makes it. Raises any `AdapterError`."""
        place = URI.fullmatch(uri)
        if place is None:
            raise NotFound(tr("This is no picture of Matrix."))
        path = ("thumbnail", *place.groups())
        query = {"width": _EDGE, "height": _EDGE, "method": "scale", **_PATIENCE}
        try:
            return await self._asked(
                lambda is_old: self._api.media(*path, query=query, is_old=is_old, limit=_LIMIT)
            )
        except TooMuch as error:
            raise TooLarge(tr("The picture is too large.")) from error

    async def download(self, reference: str, start: int, *, in_part: bool = False) -> Download:
        """See `gateway.adapter.Session.download`."""
        file = found(reference)
        if file is None:
            raise NotFound(tr("This is no file of Matrix."))
        server, media_id, seal = file
        opened = partial(self._opened, "download", server, media_id, _PATIENCE)
        if is_small(reference):
            opened = partial(self._opened, "thumbnail", server, media_id, _SMALL)
        if seal is None:
            stream = await opened(start)
            return _download(stream, stream.chunks(), stream.media_type)
        if not start and not in_part:
            stream = await opened(0)
            return _download(stream, seal.opened(stream.chunks()))
        hashes = await self._proofs.of(seal, partial(opened, 0))
        first = start // PIECE
        stream = await opened(first * PIECE)
        good = proven(stream.chunks(), hashes, first)
        return _download(stream, seal.part(good, first * PIECE, start))

    async def _opened(
        self, what: str, server: str, media_id: str, query: Mapping[str, str], start: int
    ) -> Stream:
        """What the homeserver has of a file, from there on."""
        try:
            answer = await self._asked(
                lambda is_old: self._api.open_media(
                    what, server, media_id, query=query, is_old=is_old, start=start
                )
            )
        except NotFound as error:
            raise NotFound(tr("The homeserver no longer has this file.")) from error
        except TooLarge as error:
            raise TooLarge(tr("The file is larger than the homeserver gives.")) from error
        try:
            return Stream(answer, start)
        except AdapterError:
            answer.close()
            raise

    async def _asked(self, ask: Callable[[bool], Awaitable[T]]) -> T:
        """As homeservers are asked now, or as older ones were."""
        try:
            return await ask(self._is_old)
        except AdapterError as error:
            if self._is_old or not _is_unknown(error):
                raise
        self._is_old = True
        return await ask(True)

    async def upload(self, data: bytes, kind: str) -> str:
        """Returns its URI. Raises any `AdapterError`."""
        uri = await self._api.upload(data, kind)
        if not URI.fullmatch(uri):
            raise NotFound(tr("The homeserver did not say what it calls the picture."))
        return uri


def _download(stream: Stream, chunks: AsyncIterator[bytes], media_type: str = "") -> Download:
    return Download(chunks=chunks, close=stream.close, size=stream.size, media_type=media_type)


def _is_unknown(error: AdapterError) -> bool:
    """Spec, "Common error codes": no such path there."""
    return code_of(error) == "M_UNRECOGNIZED" or (status_of(error) == 404 and not code_of(error))
