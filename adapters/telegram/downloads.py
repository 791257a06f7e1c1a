# SPDX-License-Identifier: Apache-2.0
"""The bytes of files, as fast as somebody takes them.

Bot API, getFile: it gives an address, good for an hour, in which the token of the bot is; so that
is said to nobody, and nothing is fetched from elsewhere than the Bot API server. What nobody has
closed asyncio would log in its debug mode, with its address. A server with ``--local`` says where
the file is on its disk instead; see `adapters.telegram.local_files`.
"""

from __future__ import annotations

import re
import weakref
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
from telegram import Bot
from telegram.error import TelegramError

from adapters.telegram import local_files
from adapters.telegram.errors import error_of
from adapters.telegram.request import SharedRequest, Unanswered
from gateway.adapter import AccountContext, Download
from gateway.errors import NotFound, Transient
from gateway.text.wording import tr

_CHUNK = 64 * 1024
_GET_FILE_S = 25.0
_TIMES = aiohttp.ClientTimeout(sock_connect=10, sock_read=60)
_PLACE = re.compile(r"bytes (\d{1,18})-\d{1,18}/(\d{1,18}|\*)")
_LOST = (aiohttp.ClientError, TimeoutError, OSError)


class Downloads:
    """Of one account."""

    def __init__(
        self, account: AccountContext, bot: Bot, request: SharedRequest, local: Path | None
    ) -> None:
        """``local``: the directory of the Bot API server, as it is called here."""
        self._account = account
        self._bot = bot
        self._request = request
        self._local = local

    async def open(self, reference: str, start: int) -> Download:
        """A file from its byte ``start`` on. Raises any `AdapterError`."""
        where = await self._place(reference)
        if not where.startswith("/") and where[1:3] != ":\\":  # as a server on Windows has it
            return await _fetched(self._account.http, f"{self._bot.base_file_url}/{where}", start)
        token, log = self._bot.token, self._account.log
        return await local_files.opened(self._local, where, token, start, log)

    async def _place(self, reference: str) -> str:
        """Bot API, getFile. It is answered when the server has all of the file, however large that
        is; the server goes on with that if nobody waits for it any more."""
        url = f"{self._bot.base_url}/getFile"
        try:
            file = await self._request.call(url, {"file_id": reference}, _GET_FILE_S)
        except Unanswered as error:
            if self._local is None or error.status is not None:
                raise error_of(error) from None
            raise Transient(
                tr("The Bot API server is still fetching this file. Please try again later.")
            ) from None
        except TelegramError as error:
            raise error_of(error) from None
        where = file.get("file_path") if isinstance(file, dict) else None
        if not where or not isinstance(where, str):
            raise NotFound(tr("Telegram does not have this file any more."))
        return where


async def _fetched(http: aiohttp.ClientSession, url: str, start: int) -> Download:
    headers = {"Accept-Encoding": "identity"}
    if start:
        headers["Range"] = f"bytes={start}-"
    try:
        answer = await http.get(url, headers=headers, timeout=_TIMES, allow_redirects=False)
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
