# SPDX-License-Identifier: Apache-2.0
"""A bot at a Bot API server of the test's own, and somebody who writes to it."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any

from PIL import Image

from adapters.telegram import TelegramAdapter
from gateway.events import SendText
from gateway.ids import RemoteUserId
from gateway.tasks import SystemClock
from tests.contract.account import Account, Running
from tests.peers.bot_api import Bot, BotApi, Person, PrivateChat


def picture(colour: str) -> bytes:
    """A large PNG."""
    out = io.BytesIO()
    Image.new("RGB", (700, 700), colour).save(out, "PNG")
    return out.getvalue()


class Clock(SystemClock):
    """Goes as usual, but for leaps."""

    ahead = 0.0

    def now(self) -> float:
        return super().now() + self.ahead

    def monotonic(self) -> float:
        return super().monotonic() + self.ahead


@dataclass
class World:
    telegram: BotApi
    bot: Bot
    anna: Person
    adapter: TelegramAdapter
    account: Account
    clock: Clock

    @property
    def contact(self) -> RemoteUserId:
        return RemoteUserId(str(self.anna.id))

    @property
    def chat(self) -> PrivateChat:
        return self.telegram.world.private(self.bot, self.anna)

    def running(self) -> Running:
        return Running(self.adapter, self.account)

    def text(self, body: str, **about: Any) -> SendText:
        return SendText(contact=self.contact, body=body, **about)

    def polls(self) -> list[dict[str, Any]]:
        return [
            each.arguments for each in self.telegram.asked.items if each.method == "getUpdates"
        ]
