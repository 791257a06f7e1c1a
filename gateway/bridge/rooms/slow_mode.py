# SPDX-License-Identifier: Apache-2.0
"""Rooms in which people have to wait between two messages (XEP-0500; REQ-576).

The network has the last word. But it is told to the user at once how long to wait, and not after
the attempts that would be made instead.
"""

from __future__ import annotations

import math

from gateway.bridge.accounts import Account
from gateway.events import Affiliation, SendRoomText
from gateway.ids import RowId
from gateway.store import Transaction, archive, journal, members, rooms
from gateway.store.archive import Wanted
from gateway.store.rooms import RoomRow

LONGEST_S = 86_400
_MOST = 50
"""Messages that are looked at: others were refused."""
_RULERS = (Affiliation.OWNER, Affiliation.ADMIN)


def left_s(db: Transaction, account: Account, room: RoomRow, now: float) -> int:
    """For how many seconds more the user may say nothing. Runs inside the writer's transaction."""
    if not room.slow_mode_s:
        return 0
    me = members.find(db, room.id, account.remote_id)
    if me is None or me.affiliation in _RULERS:
        return 0
    left = _last_said(db, account, room, now) + room.slow_mode_s - now
    return max(0, math.ceil(left))


def _last_said(db: Transaction, account: Account, room: RoomRow, now: float) -> float:
    """When the user, by whichever app, has said the last text: also one on its way."""
    since = now - room.slow_mode_s
    wanted = Wanted(sender=account.remote_id, start=since, most=_MOST, newest=True)
    said = (one.message for one in archive.read(db, room.id, wanted))
    times = [text.sent_at for text in said if text.body and text.replaces is None]
    queue = rooms.queue(db, room, account.id)
    times += [
        row.committed_at
        for row in journal.open_outbound(db, queue, RowId(0), _MOST)
        if isinstance(row.command, SendRoomText) and row.command.edits is None
    ]
    return max(times, default=since)
