# SPDX-License-Identifier: Apache-2.0
"""Pictures of users, with small ones beside them (REQ-447): who gets a large one sees that first,
and in an encrypted chat nobody else can make it. The picture itself goes as it came."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

from msgspec import structs

from gateway.adapter import Thumbnail, Upload
from gateway.events import FileFacts, FileKind
from gateway.media.images import BadPicture, Images, Picture, Seen
from gateway.media.spool import spool
from gateway.media.types import SCALED
from gateway.media.work import Work

EDGE, MOST_BYTES = 640, 96 * 1024
"""Of a small one: pixels of its longer side, and how many bytes it may have."""
_LARGE, _MOST = 100_000, 16 * 1024 * 1024
"""Bytes. A smaller picture needs no small one, and a larger one has none."""


class Pictures:
    """Looks at them for everybody. One for the process."""

    def __init__(self, images: Images, work: Work) -> None:
        self._images = images
        self._work = work

    @asynccontextmanager
    async def prepared(
        self, upload: Upload, moved: Callable[[], None], *, user: str
    ) -> AsyncIterator[Upload]:
        """A file as it is sent. One that `is_looked_at` is on the disk until then. Raises
        `Transient` if the disk fails, and what the chunks raise."""
        facts = upload.facts
        if facts.kind is not FileKind.IMAGE or not is_looked_at(facts.media_type, facts.size):
            yield upload
            return
        async with spool(self._work) as kept:
            await kept.fill(upload.chunks, _MOST)
            upload = replace(upload, chunks=kept.chunks())
            try:
                seen, small = await self._images.look(
                    kept.rewind(), user=user, edge=EDGE, most=MOST_BYTES
                )
            except BadPicture:
                pass  # it goes on as it is; who shows it may know more
            else:
                known = thumbnail(small) if small is not None else None
                upload = replace(upload, facts=_seen(facts, seen), thumbnail=known)
            moved()
            yield upload


def is_looked_at(media_type: str, size: int | None) -> bool:
    """Whether all of a picture of this type is looked at."""
    return media_type in SCALED and size is not None and _LARGE <= size <= _MOST


def thumbnail(picture: Picture) -> Thumbnail:
    """As adapters have it."""
    return Thumbnail(
        data=picture.data,
        media_type=picture.type,
        width=picture.width,
        height=picture.height,
    )


def _seen(facts: FileFacts, seen: Seen) -> FileFacts:
    is_said = facts.width is not None and facts.height is not None
    return structs.replace(
        facts,
        kind=FileKind.ANIMATION if seen.is_animated else facts.kind,
        width=facts.width if is_said else seen.width,
        height=facts.height if is_said else seen.height,
    )
