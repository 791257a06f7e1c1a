# SPDX-License-Identifier: Apache-2.0
"""The server, and python-telegram-bot as what talks to it over the socket."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager

import pytest
import telegram
from telegram.request import HTTPXRequest

from tests.peers.bot_api import Bot, BotApi, Group, Person


@pytest.fixture(autouse=True)
def _durations_are_timedeltas(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the library warns that they will be."""
    monkeypatch.setenv("PTB_TIMEDELTA", "1")


@pytest.fixture
async def api() -> AsyncIterator[BotApi]:
    """Telegram, with nobody on it."""
    async with BotApi() as server:
        yield server


@pytest.fixture
def bot(api: BotApi) -> Bot:
    """A bot as Telegram knows it."""
    return api.bot()


@pytest.fixture
def anna(api: BotApi) -> Person:
    """Somebody with an app."""
    return api.person("Anna", last_name="Example", username="anna_e")


@pytest.fixture
def friends(api: BotApi, anna: Person, bot: Bot) -> Group:
    """A supergroup of Anna's, with the bot as a member."""
    group = api.groups.create("Friends", anna, bot, is_super=True)
    bot.updates.expire()
    return group


@pytest.fixture
async def client(api: BotApi, bot: Bot) -> AsyncIterator[telegram.Bot]:
    """The same bot as its owner has it."""
    async with client_of(api, bot) as made:
        yield made


def client_of(api: BotApi, bot: Bot) -> AbstractAsyncContextManager[telegram.Bot]:
    """A bot as its owner has it."""
    return telegram.Bot(
        bot.token,
        base_url=f"{api.url}/bot",
        base_file_url=f"{api.url}/file/bot",
        request=_patient(),
        get_updates_request=_patient(),
    )


def _patient() -> HTTPXRequest:
    """No answer is late on a busy machine."""
    return HTTPXRequest(
        read_timeout=50,
        write_timeout=50,
        connect_timeout=50,
        pool_timeout=50,
        media_write_timeout=50,
        httpx_kwargs={"verify": False, "trust_env": False},
    )
