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
from adapters.matrix.inbound import Event, as_dict, as_dicts
from adapters.matrix.rooms import Book, Room, RoomId
from gateway.ids import RemoteUserId

_MAX_ID = 255


@dataclass(frozen=True, slots=True)
class Gap:
    """Events of a room that the answer left out."""

    room_id: RoomId
    prev_batch: str
    last: str
    """Where it begins, or empty: at the invitation of the account."""


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
            room = book.room(room_id)
            timeline = as_dict(content.get("timeline"))
            prev_batch = timeline.get("prev_batch")
            if (
                mode is not Mode.FIRST
                and room is not None
                and timeline.get("limited") is True
                and isinstance(prev_batch, str)
                and (room.last or (room.invites and mode is Mode.NEXT))
                and not any(
                    begins_here(event, room.last, account)
                    for event in as_dicts(timeline.get("events"))
                )
            ):
                found.append(Gap(room_id, prev_batch, room.last))
    return found


def begins_here(event: Event, last: str, account: RemoteUserId) -> bool:
    """Whether all after this event is new: it is the last one known or, without one, the
    invitation by which the account came into the room."""
    if last:
        return event.get("event_id") == last
    return (
        event.get("type") == "m.room.member"
        and event.get("state_key") == account
        and as_dict(event.get("content")).get("membership") == "invite"
    )


def news(
    room: Room, events: Sequence[Event], mode: Mode, account: RemoteUserId
) -> Sequence[Event]:
    """The events of a room that were not handed over before."""
    if mode is Mode.FIRST or (mode is Mode.AGAIN and not room.last):
        return ()
    for index in range(len(events) - 1, -1, -1):
        if begins_here(events[index], room.last, account):
            return events[index + 1 :]
    return events


def rooms_in(answer: Event, name: str) -> list[tuple[RoomId, dict[str, Any]]]:
    """The rooms of one part of an answer: join, invite, leave."""
    rooms = as_dict(as_dict(answer.get("rooms")).get(name))
    return [
        (room_id, as_dict(content)) for room_id, content in rooms.items() if is_room_id(room_id)
    ]


def is_room_id(value: object) -> TypeGuard[RoomId]:
    """Whether this can be stored and asked for. Room ids have no form of their own any more."""
    return isinstance(value, str) and 0 < len(value) <= _MAX_ID and value.isprintable()
