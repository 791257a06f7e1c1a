# SPDX-License-Identifier: Apache-2.0
"""Groups: events of a room's state → what the group is, who rules it, who comes and goes. No I/O.

Matrix spec, client-server API, "m.room.create", "m.room.name", "m.room.canonical_alias",
"m.room.topic", "m.room.join_rules", "m.room.power_levels", "m.room.history_visibility",
"m.room.member", "Calculating the display name for a room". As in `inbound`, nothing here raises
for what strangers have written.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from msgspec.structs import replace

from adapters.matrix.ids import is_user_id, split_user_id
from adapters.matrix.inbound import Event, as_dict, display_name, timestamp_of
from adapters.matrix.links import link_to
from adapters.matrix.marks import GROUP_MARKER, is_made_encrypted
from adapters.matrix.media import AVATAR_URL, avatar_in
from adapters.matrix.rooms import Group, Levels, RoomId
from adapters.matrix.text import clean
from gateway.events import (
    Affiliation,
    Member,
    RemoteRoom,
    RemoteRoomMoved,
    RoomRight,
)
from gateway.ids import RemoteRoomId, RemoteUserId

_MAX_NAME_BYTES = 255
_MAX_TOPIC_BYTES = 4_096
_MAX_REASON_BYTES = 512
_MAX_HEROES = 5
_MAX_LEVEL = 2**53
"""Spec, "Canonical JSON": no integer is larger."""
_MAX_MEMBERS = 10_000
"""Of a list, which the gateway stores at once; who rules comes first."""
_OWNER = 100
_ADMIN = 50
_CREATORS_RULE = 12
"""Room version since which creators stand above all levels."""
_SHOWN = ("m.room.name", "m.room.avatar", "m.room.canonical_alias")
Rights = tuple[object, ...]
VISIBILITY = "m.room.history_visibility"
_SHOWS_PAST = ("shared", "world_readable")
"""What is not understood shows nothing: whoever made it up may have meant to hide more."""


# --- what it is -------------------------------------------------------------------------------


def creation(events: Iterable[Event]) -> Event | None:
    """The event by which a room was made, if it is among these: then its whole state is."""
    for event in events:
        if event.get("type") == "m.room.create" and event.get("state_key") == "":
            return event
    return None


def described(group: Group, event: Event, now: float) -> Group:
    """The group after an event of its state. What is no such event changes nothing."""
    if event.get("state_key") != "":
        return group
    content = as_dict(event.get("content"))
    kind = event.get("type")
    if kind == "m.room.create":
        return _created(group, event.get("sender"), content)
    if kind in _SHOWN:
        return _shown(group, kind, content)
    if kind == "m.room.topic":
        topic, sender = content.get("topic"), event.get("sender")
        return replace(
            group,
            topic=clean(topic, _MAX_TOPIC_BYTES) if isinstance(topic, str) else "",
            topic_by=sender if is_user_id(sender) else "",
            topic_at=timestamp_of(event, now) / 1000,
        )
    if kind == "m.room.tombstone":
        new = content.get("replacement_room")
        is_room = isinstance(new, str) and len(new) <= _MAX_NAME_BYTES and new.isprintable()
        return replace(group, moved_to=str(new) if is_room else "")
    return _ruled(group, kind, content)


def _ruled(group: Group, kind: object, content: Mapping[str, Any]) -> Group:
    if kind == "m.room.join_rules":
        return replace(group, is_private=content.get("join_rule") != "public")
    if kind == "m.room.power_levels":
        return replace(group, levels=levels_in(content))
    if kind == "m.room.encryption":
        return replace(group, encrypted=True)
    if kind == VISIBILITY:
        return replace(group, shows_past=content.get("history_visibility") in _SHOWS_PAST)
    return group


def _shown(group: Group, kind: str, content: Mapping[str, Any]) -> Group:
    if kind == "m.room.name":
        return replace(group, name=_line(content.get("name")))
    if kind == "m.room.avatar":
        return replace(group, avatar=avatar_in(content, "url"))
    alias = _line(content.get("alias"))
    return replace(group, alias=alias if alias.startswith("#") and ":" in alias else "")


def version_in(content: Mapping[str, Any]) -> int:
    """The version of a room, from the content of its creation; 0 if it is no number."""
    given = content.get("room_version", "1")
    return int(given[:9]) if isinstance(given, str) and given.isdecimal() else 0


def _created(group: Group, founder: object, content: Mapping[str, Any]) -> Group:
    creators: list[str] = []
    version = version_in(content)
    if version >= _CREATORS_RULE:
        additional = content.get("additional_creators")
        both = [founder, *(additional if isinstance(additional, list) else ())]
        creators = [user_id for user_id in both if is_user_id(user_id)]
    return replace(
        group,
        is_space=content.get("type") == "m.space",
        founder=founder if is_user_id(founder) else "",
        creators=tuple(creators),
        is_meant=GROUP_MARKER in content,
        encrypted=bool(group.encrypted) or is_made_encrypted(content),
        # Spec, "Room History Visibility": shared, where nothing else is said.
        shows_past=group.shows_past is not False,
        version=version,
    )


def levels_in(content: Mapping[str, Any]) -> Levels:
    """Those of an ``m.room.power_levels``, with the defaults of the specification."""
    needed = as_dict(content.get("events"))
    to_speak = _level(content.get("events_default"))
    of_state = _level(content.get("state_default"), _ADMIN)
    users = as_dict(content.get("users"))
    return Levels(
        users={user_id: _level(level) for user_id, level in users.items() if is_user_id(user_id)},
        default=_level(content.get("users_default")),
        speak=_level(needed.get("m.room.message"), to_speak),
        speak_encrypted=_level(needed.get("m.room.encrypted"), to_speak),
        kick=_level(content.get("kick"), _ADMIN),
        ban=_level(content.get("ban"), _ADMIN),
        redact=_level(content.get("redact"), _ADMIN),
        invite=_level(content.get("invite")),
        name=_level(needed.get("m.room.name"), of_state),
        topic=_level(needed.get("m.room.topic"), of_state),
        avatar=_level(needed.get("m.room.avatar"), of_state),
        join_rules=_level(needed.get("m.room.join_rules"), of_state),
        power_levels=_level(needed.get("m.room.power_levels"), of_state),
        mention_all=_level(as_dict(content.get("notifications")).get("room"), _ADMIN),
    )


def _level(value: object, default: int = 0) -> int:
    """Rooms of the first versions have levels in words: "50"."""
    if isinstance(value, str) and len(value) <= 20:
        value = value.strip()
        value = int(value) if value.removeprefix("-").isdecimal() else None
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value:
        return default
    return int(max(-_MAX_LEVEL, min(value, _MAX_LEVEL)))


def seen(room_id: RoomId, group: Group, account: RemoteUserId) -> RemoteRoom:
    """The group as the gateway is told of it, without the members."""
    return RemoteRoom(
        room=RemoteRoomId(room_id),
        name=group.name or group.alias or _named_after(group),
        topic=group.topic,
        topic_by=RemoteUserId(group.topic_by) if group.topic_by else None,
        topic_at=group.topic_at,
        is_private=group.is_private,
        shows_past=group.shows_past is True and group.encrypted is False,
        may=_may(group, account),
        avatar=group.avatar,
        is_listed=not group.is_private and bool(group.alias),
    )


def _may(group: Group, account: RemoteUserId) -> tuple[RoomRight, ...]:
    level, levels = level_of(group, account), effective(group)
    needed = {
        RoomRight.TOPIC: levels.topic,
        RoomRight.INVITE: levels.invite,
        RoomRight.MENTION_ALL: levels.mention_all,
    }
    return tuple(right for right, least in needed.items() if level >= least)


# --- the name of a group without one ----------------------------------------------------------


def _named_after(group: Group) -> str:
    """Spec, "Calculating the display name for a room": after some of its people."""
    names = list(group.heroes.values())
    others = group.people - 1 - len(names)
    if not names:
        return "Empty room"
    if others > 0:
        named = f"{', '.join(names)} and {others} other{'s' if others > 1 else ''}"
    else:
        named = " and ".join([", ".join(names[:-1]), names[-1]] if names[1:] else names)
    return f"Empty room (was {named})" if group.people == 1 else named


def with_summary(
    group: Group, summary: Mapping[str, Any], names: Mapping[str, str], account: RemoteUserId
) -> Group:
    """Spec, "Syncing", "RoomSummary": only what has changed is in it."""
    listed = summary.get("m.heroes")
    if isinstance(listed, list):
        heroes = [user_id for user_id in listed if is_user_id(user_id) and user_id != account]
        group = replace(
            group,
            heroes={
                user_id: names.get(user_id) or group.heroes.get(user_id) or localpart(user_id)
                for user_id in heroes[:_MAX_HEROES]
            },
        )
    counts = [summary.get("m.joined_member_count"), summary.get("m.invited_member_count", 0)]
    if all(isinstance(count, int) and 0 <= count <= _MAX_LEVEL for count in counts):
        group = replace(group, people=sum(counts))
    return group


def with_people(group: Group, members: Iterable[Member], account: RemoteUserId) -> Group:
    """For a homeserver that sends no summary."""
    if group.heroes:
        return group
    names = {member.user: member.name or localpart(member.user) for member in members}
    others = sorted(user_id for user_id in names if user_id != account)
    heroes: dict[str, str] = {user_id: names[user_id] for user_id in others[:_MAX_HEROES]}
    return replace(group, heroes=heroes, people=len(names))


def renamed(group: Group, user_id: str, name: str) -> Group:
    """Somebody has another name."""
    if user_id not in group.heroes:
        return group
    return replace(group, heroes={**group.heroes, user_id: name or localpart(user_id)})


def localpart(user_id: str) -> str:
    """For somebody who has no name."""
    parts = split_user_id(user_id)
    return parts[0] if parts else "somebody"


def _line(value: object) -> str:
    """One clean line, or the empty string in place of anything that is no text."""
    return " ".join(clean(value, _MAX_NAME_BYTES).split()) if isinstance(value, str) else ""


# --- who is there -----------------------------------------------------------------------------


def rights(group: Group) -> Rights:
    """All on which it depends what the members are."""
    return group.founder, group.creators, group.levels, group.is_private, group.encrypted


def level_of(group: Group, user_id: str) -> int:
    """Spec, "m.room.power_levels", with its defaults. Creators have more than anybody."""
    if user_id in group.creators:
        return _MAX_LEVEL + 1
    levels = effective(group)
    return levels.users.get(user_id, levels.default)


def effective(group: Group) -> Levels:
    """The levels of a group, or those that hold as long as none were set."""
    if group.levels is not None:
        return group.levels
    users = {group.founder: _OWNER} if group.founder else {}
    return Levels(users=users, name=0, topic=0, avatar=0, join_rules=0, power_levels=0)


def to_speak(group: Group) -> int:
    """The level needed for messages."""
    levels = effective(group)
    return levels.speak_encrypted if group.encrypted else levels.speak


def to_be(group: Group, affiliation: Affiliation) -> int | None:
    """The level that makes somebody an owner or an admin; None where it needs none.

    REQ-525: an owner can change what the group is and what others may do, an admin can put people
    out and take back what they have said. Nobody is it by less than what is usual, or in a group
    where anybody may do all of that everybody would be.
    """
    levels = effective(group)
    if affiliation is Affiliation.OWNER:
        return max(_OWNER, levels.name, levels.power_levels)
    if affiliation is Affiliation.ADMIN:
        return max(_ADMIN, levels.kick, levels.ban, levels.redact)
    return None


def affiliation_at(group: Group, level: int) -> Affiliation:
    """What somebody of this level is in the group."""
    for affiliation in (Affiliation.OWNER, Affiliation.ADMIN):
        needed = to_be(group, affiliation)
        if needed is not None and level >= needed:
            return affiliation
    return Affiliation.MEMBER if group.is_private else Affiliation.NONE


def member_of(group: Group, user_id: str, content: Mapping[str, Any]) -> Member:
    """What somebody is in the group, by what their member event says."""
    level = level_of(group, user_id)
    return Member(
        user=RemoteUserId(user_id),
        name=display_name(content),
        avatar=avatar_in(content, AVATAR_URL),
        affiliation=affiliation_at(group, level),
        may_speak=level >= to_speak(group),
    )


def everybody(group: Group, events: Iterable[Event], account: RemoteUserId) -> tuple[Member, ...]:
    """Those who are in by these events, and the account, which is told nothing where it is not."""
    joined: dict[str, Mapping[str, Any]] = {account: {}}
    for event in events:
        user_id = event.get("state_key")
        content = as_dict(event.get("content"))
        if event.get("type") == "m.room.member" and is_user_id(user_id):
            if content.get("membership") == "join":
                joined[user_id] = content
            elif user_id != account:
                joined.pop(user_id, None)
    listed = list(joined)
    if len(listed) > _MAX_MEMBERS:
        listed.sort(key=lambda user_id: (user_id != account, -level_of(group, user_id), user_id))
    return tuple(member_of(group, each, joined[each]) for each in listed[:_MAX_MEMBERS])


def has_others(events: Iterable[Event], account: RemoteUserId) -> bool:
    """Whether by these events somebody else is in a room, invited, or asks to be let in."""
    return any(
        event.get("type") == "m.room.member"
        and event.get("state_key") != account
        and as_dict(event.get("content")).get("membership") in ("join", "invite", "knock")
        for event in events
    )


def move(room_id: RoomId, group: Group, event: Event) -> RemoteRoomMoved | None:
    """That a group goes on as another one, by the event that says so ("m.room.tombstone"). Its
    sender is there already."""
    sender = event.get("sender")
    if not group.moved_to or not is_user_id(sender):
        return None
    body = as_dict(event.get("content")).get("body")
    return RemoteRoomMoved(
        room=RemoteRoomId(room_id),
        to=RemoteRoomId(group.moved_to),
        address=link_to(group.moved_to, sender.partition(":")[2]),
        reason=clean(body, _MAX_REASON_BYTES) if isinstance(body, str) else "",
    )


def begun_with(events: Iterable[Event], account: RemoteUserId) -> RemoteUserId | None:
    """With whom a room was begun as a direct chat, before ``m.direct`` says so. Spec,
    "m.room.member", ``is_direct``: whoever invites says it, in another app of the account too."""
    for event in events:
        content = as_dict(event.get("content"))
        if (
            event.get("type") == "m.room.member"
            and content.get("membership") == "invite"
            and content.get("is_direct") is True
        ):
            both = event.get("sender"), event.get("state_key")
            for one, other in (both, both[::-1]):
                if one == account and is_user_id(other) and other != account:
                    return RemoteUserId(other)
    return None
