# SPDX-License-Identifier: Apache-2.0
"""Groups that wait for an account to come in."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from gateway.ids import AccountId, RemoteMessageId, RemoteRoomId, RemoteUserId
from gateway.store.writer import Connection, Transaction

MOST = 100
"""Of one account (REQ-712): strangers invite as many people as they like."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Invitation:
    """One of them."""

    room: RemoteRoomId
    event: RemoteMessageId | None = None
    """The invitation. None where there was none: the group was found, or has taken the place of
    another."""
    address: str
    """By which the account comes in."""
    localpart: str = ""
    """Where the user wants to have the group, if it has no address yet."""
    name: str = ""
    inviter: RemoteUserId | None = None
    is_joining: bool = False
    """A session of the user waits at its door: nobody has to be told of it once more."""
    has_knocked: bool = False
    """The account has asked to be let in, and is not invited yet."""
    own_name: str = ""
    """What the account will be called there, if that is known."""


_ALL = "remote_id, event, address, localpart, name, inviter, joining, knocked, own_name"


def _invitation(values: tuple[object, ...]) -> Invitation:
    room, event, address, localpart, name, inviter, joining, knocked, own_name = map(str, values)
    return Invitation(
        room=RemoteRoomId(room),
        event=RemoteMessageId(event) if event else None,
        address=address,
        localpart=localpart,
        name=name,
        inviter=RemoteUserId(inviter) if inviter else None,
        is_joining=joining == "1",
        has_knocked=knocked == "1",
        own_name=own_name,
    )


def get(db: Connection, account: AccountId, room: RemoteRoomId) -> Invitation | None:
    """That to a group, if it waits."""
    found = db.execute(
        f"SELECT {_ALL} FROM invitation WHERE account = ? AND remote_id = ?", (account, room)
    ).fetchone()
    return None if found is None else _invitation(found)


def of_account(db: Connection, account: AccountId) -> list[Invitation]:
    """All that wait, the oldest first."""
    found = db.execute(
        f"SELECT {_ALL} FROM invitation WHERE account = ? ORDER BY invited_at, remote_id",
        (account,),
    )
    return list(map(_invitation, found))


def put(db: Transaction, account: AccountId, invitation: Invitation, now: float) -> bool:
    """It waits from now on, in place of what is known of it. False if too many wait: invitations
    of strangers take no place of what the user wants."""
    (others,) = db.execute(
        "SELECT count(*) FROM invitation"
        " WHERE account = ? AND remote_id <> ? AND (event = '') = (? = '')",
        (account, invitation.room, invitation.event or ""),
    ).fetchone()
    if others >= MOST:
        return False
    db.execute(
        "INSERT OR REPLACE INTO invitation"
        f" (account, {_ALL}, invited_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            account,
            invitation.room,
            invitation.event or "",
            invitation.address,
            invitation.localpart,
            invitation.name,
            invitation.inviter or "",
            invitation.is_joining,
            invitation.has_knocked,
            invitation.own_name,
            now,
        ),
    )
    return True


def set_joining(
    db: Transaction, account: AccountId, room: RemoteRoomId, *, is_joining: bool
) -> None:
    """A session waits at the door of a group, or no longer."""
    db.execute(
        "UPDATE invitation SET joining = ? WHERE account = ? AND remote_id = ?",
        (is_joining, account, room),
    )


def nobody_joins(db: Transaction, accounts: Iterable[AccountId]) -> None:
    """No session of these accounts waits at any door."""
    db.executemany(
        "UPDATE invitation SET joining = 0 WHERE account = ? AND joining",
        ((account,) for account in accounts),
    )


def drop(db: Transaction, account: AccountId, room: RemoteRoomId) -> None:
    """It waits no more."""
    db.execute("DELETE FROM invitation WHERE account = ? AND remote_id = ?", (account, room))
