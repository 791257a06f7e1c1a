# SPDX-License-Identifier: Apache-2.0
"""Who may do what in a group, and how that is changed: levels, their defaults, and creators."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.matrix.groups import described, level_of, member_of, seen
from adapters.matrix.powers import affiliated, initial, voiced
from adapters.matrix.rooms import Group
from gateway.errors import Forbidden, Unsupported
from gateway.events import Affiliation, RoomRight
from tests.unit.matrix.samples import ALICE, BOB, CAROL, NOW, ROOM, created, state

OWNER, ADMIN, MEMBER, NONE = Affiliation
DAN = "@dan:example.org"
USUAL: dict[str, Any] = {
    "users": {ALICE: 100, BOB: 50},
    "events": {"m.room.power_levels": 100, "m.room.name": 50},
    "ban": 50,
    "org.example.mine": {"kept": True},
}
"""As clients make groups: Alice rules, Bob administers, Carol is there."""


def _group(content: Any = None, *, public: bool = False, create: Any = None) -> Group:
    group = described(Group(), create or created(sender=ALICE), NOW)
    if content is not None:
        group = described(group, state("m.room.power_levels", "", content), NOW)
    rule = {"join_rule": "public" if public else "invite"}
    return described(group, state("m.room.join_rules", "", rule), NOW)


# --- REQ-525: rights shown are rights that work ------------------------------------------------


@pytest.mark.parametrize(
    ("levels", "level", "affiliation"),
    [
        ({}, 100, OWNER),
        ({}, 50, ADMIN),
        ({"events": {"m.room.power_levels": 150}}, 100, ADMIN),
        ({"events": {"m.room.power_levels": 150}}, 150, OWNER),
        ({"events": {"m.room.name": "101"}}, 100, ADMIN),
        ({"state_default": 101}, 100, ADMIN),
        (
            {"state_default": 101, "events": {"m.room.name": 5, "m.room.power_levels": 5}},
            100,
            OWNER,
        ),
        ({"kick": 60}, 50, MEMBER),
        ({"ban": 60}, 50, MEMBER),
        ({"redact": 60}, 50, MEMBER),
        ({"kick": 60}, 60, ADMIN),
        ({"kick": 0, "ban": 0, "redact": 0}, 0, MEMBER),
        ({"kick": 0, "ban": 0, "redact": 0, "state_default": 0}, 50, ADMIN),
    ],
)
def test_req_525_who_is_shown_to_rule_can(
    levels: Any, level: int, affiliation: Affiliation
) -> None:
    group = _group({**levels, "users": {CAROL: level}})
    assert member_of(group, CAROL, {}).affiliation is affiliation


@pytest.mark.parametrize(
    ("levels", "level", "may"),
    [
        (None, 0, {"topic", "invite"}),  # before there are levels everybody may change the state
        ({}, 0, {"invite"}),
        ({}, 50, {"topic", "invite", "mention-all"}),
        ({"notifications": {"room": 0}}, 0, {"invite", "mention-all"}),
        ({"notifications": "odd"}, 49, {"invite"}),
        ({"invite": 50}, 0, set()),
        ({"invite": 50, "events": {"m.room.topic": 0}}, 0, {"topic"}),
        ({"state_default": 10}, 10, {"topic", "invite"}),
    ],
)
def test_what_the_account_may_do(levels: Any, level: int, may: set[str]) -> None:
    content = None if levels is None else {**levels, "users": {BOB: level}}
    assert set(seen(ROOM, _group(content), BOB).may or ()) == set(map(RoomRight, may))


# --- affiliations -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("user", "affiliation", "level"),
    [
        (CAROL, ADMIN, 50),
        (CAROL, OWNER, 100),
        (BOB, OWNER, 100),
        (BOB, MEMBER, None),
        (ALICE, ADMIN, 50),
        (ALICE, MEMBER, None),
    ],
)
def test_a_change_of_affiliation(user: str, affiliation: Affiliation, level: int | None) -> None:
    changed = affiliated(USUAL, _group(USUAL), ALICE, user, affiliation)
    assert changed is not None
    users = {**USUAL["users"], user: level}
    assert changed == {**USUAL, "users": {k: v for k, v in users.items() if v is not None}}
    assert member_of(_group(changed), user, {}).affiliation is affiliation


@pytest.mark.parametrize(
    ("user", "affiliation"), [(CAROL, MEMBER), (BOB, ADMIN), (ALICE, OWNER), (DAN, MEMBER)]
)
def test_what_they_are_already_is_not_changed(user: str, affiliation: Affiliation) -> None:
    assert affiliated(USUAL, _group(USUAL), ALICE, user, affiliation) is None


@pytest.mark.parametrize(
    ("own", "user", "affiliation", "said"),
    [
        (BOB, CAROL, ADMIN, "You may not change what others may do"),
        (BOB, ALICE, MEMBER, "You may not change what others may do"),
        (CAROL, CAROL, OWNER, "You may not change what others may do"),
    ],
)
def test_who_may_not_change_levels(
    own: str, user: str, affiliation: Affiliation, said: str
) -> None:
    with pytest.raises(Forbidden, match=said):
        affiliated(USUAL, _group(USUAL), own, user, affiliation)


def test_nobody_gives_more_than_they_have_nor_takes_from_their_equals() -> None:
    content = {"users": {ALICE: 60, BOB: 60, DAN: 100}}
    with pytest.raises(Forbidden, match="more rights than you have"):
        affiliated(content, _group(content), ALICE, CAROL, OWNER)
    with pytest.raises(Forbidden, match="as much in this group as you"):
        affiliated(content, _group(content), ALICE, BOB, MEMBER)
    with pytest.raises(Forbidden, match="as much in this group as you"):
        affiliated(content, _group(content), ALICE, DAN, MEMBER)


def test_creators_keep_their_rights() -> None:
    """Spec, "Room version 12": they stand above all levels, and must not be among the users."""
    create = created(sender=ALICE, version="12", additional_creators=[BOB])
    content = {"users": {CAROL: 100, DAN: 50}}
    group = _group(content, create=create)
    for own in (ALICE, BOB, CAROL):
        for creator in (ALICE, BOB):
            with pytest.raises(Forbidden, match="keeps all rights"):
                affiliated(content, group, own, creator, MEMBER)
    changed = affiliated(content, group, ALICE, CAROL, MEMBER)
    assert changed == {"users": {DAN: 50}}
    assert affiliated(content, group, CAROL, DAN, OWNER) == {"users": {CAROL: 100, DAN: 100}}
    assert initial(group)["users"] == {}


def test_before_there_are_levels_their_founder_rules() -> None:
    group = _group()
    content = initial(group)
    assert content["users"] == {ALICE: 100}
    assert affiliated(content, group, ALICE, BOB, ADMIN) == {
        "users": {ALICE: 100, BOB: 50},
        "state_default": 0,
    }


def test_what_levels_cannot_say() -> None:
    same = {"users": {ALICE: 100}, "kick": 100}
    with pytest.raises(Unsupported, match="are owners"):
        affiliated(same, _group(same), ALICE, BOB, ADMIN)
    with pytest.raises(Unsupported, match="all are alike"):
        affiliated(USUAL, _group(USUAL, public=True), ALICE, CAROL, MEMBER)
    everybody = {"users": {ALICE: 100, BOB: 70}, "users_default": 60}
    with pytest.raises(Unsupported, match="all are alike"):
        affiliated(everybody, _group(everybody), ALICE, BOB, MEMBER)


def test_in_a_public_group_an_admin_becomes_like_everybody() -> None:
    for affiliation in (MEMBER, NONE):
        changed = affiliated(USUAL, _group(USUAL, public=True), ALICE, BOB, affiliation)
        assert changed is not None
        assert changed["users"] == {ALICE: 100}


# --- voice ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "may_speak", "users"),
    [
        ({}, False, {CAROL: -1}),
        ({"users": {CAROL: -1}}, True, {}),
        ({"users": {CAROL: -5}}, True, {}),
        ({"users": {CAROL: 10}}, False, {CAROL: -1}),
        ({"events_default": 10}, True, {CAROL: 10}),
        ({"events_default": 10, "users": {CAROL: 10}}, False, {}),
        ({"events_default": 10, "users_default": 10}, False, {CAROL: 9}),
        ({"events_default": 10, "events": {"m.room.message": 0}}, False, {CAROL: -1}),
        ({}, True, None),
        ({"users": {CAROL: -1}}, False, None),
    ],
)
def test_voice_is_a_level(content: Any, may_speak: bool, users: Any) -> None:
    levels = {**content, "users": {ALICE: 100, **content.get("users", {})}}
    changed = voiced(levels, _group(levels), ALICE, CAROL, may_speak=may_speak)
    if users is None:
        assert changed is None
    else:
        assert changed == {**levels, "users": {ALICE: 100, **users}}
        assert member_of(_group(changed), CAROL, {}).may_speak is may_speak


def test_in_an_encrypted_group_voice_is_about_encrypted_messages() -> None:
    levels = {"users": {ALICE: 100}, "events": {"m.room.encrypted": 5}}
    group = described(_group(levels), state("m.room.encryption", "", {}), NOW)
    changed = voiced(levels, group, ALICE, CAROL, may_speak=True)
    assert changed is not None
    assert changed["users"] == {ALICE: 100, CAROL: 5}


def test_where_only_admins_speak_nobody_else_can_be_let() -> None:
    levels = {"users": {ALICE: 100}, "events_default": 50}
    with pytest.raises(Unsupported, match="only those who administer it"):
        voiced(levels, _group(levels), ALICE, CAROL, may_speak=True)
    lowest = {"users": {ALICE: 100}, "events_default": -(2**53), "users_default": -(2**53)}
    with pytest.raises(Unsupported, match="everybody may speak"):
        voiced(lowest, _group(lowest), ALICE, CAROL, may_speak=False)


def test_who_may_not_change_levels_changes_no_voice() -> None:
    with pytest.raises(Forbidden, match="You may not change what others may do"):
        voiced(USUAL, _group(USUAL), BOB, CAROL, may_speak=False)


# --- any content ------------------------------------------------------------------------------

_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)
_LEVEL = st.integers(-200, 200) | _JSON
_NAMES = st.sampled_from([ALICE, BOB, CAROL, DAN])


@given(
    content=st.fixed_dictionaries(
        {},
        optional={
            "users": st.dictionaries(_NAMES, _LEVEL) | _JSON,
            "events": st.dictionaries(
                st.sampled_from(["m.room.power_levels", "m.room.name", "m.room.message"]), _LEVEL
            ),
            "users_default": _LEVEL,
            "events_default": _LEVEL,
            "state_default": _LEVEL,
            "kick": _LEVEL,
            "mine": _JSON,
        },
    ),
    own=_NAMES,
    user=_NAMES,
    affiliation=st.sampled_from(Affiliation),
    may_speak=st.booleans(),
    public=st.booleans(),
)
def test_a_change_does_what_it_says_or_is_refused(
    content: Any, own: str, user: str, affiliation: Affiliation, may_speak: bool, public: bool
) -> None:
    group = _group(content, public=public)
    before = {each: level_of(group, each) for each in (ALICE, BOB, CAROL, DAN)}
    try:
        changes = [
            affiliated(content, group, own, user, affiliation),
            voiced(content, group, own, user, may_speak=may_speak),
        ]
    except (Forbidden, Unsupported):
        return
    for changed in changes:
        if changed is None:
            continue
        after = _group(changed, public=public)
        assert {k: v for k, v in changed.items() if k != "users"} == {
            k: v for k, v in content.items() if k != "users"
        }
        levels = {each: level_of(after, each) for each in before}
        assert {each: level for each, level in levels.items() if each != user} == {
            each: level for each, level in before.items() if each != user
        }
        assert max(levels[user], before[user]) <= before[own] or user == own
    if changes[1] is not None:
        assert member_of(_group(changes[1]), user, {}).may_speak is may_speak
