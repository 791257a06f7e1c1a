# SPDX-License-Identifier: Apache-2.0
"""Contacts of an account: name, picture and subscription (REQ-301)."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from gateway.ids import AccountId, RemoteUserId
from gateway.store.writer import Connection, Transaction


class Subscription(enum.IntEnum):
    """One direction of a subscription. The user's server is the authority; this is our copy."""

    NONE = 0
    ASKED = 1
    GRANTED = 2
    REFUSED = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class ContactRow:
    """What we know of a contact."""

    name: str = ""
    to_user: Subscription = Subscription.NONE
    """Whether the user receives the puppet's presence; refused if they, or the network, have
    ended that."""
    from_user: Subscription = Subscription.NONE
    """Whether the puppet receives the user's presence."""
    invited: bool = False
    """An invitation of the contact waits for the user's answer."""
    avatar: str | None = None
    """What the network calls their picture: empty if they have none, None if it has not said."""

    @property
    def is_subscribed(self) -> bool:
        """In either direction, as in `known`."""
        return self.to_user is Subscription.GRANTED or self.from_user in (
            Subscription.ASKED,
            Subscription.GRANTED,
        )


UNKNOWN = ContactRow()

_PICTURE = (
    "CASE contact.avatar WHEN '' THEN '' ELSE (SELECT avatar.hash FROM account JOIN avatar"
    " ON avatar.network = account.network AND avatar.realm = account.room_realm"
    " AND avatar.reference = contact.avatar WHERE account.id = contact.account) END"
)


def get(db: Connection, account: AccountId, contact: RemoteUserId) -> ContactRow:
    """A contact; one that was never seen is `UNKNOWN`."""
    found = db.execute(
        "SELECT name, to_user, from_user, invited, avatar FROM contact"
        " WHERE account = ? AND remote_id = ?",
        (account, contact),
    ).fetchone()
    if found is None:
        return UNKNOWN
    return ContactRow(
        name=found[0],
        to_user=Subscription(found[1]),
        from_user=Subscription(found[2]),
        invited=bool(found[3]),
        avatar=found[4],
    )


def picture(db: Connection, account: AccountId, contact: RemoteUserId) -> str | None:
    """The hash of a contact's picture, empty if there is none; None as long as that is not
    known."""
    found = db.execute(
        f"SELECT {_PICTURE} FROM contact WHERE account = ? AND remote_id = ?", (account, contact)
    ).fetchone()
    return None if found is None else found[0]


def put(db: Transaction, account: AccountId, contact: RemoteUserId, row: ContactRow) -> None:
    """Store a contact as a whole."""
    db.execute(
        "INSERT OR REPLACE INTO contact"
        " (account, remote_id, name, to_user, from_user, invited, avatar)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        (account, contact, row.name, row.to_user, row.from_user, row.invited, row.avatar),
    )


def subscribed(db: Connection, account: AccountId) -> list[RemoteUserId]:
    """Contacts whose presence the user receives."""
    rows = db.execute(
        "SELECT remote_id FROM contact WHERE account = ? AND to_user = ?",
        (account, Subscription.GRANTED),
    )
    return [RemoteUserId(remote) for (remote,) in rows]


def known(db: Connection, account: AccountId) -> list[RemoteUserId]:
    """Contacts with whom the user shares a subscription in either direction."""
    rows = db.execute(
        "SELECT remote_id FROM contact WHERE account = ? AND (to_user = 2 OR from_user IN (1, 2))",
        (account,),
    )
    return [RemoteUserId(remote) for (remote,) in rows]


def any_that_sees(db: Connection, account: AccountId) -> RemoteUserId | None:
    """A contact who receives the user's presence, if there is one."""
    found = db.execute(
        "SELECT remote_id FROM contact WHERE account = ? AND from_user = ? AND remote_id <> ''"
        " LIMIT 1",
        (account, Subscription.GRANTED),
    ).fetchone()
    return RemoteUserId(found[0]) if found else None


def asked(db: Connection, account: AccountId) -> list[RemoteUserId]:
    """Contacts whom the user wants to see and who are not looked up yet."""
    rows = db.execute(
        "SELECT remote_id FROM contact WHERE account = ? AND to_user = ?",
        (account, Subscription.ASKED),
    )
    return [RemoteUserId(remote) for (remote,) in rows]
