# SPDX-License-Identifier: Apache-2.0
"""Events of a group → what was said and done there, and everything that strangers may write."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.matrix.group_events import PINS, done_in, said_in
from adapters.matrix.opened import Unread
from gateway.bridge.inbound.wellformed import must_be_whole
from gateway.events import (
    RemoteRoomMessage,
    RemoteRoomNotice,
    RemoteRoomReaction,
    RemoteRoomRetraction,
    RemoteUndecryptable,
)
from gateway.ids import RemoteMessageId, RemoteRoomId
from gateway.text import is_clean
from tests.unit.matrix.samples import ALICE, BOB, NOW, ROOM, message, state

TEA = RemoteRoomId(ROOM)
FIRST = RemoteMessageId("$first")
EDIT = {"rel_type": "m.replace", "event_id": FIRST}
NEW = {"msgtype": "m.text", "body": "new"}


def _said(event: Any) -> Any:
    return said_in(TEA, event, account=ALICE, now=NOW)


def _done(event: Any, version: int = 11) -> Any:
    return done_in(TEA, event, now=NOW, version=version)


def _content(body: str = "* new", /, **more: Any) -> dict[str, Any]:
    return {"msgtype": "m.text", "body": body, **more}


def _replacing(relation: Any, new: Any, **more: Any) -> dict[str, Any]:
    return _content() | {"m.relates_to": relation, "m.new_content": new, **more}


# --- edits --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("new", "body"),
    [
        (NEW, "new"),
        ({"msgtype": "m.emote", "body": "waves"}, "/me waves"),
        ({"msgtype": "m.text", "body": "> <@a:b> quoted\n\nnew"}, "> <@a:b> quoted\n\nnew"),
        ({**NEW, "m.relates_to": {"m.in_reply_to": {"event_id": "$other"}}}, "new"),
        ({**NEW, "m.relates_to": EDIT, "m.new_content": _content("deeper")}, "new"),
        ({**NEW, "format": "org.matrix.custom.html", "formatted_body": "<b>x</b>"}, "x"),
        (
            {"msgtype": "m.image", "body": "a.png"},
            "[image] a.png — https://matrix.to/#/%21room%3Aexample.org/%24first?via=example.org",
        ),
        ({"msgtype": "m.location", "body": "x", "geo_uri": "geo:1,2"}, "geo:1,2"),
    ],
)
def test_edits(new: Any, body: str) -> None:
    content = _replacing(EDIT, new)
    told = _said(message(content))
    assert isinstance(told, RemoteRoomMessage)
    assert (told.id, told.edits, told.reply_to, told.body) == ("$1", FIRST, None, body)


def test_an_edit_has_its_key() -> None:
    """Bob may be another user of the gateway."""
    content = _replacing(EDIT, NEW, **{"org.dragoman.key": "k"})
    assert _said(message(content, sender=ALICE)).key == "k"
    assert _said(message(content, sender=BOB)).key == "k"


@pytest.mark.parametrize(
    ("relation", "new", "body"),
    [
        (EDIT, None, "* new"),
        (EDIT, "new", "* new"),
        ({**EDIT, "event_id": ""}, NEW, "✏ new"),
        ({**EDIT, "event_id": 5}, NEW, "✏ new"),
        ({"rel_type": "m.replace"}, NEW, "✏ new"),
        ({**EDIT, "event_id": "$\x00"}, NEW, "✏ new"),
        ({**EDIT, "event_id": "$" + "x" * 300}, NEW, "✏ new"),
        ({**EDIT, "rel_type": ["m.replace"]}, NEW, "* new"),
        ({**EDIT, "rel_type": "m.reference"}, NEW, "* new"),
        ("odd", NEW, "* new"),
    ],
)
def test_what_is_no_valid_edit_is_a_message_of_its_own(relation: Any, new: Any, body: str) -> None:
    told = _said(message(_replacing(relation, new)))
    assert (told.edits, told.reply_to, told.body) == (None, None, body)
    as_state = {
        **message(_replacing(EDIT, NEW)),
        "state_key": "",
    }
    assert _said(as_state).edits is None


# --- replies ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("relation", "reply_to"),
    [
        ({"m.in_reply_to": {"event_id": FIRST}}, FIRST),
        ({"rel_type": "m.reference", "event_id": FIRST}, None),
        ({"m.in_reply_to": {"event_id": ["$first"]}}, None),
        ({"m.in_reply_to": {"event_id": "$\ud800"}}, None),
        ({"m.in_reply_to": {}}, None),
        ({"m.in_reply_to": FIRST}, None),
        (None, None),
    ],
)  # fmt: skip
def test_replies(relation: Any, reply_to: str | None) -> None:
    told = _said(message(_content("yes", **{"m.relates_to": relation})))
    assert (told.reply_to, told.edits, told.body) == (reply_to, None, "yes")
    assert (told.thread, told.thread_after) == (None, None)


@pytest.mark.parametrize(
    ("relation", "thread", "reply_to", "after"),
    [
        ({"is_falling_back": True, "m.in_reply_to": {"event_id": FIRST}}, "$root", None, FIRST),
        ({"is_falling_back": False, "m.in_reply_to": {"event_id": FIRST}}, "$root", FIRST, None),
        ({"m.in_reply_to": {"event_id": FIRST}}, "$root", FIRST, None),
        ({"is_falling_back": 1, "m.in_reply_to": {"event_id": FIRST}}, "$root", FIRST, None),
        ({"is_falling_back": True}, "$root", None, None),
        ({"m.in_reply_to": 7}, "$root", None, None),
        ({"event_id": 7, "is_falling_back": True, "m.in_reply_to": {"event_id": FIRST}},
         None, FIRST, None),
        ({"rel_type": "io.element.thread"}, None, None, None),
    ],
)  # fmt: skip
def test_threads(
    relation: Any, thread: str | None, reply_to: str | None, after: str | None
) -> None:
    whole = {"rel_type": "m.thread", "event_id": "$root", **relation}
    told = _said(message(_content("yes", **{"m.relates_to": whole})))
    assert (told.thread, told.reply_to, told.thread_after) == (thread, reply_to, after)


def test_an_edit_is_in_no_thread_of_its_own() -> None:
    inner = {"rel_type": "m.thread", "event_id": "$root"}
    told = _said(message(_replacing(EDIT, {**NEW, "m.relates_to": inner})))
    assert (told.edits, told.thread) == (FIRST, None)


def test_the_quotation_of_older_apps_is_taken_off() -> None:
    quoted = "> <@bob:example.org> one\n> two\n\nyes"
    relation = {"m.in_reply_to": {"event_id": FIRST}}
    assert _said(message(_content(quoted, **{"m.relates_to": relation}))).body == "yes"
    assert _said(message(_content(quoted))).body == quoted


# --- reactions ----------------------------------------------------------------------------------


def _reaction(**changes: Any) -> Any:
    relation = {"rel_type": "m.annotation", "event_id": FIRST, "key": "👍", **changes}
    return message({"m.relates_to": relation}, kind="m.reaction")


def test_a_reaction() -> None:
    assert _said(_reaction()) == RemoteRoomReaction(
        room=TEA, sender=BOB, id=RemoteMessageId("$1"), message=FIRST, emoji="👍", sent_at=1_000.0
    )
    content = {**_reaction()["content"], "org.dragoman.key": "k"}
    assert _said(message(content, "$1", ALICE, "m.reaction")).key == "k"
    assert _said(message(content, "$1", BOB, "m.reaction")).key is None


@pytest.mark.parametrize(
    "key",
    [
        "❤\ufe0f",
        "❤",
        "👩\u200d👩\u200d👧",
        "1\ufe0f\u20e3",
        "🏴\U000e0067\U000e007f",
        "yes",
        "x" * 128,
    ],
)
def test_what_one_reacts_with_is_kept_as_it_is(key: str) -> None:
    assert _said(_reaction(key=key)).emoji == key


@pytest.mark.parametrize(
    "changes",
    [
        {"key": ""}, {"key": None}, {"key": 5}, {"key": ["👍"]}, {"key": "x" * 129},
        {"key": "a\x00"}, {"key": "\ud800"}, {"rel_type": "m.replace"}, {"rel_type": None},
        {"event_id": ""}, {"event_id": 7}, {"event_id": "$\n\x07"},
    ],
)  # fmt: skip
def test_reactions_that_say_nothing(changes: Any) -> None:
    assert _said(_reaction(**changes)) is None


# --- redactions ---------------------------------------------------------------------------------


def _redaction(beside: Any = None, **content: Any) -> Any:
    event = message(content, "$r", BOB, "m.room.redaction")
    return event if beside is None else {**event, "redacts": beside}


@pytest.mark.parametrize(
    ("event", "version", "target"),
    [
        (_redaction("$a"), 10, "$a"),
        (_redaction(redacts="$a"), 11, "$a"),
        (_redaction("$a", redacts="$b"), 9, "$a"),
        (_redaction("$a", redacts="$b"), 12, "$b"),
        (_redaction(redacts="$b"), 10, None),
        (_redaction("$a"), 11, None),
        (_redaction("$a"), 0, "$a"),
        (_redaction(redacts="$a"), 0, "$a"),
        (_redaction([]), 10, None),
        (_redaction(""), 10, None),
        (_redaction(redacts={"a": 1}), 11, None),
        (_redaction(redacts="$\x00"), 11, None),
        (_redaction(), 11, None),
    ],
)
def test_what_a_redaction_takes_back(event: Any, version: int, target: str | None) -> None:
    """The other place is one that no homeserver has checked."""
    told = _done(event, version)
    assert (told and told.message) == target


def test_a_redaction_has_a_reason() -> None:
    told = _done(_redaction(redacts=FIRST, reason="no\x00ise"))
    assert told == RemoteRoomRetraction(
        room=TEA, id=RemoteMessageId("$r"), message=FIRST, by=BOB, sent_at=1_000.0, reason="noise"
    )
    assert _done(_redaction(redacts=FIRST, reason=["x"])).reason == ""
    assert len(_done(_redaction(redacts=FIRST, reason="x" * 9_000)).reason) <= 512


@pytest.mark.parametrize("kind", ["m.room.message", "m.room.encrypted", "m.reaction"])
def test_what_was_redacted_before_it_came_is_told_as_nothing(kind: str) -> None:
    event = {**message({}, kind=kind), "unsigned": {"redacted_because": {}}}
    assert _said(event) is None


# --- notices ------------------------------------------------------------------------------------


def _changed(kind: str, content: Any, before: Any = None) -> Any:
    event = state(kind, "", content, "$n")
    return event if before is None else {**event, "unsigned": {"prev_content": before}}


@pytest.mark.parametrize(
    ("event", "text"),
    [
        (_changed(PINS, {"pinned": ["$a"]}), "A message was pinned."),
        (_changed(PINS, {"pinned": ["$a", "$b"]}, {"pinned": ["$a"]}), "A message was pinned."),
        (_changed(PINS, {"pinned": []}, {"pinned": ["$a"]}), "A message is no longer pinned."),
        (_changed(PINS, {"pinned": ["$b", "$a"]}, {"pinned": ["$a", "$b"]}), None),
        (_changed(PINS, {"pinned": "odd"}, {"pinned": [5, {}]}), None),
        (_changed(PINS, [], []), None),
        (_changed("m.room.encryption", {"algorithm": "m.megolm.v1.aes-sha2"}),
         "This group is end-to-end encrypted from now on."),
        (_changed("m.room.encryption", {"algorithm": "x", "a": 1}, {"algorithm": "x"}), None),
        (_changed("m.room.name", {"name": "Cake"}, {"name": "Tea"}),
         "The group is called “Cake” now."),
        (_changed("m.room.name", {"name": " "}, {"name": "Tea"}),
         "The group has no name any more."),
        (_changed("m.room.name", {"name": "Tea"}), None),
        (_changed("m.room.name", {"name": "Tea"}, {"name": "Tea", "a": 1}), None),
        (_changed("m.room.name", {"name": 7}, {"name": []}), None),
        ({**_changed(PINS, {"pinned": ["$a"]}), "state_key": "x"}, None),
        (message({"pinned": ["$a"]}, kind=PINS), None),
    ],
)  # fmt: skip
def test_notices(event: Any, text: str | None) -> None:
    told = _done(event)
    assert (told and told.text) == text
    assert told is None or isinstance(told, RemoteRoomNotice)


# --- encryption ---------------------------------------------------------------------------------


def test_what_cannot_be_read_is_kept_with_who_has_said_it() -> None:
    event = message({"ciphertext": "x", "m.relates_to": EDIT}, kind="m.room.encrypted")
    told = said_in(TEA, event, account=ALICE, now=NOW, unread=Unread("key", "why"))
    assert isinstance(told, RemoteUndecryptable)
    assert (told.room, told.contact, told.needs, told.reason) == (TEA, BOB, "key", "why")
    assert not told.own


@pytest.mark.parametrize("kind", ["m.room.redaction", PINS, "m.room.encryption", "m.room.member"])
def test_nothing_that_a_homeserver_has_to_check_is_taken_from_encrypted_words(kind: str) -> None:
    inside = {**message({"redacts": FIRST, "pinned": ["$a"]}, kind=kind), "state_key": ""}
    assert _said(inside) is None


def test_what_a_picture_is_like_is_not_important() -> None:
    """REQ-577: who wants to hear of what matters does not hear of it."""
    picture = _changed("m.room.avatar", {"url": "mxc://example.org/b"}, {"url": ""})
    assert _done(picture).is_important is False
    assert _done(_changed("m.room.name", {"name": "Cake"}, {"name": "Tea"})).is_important
    assert _done(_changed(PINS, {"pinned": ["$a"]})).is_important


# --- anything at all ----------------------------------------------------------------------------

_SCALARS = st.none() | st.booleans() | st.integers() | st.text(max_size=5)
_KEYS = st.sampled_from(
    ["m.relates_to", "rel_type", "event_id", "key", "m.new_content", "m.in_reply_to", "body",
     "msgtype", "redacts", "reason", "pinned", "org.dragoman.key"]
)  # fmt: skip
_WORDS = st.sampled_from(
    ["m.replace", "m.annotation", "m.thread", "$1", "m.text", "👍", "\ud800", "\x00"]
)
_ANY = st.recursive(
    _SCALARS | _WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEYS, inner, max_size=6),
    max_leaves=20,
)


@given(
    event=st.fixed_dictionaries(
        {
            "type": st.sampled_from(
                ["m.room.message", "m.reaction", "m.room.redaction", "m.room.encrypted", PINS]
            ),
            "content": _ANY,
        },
        optional={
            "event_id": st.just("$1") | _ANY,
            "sender": st.sampled_from([ALICE, BOB]) | _ANY,
            "redacts": _ANY,
            "unsigned": _ANY,
            "state_key": _ANY,
            "origin_server_ts": _ANY,
        },
    ),
    version=st.sampled_from([0, 1, 11]),
)
def test_no_event_raises_and_what_comes_out_can_be_stored(event: Any, version: int) -> None:
    for told in (_said(event), _done(event, version)):
        if told is not None:
            must_be_whole(told)
            for name in told.__struct_fields__:
                value = getattr(told, name)
                assert not isinstance(value, str) or is_clean(value)
