# SPDX-License-Identifier: Apache-2.0
"""A bot that is linked."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from adapters.telegram import TelegramAdapter, TelegramSettings
from adapters.telegram.settings import ServerUrl
from gateway.adapter import Linked
from tests.contract.account import Account, Context
from tests.peers.bot_api import BotApi
from tests.unit.telegram.world import Clock, World


@pytest.fixture
async def world() -> AsyncIterator[World]:
    """A bot that was linked, and anna, who has written to it."""
    async with BotApi() as telegram, aiohttp.ClientSession() as http:
        bot, anna = telegram.bot(), telegram.person("Anna", last_name="Bauer")
        settings = TelegramSettings(api_url=ServerUrl(telegram.url), poll_timeout=1)
        context: Any = Context(http, settings)
        adapter = TelegramAdapter(context)
        linked = await adapter.login().submit({"password": f" {bot.token} "})
        assert isinstance(linked, Linked)
        account = Account(linked, http)
        clock = account.clock = Clock()
        made = World(telegram, bot, anna, adapter, account, clock)
        anna.start(bot)
        yield made
