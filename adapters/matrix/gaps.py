# SPDX-License-Identifier: Apache-2.0
"""Which events are new, and which of them an answer of /sync left out. No I/O.

Matrix spec, client-server API, "Syncing": a timeline that is ``limited`` begins after a gap, whose
end is the ``prev_batch`` of the answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeGuard

from adapters.matrix.filters import Mode
from adapters.matrix.groups import creation
from adapters.matrix.inbound import Event, as_dict, as_dicts
from adapters.matrix.rooms import Book, Group, Room, RoomId
from gateway.ids import RemoteUserId

_MAX_ID = 255


@dataclass(frozen=True, slots=True)
class Gap:
    """Events of a room that the answer left out."""

    room_id: RoomId
    prev_batch: str
    last: str
    """Where it begins, or empty: where the account came to what ``entry`` says."""
    entry: str = "invite"


@dataclass(frozen=True, slots=True)
class Fill:
    """What was fetched for a gap, oldest first."""

    events: Sequence[Event]
    complete: bool
    size: int = 0
    """Bytes that were fetched."""


def gaps(answer: Event, book: Book, mode: Mode, account: RemoteUserId) -> list[Gap]:
    """What has to be fetched before the answer can be translated."""
    found = []
    for part in ("join", "leave"):
        for room_id, content in rooms_in(answer, part):
            timeline = as_dict(content.get("timeline"))
            prev_batch = timeline.get("prev_batch")
            gap = None
            if timeline.get("limited") is True and isinstance(prev_batch, str):
                gap = _gap(room_id, content, part, prev_batch, book, mode)
            if gap is not None and not any(
                begins_here(event, gap.last, account, gap.entry)
                for event in as_dicts(timeline.get("events"))
            ):
                found.append(gap)
    return found


def _gap(
    room_id: RoomId, content: Event, part: str, prev_batch: str, book: Book, mode: Mode
) -> Gap | None:
    room, group = book.room(room_id), book.group(room_id)
    if mode is Mode.FIRST:
        return None
    if room is not None:
        is_known = room.last or (room.invites and mode is Mode.NEXT)
        return Gap(room_id, prev_batch, room.last) if is_known else None
    if group is not None:
        return Gap(room_id, prev_batch, group.last) if group.last and not group.is_space else None
    is_next = mode is Mode.NEXT and book.knows_groups
    if part == "join" and is_next and _is_new_group(content):
        return Gap(room_id, prev_batch, "", entry="join")
    return None


def _is_new_group(content: Event) -> bool:
    """Whether the whole state of a room is there, and it is one where people talk."""
    made = creation(state_in(content))
    return made is not None and as_dict(made.get("content")).get("type") != "m.space"


def state_in(content: Event) -> list[dict[str, Any]]:
    """What an answer has of a room, the state before the timeline and the timeline."""
    return [
        event
        for part in ("state", "timeline")
        for event in as_dicts(as_dict(content.get(part)).get("events"))
    ]


def begins_here(event: Event, last: str, account: RemoteUserId, entry: str = "invite") -> bool:
    """Whether all after this event is new: it is the last one known or, without one, that by
    which the account was invited or came into the room (what ``entry`` says)."""
    if last:
        return event.get("event_id") == last
    before = as_dict(as_dict(event.get("unsigned")).get("prev_content"))
    return (
        event.get("type") == "m.room.member"
        and event.get("state_key") == account
        and as_dict(event.get("content")).get("membership") == entry
        and (entry != "join" or before.get("membership") != "join")  # which is another name
    )


def news(
    room: Room, events: Sequence[Event], mode: Mode, account: RemoteUserId, *, unread: bool = False
) -> Sequence[Event]:
    """The events of a room that were not handed over before. ``unread``: of a first answer, they
    are what the user has not read."""
    if mode is Mode.FIRST:
        return events if unread else ()
    if mode is Mode.AGAIN and not room.last:
        return ()
    return _after(events, room.last, account, "invite", events)


def group_news(
    group: Group | None,
    events: Sequence[Event],
    mode: Mode,
    account: RemoteUserId,
    *,
    complete: bool,
) -> Sequence[Event]:
    """The same of a group. None is one that the account has come into, or that an earlier version
    left out: what was said before is not told."""
    last = "" if group is None else group.last
    if mode is Mode.FIRST or (mode is Mode.AGAIN and not last):
        return ()
    if group is not None and not last:
        return events
    return _after(events, last, account, "join", () if group is None and complete else events)


def _after(
    events: Sequence[Event],
    last: str,
    account: RemoteUserId,
    entry: str,
    otherwise: Sequence[Event],
) -> Sequence[Event]:
    for index in range(len(events) - 1, -1, -1):
        if begins_here(events[index], last, account, entry):
            return events[index + 1 :]
    return otherwise


def rooms_in(answer: Event, name: str) -> list[tuple[RoomId, dict[str, Any]]]:
    """The rooms of one part of an answer: join, invite, leave."""
    rooms = as_dict(as_dict(answer.get("rooms")).get(name))
    return [
        (room_id, as_dict(content)) for room_id, content in rooms.items() if is_room_id(room_id)
    ]


def is_room_id(value: object) -> TypeGuard[RoomId]:
    """Whether this can be stored and asked for. Room ids have no form of their own any more."""
    return isinstance(value, str) and 0 < len(value) <= _MAX_ID and value.isprintable()
