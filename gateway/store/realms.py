# SPDX-License-Identifier: Apache-2.0
"""In which realm the rooms of an account are: its own, or one that it shares with others.

That follows from what the admin trusts, and may change with every start.
"""

from __future__ import annotations

from gateway.events import is_for_one
from gateway.ids import AccountId, NetworkName, RemoteUserId
from gateway.store import conversations, put_out, rooms, sharing
from gateway.store.journal import payload
from gateway.store.rooms import RoomRow
from gateway.store.writer import Connection, Transaction

_EVER = -(2**62)
"""Before every place of an archive."""


def settle(db: Transaction, account: AccountId, shared: str | None) -> None:
    """The rooms of an account are in this shared realm from now on; in its own if that is None.

    Into a shared realm it brings its rooms with all that was said there, unless somebody else has
    done so before. Out of one it takes nothing along, since it was told by others: the network
    has to tell all of its rooms anew. What waits goes on waiting, in either case.
    """
    wanted = rooms.realm_of(account) if shared is None else f"realm {shared}"
    (before,) = db.execute("SELECT room_realm FROM account WHERE id = ?", (account,)).fetchone()
    if before == wanted:
        return
    own = rooms.of_account(db, account)
    db.execute("UPDATE account SET room_realm = ? WHERE id = ?", (wanted, account))
    for room in own:
        if room.is_shared or not _bring(db, account, room, wanted):
            _go_out(db, account, room, wanted)
    sharing.sweep(db)
    if before:  # else there are no rooms yet
        db.execute("UPDATE account SET rooms_untold = 1 WHERE id = ?", (account,))


def untold(db: Connection, network: NetworkName) -> list[AccountId]:
    """The accounts all of whose rooms the network has to tell anew."""
    found = db.execute("SELECT id FROM account WHERE network = ? AND rooms_untold", (network,))
    return [AccountId(account) for (account,) in found]


def told(db: Transaction, account: AccountId) -> None:
    """It is going to, for certain (see `gateway.adapter.Session.tell_rooms`)."""
    db.execute("UPDATE account SET rooms_untold = 0 WHERE id = ?", (account,))


def _bring(db: Transaction, account: AccountId, room: RoomRow, realm: str) -> bool:
    made = db.execute(
        "UPDATE OR IGNORE room_link SET realm = ? WHERE room = ? AND home", (realm, room.id)
    )
    if made.rowcount == 0:
        return False
    _queue_apart(db, account, room)
    db.execute("UPDATE conversation SET account = NULL WHERE id = ?", (room.conversation,))
    db.execute(
        "UPDATE room SET realm = ?, account = NULL, leader = ? WHERE id = ?",
        (realm, account, room.id),
    )
    db.execute(
        "INSERT INTO stay (room, account, after, since) SELECT ?, ?, ?, 0 FROM account"
        " JOIN member ON member.room = ? AND member.remote_id = account.remote_id"
        " WHERE account.id = ?",
        (room.id, account, _EVER, room.id, account),
    )
    sharing.owe_fetched(db, account, room.id)
    return True


def _queue_apart(db: Transaction, account: AccountId, room: RoomRow) -> None:
    """What one account wants in a shared room, and what is told to that one alone, waits beside
    what others want there."""
    own = conversations.chat(db, account, RemoteUserId(room.remote_id))
    before = room.conversation
    db.execute("UPDATE outbound SET conversation = ? WHERE conversation = ?", (own, before))
    waiting = db.execute(
        "SELECT id, payload FROM inbound WHERE conversation = ? AND state < 2", (before,)
    )
    for row, encoded in waiting.fetchall():
        if is_for_one(payload.delivery(encoded)):
            db.execute("UPDATE inbound SET conversation = ? WHERE id = ?", (own, row))


def _go_out(db: Transaction, account: AccountId, room: RoomRow, realm: str) -> None:
    if not room.is_shared:
        _hand_over(db, account, room, realm)
        db.execute("DELETE FROM room WHERE id = ?", (room.id,))
    sharing.forget_fetched(db, account, room.id)
    for table in ("account_room", "stay", "occupant", "gap", "early", "knock"):
        db.execute(f"DELETE FROM {table} WHERE room = ? AND account = ?", (room.id, account))
    put_out.went_out_after(db, room.id, account)
    db.execute("UPDATE room SET leader = NULL WHERE id = ? AND leader = ?", (room.id, account))


def _hand_over(db: Transaction, account: AccountId, room: RoomRow, realm: str) -> None:
    """What waits to be sent in a room that goes is said in the one that others share, and about
    what that one has."""
    (shared,) = db.execute(
        "SELECT conversation.id FROM account"
        " JOIN room_link ON room_link.network = account.network AND room_link.realm = ?"
        " AND room_link.remote_id = ? JOIN conversation ON conversation.room = room_link.room"
        " WHERE account.id = ?",
        (realm, room.remote_id, account),
    ).fetchone()
    waiting = db.execute(
        "SELECT id, message FROM outbound WHERE conversation = ? AND state = 0",
        (room.conversation,),
    ).fetchall()
    for row, message in waiting:
        db.execute(
            "UPDATE outbound SET target = (SELECT there.id FROM message AS here"
            " JOIN message AS there ON there.conversation = ? AND there.part = here.part"
            " AND there.remote_id = here.remote_id WHERE here.id = outbound.target)"
            # What is on its way itself was handed over before.
            " WHERE id = ? AND target IN (SELECT id FROM message WHERE conversation = ?)",
            (shared, row, room.conversation),
        )
        for table, key in (("message", "id"), ("alias", "message")):
            db.execute(
                f"UPDATE OR IGNORE {table} SET conversation = ? WHERE {key} = ?", (shared, message)
            )
    _queue_apart(db, account, room)
