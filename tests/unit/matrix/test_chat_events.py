# SPDX-License-Identifier: Apache-2.0
"""Events of a direct room → what was said and done in the chat. What relations are is tested with
groups (`test_group_events`)."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.matrix.chat_events import said_to, taken_back_in
from adapters.matrix.opened import Unread
from gateway.bridge.inbound.wellformed import must_be_whole
from gateway.events import (
    RemoteMessage,
    RemoteReaction,
    RemoteRetraction,
    RemoteUndecryptable,
)
from gateway.ids import RemoteMessageId
from gateway.text import is_clean
from gateway.text.wording import plain
from tests.unit.matrix.samples import ALICE, BOB, CAROL, NOW, ROOM, message
from tests.unit.matrix.test_group_events import _ANY

FIRST = RemoteMessageId("$first")
EDIT = {"rel_type": "m.replace", "event_id": FIRST}
NEW = {"msgtype": "m.text", "body": "new"}
KEY = "org.dragoman.key"


def _said(event: Any, unread: Unread | None = None) -> Any:
    return said_to(
        ROOM,
        event,
        contact=BOB,
        account=ALICE,
        name_of=lambda _: "Carol",
        now=NOW,
        unread=unread,
    )


def _taken(event: Any, version: int = 11) -> Any:
    return taken_back_in(event, contact=BOB, account=ALICE, now=NOW, version=version)


def _edit(sender: str = BOB, event_id: str = "$1", new: Any = NEW) -> Any:
    content = {"msgtype": "m.text", "body": "* new", "m.relates_to": EDIT, "m.new_content": new}
    return message({**content, KEY: "k"}, event_id, sender)


# --- edits --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("sender", "own"), [(BOB, False), (ALICE, True)])
def test_an_edit_names_what_it_takes_the_place_of(sender: str, own: bool) -> None:
    """REQ-420."""
    told = _said(_edit(sender))
    assert told == RemoteMessage(
        contact=BOB,
        id=RemoteMessageId("$1"),
        body="new",
        sent_at=1_000.0,
        own=own,
        key="k" if own else None,
        edits=FIRST,
    )


def test_what_a_third_person_edits_is_a_new_message() -> None:
    """The chat could not tell whose text it takes the place of."""
    told = _said(_edit(CAROL))
    assert (told.body, told.edits, told.own) == ("Carol: ✏ new", None, False)


def test_what_does_something_becomes_what_does_something_else() -> None:
    told = _said(_edit(new={"msgtype": "m.emote", "body": "waves"}))
    assert (told.body, told.edits) == ("/me waves", FIRST)


# --- replies ------------------------------------------------------------------------------------


def _reply(relation: Any, sender: str = BOB, body: str = "yes") -> Any:
    return message({"msgtype": "m.text", "body": body, "m.relates_to": relation}, "$1", sender)


@pytest.mark.parametrize("sender", [ALICE, BOB, CAROL])
def test_a_reply_names_what_it_answers_and_does_not_quote_it(sender: str) -> None:
    quoted = "> <@bob:example.org> one\n> two\n\nyes"
    told = _said(_reply({"m.in_reply_to": {"event_id": FIRST}}, sender, quoted))
    assert (told.reply_to, told.edits) == (FIRST, None)
    assert told.body == ("Carol: yes" if sender == CAROL else "yes")


@pytest.mark.parametrize(
    ("relation", "after", "reply_to"),
    [
        ({"m.in_reply_to": {"event_id": "$last"}, "is_falling_back": True}, "$last", None),
        ({"m.in_reply_to": {"event_id": "$last"}}, None, "$last"),
        ({}, None, None),
    ],
)
def test_what_is_said_in_a_thread_is_after_something_or_answers_it(
    relation: Any, after: str | None, reply_to: str | None
) -> None:
    told = _said(_reply({"rel_type": "m.thread", "event_id": "$root", **relation}))
    assert (told.thread, told.thread_after, told.reply_to) == ("$root", after, reply_to)


def test_nothing_is_about_itself() -> None:
    itself = {"event_id": "$1"}
    assert _said(_reply({"m.in_reply_to": itself})).reply_to is None
    assert _said(_edit(event_id=FIRST)).edits is None
    reaction = {"rel_type": "m.annotation", "key": "👍", **itself}
    assert _said(message({"m.relates_to": reaction}, kind="m.reaction")) is None
    assert _taken(message({"redacts": "$1"}, kind="m.room.redaction")) is None


# --- reactions ----------------------------------------------------------------------------------


def _reaction(sender: str = BOB, key: Any = "👍", **more: Any) -> Any:
    relation = {"rel_type": "m.annotation", "event_id": FIRST, "key": key}
    return message({"m.relates_to": relation, **more}, "$1", sender, "m.reaction")


@pytest.mark.parametrize(("sender", "own"), [(BOB, False), (ALICE, True)])
def test_a_reaction(sender: str, own: bool) -> None:
    """REQ-430, REQ-433."""
    assert _said(_reaction(sender, **{KEY: "k"})) == RemoteReaction(
        contact=BOB,
        id=RemoteMessageId("$1"),
        message=FIRST,
        emoji="👍",
        sent_at=1_000.0,
        own=own,
        key="k" if own else None,
    )


@pytest.mark.parametrize("key", ["", None, 5, "x" * 10_000, "a\x00", "\ud800"])
def test_reactions_that_say_nothing(key: Any) -> None:
    assert _said(_reaction(key=key)) is None


def test_what_a_third_person_thinks_is_not_told_as_what_the_contact_does() -> None:
    assert _said(_reaction(CAROL)) is None


# --- redactions ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("sender", "own"), [(BOB, False), (ALICE, True), (CAROL, False)])
def test_a_redaction(sender: str, own: bool) -> None:
    """REQ-426. Whoever is there besides can only be somebody who keeps order."""
    event = message({"redacts": FIRST, "reason": "typo"}, "$1", sender, "m.room.redaction")
    assert _taken(event) == RemoteRetraction(
        contact=BOB, id=RemoteMessageId("$1"), message=FIRST, sent_at=1_000.0, own=own
    )


@pytest.mark.parametrize(
    "event",
    [
        message({}, kind="m.room.redaction"),
        message({"redacts": ["$a"]}, kind="m.room.redaction"),
        message({"redacts": FIRST}, event_id="", kind="m.room.redaction"),
        message({"redacts": FIRST}, sender="bob", kind="m.room.redaction"),
        message({"redacts": FIRST}),
    ],
)
def test_redactions_of_nothing(event: Any) -> None:
    assert _taken(event) is None


@pytest.mark.parametrize("kind", ["m.room.message", "m.room.encrypted", "m.reaction", "m.sticker"])
def test_what_was_redacted_before_it_came_is_told_as_nothing(kind: str) -> None:
    event = {**message({}, kind=kind), "unsigned": {"redacted_because": {}}}
    assert _said(event) is None


# --- encryption ---------------------------------------------------------------------------------


def test_what_cannot_be_read_is_kept() -> None:
    event = message({"ciphertext": "x", "m.relates_to": EDIT}, kind="m.room.encrypted")
    told = _said(event, Unread("key", "why"))
    assert isinstance(told, RemoteUndecryptable)
    assert (told.contact, told.room, told.needs, told.reason) == (BOB, None, "key", "why")


def test_nothing_that_a_homeserver_has_to_check_is_taken_from_encrypted_words() -> None:
    inside = {**message({"redacts": FIRST}, kind="m.room.redaction"), "redacts": FIRST}
    assert _said(inside) is None


# --- anything at all ----------------------------------------------------------------------------


@given(
    event=st.fixed_dictionaries(
        {
            "type": st.sampled_from(
                ["m.room.message", "m.reaction", "m.room.redaction", "m.room.encrypted"]
            ),
            "content": _ANY,
        },
        optional={
            "event_id": st.just("$1") | _ANY,
            "sender": st.sampled_from([ALICE, BOB, CAROL]) | _ANY,
            "redacts": _ANY,
            "unsigned": _ANY,
            "state_key": _ANY,
            "origin_server_ts": _ANY,
        },
    ),
    version=st.sampled_from([0, 1, 11]),
)
def test_no_event_raises_and_what_comes_out_can_be_stored(event: Any, version: int) -> None:
    for told in (_said(event), _taken(event, version)):
        if told is not None:
            must_be_whole(told)
            msgspec.json.encode(told, enc_hook=plain)  # as the store does
            for name in told.__struct_fields__:
                value = getattr(told, name)
                assert not isinstance(value, str) or is_clean(value)
