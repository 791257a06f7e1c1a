# SPDX-License-Identifier: Apache-2.0
"""Sending files, places and cards."""

from __future__ import annotations

from typing import Any

from tests.peers.bot_api.calls import METHODS, Call, Method, method
from tests.peers.bot_api.errors import Misuse, bad
from tests.peers.bot_api.files import Stored
from tests.peers.bot_api.media import KINDS, check_same_kind, medium

from .texts import check_known, post

Json = dict[str, Any]

_WORDS = {"caption", "caption_entities"}
_FACTS = {"width", "height", "duration", "length", "performer", "title", "emoji", "thumbnail"}
_WITHOUT_WORDS = ("video_note", "sticker")


def _sender(kind: str) -> Method:
    def send(call: Call) -> Json:
        words = set() if kind in _WITHOUT_WORDS else _WORDS
        check_known(call, {"chat_id", kind, "has_spoiler", "supports_streaming"} | words | _FACTS)
        chat = call.chat()
        return post(call, chat, _content(call, kind, call.arguments[kind], call.arguments)).json()

    return send


for _kind in KINDS:
    METHODS["send" + _kind.title().replace("_", "")] = _sender(_kind)


@method
def send_media_group(call: Call) -> list[Json]:
    """Some that belong together: 2 to 10."""
    check_known(call, {"chat_id", "media"})
    media = call.arguments["media"]
    if not 2 <= len(media) <= 10:
        raise bad("there must be from 2 to 10 media in an album")
    chat = call.chat()
    contents = [_content(call, each["type"], each["media"], each) for each in media]
    album = str(13_000_000_000_000_000 + chat.next_message_id)
    return [post(call, chat, content, album=album).json() for content in contents]


@method
def send_location(call: Call) -> Json:
    """A place."""
    names = {"latitude", "longitude", "horizontal_accuracy"}
    check_known(call, {"chat_id"} | names)
    if abs(call.arguments["latitude"]) > 90 or abs(call.arguments["longitude"]) > 180:
        raise bad("wrong location specified")
    place = {name: value for name, value in call.arguments.items() if name in names}
    return post(call, call.chat(), {"location": place}).json()


@method
def send_contact(call: Call) -> Json:
    """A card of somebody."""
    names = {"phone_number", "first_name", "last_name", "vcard"}
    check_known(call, {"chat_id"} | names)
    if len(call.arguments.get("vcard", "").encode()) > 2048:
        raise bad("vcard is too long")
    card = {name: value for name, value in call.arguments.items() if name in names}
    return post(call, call.chat(), {"contact": card}).json()


@method
def get_file(call: Call) -> Json:
    """From where a file can be fetched for the next hour; or where it lies."""
    bot = call.bot
    return call.world.files.address(bot.id, bot.token, call.arguments["file_id"])


def _content(call: Call, kind: str, where: str, facts: Json) -> Json:
    stored = _file(call, where, kind)
    facts = {name: facts[name] for name in facts if name in _FACTS | _WORDS | {"has_spoiler"}}
    if "thumbnail" in facts:
        facts["thumbnail"] = _file(call, facts["thumbnail"], "photo")
    content = medium(call.world.files, kind, stored, facts)
    if facts.get("has_spoiler"):
        content["has_media_spoiler"] = True
    words = call.world.caption(facts.get("caption", ""), facts.get("caption_entities", ()))
    return content | words


def _file(call: Call, where: str, kind: str) -> Stored:
    """The file that is meant: one that came with the request, or one that Telegram has."""
    if where.startswith("attach://"):
        found = call.files.get(where.removeprefix("attach://"))
        if found is None or not found.size:
            raise bad("file must be non-empty" if found else f"there is no {kind} in the request")
        return found
    if "://" in where:
        raise Misuse("this server fetches nothing")
    check_same_kind(kind, call.world.files.find(where))
    return call.world.files.again(where)
