# SPDX-License-Identifier: Apache-2.0
"""Files of users: as what they are sent, and what becomes of those that break off (REQ-448)."""

import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from PIL import Image

from gateway.adapter import Linked, Upload
from gateway.errors import AdapterError, FetchFailed, TooLarge, Uncertain
from gateway.events import FileFacts, FileKind, SendText, SentFile
from gateway.ids import RemoteMessageId
from gateway.text import Span, Style
from tests.contract.account import Account
from tests.peers.bot_api import bad
from tests.unit.telegram.world import World

_URL = "https://files.example/1"


def _png(width: int = 40, height: int = 20) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (width, height)).save(out, "PNG")
    return out.getvalue()


def _file(kind: FileKind, media_type: str, **more: Any) -> SentFile:
    return SentFile(url=_URL, name="x.bin", kind=kind, media_type=media_type, **more)


@pytest.mark.parametrize(
    ("file", "shown"),
    [
        (_file(FileKind.IMAGE, "image/png", width=40, height=20), "photo"),
        (_file(FileKind.IMAGE, "image/png", width=40, height=20, as_file=True), "document"),
        (_file(FileKind.IMAGE, "image/png", width=4000, height=20), "document"),
        (_file(FileKind.IMAGE, "image/png", width=9000, height=9000), "document"),
        (_file(FileKind.IMAGE, "image/svg+xml"), "document"),
        (_file(FileKind.ANIMATION, "image/gif"), "animation"),
        (_file(FileKind.VIDEO, "video/mp4"), "video"),
        (_file(FileKind.VIDEO, "video/x-matroska"), "document"),
        (_file(FileKind.AUDIO, "audio/mpeg"), "audio"),
        (_file(FileKind.VOICE, "audio/mp4"), "document"),
        (_file(FileKind.FILE, "application/pdf"), "document"),
    ],
)
async def test_as_what_it_is_sent(world: World, file: SentFile, shown: str) -> None:
    world.account.files[_URL] = _png()
    async with world.running() as session:
        await session.send(world.text("", file=file), "k.1")
    (message,) = world.chat.seen.items
    assert shown in message.content


async def test_what_is_said_about_it(world: World) -> None:
    world.account.files[_URL] = _png()
    asked = world.anna.say(world.bot, "show me")
    reply_to = RemoteMessageId(f"{world.anna.id}:{asked.id}")
    file = _file(FileKind.IMAGE, "image/png", is_spoiler=True)
    async with world.running() as session:
        text = world.text("🙂 here", file=file, reply_to=reply_to, spans=(Span(Style.BOLD, 2, 6),))
        sent = await session.send(text, "k.1")
        (message,) = world.chat.seen.items
        assert (message.text, message.reply_to) == ("🙂 here", asked)
        assert message.entities == [{"type": "bold", "offset": 3, "length": 4}]
        assert message.content["has_media_spoiler"]
        for _ in range(2):  # the second one changes nothing, and that is no error
            await session.send(world.text("there", edits=sent.remote_id), "k.2")
        assert message.text == "there"
        long = world.text("x" * 1025, file=file)
        with pytest.raises(TooLarge, match="1,024"):
            await session.send(long, "k.3")


async def test_what_is_no_picture_for_telegram_is_a_file(world: World) -> None:
    world.account.files[_URL] = _png()
    file = _file(FileKind.IMAGE, "image/png")
    world.telegram.faults.refuse(bad("IMAGE_PROCESS_FAILED"), method="sendPhoto")
    async with world.running() as session:
        await session.send(world.text("look", file=file), "k.1")
    (message,) = world.chat.seen.items
    assert "document" in message.content
    assert message.text == "look"


async def test_nobody_knows_what_became_of_a_file_that_was_not_answered(world: World) -> None:
    world.account.files[_URL] = b"bytes"
    world.telegram.faults.cut(carried_out=True, method="sendDocument")
    async with world.running() as session:
        with pytest.raises(Uncertain):
            await session.send(world.text("", file=_file(FileKind.FILE, "a/b")), "k.1")
    assert len(world.chat.seen.items) == 1


class _Breaking(Account):
    """Files break off, or are not as long as was said."""

    said: int | None = 200_000
    error: AdapterError | None = None

    @asynccontextmanager
    async def open(self, file: SentFile) -> AsyncIterator[Upload]:
        yield Upload(facts=FileFacts(name="x.bin", size=self.said), chunks=self._chunks())

    async def _chunks(self) -> AsyncIterator[bytes]:
        yield b"." * 100_000
        if self.error is not None:
            raise self.error


@pytest.mark.parametrize("said", [200_000, 50_000, None])
async def test_what_breaks_off_is_not_sent(world: World, said: int | None) -> None:
    """Why is said, and it is certain that nothing went out."""
    known = world.account
    linked = Linked(realm="telegram", remote_id=known.remote_id, secret=known.secret)
    account = _Breaking(linked, known.http)
    account.said = said
    account.error = None if said else FetchFailed("It broke off.")
    session = world.adapter.session(account)
    command = SendText(contact=world.contact, body="", file=_file(FileKind.FILE, "a/b"))
    with pytest.raises(AdapterError) as caught:
        await session.send(command, "k.1")
    assert getattr(caught.value, "is_certain", False)
    assert caught.value.text.startswith("The file is not as long" if said else "It broke off.")
    assert not world.chat.seen.items
