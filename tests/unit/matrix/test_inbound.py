"""Events of a timeline → messages, and everything that strangers may write."""

import json
from importlib.resources import files
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.matrix.chat_events import Said, said_to
from adapters.matrix.inbound import MAX_BODY_BYTES, display_name
from adapters.matrix.text import clean, without_reply_fallback
from gateway.events import RemoteMessage, RemoteUndecryptable
from gateway.locale import add, in_language
from gateway.text.wording import plain
from tests.unit.matrix.samples import ALICE, BOB, CAROL, NOW, ROOM, message, text


def _told(event: Any) -> Said | None:
    return said_to(ROOM, event, contact=BOB, account=ALICE, name_of=lambda _: "Carol", now=NOW)


def _body(event: Any) -> str:
    told = _told(event)
    assert isinstance(told, RemoteMessage)
    return told.body


NOTHING = "[message without text]"
LINK = " — https://matrix.to/#/%21room%3Aexample.org/%241?via=example.org"
EDIT = {"rel_type": "m.replace", "event_id": "$0"}
REPLY = {"m.in_reply_to": {"event_id": "$0"}}


@pytest.mark.parametrize(
    ("content", "body"),
    [
        ({"msgtype": "m.text", "body": "hello"}, "hello"),
        ({"msgtype": "m.text", "body": "hello", "formatted_body": "<b>x</b>"}, "hello"),
        ({"msgtype": "m.notice", "body": "beep"}, "beep"),
        ({"msgtype": "m.emote", "body": "waves"}, "/me waves"),
        ({"msgtype": "m.image", "body": "photo.jpg"}, "[image] photo.jpg" + LINK),
        ({"msgtype": "m.image", "body": "look", "filename": "photo.jpg"},
         "[image] photo.jpg" + LINK + "\nlook"),
        ({"msgtype": "m.file", "body": "a.pdf", "filename": "a.pdf"},
         "[file] a.pdf" + LINK),
        ({"msgtype": "m.video"}, "[video]" + LINK),
        ({"msgtype": "m.audio", "body": 5}, "[audio]" + LINK),
        ({"msgtype": "m.audio", "body": "v.ogg", "org.matrix.msc3245.voice": {}},
         "[voice message] v.ogg" + LINK),
        ({"msgtype": "m.location", "body": "home", "geo_uri": "geo:1,2"}, "geo:1,2"),
        ({"msgtype": "m.location", "body": "home", "geo_uri": "geo:1,2;u=5\nx"},
         "[location] home" + LINK),
        ({"msgtype": "org.new", "body": "text"},
         "[a kind of message that is not bridged yet] text" + LINK),
        ({"body": "text"}, "[a kind of message that is not bridged yet] text" + LINK),
        ({"msgtype": ["m.text"], "body": "text"},
         "[a kind of message that is not bridged yet] text" + LINK),
        ({"msgtype": "m.text"}, NOTHING),
        ({"msgtype": "m.text", "body": None}, NOTHING),
        ({"msgtype": "m.text", "body": {"a": 1}}, NOTHING),
        ({"msgtype": "m.text", "body": " \n"}, NOTHING),
        ({"msgtype": "m.text", "body": "\x00\x01"}, NOTHING),
        ({"msgtype": "m.text", "body": "a\x00b\r\nc\td\ufffe"}, "ab\nc\td"),
        ({"msgtype": "m.text", "body": "a\ud800b"}, "a\ufffdb"),
        ([], f"[a kind of message that is not bridged yet] {NOTHING}{LINK}"),
        ({"msgtype": "m.text", "body": "* new", "m.relates_to": EDIT,
          "m.new_content": {"msgtype": "m.text", "body": "new"}}, "new"),
        ({"msgtype": "m.text", "body": "* new", "m.relates_to": EDIT}, "* new"),
        ({"msgtype": "m.text", "body": "> <@a:b> old\n> more\n\nnew", "m.relates_to": REPLY},
         "new"),
        ({"msgtype": "m.text", "body": "> <@a:b> old\n\nnew"}, "> <@a:b> old\n\nnew"),
        ({"msgtype": "m.text", "body": "> by hand\n\nnew", "m.relates_to": REPLY},
         "> by hand\n\nnew"),
        ({"msgtype": "m.text", "body": "x", "m.relates_to": "odd"}, "x"),
    ],
)  # fmt: skip
def test_contents(content: Any, body: str) -> None:
    assert _body(message(content)) == body


@pytest.mark.parametrize(
    ("kind", "content", "body"),
    [
        ("m.sticker", {"body": "cat"}, "[sticker] cat" + LINK),
        ("m.call.invite", {}, "[📞 call]" + LINK),
        ("m.beacon_info", {"live": True, "description": "On my way"},
         "[live location] On my way" + LINK),
        ("org.matrix.msc3672.beacon_info", {"live": True}, "[live location]" + LINK),
    ],
)  # fmt: skip
def test_other_types(kind: str, content: Any, body: str) -> None:
    assert _body(message(content, kind=kind)) == body


@pytest.mark.parametrize(
    "event",
    [
        {},
        message({}, event_id=None),
        message({}, event_id=""),
        message({}, event_id="$\ud800"),
        message({}, event_id="$" + "x" * 300),
        message({}, sender=None),
        message({}, sender=["@bob:example.org"]),
        message({"m.relates_to": {}}, kind="m.reaction"),
        message({}, kind="m.room.redaction"),
        {**message({}), "type": ["m.room.message"]},
        {**message({}), "unsigned": {"redacted_because": {}}},
    ],
)
def test_events_that_say_nothing(event: Any) -> None:
    assert _told(event) is None


@pytest.mark.parametrize(
    ("content", "kind", "german"),
    [
        ({"msgtype": "m.location", "body": "home"}, "m.room.message", "[Standort] home — "),
        ({"msgtype": "m.audio", "org.matrix.msc3245.voice": {}}, "m.room.message",
         "[Sprachnachricht] — "),
        ({"msgtype": "m.text"}, "m.room.message", "[Nachricht ohne Text]"),
        ({"m.poll": {"answers": [{"m.id": "1", "m.text": "Yes"}]}}, "m.poll.start",
         "📊 Eine Umfrage\n1️⃣ Yes\nZum Abstimmen reagiere oder antworte mit einer Nummer."),
        ({}, "m.poll.end", "📊 Die Umfrage ist zu Ende."),
        ({"msgtype": "m.text", "body": "location"}, "m.room.message", "location"),
    ],
)  # fmt: skip
def test_req_130_what_stands_in_for_content_can_be_said_in_german(
    content: Any, kind: str, german: str
) -> None:
    add(files("adapters.matrix") / "locale")
    told = _told(message(content, kind=kind))
    assert isinstance(told, RemoteMessage)
    assert in_language(told.body, "de").startswith(german)
    by_carol = _told(message(content, kind=kind, sender=CAROL))
    assert isinstance(by_carol, RemoteMessage)
    assert in_language(by_carol.body, "de").partition(": ")[2].startswith(german)


@pytest.mark.parametrize("sent", [None, "now", True, -5, 10**30, 1.5, [], NOW * 1000 + 1])
def test_odd_times_become_now(sent: Any) -> None:
    told = _told({**text("x"), "origin_server_ts": sent})
    assert told is not None
    assert told.sent_at == NOW


def test_the_sender_decides_whose_a_message_is() -> None:
    own = _told(text("x", sender=ALICE, **{"org.dragoman.key": "k"}))
    assert isinstance(own, RemoteMessage)
    assert (own.contact, own.own, own.key) == (BOB, True, "k")
    forged = _told(text("x", sender=BOB, **{"org.dragoman.key": "k"}))
    assert isinstance(forged, RemoteMessage)
    assert (forged.own, forged.key) == (False, None)
    content = {"msgtype": "m.text", "body": "x", "org.dragoman.key": {"k": 1}}
    odd = _told(message(content, sender=ALICE))
    assert isinstance(odd, RemoteMessage)
    assert odd.key is None
    assert _body(text("x", sender=CAROL)) == "Carol: x"
    assert _body(message({"msgtype": "m.emote", "body": "waves"}, sender=CAROL)) == "* Carol waves"


def test_encrypted_events_are_kept_whole() -> None:
    event = message({"ciphertext": "\ud800", "algorithm": "x"}, kind="m.room.encrypted")
    told = _told(event)
    assert isinstance(told, RemoteUndecryptable)
    assert json.loads(told.content) == event
    told.content.encode()
    huge = _told(message({"ciphertext": "x" * 2**20}, kind="m.room.encrypted"))
    assert isinstance(huge, RemoteUndecryptable)
    assert "event_id" in json.loads(huge.content)
    assert len(huge.content) < 1000


@pytest.mark.parametrize("body", ["x" * 2**20, "ä" * 2**20, "\ud800" * 2**20, "\x01" * 2**20])
def test_a_body_of_a_megabyte_is_cut(body: str) -> None:
    assert len(_body(text(body)).encode()) <= MAX_BODY_BYTES


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
_FIELDS = st.sampled_from(
    ["msgtype", "body", "filename", "m.relates_to", "m.new_content", "geo_uri", "m.poll"]
)
_VALUES = _JSON | st.sampled_from(["m.text", "m.image", "m.emote", EDIT, REPLY, {"question": {}}])
_KINDS = st.sampled_from(["m.room.message", "m.sticker", "m.poll.start", "m.room.encrypted"])


@given(kind=_KINDS, content=st.dictionaries(_FIELDS, _VALUES) | _JSON, sender=_JSON)
def test_no_content_raises(kind: str, content: Any, sender: Any) -> None:
    for who in (BOB, sender):
        told = _told(message(content, sender=who, kind=kind))
        if told is not None:
            msgspec.json.encode(told, enc_hook=plain)


@given(st.text(st.characters(codec=None)), st.integers(min_value=32, max_value=80))
def test_clean_text_fits_and_can_be_encoded(raw: str, limit: int) -> None:
    cleaned = clean(raw, limit)
    assert len(cleaned.encode()) <= limit
    assert clean(cleaned, limit) == cleaned


def test_names_are_one_clean_line() -> None:
    assert display_name({"displayname": " Bob\nthe\x00 Builder "}) == "Bob the Builder"
    assert display_name({"displayname": 7}) == ""
    assert without_reply_fallback("> <@a:b> only a quotation") == ""
