# SPDX-License-Identifier: Apache-2.0
"""A stand-in for Telegram's Bot API that is not ours: npm's telegram-test-api.

It has the text part alone: getMe, getUpdates, sendMessage, editMessageText and deleteMessage; all
else it answers with 500. What it does wrong is named, and put right, in
`telegram_test_api_js/main.cjs`; besides, getUpdates has no offset: what was told once is gone.
"""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import aiohttp

from .ports import LOOPBACK, free_port
from .process import PeerError, Process

_PROGRAM = Path(__file__).with_name("telegram_test_api_js") / "main.cjs"
_START_S = 20.0
BOT = 666
"""The only bot that it knows; its token is its password."""
TOKEN = f"{BOT}:{'t' * 35}"
Json = dict[str, Any]


@dataclass(frozen=True)
class BotMessage:
    """What a bot has sent, as the server has stored it."""

    chat: str
    number: int
    text: str
    arguments: Json
    """All of sendMessage, changed by those of editMessageText."""

    def argument(self, name: str) -> Any:
        """One that is JSON; None if there is none."""
        found = self.arguments.get(name)
        return json.loads(found) if isinstance(found, str) else found


class TelegramTestApi:
    """The server, in a process of its own, inside its `async with` block."""

    def __init__(self, directory: Path) -> None:
        """Prepare to start it; its log is written into `directory`."""
        self.log = directory / "telegram-test-api.log"
        self._port = free_port()
        self._process: Process | None = None
        self._http: aiohttp.ClientSession | None = None

    @property
    def url(self) -> str:
        """What stands in the place of https://api.telegram.org."""
        return f"http://{LOOPBACK}:{self._port}"

    async def __aenter__(self) -> Self:
        modules = Path(sys.prefix) / "telegram-test-api" / "node_modules"
        node = shutil.which("node")
        if node is None or not modules.exists():
            raise PeerError("there is no telegram-test-api; scripts/bootstrap peers installs it")
        argv = [node, str(_PROGRAM), str(self._port), str(modules)]
        self._process = Process(argv, log=self.log, env={"NODE_OPTIONS": "", "NO_COLOR": "1"})
        self._http = aiohttp.ClientSession()
        try:
            await self._process.wait_until_listening([self._port], _START_S)
        except BaseException:
            await self.__aexit__(None, None, None)
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._process is not None
        assert self._http is not None
        await self._http.close()
        await self._process.stop(grace=2)

    async def say(
        self, person: int, text: str, *, group: int | None = None, entities: Sequence[Json] = ()
    ) -> None:
        """Somebody writes to the bot, or in a group that it is in."""
        user = {"id": person, "is_bot": False, "first_name": "Anna"}
        chat: Json = {"id": person, "type": "private", "first_name": "Anna"}
        if group is not None:
            chat = {"id": group, "type": "group", "title": "Friends"}
        about = {"from": user, "chat": chat, "date": int(time.time()), "entities": list(entities)}
        await self._ask("sendMessage", {"botToken": TOKEN, "text": text, **about})

    async def history(self) -> list[BotMessage]:
        """What the bot has sent and not deleted, as it is now, in order."""
        found = await self._ask("getUpdatesHistory", {"token": TOKEN})
        return [
            BotMessage(
                str(each["message"]["chat_id"]),
                each["messageId"],
                each["message"]["text"],
                each["message"],
            )
            for each in found
            if "chat_id" in each["message"]
        ]

    async def _ask(self, what: str, about: Json) -> Any:
        assert self._http is not None
        async with self._http.post(f"{self.url}/{what}", json=about) as answer:
            answer.raise_for_status()
            return (await answer.json())["result"]
