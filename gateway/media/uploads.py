# SPDX-License-Identifier: Apache-2.0
"""Files of users on their way to networks: fetched from where a client has put them, looked at,
and handed on while they come. Nothing is kept of them in memory; on the disk are those for which
`gateway.media.sounds` and `gateway.media.pictures` say so, until they are sent."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from mimetypes import MimeTypes
from posixpath import splitext

from gateway.adapter import Download, Upload
from gateway.errors import Unsupported
from gateway.events import FileFacts, FileKind, SentFile
from gateway.media.bare import BARED, bare
from gateway.media.fetch import Guard
from gateway.media.images import BadPicture, Images
from gateway.media.locked import TAG_BYTES, Locked
from gateway.media.names import name_in, safe_name
from gateway.media.pictures import Pictures, is_looked_at
from gateway.media.sounds import Sounds
from gateway.media.turns import Turns
from gateway.media.types import HEAD_BYTES, MEASURED, PICTURES, sniffed
from gateway.text.wording import tr

_PICTURE_BYTES = 256 * 1024
"""So much of a file tells how large its picture is, whatever a camera has put before that."""
_PIECE = 64 * 1024
"""Whoever takes these slowly still shows that they go on."""
_EDGE, _SMALL_BYTES = 32, 4096
"""Nobody needs the small picture."""
_TYPES = MimeTypes()
"""Those that Python knows: not what this machine was set up for."""
_OWN_TYPES = {".m4a": "audio/mp4", ".opus": "audio/ogg", ".oga": "audio/ogg"}


class Uploads:
    """Opens files of users for everybody. One for the process."""

    def __init__(
        self, guard: Guard, images: Images, pictures: Pictures, sounds: Sounds, lanes: Turns
    ) -> None:
        self._guard = guard
        self._images = images
        self._pictures = pictures
        self._sounds = sounds
        self._lanes = lanes

    def lane(self, user: str) -> AbstractAsyncContextManager[None]:
        """Wait for a place among the files that are under way, and have it for the block."""
        return self._lanes.turn(user)

    @asynccontextmanager
    async def open(
        self,
        file: SentFile,
        moved: Callable[[], None],
        *,
        user: str,
        most: int | None = None,
        voice_types: Sequence[str] = (),
    ) -> AsyncIterator[Upload]:
        """``moved`` is called whenever some bytes were received or taken. ``most``: bytes that the
        network takes. ``voice_types``: see `gateway.adapter.Capabilities`. Raises `AdapterError`,
        here and while it is read."""
        locked = Locked.parse(file.url)
        over = 0 if locked is None else TAG_BYTES
        limit = None if most is None else most + over
        url = file.url if locked is None else locked.url
        async with self._guard.open(url, user=user, most=limit) as download:
            chunks = _noted(download.chunks, moved)
            clear = chunks if locked is None else locked.opened(chunks)
            stream = _Stream(_checked(clear, file.sha256) if file.sha256 else clear)
            await stream.look_at(HEAD_BYTES)
            kind = _type(file, download, stream.head)
            size = None if download.size is None else max(0, download.size - over)
            if _is_unseen(file, kind, size):
                await stream.look_at(_PICTURE_BYTES)
            size = len(stream.head) if stream.is_whole else size
            facts = await self._facts(file, kind, size, stream.head, user)
            is_bared = kind in BARED and not file.as_file
            taken = bare(stream.chunks(), kind) if is_bared else stream.chunks()
            upload = Upload(facts=facts, chunks=taken)
            async with (
                self._pictures.prepared(upload, moved, user=user) as seen,
                self._sounds.prepared(seen, moved, user=user, voice_types=voice_types) as sent,
            ):
                yield replace(sent, chunks=_noted(sent.chunks, moved))

    async def _facts(
        self, file: SentFile, media_type: str, size: int | None, head: bytes, user: str
    ) -> FileFacts:
        width, height, moves = file.width, file.height, media_type == "image/gif"
        if _is_unseen(file, media_type, size):
            try:
                seen, _ = await self._images.look(head, user=user, edge=_EDGE, most=_SMALL_BYTES)
            except BadPicture:
                pass  # it goes on as it is; who shows it may know more
            else:
                width, height, moves = seen.width, seen.height, seen.is_animated
        default = f"file{_TYPES.guess_extension(media_type) or ''}"
        return FileFacts(
            kind=_kind(file, media_type, head, moves=moves),
            name=safe_name(file.name or name_in(file.url), default),
            media_type=media_type,
            size=size,
            width=width,
            height=height,
            duration_s=file.duration_s,
            description=file.description,
            is_spoiler=file.is_spoiler,
        )


def _is_unseen(file: SentFile, media_type: str, size: int | None) -> bool:
    """Whether the beginning of it has to tell how large a picture is."""
    is_said = bool(file.width and file.height)
    is_seen_whole = is_looked_at(media_type, size) and not file.as_file
    return media_type in MEASURED and not is_said and not is_seen_whole


def _type(file: SentFile, download: Download, head: bytes) -> str:
    """Its first bytes tell it. Whether a film has pictures, the client or the name does."""
    name = file.name or name_in(file.url)
    named = _OWN_TYPES.get(splitext(name.lower())[1]) or _TYPES.guess_type(name)[0]
    claimed = file.media_type or named or download.media_type
    kind = sniffed(head, claimed)
    if kind.startswith("video/") and claimed.startswith("audio/"):
        return kind.replace("video/", "audio/", 1)
    return kind


def _kind(file: SentFile, media_type: str, head: bytes, *, moves: bool) -> FileKind:
    """As what it is shown (REQ-448)."""
    general = media_type.partition("/")[0]
    if file.as_file or (general == "image" and media_type not in PICTURES):
        return FileKind.FILE
    if general == "image":
        moving = FileKind.ANIMATION if moves else FileKind.IMAGE
        return FileKind.STICKER if file.kind is FileKind.STICKER else moving
    if general == "audio":
        is_voice = media_type == "audio/mp4" or b"OpusHead" in head
        return FileKind.VOICE if is_voice else FileKind.AUDIO
    return FileKind.VIDEO if general == "video" else FileKind.FILE


async def _noted(chunks: AsyncIterator[bytes], moved: Callable[[], None]) -> AsyncIterator[bytes]:
    async for chunk in chunks:
        moved()
        yield chunk


async def _checked(chunks: AsyncIterator[bytes], sha256: str) -> AsyncIterator[bytes]:
    """The same. Raises `Unsupported` at the end, if it is not the file that the client has said it
    is."""
    digest = hashlib.sha256()
    async for chunk in chunks:
        digest.update(chunk)
        yield chunk
    if digest.hexdigest() != sha256:
        raise Unsupported(
            tr("The file that is there is not the one that was sent: its checksum is another.")
        )


class _Stream:
    """Chunks, of which the first may be looked at beforehand."""

    def __init__(self, chunks: AsyncIterator[bytes]) -> None:
        self._chunks = chunks
        self.head = b""
        self.is_whole = False
        """There is nothing after the head."""

    async def look_at(self, most: int) -> None:
        """Have so many bytes in the head, or all that there are."""
        parts = [self.head]
        length = len(self.head)
        while length < most and not self.is_whole:
            chunk = await anext(self._chunks, b"")
            parts.append(chunk)
            length += len(chunk)
            self.is_whole = not chunk
        self.head = b"".join(parts)

    async def chunks(self) -> AsyncIterator[bytes]:
        """All of them, in pieces that are not large."""
        head, self.head = self.head, b""
        for piece in _pieces(head):
            yield piece
        async for chunk in self._chunks:
            for piece in _pieces(chunk):
                yield piece


def _pieces(data: bytes) -> Iterator[bytes]:
    for start in range(0, len(data), _PIECE):
        yield data[start : start + _PIECE]
