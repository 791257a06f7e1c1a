# SPDX-License-Identifier: Apache-2.0
"""Requests of python-telegram-bot over the connections that the gateway has anyway.

One object serves all bots: the library's own keeps two clients for each. What it says of an answer
that is none has the answer in it, and the address of a request has the token in it; neither leaves
this file.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, ClassVar
from urllib.parse import urlencode

import aiohttp
from telegram.error import NetworkError, TelegramError
from telegram.request import BaseRequest, RequestData

_CONNECT_S = 10.0
_SILENCE_S = 20.0
_WHOLE_S = 120.0
"""After the longest silence an answer has so much time to come whole: 10 MB at 0.7 Mbit/s."""
_ANSWER_LIMIT = 32 * 1024 * 1024
"""Bytes of an answer: a hundred updates, each with a message of the longest kind."""
_OF_OTHERS = ("reply_to_message", "external_reply", "quote")
"""Bot API, "Message": what is about other messages."""
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


class _Refusal(bytes):
    """The body of an answer that has no result, and is none the less one."""


class SharedRequest(BaseRequest):
    """Implements `telegram.request.BaseRequest` without a connection of its own."""

    whole_s: ClassVar[float | None] = _WHOLE_S
    """Seconds, beyond those of silence, for all of a request and its answer. None: no limit."""

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
        timeout = aiohttp.ClientTimeout(
            total=None if self.whole_s is None else silence_s + self.whole_s,
            sock_connect=_CONNECT_S,
            sock_read=silence_s,
        )
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
        if 200 <= status < 300:
            return status, body
        return status, _refusal(status, body)

    def _body(self, request_data: RequestData | None) -> Any:
        return None if request_data is None else request_data.json_parameters

    async def call(self, url: str, values: Mapping[str, Any], read_timeout: float) -> Any:
        """The result of a method as JSON, which Bot would have made objects of. Raises
        `telegram.error.TelegramError`."""
        query = urlencode({name: _written(value) for name, value in values.items()})
        timeout: Any = read_timeout
        return await self.post(f"{url}?{query}", read_timeout=timeout)

    @staticmethod
    def parse_json_payload(payload: bytes) -> dict[str, Any]:
        """Bot API, "Making requests": an object, which has the result if there is one. The library
        would log what it cannot read. Of a message that the bot has sent, without what it answers:
        that may be of a kind that the library cannot read. Raises `Unanswered`."""
        parsed = _object(payload)
        if parsed is None or ("result" not in parsed and not isinstance(payload, _Refusal)):
            raise Unanswered("no answer")
        if isinstance(made := parsed.get("result"), dict):
            for name in _OF_OTHERS:
                made.pop(name, None)
        return parsed


class Upload(SharedRequest):
    """One request, with a body that is there already. How long that may take says who has it."""

    whole_s = None

    def __init__(self, http: aiohttp.ClientSession, body: aiohttp.MultipartWriter) -> None:
        super().__init__(http)
        self._form = body

    def _body(self, request_data: RequestData | None) -> Any:
        return self._form


def _written(value: object) -> str:
    """Bot API, "Making requests": all but texts is JSON."""
    return value if isinstance(value, str) else json.dumps(value)


async def _read(answer: aiohttp.ClientResponse) -> bytes:
    parts, size = [], 0
    async for chunk in answer.content.iter_any():
        size += len(chunk)
        if size > _ANSWER_LIMIT:
            raise Unanswered("too long")
        parts.append(chunk)
    return b"".join(parts)


def _object(body: bytes) -> dict[str, Any] | None:
    try:
        parsed = json.loads(body)
    except _NOT_JSON:
        return None
    return parsed if isinstance(parsed, dict) else None


def _refusal(status: int, body: bytes) -> _Refusal:
    """What the server says why not. Raises `Unanswered` if it does not, and `TooMany`."""
    parsed = _object(body) if 400 <= status < 500 else None
    pause_s = None if parsed is None else _pause(parsed)
    if status == 429 or pause_s is not None:
        raise TooMany(_PAUSE_S if pause_s is None else pause_s)
    if parsed is None:
        raise Unanswered(f"HTTP {status}", status)
    return _Refusal(body)


def _pause(parsed: Mapping[str, Any]) -> float | None:
    """Bot API, "ResponseParameters": they may be there whatever the error is."""
    try:
        seconds = float(parsed["parameters"]["retry_after"])
    except (ValueError, OverflowError, KeyError, TypeError):
        return None
    return min(seconds, _LONGEST_PAUSE_S) if seconds > 0 else None
