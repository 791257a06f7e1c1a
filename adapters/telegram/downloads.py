# SPDX-License-Identifier: Apache-2.0
"""The bytes of files, as fast as somebody takes them.

Bot API, getFile: it gives an address, good for an hour, in which the token of the bot is; so that
is said to nobody, and nothing is fetched from elsewhere than the Bot API server. What nobody has
closed asyncio would log in its debug mode, with its address.
"""

from __future__ import annotations

import re
import weakref
from collections.abc import AsyncIterator

import aiohttp
from telegram import Bot
from telegram.error import TelegramError

from adapters.telegram.errors import error_of
from gateway.adapter import Download
from gateway.errors import NotFound, Transient
from gateway.text.wording import tr

_CHUNK = 64 * 1024
_TIMES = aiohttp.ClientTimeout(sock_connect=10, sock_read=60)
_PLACE = re.compile(r"bytes (\d{1,18})-\d{1,18}/(\d{1,18}|\*)")
_LOST = (aiohttp.ClientError, TimeoutError, OSError)


async def opened(http: aiohttp.ClientSession, bot: Bot, reference: str, start: int) -> Download:
    """A file from its byte ``start`` on. Raises any `AdapterError`."""
    try:
        file = await bot.get_file(reference)
    except TelegramError as error:
        raise error_of(error) from None
    if not file.file_path or not file.file_path.startswith(f"{bot.base_file_url}/"):
        raise NotFound(tr("Telegram does not have this file any more."))
    headers = {"Accept-Encoding": "identity"}
    if start:
        headers["Range"] = f"bytes={start}-"
    try:
        answer = await http.get(
            file.file_path, headers=headers, timeout=_TIMES, allow_redirects=False
        )
    except _LOST:
        raise Transient(tr("Telegram cannot be reached.")) from None
    try:
        unwanted, size = _part(answer, start)
    except Transient:
        answer.close()
        raise

    async def close() -> None:
        answer.close()

    chunks = _chunks(answer, unwanted)
    weakref.finalize(chunks, answer.close).atexit = False  # whoever asked may be gone by now
    return Download(chunks=chunks, close=close, size=size)


def _part(answer: aiohttp.ClientResponse, start: int) -> tuple[int, int | None]:
    """How much of what comes is before what is wanted, and the size of the whole."""
    if answer.status == 200:
        return start, answer.content_length
    place = _PLACE.fullmatch(answer.headers.get("Content-Range", ""))
    if answer.status == 206 and place is not None and int(place[1]) == start:
        return 0, None if place[2] == "*" else int(place[2])
    raise Transient(
        tr("Telegram has a problem at the moment (HTTP {status}).", status=answer.status)
    )


async def _chunks(answer: aiohttp.ClientResponse, unwanted: int) -> AsyncIterator[bytes]:
    try:
        async for chunk in answer.content.iter_chunked(_CHUNK):
            wanted = chunk[unwanted:]
            unwanted = max(unwanted - len(chunk), 0)
            if wanted:
                yield wanted
    except _LOST:
        raise Transient(tr("The connection to Telegram was lost.")) from None
