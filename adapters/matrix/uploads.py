# SPDX-License-Identifier: Apache-2.0
"""Files of the user on their way to the homeserver, encrypted where the room is.

Matrix spec, client-server API, "POST /_matrix/media/v3/upload", "GET
/_matrix/client/v1/media/config". An upload that is repeated is another one; of what no event names
nobody knows.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

from adapters.matrix.errors import code_of
from adapters.matrix.file_content import file_content, thumbnail_info
from adapters.matrix.http import MIB, Api
from adapters.matrix.opening import ENCRYPTED
from adapters.matrix.sealing import Sealing
from gateway.adapter import AccountContext, Thumbnail
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
from gateway.events import FileFacts, SentFile
from gateway.text.wording import joined, tr

_ANYTHING = "application/octet-stream"
_TYPE = re.compile(r"[a-z]+/[A-Za-z0-9.+_-]{1,100}")
_FULL = ("M_RESOURCE_LIMIT_EXCEEDED", "M_USER_LIMIT_EXCEEDED")
"""Nothing is gained by sending the same file again a minute later."""
_MEGABYTE = 1_000_000


class Uploads:
    """Of one account."""

    def __init__(self, account: AccountContext, api: Api, *, encrypts: bool) -> None:
        self._account = account
        self._api = api
        self._encrypts = encrypts
        self._limit: int | None = None
        """The largest file that the homeserver takes, as far as it has said so."""

    async def carried(
        self, file: SentFile, is_encrypted: Callable[[], Awaitable[bool]]
    ) -> tuple[dict[str, Any], bool]:
        """A file as the content of an event, and whether that is for an encrypted room alone.

        Where a room became encrypted meanwhile it is sent once more. Raises any `AdapterError`.
        """
        content, is_sealed = await self._sent(file, is_sealed=await is_encrypted())
        if not is_sealed and await is_encrypted():
            content, is_sealed = await self._sent(file, is_sealed=True)
        return content, is_sealed

    async def _sent(self, file: SentFile, *, is_sealed: bool) -> tuple[dict[str, Any], bool]:
        if is_sealed and not self._encrypts:
            raise Unsupported(ENCRYPTED)
        async with self._account.open(file) as upload:
            facts = upload.facts
            where = await self._put(facts, upload.chunks, is_sealed=is_sealed)
            content = file_content(facts, where, upload.waveform)
            if upload.thumbnail is not None:
                small = await self._small(upload.thumbnail, is_sealed=is_sealed)
                content["info"].update(small)
            return content, is_sealed

    async def _small(self, thumbnail: Thumbnail, *, is_sealed: bool) -> dict[str, Any]:
        """What is said of a small picture; nothing if that cannot be sent: the file is there."""
        data = thumbnail.data
        facts = FileFacts(media_type=thumbnail.media_type, size=len(data))
        try:
            where = await self._put(facts, _again(data), is_sealed=is_sealed)
        except AdapterError as error:
            self._account.log.info("thumbnail_not_sent", reason=str(error))
            return {}
        return thumbnail_info(thumbnail, where)

    async def _put(
        self, facts: FileFacts, chunks: AsyncIterator[bytes], *, is_sealed: bool
    ) -> dict[str, Any]:
        """Where it is then. Of what is sealed the homeserver is told neither what it is nor what
        it is called."""
        if is_sealed:
            sealing = Sealing()
            uri = await self._sent_whole(facts.size, sealing.sealed(chunks), _ANYTHING, "")
            return {"file": sealing.described(uri)}
        kind = facts.media_type if _TYPE.fullmatch(facts.media_type) else _ANYTHING
        return {"url": await self._sent_whole(facts.size, chunks, kind, facts.name)}

    async def _sent_whole(
        self, size: int | None, chunks: AsyncIterator[bytes], kind: str, name: str
    ) -> str:
        if size is None:
            data = await _whole(chunks)
            size, chunks = len(data), _again(data)
        await self._check(size)
        source = _Source(chunks, size)
        try:
            with self._in_words():
                return await self._api.upload(source.chunks(), kind, size=size, name=name)
        except AdapterError as error:
            if source.failed is not None:
                raise source.failed from error
            raise

    async def _check(self, size: int) -> None:
        """Raises `TooLarge`. A limit may have been raised since it was asked for."""
        if self._limit is not None and size <= self._limit:
            return
        try:
            self._limit = await self._api.upload_limit()
        except (NotFound, Forbidden, Unsupported):
            self._limit = None
        if self._limit is not None and size > self._limit:
            raise self._too_large()

    def _too_large(self) -> TooLarge:
        if self._limit is None:
            return TooLarge(tr("The file is larger than the homeserver takes."))
        limit = f"{self._limit / _MEGABYTE:.3g}"
        return TooLarge(
            tr("The file is larger than the homeserver takes, which is {limit} MB.", limit=limit)
        )

    @contextmanager
    def _in_words(self) -> Iterator[None]:
        """What it says of a file. Whatever it is: nothing has been sent."""
        sentence = tr("The homeserver does not take this file.")
        try:
            yield
        except (RateLimited, AuthExpired):
            raise
        except TooLarge as error:
            raise self._too_large() from error
        except (Forbidden, NotFound, Unsupported) as error:
            raise Forbidden(joined((sentence, error.text))) from error
        except Transient as error:
            if code_of(error) in _FULL:
                raise Forbidden(joined((sentence, error.text))) from error
            raise Transient(error.text, is_certain=True) from error


class _Source:
    """What is read while it is sent. A homeserver would wait for what is missing, and take what
    is too much for a request of its own."""

    def __init__(self, chunks: AsyncIterator[bytes], size: int) -> None:
        self._chunks = chunks
        self._size = size
        self.failed: AdapterError | None = None
        """Why the sending has ended, if that is not the homeserver's doing."""

    async def chunks(self) -> AsyncIterator[bytes]:
        """The chunks. The last one only if all of them are as many bytes as were promised, and
        what they should be: without it the homeserver keeps nothing."""
        left, held = self._size, b""
        try:
            async for chunk in self._chunks:
                left -= len(chunk)
                if left < 0:
                    break
                if held:
                    yield held
                held = chunk
            if left:
                raise Transient(
                    tr("The file is not as long as the server says that has it."),
                    is_certain=True,
                )
            yield held
        except AdapterError as error:
            self.failed = error
            raise


async def _whole(chunks: AsyncIterator[bytes]) -> bytes:
    """A small file of which nobody has said how long it is: a homeserver wants to know."""
    data = bytearray()
    async for chunk in chunks:
        data += chunk
        if len(data) > MIB:
            raise Unsupported(
                tr(
                    "The server that has the file does not say how large it is. Without that, "
                    "Matrix takes only files of up to 1 MB."
                )
            )
    return bytes(data)


async def _again(data: bytes) -> AsyncIterator[bytes]:
    yield data
