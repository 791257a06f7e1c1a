# SPDX-License-Identifier: Apache-2.0
"""Each kind of message, as it comes in a chat and in a group. What Telegram sends is held against
the types of others, as `tests.peers.bot_api` does."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.events import (
    ContactCard,
    FileKind,
    RemoteEvent,
    RemoteMessage,
    RemoteNotice,
    RemoteRoomMessage,
    RemoteRoomNotice,
)
from gateway.ids import RemoteMessageId, RemoteUserId
from gateway.text import Span, Style
from tests.peers.bot_api.vendor import vendor
from tests.unit.telegram.test_inbound import ANNA, CHAT, GROUP, _inbound

Json = dict[str, Any]

_CAROL = {"id": 7_000_000_014, "is_bot": False, "first_name": "Carol", "username": "carol_1"}
_CHANNEL = {"id": -100_300, "type": "channel", "title": "News"}
_PLACES = (CHAT, GROUP)
_PLACE = {"latitude": 52.5, "longitude": 13.25}


def _file(**more: Any) -> Json:
    return {"file_id": "f", "file_unique_id": "u", "file_size": 9_000, **more}


def _sticker(**more: Any) -> Json:
    kind = {"type": "regular", "is_animated": False, "is_video": False}
    return {"sticker": _file(width=512, height=512, emoji="🙂", **kind | more)}


_PHOTO = [_file(width=90, height=60), _file(file_id="large", width=1280, height=853)]
_VIDEO = {"width": 640, "height": 360, "duration": 12}
_ANSWERED = {"message_id": 3, "date": 1_699_999_999, "from": ANNA, "text": "tea or 🙂 milk?"}


def _poll(*votes: int, is_closed: bool = False) -> Json:
    names = ("yes", "no")
    options = [
        {"persistent_id": str(n), "text": name, "voter_count": count}
        for n, (name, count) in enumerate(zip(names, votes or (0, 0), strict=True))
    ]
    flags = dict.fromkeys(("allows_multiple_answers", "allows_revoting", "members_only"), False)
    about = {"id": "p1", "question": "Tea?", "type": "regular", "is_anonymous": True, **flags}
    return {
        **about,
        "options": options,
        "total_voter_count": sum(votes),
        "is_closed": is_closed,
    }


def _update(chat: Json, content: Json, *, number: int = 1, kind: str = "message") -> Json:
    about = {"message_id": 5, "date": 1_700_000_000, "chat": chat, "from": ANNA}
    message = {**about, **content}
    if answered := content.get("reply_to_message"):
        message["reply_to_message"] = {**answered, "chat": chat}
    update = {"update_id": number, kind: message}
    assert vendor().update_error(update) is None
    return update


def _said(chat: Json, content: Json, **more: Any) -> RemoteMessage | RemoteRoomMessage:
    events = _inbound().events(_update(chat, content, **more))
    kind = RemoteMessage if chat is CHAT else RemoteRoomMessage
    (message,) = (
        event for event in events if isinstance(event, RemoteMessage | RemoteRoomMessage)
    )
    assert type(message) is kind
    return message


_TEXTS: dict[str, tuple[Json, str]] = {
    "custom emoji": (
        {"text": "so 🙂", "entities": [{"type": "custom_emoji", "offset": 3, "length": 2,
                                        "custom_emoji_id": "1"}]},
        "so 🙂",
    ),
    "place": ({"location": _PLACE}, "geo:52.500000,13.250000"),
    "place of somebody who moves": (
        {"location": {**_PLACE, "live_period": 900, "heading": 90}},
        "geo:52.500000,13.250000",
    ),
    "venue": (
        {"location": _PLACE, "venue": {"location": _PLACE, "title": "Bar", "address": "Street 1"}},
        "Bar, Street 1\ngeo:52.500000,13.250000",
    ),
    "poll": ({"poll": _poll()}, "📊 Tea?\n• yes\n• no"),
    "poll that was passed on": (
        {"poll": _poll(3, 1, is_closed=True)},
        "📊 Tea?\n• yes: 3\n• no: 1\nThis poll is closed.",
    ),
    "dice": ({"dice": {"emoji": "🎯", "value": 6}}, "🎯 6"),
    "game": (
        {"game": {"title": "Chess", "description": "Play", "photo": _PHOTO, "text": "",
                  "text_entities": [], "animation": _file(**_VIDEO)}},
        "[game] Chess: Play",
    ),
    "checklist": (
        {"checklist": {"title": "Buy", "tasks": [
            {"id": 1, "text": "tea", "completion_date": 1_700_000_000, "completed_by_user": ANNA},
            {"id": 2, "text": "milk"}]}},
        "Buy\n☑ tea\n☐ milk",
    ),
    "gift": (
        {"gift": {"gift": {"id": "g", "star_count": 15, **_sticker()}, "text": "for you"}},
        "[gift] for you",
    ),
    "prize draw": (
        {"giveaway": {"chats": [_CHANNEL], "winners_selection_date": 1_700_000_000,
                      "winner_count": 2, "prize_description": "tea"}},
        "[prize draw] tea",
    ),
    "who has won it": (
        {"giveaway_winners": {"chat": _CHANNEL, "giveaway_message_id": 4, "winner_count": 1,
                              "winners_selection_date": 1_700_000_000, "winners": [_CAROL]}},
        "[winners of a prize draw] Carol",
    ),
    "bill": (
        {"invoice": {"title": "Tea", "description": "green", "start_parameter": "s",
                     "currency": "EUR", "total_amount": 300}},
        "[bill] Tea: green",
    ),
    "story": ({"story": {"chat": _CHANNEL, "id": 4}}, "[story]"),
    "paid pictures": (
        {"paid_media": {"star_count": 1, "paid_media": [{"type": "preview"}]}, "caption": "look"},
        "look\n[something that costs 1 star]",
    ),
    "passed on from a channel": (
        {"text": "psst", "forward_origin": {"type": "channel", "date": 1, "chat": _CHANNEL,
                                            "message_id": 4}},
        "psst\n(Passed on from News.)",
    ),
}  # fmt: skip


@pytest.mark.parametrize("chat", _PLACES, ids=["chat", "group"])
@pytest.mark.parametrize("kind", _TEXTS)
def test_what_is_told_in_words(kind: str, chat: Json) -> None:
    content, body = _TEXTS[kind]
    message = _said(chat, content)
    assert (message.body, message.files, message.cards) == (body, (), ())


_FILES: dict[str, tuple[Json, FileKind, str]] = {
    "picture": ({"photo": _PHOTO}, FileKind.IMAGE, "image/jpeg"),
    "picture that moves when it is touched": (
        {"photo": _PHOTO,
         "live_photo": _file(photo=_PHOTO, **_VIDEO)},
        FileKind.IMAGE,
        "image/jpeg",
    ),
    "film": ({"video": _file(mime_type="video/mp4", **_VIDEO)}, FileKind.VIDEO, "video/mp4"),
    "round film": (
        {"video_note": _file(length=240, duration=5)}, FileKind.VIDEO_NOTE, "video/mp4",
    ),
    "GIF": (
        {"animation": _file(mime_type="video/mp4", **_VIDEO),
         "document": _file(mime_type="video/mp4")},
        FileKind.ANIMATION,
        "video/mp4",
    ),
    "voice message": (
        {"voice": _file(mime_type="audio/ogg", duration=3)}, FileKind.VOICE, "audio/ogg",
    ),
    "song": (
        {"audio": _file(mime_type="audio/mpeg", duration=180, title="Tea")},
        FileKind.AUDIO,
        "audio/mpeg",
    ),
    "file": ({"document": _file(mime_type="text/plain")}, FileKind.FILE, "text/plain"),
    "sticker": (_sticker(), FileKind.STICKER, "image/webp"),
    "sticker that is drawn": (
        _sticker(is_animated=True), FileKind.STICKER, "application/x-tgsticker",
    ),
    "sticker that is a film": (_sticker(is_video=True), FileKind.STICKER, "video/webm"),
}  # fmt: skip


@pytest.mark.parametrize("chat", _PLACES, ids=["chat", "group"])
@pytest.mark.parametrize("name", _FILES)
def test_files(name: str, chat: Json) -> None:
    """What is said below one belongs to it; what is hidden is."""
    content, kind, media_type = _FILES[name]
    has_words = "sticker" not in content and "video_note" not in content
    caption = {"caption": "look 🙂", "caption_entities": [
        {"type": "spoiler", "offset": 5, "length": 2}]} if has_words else {}  # fmt: skip
    hides = bool(content.keys() & {"photo", "video", "animation"})
    hidden = {"has_media_spoiler": True} if hides else {}
    message = _said(chat, {**content, **caption, **hidden})
    (file,) = message.files
    assert (file.kind, file.media_type, file.is_spoiler) == (kind, media_type, hides)
    assert file.reference == ("large" if "photo" in content else "f")
    assert file.description == ("🙂" if "sticker" in content else "")
    spans = (Span(Style.SPOILER, 5, 6),) if has_words else ()
    assert (message.body, message.spans) == ("look 🙂" if has_words else "", spans)


@pytest.mark.parametrize("chat", _PLACES, ids=["chat", "group"])
def test_answers_quotes_edits_and_cards(chat: Json) -> None:
    message = f"{chat['id']}:5"
    answer = {"text": "both", "reply_to_message": _ANSWERED}
    answered = _said(chat, answer)
    assert (answered.reply_to, answered.body) == (f"{chat['id']}:3", "both")
    part = {"text": "🙂 milk", "position": 7, "is_manual": True}
    quoting = _said(chat, {**answer, "quote": part})
    assert (quoting.body, quoting.spans) == ("🙂 milk\nboth", (Span(Style.QUOTE, 0, 6),))
    edited = _said(
        chat, {"text": "all", "edit_date": 1_700_000_009}, kind="edited_message", number=2
    )
    assert (edited.edits, edited.body, edited.is_ongoing) == (message, "all", False)
    moving = {"location": {**_PLACE, "live_period": 900}, "edit_date": 1_700_000_009}
    assert _said(chat, moving, kind="edited_message").is_ongoing
    arrived = {"location": _PLACE, "edit_date": 1_700_000_009}
    assert not _said(chat, arrived, kind="edited_message").is_ongoing
    contact = {"phone_number": "+49 30 1", "first_name": "Carol", "user_id": _CAROL["id"]}
    card = ContactCard(name="Carol", phones=("+49 30 1",), user=RemoteUserId(str(_CAROL["id"])))
    assert _said(chat, {"contact": contact}).cards == (card,)


_LIST = {
    "message_id": 3, "date": 1, "chat": GROUP, "from": ANNA,
    "checklist": {"title": "Buy", "tasks": [{"id": 1, "text": "tea"}, {"id": 2, "text": "milk"}]},
}  # fmt: skip
_HAPPENED: list[tuple[Json, str]] = [
    ({"pinned_message": {**_ANSWERED, "chat": GROUP}}, "Anna Bauer has pinned a message."),
    (
        {"message_auto_delete_timer_changed": {"message_auto_delete_time": 86_400 * 7}},
        "Anna Bauer has set that messages are deleted after 7 days.",
    ),
    (
        {"message_auto_delete_timer_changed": {"message_auto_delete_time": 0}},
        "Anna Bauer has set that messages stay.",
    ),
    ({"video_chat_scheduled": {"start_date": 9}}, "Anna Bauer has planned a video chat."),
    (
        {"video_chat_started": {}},
        "Anna Bauer has begun a video chat. It is in Telegram: bots cannot take part.",
    ),
    ({"video_chat_ended": {"duration": 600}}, "The video chat is over, after 10 minutes."),
    (
        {"video_chat_participants_invited": {"users": [_CAROL]}},
        "Anna Bauer asks into the video chat: Carol.",
    ),
    (
        {"proximity_alert_triggered": {"traveler": _CAROL, "watcher": ANNA, "distance": 50}},
        "Carol is less than 50 m away from Anna Bauer.",
    ),
    ({"boost_added": {"boost_count": 1}}, "Anna Bauer has boosted this group."),
    ({"chat_owner_left": {}}, "Anna Bauer, who owned this group, has left it."),
    (
        {"chat_owner_left": {"new_owner": _CAROL}},
        "Anna Bauer, who owned this group, has left it; Carol is to own it.",
    ),
    (
        {"chat_owner_changed": {"new_owner": _CAROL}},
        "Anna Bauer has handed this group over to Carol.",
    ),
    (
        {"paid_message_price_changed": {"paid_message_star_count": 2}},
        "Each message of others than administrators costs 2 stars here from now on.",
    ),
    (
        {"paid_message_price_changed": {"paid_message_star_count": 0}},
        "Messages of others than administrators cost nothing here any more.",
    ),
    ({"giveaway_created": {}}, "Anna Bauer has begun a prize draw."),
    ({"giveaway_completed": {"winner_count": 1}}, "The prize draw is over, with 1 winner."),
    (
        {"checklist_tasks_added": {"tasks": [{"id": 3, "text": "cake"}]}},
        "Anna Bauer has added to a list: cake.",
    ),
    (
        {"checklist_tasks_done": {"checklist_message": _LIST, "marked_as_done_task_ids": [1, 2]}},
        "Anna Bauer has ticked off: tea, milk.",
    ),
    (
        {"checklist_tasks_done": {"checklist_message": _LIST, "marked_as_not_done_task_ids": [2]}},
        "Anna Bauer has not done after all: milk.",
    ),
    (
        {"checklist_tasks_done": {"marked_as_done_task_ids": [1]}},
        "Anna Bauer has changed what is done of a list.",
    ),
    (
        {"poll_option_added": {"option_persistent_id": "3", "option_text": "perhaps"}},
        "Anna Bauer has added an answer to a poll: perhaps.",
    ),
    (
        {"poll_option_deleted": {"option_persistent_id": "3", "option_text": "perhaps"}},
        "Anna Bauer has taken an answer out of a poll: perhaps.",
    ),
]


def _told(chat: Json, content: Json) -> list[RemoteEvent]:
    return [
        event
        for event in _inbound().events(_update(chat, content))
        if isinstance(event, RemoteMessage | RemoteRoomMessage | RemoteNotice | RemoteRoomNotice)
    ]


@pytest.mark.parametrize(("content", "text"), _HAPPENED)
def test_what_nobody_has_said(content: Json, text: str) -> None:
    """It is a line, by nobody."""
    (in_group,) = _told(GROUP, content)
    assert isinstance(in_group, RemoteRoomNotice)
    assert (in_group.id, in_group.text) == (f"{GROUP['id']}:5", text)
    (in_chat,) = _told(CHAT, content)
    id = RemoteMessageId(f"{CHAT['id']}:5")
    assert in_chat == RemoteNotice(contact=RemoteUserId(str(CHAT["id"])), id=id, text=text)


@pytest.mark.parametrize("chat", _PLACES, ids=["chat", "group"])
@pytest.mark.parametrize(
    "content",
    [
        {"new_chat_title": "Tea"},
        {"new_chat_photo": _PHOTO},
        {"delete_chat_photo": True},
        {"group_chat_created": True},
        {"chat_background_set": {"type": {"type": "chat_theme", "theme_name": "🙂"}}},
        {"write_access_allowed": {}},
    ],
)
def test_what_there_is_nothing_to_tell_of(content: Json, chat: Json) -> None:
    assert _told(chat, content) == []


def test_what_is_of_little_weight() -> None:
    (boost,) = _told(GROUP, {"boost_added": {"boost_count": 1}})
    (pin,) = _told(GROUP, {"pinned_message": {**_ANSWERED, "chat": GROUP}})
    assert isinstance(boost, RemoteRoomNotice)
    assert isinstance(pin, RemoteRoomNotice)
    assert (boost.is_important, pin.is_important) == (False, True)
