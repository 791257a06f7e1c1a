# SPDX-License-Identifier: Apache-2.0
"""Files both ways."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
import telegram
from PIL import Image
from telegram import (
    InputFile,
    InputMediaAnimation,
    InputMediaDocument,
    InputMediaPhoto,
    InputMediaVideo,
    MessageEntity,
)
from telegram.error import BadRequest, InvalidToken, TelegramError

from tests.peers.bot_api import Bot, BotApi, Group, LocalDisk, Person
from tests.peers.bot_api.files import LARGEST_DOWNLOAD, LARGEST_PHOTO, LARGEST_UPLOAD

_OGG = b"OggS" + bytes(60)


def picture(width: int = 400, height: int = 200) -> bytes:
    """A PNG that is never the same after it was made anew."""
    out = io.BytesIO()
    Image.effect_noise((width, height), 80).save(out, "PNG")
    return out.getvalue()


async def test_a_photo_of_a_person(client: telegram.Bot, anna: Person, bot: Bot) -> None:
    anna.send_file(bot, "photo", picture(), caption="red, https://example.org")
    (update,) = await client.get_updates()
    message = update.message
    assert message is not None
    assert message.caption == "red, https://example.org"
    assert [each.type for each in message.caption_entities] == ["url"]
    small, middle, large = message.photo
    assert (small.width, middle.width, large.width, large.height) == (90, 320, 400, 200)
    got = await (await large.get_file()).download_as_bytearray()
    with Image.open(io.BytesIO(got)) as opened:
        assert (opened.format, opened.size) == ("JPEG", (400, 200))


async def test_a_photo_of_the_bot(client: telegram.Bot, friends: Group) -> None:
    entities = [MessageEntity("bold", 0, 3)]
    sent = await client.send_photo(
        friends.id, picture(), caption="red", caption_entities=entities, has_spoiler=True
    )
    assert [each.width for each in sent.photo] == [90, 320, 400]
    assert sent.caption_entities[0].type == "bold"
    assert sent.has_media_spoiler
    again = await client.send_photo(friends.id, sent.photo[-1].file_id)
    assert again.photo[-1].file_id != sent.photo[-1].file_id
    assert [each.file_unique_id for each in again.photo] == [
        each.file_unique_id for each in sent.photo
    ]
    with pytest.raises(BadRequest, match=r"(?i)can't use file of type photo as document"):
        await client.send_document(friends.id, sent.photo[-1].file_id)
    with pytest.raises(BadRequest, match=r"Image_process_failed"):
        await client.send_photo(friends.id, b"no picture")
    with pytest.raises(BadRequest, match="Photo_invalid_dimensions"):
        await client.send_photo(friends.id, picture(500, 20))
    with pytest.raises(BadRequest, match="is too big for a photo"):
        await client.send_photo(friends.id, bytes(LARGEST_PHOTO + 1))


@pytest.mark.parametrize(
    ("kind", "name", "facts"),
    [
        ("document", "a.pdf", {}),
        ("video", "a.mp4", {"width": 64, "height": 32, "duration": 3}),
        ("animation", "a.mp4", {"width": 64, "height": 32, "duration": 3}),
        ("audio", "a.mp3", {"duration": 7, "performer": "Me", "title": "It"}),
        ("voice", "a.ogg", {"duration": 7}),
        ("video_note", "a.mp4", {"length": 240, "duration": 3}),
        ("sticker", "a.webp", {}),
    ],
)
async def test_each_kind_of_file(
    client: telegram.Bot, anna: Person, friends: Group, kind: str, name: str, facts: dict[str, Any]
) -> None:
    send = getattr(client, f"send_{kind}")
    sent = await send(friends.id, InputFile(_OGG, name), **facts)
    medium = getattr(sent, kind)
    assert medium.file_size == len(_OGG)
    for fact, value in facts.items():
        assert int_or_text(getattr(medium, fact)) == value
    assert (sent.document is not None) is (kind in ("document", "animation"))
    assert getattr(friends.seen.items[-1], "content", {})[kind]
    anna.send_file(friends, kind, _OGG, name=name, mime="audio/ogg", facts=facts)
    (update,) = await client.get_updates()
    assert update.message is not None
    got = await getattr(update.message, kind).get_file()
    assert bytes(await got.download_as_bytearray()) == _OGG


async def test_what_is_no_voice_is_sent_as_a_document(
    client: telegram.Bot, friends: Group
) -> None:
    sent = await client.send_voice(friends.id, InputFile(b"RIFF", "a.wav"))
    assert sent.voice is None
    assert sent.document is not None


async def test_albums(
    client: telegram.Bot, api: BotApi, anna: Person, bot: Bot, friends: Group
) -> None:
    photo, video = InputMediaPhoto(picture(), caption="red"), InputMediaVideo(b"film")
    sent = await client.send_media_group(friends.id, [photo, video])
    assert [each.media_group_id for each in sent] == [sent[0].media_group_id] * 2
    assert (sent[0].caption, sent[1].message_id) == ("red", sent[0].message_id + 1)
    document = InputMediaDocument(b"text")
    wrongs: list[Any] = [[photo], [photo] * 11, [photo, document], [InputMediaAnimation(b"a")] * 2]
    for wrong in wrongs:
        with pytest.raises(BadRequest):
            await client.send_media_group(friends.id, wrong)
    assert len(api.misuses) == 2, "the types say what can be in one"
    api.misuses.clear()
    for _ in range(2):
        anna.send_file(bot, "photo", picture(), album="17")
    updates = await client.get_updates()
    assert [each.message and each.message.media_group_id for each in updates] == ["17", "17"]


async def test_places_and_cards(client: telegram.Bot, friends: Group) -> None:
    place = await client.send_location(friends.id, 48.2, 16.37, horizontal_accuracy=12.5)
    assert place.location is not None
    assert (place.location.latitude, place.location.horizontal_accuracy) == (48.2, 12.5)
    with pytest.raises(BadRequest, match="Wrong location"):
        await client.send_location(friends.id, 148.2, 16.37)
    card = await client.send_contact(friends.id, "+43 1 0", "Anna", vcard="BEGIN:VCARD\n")
    assert card.contact is not None
    assert (card.contact.first_name, card.contact.phone_number) == ("Anna", "+43 1 0")


async def test_captions(client: telegram.Bot, friends: Group) -> None:
    sent = await client.send_document(friends.id, b"text", caption="one")
    await client.edit_message_caption(friends.id, sent.message_id, caption="two")
    assert friends.texts[-1] == "two"
    edited = await client.edit_message_caption(friends.id, sent.message_id)
    assert not isinstance(edited, bool)
    assert edited.caption is None
    with pytest.raises(BadRequest, match="Message caption is too long"):
        await client.send_document(friends.id, b"text", caption="😀" * 513)
    with pytest.raises(BadRequest, match="There is no text in the message"):
        await client.edit_message_text("three", friends.id, sent.message_id)
    text = await client.send_message(friends.id, "text")
    with pytest.raises(BadRequest, match="There is no caption in the message"):
        await client.edit_message_caption(friends.id, text.message_id, caption="four")


async def test_how_large_files_may_be(
    client: telegram.Bot, anna: Person, bot: Bot, friends: Group
) -> None:
    anna.send_file(bot, "document", b"a", size=LARGEST_DOWNLOAD)
    anna.send_file(bot, "document", b"a", size=LARGEST_DOWNLOAD + 1)
    allowed, large = (each.message for each in await client.get_updates())
    assert allowed is not None
    assert allowed.document is not None
    assert large is not None
    assert large.document is not None
    await allowed.document.get_file()
    with pytest.raises(BadRequest, match="File is too big"):
        await large.document.get_file()
    with pytest.raises(TelegramError, match="Request Entity Too Large"):
        await client.send_document(friends.id, bytes(LARGEST_UPLOAD + 1))


async def test_addresses_are_of_one_bot_and_of_one_hour(
    client: telegram.Bot, api: BotApi, anna: Person, bot: Bot
) -> None:
    said = anna.send_file(bot, "document", b"secret", name="a.txt")
    file_id = said.content["document"]["file_id"]
    file = await client.get_file(file_id)
    assert bytes(await file.download_as_bytearray()) == b"secret"
    assert file.file_path is not None
    assert file.file_path.endswith(".txt")
    token = bot.token
    bot.revoke()
    with pytest.raises(InvalidToken):
        await file.download_as_bytearray()
    bot.token = token
    api.world.files.expire()
    with pytest.raises(TelegramError, match="Not Found"):
        await file.download_as_bytearray()
    assert (await client.get_file(file_id)).file_unique_id == file.file_unique_id
    with pytest.raises(BadRequest, match="rong file_id"):
        await client.get_file("nonsense")


def int_or_text(value: Any) -> Any:
    """Durations are timedeltas."""
    return int(value.total_seconds()) if hasattr(value, "total_seconds") else value


async def test_a_server_of_ones_own_has_files_on_its_disk(
    client: telegram.Bot, api: BotApi, anna: Person, bot: Bot, friends: Group, tmp_path: Path
) -> None:
    """Bot API, "Using a Local Bot API Server"."""
    api.world.files.local = LocalDisk(tmp_path, "/var/lib/telegram-bot-api")
    said = anna.send_file(bot, "document", b"a", name="a.pdf", size=LARGEST_DOWNLOAD + 1)
    file = await client.get_file(said.content["document"]["file_id"])
    assert file.file_path is not None
    place = file.file_path.partition("/var/lib/telegram-bot-api/")[2]
    assert place.startswith(f"{bot.token}/documents/")
    assert (tmp_path / place).stat().st_size == LARGEST_DOWNLOAD + 1
    with pytest.raises(TelegramError, match="Not Found"):
        await client.request.retrieve(f"{api.url}/file/bot{place}")
    await client.send_document(friends.id, bytes(LARGEST_UPLOAD + 1))
