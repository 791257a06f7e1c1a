# SPDX-License-Identifier: Apache-2.0
"""Files of users → the content of an event, and an edit of what was said of one."""

from typing import Any

import pytest

from adapters.matrix.contents import content_of
from adapters.matrix.file_content import as_event, file_content, file_in
from gateway.events import FileFacts, FileKind, Mention, SendRoomText, SendText
from gateway.ids import RemoteMessageId, RemoteRoomId
from gateway.text import Span, Style
from tests.unit.matrix.samples import BOB, ROOM

URL = {"url": "mxc://example.org/a"}
FIRST = RemoteMessageId("$first")
KEY = "org.dragoman.key"
SPOILER = "page.codeberg.everypizza.msc4193.spoiler"
VOICE, AUDIO = "org.matrix.msc3245.voice", "org.matrix.msc1767.audio"


def _facts(kind: FileKind, media_type: str, **more: Any) -> FileFacts:
    return FileFacts(kind=kind, name="a", media_type=media_type, **more)


@pytest.mark.parametrize(
    ("facts", "content"),
    [
        (_facts(FileKind.IMAGE, "image/png", size=9, width=3, height=2),
         {"msgtype": "m.image", "info": {"mimetype": "image/png", "size": 9, "w": 3, "h": 2}}),
        (_facts(FileKind.ANIMATION, "image/gif", size=0),
         {"msgtype": "m.image", "info": {"mimetype": "image/gif", "size": 0}}),
        (_facts(FileKind.ANIMATION, "video/mp4"),
         {"msgtype": "m.video", "info": {"mimetype": "video/mp4"}}),
        (_facts(FileKind.STICKER, "image/webp", description="😘"),
         {"msgtype": "m.sticker", "body": "😘", "info": {"mimetype": "image/webp"}}),
        (_facts(FileKind.FILE, "image/png", width=3),
         {"msgtype": "m.file", "info": {"mimetype": "image/png", "w": 3}}),
        (_facts(FileKind.FILE, ""), {"msgtype": "m.file", "info": {}}),
        (_facts(FileKind.VIDEO, "video/webm", duration_s=1.5, is_spoiler=True),
         {"msgtype": "m.video", "info": {"mimetype": "video/webm", "duration": 1500},
          SPOILER: True}),
        (_facts(FileKind.VIDEO_NOTE, "video/mp4"),
         {"msgtype": "m.video", "info": {"mimetype": "video/mp4"}}),
        (_facts(FileKind.AUDIO, "audio/mpeg", duration_s=2),
         {"msgtype": "m.audio", "info": {"mimetype": "audio/mpeg", "duration": 2000}}),
        (_facts(FileKind.VOICE, "audio/ogg", duration_s=2.0004),
         {"msgtype": "m.audio", "info": {"mimetype": "audio/ogg", "duration": 2000}, VOICE: {},
          AUDIO: {"duration": 2000}}),
        (_facts(FileKind.VOICE, "audio/ogg"),
         {"msgtype": "m.audio", "info": {"mimetype": "audio/ogg"}, VOICE: {}}),
    ],
)  # fmt: skip
def test_req_448_as_what_a_file_is_shown(facts: FileFacts, content: Any) -> None:
    assert file_content(facts, URL) == {**content, **URL, "filename": "a"}


def test_req_450_a_sticker_is_an_event_of_its_own() -> None:
    """Unless it is encrypted, or something is said of it: then it is a picture."""
    facts = _facts(FileKind.STICKER, "image/webp", description="😘")
    for body, where, kind in (
        ("", URL, "m.sticker"),
        ("Look", URL, "m.room.message"),
        ("", {"file": {"url": "mxc://example.org/a"}}, "m.room.message"),
    ):
        content = content_of(SendText(contact=BOB, body=body), "k", file_content(facts, where))
        told, sent = as_event(content)
        assert told == kind
        if kind == "m.sticker":
            info = {"mimetype": "image/webp"}
            assert sent == {"body": "😘", "info": info, KEY: "k", **URL}
        else:
            assert (sent["msgtype"], sent["body"]) == ("m.image", body or "a")


def test_req_448_a_voice_message_has_its_shape() -> None:
    voice, shape = _facts(FileKind.VOICE, "audio/ogg", duration_s=2), (0, 512, 1024)
    content = file_content(voice, URL, shape)
    assert content[AUDIO] == {"duration": 2000, "waveform": [0, 512, 1024]}


FILE = file_content(_facts(FileKind.IMAGE, "image/png", size=9), {"file": {"v": "v2"}})


def _text(body: str, **about: Any) -> SendText:
    return SendText(contact=BOB, body=body, **about)


def _in_room(body: str, **about: Any) -> SendRoomText:
    return SendRoomText(room=RemoteRoomId(ROOM), body=body, **about)


ANSWER = {"m.in_reply_to": {"event_id": FIRST}}
HTML = {"format": "org.matrix.custom.html"}


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (_text(""), {"body": "a"}),
        (_in_room("", reply_to=FIRST), {"body": "a", "m.relates_to": ANSWER}),
        (_text("/me waves"), {"body": "/me waves"}),
        (_text("geo:1,2"), {"body": "geo:1,2"}),
        (_text("so nice", spans=(Span(Style.BOLD, 3, 7),), reply_to=FIRST),
         {"body": "so nice", **HTML, "formatted_body": "so <strong>nice</strong>",
          "m.relates_to": ANSWER}),
        (_in_room("Bob!", mentions=(Mention(user=BOB, begin=0, end=3),), thread=FIRST),
         {"body": "Bob!", "m.mentions": {"user_ids": [BOB]}, **HTML,
          "formatted_body": f'<a href="https://matrix.to/#/{BOB}">Bob</a>!',
          "m.relates_to": {"rel_type": "m.thread", "event_id": FIRST, "is_falling_back": True,
                           **ANSWER}}),
    ],
)  # fmt: skip
def test_req_448_what_is_said_of_a_file_is_its_caption(command: Any, words: Any) -> None:
    assert content_of(command, "k", FILE) == {**FILE, **words, KEY: "k"}


def test_req_425_an_edit_of_a_caption_leaves_the_file() -> None:
    told = content_of(_in_room("old", spans=(Span(Style.BOLD, 0, 3),), thread=FIRST), "k", FILE)
    edit = content_of(_in_room("new", edits=FIRST), "k2", file_in(told))
    assert edit == {
        **FILE,
        "body": "* new",
        KEY: "k2",
        "m.new_content": {**FILE, "body": "new"},
        "m.relates_to": {"rel_type": "m.replace", "event_id": FIRST},
    }
    gone = content_of(_in_room("", edits=FIRST), "k2", file_in(told))
    assert gone["m.new_content"] == {**FILE, "body": "a"}


@pytest.mark.parametrize(
    ("content", "file"),
    [
        ({"msgtype": "m.image", "body": "x.png", **URL},
         {"msgtype": "m.image", "filename": "x.png", **URL}),
        ({"msgtype": "m.image", "body": "x.png"}, None),
        ({"msgtype": "m.image", **URL}, None),
        ({"msgtype": "m.text", "body": "x.png", **URL}, None),
        ({"msgtype": "m.file", "body": 7, **URL}, None),
        ({"msgtype": ["m.file"], "body": "x", "file": []}, None),
        ({}, None),
    ],
)  # fmt: skip
def test_which_messages_have_a_file(content: Any, file: Any) -> None:
    assert file_in(content) == file
