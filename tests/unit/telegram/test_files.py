# SPDX-License-Identifier: Apache-2.0
"""Files that people send: what is told of them, and their bytes (REQ-441)."""

import asyncio
import gc
import logging
from typing import Any

import pytest
from telegram import Message

from adapters.telegram.files import shared
from gateway.errors import TooLarge, Transient
from gateway.events import FileKind, RemoteFile, RemoteMessage
from gateway.text import Span, Style
from tests.unit.telegram.world import World

_ID = {"file_id": "f", "file_unique_id": "u", "file_size": 1000}
_SMALL = {"file_id": "s", "file_unique_id": "v", "file_size": 90, "width": 320, "height": 200}
_THUMBNAIL = RemoteFile(reference="s", kind=FileKind.IMAGE, size=90, width=320, height=200)
_PIXELS = {"width": 1280, "height": 800}
_STICKER = {**_ID, "width": 512, "height": 512, "type": "regular", "emoji": "😀"}


def _file(**content: Any) -> RemoteFile:
    bot: Any = None
    chat = {"id": 7, "type": "private"}
    message = Message.de_json({"message_id": 1, "date": 1, "chat": chat, **content}, bot)
    (file,) = shared(message)
    return file


@pytest.mark.parametrize(
    ("content", "file"),
    [
        (
            {"photo": [{**_SMALL, "file_id": "t", "width": 90, "height": 56}, _SMALL,
                       {**_ID, **_PIXELS}], "has_media_spoiler": True},
            RemoteFile(reference="f", kind=FileKind.IMAGE, media_type="image/jpeg", size=1000,
                       width=1280, height=800, is_spoiler=True, thumbnail=_THUMBNAIL),
        ),
        (
            {"document": {**_ID, "file_name": "a  b.pdf", "mime_type": "application/pdf",
                          "thumbnail": _SMALL}},
            RemoteFile(reference="f", name="a b.pdf", media_type="application/pdf", size=1000,
                       thumbnail=_THUMBNAIL),
        ),
        (
            {"voice": {**_ID, "duration": 3}},
            RemoteFile(reference="f", kind=FileKind.VOICE, media_type="audio/ogg", size=1000,
                       duration_s=3.0),
        ),
        (
            {"video_note": {**_ID, "length": 240, "duration": 2}},
            RemoteFile(reference="f", kind=FileKind.VIDEO_NOTE, media_type="video/mp4", size=1000,
                       width=240, height=240, duration_s=2.0),
        ),
        (
            {"animation": {**_ID, **_PIXELS, "duration": 2}, "document": _ID},
            RemoteFile(reference="f", kind=FileKind.ANIMATION, media_type="video/mp4", size=1000,
                       width=1280, height=800, duration_s=2.0),
        ),
        (
            {"sticker": {**_STICKER, "is_animated": False, "is_video": False}},
            RemoteFile(reference="f", kind=FileKind.STICKER, media_type="image/webp", size=1000,
                       width=512, height=512, description="😀"),
        ),
        (
            {"sticker": {**_STICKER, "is_animated": True, "is_video": False}},
            RemoteFile(reference="f", kind=FileKind.STICKER, size=1000, width=512, height=512,
                       media_type="application/x-tgsticker", description="😀"),
        ),
    ],
)  # fmt: skip
def test_what_is_told_of_a_file(content: dict[str, Any], file: RemoteFile) -> None:
    assert _file(**content) == file


def test_a_long_name_keeps_its_end() -> None:
    name = _file(document={**_ID, "file_name": f"{'x' * 400}.pdf"}).name
    assert (len(name), name[-5:]) == (201, "x.pdf")


async def test_what_is_said_of_a_file(world: World) -> None:
    content = {
        "caption": "🙂 look",
        "caption_entities": [{"type": "bold", "offset": 3, "length": 4}],
    }
    sent = world.anna.send_file(world.bot, "document", b"bytes", name="x.bin")
    world.anna.change(sent, sent.content | content)
    async with world.running():
        message = await world.account.first(RemoteMessage, lambda told: told.edits is not None)
    assert (message.body, message.spans) == ("🙂 look", (Span(Style.BOLD, 2, 6),))
    assert [(file.name, file.size) for file in message.files] == [("x.bin", 5)]


async def test_what_cannot_be_fetched_is_said(world: World) -> None:
    world.anna.send_file(world.bot, "document", b"bytes", name="x.bin")
    large = world.anna.send_file(world.bot, "document", b"b", name="y.bin", size=30_000_000)
    async with world.running() as session:
        message = await world.account.first(RemoteMessage, lambda told: bool(told.files))
        (file,) = message.files
        with pytest.raises(TooLarge):
            await session.download(large.content["document"]["file_id"])
        with pytest.raises(Transient):
            await session.download("nothing")
        download = await session.download(file.reference, 2)
        assert b"".join([chunk async for chunk in download.chunks]) == b"tes"
        await download.close()
    await world.telegram.stop()
    with pytest.raises(Transient) as caught:
        await session.download(file.reference)
    assert world.bot.token not in str(caught.value)


async def test_bytes_come_from_the_server_alone(world: World) -> None:
    """Wherever it says that they are: that may be anywhere in the network of the gateway."""
    world.anna.send_file(world.bot, "document", b"bytes", name="x.bin")
    async with world.running() as session:
        message = await world.account.first(RemoteMessage, lambda told: bool(told.files))
        moved = world.telegram.faults.move(f"{world.telegram.url}/elsewhere", method="file")
        with pytest.raises(Transient, match="302"):
            await session.download(message.files[0].reference)
    assert moved.hits == 1


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # the log is what counts
async def test_the_token_is_in_no_log(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """Not even in asyncio's, which shows the addresses of answers that nobody has closed."""
    caplog.set_level(logging.DEBUG, "")
    asyncio.get_running_loop().set_debug(True)
    world.anna.send_file(world.bot, "document", bytes(1_000_000), name="x.bin")
    async with world.running() as session:
        message = await world.account.first(RemoteMessage, lambda told: bool(told.files))
        (file,) = message.files
        download = await session.download(file.reference)
        del download  # whoever has asked for it was ended
        download = await session.download(file.reference)
        async for _ in download.chunks:
            break
        del download
        world.telegram.faults.move(f"{world.telegram.url}/elsewhere", method="file")
        with pytest.raises(Transient):
            await session.download(file.reference)
    await world.account.http.close()
    for _ in range(10):
        await asyncio.sleep(0)
    gc.collect()
    assert world.bot.token not in caplog.text
