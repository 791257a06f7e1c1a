# SPDX-License-Identifier: Apache-2.0
"""What the vendor's documents do not allow is refused, and fails the test that does it."""

from __future__ import annotations

from typing import Any

import pytest
import telegram
from aiohttp import ClientSession
from telegram import MessageEntity
from telegram.error import BadRequest

from tests.peers.bot_api import Bot, BotApi, Group, Person
from tests.peers.bot_api.vendor import vendor

Json = dict[str, Any]


@pytest.mark.parametrize(
    ("method", "arguments", "why"),
    [
        ("sendMessage", {"text": "a"}, "chat_id is empty"),
        ("sendMessage", {"chat_id": 1}, "message text is empty"),
        ("sendMessage", {"chat_id": 1, "text": 5}, "text of sendMessage is wrong"),
        ("sendMessage", {"chat_id": 1, "text": "a", "txet": "b"}, "has no parameter txet"),
        ("sendMessage", {"chat_id": 1.5, "text": "a"}, "chat_id of sendMessage is wrong"),
        (
            "sendMessage",
            {"chat_id": 1, "text": "a", "entities": [{"type": "bold", "offset": 0}]},
            "entities of sendMessage is wrong",
        ),
        (
            "sendMessage",
            {"chat_id": 1, "text": "a", "reply_parameters": {"message_id": "1"}},
            "reply_parameters of sendMessage is wrong",
        ),
        ("sendMessage", {"chat_id": 1, "text": "a", "parse_mode": "HTML"}, "can't do parse_mode"),
        ("getUpdates", {"allowed_updates": ["mesage"]}, "allowed_updates of getUpdates is wrong"),
        ("sendPhoto", {"chat_id": 1}, "there is no photo in the request"),
        ("sendDice", {"chat_id": 1}, "is not among what this server can do"),
    ],
)
async def test_misuse(method: str, arguments: Json, why: str) -> None:
    server = BotApi()
    bot = server.bot()
    await server.start()
    try:
        async with ClientSession() as session:
            status, answer = await _ask(session, server, bot, method, arguments)
    finally:
        with pytest.raises(AssertionError, match="misused") as raised:
            await server.__aexit__(None, None, None)
    assert why in str(raised.value)
    assert (status, answer["ok"], answer["error_code"]) == (400, False, 400)
    assert answer["description"].startswith("Bad Request: ")
    assert why in answer["description"]


async def test_what_is_no_method(api: BotApi, bot: Bot) -> None:
    async with ClientSession() as session:
        status, answer = await _ask(session, api, bot, "sendMesage", {})
    assert (status, answer["description"]) == (404, "Not Found: method not found")


@pytest.mark.parametrize("token", ["nonsense", "1:wrong"])
async def test_wrong_tokens(api: BotApi, bot: Bot, token: str) -> None:
    async with ClientSession() as session:
        async with session.get(f"{api.url}/bot{token}/getMe") as response:
            answer = await response.json()
        async with session.get(f"{api.url}/file/bot{token}/files/file_0.bin") as response:
            assert response.status == 401
    assert answer["error_code"] == 401
    assert answer["description"].startswith("Unauthorized")


async def test_arguments_come_in_four_ways(api: BotApi, bot: Bot, anna: Person) -> None:
    anna.start(bot)
    where = f"{api.url}/bot{bot.token}/sendMessage"
    texts = {"chat_id": str(anna.id), "text": "7", "disable_notification": "true"}
    async with ClientSession() as session:
        for way in ({"params": texts}, {"data": texts}, {"json": {**texts, "chat_id": anna.id}}):
            ways: Json = way
            if "json" in ways:
                ways["json"]["disable_notification"] = True
            async with session.post(where, **ways) as response:
                assert response.status == 200, await response.text()
    assert [asked.arguments["text"] for asked in api.done.items] == ["7", "7", "7"]
    assert all(asked.arguments["disable_notification"] is True for asked in api.done.items)


@pytest.mark.parametrize(
    ("entity", "why"),
    [
        (MessageEntity("bold", 5, 3), "ends after the end of the text at UTF-16 offset 8"),
        (MessageEntity("bold", 8, 1), "begins after the end of the text at UTF-16 offset 8"),
        (MessageEntity("bold", 1, 2), "begins in a middle of a UTF-16 symbol at byte offset 4"),
        (MessageEntity("bold", 0, 1), "ends in a middle of a UTF-16 symbol at byte offset 4"),
        (MessageEntity("bold", -1, 2), "incorrect offset -1"),
        (MessageEntity("bold", 1, -2), "incorrect length -2"),
    ],
)
async def test_entities_that_do_not_fit(
    client: telegram.Bot, friends: Group, entity: MessageEntity, why: str
) -> None:
    with pytest.raises(BadRequest, match=f"(?i){why}"):
        await client.send_message(friends.id, "😀 four", entities=[entity])


@pytest.mark.parametrize(
    ("outer", "inner", "may"),
    [
        ("bold", ("italic", 0, 4), True),
        ("bold", ("text_link", 1, 2), True),
        ("text_link", ("bold", 1, 3), True),
        ("blockquote", ("code", 0, 4), True),
        ("blockquote", ("blockquote", 1, 2), False),
        ("bold", ("code", 1, 2), False),
        ("pre", ("bold", 1, 2), False),
        ("text_link", ("text_link", 1, 2), False),
        ("bold", ("italic", 2, 3), False),
    ],
)
async def test_entities_in_entities(
    client: telegram.Bot,
    api: BotApi,
    friends: Group,
    outer: str,
    inner: tuple[str, int, int],
    may: bool,
) -> None:
    made = [
        MessageEntity(kind, offset, length, url="https://example.org/" if "link" in kind else None)
        for kind, offset, length in (inner, (outer, 0, 4))
    ]
    if may:
        sent = await client.send_message(friends.id, "four five", entities=made)
        assert set(sent.entities) == set(made)
        return
    with pytest.raises(BadRequest):
        await client.send_message(friends.id, "four five", entities=made)
    assert len(api.misuses) == 1
    api.misuses.clear()


async def test_how_long_texts_may_be(client: telegram.Bot, friends: Group) -> None:
    await client.send_message(friends.id, "😀" * 2048)
    with pytest.raises(BadRequest, match="Message is too long"):
        await client.send_message(friends.id, "😀" * 2048 + "a")
    with pytest.raises(BadRequest, match="Message text is empty"):
        await client.send_message(friends.id, " \n ")


async def test_entities_move_with_the_text_that_is_trimmed(
    client: telegram.Bot, friends: Group
) -> None:
    sent = await client.send_message(
        friends.id, "  a bold  ", entities=[MessageEntity("bold", 4, 6)]
    )
    assert sent.parse_entities() == {MessageEntity("bold", 2, 4): "bold"}


def test_an_update_that_is_none(api: BotApi, bot: Bot) -> None:
    with pytest.raises(AssertionError, match="an update that is none"):
        bot.updates.add("message", {"message_id": 1})


def test_what_the_types_say() -> None:
    error = vendor().update_error({"update_id": 1, "message": {"message_id": 1.5}})
    assert error is not None
    assert vendor().argument_error("sendLocation", "latitude", 1.5) is None
    assert vendor().argument_error("sendMessage", "message_thread_id", 1.5) is not None
    assert vendor().parameters("sendMesage") is None
    assert vendor().required("sendMessage") == ["chat_id", "text"]


async def _ask(
    session: ClientSession, api: BotApi, bot: Bot, method: str, arguments: Json
) -> tuple[int, Json]:
    where = f"{api.url}/bot{bot.token}/{method}"
    async with session.post(where, json=arguments) as response:
        return response.status, await response.json()
