# SPDX-License-Identifier: Apache-2.0
"""Sounds and films of users, as networks play them (REQ-448).

A voice message is made an Opus in Ogg where the network wants that, with the shape of its sound;
how long something is, and how large, is measured where the client has not said it; a film has a
small picture of its beginning (REQ-447). For that it is
kept on the disk, the first part of it if it is large, until it was sent. What cannot be looked at,
for whatever reason, goes as it is.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from posixpath import splitext

import structlog
from msgspec import structs

from gateway.adapter import Upload
from gateway.events import FileFacts, FileKind
from gateway.media.ffmpeg import VOICE_TYPE, Ffmpeg, FfmpegFailed, Measured
from gateway.media.images import BadPicture, described
from gateway.media.levels import Levels
from gateway.media.pictures import EDGE, MOST_BYTES, thumbnail
from gateway.media.spool import Spool, spool
from gateway.media.work import Work

log = structlog.get_logger("sounds")

_PATIENCE_S = 30.0
"""For so long a file waits for its turn, in which nothing of it moves."""

_MOST = 16 * 1024 * 1024
"""Bytes of what is kept as a whole. As voice, that is half an hour and more."""
_BEGINNING = 1024 * 1024
"""Of a larger one: films that can be watched while they come say here what they are."""
_RECORDED = ("audio/webm", "audio/amr", "audio/3gpp", "audio/aac")
"""In which nobody has music: browsers and telephones record voices in these. They are voice
messages where they can be made one; apps would not play them as such."""


class Sounds:
    """Looks at them for everybody. One for the process."""

    def __init__(self, ffmpeg: Ffmpeg | None, work: Work) -> None:
        """Without ``ffmpeg`` everything goes as it is."""
        self._ffmpeg = ffmpeg
        self._work = work

    @asynccontextmanager
    async def prepared(
        self, upload: Upload, moved: Callable[[], None], *, user: str, voice_types: Sequence[str]
    ) -> AsyncIterator[Upload]:
        """A file as it is sent. ``voice_types``: of voice messages on the network; any, if there
        are none. Raises `Transient` if the disk fails, and what the chunks raise."""
        if self._ffmpeg is None or not _gains(upload.facts):
            yield upload
            return
        async with AsyncExitStack() as stack:
            kept = await stack.enter_async_context(spool(self._work))
            size = upload.facts.size
            await kept.fill(upload.chunks, _MOST if size is None or size <= _MOST else _BEGINNING)
            upload = replace(upload, chunks=kept.chunks())
            made = await stack.enter_async_context(spool(self._work))
            async with AsyncExitStack() as turn:
                try:
                    async with asyncio.timeout(_PATIENCE_S):
                        await turn.enter_async_context(self._ffmpeg.turn(user))
                except TimeoutError:
                    log.info("file_not_converted", reason="others were waited for too long")
                else:
                    moved()
                    upload = await _known(self._ffmpeg, upload, kept, made, voice_types, moved)
            moved()
            yield upload


async def _known(
    ffmpeg: Ffmpeg,
    upload: Upload,
    kept: Spool,
    made: Spool,
    voice_types: Sequence[str],
    moved: Callable[[], None],
) -> Upload:
    """With all that can be known of it. ``made``: has what is sent in its place."""
    media_type = upload.facts.media_type
    try:
        measured = await ffmpeg.measure(kept, media_type)
        moved()
        upload = replace(upload, facts=_measured(upload.facts, measured))
        if upload.facts.kind is FileKind.VIDEO:
            picture = await ffmpeg.frame(kept, media_type, EDGE, MOST_BYTES)
            return replace(upload, thumbnail=thumbnail(described(picture)))
        is_other = bool(voice_types) and media_type not in voice_types
        is_voice = upload.facts.kind is FileKind.VOICE
        if not kept.is_whole or measured.is_music or not (is_voice or media_type in _RECORDED):
            return upload
        if is_other and VOICE_TYPE in voice_types:
            return await _converted(ffmpeg, upload, kept, made, measured.codec)
        if is_voice:
            levels = await ffmpeg.listen(kept, media_type)
            facts = _lasting(upload.facts, levels)
            return replace(upload, facts=facts, waveform=levels.waveform())
    except (FfmpegFailed, BadPicture) as error:
        log.info("file_not_converted", media_type=media_type, reason=str(error))
    return upload


async def _converted(
    ffmpeg: Ffmpeg, upload: Upload, kept: Spool, made: Spool, codec: str
) -> Upload:
    """A voice message as the network plays it. Raises `FfmpegFailed`."""
    facts = upload.facts
    levels = await ffmpeg.voice(kept, facts.media_type, codec, made)
    voice = structs.replace(
        _lasting(facts, levels),
        kind=FileKind.VOICE,
        name=f"{splitext(facts.name)[0]}.ogg",
        media_type=VOICE_TYPE,
        size=made.size,
    )
    return Upload(facts=voice, chunks=made.chunks(), waveform=levels.waveform())


def _lasting(facts: FileFacts, levels: Levels) -> FileFacts:
    """With how long it was heard, if nobody has said that."""
    if facts.duration_s is not None:
        return facts
    return structs.replace(facts, duration_s=levels.duration_s)


def _gains(facts: FileFacts) -> bool:
    """Whether there is anything to be done."""
    match facts.kind:
        case FileKind.VOICE:
            return True
        case FileKind.AUDIO:
            return facts.duration_s is None or facts.media_type in _RECORDED
    return facts.kind is FileKind.VIDEO


def _measured(facts: FileFacts, measured: Measured) -> FileFacts:
    """What the client says counts; what is music, bytes tell."""
    is_said = facts.width is not None and facts.height is not None
    is_song = facts.kind is FileKind.VOICE and measured.is_music
    return structs.replace(
        facts,
        kind=FileKind.AUDIO if is_song else facts.kind,
        width=facts.width if is_said else measured.width,
        height=facts.height if is_said else measured.height,
        duration_s=measured.duration_s if facts.duration_s is None else facts.duration_s,
    )
