# SPDX-License-Identifier: Apache-2.0
"""Who shares where they are for a while is followed, and votes are counted (REQ-453, REQ-455)."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.matrix import ongoing
from adapters.matrix.groups import described
from adapters.matrix.opened import Opened
from adapters.matrix.rooms import Book, Group
from gateway.events import RemoteMessage, RemoteRoomMessage
from tests.unit.matrix.samples import (
    ALICE,
    BOB,
    CAROL,
    ROOM,
    book,
    group_book,
    joined,
    message,
    outcome,
    state,
    text,
)

INFO = "org.matrix.msc3672.beacon_info"
BEAT = "org.matrix.msc3672.beacon"
START = "org.matrix.msc3381.poll.start"
RESPONSE = "org.matrix.msc3381.poll.response"
END = "org.matrix.msc3381.poll.end"
TEXT = "org.matrix.msc1767.text"


def _at(event: Any, second: int) -> Any:
    return {**event, "origin_server_ts": second * 1000}


def _shares(event_id: str = "$place", sender: str = BOB, *, live: Any = True, **more: Any) -> Any:
    """As Element sends it."""
    content = {
        "description": "On my way",
        "live": live,
        "timeout": 900_000,
        "org.matrix.msc3488.ts": 1_000_000,
        "org.matrix.msc3488.asset": {"type": "m.self"},
        **more,
    }
    return state(INFO, sender, content, event_id, sender)


def _is_at(uri: str, event_id: str, of: str = "$place", sender: str = BOB) -> Any:
    content = {
        "m.relates_to": {"rel_type": "m.reference", "event_id": of},
        "org.matrix.msc3488.location": {"uri": uri},
        "org.matrix.msc3488.ts": 1_000_000,
    }
    return message(content, event_id, sender, BEAT)


def _asks(event_id: str = "$poll", kind: str = "disclosed", most: int = 1) -> Any:
    answers = [{"id": each, TEXT: each} for each in ("Yes", "No")]
    poll = {
        "kind": f"org.matrix.msc3381.poll.{kind}",
        "question": {TEXT: "Tea?"},
        "answers": answers,
        "max_selections": most,
    }
    return message({START: poll, TEXT: "?"}, event_id, BOB, START)


def _votes(event_id: str, sender: str, *answers: Any, of: str = "$poll") -> Any:
    relation = {"rel_type": "m.reference", "event_id": of}
    content = {"m.relates_to": relation, RESPONSE: {"answers": list(answers)}}
    return message(content, event_id, sender, RESPONSE)


def _ends(sender: str = BOB) -> Any:
    relation = {"rel_type": "m.reference", "event_id": "$poll"}
    return message({"m.relates_to": relation, TEXT: "It is over."}, "$end", sender, END)


def _gone(event_id: str, sender: str = BOB) -> Any:
    return {**message({}, "$gone", sender, "m.room.redaction"), "redacts": event_id}


def _told(known: Book, *events: Any, opened: Opened | None = None) -> list[Any]:
    """Each event comes with an answer of its own, as after restarts."""
    told: list[Any] = []
    for event in events:
        part = outcome(joined(event), known, opened=opened or Opened())
        known.apply(part.draft)
        known = Book(_stored(known))
        told += part.events
    return [each for each in told if isinstance(each, RemoteMessage | RemoteRoomMessage)]


def _stored(known: Book) -> dict[str, str]:
    rooms = {f"room:{name}": room for name, room in known.rooms().items()}
    groups = {f"group:{name}": group for name, group in known.groups().items()}
    both: dict[str, Any] = {**rooms, **groups}
    return {
        **known.entries,
        **{name: msgspec.json.encode(value).decode() for name, value in both.items()},
    }


def _changes(known: Book, *events: Any) -> list[tuple[str, str]]:
    return [(one.edits, one.body) for one in _told(known, *events) if one.edits]


BOOKS = [pytest.param(book, id="chat"), pytest.param(group_book, id="group")]


# --- places -------------------------------------------------------------------------------------


@pytest.mark.parametrize("of", BOOKS)
def test_req_453_who_shares_where_they_are_is_followed(of: Any) -> None:
    first, here, there, over = _told(
        of(),
        _shares(),
        _is_at("geo:1,2;u=5", "$1"),
        _at(_is_at("geo:3,4", "$2"), 1060),
        _at(_shares("$stop", live=False), 1100),
        _at(_is_at("geo:5,6", "$3"), 1110),
    )
    assert first.body.startswith("[live location] On my way — https://matrix.to/")
    assert (first.edits, first.is_ongoing) == (None, False)
    assert [one.body for one in (here, there)] == ["geo:1,2;u=5", "geo:3,4"]
    assert {(one.edits, one.is_ongoing, one.reply_to) for one in (here, there)} == {
        ("$place", True, None)
    }
    assert (there.sent_at, there.id) == (1060, "$2 state")
    assert (over.body, over.edits, over.reply_to, over.is_ongoing) == (
        "[live location] ended", None, "$place", False,
    )  # fmt: skip


@pytest.mark.parametrize("of", BOOKS)
@pytest.mark.parametrize(
    "beat",
    [
        _is_at("geo:1,2", "$1", sender=ALICE),
        _is_at("geo:1,2", "$1", of="$other"),
        _is_at("https://evil.example", "$1"),
        _at(_is_at("geo:1,2", "$1"), 1901),
        message({"m.relates_to": 5, "org.matrix.msc3488.location": 5}, "$1", BOB, BEAT),
    ],
)
def test_what_is_not_where_they_are(of: Any, beat: Any) -> None:
    assert not _changes(of(), _shares(), beat)


def test_who_begins_anew_has_stopped_before_and_others_have_not() -> None:
    beats = [_is_at(f"geo:{n},{n}", f"${n}", f"$place{n}") for n in (1, 2)]
    carol = _is_at("geo:3,3", "$3", "$place3", CAROL)
    changes = _changes(
        group_book(), _shares("$place1"), _shares("$place3", CAROL), _shares("$place2"),
        *beats, carol,
    )  # fmt: skip
    assert changes == [("$place2", "geo:2,2"), ("$place3", "geo:3,3")]


def test_a_third_person_in_a_chat_is_not_followed() -> None:
    assert not _changes(book(), _shares(sender=CAROL), _is_at("geo:1,2", "$1", sender=CAROL))
    assert not _changes(book(guests=True), _shares(), _is_at("geo:1,2", "$1"))
    own = _told(book(), _shares(sender=ALICE), _is_at("geo:1,2", "$1", sender=ALICE))
    assert [(one.own, one.edits) for one in own] == [(True, None), (True, "$place")]


def test_a_message_in_an_encrypted_room_shares_nothing() -> None:
    """The state of a room is never encrypted: whoever claims so is not believed."""
    sealed = message({}, "$place", BOB, "m.room.encrypted")
    clear = {**message({"live": True, "timeout": 900_000}, "$place", BOB), "type": INFO}
    opened = Opened({(ROOM, "$place"): clear})
    told = _told(book(), sealed, _is_at("geo:1,2", "$1"), opened=opened)
    assert not [one for one in told if one.edits]


# --- polls --------------------------------------------------------------------------------------


def _tally(yes: int, no: int, *, ended: bool = False) -> str:
    lines = ["📊 Tea?", f"1️⃣ Yes — {yes}", f"2️⃣ No — {no}"]
    return "\n".join([*lines, *([] if ended else ["To vote, react or reply with a number."])])


@pytest.mark.parametrize("of", BOOKS)
def test_req_455_how_a_poll_stands_and_has_ended(of: Any) -> None:
    poll, one, two, moved, state_at_end, end = _told(
        of(), _asks(), _votes("$1", BOB, "Yes"), _at(_votes("$2", ALICE, "Yes"), 900),
        _votes("$3", ALICE, "No"), _ends(), _votes("$4", ALICE, "Yes"),
    )  # fmt: skip
    assert "—" not in poll.body
    assert [each.body for each in (one, two, moved)] == [_tally(1, 0), _tally(2, 0), _tally(1, 1)]
    assert {(each.edits, each.is_ongoing) for each in (one, two, moved)} == {("$poll", True)}
    assert [each.sent_at for each in (one, two)] == [1000, 1000], "no edit is older than another"
    assert (state_at_end.body, state_at_end.edits) == (_tally(1, 1, ended=True), "$poll")
    assert end.body == "📊 It is over.\n1️⃣ Yes — 1\n2️⃣ No — 1"
    assert (end.edits, end.reply_to) == (None, "$poll")


def test_what_counts() -> None:
    def last(*votes: Any, most: int = 1) -> str:
        return _changes(book(), _asks(most=most), *votes)[-1][1]

    assert last(_votes("$1", BOB, "Yes", "No")) == _tally(1, 0)
    assert last(_votes("$1", BOB, "Yes", "No"), most=2) == _tally(1, 1)
    assert last(_votes("$1", BOB, "Yes", "Yes"), most=2) == _tally(1, 0)
    assert last(_votes("$1", BOB, "Yes"), _votes("$2", BOB)) == _tally(0, 0)
    assert last(_votes("$1", BOB, "Yes"), _votes("$2", BOB, "Beer")) == _tally(0, 0)
    assert last(_votes("$1", BOB, "Yes"), _votes("$2", ALICE, "No"), _gone("$1")) == _tally(0, 1)
    stable = message(
        {"m.relates_to": {"event_id": "$poll"}, "m.selections": ["No"]}, "$1", BOB,
        "m.poll.response",
    )  # fmt: skip
    assert last(stable) == _tally(0, 1)


def test_a_poll_whose_votes_are_secret_is_counted_when_it_ends() -> None:
    poll, state_at_end, end = _told(
        book(), _asks(kind="undisclosed"), _votes("$1", BOB, "Yes"), _ends()
    )
    assert (state_at_end.body, state_at_end.edits) == (_tally(1, 0, ended=True), "$poll")
    assert end.body.endswith("1️⃣ Yes — 1\n2️⃣ No — 0")
    assert "—" not in poll.body


def test_only_who_may_ends_it() -> None:
    """Whoever could take back the poll."""
    assert _changes(group_book(), _asks(), _ends(CAROL), _votes("$1", BOB, "No"))
    levels = state("m.room.power_levels", "", {"users": {CAROL: 50}}, "$levels")
    ruled = described(Group(name="Tea", founder=BOB, last="$0"), levels, 0)
    known = Book({})
    draft = known.draft()
    draft.put_group(ROOM, ruled)
    draft.put_groups_known()
    known.apply(draft)
    *_, end = _told(known, _asks(), _votes("$1", BOB, "No"), _ends(CAROL))
    assert end.body.endswith("2️⃣ No — 1")


def test_what_is_gone_is_followed_no_longer() -> None:
    assert not _changes(book(), _asks(), _gone("$poll"), _votes("$1", BOB, "Yes"))
    assert not _changes(book(), _shares(), _gone("$place"), _is_at("geo:1,2", "$1"))


def test_a_poll_that_asks_something_else_begins_anew() -> None:
    edit = _asks("$edit")
    content = edit["content"]
    content[START]["answers"].reverse()
    relation = {"rel_type": "m.replace", "event_id": "$poll"}
    edit["content"] = {**content, "m.new_content": content, "m.relates_to": relation}
    changes = _changes(book(), _asks(), _votes("$1", BOB, "Yes"), edit, _votes("$2", ALICE, "Yes"))
    assert [body for _, body in changes][1:] == [
        "📊 Tea?\n1️⃣ No\n2️⃣ Yes\nTo vote, react or reply with a number.",
        "📊 Tea?\n1️⃣ No — 0\n2️⃣ Yes — 1\nTo vote, react or reply with a number.",
    ]


def test_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of very many votes none is counted, rather than some; and the oldest is forgotten."""
    monkeypatch.setattr(ongoing, "_MOST_VOTERS", 2)
    monkeypatch.setattr(ongoing, "_MOST", 2)
    voters = [_votes(f"$v{n}", f"@u{n}:example.org", "Yes") for n in range(4)]
    told = _told(group_book(), _asks(), *voters, _ends())
    assert [one.body for one in told if one.is_ongoing][:-1] == [_tally(1, 0), _tally(2, 0)]
    assert told[-1].body == "📊 It is over."
    polls = [_at(_asks(f"$p{n}"), 1000 + n) for n in range(3)]
    votes = [_votes(f"$v{n}", BOB, "Yes", of=f"$p{n}") for n in range(3)]
    assert [edited for edited, _ in _changes(book(), *polls, *votes)] == ["$p1", "$p2"]


_ANY = st.recursive(
    st.none() | st.integers() | st.text(max_size=5) | st.just("$poll"),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(["m.relates_to", "event_id", "live", "timeout", START, RESPONSE, "answers",
                         "m.selections", "org.matrix.msc3488.location", "uri"]), inner,
        max_size=4),
    max_leaves=10,
)  # fmt: skip


@given(kind=st.sampled_from([INFO, BEAT, START, RESPONSE, END]), content=_ANY)
def test_no_event_raises(kind: str, content: Any) -> None:
    event = {**message(content, "$x", BOB, kind), "state_key": BOB}
    for known in (book(), group_book()):
        part = outcome(joined(_asks(), event, text("after", "$2")), known)
        assert "RemoteUnreadable" not in {type(one).__name__ for one in part.events}
