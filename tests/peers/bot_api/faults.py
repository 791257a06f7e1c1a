# SPDX-License-Identifier: Apache-2.0
"""What goes wrong between a bot and Telegram, one request or more of them."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .chats import Chat
from .errors import ApiError, too_many


@dataclass(eq=False)
class Fault:
    """What happens to the next requests that it is for."""

    method: str = ""
    """Of the requests; any if empty."""
    chat_id: int | None = None
    """Of the chat of which they are; any if None."""
    times: float = 1
    """How many are left."""
    carried_out: bool = False
    """They are, before they go wrong: to the bot that looks as if they were not."""
    status: int = 0
    body: bytes = b""
    """What is answered; if both are missing, the connection is reset."""
    kind: str = "application/json"
    retry_after: int = 0
    location: str = ""
    """Where to ask instead."""
    drips: bool = False
    """The answer goes on for ever, and says nothing."""
    held: bool = False
    """The answer is the right one, but comes when `let_go` is called."""
    hits: int = 0
    """How many it has hit."""
    _reached: asyncio.Event = field(default_factory=asyncio.Event)
    _let_go: asyncio.Event = field(default_factory=asyncio.Event)

    def is_for(self, method: str, arguments: Mapping[str, Any]) -> bool:
        """Whether this request is one of them."""
        return (
            self.times > 0
            and self.method in ("", method)
            and self.chat_id in (None, arguments.get("chat_id"))
        )

    @property
    def is_early(self) -> bool:
        """Whether requests are reset before they are read."""
        return not (self.status or self.held or self.carried_out or self.drips)

    def hit(self) -> None:
        """One request less is left."""
        self.times -= 1
        self.hits += 1
        self._reached.set()

    def end(self) -> None:
        """No further requests, and those that are held go on."""
        self.times = 0
        self._let_go.set()

    @property
    def is_over(self) -> bool:
        """Whether it has ended, or let go."""
        return self._let_go.is_set()

    def let_go(self) -> None:
        """What is held is answered."""
        self._let_go.set()

    async def reached(self, timeout: float = 30) -> None:
        """Wait until it has hit something."""
        async with asyncio.timeout(timeout):
            await self._reached.wait()

    async def hold(self) -> None:
        """Wait until it lets go."""
        await self._let_go.wait()


class Faults:
    """Those that wait for their requests. `which`: `method`, `chat` and `times`, see `Fault`."""

    def __init__(self) -> None:
        """Nothing goes wrong."""
        self.all: list[Fault] = []

    def find(self, method: str, arguments: Mapping[str, Any]) -> Fault | None:
        """The one that this request meets."""
        return next((each for each in self.all if each.is_for(method, arguments)), None)

    def too_many(self, retry_after: int, **which: Any) -> Fault:
        """429: wait for so many seconds."""
        return self.refuse(too_many(retry_after), **which)

    def refuse(self, error: ApiError, **which: Any) -> Fault:
        """An error of the Bot API."""
        retry_after = error.parameters.get("retry_after", 0)
        body = json.dumps(error.json()).encode()
        return self._add(which, status=error.code, body=body, retry_after=retry_after)

    def fail(self, status: int = 502, **which: Any) -> Fault:
        """An error of a proxy before the Bot API, which speaks no JSON."""
        body = f"<html><head><title>{status}</title></head></html>".encode()
        return self._add(which, status=status, body=body, kind="text/html")

    def garble(self, body: bytes = b'{"ok":true,"resu', **which: Any) -> Fault:
        """An answer that can't be read."""
        return self._add(which, status=200, body=body)

    def cut(self, *, carried_out: bool = False, **which: Any) -> Fault:
        """A reset instead of an answer: before the request was read, or after it was carried out.

        Who asked can't tell which.
        """
        return self._add(which, carried_out=carried_out)

    def hold(self, *, carried_out: bool = False, **which: Any) -> Fault:
        """The right answer, when the test lets go."""
        return self._add(which, held=True, carried_out=carried_out)

    def drip(self, **which: Any) -> Fault:
        """An answer that comes byte by byte, and has no end."""
        return self._add(which, drips=True)

    def move(self, location: str, **which: Any) -> Fault:
        """302: it is elsewhere. The method ``file`` is no method, but the bytes of files."""
        return self._add(which, status=302, location=location)

    def end(self) -> None:
        """All is well from now on."""
        for each in self.all:
            each.end()
        self.all.clear()

    def _add(self, which: Mapping[str, Any], **what: Any) -> Fault:
        chat: Chat | None = which.get("chat")
        fault = Fault(
            which.get("method", ""),
            None if chat is None else chat.id,
            which.get("times", 1) or math.inf,
            **what,
        )
        self.all.append(fault)
        return fault
