# SPDX-License-Identifier: Apache-2.0
"""Sessions in rooms: what they show of themselves, and whether they are still there.

Which there are is in `gateway.store.rooms`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from gateway.events import BEST_REACHED, Availability
from gateway.ids import AccountId, NetworkName, RoomId
from gateway.store.writer import Connection, Transaction


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What a session shows of itself."""

    availability: Availability = Availability.AVAILABLE
    status: str = ""
    caps: str = ""
    """Hash, node and ver (XEP-0115), with spaces between; empty if it says none."""


_SHOWN = "occupant.show, occupant.status, occupant.caps"


def _shown(values: Iterable[str]) -> Shown:
    show, status, caps = values
    availability = Availability(show) if show else Availability.AVAILABLE
    return Shown(availability=availability, status=status, caps=caps)


def show(db: Transaction, room: RoomId, jid: str, shown: Shown) -> None:
    """What a session shows from now on."""
    availability = "" if shown.availability is Availability.AVAILABLE else shown.availability
    db.execute(
        "UPDATE occupant SET show = ?, status = ?, caps = ? WHERE room = ? AND jid = ?",
        (availability, shown.status, shown.caps, room, jid),
    )


def of_account(db: Connection, room: RoomId, account: AccountId) -> list[tuple[str, Shown]]:
    """The sessions of an account in a room by their full JIDs: what is best reached first, of
    equal ones the newest."""
    found = db.execute(
        f"SELECT jid, {_SHOWN} FROM occupant WHERE room = ? AND account = ?"
        " ORDER BY joined_at DESC",
        (room, account),
    )
    sessions = [(jid, _shown(values)) for jid, *values in found]
    return sorted(sessions, key=lambda one: BEST_REACHED.index(one[1].availability))


def best(db: Connection, room: RoomId, account: AccountId) -> Shown | None:
    """What the first of those shows; None if the account has none in the room."""
    return next((shown for _, shown in of_account(db, room, account)), None)


# --- whether they are there ----------------------------------------------------------------------


def heard(db: Transaction, when: Mapping[str, float]) -> None:
    """Sessions, by their full JIDs, have said something."""
    db.executemany(
        "UPDATE occupant SET heard_at = ? WHERE jid = ? AND heard_at < ?",
        [(at, jid, at) for jid, at in when.items()],
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Silent:
    """A session of which nothing was heard for long."""

    jid: str
    room: RoomId
    """One of those that it is in."""
    caps: str


def silent(db: Connection, network: NetworkName, since: float, most: int) -> list[Silent]:
    """Those that were not heard of since a time, which was the longest time ago first."""
    found = db.execute(
        "SELECT occupant.jid, min(occupant.room), max(occupant.caps)"
        " FROM occupant JOIN room ON room.id = occupant.room"
        " WHERE occupant.heard_at < ? AND room.network = ?"
        " GROUP BY +occupant.jid ORDER BY min(occupant.heard_at) LIMIT ?",
        (since, network, most),
    )
    return [Silent(jid=jid, room=RoomId(room), caps=caps) for jid, room, caps in found]


def places(db: Connection, network: NetworkName, jid: str) -> list[RoomId]:
    """The rooms of a network that a session is in."""
    found = db.execute(
        "SELECT occupant.room FROM occupant JOIN room ON room.id = occupant.room"
        " WHERE occupant.jid = ? AND room.network = ?",
        (jid, network),
    )
    return [RoomId(room) for (room,) in found]


def accounts(db: Connection, network: NetworkName) -> set[AccountId]:
    """The accounts of which a session is in any room."""
    found = db.execute(
        "SELECT DISTINCT occupant.account FROM occupant JOIN room ON room.id = occupant.room"
        " WHERE room.network = ? AND occupant.account IS NOT NULL",
        (network,),
    )
    return {AccountId(account) for (account,) in found}
