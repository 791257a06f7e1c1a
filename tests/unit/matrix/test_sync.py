"""Answers of /sync → events and the book."""

import itertools
import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.matrix import chat_speech
from adapters.matrix.chat_events import said_to
from adapters.matrix.filters import Mode
from adapters.matrix.gaps import Fill, Gap, gaps
from adapters.matrix.opened import Opened
from adapters.matrix.parts import MAX_EVENTS, Outcome
from adapters.matrix.rooms import Book, RoomId
from adapters.matrix.sync import translate
from gateway.events import (
    RemoteGap,
    RemoteInvite,
    RemoteInviteGone,
    RemoteMessage,
    RemoteProfile,
    RemoteReaction,
    RemoteRead,
    RemoteRetraction,
    RemoteUndecryptable,
    RemoteUnreadable,
)
from tests.unit.matrix.samples import (
    ALICE,
    BOB,
    CAROL,
    NOW,
    ROOM,
    book,
    group_book,
    invitation,
    invited,
    joined,
    member,
    message,
    outcome,
    state,
    text,
)

CREATE = state("m.room.create", "", {}, "$create", sender=ALICE)


def _bodies(result: Outcome) -> list[str]:
    return [event.body for event in result.events if isinstance(event, RemoteMessage)]


def _direct(**rooms: Any) -> dict[str, Any]:
    content = {f"@{user}:example.org": listed for user, listed in rooms.items()}
    return {"account_data": {"events": [{"type": "m.direct", "content": content}]}}


# --- which rooms are chats ------------------------------------------------------------------


def test_a_room_in_m_direct_is_a_chat_and_others_are_not() -> None:
    answer = {**_direct(bob=[ROOM]), **joined(text("hello"))}
    assert _bodies(outcome(answer, Book({}))) == ["hello"]
    other = outcome(joined(text("hello")), Book({}))
    assert (other.events, other.draft.changed_rooms) == ([], {})


@pytest.mark.parametrize(
    "content",
    [[], "x", {"@bob:example.org": "!room:example.org"}, {"@bob:example.org": [5, None, "\ud800"]},
     {"bob": ["!room:example.org"]}, {ALICE: ["!room:example.org"]}, {"@\ud800:x": ["!r"]}],
)  # fmt: skip
def test_a_malformed_m_direct_makes_no_chat(content: Any) -> None:
    answer = {"account_data": {"events": [{"type": "m.direct", "content": content}]}}
    assert outcome({**answer, **joined(text("x"))}, Book({})).events == []


def test_a_chat_moves_with_m_direct_and_stays_one_when_unlisted() -> None:
    moved = outcome({**_direct(carol=[ROOM]), **joined(text("x", "$2", CAROL))})
    assert [event.contact for event in moved.events if isinstance(event, RemoteMessage)] == [CAROL]
    assert _bodies(outcome({**_direct(), **joined(text("x"))})) == ["x"]
    both = outcome({**_direct(carol=[ROOM], bob=[ROOM]), **joined(text("x"))})
    assert [event.contact for event in both.events if isinstance(event, RemoteMessage)] == [BOB]


def test_a_room_of_ours_is_known_by_its_marker() -> None:
    marker = {"org.dragoman.chat": {"instance": "here", "contact": BOB}}
    create = state("m.room.create", "", marker, "$create", sender=ALICE)
    known = Book({f"opening:{BOB}": "1"})
    result = outcome(joined(create, text("x")), known)
    assert _bodies(result) == ["x"]
    known.apply(result.draft)
    room = known.room(ROOM)
    assert room is not None
    assert (room.contact, room.unlisted, room.encrypted) == (BOB, True, False)
    assert not known.is_opening(BOB)


@pytest.mark.parametrize(
    "create",
    [
        state("m.room.create", "", {"org.dragoman.chat": {"instance": "here", "contact": BOB}}),
        state("m.room.create", "", {"org.dragoman.chat": {"instance": "other", "contact": BOB}},
              sender=ALICE),
        state("m.room.create", "", {"org.dragoman.chat": "here"}, sender=ALICE),
    ],
)  # fmt: skip
def test_a_marker_of_somebody_else_means_nothing(create: Any) -> None:
    assert outcome(joined(create, text("x")), Book({})).draft.changed_rooms == {}


# --- what is new ------------------------------------------------------------------------------


def test_a_first_link_starts_without_history() -> None:
    known = Book({})
    receipt = {"type": "m.receipt", "content": {"$1": {"m.read": {BOB: {"ts": 1}}}}}
    answer = {**_direct(bob=[ROOM]), **joined(text("old"), state=[CREATE], ephemeral=[receipt])}
    result = outcome(answer, known, Mode.FIRST)
    assert result.events == []
    known.apply(result.draft)
    room = known.room(ROOM)
    assert room is not None
    assert (room.last, room.message, room.mine, room.encrypted) == ("$1", "$1", "join", False)


def test_after_a_refused_cursor_only_what_follows_the_last_known_event_is_told() -> None:
    events = [text("a", "$0"), text("b", "$1"), text("c", "$2")]
    assert _bodies(outcome(joined(*events), mode=Mode.AGAIN)) == ["b", "c"]
    assert _bodies(outcome(joined(*events), book(last=""), Mode.AGAIN)) == []


def test_rooms_missing_from_a_full_answer_were_left() -> None:
    known = book(mine="invite", invite="i")
    result = outcome({}, known, Mode.AGAIN)
    assert result.events == [RemoteInviteGone(contact=BOB)]
    known.apply(result.draft)
    assert not known.candidates(BOB)


@pytest.mark.parametrize(
    ("known", "mode", "expected"),
    [
        (book(), Mode.NEXT, [Gap(ROOM, "p", "$0")]),
        (book(), Mode.AGAIN, [Gap(ROOM, "p", "$0")]),
        (book(), Mode.FIRST, []),
        (book(last="$1"), Mode.NEXT, []),
        (book(last=""), Mode.NEXT, []),
        (book(last="", invites=1), Mode.NEXT, [Gap(ROOM, "p", "")]),
        (book(last="", invites=1), Mode.AGAIN, []),
        (Book({}), Mode.NEXT, []),
    ],
)
def test_which_gaps_are_filled(known: Book, mode: Mode, expected: list[Gap]) -> None:
    answer = joined(text("x"))
    timeline = answer["rooms"]["join"][ROOM]["timeline"]
    timeline.update(limited=True, prev_batch="p")
    assert gaps(answer, known, mode, ALICE) == expected
    timeline.update(prev_batch=None)
    assert gaps(answer, known, mode, ALICE) == []


def test_a_fill_comes_first_and_a_bounded_one_is_named() -> None:
    fill = Fill([text("a", "$1"), text("b", "$2")], complete=True)
    answer = joined(text("c", "$3"))
    assert _bodies(outcome(answer, fills={ROOM: fill})) == ["a", "b", "c"]
    short = outcome(answer, fills={ROOM: Fill(fill.events, complete=False)})
    assert short.events[0] == RemoteGap(contact=BOB, id="$1")  # type: ignore[arg-type]


def test_the_invitation_is_where_a_new_chat_begins() -> None:
    events = [text("before", "$1"), member(ALICE, "invite"), text("after", "$2")]
    known = book(last="", mine="invite", invite="i", invites=1)
    result = outcome(joined(*events), known)
    assert _bodies(result) == ["after"]
    assert result.events[0] == RemoteInviteGone(contact=BOB)


# --- people -------------------------------------------------------------------------------------


def test_names_are_told_on_change_only() -> None:
    known = book()
    known.apply(outcome(joined(member(BOB, "join", "Bob")), known).draft)
    assert outcome(joined(member(BOB, "join", "Bob")), known).events == []
    changed = outcome(joined(state=[member(BOB, "join", "Robert")]))
    assert changed.events == [RemoteProfile(contact=BOB, name="Robert", avatar="")]
    gone = outcome(joined(member(BOB, "join")))
    assert gone.events == [RemoteProfile(contact=BOB, name="", avatar="")]
    assert outcome(joined(member(ALICE, "join", "Me"), member(BOB, "leave"))).events == []


def test_req_347_pictures_of_contacts_are_told_on_change_only() -> None:
    known = book()
    face = {**member(BOB, "join", "Bob")}
    face["content"] = {**face["content"], "avatar_url": "mxc://hs/bob"}
    first = outcome(joined(state=[face]), known)
    assert first.events == [RemoteProfile(contact=BOB, name="Bob", avatar="mxc://hs/bob")]
    known.apply(first.draft)
    assert outcome(joined(state=[face]), known).events == []
    bad = {**face, "content": {**face["content"], "avatar_url": "https://hs/bob"}}
    gone = outcome(joined(state=[bad]), known)
    assert gone.events == [RemoteProfile(contact=BOB, name="Bob", avatar="")]


def test_req_347_an_earlier_version_asks_for_pictures_of_contacts() -> None:
    stored = {"groups": "1", "avatars": "1", "pasts": "1"}
    known = Book(stored)
    assert not known.knows_state
    known.apply(outcome(joined(), known).draft)
    assert known.knows_state


def test_third_persons_are_named_and_remembered() -> None:
    known = book()
    first = outcome(joined(member(CAROL, "join", "Carol"), text("x", sender=CAROL)), known)
    assert _bodies(first) == ["Carol: x"]
    known.apply(first.draft)
    assert _bodies(outcome(joined(text("y", "$2", CAROL)), known)) == ["Carol: y"]
    assert _bodies(outcome(joined(text("y", "$2", "@dan:hs")), known)) == ["dan: y"]


def test_req_420_nobody_edits_what_a_third_person_has_said() -> None:
    """Both speak through the contact, so once there was another one edits are told as texts."""

    def edit(event_id: str, of: str, sender: str = BOB) -> Any:
        new = {"msgtype": "m.text", "body": "new"}
        relation = {"rel_type": "m.replace", "event_id": of}
        content = {"m.relates_to": relation, "m.new_content": new}
        return text("* new", event_id, sender, **content)

    def told(*events: Any) -> list[tuple[str, str | None]]:
        found = outcome(joined(*events), known)
        known.apply(found.draft)
        said = [event for event in found.events if isinstance(event, RemoteMessage)]
        return [(event.body, event.edits) for event in said]

    known = book()
    assert told(text("mine", "$1"), edit("$2", "$1")) == [("mine", None), ("new", "$1")]
    assert told(text("x", "$3", CAROL), edit("$4", "$3"))[1] == ("✏ new", None)
    assert told(edit("$5", "$3")) == [("✏ new", None)]
    assert told(text("I too", "$6", ALICE), edit("$7", "$6", ALICE))[1] == ("new", "$6")


def test_the_contact_leaves() -> None:
    known = book()
    known.apply(outcome(joined(member(BOB, "leave")), known).draft)
    assert known.candidates(BOB) == []


def test_the_account_leaves_and_gets_the_last_words() -> None:
    known = book()
    parts = joined(text("go away"), member(ALICE, "leave"))["rooms"]["join"]
    result = outcome({"rooms": {"leave": parts}}, known)
    assert _bodies(result) == ["go away"]
    known.apply(result.draft)
    assert known.candidates(BOB) == []


# --- encryption ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "events", "after"),
    [
        (None, [], None),
        (None, [CREATE], False),
        (False, [state("m.room.encryption", "", {"algorithm": "x"})], True),
        (False, [state("m.room.encryption", "", {})], True),
        (None, [CREATE, state("m.room.encryption", "", "odd")], True),
        # Its homeserver has not written yet that it is: nothing may go out in clear.
        (None, [state("m.room.create", "", {"org.dragoman.chat": {"encrypted": True}})], True),
        (None, [state("m.room.create", "", {"org.dragoman.chat": {"encrypted": "x"}})], False),
        (True, [CREATE], True),
        (False, [state("m.room.encryption", "other", {})], False),
        (None, [{"type": ["m.room.encryption"], "state_key": ""}], None),
    ],
)
def test_encryption_is_sticky(before: bool | None, events: list[Any], after: bool | None) -> None:
    for answer in (joined(*events), joined(state=events)):
        known = book(encrypted=before)
        known.apply(outcome(answer, known).draft)
        room = known.room(ROOM)
        assert room is not None
        assert room.encrypted is after


# --- invitations --------------------------------------------------------------------------------


def test_a_direct_invitation_is_told_once() -> None:
    known = Book({})
    result = outcome(invited(member(BOB, "join", "Bob"), invitation()), known)
    assert result.events == [
        RemoteProfile(contact=BOB, name="Bob", avatar=""),
        RemoteInvite(contact=BOB, id=f"{ROOM}#1"),  # type: ignore[arg-type]
    ]
    known.apply(result.draft)
    assert outcome(invited(invitation()), known).events == []
    gone = outcome({"rooms": {"leave": {ROOM: {}}}}, known)
    assert gone.events == [RemoteInviteGone(contact=BOB)]
    known.apply(gone.draft)
    again = outcome(invited(invitation()), known)
    assert again.events == [RemoteInvite(contact=BOB, id=f"{ROOM}#2")]  # type: ignore[arg-type]


def test_the_last_of_several_invitations_ends_the_question() -> None:
    known = Book({})
    for room in ("!a", "!b"):
        known.apply(outcome(invited(invitation(), room=room), known).draft)
    first = outcome({"rooms": {"leave": {"!a": {}}}}, known)
    assert first.events == []
    known.apply(first.draft)
    assert outcome({"rooms": {"leave": {"!b": {}}}}, known).events == [
        RemoteInviteGone(contact=BOB)
    ]


@pytest.mark.parametrize(
    "event",
    [invitation(sender=ALICE), invitation(sender="bob"), {**invitation(), "sender": None}, {},
     {**invitation(), "type": 5}],
)  # fmt: skip
def test_invitations_of_nobody_are_not_told(event: Any) -> None:
    assert outcome(invited(event), Book({})).events == []


def test_an_invitation_to_a_listed_room_needs_no_flag() -> None:
    known = book(mine="leave")
    assert len(outcome(invited(invitation(direct=False)), known).events) == 1


def test_the_state_in_an_invitation_proves_encryption_but_not_its_absence() -> None:
    known = Book({})
    known.apply(outcome(invited(CREATE, invitation()), known).draft)
    assert (room := known.room(ROOM)) is not None
    assert room.encrypted is None
    encryption = state("m.room.encryption", "", {})
    known.apply(outcome(invited(encryption, invitation()), known).draft)
    assert (room := known.room(ROOM)) is not None
    assert room.encrypted is True


# --- read marks and typing ----------------------------------------------------------------------


def _receipt(content: Any) -> dict[str, Any]:
    return joined(text("x", "$1"), ephemeral=[{"type": "m.receipt", "content": content}])


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ({"$5": {"m.read": {BOB: {"ts": 1}}}}, [(BOB, "$5", False)]),
        ({"$5": {"m.read": {ALICE: {"ts": 1}}}}, [(BOB, "$5", True)]),
        ({"$5": {"m.read.private": {ALICE: {"ts": 1}}}}, [(BOB, "$5", True)]),
        ({"$5": {"m.read": {BOB: {"ts": 1, "thread_id": "main"}}}}, [(BOB, "$5", False)]),
        ({"$5": {"m.read": {BOB: {"ts": 1, "thread_id": "$t"}}}}, []),
        ({"$5": {"m.read": {CAROL: {"ts": 1}}}}, []),
        ({"$5": {"m.read": {BOB: {"ts": 1}}}, "$6": {"m.read": {BOB: {"ts": 2}}}},
         [(BOB, "$6", False)]),
        ({"$5": {"m.read": {BOB: {"ts": "x"}}}}, [(BOB, "$5", False)]),
        ({"$5": {"m.read": [BOB]}, "$6": 7}, []),
        ("odd", []),
    ],
)  # fmt: skip
def test_receipts(content: Any, expected: list[tuple[str, str, bool]]) -> None:
    reads = [event for event in outcome(_receipt(content)).events if isinstance(event, RemoteRead)]
    assert [(event.contact, event.up_to, event.own) for event in reads] == expected


REACTS = {"m.relates_to": {"rel_type": "m.annotation", "event_id": "$0", "key": "👍"}}
EDITS = {"m.relates_to": {"rel_type": "m.replace", "event_id": "$0"}, "m.new_content": {}}


def _read_by(user: str, event_id: str) -> Any:
    return {"type": "m.receipt", "content": {event_id: {"m.read": {user: {"ts": 1}}}}}


@pytest.mark.parametrize(
    "newest",
    [
        message(REACTS, "$2", kind="m.reaction"),
        message(REACTS, "$2", sender=ALICE, kind="m.reaction"),
        message(REACTS, "$2", sender=CAROL, kind="m.reaction"),
        message({}, "$2", kind="m.reaction"),
        message(EDITS, "$2"),
        message(EDITS, "$2", sender=ALICE),
        {**message({}, "$2", kind="m.room.redaction"), "redacts": "$0"},
        {**message({}, "$2"), "unsigned": {"redacted_because": {}}},
        state("m.room.name", "", {}, "$2"),
    ],
)
@pytest.mark.parametrize("reader", [ALICE, BOB])
def test_a_receipt_for_what_is_no_message_counts_for_the_one_before(
    newest: Any, reader: str
) -> None:
    """Whether it comes with the receipt or before it, and whether a message follows."""
    read = RemoteRead(contact=BOB, up_to="$1", own=reader == ALICE)  # type: ignore[arg-type]
    receipt = _read_by(reader, "$2")
    known = book()
    once = outcome(joined(text("x", "$1"), newest, text("y", "$3"), ephemeral=[receipt]), known)
    assert once.events[-1] == read
    before = outcome(joined(text("x", "$1"), newest), known)
    known.apply(before.draft)
    assert outcome(joined(text("y", "$3"), ephemeral=[receipt]), known).events[-1] == read


def test_an_edit_does_not_make_an_old_room_the_one_that_was_used_last() -> None:
    known = book(used=500_000)
    for event in (message(EDITS, "$1"), message(REACTS, "$2", kind="m.reaction")):
        known.apply(outcome(joined(event), known).draft)
    assert (room := known.room(ROOM)) is not None
    assert room.used == 500_000


# --- what is said about what was said -----------------------------------------------------------


def test_what_is_redacted_in_a_gap_comes_as_its_redaction_alone() -> None:
    gone = {**message({}, "$1"), "unsigned": {"redacted_because": {}}}
    redaction = {**message({}, "$2", kind="m.room.redaction"), "redacts": "$1"}
    before = {**message({}, "$3", kind="m.room.redaction"), "redacts": "$0"}
    fill = Fill([gone, redaction, before], complete=True)
    told = outcome(joined(text("c", "$4")), fills={ROOM: fill}).events
    assert [(type(event).__name__, event.id) for event in told] == [  # type: ignore[union-attr]
        ("RemoteRetraction", "$2"), ("RemoteRetraction", "$3"), ("RemoteMessage", "$4"),
    ]  # fmt: skip


@pytest.mark.parametrize("mode", [Mode.FIRST, Mode.AGAIN])
def test_what_was_done_before_the_link_is_not_told(mode: Mode) -> None:
    events = (
        message(REACTS, "$1", kind="m.reaction"),
        message(EDITS, "$2"),
        {**message({}, "$3", kind="m.room.redaction"), "redacts": "$0"},
    )
    assert outcome(joined(*events), book(last=""), mode).events == []


def test_a_redaction_inside_of_encryption_takes_nothing_back() -> None:
    """No homeserver has checked that its sender may. What was taken for a member is none either:
    the state of a room is never encrypted."""
    secret = message({"ciphertext": "x"}, "$1", kind="m.room.encrypted")
    inside = {**message({"redacts": "$0"}, "$1", kind="m.room.redaction"), "redacts": "$0"}
    assert outcome(joined(secret), opened=Opened(clear={(ROOM, "$1"): inside})).events == []
    reaction = message(REACTS, "$1", kind="m.reaction")
    [told] = outcome(joined(secret), opened=Opened(clear={(ROOM, "$1"): reaction})).events
    assert isinstance(told, RemoteReaction)


@pytest.mark.parametrize(("version", "target"), [("10", "$beside"), ("11", "$within")])
def test_a_redaction_is_read_as_its_room_wants_it(version: str, target: str) -> None:
    """In a room of which the version came with the first answer, and in one that was a group."""
    create = state("m.room.create", "", {"room_version": version}, "$create")
    redaction = {
        **message({"redacts": "$within"}, "$2", kind="m.room.redaction"), "redacts": "$beside",
    }  # fmt: skip
    known = book()
    known.apply(outcome(joined(state=[create]), known).draft)
    of_group = group_book(version=int(version))
    for each in (known, of_group):
        [told] = (
            event
            for event in outcome({**_direct(bob=[ROOM]), **joined(redaction)}, each).events
            if isinstance(event, RemoteRetraction)
        )
        assert told.message == target


@pytest.mark.parametrize(
    ("users", "active"),
    [
        ([BOB], True),
        ([BOB, CAROL], True),
        ([CAROL], False),
        ([], False),
        (None, False),
        (BOB, False),
    ],
)
def test_typing(users: Any, active: bool) -> None:
    event = {"type": "m.typing", "content": {"user_ids": users}}
    assert outcome(joined(ephemeral=[event])).typing == [(ROOM, BOB, active)]


# --- anything at all ----------------------------------------------------------------------------

_SCALARS = st.none() | st.booleans() | st.integers() | st.text(max_size=5)
_KEYS = st.sampled_from(
    ["rooms", "join", "invite", "leave", ROOM, "timeline", "state", "ephemeral", "events", "type",
     "content", "sender", "state_key", "event_id", "invite_state", "account_data", BOB, "m.read"]
)  # fmt: skip
_WORDS = st.sampled_from(
    ["m.room.member", "m.room.message", "m.direct", "m.typing", "m.receipt", "m.room.create",
     "m.room.encryption", ALICE, BOB, ROOM, "invite", "join"]
)  # fmt: skip
_ANY = st.recursive(
    _SCALARS | _WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEYS, inner, max_size=5),
    max_leaves=20,
)
_EVENT = st.dictionaries(_KEYS, _ANY, max_size=6)
_PART = st.fixed_dictionaries({"events": st.lists(_EVENT, max_size=3)}) | _ANY


@given(
    part=st.dictionaries(
        st.sampled_from(["timeline", "state", "ephemeral", "invite_state"]), _PART
    ),
    section=st.sampled_from(["join", "invite", "leave"]),
    account_data=_PART,
    mode=st.sampled_from(Mode),
)
def test_no_answer_raises(part: Any, section: str, account_data: Any, mode: Mode) -> None:
    answer = {"rooms": {section: {ROOM: part}}, "account_data": account_data}
    result = outcome(answer, mode=mode)
    msgspec.json.encode(result.events)
    gaps(answer, book(), mode, ALICE)
    Book({key: value for key, value in result.draft.changes().items() if value is not None})


@given(_ANY)
def test_no_shape_of_an_answer_raises(answer: Any) -> None:
    if isinstance(answer, dict):
        outcome(answer)


# --- parts --------------------------------------------------------------------------------------


def _large() -> dict[str, Any]:
    """Of everything more than fits into one part."""
    marker = {"org.dragoman.chat": {"instance": "here", "contact": CAROL}}
    create = state("m.room.create", "", marker, "$create", sender=ALICE)
    listed = {f"@u{number}:hs": [f"!{number}"] for number in range(400)}
    direct = {"type": "m.direct", "content": {BOB: [ROOM], **listed}}
    names = [member(BOB, "join", f"Bob {number}") for number in range(700)]
    words = [text(str(number), f"${number}") for number in range(1, 701)]
    read = {"type": "m.receipt", "content": {"$700": {"m.read": {BOB: {"ts": 1}}}}}
    chat = {
        "state": {"events": names},
        "timeline": {"events": [text("old", "$0"), *words]},
        "ephemeral": {"events": [read, {"type": "m.typing", "content": {"user_ids": [BOB]}}]},
    }
    secret = state("m.room.encryption", "", {}, "$secret")
    made = {"timeline": {"events": [create, *(text("x", f"$m{n}") for n in range(300)), secret]}}
    wait = {"invite_state": {"events": [*names, invitation()]}}
    left = {f"!{number}": {"timeline": {"events": [text("bye")]}} for number in range(400)}
    return {
        "account_data": {"events": [direct]},
        "rooms": {
            "join": {ROOM: chat, "!made": made},
            "invite": {f"!i{number}": wait for number in range(2)},
            "leave": left,
        },
    }


def _parts(answer: Any, known: Book, mode: Mode, most: int = 1_000) -> list[Outcome]:
    """Commit part after part, up to a crash."""
    found = []
    parts = translate(answer, known, mode=mode, account=ALICE, instance="here", fills={}, now=NOW)
    for part in itertools.islice(parts, most):
        known.apply(part.draft)
        found.append(part)
    return found


def _told(parts: list[Outcome]) -> list[Any]:
    return [event for part in parts for event in part.events]


@pytest.mark.parametrize("mode", Mode)
def test_parts_are_small_and_say_the_same(mode: Mode, monkeypatch: pytest.MonkeyPatch) -> None:
    known, whole = book(), book()
    parts = _parts(_large(), known, mode)
    assert len(parts) > 5
    for part in parts:
        assert len(part.events) <= MAX_EVENTS
        assert len(part.draft.changes()) <= MAX_EVENTS
    assert [part.is_last for part in parts] == [False] * (len(parts) - 1) + [True]
    monkeypatch.setattr("adapters.matrix.parts._STEPS", 10**9)
    [once] = _parts(_large(), whole, mode)
    assert _told(parts) == once.events
    assert known.rooms() == whole.rooms()
    assert [note for part in parts for note in part.typing] == once.typing == [(ROOM, BOB, True)]


@pytest.mark.parametrize("mode", Mode)
@pytest.mark.parametrize("most", range(1, 20, 2))
def test_a_crash_between_two_parts_changes_nothing(mode: Mode, most: int) -> None:
    known, crashed = book(), book()
    expected = _told(_parts(_large(), known, mode))
    told = _told(_parts(_large(), crashed, mode, most))
    again = _told(_parts(_large(), crashed, mode))
    assert crashed.rooms() == known.rooms()
    kinds = (RemoteMessage, RemoteInvite, RemoteInviteGone, RemoteUndecryptable, RemoteGap)
    messages = [event for event in told + again if isinstance(event, kinds)]
    wanted = [event for event in expected if isinstance(event, kinds)]
    assert messages == wanted
    for kind in (RemoteRead, RemoteProfile):
        last = [event for event in told + again if isinstance(event, kind)][-1:]
        assert last == [event for event in expected if isinstance(event, kind)][-1:]


def test_a_book_survives_its_store() -> None:
    known = book(encrypted=True, used=5, invites=2)
    draft = known.draft()
    draft.put(RoomId("!b"), known.rooms()[ROOM])
    stored = {key: value for key, value in draft.changes().items() if value is not None}
    assert Book(stored).room(RoomId("!b")) == known.room(ROOM)


# --- what cannot be converted ---------------------------------------------------------------


def _nested(depth: int) -> Any:
    """JSON of a stranger, as deep as it likes."""
    content: Any = {}
    for _ in range(depth):
        content = {"a": content}
    return content


def test_one_event_that_cannot_be_converted_is_told_and_the_others_come() -> None:
    """An encrypted event that is nested so deeply that it can be read, but not written again."""
    deep = {
        "type": "m.room.encrypted",
        "event_id": "$deep",
        "sender": BOB,
        "content": _nested(2000),
    }
    result = outcome(joined(text("before", "$1"), deep, text("after", "$2")))
    told = [event for event in result.events if not isinstance(event, RemoteProfile)]
    assert [type(event).__name__ for event in told] == [
        "RemoteMessage", "RemoteUnreadable", "RemoteMessage",
    ]  # fmt: skip
    unreadable = told[1]
    assert isinstance(unreadable, RemoteUnreadable)
    assert (unreadable.contact, unreadable.id) == (BOB, "$deep")
    assert unreadable.content == "m.room.encrypted $deep"
    assert unreadable.reason.startswith("RecursionError at ")
    assert _bodies(result) == ["before", "after"]


def test_a_defect_of_the_conversion_costs_one_event(monkeypatch: pytest.MonkeyPatch) -> None:
    """And what is kept of it for the admin is the whole event; the reason quotes nobody."""

    def defect(room_id: RoomId, event: Any, **known: Any) -> Any:
        if event["event_id"] == "$bad":
            raise ValueError("secret words")
        return said_to(room_id, event, **known)

    monkeypatch.setattr(chat_speech, "said_to", defect)
    bad = text("secret words", "$bad")
    result = outcome(joined(bad, text("after", "$2")))
    (unreadable, after) = result.events
    assert isinstance(unreadable, RemoteUnreadable)
    assert json.loads(unreadable.content) == bad
    assert "secret" not in unreadable.reason
    assert isinstance(after, RemoteMessage)
