# SPDX-License-Identifier: Apache-2.0
"""Files that users send, piece by piece as they come.

Bot API, "Sending files", sendPhoto to sendVoice. Telegram shows as a picture, a film or a voice
message only what it plays; all else is a document. Until the last byte is there, nothing is sent.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any, Final

import aiohttp
from aiohttp import hdrs
from aiohttp.payload import AsyncIterablePayload
from telegram import Bot
from telegram.error import BadRequest, TelegramError

from adapters.telegram.entities import units, written
from adapters.telegram.request import Upload
from gateway.adapter import AccountContext
from gateway.errors import AdapterError, TooLarge, Transient
from gateway.events import FileFacts, FileKind, SendRoomText, SendText, SentFile
from gateway.text.wording import tr

LARGEST: Final = 50 * 1000 * 1000
LARGEST_LOCAL: Final = 2_000 * 1000 * 1000
"""Bytes; the documents say MB. By a server of the admin's own with ``--local``, the latter."""
VOICE_TYPE: Final = "audio/ogg"
_LONGEST_CAPTION = 1024
_PHOTO, _PHOTO_SIDES, _PHOTO_RATIO = 10 * 1000 * 1000, 10_000, 20
_ANSWER_S, _LOCAL_ANSWER_S = 120.0, 600.0
"""A server of the admin's own takes a file at once, and answers when Telegram has it."""
_PICTURES = ("image/jpeg", "image/png", "image/webp")
_SHOWN: Final = {
    FileKind.VOICE: ("voice", (VOICE_TYPE,)),
    FileKind.ANIMATION: ("animation", ("image/gif", "video/mp4")),
    FileKind.VIDEO: ("video", ("video/mp4",)),
    FileKind.AUDIO: ("audio", ("audio/mpeg", "audio/mp4", "audio/x-m4a")),
}
_MAY_HIDE = ("photo", "animation", "video")


class Uploads:
    """Of one account."""

    def __init__(self, account: AccountContext, bot: Bot) -> None:
        self._account = account
        self._bot = bot

    async def send(
        self,
        chat: int,
        command: SendText | SendRoomText,
        file: SentFile,
        reply_to: dict[str, Any] | None,
        topic: int | None = None,
        *,
        connection: str = "",
    ) -> dict[str, Any]:
        """The message that Telegram has made. ``connection``: by which the bot was let into the
        chat, if it was. Raises `TelegramError`, and any `AdapterError`."""
        words, entities = written(command.body, command.spans, command.mentions)
        if units(words) > _LONGEST_CAPTION:
            raise TooLarge(tr("What is said about a file may have 1,024 characters in Telegram."))
        fields: dict[str, Any] = {"chat_id": chat}
        if connection:
            fields["business_connection_id"] = connection
        if words:
            fields |= {"caption": words, "caption_entities": [e.to_dict() for e in entities]}
        if reply_to is not None:
            fields["reply_parameters"] = reply_to
        if topic is not None:
            fields["message_thread_id"] = topic
        try:
            return await self._sent(file, fields, is_shown=not file.as_file)
        except BadRequest as error:
            if file.as_file or not _is_no_picture(error):
                raise
        return await self._sent(file, fields, is_shown=False)

    async def _sent(
        self, file: SentFile, fields: dict[str, Any], *, is_shown: bool
    ) -> dict[str, Any]:
        async with self._account.open(file) as upload:
            facts = upload.facts
            kind = _kind(facts) if is_shown else "document"
            if facts.is_spoiler and kind in _MAY_HIDE:
                fields = {**fields, "has_spoiler": True}
            source = _Source(upload.chunks, facts.size)
            request = Upload(self._account.http, _body(fields, kind, facts, source))
            url = f"{self._bot.base_url}/send{kind.title()}"
            try:
                answer_s = _LOCAL_ANSWER_S if self._bot.local_mode else _ANSWER_S
                made: Any = await request.post(url, read_timeout=answer_s)
            except TelegramError:
                if source.failed is not None:
                    raise source.failed from None
                raise
            message: dict[str, Any] = made
            return message


def _is_no_picture(error: BadRequest) -> bool:
    """It is one for us, and not for Telegram."""
    said = error.message.upper()
    return "IMAGE_PROCESS_FAILED" in said or "PHOTO_INVALID" in said or "PHOTO_SAVE" in said


def _kind(facts: FileFacts) -> str:
    """As what it is sent."""
    if facts.kind is FileKind.IMAGE and facts.media_type in _PICTURES and _is_photo(facts):
        return "photo"
    kind, types = _SHOWN.get(facts.kind, ("document", ()))
    return kind if facts.media_type in types else "document"


def _is_photo(facts: FileFacts) -> bool:
    """Bot API, sendPhoto."""
    width, height = facts.width or 1, facts.height or 1
    is_shaped = width + height <= _PHOTO_SIDES and max(width, height) <= _PHOTO_RATIO * min(
        width, height
    )
    return is_shaped and facts.size is not None and facts.size <= _PHOTO


def _body(
    fields: dict[str, Any], kind: str, facts: FileFacts, source: _Source
) -> aiohttp.MultipartWriter:
    body = aiohttp.MultipartWriter("form-data")
    for name, value in fields.items():
        text = value if isinstance(value, str) else json.dumps(value)
        body.append(text).set_content_disposition("form-data", name=name)
    media_type = facts.media_type or "application/octet-stream"
    part = _Part(source, facts.size, content_type=media_type)
    part.set_content_disposition("form-data", name=kind, filename=facts.name or "file")
    body.append_payload(part)
    return body


class _Part(AsyncIterablePayload):
    """Says how long it is, so that the whole request does."""

    def __init__(self, source: _Source, size: int | None, content_type: str) -> None:
        super().__init__(source.chunks(), headers={hdrs.CONTENT_TYPE: content_type})
        self._size = size

    @property
    def size(self) -> int | None:
        return self._size


class _Source:
    """What is read while it is sent."""

    def __init__(self, chunks: AsyncIterator[bytes], size: int | None) -> None:
        self._chunks = chunks
        self._size = size
        self.failed: AdapterError | None = None
        """Why the sending has ended, if that is not Telegram's doing."""

    async def chunks(self) -> AsyncIterator[bytes]:
        """Neither more nor less than was promised."""
        sent = 0
        try:
            async for chunk in self._chunks:
                sent += len(chunk)
                if self._size is not None and sent > self._size:
                    break
                yield chunk
            if self._size is not None and sent != self._size:
                raise Transient(
                    tr("The file is not as long as the server says that has it."), is_certain=True
                )
        except AdapterError as error:
            self.failed = error
            raise
