# SPDX-License-Identifier: Apache-2.0
"""Our adapter at a Bot API server by others, which was not made for it: the text part."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from adapters.telegram import TelegramAdapter, TelegramSettings
from adapters.telegram.settings import ServerUrl
from gateway.adapter import Linked
from gateway.errors import Transient
from gateway.events import (
    React,
    RemoteMessage,
    RemoteProfile,
    RemoteRoom,
    RemoteRoomMessage,
    Retract,
    SendRoomText,
    SendText,
)
from gateway.ids import RemoteRoomId, RemoteUserId
from gateway.text import Span, Style
from tests.contract.account import Account, Context, Running
from tests.peers.telegram_test_api import BOT, TOKEN, TelegramTestApi

_ANNA, _FRIENDS = 4_300_000_007, -1_000_000_009
_CONTACT, _ROOM = RemoteUserId(str(_ANNA)), RemoteRoomId(str(_FRIENDS))


@dataclass
class _Linked:
    telegram: TelegramTestApi
    adapter: TelegramAdapter
    account: Account

    def running(self) -> Running:
        return Running(self.adapter, self.account)


@pytest.fixture
async def linked(tmp_path: Path) -> AsyncIterator[_Linked]:
    """The bot of the server, linked by its token."""
    async with TelegramTestApi(tmp_path) as telegram, aiohttp.ClientSession() as http:
        settings = TelegramSettings(api_url=ServerUrl(telegram.url), poll_timeout=1)
        context: Any = Context(http, settings)
        adapter = TelegramAdapter(context)
        linked = await adapter.login().submit({"password": TOKEN})
        assert isinstance(linked, Linked)
        assert linked.remote_id == str(BOT)
        assert "@TestNameBot" in linked.note
        yield _Linked(telegram, adapter, Account(linked, http))


async def test_what_people_write_comes_once_in_order_and_with_its_styles(linked: _Linked) -> None:
    telegram, account = linked.telegram, linked.account
    await telegram.say(_ANNA, "before")
    async with linked.running():
        await account.text("before")
        bold = {"type": "bold", "offset": 3, "length": 3}  # of UTF-16, where 🎉 is two
        await telegram.say(_ANNA, "🎉 bün 🎉", entities=[bold])
        for number in range(120):
            await telegram.say(_ANNA, f"text {number}")
        styled = await account.text("🎉 bün 🎉")
        await account.text("text 119")
    assert styled.spans == (Span(Style.BOLD, 2, 5),)
    assert not styled.own
    assert account.texts() == ["before", styled.body, *(f"text {n}" for n in range(120))]
    ids = [event.id for event in account.of(RemoteMessage)]
    assert len(set(ids)) == len(ids)
    assert [event.name for event in account.of(RemoteProfile)] == ["Anna"]
    async with linked.running():
        await telegram.say(_ANNA, "after")
        await account.text("after")
    assert account.texts()[-2:] == ["text 119", "after"]


async def test_what_the_user_writes_changes_and_takes_back(linked: _Linked) -> None:
    telegram = linked.telegram
    await telegram.say(_ANNA, "hello")
    async with linked.running() as session:
        said = await linked.account.text("hello")
        text = SendText(
            contact=_CONTACT, body="🎉 yes", spans=(Span(Style.ITALIC, 2, 5),), reply_to=said.id
        )
        sent = await session.send(text, "k.1")
        (there,) = await telegram.history()
        assert (there.chat, there.text) == (str(_ANNA), "🎉 yes")
        assert there.argument("entities") == [{"type": "italic", "offset": 3, "length": 3}]
        answers = there.argument("reply_parameters")
        assert f"{_ANNA}:{answers['message_id']}" == said.id
        assert sent.remote_id == f"{_ANNA}:{there.number}"
        await session.send(SendText(contact=_CONTACT, body="no", edits=sent.remote_id), "k.2")
        (changed,) = await telegram.history()
        assert (changed.number, changed.text) == (there.number, "no")
        assert not changed.argument("entities")
        second = await session.send(SendText(contact=_CONTACT, body="second"), "k.3")
        assert sent.remote_id is not None
        await session.send(Retract(contact=_CONTACT, message=sent.remote_id), "k.4")
        (left,) = await telegram.history()
        assert (left.text, f"{_ANNA}:{left.number}") == ("second", second.remote_id)


async def test_a_group_of_which_the_server_can_say_nothing_is_a_room(linked: _Linked) -> None:
    """It has no getChat: what is said there tells what it is."""
    telegram, account = linked.telegram, linked.account
    async with linked.running() as session:
        await telegram.say(_ANNA, "hello all", group=_FRIENDS)
        said = await account.first(RemoteRoomMessage)
        sent = await session.send(SendRoomText(room=_ROOM, body="hi"), "k.1")
    assert (said.room, said.sender, said.body) == (_ROOM, str(_ANNA), "hello all")
    assert (await account.first(RemoteRoom)).name == "Friends"
    (there,) = await telegram.history()
    assert (there.chat, there.text) == (str(_FRIENDS), "hi")
    assert sent.remote_id == f"{_FRIENDS}:{there.number}"


async def test_what_the_server_does_not_know_is_its_trouble_and_not_a_refusal(
    linked: _Linked,
) -> None:
    await linked.telegram.say(_ANNA, "hello")
    async with linked.running() as session:
        said = await linked.account.text("hello")
        with pytest.raises(Transient, match="HTTP 500"):
            await session.send(React(contact=_CONTACT, message=said.id, emoji=("👍",)), "k.1")
        await linked.telegram.say(_ANNA, "and on")
        await linked.account.text("and on")
