# SPDX-License-Identifier: Apache-2.0
"""Answers of /sync → what is told of groups."""

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.matrix import group_speech
from adapters.matrix.filters import Mode
from adapters.matrix.gaps import Fill, Gap, gaps
from adapters.matrix.group_events import said_in
from adapters.matrix.group_sync import to_be_listed
from adapters.matrix.opened import Opened, Unread
from adapters.matrix.parts import MAX_EVENTS, Outcome
from adapters.matrix.rooms import Book, Group, Levels, RoomId
from adapters.matrix.sync import translate
from gateway.events import (
    Affiliation,
    Departure,
    Member,
    RemoteEvent,
    RemoteMember,
    RemoteMemberGone,
    RemoteMessage,
    RemoteProfile,
    RemoteRoom,
    RemoteRoomGap,
    RemoteRoomMessage,
    RemoteUndecryptable,
    RemoteUnreadable,
    RoomRight,
)
from gateway.ids import RemoteMessageId, RemoteRoomId, RemoteUserId
from tests.unit.matrix.samples import (
    ALICE,
    BOB,
    CAROL,
    NOW,
    ROOM,
    book,
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
NAME = state("m.room.name", "", {"name": "Tea"}, "$name")
LIST = [member(ALICE, "join", "Alice"), member(BOB, "join", "Bob"), member(CAROL, "join")]


def _known() -> Book:
    """Of an account whose groups were all told."""
    known = Book({"groups": "1", "avatars": "1", "pasts": "1", "faces": "1"})
    assert known.knows_groups
    return known


def _said(body: str, event_id: str, sender: str = BOB, key: str | None = None) -> RemoteEvent:
    return RemoteRoomMessage(
        room=TEA,
        sender=RemoteUserId(sender),
        id=RemoteMessageId(event_id),
        body=body,
        sent_at=1_000.0,
        key=key,
    )


def _gap(event_id: str) -> RemoteEvent:
    return RemoteRoomGap(room=TEA, id=RemoteMessageId(event_id))


def _room(**fields: Any) -> RemoteRoom:
    may = (RoomRight.TOPIC, RoomRight.INVITE)  # as long as there are no levels
    return RemoteRoom(room=TEA, **{"name": "Tea", "may": may, "shows_past": True, **fields})


def _own(membership: str, event_id: str = "$own", sender: str = ALICE, **content: Any) -> Any:
    event = state("m.room.member", ALICE, {"membership": membership, **content}, event_id, sender)
    return {**event, "unsigned": {"prev_content": {"membership": "join"}}}


def _joins(event_id: str = "$join") -> Any:
    event = state("m.room.member", ALICE, {"membership": "join"}, event_id, ALICE)
    return {**event, "unsigned": {"prev_content": {"membership": "invite"}}}


def _left(*timeline: Any, **more: Any) -> Any:
    return {"rooms": {"leave": joined(*timeline, **more)["rooms"]["join"]}}


def _kinds(result: Outcome) -> list[str]:
    return [type(event).__name__ for event in result.events]


# --- first sight ------------------------------------------------------------------------------


def test_at_a_first_link_groups_are_told_without_messages() -> None:
    known = Book({})
    answer = joined(text("old"), state=[created(), NAME])
    result = outcome(answer, known, Mode.FIRST, lists={ROOM: LIST})
    assert result.events == [
        _room(
            members=(
                Member(user=ALICE, name="Alice"),
                Member(user=BOB, name="Bob", affiliation=Affiliation.OWNER),
                Member(user=CAROL),
            )
        )
    ]
    known.apply(result.draft)
    assert known.groups() == {
        ROOM: Group(
            name="Tea", encrypted=False, founder=BOB, last="$1", message="$1", people=3,
            heroes={BOB: "Bob", CAROL: "carol"}, version=11, shows_past=True,
        )
    }  # fmt: skip
    assert known.knows_groups


def test_a_group_that_the_account_has_come_into() -> None:
    timeline = [text("before", "$1"), _joins(), text("after", "$2"), text("mine", "$3", ALICE)]
    answer = joined(*timeline, state=[created(), NAME])
    result = outcome(answer, _known(), lists={ROOM: LIST})
    assert _kinds(result) == ["RemoteRoom", "RemoteRoomMessage", "RemoteRoomMessage"]
    assert isinstance(result.events[0], RemoteRoom)
    assert result.events[0].is_new
    assert result.events[1:] == [_said("after", "$2"), _said("mine", "$3", ALICE)]


def test_a_new_group_is_told_as_it_is_now() -> None:
    """And not step by step, as it was made."""
    coffee, topic = {"name": "Coffee"}, {"topic": "Green"}
    timeline = [
        created(), _joins(), state("m.room.name", "", coffee, "$c"), text("x", "$x"), NAME,
        state("m.room.topic", "", topic, "$t"),
    ]  # fmt: skip
    room, said = outcome(joined(*timeline), _known(), lists={ROOM: LIST}).events
    assert said == _said("x", "$x")
    assert isinstance(room, RemoteRoom)
    assert (room.name, room.topic, room.is_new) == ("Tea", "Green", True)


def test_a_group_that_an_earlier_version_left_out() -> None:
    assert not Book({}).knows_groups
    for begin in joined, _limited:
        answer = begin(text("since"), state=[created(), NAME])
        result = outcome(answer, Book({}), lists={ROOM: LIST})
        assert _kinds(result) == ["RemoteRoom"]
        assert isinstance(result.events[0], RemoteRoom)
        assert not result.events[0].is_new
        assert result.draft.changes()["groups"] == "1"


def test_without_the_list_who_is_known_is_told_and_the_rest_later() -> None:
    known = _known()
    answer = joined(_joins(), text("x", "$2"), state=[created(), NAME, member(BOB, "join", "Bob")])
    first = outcome(answer, known)
    assert isinstance(first.events[0], RemoteRoom)
    assert [each.user for each in first.events[0].members or ()] == [ALICE, BOB]
    known.apply(first.draft)
    for answer in ({}, joined(text("y", "$3"))):
        assert list(to_be_listed(answer, known, Mode.NEXT, ALICE, "here")) == [ROOM]
        later = outcome(answer, known, lists={ROOM: LIST})
        assert isinstance(later.events[-1], RemoteRoom)
        assert len(later.events[-1].members or ()) == 3
        assert not later.events[-1].is_new
        known.apply(later.draft)
        assert list(to_be_listed({}, known, Mode.NEXT, ALICE, "here")) == []
        draft = known.draft()
        draft.put_group(ROOM, Group(**{**_fields(known), "is_stale": True}))
        known.apply(draft)


def _fields(known: Book) -> dict[str, Any]:
    group = known.groups()[ROOM]
    return {name: getattr(group, name) for name in group.__struct_fields__}


def test_a_room_without_its_state_is_asked_for() -> None:
    result = outcome(joined(text("x")), _known())
    assert (result.events, result.tally.unknown, result.draft.changes()) == ([], 1, {})


def test_spaces_are_remembered_and_not_told() -> None:
    known = _known()
    answer = joined(text("x"), state=[created(type="m.space"), NAME])
    assert list(to_be_listed(answer, known, Mode.NEXT, ALICE, "here")) == []
    for said in (answer, joined(text("y", "$2")), _left(_own("leave"))):
        result = outcome(said, known, lists={ROOM: LIST})
        assert (result.events, result.tally.unknown) == ([], 0)
        known.apply(result.draft)
        assert list(to_be_listed({}, known, Mode.NEXT, ALICE, "here")) == []
    assert known.groups() == {}


def test_where_no_event_is_known_all_is_new() -> None:
    result = outcome(joined(text("a", "$1"), _joins(), text("b", "$2")), group_book(last=""))
    assert _kinds(result) == ["RemoteRoomMessage", "RemoteMember", "RemoteRoomMessage"]


def test_after_a_refused_cursor_all_is_told_anew() -> None:
    known = group_book()
    answer = joined(text("a", "$0"), text("b", "$2"), state=[created(), NAME])
    assert list(to_be_listed(answer, known, Mode.AGAIN, ALICE, "here")) == [ROOM]
    result = outcome(answer, known, Mode.AGAIN, lists={ROOM: LIST})
    assert result.events[0] == _said("b", "$2")
    assert isinstance(result.events[1], RemoteRoom)
    assert len(result.events[1].members or ()) == 3
    assert not result.events[1].is_new


def test_groups_missing_from_a_full_answer_were_left() -> None:
    known = group_book()
    result = outcome({}, known, Mode.AGAIN)
    assert result.events == [RemoteMemberGone(room=TEA, user=ALICE)]
    known.apply(result.draft)
    assert known.groups() == {}


# --- which rooms are groups -------------------------------------------------------------------


def _invites(sender: str, user: str, *, direct: bool) -> Any:
    content = {"membership": "invite", "is_direct": direct}
    return state("m.room.member", user, content, f"$invite-{user}", sender)


def test_a_room_of_the_account_alone_is_not_told_before_somebody_comes() -> None:
    known = _known()
    new = joined(created(ALICE), _joins(), NAME)
    for answer, lists in ((new, {ROOM: LIST[:1]}), (joined(text("x", "$x", ALICE)), {})):
        result = outcome(answer, known, lists=lists)
        assert result.events == []
        known.apply(result.draft)
        assert list(to_be_listed({}, known, Mode.NEXT, ALICE, "here")) == []
    coming = joined(_invites(ALICE, BOB, direct=False), text("hi", "$2", ALICE))
    assert list(to_be_listed(coming, known, Mode.NEXT, ALICE, "here")) == [ROOM]
    result = outcome(coming, known, lists={ROOM: LIST[:1]})
    assert _kinds(result) == ["RemoteRoom", "RemoteRoomMessage"]
    assert isinstance(result.events[0], RemoteRoom)
    assert (result.events[0].name, result.events[0].is_new) == ("Tea", True)


def test_a_chat_that_another_app_begins_is_no_group() -> None:
    """First there is a room, then an invitation, and only then it is in ``m.direct``."""
    known = _known()
    known.apply(outcome(joined(created(ALICE), _joins()), known).draft)
    answer = joined(_invites(ALICE, BOB, direct=True), text("hi", "$2"))
    assert list(to_be_listed(answer, known, Mode.NEXT, ALICE, "here")) == []
    result = outcome(answer, known)
    assert [type(event) for event in result.events] == [RemoteProfile, RemoteMessage]
    known.apply(result.draft)
    assert known.groups() == {}
    assert (known.rooms()[ROOM].contact, known.rooms()[ROOM].encrypted) == (BOB, False)


def test_an_invitation_in_an_old_group_makes_no_chat_of_it() -> None:
    """Nor one that was declined in another app."""
    invites = [created(), NAME, _invites(ALICE, CAROL, direct=True)]
    for known, mode in ((Book({}), Mode.NEXT), (_known(), Mode.FIRST)):
        answer = joined(state=invites)
        assert list(to_be_listed(answer, known, mode, ALICE, "here")) == [ROOM]
        assert _kinds(outcome(answer, known, mode, lists={ROOM: LIST})) == ["RemoteRoom"]
    declined = _left(_invites(BOB, ALICE, direct=True), _own("leave"), state=[created()])
    result = outcome(declined, _known())
    assert (result.events, result.draft.changes()) == ([], {})


def test_an_old_room_of_the_account_alone_is_a_group() -> None:
    for known, mode in ((Book({}), Mode.NEXT), (_known(), Mode.FIRST), (_known(), Mode.AGAIN)):
        answer = joined(_joins(), state=[created(ALICE), NAME])
        result = outcome(answer, known, mode, lists={ROOM: LIST[:1]})
        assert _kinds(result) == ["RemoteRoom"]


def test_a_room_of_the_account_alone_goes_as_it_came() -> None:
    known = _known()
    known.apply(outcome(joined(created(ALICE), _joins()), known).draft)
    last = _left(member(BOB, "join"), text("x"), _own("leave"))
    assert outcome(last, known).events == []
    assert outcome({}, known, Mode.AGAIN).events == []


def test_a_group_in_m_direct_is_a_chat_from_then_on() -> None:
    known = group_book()
    direct = {"type": "m.direct", "content": {BOB: [ROOM]}}
    answer = {**joined(text("a", "$0"), text("b", "$2")), "account_data": {"events": [direct]}}
    assert list(to_be_listed(answer, known, Mode.AGAIN, ALICE, "here")) == []
    result = outcome(answer, known)
    assert result.events[0] == RemoteMemberGone(room=TEA, user=ALICE)
    assert [event.body for event in result.events[1:] if isinstance(event, RemoteMessage)] == ["b"]
    known.apply(result.draft)
    assert (known.groups(), known.rooms()[ROOM].contact) == ({}, BOB)


def test_a_chat_stays_one_when_it_is_unlisted() -> None:
    direct = {"type": "m.direct", "content": {}}
    answer = {**joined(text("a"), NAME), "account_data": {"events": [direct]}}
    assert _kinds(outcome(answer, book())) == ["RemoteMessage"]


# --- what changes -----------------------------------------------------------------------------


def test_changes_come_in_their_place() -> None:
    timeline = [
        text("a", "$1"), state("m.room.name", "", {"name": "Coffee"}, "$2"), text("b", "$3"),
        state("m.room.topic", "", {"topic": "Black"}, "$4"),
    ]  # fmt: skip
    assert outcome(joined(*timeline), group_book()).events == [
        _said("a", "$1"),
        _room(name="Coffee"),
        _said("b", "$3"),
        _room(name="Coffee", topic="Black", topic_by=BOB, topic_at=1_000.0),
    ]


def test_what_has_not_changed_is_not_told() -> None:
    same = [NAME, created(), state("m.room.join_rules", "", {"join_rule": "invite"}, "$r")]
    assert outcome(joined(*same, state=same), group_book()).events == []


def test_who_comes_and_goes() -> None:
    dan = RemoteUserId("@dan:example.org")
    timeline = [
        member(dan, "invite"), member(dan, "join", "Dan"), text("hi", "$1", dan),
        member(dan, "join", "Dan D."), state("m.room.member", dan,
        {"membership": "leave", "reason": "noise"}, "$kick", BOB), member(CAROL, "ban"),
        {**member(CAROL, "leave"), "unsigned": {"prev_content": {"membership": "ban"}}},
    ]  # fmt: skip
    assert outcome(joined(*timeline), group_book()).events == [
        RemoteMember(room=TEA, member=Member(user=dan, name="Dan")),
        _said("hi", "$1", dan),
        RemoteMember(room=TEA, member=Member(user=dan, name="Dan D.")),
        RemoteMemberGone(room=TEA, user=dan, how=Departure.KICKED, actor=BOB, reason="noise"),
        RemoteMemberGone(room=TEA, user=CAROL, how=Departure.BANNED, actor=BOB),
        RemoteMemberGone(room=TEA, user=CAROL, actor=BOB),
    ]


def test_lazily_loaded_members_are_no_news() -> None:
    answer = joined(text("x", "$1"), state=[member(BOB, "join", "Bob")])
    assert outcome(answer, group_book()).events == [_said("x", "$1")]


def test_who_comes_is_what_the_levels_say() -> None:
    known = group_book(levels=Levels(users={CAROL: 50}, speak=50), is_private=False)
    result = outcome(joined(member(CAROL, "join"), member(BOB, "join", "Bob")), known)
    assert result.events == [
        RemoteMember(room=TEA, member=Member(user=CAROL, affiliation=Affiliation.ADMIN)),
        RemoteMember(
            room=TEA,
            member=Member(user=BOB, name="Bob", affiliation=Affiliation.NONE, may_speak=False),
        ),
    ]


@pytest.mark.parametrize(
    "event",
    [
        state("m.room.power_levels", "", {"users": {CAROL: 50}}, "$l"),
        state("m.room.join_rules", "", {"join_rule": "public"}, "$l"),
        state("m.room.encryption", "", {}, "$l"),
    ],
)
@pytest.mark.parametrize("place", ["timeline", "state"])
def test_other_rights_tell_all_members_anew(event: Any, place: str) -> None:
    known = group_book(levels=Levels(users={BOB: 100}))
    there = place == "timeline"
    answer = joined(*[event] * there, text("x", "$2"), state=[] if there else [event])
    assert list(to_be_listed(answer, known, Mode.NEXT, ALICE, "here")) == [ROOM]
    result = outcome(answer, known, lists={ROOM: LIST})
    told = result.events[-1]
    assert isinstance(told, RemoteRoom)
    assert [each.user for each in told.members or ()] == [ALICE, BOB, CAROL]
    known.apply(result.draft)
    assert not known.groups()[ROOM].is_stale


def test_other_rights_without_a_list_are_told_when_there_is_one() -> None:
    known = group_book()
    levels = state("m.room.power_levels", "", {"users": {CAROL: 50}}, "$l")
    known.apply(outcome(joined(levels), known).draft)
    assert known.groups()[ROOM].is_stale
    [told] = outcome({}, known, lists={ROOM: LIST}).events
    assert isinstance(told, RemoteRoom)
    assert [each.affiliation for each in told.members or ()] == [
        Affiliation.MEMBER, Affiliation.MEMBER, Affiliation.ADMIN,
    ]  # fmt: skip


def test_a_group_without_a_name_is_called_anew_when_its_people_change() -> None:
    known = group_book(name="", heroes={BOB: "Bob"}, people=2)
    answer = joined(member(CAROL, "join", "Carol"))
    answer["rooms"]["join"][ROOM]["summary"] = {
        "m.heroes": [BOB, CAROL], "m.joined_member_count": 3,
    }  # fmt: skip
    result = outcome(answer, known)
    assert result.events[0] == _room(name="Bob and Carol")
    known.apply(result.draft)
    renamed = outcome(joined(member(BOB, "join", "Robert")), known)
    assert renamed.events[-1] == _room(name="Robert and Carol")


# --- the account comes out --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("event", "gone"),
    [
        (_own("leave"), RemoteMemberGone(room=TEA, user=ALICE)),
        (_own("leave", sender=BOB, reason="noise"),
         RemoteMemberGone(room=TEA, user=ALICE, how=Departure.KICKED, actor=BOB, reason="noise")),
        (_own("ban", sender=BOB),
         RemoteMemberGone(room=TEA, user=ALICE, how=Departure.BANNED, actor=BOB)),
        (text("x", "$1"), RemoteMemberGone(room=TEA, user=ALICE)),
    ],
)  # fmt: skip
def test_the_account_comes_out_after_the_last_words(event: Any, gone: RemoteMemberGone) -> None:
    known = group_book()
    result = outcome(_left(text("bye", "$b"), event), known)
    assert (result.events[0], result.events[-1]) == (_said("bye", "$b"), gone)
    known.apply(result.draft)
    assert known.groups() == {}
    assert outcome(_left(text("bye", "$b"), event), known).events == []
    again = outcome(joined(_joins(), state=[created(), NAME]), known, lists={ROOM: LIST})
    assert isinstance(again.events[0], RemoteRoom)
    assert again.events[0].is_new


def test_out_and_in_again_in_one_answer_asks_who_is_there() -> None:
    answer = joined(_own("leave", sender=BOB), _joins(), text("back", "$2"))
    known = group_book()
    assert list(to_be_listed(answer, known, Mode.NEXT, ALICE, "here")) == [ROOM]
    result = outcome(answer, known, lists={ROOM: LIST})
    assert _kinds(result) == ["RemoteMember", "RemoteRoomMessage", "RemoteRoom"]


# --- what is said -----------------------------------------------------------------------------


def test_what_is_said_is_as_in_a_chat() -> None:
    emote = message({"msgtype": "m.emote", "body": "waves"}, "$2", CAROL)
    image = message({"msgtype": "m.image", "body": "a.png"}, "$3", CAROL)
    sent = text("mine", "$4", ALICE, **{"org.dragoman.key": "k"})
    others = text("not mine", "$5", BOB, **{"org.dragoman.key": "k"})
    events = [text("hello", "$1"), emote, image, sent, others]
    assert outcome(joined(*events), group_book()).events == [
        _said("hello", "$1"),
        _said("/me waves", "$2", CAROL),
        _said(
            "[image] a.png — https://matrix.to/#/%21room%3Aexample.org/%243?via=example.org",
            "$3",
            CAROL,
        ),
        _said("mine", "$4", ALICE, "k"),
        _said("not mine", "$5", BOB, "k"),
    ]


@pytest.mark.parametrize(
    "event",
    [text("x", "$1", "bob"), text("x", "$1", None), text("x", ""), text("x", "\ud800"),
     {**text("x", "$1"), "type": "m.reaction"}, {**text("x", "$1"), "type": ["x"]}, {}],
)  # fmt: skip
def test_what_says_nothing(event: Any) -> None:
    assert outcome(joined(event, text("after", "$2")), group_book()).events == [
        _said("after", "$2")
    ]


def _opened(*events: Any, opened: Opened) -> Outcome:
    [result] = translate(
        joined(*events), group_book(), mode=Mode.NEXT, account=ALICE, instance="here", fills={},
        now=NOW, opened=opened,
    )  # fmt: skip
    return result


def test_encrypted_messages_are_told_if_they_can_be_read() -> None:
    """The others as what they are, with what they need and who has said them."""
    closed = [message({"ciphertext": "x"}, f"${n}", BOB, "m.room.encrypted") for n in (1, 2)]
    opened = Opened({(ROOM, "$1"): text("clear", "$1")}, {(ROOM, "$2"): Unread("key", "why")})
    result = _opened(*closed, opened=opened)
    said, waiting = result.events
    assert said == _said("clear", "$1")
    assert isinstance(waiting, RemoteUndecryptable)
    assert (str(waiting.room), waiting.contact, waiting.id) == (ROOM, BOB, "$2")
    assert (waiting.needs, waiting.reason) == ("key", "why")


def test_a_defect_of_the_conversion_costs_one_event(monkeypatch: pytest.MonkeyPatch) -> None:
    def defect(room: RemoteRoomId, event: Any, **known: Any) -> Any:
        if event["event_id"] == "$1":
            raise ValueError("secret words")
        return said_in(room, event, **known)

    monkeypatch.setattr(group_speech, "said_in", defect)
    result = outcome(joined(text("secret words", "$1"), text("after", "$2")), group_book())
    unreadable, after = result.events
    assert after == _said("after", "$2")
    assert isinstance(unreadable, RemoteUnreadable)
    assert (str(unreadable.room), unreadable.contact, unreadable.id) == (ROOM, BOB, "$1")
    assert "secret words" in unreadable.content
    assert unreadable.reason.startswith("ValueError")
    assert "secret" not in unreadable.reason


# --- gaps -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("known", "mode", "state_events", "expected"),
    [
        (group_book(), Mode.NEXT, [], [Gap(ROOM, "p", "$0")]),
        (group_book(), Mode.AGAIN, [], [Gap(ROOM, "p", "$0")]),
        (group_book(), Mode.FIRST, [], []),
        (group_book(last=""), Mode.NEXT, [], []),
        (group_book(last="$1"), Mode.NEXT, [], []),
        (group_book(is_space=True), Mode.NEXT, [], []),
        (_known(), Mode.NEXT, [created()], [Gap(ROOM, "p", "", "join")]),
        (_known(), Mode.AGAIN, [created()], []),
        (_known(), Mode.NEXT, [created(type="m.space")], []),
        (_known(), Mode.NEXT, [], []),
        (Book({}), Mode.NEXT, [created()], []),
    ],
)
def test_which_gaps_are_filled(
    known: Book, mode: Mode, state_events: list[Any], expected: list[Gap]
) -> None:
    answer = joined(text("x"), state=state_events)
    answer["rooms"]["join"][ROOM]["timeline"].update(limited=True, prev_batch="p")
    assert gaps(answer, known, mode, ALICE) == expected
    left = {"rooms": {"leave": answer["rooms"]["join"]}}
    assert gaps(left, known, mode, ALICE) == [gap for gap in expected if gap.last]


def test_a_name_of_ones_own_is_not_where_a_new_group_begins() -> None:
    answer = joined(_own("join", displayname="A"), text("x", "$2"), state=[created()])
    answer["rooms"]["join"][ROOM]["timeline"].update(limited=True, prev_batch="p")
    [gap] = gaps(answer, _known(), Mode.NEXT, ALICE)
    fill = Fill([text("before", "$0"), _joins(), text("a", "$1")], complete=True)
    result = outcome(answer, _known(), fills={gap.room_id: fill}, lists={ROOM: LIST})
    assert [event.body for event in result.events if isinstance(event, RemoteRoomMessage)] == [
        "a", "x",
    ]  # fmt: skip


def _limited(*timeline: Any, **more: Any) -> Any:
    answer = joined(*timeline, **more)
    answer["rooms"]["join"][ROOM]["timeline"].update(limited=True, prev_batch="p")
    return answer


def test_what_was_missed_comes_first_and_in_place() -> None:
    coffee = state("m.room.name", "", {"name": "Coffee"}, "$2")
    fill = Fill([text("a", "$1"), coffee, member(CAROL, "leave"), text("b", "$3")], True)
    answer = _limited(text("c", "$4"), state=[coffee, member(BOB, "join", "Bob")])
    result = outcome(answer, group_book(), fills={ROOM: fill})
    assert result.events == [
        _said("a", "$1"),
        _room(name="Coffee"),
        RemoteMemberGone(room=TEA, user=CAROL, how=Departure.KICKED, actor=BOB),
        _said("b", "$3"),
        _said("c", "$4"),
    ]


def test_after_more_than_was_fetched_it_is_asked_who_is_there() -> None:
    known = group_book()
    fill = Fill([text("b", "$3")], complete=False)
    answer = _limited(text("c", "$4"), state=[state("m.room.name", "", {"name": "Coffee"})])
    result = outcome(answer, known, fills={ROOM: fill})
    assert result.events[:2] == [_gap("$3"), _said("b", "$3")]
    assert _kinds(result)[2:] == ["RemoteRoom", "RemoteRoomMessage"]
    known.apply(result.draft)
    assert list(to_be_listed({}, known, Mode.NEXT, ALICE, "here")) == [ROOM]


def test_a_timeline_that_reaches_back_far_enough_misses_nothing() -> None:
    answer = _limited(text("old", "$0"), text("c", "$4"))
    result = outcome(answer, group_book())
    assert result.events == [_said("c", "$4")]


def test_a_gap_is_told_once_before_the_first_event_after_it() -> None:
    """After what the group is, and also where nothing at all was fetched."""
    known, answer = group_book(), _limited(text("b", "$3"), text("c", "$4"))
    nothing = {ROOM: Fill([], complete=False)}
    result = outcome(answer, known, fills=nothing)
    assert result.events == [_gap("$3"), _said("b", "$3"), _said("c", "$4")]
    known.apply(result.draft)
    assert outcome(answer, known, fills=nothing).events == []
    odd = _limited(text("a", ""), text("c", "$4"))
    assert outcome(odd, group_book(), fills=nothing).events == [_gap("$4"), _said("c", "$4")]
    begun = _limited(text("x", "$2"), state=[created(), NAME])
    result = outcome(begun, _known(), fills={ROOM: Fill([], complete=False)}, lists={ROOM: LIST})
    assert _kinds(result) == ["RemoteRoom", "RemoteRoomGap", "RemoteRoomMessage"]


# --- parts and crashes ------------------------------------------------------------------------


def _large() -> dict[str, Any]:
    """Of everything more than fits into one part."""
    dan = [f"@d{number}:hs" for number in range(300)]
    timeline = [
        event
        for number, user in enumerate(dan)
        for event in (
            member(user, "join", f"D{number}"),
            text(str(number), f"${number + 1}", user),
            state("m.room.name", "", {"name": f"Tea {number}"}, f"$n{number}"),
        )
    ]
    levels = state("m.room.power_levels", "", {"users": {CAROL: 50}}, "$l")
    known = {"timeline": {"events": [text("old", "$0"), *timeline, levels, text("end", "$end")]}}
    new = {
        "state": {"events": [created(), NAME]},
        "timeline": {"events": [text("x", "$a"), _joins(), *timeline]},
    }
    quiet = {"state": {"events": [created(), NAME]}, "timeline": {"events": [_joins()]}}
    return {
        "rooms": {
            "join": {ROOM: known, "!new": new, **{f"!q{number}": quiet for number in range(300)}},
            "leave": {"!old": {"timeline": {"events": [text("bye", "$bye"), _own("leave")]}}},
        }
    }


def _several() -> Book:
    known = group_book(encrypted=False)
    draft = known.draft()
    for room_id in ("!old", "!gone"):
        draft.put_group(RoomId(room_id), Group(name=room_id, last="$0"))
    known.apply(draft)
    return known


def _parts(known: Book, mode: Mode, most: int = 1_000) -> list[Outcome]:
    """Commit part after part, up to a crash."""
    answer, found = _large(), []
    wanted = to_be_listed(answer, known, mode, ALICE, "here")
    lists = dict.fromkeys(list(wanted), LIST)
    parts = translate(
        answer, known, mode=mode, account=ALICE, instance="here", fills={}, now=NOW, lists=lists
    )
    for part in itertools.islice(parts, most):
        known.apply(part.draft)
        found.append(part)
    return found


@pytest.mark.parametrize("mode", Mode)
def test_parts_are_small_and_say_the_same(mode: Mode, monkeypatch: pytest.MonkeyPatch) -> None:
    known, whole = _several(), _several()
    parts = _parts(known, mode)
    assert len(parts) > 4
    for part in parts:
        assert len(part.events) <= MAX_EVENTS
        assert len(part.draft.changes()) <= MAX_EVENTS
    monkeypatch.setattr("adapters.matrix.parts._STEPS", 10**9)
    [once] = _parts(whole, mode)
    assert [event for part in parts for event in part.events] == once.events
    assert known.groups() == whole.groups()


def test_long_lists_of_members_come_in_parts_of_their_own() -> None:
    """The gateway stores each of them at once, and others wait for the same writer."""
    quiet = {"state": {"events": [created(), NAME]}, "timeline": {"events": [_joins()]}}
    answer = {"rooms": {"join": {f"!{number}": quiet for number in range(4)}}}
    long = [member(f"@u{number}:hs", "join") for number in range(400)]
    parts = translate(
        answer, _known(), mode=Mode.NEXT, account=ALICE, instance="here", fills={}, now=NOW,
        lists={RoomId(f"!{number}"): long for number in range(4)},
    )  # fmt: skip
    assert [len(part.events) for part in parts] == [2, 2, 0]


class _Gateway:
    """What the gateway knows after a stream of events, each of which may come twice."""

    def __init__(self) -> None:
        self.rooms: dict[str, tuple[RemoteRoom, dict[str, Member]]] = {}
        self.said: list[tuple[str, str]] = []

    def take(self, events: list[RemoteEvent]) -> None:
        for event in events:
            if isinstance(event, RemoteRoom):
                people: dict[str, Member] = {each.user: each for each in event.members or ()}
                if event.members is None and event.room in self.rooms:
                    people = self.rooms[event.room][1]
                plain = RemoteRoom(room=event.room, name=event.name, topic=event.topic)
                self.rooms[event.room] = plain, people
            elif isinstance(event, RemoteMember):
                self.rooms[event.room][1][event.member.user] = event.member
            elif isinstance(event, RemoteMemberGone):
                if event.user == ALICE:
                    self.rooms.pop(event.room, None)
                else:
                    self.rooms[event.room][1].pop(event.user, None)
            elif isinstance(event, RemoteRoomMessage):
                self.said.append((event.room, event.id))


@pytest.mark.parametrize("mode", Mode)
@pytest.mark.parametrize("most", range(1, 12))
def test_a_crash_between_two_parts_changes_nothing(mode: Mode, most: int) -> None:
    known, crashed = _several(), _several()
    whole, after = _Gateway(), _Gateway()
    for gateway in whole, after:
        gateway.take([_room(members=()), _room(members=()), RemoteRoom(room=RemoteRoomId("!old"))])
    for part in _parts(known, mode):
        whole.take(part.events)
    for part in [*_parts(crashed, mode, most), *_parts(crashed, mode)]:
        after.take(part.events)
    assert after.said == whole.said
    assert after.rooms == whole.rooms
    assert crashed.groups() == known.groups()


def test_an_answer_that_comes_twice_changes_nothing() -> None:
    known, gateway = _several(), _Gateway()
    gateway.take([_room(members=()), RemoteRoom(room=RemoteRoomId("!old"))])
    for part in _parts(known, Mode.NEXT):
        gateway.take(part.events)
    rooms, said, groups = dict(gateway.rooms), list(gateway.said), dict(known.groups())
    for part in _parts(known, Mode.NEXT):
        gateway.take(part.events)
    assert (gateway.rooms, gateway.said, known.groups()) == (rooms, said, groups)


def test_a_book_survives_its_store() -> None:
    known = group_book(
        levels=Levels(users={BOB: 100}, speak=5), creators=(BOB,), heroes={BOB: "Bob"}, people=3
    )
    draft = known.draft()
    draft.put_group(RoomId("!b"), known.groups()[ROOM])
    stored = {key: value for key, value in draft.changes().items() if value is not None}
    assert Book(stored).group(RoomId("!b")) == known.group(ROOM)
    draft.put_group(RoomId("!b"), None)
    draft.put_group(ROOM, None)
    assert draft.changes() == {f"group:{ROOM}": None, "group:!b": None}


# --- anything at all --------------------------------------------------------------------------

_SCALARS = st.none() | st.booleans() | st.integers() | st.text(max_size=5)
_KEYS = st.sampled_from(
    ["events", "type", "content", "sender", "state_key", "event_id", "membership", "unsigned",
     "prev_content", "users", "name", "limited", "prev_batch", "m.heroes", BOB]
)  # fmt: skip
_WORDS = st.sampled_from(
    ["m.room.member", "m.room.message", "m.room.create", "m.room.power_levels", "m.room.name",
     "m.room.join_rules", "m.room.encrypted", ALICE, BOB, "invite", "join", "leave", "ban", ""]
)  # fmt: skip
_ANY = st.recursive(
    _SCALARS | _WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEYS, inner, max_size=5),
    max_leaves=20,
)
_EVENT = st.dictionaries(_KEYS, _ANY, max_size=6)
_PART = st.fixed_dictionaries({"events": st.lists(_EVENT, max_size=3)}) | _ANY


@given(
    part=st.dictionaries(st.sampled_from(["timeline", "state", "summary"]), _PART),
    section=st.sampled_from(["join", "leave"]),
    mode=st.sampled_from(Mode),
    listed=st.lists(_EVENT, max_size=3),
    is_known=st.booleans(),
)
def test_no_answer_raises(
    part: Any, section: str, mode: Mode, listed: Any, is_known: bool
) -> None:
    known = group_book() if is_known else _known()
    answer = {"rooms": {section: {ROOM: part}}}
    gaps(answer, known, mode, ALICE)
    lists = dict.fromkeys(to_be_listed(answer, known, mode, ALICE, "here"), listed)
    result = outcome(answer, known, mode, lists=lists)
    Book({key: value for key, value in result.draft.changes().items() if value is not None})
