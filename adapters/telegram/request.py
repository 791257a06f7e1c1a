# SPDX-License-Identifier: Apache-2.0
"""Requests of python-telegram-bot over the connections that the gateway has anyway.

One object serves all bots: the library's own keeps two clients for each. What it says of an answer
that is none has the answer in it, and the address of a request has the token in it; neither leaves
this file.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

import aiohttp
from telegram.error import NetworkError, TelegramError
from telegram.request import BaseRequest, RequestData

_CONNECT_S = 10.0
_SILENCE_S = 20.0
_ANSWER_LIMIT = 32 * 1024 * 1024
"""Bytes of an answer: a hundred updates, each with a message of the longest kind."""
_PAUSE_S = 5.0
"""Where the server wants one and does not say for how long."""
_LONGEST_PAUSE_S = 86_400.0
_NOT_SENT = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError)
_NOT_JSON = (ValueError, RecursionError)


class NotSent(NetworkError):
    """There was no connection: the server has certainly not got the request."""


class Unanswered(NetworkError):
    """The request went out, and nobody knows what became of it. ``status``: of an answer by which
    one cannot tell."""

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class TooMany(TelegramError):
    """The server wants a pause of so many seconds, and has done nothing."""

    def __init__(self, seconds: float) -> None:
        super().__init__("too many requests")
        self.seconds = seconds


class SharedRequest(BaseRequest):
    """Implements `telegram.request.BaseRequest` without a connection of its own."""

    def __init__(self, http: aiohttp.ClientSession) -> None:
        self._http = http

    @property
    def read_timeout(self) -> float:
        """Seconds without a byte after which an answer does not come any more."""
        return _SILENCE_S

    async def initialize(self) -> None:
        """Nothing: the connections are there."""

    async def shutdown(self) -> None:
        """Nothing: others use the connections."""

    async def do_request(
        self,
        url: str,
        method: str,
        request_data: RequestData | None = None,
        read_timeout: Any = None,
        write_timeout: Any = None,
        connect_timeout: Any = None,
        pool_timeout: Any = None,
    ) -> tuple[int, bytes]:
        """The status and the body of an answer. Raises `NotSent`, `Unanswered` and `TooMany`."""
        silence_s = read_timeout if isinstance(read_timeout, int | float) else _SILENCE_S
        timeout = aiohttp.ClientTimeout(sock_connect=_CONNECT_S, sock_read=silence_s)
        try:
            async with self._http.request(
                method, url, data=self._body(request_data), timeout=timeout, allow_redirects=False
            ) as answer:
                body = await _read(answer)
                status = answer.status
        except _NOT_SENT as error:
            raise NotSent(type(error).__name__) from None
        except TelegramError:
            raise
        except Exception as error:  # the library would call it a refusal, and show all of it
            raise Unanswered(type(error).__name__) from None
        if status == 429:
            raise TooMany(_pause(body))
        if status >= 500 or 300 <= status < 400 or not _is_answer(body, status):
            raise Unanswered(f"HTTP {status}", status)
        return status, body

    def _body(self, request_data: RequestData | None) -> Any:
        return None if request_data is None else request_data.json_parameters

    async def call(self, url: str, values: Mapping[str, Any], read_timeout: float) -> Any:
        """The result of a method as JSON, which Bot would have made objects of. Raises
        `telegram.error.TelegramError`."""
        query = urlencode({name: json.dumps(value) for name, value in values.items()})
        timeout: Any = read_timeout
        return await self.post(f"{url}?{query}", read_timeout=timeout)

    @staticmethod
    def parse_json_payload(payload: bytes) -> dict[str, Any]:
        """What was looked at in `do_request`; the library would log what it cannot read."""
        parsed: dict[str, Any] = json.loads(payload)
        return parsed


class Upload(SharedRequest):
    """One request, with a body that is there already."""

    def __init__(self, http: aiohttp.ClientSession, body: aiohttp.MultipartWriter) -> None:
        super().__init__(http)
        self._form = body

    def _body(self, request_data: RequestData | None) -> Any:
        return self._form


async def _read(answer: aiohttp.ClientResponse) -> bytes:
    parts, size = [], 0
    async for chunk in answer.content.iter_any():
        size += len(chunk)
        if size > _ANSWER_LIMIT:
            raise Unanswered("too long")
        parts.append(chunk)
    return b"".join(parts)


def _is_answer(body: bytes, status: int) -> bool:
    """Bot API, "Making requests": an object, which has the result if there is one."""
    try:
        parsed = json.loads(body)
    except _NOT_JSON:
        return False
    return isinstance(parsed, dict) and ("result" in parsed or status >= 400)


def _pause(body: bytes) -> float:
    """Bot API, "ResponseParameters"."""
    try:
        seconds = float(json.loads(body)["parameters"]["retry_after"])
    except (*_NOT_JSON, KeyError, TypeError):
        return _PAUSE_S
    return min(seconds, _LONGEST_PAUSE_S) if seconds > 0 else _PAUSE_S
