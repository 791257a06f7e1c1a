# SPDX-License-Identifier: Apache-2.0
"""Whose word counts for what a shared room is and who is there: that of one session, its leader's.

All sessions in a shared room are told the same, but not at the same time. What is said has an id
and enters once, whoever tells it first. What the room is has none, and what one of them tells late
would undo what is newer; so one leads, and another one takes its place only with the whole room as
it is, when that one is not live.

Runs inside the writer's transaction.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from gateway.ids import AccountId
from gateway.store import Transaction, sharing
from gateway.store.rooms import RoomRow


@dataclass(frozen=True, slots=True)
class Leads:
    """Of the session of one account."""

    account: AccountId
    is_live: Callable[[AccountId], bool]

    def does(self, room: RoomRow) -> bool:
        """Whether it leads. In a room of its own it does."""
        return not room.is_shared or room.leader == self.account

    def may_tell(self, db: Transaction, room: RoomRow, *, whole: bool) -> bool:
        """Whether its word counts. ``whole``: it tells all of the room, and may begin to lead."""
        if self.does(room):
            return True
        if not whole or (room.leader is not None and self.is_live(room.leader)):
            return False
        sharing.lead(db, room.id, self.account)
        return True
