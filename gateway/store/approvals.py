# SPDX-License-Identifier: Apache-2.0
"""Who has asked to be admitted, and what an admin has decided."""

from __future__ import annotations

import enum

from gateway.ids import UserJid
from gateway.store.writer import Connection, Transaction


class Approval(enum.IntEnum):
    """What has become of a user's wish to be admitted."""

    ASKED = 0
    ADMITTED = 1
    REFUSED = 2


def all_approvals(db: Connection) -> dict[UserJid, Approval]:
    """All of them: admins make them one by one. Those who have waited longest come first."""
    rows = db.execute("SELECT user, state FROM approval ORDER BY changed_at")
    return {UserJid(user): Approval(state) for user, state in rows}


def put(db: Transaction, user: UserJid, state: Approval, now: float) -> None:
    """Store a wish or a decision."""
    db.execute("INSERT OR REPLACE INTO approval VALUES (?, ?, ?)", (user, state, now))
