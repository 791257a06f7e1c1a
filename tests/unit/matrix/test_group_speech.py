# SPDX-License-Identifier: Apache-2.0
"""Answers of /sync → what people do in groups: in its order, with who reads and who types."""

from typing import Any

import pytest

from adapters.matrix.filters import Mode
from adapters.matrix.gaps import Fill
from adapters.matrix.opened import Opened
from adapters.matrix.parts import MAX_EVENTS
from adapters.matrix.rooms import Book
from adapters.matrix.sync import translate
from adapters.matrix.typists import GroupTypists
from gateway.events import RemoteRoomMessage, RemoteRoomNotice, RemoteRoomRead
from gateway.ids import RemoteMessageId, RemoteRoomId, RemoteUserId
from tests.unit.matrix.samples import (
    ALICE,
    BOB,
    CAROL,
    NOW,
    ROOM,
    created,
    group_book,
    joined,
    member,
    message,
    outcome,
    state,
    text,
)

TEA = RemoteRoomId(ROOM)


def _reaction(event_id: str, to: str, sender: str = BOB) -> Any:
    relation = {"rel_type": "m.annotation", "event_id": to, "key": "👍"}
    return message({"m.relates_to": relation}, event_id, sender, "m.reaction")


def _edit(event_id: str, of: str) -> Any:
    relation = {"rel_type": "m.replace", "event_id": of}
    new = {"msgtype": "m.text", "body": "new"}
    return text("* new", event_id, **{"m.new_content": new, "m.relates_to": relation})


def _redaction(event_id: str, of: str) -> Any:
    return message({"redacts": of}, event_id, CAROL, "m.room.redaction")


def _kinds(answer: Any, known: Book, mode: Mode = Mode.NEXT) -> list[tuple[str, str]]:
    events: list[Any] = outcome(answer, known, mode).events
    return [(type(event).__name__, getattr(event, "id", "")) for event in events]


def test_all_comes_in_its_order_and_what_was_known_comes_not_again() -> None:
    timeline = [
        _reaction("$old", "$x"), text("known", "$0"), text("a", "$1"), _reaction("$2", "$1"),
        _edit("$3", "$1"), _redaction("$4", "$2"), text("b", "$5"),
    ]  # fmt: skip
    expected = [
        ("RemoteRoomMessage", "$1"), ("RemoteRoomReaction", "$2"), ("RemoteRoomMessage", "$3"),
        ("RemoteRoomRetraction", "$4"), ("RemoteRoomMessage", "$5"),
    ]  # fmt: skip
    known = group_book(version=11)
    for mode in Mode.NEXT, Mode.AGAIN:
        assert _kinds(joined(*timeline), known, mode) == expected
    known.apply(outcome(joined(*timeline), known).draft)
    assert known.groups()[ROOM].last == "$5"
    assert _kinds(joined(*timeline), known) == []


def test_nothing_of_before_the_link_is_told() -> None:
    answer = joined(_reaction("$2", "$1"), state=[created()], ephemeral=[_receipt("$1", BOB)])
    assert {kind for kind, _ in _kinds(answer, Book({}), Mode.FIRST)} == {"RemoteRoom"}


def test_what_was_missed_comes_first() -> None:
    fill = Fill([_reaction("$1", "$0"), _edit("$2", "$0")], complete=True)
    answer = joined(text("now", "$3"))
    answer["rooms"]["join"][ROOM]["timeline"].update(limited=True, prev_batch="p")
    events: list[Any] = outcome(answer, group_book(), fills={ROOM: fill}).events
    assert [event.id for event in events] == ["$1", "$2", "$3"]


def test_what_says_that_it_was_redacted_is_told_as_nothing_at_the_head_of_a_fill() -> None:
    gone = {**message({}, "$1"), "unsigned": {"redacted_because": {"type": "m.room.redaction"}}}
    fill = Fill([gone, {**gone, "event_id": "$2", "type": "m.reaction"}], complete=True)
    answer = joined(_redaction("$3", "$1"))
    answer["rooms"]["join"][ROOM]["timeline"].update(limited=True, prev_batch="p")
    events: list[Any] = outcome(answer, group_book(version=11), fills={ROOM: fill}).events
    assert [(event.id, event.message) for event in events] == [("$3", "$1")]


def test_a_redaction_within_encrypted_words_is_none() -> None:
    """No homeserver has checked whether its sender may."""
    closed = message({"ciphertext": "x"}, "$1", BOB, "m.room.encrypted")
    inside = {**_redaction("$1", "$0"), "sender": BOB}
    pins = {**message({"pinned": ["$0"]}, "$2", BOB, "m.room.pinned_events"), "state_key": ""}
    opened = Opened({(ROOM, "$1"): inside, (ROOM, "$2"): pins}, {})
    [result] = translate(
        joined(closed, {**closed, "event_id": "$2"}), group_book(version=11), mode=Mode.NEXT,
        account=ALICE, instance="here", fills={}, now=NOW, opened=opened,
    )  # fmt: skip
    assert result.events == []


def test_pins_are_a_notice() -> None:
    pins = state("m.room.pinned_events", "", {"pinned": ["$1"]}, "$2")
    assert outcome(joined(pins), group_book()).events == [
        RemoteRoomNotice(room=TEA, id=RemoteMessageId("$2"), text="A message was pinned.")
    ]
    assert outcome(joined(state=[pins]), group_book()).events == []


# --- receipts -----------------------------------------------------------------------------------


def _receipt(event_id: str, *readers: str, kind: str = "m.read", **fields: Any) -> Any:
    receipts = {reader: {"ts": 5, **fields} for reader in readers}
    return {"type": "m.receipt", "content": {event_id: {kind: receipts}}}


def _reads(*receipts: Any, timeline: Any = (), mode: Mode = Mode.NEXT, **fields: Any) -> Any:
    known = group_book(**{"people": 3, "message": "$m", **fields})
    events = outcome(joined(*timeline, ephemeral=list(receipts)), known, mode).events
    return [(e.reader, e.up_to) for e in events if isinstance(e, RemoteRoomRead)]


def test_who_has_read_how_far() -> None:
    assert _reads(_receipt("$1", BOB, CAROL)) == [(BOB, "$1"), (CAROL, "$1")]
    assert _reads(_receipt("$1", ALICE, kind="m.read.private")) == [(ALICE, "$1")]
    assert _reads(_receipt("$1", ALICE), _receipt("$2", BOB)) == [(ALICE, "$1"), (BOB, "$2")]
    assert _reads(_receipt("$1", BOB, thread_id="main")) == [(BOB, "$1")]
    assert _reads(_receipt("$1", BOB, thread_id="$thread")) == []
    both = {"$1": {"m.read": {BOB: {"ts": 7}}}, "$2": {"m.read": {BOB: {"ts": 6}}}}
    assert _reads({"type": "m.receipt", "content": both}) == [(BOB, "$1")]


@pytest.mark.parametrize(
    ("fields", "mode", "told"),
    [
        ({"people": 50}, Mode.NEXT, [BOB, ALICE]),
        ({"people": 51}, Mode.NEXT, [ALICE]),
        ({"people": 0}, Mode.NEXT, [ALICE]),
        ({}, Mode.AGAIN, [ALICE]),
        ({}, Mode.FIRST, []),
        ({"is_space": True}, Mode.NEXT, []),
    ],
)
def test_in_large_groups_and_after_an_absence_only_the_user_has_read(
    fields: Any, mode: Mode, told: list[str]
) -> None:
    assert [who for who, _ in _reads(_receipt("$1", BOB, ALICE), mode=mode, **fields)] == told


def test_reading_what_is_no_message_is_reading_the_message_before_it() -> None:
    timeline = [text("a", "$1"), _reaction("$2", "$1"), text("b", "$3"), _redaction("$4", "$2")]
    for event_id, up_to in (("$1", "$1"), ("$2", "$1"), ("$3", "$3"), ("$4", "$3"), ("$9", "$9")):
        assert _reads(_receipt(event_id, BOB), timeline=timeline) == [(BOB, up_to)]
    assert _reads(_receipt("$0", BOB)) == [(BOB, "$m")]
    assert _reads(_receipt("$0", BOB), message="") == [(BOB, "$0")]
    assert _reads(_receipt("$0", BOB), timeline=[text("x", "$1")]) == [(BOB, "$m")]


def test_what_a_group_is_comes_before_who_has_read_it() -> None:
    known = Book({"groups": "1", "avatars": "1", "pasts": "1", "faces": "1"})
    answer = joined(text("old", "$1"), state=[created()], ephemeral=[_receipt("$1", ALICE)])
    kinds = [kind for kind, _ in _kinds(answer, known)]
    assert kinds == ["RemoteRoom", "RemoteRoomRead"]


def test_thousands_of_receipts_are_not_told() -> None:
    many = [f"@u{number}:hs" for number in range(5_000)]
    assert len(_reads(_receipt("$1", *many))) == 50
    assert _reads(_receipt("$1", *many, ALICE), people=5_000) == [(ALICE, "$1")]


@pytest.mark.parametrize(
    "content",
    [
        None, [], {"$1": None}, {"$1": {"m.read": []}}, {"$1": {"m.read": {BOB: "x"}}},
        {"$1": {"m.read": {"bob": {"ts": 1}}}}, {"": {"m.read": {BOB: {"ts": 1}}}},
        {"$\x00": {"m.read": {BOB: {"ts": 1}, ALICE: {"ts": 1}}}},
        {"$1": {"m.read": {BOB: {"ts": 1, "thread_id": ["main"]}}}},
    ],
)  # fmt: skip
def test_odd_receipts_say_nothing(content: Any) -> None:
    assert _reads({"type": "m.receipt", "content": content}) == []


def test_receipts_come_in_parts_too() -> None:
    many = [f"@u{number}:hs" for number in range(50)]
    receipts = [_receipt(f"${number}", *many) for number in range(40)]
    known = group_book(people=50)
    parts = []
    for part in translate(
        joined(ephemeral=receipts), known, mode=Mode.NEXT, account=ALICE, instance="here",
        fills={}, now=NOW,
    ):  # fmt: skip
        known.apply(part.draft)
        parts.append(part)
    assert sum(len(part.events) for part in parts) == 2_000
    assert max(len(part.events) for part in parts) <= MAX_EVENTS


# --- typing -------------------------------------------------------------------------------------


def _typing(user_ids: Any) -> Any:
    return {"type": "m.typing", "content": {"user_ids": user_ids}}


@pytest.mark.parametrize(
    ("user_ids", "typists"),
    [
        ([BOB, CAROL, ALICE], {BOB, CAROL}),
        ([], set()),
        (None, set()),
        ("odd", set()),
        ([5, "bob", [BOB]], set()),
    ],
)
def test_who_types(user_ids: Any, typists: set[str]) -> None:
    result = outcome(joined(ephemeral=[_typing(user_ids)]), group_book())
    assert result.typists == {ROOM: typists}
    assert (result.events, result.typing) == ([], [])


def test_of_those_who_type_a_few_are_told_and_none_when_the_group_is_over() -> None:
    many = [f"@u{number}:hs" for number in range(5_000)]
    assert len(outcome(joined(ephemeral=[_typing(many)]), group_book()).typists[ROOM]) == 20
    left = {"rooms": {"leave": joined(member(ALICE, "leave"))["rooms"]["join"]}}
    assert outcome(left, group_book()).typists == {ROOM: set()}
    assert outcome(joined(ephemeral=[_typing([BOB])]), group_book(is_space=True)).typists == {}


def test_typing_is_told_when_it_begins_and_ends() -> None:
    told: list[Any] = []
    typists = GroupTypists(lambda *said: told.append(said))
    bob, carol = RemoteUserId(BOB), RemoteUserId(CAROL)
    for now in ({bob}, {bob}, {bob, carol}, {carol}):
        typists.note(ROOM, frozenset(now))
    assert told == [(TEA, bob, True), (TEA, carol, True), (TEA, bob, False)]
    typists.forget()
    typists.forget()
    assert told[3:] == [(TEA, carol, False)]


# --- crashes ------------------------------------------------------------------------------------


def test_an_answer_that_comes_again_after_any_part_tells_each_thing_once() -> None:
    """As the same thing: the ids are those of the homeserver."""
    timeline = [
        event
        for number in range(300)
        for event in (
            text("x", f"${number}a"),
            _reaction(f"${number}b", f"${number}a"),
            _edit(f"${number}c", f"${number}a"),
            _redaction(f"${number}d", f"${number}b"),
        )
    ]
    answer = joined(text("old", "$0"), *timeline)

    def parts(known: Book, most: int) -> list[Any]:
        found: list[Any] = []
        for part in translate(
            answer, known, mode=Mode.NEXT, account=ALICE, instance="here", fills={}, now=NOW
        ):
            known.apply(part.draft)
            found += part.events
            most -= 1
            if not most:
                break
        return found

    whole = parts(group_book(version=11), 99)
    assert [event.id for event in whole] == [event["event_id"] for event in timeline]
    for most in range(1, 6):
        known = group_book(version=11)
        assert [*parts(known, most), *parts(known, 99)] == whole
    assert sum(isinstance(event, RemoteRoomMessage) for event in whole) == 600
