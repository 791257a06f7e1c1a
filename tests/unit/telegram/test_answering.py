# SPDX-License-Identifier: Apache-2.0
"""Answers to a part of a message (REQ-436)."""

from __future__ import annotations

import pytest

from gateway.errors import AdapterError, Unsupported
from gateway.events import FileKind, SentFile
from gateway.ids import RemoteMessageId
from tests.peers.bot_api import bad
from tests.unit.telegram.own_chats import ALL, connected
from tests.unit.telegram.world import World

_URL = "https://files.example/1"


async def _quotes(world: World, said: str, *parts: str, bold: int = 0) -> list[str]:
    """What is quoted in answers to this, to which parts of it."""
    world.account.files[_URL] = b"data"
    file = SentFile(url=_URL, name="x.bin", kind=FileKind.FILE, media_type="")
    styles = [{"type": "bold", "offset": 0, "length": bold}] if bold else []
    async with world.running() as session:
        asked = world.anna.say(world.bot, said, styles)
        message = (await world.account.text(said)).id
        for number, part in enumerate(parts):
            about = {"reply_to": message, "cites": part}
            await session.send(world.text("words", **about), f"k.{number}")
            await session.send(world.text("file", file=file, **about), f"f.{number}")
    sent = world.chat.seen.items
    assert [(each.text, each.reply_to) for each in sent] == len(parts) * [
        ("words", asked), ("file", asked),
    ]  # fmt: skip
    found = ["" if each.quote is None else each.quote["text"] for each in sent]
    assert found[::2] == found[1::2]
    return found[::2]


async def test_a_part_is_quoted(world: World) -> None:
    assert await _quotes(world, "tea, or 🙂 milk?", "🙂 milk", "") == ["🙂 milk", ""]


async def test_what_telegram_has_otherwise_is_answered_as_a_whole(world: World) -> None:
    """Other words, styles, and too much; nothing is sent twice."""
    said = f"tea or milk? {'x' * 1_100}"
    found = await _quotes(world, said, "coffee", "tea", "milk", "x" * 1_025, bold=3)
    assert found == ["", "", "milk", ""]


async def test_another_refusal_is_one(world: World) -> None:
    async with world.running() as session:
        world.anna.say(world.bot, "tea or milk?")
        message = (await world.account.text("tea or milk?")).id
        world.telegram.faults.refuse(bad("no such luck"), method="sendMessage")
        with pytest.raises(AdapterError) as caught:
            await session.send(world.text("yes", reply_to=message, cites="milk"), "k.1")
    assert type(caught.value) is Unsupported
    assert not world.chat.seen.items


async def test_a_part_is_quoted_in_an_own_chat(world: World) -> None:
    own = connected(world, *ALL)
    async with world.running() as session:
        await own.prove()
        own.bob.say(own.chat, "tea or milk?")
        said: RemoteMessageId = (await own.account.text("tea or milk?")).id
        for number, part in enumerate(("milk", "coffee")):
            await session.send(own.text("yes", reply_to=said, cites=part), f"k.{number}")
    sent = [each for each in own.chat.seen.items if each.text == "yes"]
    assert [each.quote and each.quote["text"] for each in sent] == ["milk", None]
