# SPDX-License-Identifier: Apache-2.0
"""In which realm the rooms of an account are: its own, or one that it shares with others.

That follows from what the admin trusts, and may change with every start.
"""

from __future__ import annotations

from gateway.ids import AccountId, ConversationId, NetworkName, RemoteRoomId, RemoteUserId, RoomId
from gateway.store import conversations, rooms, sharing
from gateway.store.writer import Connection, Transaction

_EVER = -(2**62)
"""Before every place of an archive."""


def settle(db: Transaction, account: AccountId, shared: str | None) -> None:
    """The rooms of an account are in this shared realm from now on; in its own if that is None.

    Into a shared realm it brings its rooms with all that was said there, unless somebody else has
    done so before. Out of one it takes nothing along, since it was told by others: the network
    has to tell all of its rooms anew.
    """
    wanted = rooms.realm_of(account) if shared is None else f"realm {shared}"
    (before,) = db.execute("SELECT room_realm FROM account WHERE id = ?", (account,)).fetchone()
    if before == wanted:
        return
    own = rooms.of_account(db, account)
    db.execute("UPDATE account SET room_realm = ? WHERE id = ?", (wanted, account))
    for room in own:
        if room.is_shared or not _bring(db, account, room.id, room.remote_id, wanted):
            _go_out(db, account, room.id)
    sharing.sweep(db)
    if before:  # else there are no rooms yet
        db.execute("UPDATE account SET rooms_untold = 1 WHERE id = ?", (account,))


def untold(db: Connection, network: NetworkName) -> list[AccountId]:
    """The accounts all of whose rooms the network has to tell anew."""
    found = db.execute("SELECT id FROM account WHERE network = ? AND rooms_untold", (network,))
    return [AccountId(account) for (account,) in found]


def told(db: Transaction, account: AccountId) -> None:
    """It is going to."""
    db.execute("UPDATE account SET rooms_untold = 0 WHERE id = ?", (account,))


def _bring(
    db: Transaction, account: AccountId, room: RoomId, remote_id: RemoteRoomId, realm: str
) -> bool:
    made = db.execute(
        "UPDATE OR IGNORE room_link SET realm = ? WHERE room = ? AND home", (realm, room)
    )
    if made.rowcount == 0:
        return False
    (conversation,) = db.execute("SELECT id FROM conversation WHERE room = ?", (room,)).fetchone()
    _queue_apart(db, account, ConversationId(conversation), remote_id)
    db.execute("UPDATE conversation SET account = NULL WHERE id = ?", (conversation,))
    db.execute(
        "UPDATE room SET realm = ?, account = NULL, leader = ? WHERE id = ?",
        (realm, account, room),
    )
    db.execute(
        "INSERT INTO stay (room, account, after, since) SELECT ?, ?, ?, 0 FROM account"
        " JOIN member ON member.room = ? AND member.remote_id = account.remote_id"
        " WHERE account.id = ?",
        (room, account, _EVER, room, account),
    )
    return True


def _queue_apart(
    db: Transaction, account: AccountId, conversation: ConversationId, remote_id: RemoteRoomId
) -> None:
    """What one account wants in a shared room waits beside what others want there."""
    own = conversations.chat(db, account, RemoteUserId(remote_id))
    db.execute("UPDATE outbound SET conversation = ? WHERE conversation = ?", (own, conversation))


def _go_out(db: Transaction, account: AccountId, room: RoomId) -> None:
    db.execute("DELETE FROM room WHERE id = ? AND account IS NOT NULL", (room,))
    for table in ("account_room", "stay", "occupant"):
        db.execute(f"DELETE FROM {table} WHERE room = ? AND account = ?", (room, account))
    db.execute("UPDATE room SET leader = NULL WHERE id = ? AND leader = ?", (room, account))
