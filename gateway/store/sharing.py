# SPDX-License-Identifier: Apache-2.0
"""Rooms that several accounts share: who of them is in, since when, and who is told what.

A room has one list of members and one archive in its realm, which is one account or a homeserver
that the admin trusts. What an account may read of a shared archive is what was said during its
stays, before them where the room shows its past, and what the network has told it of the past;
never what somebody says of whom it wants to hear nothing.
"""

from __future__ import annotations

from collections.abc import Iterable

from gateway.ids import (
    AccountId,
    ConversationId,
    NetworkName,
    RemoteRoomId,
    RemoteUserId,
    RoomId,
    StanzaId,
    UserJid,
)
from gateway.store import put_out
from gateway.store.kinds import AccountKind
from gateway.store.writer import Connection, Transaction


def accounts_of(db: Connection, room: RoomId) -> dict[RemoteUserId, AccountId]:
    """Whose room it is, or was, each as the member that they are."""
    return dict(_sharers(db, room))


def users(db: Connection, room: RoomId) -> dict[RemoteUserId, UserJid]:
    """The members of a room who are users of this gateway."""
    found = db.execute(
        "SELECT account.remote_id, account.user FROM account_room"
        " JOIN account ON account.id = account_room.account"
        f" WHERE account_room.room = ? AND account.kind <> '{AccountKind.HOUSE}'",
        (room,),
    )
    return {RemoteUserId(member): UserJid(user) for member, user in found}


def rulers(db: Connection, room: RoomId) -> frozenset[UserJid]:
    """The users of this gateway who moderate a room."""
    found = db.execute(
        "SELECT account.user FROM account_room JOIN account ON account.id = account_room.account"
        " JOIN member ON member.room = account_room.room"
        " AND member.remote_id = account.remote_id AND member.affiliation IN ('owner', 'admin')"
        f" WHERE account_room.room = ? AND account.kind <> '{AccountKind.HOUSE}'",
        (room,),
    )
    return frozenset(UserJid(user) for (user,) in found)


def _sharers(db: Connection, room: RoomId) -> list[tuple[RemoteUserId, AccountId]]:
    return db.execute(
        "SELECT account.remote_id, account.id FROM account_room"
        " JOIN account ON account.id = account_room.account WHERE account_room.room = ?",
        (room,),
    ).fetchall()


def account_of(db: Connection, room: RoomId, user: RemoteUserId) -> AccountId | None:
    """The account in a room that is one of its members."""
    found = db.execute(
        "SELECT account.id FROM account_room JOIN account ON account.id = account_room.account"
        " WHERE account_room.room = ? AND account.remote_id = ?",
        (room, user),
    ).fetchone()
    return None if found is None else AccountId(found[0])


def users_of(db: Connection, conversation: ConversationId) -> dict[AccountId, UserJid]:
    """Whose a conversation is: all who share it, if it is a room's."""
    found = db.execute(
        "SELECT account.id, account.user FROM conversation"
        " LEFT JOIN account_room ON account_room.room = conversation.room"
        " JOIN account ON account.id = coalesce(conversation.account, account_room.account)"
        " WHERE conversation.id = ?",
        (conversation,),
    )
    return {AccountId(account): UserJid(user) for account, user in found}


# --- who leads ----------------------------------------------------------------------------------


def lead(db: Transaction, room: RoomId, account: AccountId | None) -> None:
    """From now on this account's session tells what the room is and who is there; none, if it is
    None."""
    db.execute("UPDATE room SET leader = ? WHERE id = ?", (account, room))


def led(db: Connection, network: NetworkName) -> list[AccountId | None]:
    """Who leads shared rooms; None if one has no leader."""
    found = db.execute(
        "SELECT DISTINCT leader FROM room WHERE network = ? AND account IS NULL", (network,)
    )
    return [leader for (leader,) in found]


def led_by(
    db: Connection, network: NetworkName, leader: AccountId | None, after: RoomId, most: int
) -> list[tuple[RoomId, RemoteRoomId]]:
    """Rooms of a leader in which somebody is, each with what the network calls it. ``after``: the
    last one of the part before."""
    found = db.execute(
        "SELECT room.id, room_link.remote_id FROM room"
        " JOIN room_link ON room_link.room = room.id AND room_link.home"
        " WHERE room.network = ? AND room.account IS NULL AND room.leader IS ? AND room.id > ?"
        " AND EXISTS (SELECT 1 FROM stay WHERE stay.room = room.id AND stay.up_to IS NULL)"
        " ORDER BY room.id LIMIT ?",
        (network, leader, after, most),
    )
    return [(RoomId(room), RemoteRoomId(remote_id)) for room, remote_id in found]


# --- since when ---------------------------------------------------------------------------------


def begin_stay(db: Transaction, room: RoomId, account: AccountId, now: float) -> None:
    """An account is in from here on."""
    db.execute(
        "INSERT INTO stay (room, account, after, since)"
        " VALUES (?, ?, coalesce((SELECT max(id) FROM archived WHERE room = ?), 0), ?)"
        # Nothing was said since it went.
        " ON CONFLICT (room, account, after) DO UPDATE SET up_to = NULL, since = excluded.since",
        (room, account, room, now),
    )


def reach_back(db: Transaction, room: RoomId, account: AccountId, archive_id: StanzaId) -> None:
    """The network has told an account what another one was told before: so it is due to it, and
    what came since. It had come in already when that was said."""
    db.execute(
        "UPDATE stay SET after = said.id - 1 FROM archived AS said"
        " WHERE said.room = ? AND said.archive_id = ? AND stay.room = said.room"
        " AND stay.account = ? AND stay.up_to IS NULL AND stay.after >= said.id",
        (room, archive_id, account),
    )


def was_in(db: Transaction, room: RoomId, account: AccountId, came_at: float) -> None:
    """The network has told an account, too, of what came to another one then, and could not be
    read: so it had come in already."""
    db.execute(
        "UPDATE stay SET since = min(since, ?) WHERE room = ? AND account = ? AND up_to IS NULL",
        (came_at, room, account),
    )


def is_staying(db: Connection, room: RoomId, account: AccountId) -> bool:
    """Whether an account is in a shared room."""
    found = db.execute(
        "SELECT 1 FROM stay WHERE room = ? AND account = ? AND up_to IS NULL", (room, account)
    )
    return found.fetchone() is not None


def end_stay(db: Transaction, room: RoomId, account: AccountId) -> None:
    """An account is not in any more."""
    up_to = put_out.went_out_after(db, room, account)
    db.execute(
        "UPDATE stay SET up_to = coalesce(?, (SELECT max(id) FROM archived WHERE room = ?), 0)"
        " WHERE room = ? AND account = ? AND up_to IS NULL",
        (up_to, room, room, account),
    )


def staying(db: Connection, room: RoomId) -> list[AccountId]:
    """The accounts that are in a shared room with a session of their own, or may be; the most
    recently active first."""
    found = db.execute(
        "SELECT account.id FROM stay JOIN account ON account.id = stay.account"
        " WHERE stay.room = ? AND stay.up_to IS NULL"
        f" AND account.kind <> '{AccountKind.VIRTUAL}' ORDER BY account.active_at DESC",
        (room,),
    )
    return [AccountId(account) for (account,) in found]


_IS_IN = (
    "NOT EXISTS (SELECT 1 FROM told_gone WHERE told_gone.account = {account}"
    " AND told_gone.room = archived.room AND told_gone.place < archived.id)"
)
_IN_A_STAY = (
    "(NOT archived.fetched AND EXISTS (SELECT 1 FROM stay WHERE stay.room = archived.room"
    " AND stay.account = {account} AND stay.after < archived.id"
    " AND (stay.up_to IS NULL OR archived.id <= stay.up_to)"
    " AND (archived.came_at IS NULL OR archived.came_at >= stay.since))"
    " OR (archived.for_later AND EXISTS (SELECT 1 FROM stay WHERE stay.room = archived.room"
    " AND stay.account = {account} AND (stay.up_to IS NULL OR archived.id <= stay.up_to))))"
)
_ENTITLED = (
    f"(({_IN_A_STAY} AND {_IS_IN}) OR EXISTS (SELECT 1 FROM due"
    " WHERE due.account = {account} AND due.place = archived.id))"
)
_DUE = (
    f"{_ENTITLED} AND archived.sender NOT IN"
    " (SELECT remote_id FROM ignored WHERE ignored.account = {account})"
)
DUE = _DUE.format(account="?")
"""SQL: whether an account (see `takes`) may read what a shared archive has."""
DUE_TO_OCCUPANT = _DUE.format(account="occupant.account")
"""The same of the account of a session in the room."""


def takes(reader: AccountId) -> tuple[AccountId, ...]:
    """The values that `DUE` takes."""
    return (reader,) * DUE.count("?")


def entitled(db: Connection, room: RoomId, place: int) -> list[AccountId]:
    """The accounts that may read what a shared archive has at a place, whomever they ignore."""
    found = db.execute(
        "SELECT account_room.account FROM account_room JOIN archived ON archived.id = ?"
        " JOIN room ON room.id = account_room.room AND room.account IS NULL"
        f" WHERE account_room.room = ? AND {_ENTITLED.format(account='account_room.account')}",
        (place, room),
    )
    return [AccountId(account) for (account,) in found]


def owe(db: Transaction, room: RoomId, account: AccountId, archive_id: StanzaId) -> None:
    """The network has told an account this of the past, so it may read that."""
    db.execute(
        "INSERT OR IGNORE INTO due SELECT ?, id FROM archived WHERE room = ? AND archive_id = ?",
        (account, room, archive_id),
    )


def owe_late(db: Transaction, room: RoomId, account: AccountId, archive_id: StanzaId) -> None:
    """As `owe`, if it was told later than it came: its place does not say for whom it is."""
    db.execute(
        "INSERT OR IGNORE INTO due SELECT ?, id FROM archived"
        " WHERE room = ? AND archive_id = ? AND came_at IS NOT NULL",
        (account, room, archive_id),
    )


def owe_alone(db: Transaction, account: AccountId, place: int) -> None:
    """Nobody else may read that any more: it is known now, by the keys of this account."""
    db.execute("DELETE FROM due WHERE place = ? AND account <> ?", (place, account))
    db.execute("INSERT OR IGNORE INTO due VALUES (?, ?)", (account, place))


def owe_fetched(db: Transaction, account: AccountId, room: RoomId) -> None:
    """All that was fetched in a room was fetched for this account."""
    db.execute(
        "INSERT OR IGNORE INTO due SELECT ?, id FROM archived WHERE room = ? AND fetched",
        (account, room),
    )


def forget_fetched(db: Transaction, account: AccountId, room: RoomId | None = None) -> None:
    """Nothing of the past is for this account any more, in a room or in all of them. What was
    fetched for it alone goes."""
    where, which = ("", ()) if room is None else (" AND archived.room = ?", (room,))
    places = (
        "(SELECT archived.id FROM due JOIN archived ON archived.id = due.place"
        f" WHERE due.account = ?{where})"
    )
    db.execute(
        f"DELETE FROM archived WHERE id IN {places} AND fetched AND NOT EXISTS"
        " (SELECT 1 FROM due WHERE due.place = archived.id AND due.account <> ?)",
        (account, *which, account),
    )
    db.execute(
        f"DELETE FROM due WHERE account = ? AND place IN {places}", (account, account, *which)
    )


def last_stay(db: Connection, room: RoomId, account: AccountId) -> int | None:
    """Up to which place an account was in a shared room; None if it never was."""
    (up_to,) = db.execute(
        "SELECT max(up_to) FROM stay WHERE room = ? AND account = ?", (room, account)
    ).fetchone()
    return None if up_to is None else int(up_to)


def hearers(
    db: Connection,
    room: RoomId,
    told_by: AccountId,
    sender: RemoteUserId,
    came_at: float | None = None,
) -> tuple[str, ...]:
    """The sessions in a room that are told what somebody says or does, as the session of an
    account tells it. ``came_at``: when it came, if it is told later than that, and is not for who
    came in since."""
    found = db.execute(
        "SELECT occupant.jid FROM occupant WHERE occupant.room = ?"
        " AND occupant.account NOT IN (SELECT account FROM ignored WHERE remote_id = ?)"
        " AND occupant.account NOT IN"
        " (SELECT account FROM told_gone WHERE told_gone.room = ? AND told_by = ?)"
        " AND (? IS NULL OR occupant.account = ?"
        " OR EXISTS (SELECT 1 FROM stay WHERE stay.room = occupant.room"
        " AND stay.account = occupant.account AND stay.up_to IS NULL AND stay.since <= ?))",
        (room, sender, room, told_by, came_at, told_by, came_at),
    )
    return tuple(jid for (jid,) in found)


def ignore(db: Transaction, account: AccountId, users: Iterable[RemoteUserId]) -> None:
    """An account wants to hear nothing of these, and of everybody else."""
    db.execute("DELETE FROM ignored WHERE account = ?", (account,))
    db.executemany("INSERT OR IGNORE INTO ignored VALUES (?, ?)", [(account, u) for u in users])


def ignored(db: Connection, account: AccountId) -> frozenset[RemoteUserId]:
    """Of whom an account wants to hear nothing."""
    found = db.execute("SELECT remote_id FROM ignored WHERE account = ?", (account,))
    return frozenset(RemoteUserId(user) for (user,) in found)


def is_ignored(db: Connection, account: AccountId, user: RemoteUserId) -> bool:
    """Whether an account wants to hear nothing of somebody."""
    found = db.execute(
        "SELECT 1 FROM ignored WHERE account = ? AND remote_id = ?", (account, user)
    ).fetchone()
    return found is not None


_OF_NOBODY = (
    "account IS NULL AND NOT EXISTS (SELECT 1 FROM account_room WHERE account_room.room = room.id)"
)


def sweep(db: Transaction) -> tuple[int, int]:
    """Drop shared rooms in which nobody is any more. Returns how many rows waited for sessions in
    them, and the bytes of these."""
    rows, size = db.execute(
        "SELECT count(*), coalesce(sum(length(inbound.payload)), 0) FROM inbound"
        " WHERE inbound.state < 2 AND inbound.conversation IN"
        " (SELECT conversation.id FROM conversation WHERE conversation.room IN"
        f" (SELECT room.id FROM room WHERE room.{_OF_NOBODY}))"
    ).fetchone()
    db.execute(f"DELETE FROM room WHERE {_OF_NOBODY}")
    return int(rows), int(size)
