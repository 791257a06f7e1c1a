# SPDX-License-Identifier: Apache-2.0
"""Groups that are linked for people without an account, and what those people are there."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.ids import AccountId, NetworkName, RemoteRoomId, UserJid
from gateway.store.kinds import AccountKind
from gateway.store.writer import Connection, Transaction

OUTCAST = "outcast"
"""Who may not come in (XEP-0045 §5.2)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Portal:
    """A linked group."""

    room: RemoteRoomId
    members_only: bool
    """Only who was named comes in, since who has linked it wants that."""
    linked_by: UserJid
    """Empty if they have left the gateway since."""
    is_private: bool = True
    """The network lets in only who is invited. Then nobody comes in here either who was not named
    (DESIGN §6)."""

    @property
    def is_closed(self) -> bool:
        """Whether only who was named comes in."""
        return self.members_only or self.is_private


_PORTAL = "remote_id, members_only, linked_by, is_private"


def _portal(values: tuple[str, int, str, int]) -> Portal:
    room, members_only, linked_by, is_private = values
    return Portal(
        room=RemoteRoomId(room),
        members_only=bool(members_only),
        linked_by=UserJid(linked_by),
        is_private=bool(is_private),
    )


def of_network(db: Connection, network: NetworkName) -> list[Portal]:
    """All of a network."""
    found = db.execute(f"SELECT {_PORTAL} FROM portal WHERE network = ?", (network,))
    return [_portal(values) for values in found]


def find(db: Connection, network: NetworkName, room: RemoteRoomId) -> Portal | None:
    """That of a group, if it is linked."""
    found = db.execute(
        f"SELECT {_PORTAL} FROM portal WHERE network = ? AND remote_id = ?", (network, room)
    ).fetchone()
    return None if found is None else _portal(found)


def link(db: Transaction, network: NetworkName, portal: Portal, now: float) -> None:
    """Link a group; whoever wanted that owns it here."""
    db.execute(
        "INSERT INTO portal (network, remote_id, members_only, linked_by, linked_at)"
        " VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
        (network, portal.room, portal.members_only, portal.linked_by, now),
    )
    set_affiliation(db, network, portal.room, portal.linked_by, "owner")


def untold(db: Connection, network: NetworkName) -> list[Portal]:
    """Those whose address was not told yet to who has linked them."""
    found = db.execute(
        f"SELECT {_PORTAL} FROM portal WHERE network = ? AND NOT is_told", (network,)
    )
    return [_portal(values) for values in found]


def tell(db: Transaction, network: NetworkName, room: RemoteRoomId) -> bool:
    """Whether the group is still linked; its address is told now."""
    told = db.execute(
        "UPDATE portal SET is_told = 1 WHERE network = ? AND remote_id = ?", (network, room)
    )
    return told.rowcount == 1


def unlink(db: Transaction, network: NetworkName, room: RemoteRoomId) -> None:
    """A group is linked no longer."""
    db.execute("DELETE FROM portal WHERE network = ? AND remote_id = ?", (network, room))


def open_up(
    db: Transaction, network: NetworkName, room: RemoteRoomId, *, members_only: bool
) -> None:
    """Change who comes in."""
    db.execute(
        "UPDATE portal SET members_only = ? WHERE network = ? AND remote_id = ?",
        (members_only, network, room),
    )


def told(db: Transaction, network: NetworkName, room: RemoteRoomId, *, is_private: bool) -> bool:
    """The network says whether it lets in only who is invited. False if that is not new."""
    changed = db.execute(
        "UPDATE portal SET is_private = ? WHERE network = ? AND remote_id = ? AND is_private <> ?",
        (is_private, network, room, is_private),
    )
    return changed.rowcount == 1


def move(db: Transaction, network: NetworkName, room: RemoteRoomId, to: RemoteRoomId) -> bool:
    """A linked group goes on as another one, with all that was said of people. False if it is not
    linked, or the other one is."""
    moved = db.execute(
        "INSERT INTO portal"
        " (network, remote_id, members_only, linked_by, linked_at, is_told, is_private)"
        " SELECT network, ?, members_only, linked_by, linked_at, is_told, is_private FROM portal"
        " WHERE network = ? AND remote_id = ? ON CONFLICT DO NOTHING",
        (to, network, room),
    )
    if not moved.rowcount:
        return False
    db.execute(
        "UPDATE portal_user SET remote_id = ? WHERE network = ? AND remote_id = ?",
        (to, network, room),
    )
    unlink(db, network, room)
    return True


# --- what people are there ----------------------------------------------------------------------


def affiliation(db: Connection, network: NetworkName, room: RemoteRoomId, user: UserJid) -> str:
    """What somebody is there: one of `gateway.events.Affiliation`, or `OUTCAST`; empty if nothing
    is said of them."""
    found = db.execute(
        "SELECT affiliation FROM portal_user WHERE network = ? AND remote_id = ? AND user = ?",
        (network, room, user),
    ).fetchone()
    return "" if found is None else str(found[0])


def set_affiliation(
    db: Transaction, network: NetworkName, room: RemoteRoomId, user: UserJid, wanted: str
) -> None:
    """What somebody is from now on; empty if nothing is to be said of them."""
    if wanted:
        db.execute(
            "INSERT INTO portal_user VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE"
            " SET affiliation = excluded.affiliation",
            (network, room, user, wanted),
        )
    else:
        db.execute(
            "DELETE FROM portal_user WHERE network = ? AND remote_id = ? AND user = ?",
            (network, room, user),
        )


def of_user(db: Connection, network: NetworkName, user: UserJid) -> dict[RemoteRoomId, str]:
    """What somebody is in linked groups, where something is said of them."""
    found = db.execute(
        "SELECT remote_id, affiliation FROM portal_user WHERE network = ? AND user = ?",
        (network, user),
    )
    return {RemoteRoomId(room): affiliation for room, affiliation in found}


def forget_user(db: Transaction, network: NetworkName, user: UserJid) -> None:
    """Nothing is kept of somebody but where they may not come in: what they have linked stays."""
    db.execute(
        "DELETE FROM portal_user WHERE network = ? AND user = ? AND affiliation <> ?",
        (network, user, OUTCAST),
    )
    db.execute(
        "UPDATE portal SET linked_by = '' WHERE network = ? AND linked_by = ?", (network, user)
    )
    db.execute("DELETE FROM link_code WHERE network = ? AND user = ?", (network, user))


def named(
    db: Connection, network: NetworkName, room: RemoteRoomId, affiliation: str
) -> list[UserJid]:
    """Who is that there."""
    found = db.execute(
        "SELECT user FROM portal_user WHERE network = ? AND remote_id = ? AND affiliation = ?"
        " ORDER BY user",
        (network, room, affiliation),
    )
    return [UserJid(user) for (user,) in found]


# --- those who are there no longer --------------------------------------------------------------

_ABSENT = (
    "kind = ? AND active_at < ?"
    " AND NOT EXISTS (SELECT 1 FROM occupant WHERE occupant.account = account.id)"
    " AND user NOT IN (SELECT user FROM portal_user WHERE portal_user.network = ?)"
    " AND NOT EXISTS (SELECT 1 FROM conversation JOIN outbound"
    " ON outbound.conversation = conversation.id AND outbound.state = 0"
    " WHERE conversation.account = account.id)"
    " AND NOT EXISTS (SELECT 1 FROM conversation JOIN inbound"
    " ON inbound.conversation = conversation.id AND inbound.state < 2"
    " WHERE conversation.account = account.id)"
)


def see(db: Transaction, network: NetworkName, now: float, before: float) -> None:
    """Whoever is in a group now has been seen, if that was not since ``before``."""
    db.execute(
        "UPDATE account SET active_at = ? WHERE network = ? AND kind = ? AND active_at < ?"
        " AND EXISTS (SELECT 1 FROM occupant WHERE occupant.account = account.id)",
        (now, network, AccountKind.VIRTUAL, before),
    )


def absent(db: Connection, network: NetworkName, before: float, most: int) -> list[AccountId]:
    """People for whom the house speaks and who were in no group since then: nothing is said of
    them there, and nothing of theirs waits."""
    found = db.execute(
        f"SELECT id FROM account WHERE network = ? AND {_ABSENT} LIMIT ?",
        (network, AccountKind.VIRTUAL, before, network, most),
    )
    return [AccountId(account) for (account,) in found]


def is_absent(db: Connection, network: NetworkName, account: AccountId, before: float) -> bool:
    """Whether that is so of one of them."""
    found = db.execute(
        f"SELECT 1 FROM account WHERE id = ? AND {_ABSENT}",
        (account, AccountKind.VIRTUAL, before, network),
    )
    return found.fetchone() is not None


# --- codes --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Code:
    """What links the group in which it is sent."""

    code: str
    user: UserJid
    """Who wants that."""
    by_admin: bool
    """An admin of the gateway, who need not own the group."""
    members_only: bool
    until: float


def put_code(db: Transaction, network: NetworkName, code: Code, now: float) -> None:
    """A new one, in place of those that the same user has not used; what is over goes."""
    db.execute(
        "DELETE FROM link_code WHERE network = ? AND (user = ? OR until <= ?)",
        (network, code.user, now),
    )
    db.execute(
        "INSERT INTO link_code VALUES (?, ?, ?, ?, ?, ?)",
        (network, code.code, code.user, code.by_admin, code.members_only, code.until),
    )


def code(db: Connection, network: NetworkName, typed: str, now: float) -> Code | None:
    """What a code says, while it counts."""
    found = db.execute(
        "SELECT code, user, by_admin, members_only, until FROM link_code"
        " WHERE network = ? AND code = ? AND until > ?",
        (network, typed, now),
    ).fetchone()
    if found is None:
        return None
    said, user, by_admin, members_only, until = found
    return Code(
        code=said,
        user=UserJid(user),
        by_admin=bool(by_admin),
        members_only=bool(members_only),
        until=until,
    )


def drop_code(db: Transaction, network: NetworkName, said: str) -> None:
    """It was used."""
    db.execute("DELETE FROM link_code WHERE network = ? AND code = ?", (network, said))
