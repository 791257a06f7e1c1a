# SPDX-License-Identifier: Apache-2.0
"""Events of a group's timeline → texts, edits, answers, reactions, and what was taken back."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.matrix.group_speech import said_in
from adapters.matrix.inbound import KEY
from gateway.events import RemoteRoomMessage, RemoteRoomReaction, RemoteRoomRetraction
from gateway.ids import RemoteRoomId
from tests.unit.matrix.samples import ALICE, BOB, NOW, ROOM, message

TEA = RemoteRoomId(ROOM)


def _said(content: Any, sender: str = BOB, **fields: Any) -> Any:
    return said_in(TEA, {**message(content, "$2", sender=sender), **fields}, ALICE, NOW)


def _text(body: str = "hello") -> Any:
    return {"msgtype": "m.text", "body": body}


def _about(relation: Any, body: str = "hello") -> Any:
    return {**_text(body), "m.relates_to": relation}


_QUOTING = "> <@carol:example.org> what?\n\nthat"
_THREAD = {"rel_type": "m.thread", "event_id": "$0", "m.in_reply_to": {"event_id": "$1"}}


def _edit(target: Any, shown: Any) -> Any:
    relation = {"rel_type": "m.replace", "event_id": target}
    return {**_text("* later"), "m.new_content": shown, "m.relates_to": relation}


@pytest.mark.parametrize(
    ("content", "body", "edits", "reply_to"),
    [
        (_text(), "hello", None, None),
        ({"msgtype": "m.emote", "body": "waves"}, "/me waves", None, None),
        (_edit("$1", _text("later")), "later", "$1", None),
        (_edit("$1", {"msgtype": "m.emote", "body": "bows"}), "/me bows", "$1", None),
        (_edit(None, _text("later")), "* later", None, None),
        (_edit(["$1"], _text("later")), "* later", None, None),
        (_edit("$1", "later"), "* later", None, None),
        (_edit("$1", {"msgtype": "m.text"}), "[message without text]", "$1", None),
        (_about({"m.in_reply_to": {"event_id": "$1"}}), "hello", None, "$1"),
        (_about({"m.in_reply_to": {"event_id": 1}}), "hello", None, None),
        (_about({"m.in_reply_to": "$1"}), "hello", None, None),
        (_about("$1"), "hello", None, None),
        (_about({"m.in_reply_to": {"event_id": "$1"}}, _QUOTING), "that", None, "$1"),
        (_about({**_THREAD, "is_falling_back": True}), "hello", None, None),
        (_about(_THREAD), "hello", None, "$1"),
    ],
)
def test_texts(content: Any, body: str, edits: str | None, reply_to: str | None) -> None:
    said = _said(content)
    assert isinstance(said, RemoteRoomMessage)
    assert (said.body.strip(), said.edits, said.reply_to) == (body, edits, reply_to)


def test_only_what_the_account_has_sent_has_a_key() -> None:
    content = {**_text(), KEY: "k.1"}
    assert (_said(content, ALICE).key, _said(content).key) == ("k.1", None)


def _reaction(key: Any, target: Any = "$1", kind: Any = "m.annotation") -> Any:
    return {"m.relates_to": {"rel_type": kind, "event_id": target, "key": key}}


@pytest.mark.parametrize("emoji", ["👍", "👍🏽", "❤️", "+1", "👨\u200d👩\u200d👧\u200d👦"])
def test_reactions(emoji: str) -> None:
    said = _said(_reaction(emoji), type="m.reaction")
    assert isinstance(said, RemoteRoomReaction)
    assert (said.sender, said.id, said.message, said.emoji) == (BOB, "$2", "$1", emoji)


@pytest.mark.parametrize(
    "content",
    [
        {},
        _reaction(""),
        _reaction(" "),
        _reaction(None),
        _reaction(["👍"]),
        _reaction("x" * 33),
        _reaction("a\x00b"),
        _reaction("\ud83d"),
        _reaction("👍", None),
        _reaction("👍", "$1", "m.thread"),
        {"m.relates_to": None},
        {"m.relates_to": ["👍"]},
    ],
)
def test_what_is_no_reaction(content: Any) -> None:
    assert _said(content, type="m.reaction") is None


@pytest.mark.parametrize(
    ("content", "fields", "target", "reason"),
    [
        ({"redacts": "$1", "reason": "rude"}, {}, "$1", "rude"),
        ({"reason": "rude"}, {"redacts": "$1"}, "$1", "rude"),
        ({"redacts": "$1"}, {"redacts": "$1"}, "$1", ""),
        ({"redacts": "$1"}, {"redacts": "$9"}, None, ""),
        ({"redacts": "$1", "reason": ["rude"]}, {}, "$1", ""),
        ({}, {}, None, ""),
        ({"redacts": ["$1"]}, {}, None, ""),
    ],
)
def test_what_was_taken_back(content: Any, fields: Any, target: str | None, reason: str) -> None:
    said = _said(content, type="m.room.redaction", **fields)
    if target is None:
        assert said is None
    else:
        assert isinstance(said, RemoteRoomRetraction)
        assert (said.message, said.by, said.id, said.reason) == (target, BOB, "$2", reason)


def test_what_was_taken_back_already_says_nothing() -> None:
    assert _said({}, unsigned={"redacted_because": {}}) is None


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["m.relates_to", "m.new_content", "event_id", "key", "rel_type", "body", "msgtype"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(
    content=_JSON,
    kind=st.sampled_from(["m.room.message", "m.reaction", "m.room.redaction", "m.room.encrypted"]),
    sender=_JSON | st.just(BOB),
    redacts=_JSON,
)
def test_no_event_raises(content: Any, kind: str, sender: Any, redacts: Any) -> None:
    event = {**message({}, "$2", kind=kind), "content": content}
    said_in(TEA, {**event, "sender": sender, "redacts": redacts}, ALICE, NOW)
