# SPDX-License-Identifier: Apache-2.0
"""Events of the state of a room → what the group is, and what its members are."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.matrix.groups import (
    begun_with,
    described,
    everybody,
    member_of,
    seen,
    with_people,
    with_summary,
)
from adapters.matrix.inbound import as_dict
from adapters.matrix.marks import DESTROYED
from adapters.matrix.membership import departure
from adapters.matrix.rooms import Group, Levels
from gateway.events import Affiliation, Departure, Member
from gateway.ids import RemoteUserId
from tests.unit.matrix.samples import ALICE, BOB, CAROL, NOW, ROOM, created, member, state

DAN = RemoteUserId("@dan:example.org")


def _group(*events: Any, **fields: Any) -> Group:
    group = Group(**fields)
    for event in events:
        group = described(group, event, NOW)
    return group


def _named(**fields: Any) -> str:
    return seen(ROOM, Group(**fields), ALICE).name


# --- what it is -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "content", "name"),
    [
        ("m.room.name", {"name": " Tea\n time "}, "Tea time"),
        ("m.room.name", {"name": "\ud800\x00"}, "\ufffd"),
        ("m.room.name", {}, "#tea:example.org"),
        ("m.room.name", {"name": ["Tea"]}, "#tea:example.org"),
        ("m.room.canonical_alias", {"alias": "#coffee:example.org"}, "#coffee:example.org"),
        ("m.room.canonical_alias", {"alias": "coffee"}, "Empty room"),
        ("m.room.canonical_alias", {"alias": {}}, "Empty room"),
        ("m.room.canonical_alias", [], "Empty room"),
    ],
)
def test_names(kind: str, content: Any, name: str) -> None:
    """Spec, "Calculating the display name for a room"."""
    group = _group(state(kind, "", content), alias="#tea:example.org")
    assert seen(ROOM, group, ALICE).name == name


@pytest.mark.parametrize(
    ("heroes", "people", "name"),
    [
        ([], 1, "Empty room"),
        (["Bob"], 2, "Bob"),
        (["Bob", "Carol"], 3, "Bob and Carol"),
        (["Bob", "Carol", "Dan"], 4, "Bob, Carol and Dan"),
        (["Bob", "Carol"], 4, "Bob, Carol and 1 other"),
        (["Bob", "Carol"], 1236, "Bob, Carol and 1233 others"),
        (["Bob", "Carol"], 1, "Empty room (was Bob and Carol)"),
        (["Bob", "Carol"], 0, "Bob and Carol"),
    ],
)
def test_a_group_without_a_name_is_called_after_its_people(
    heroes: list[str], people: int, name: str
) -> None:
    named = {f"@{hero.lower()}:hs": hero for hero in heroes}
    assert _named(heroes=named, people=people) == name


def test_a_summary_names_heroes() -> None:
    summary = {"m.heroes": [ALICE, BOB, "odd", 7, CAROL, DAN], "m.joined_member_count": 5}
    group = with_summary(Group(heroes={DAN: "Dan"}), summary, {BOB: "Bob"}, ALICE)
    assert (group.heroes, group.people) == ({BOB: "Bob", CAROL: "carol", DAN: "Dan"}, 5)
    assert with_summary(group, {"m.joined_member_count": 4}, {}, ALICE).heroes == group.heroes
    both = {"m.joined_member_count": 4, "m.invited_member_count": 3}
    assert with_summary(group, both, {}, ALICE).people == 7


@pytest.mark.parametrize(
    "summary",
    [{}, {"m.heroes": "x"}, {"m.heroes": {}}, {"m.joined_member_count": "5"},
     {"m.joined_member_count": -1}, {"m.joined_member_count": 10**400},
     {"m.joined_member_count": 5, "m.invited_member_count": None}],
)  # fmt: skip
def test_a_malformed_summary_changes_nothing(summary: Any) -> None:
    assert with_summary(Group(people=3), summary, {}, ALICE) == Group(people=3)


def test_without_a_summary_the_members_name_it() -> None:
    members = [Member(user=ALICE, name="A"), Member(user=CAROL), Member(user=BOB, name="Bob")]
    group = with_people(Group(), members, ALICE)
    assert seen(ROOM, group, ALICE).name == "Bob and carol"
    assert with_people(group, members[:1], ALICE) == group


@pytest.mark.parametrize(
    ("rule", "private"),
    [("public", False), ("invite", True), ("knock", True), ("restricted", True), (None, True),
     (["public"], True)],
)  # fmt: skip
def test_who_may_come_in(rule: Any, private: bool) -> None:
    event = state("m.room.join_rules", "", {"join_rule": rule})
    assert seen(ROOM, _group(event, is_private=not private), ALICE).is_private is private


def test_topics() -> None:
    event = {**state("m.room.topic", "", {"topic": "Green\x00"}), "origin_server_ts": 5_000}
    room = seen(ROOM, _group(event), ALICE)
    assert (room.topic, room.topic_by, room.topic_at) == ("Green", BOB, 5.0)
    odd = seen(ROOM, _group(event, state("m.room.topic", "", {"topic": 5}, sender="odd")), ALICE)
    assert (odd.topic, odd.topic_by) == ("", None)
    long = seen(ROOM, _group(state("m.room.topic", "", {"topic": "x" * 10**6})), ALICE)
    assert len(long.topic) <= 4096


def test_only_the_state_of_the_room_itself_counts() -> None:
    for key in ("other", None, 5):
        event = {**state("m.room.name", "", {"name": "Tea"}), "state_key": key}
        assert _group(event) == Group()


@pytest.mark.parametrize(
    ("content", "is_space"),
    [({"type": "m.space"}, True), ({"type": "other"}, False), ({"type": {}}, False), ([], False)],
)
def test_spaces(content: Any, is_space: bool) -> None:
    assert _group(state("m.room.create", "", content)).is_space is is_space


def test_encryption_stays() -> None:
    on = state("m.room.encryption", "", {})
    assert _group(created()).encrypted is False
    made = created()
    made["content"]["org.dragoman.group"] = {"instance": "here", "encrypted": True}
    assert _group(made).encrypted is True, "its homeserver has not written yet that it is"
    for events in ([on, created()], [created(), on], [on, on]):
        assert _group(*events).encrypted is True


# --- who rules, who speaks --------------------------------------------------------------------


def _levels(**content: Any) -> Any:
    return state("m.room.power_levels", "", content)


def _is(group: Group, user: str) -> tuple[Affiliation, bool]:
    found = member_of(group, user, {})
    return found.affiliation, found.may_speak


OWNER, ADMIN, MEMBER, NONE = Affiliation.OWNER, Affiliation.ADMIN, Affiliation.MEMBER, "none"


@pytest.mark.parametrize(
    ("level", "affiliation"),
    [
        (100, OWNER), (150, OWNER), (10**400, OWNER), (99, ADMIN), (50, ADMIN), (49, MEMBER),
        (0, MEMBER), (-10, MEMBER), ("100", OWNER), (" 50 ", ADMIN), ("x", MEMBER), ("-", MEMBER),
        ("9" * 400, MEMBER), ("²", MEMBER), (100.0, OWNER), (float("nan"), MEMBER),
        (float("inf"), OWNER), (True, MEMBER), (None, MEMBER), ([100], MEMBER),
    ],
)  # fmt: skip
def test_levels_become_affiliations(level: Any, affiliation: Affiliation) -> None:
    group = _group(created(), _levels(users={CAROL: level}))
    assert member_of(group, CAROL, {}).affiliation is affiliation
    msgspec.json.encode(group)
    assert member_of(_group(_levels(users_default=level)), DAN, {}).affiliation is affiliation


@pytest.mark.parametrize(
    ("content", "may_speak"),
    [
        ({}, True),
        ({"events_default": 1}, False),
        ({"events_default": 1, "users_default": 1}, True),
        ({"events_default": 50, "events": {"m.room.message": 0}}, True),
        ({"events": {"m.room.message": 10}}, False),
        ({"events": {"m.room.message": 10}, "users": {CAROL: 10}}, True),
        ({"events": {"m.room.encrypted": 10}}, True),
        ({"events": {"m.room.message": "10"}}, False),
        ({"events": "odd", "users": [CAROL]}, True),
        ({"users": {CAROL: -1}}, False),
    ],
)
def test_voice(content: dict[str, Any], may_speak: bool) -> None:
    assert member_of(_group(created(), _levels(**content)), CAROL, {}).may_speak is may_speak


def test_in_an_encrypted_group_the_level_of_encrypted_events_counts() -> None:
    levels = _levels(events={"m.room.message": 100, "m.room.encrypted": 0})
    assert not member_of(_group(created(), levels), CAROL, {}).may_speak
    encryption = state("m.room.encryption", "", {})
    assert member_of(_group(created(), levels, encryption), CAROL, {}).may_speak


def test_in_a_public_room_others_have_no_affiliation() -> None:
    group = _group(state("m.room.join_rules", "", {"join_rule": "public"}))
    assert _is(group, CAROL) == (NONE, True)


@pytest.mark.parametrize(
    ("create", "levels", "bob", "carol"),
    [
        (created(), None, OWNER, MEMBER),
        (created(), {}, MEMBER, MEMBER),
        (created(version="11", additional_creators=[CAROL]), {}, MEMBER, MEMBER),
        (created(version="12"), {}, OWNER, MEMBER),
        (created(version="12"), {"users": {BOB: 0}}, OWNER, MEMBER),
        (created(version="12", additional_creators=[CAROL, 5, "x"]), {}, OWNER, OWNER),
        (created(version="12", additional_creators=CAROL), {}, OWNER, MEMBER),
        (created(version="13"), {}, OWNER, MEMBER),
        (created(version="org.example"), {}, MEMBER, MEMBER),
        (created(version="²"), {}, MEMBER, MEMBER),
        (created(sender="odd", version="12"), {}, MEMBER, MEMBER),
        (state("m.room.create", "", {"room_version": 12}), None, OWNER, MEMBER),
    ],
)
def test_creators(create: Any, levels: Any, bob: Affiliation, carol: Affiliation) -> None:
    """Spec, "Room version 12": creators stand above all levels."""
    more = [] if levels is None else [_levels(**levels)]
    for events in ([create, *more], [*more, create]):
        group = _group(*events)
        found = [member_of(group, user, {}).affiliation for user in (BOB, CAROL)]
        assert found == [bob, carol]


def test_everybody_is_who_has_joined_and_the_account() -> None:
    events = [
        member(BOB, "join", "Bob"), member(CAROL, "join"), member(CAROL, "leave"),
        member(DAN, "invite"), member("odd", "join"), {"type": "m.room.member"},
        state("m.room.member", "@eve:hs", "join"),
    ]  # fmt: skip
    assert [each.user for each in everybody(Group(), events, ALICE)] == [ALICE, BOB]


def test_of_a_list_that_is_too_long_the_rulers_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("adapters.matrix.groups._MAX_MEMBERS", 3)
    events = [member(f"@u{number}:hs", "join") for number in range(9)]
    group = Group(levels=Levels(users={"@u8:hs": 100, "@u7:hs": 50}))
    listed = [each.user for each in everybody(group, events, ALICE)]
    assert listed == [ALICE, "@u8:hs", "@u7:hs"]


# --- who comes and goes -----------------------------------------------------------------------


def _out(membership: Any, sender: Any = CAROL, before: Any = "join", **content: Any) -> Any:
    event = state("m.room.member", CAROL, {"membership": membership, **content}, sender=sender)
    return {**event, "unsigned": {"prev_content": {"membership": before}}}


@pytest.mark.parametrize(
    ("event", "how"),
    [
        (_out("leave"), Departure.LEFT),
        (_out("leave", BOB), Departure.KICKED),
        (_out("leave", BOB, **{DESTROYED: True}), Departure.DESTROYED),
        (_out("leave", **{DESTROYED: True}), Departure.DESTROYED),
        (_out("leave", **{DESTROYED: 1}), Departure.LEFT),
        (_out("ban", BOB, **{DESTROYED: True}), Departure.BANNED),
        (_out("ban", BOB), Departure.BANNED),
        (_out("ban", CAROL), Departure.BANNED),
        (_out("leave", BOB, before=None), Departure.KICKED),
        (_out("leave", before="invite"), None),
        (_out("leave", BOB, before="ban"), Departure.LEFT),
        (_out("ban", BOB, before="leave"), Departure.BANNED),
        (_out("ban", BOB, before="invite"), Departure.BANNED),
        (_out("ban", BOB, before="ban"), None),
        (_out("leave", before="knock"), None),
        (_out("invite"), None),
        (_out(["leave"]), None),
        ({**_out("leave"), "state_key": "odd"}, None),
        ({**_out("leave"), "content": []}, None),
        ({**_out("leave"), "unsigned": []}, Departure.LEFT),
    ],
)
def test_departures(event: Any, how: Departure | None) -> None:
    gone = departure(ROOM, event)
    assert (gone.how if gone else None) == how
    if gone is not None:
        is_own_wish = event["sender"] == CAROL and how is not Departure.BANNED
        assert gone.actor == (None if is_own_wish else event["sender"])


def test_a_departure_without_a_known_actor() -> None:
    gone = departure(ROOM, _out("leave", None, reason="a\x00b"))
    assert gone is not None
    assert (gone.how, gone.actor, gone.reason) == (Departure.KICKED, None, "ab")


@pytest.mark.parametrize(
    ("sender", "key", "content", "contact"),
    [
        (ALICE, BOB, {"membership": "invite", "is_direct": True}, BOB),
        (BOB, ALICE, {"membership": "invite", "is_direct": True}, BOB),
        (BOB, CAROL, {"membership": "invite", "is_direct": True}, None),
        (ALICE, ALICE, {"membership": "invite", "is_direct": True}, None),
        (ALICE, BOB, {"membership": "join", "is_direct": True}, None),
        (ALICE, BOB, {"membership": "invite", "is_direct": "yes"}, None),
        (ALICE, "odd", {"membership": "invite", "is_direct": True}, None),
        (None, [], "odd", None),
    ],
)
def test_with_whom_another_app_begins_a_chat(
    sender: Any, key: Any, content: Any, contact: Any
) -> None:
    event = {**state("m.room.member", "", content, sender=sender), "state_key": key}
    assert begun_with([event], ALICE) == contact


_ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
    | st.sampled_from([ALICE, BOB, "join", "leave", "m.space", "12", "#a:b", "50"]),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(
            ["name", "topic", "alias", "type", "users", "events", "users_default", "membership",
             "events_default", "m.room.message", BOB, "additional_creators", "room_version",
             "reason", "prev_content", "displayname", "m.heroes", "m.joined_member_count"]
        ),
        inner,
        max_size=5,
    ),
    max_leaves=12,
)  # fmt: skip
_KINDS = st.sampled_from(
    ["m.room.create", "m.room.name", "m.room.topic", "m.room.canonical_alias",
     "m.room.join_rules", "m.room.power_levels", "m.room.encryption", "m.room.member"]
)  # fmt: skip


@given(kind=_KINDS, content=_ANY, key=st.sampled_from(["", BOB]) | _ANY, other=_ANY)
def test_no_event_raises(kind: str, content: Any, key: Any, other: Any) -> None:
    event = {"type": kind, "state_key": key, "content": content, "sender": other,
             "origin_server_ts": other, "unsigned": other}  # fmt: skip
    group = with_summary(described(Group(), event, NOW), as_dict(content), {}, ALICE)
    assert msgspec.json.decode(msgspec.json.encode(group), type=Group) == group
    members = everybody(group, [event], ALICE)
    msgspec.json.encode([seen(ROOM, group, ALICE), members, departure(ROOM, event)])
    begun_with([event], ALICE)
