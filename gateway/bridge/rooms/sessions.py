# SPDX-License-Identifier: Apache-2.0
"""Sessions in the rooms of one network: what they show of themselves, and how they go without
wanting to."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace as changed

import structlog
from msgspec.structs import replace

from gateway.bridge.accounts import Account
from gateway.bridge.ground import Ground
from gateway.bridge.inbound.rows import Committed
from gateway.bridge.ports import XmppPort
from gateway.bridge.rooms import crowd, virtual
from gateway.bridge.rooms.crowd import presence_of
from gateway.ids import RemoteUserId, RoomId, UserJid
from gateway.store import Transaction, members, rooms, sessions, sharing
from gateway.store.rooms import RoomRow
from gateway.store.sessions import Shown

log = structlog.get_logger("rooms")

_MOST_MEMBERS = 100
"""Of a group in which it is shown how its people can be reached (REQ-555)."""
_SOON_S = 1.0
"""What a device shows is told after that, once."""


class Sessions:
    """Those of one network."""

    def __init__(self, ground: Ground, told: Callable[[Committed], None]) -> None:
        self._network = ground.network
        self._store = ground.store
        self._accounts = ground.accounts
        self._clock = ground.clock
        self._tasks = ground.tasks
        self._persist = ground.persist
        self._told = told
        self._port: XmppPort
        self._changed: dict[tuple[RoomId, str], tuple[Account, Shown]] = {}
        """What sessions show that are in, and is not stored yet."""

    def attach(self, port: XmppPort) -> None:
        """Connect to the XMPP side."""
        self._port = port

    # --- what they show --------------------------------------------------------------------------

    def shown(self, room: RoomRow, users: Iterable[RemoteUserId]) -> dict[RemoteUserId, Shown]:
        """How these members can be reached, those of them who are in with a client."""
        reader, users = self._store.reader, tuple(users)
        is_large = bool(users) and members.has_more(reader, room.id, _MOST_MEMBERS)
        found: dict[RemoteUserId, Shown] = {}
        for user in users:
            account = sharing.account_of(reader, room.id, user)
            best = None if account is None else sessions.best(reader, room.id, account)
            if best is not None:
                found[user] = Shown(caps=best.caps) if is_large else best
        return found

    def of_caps(self, room: RoomRow, user: RemoteUserId, node: str) -> str | None:
        """The session of a member whose client says that this is what it can do; without a node,
        the one that is best reached."""
        reader = self._store.reader
        account = sharing.account_of(reader, room.id, user)
        if account is None:
            return None
        for jid, shown in sessions.of_account(reader, room.id, account):
            if not node or "#".join(shown.caps.split(" ")[1:]) == node:
                return jid
        return None

    def shows(self, account: Account, room: RoomRow, jid: str, shown: Shown) -> None:
        """A session in a room shows something else (REQ-506)."""
        if not self._changed:
            self._tasks.spawn(self._store_soon(), "what devices show")
        self._changed[room.id, jid] = account, shown

    async def _store_soon(self) -> None:
        await self._clock.sleep(_SOON_S)
        changes, self._changed = self._changed, {}
        now = self._clock.now()

        def unit(db: Transaction) -> Committed:
            out = Committed()
            for (room, jid), (account, shown) in changes.items():
                with Changing(db, account, room, now, out):
                    sessions.show(db, room, jid, shown)
            return out

        await self._persist.write(unit, self._told)

    def leave(self, account: Account, room: RoomId, jid: str) -> None:
        """A session is no longer in, and perhaps another one speaks for the user now."""
        self._changed.pop((room, jid), None)
        now = self._clock.now()

        def unit(db: Transaction) -> Committed:
            out = Committed()
            with Changing(db, account, room, now, out):
                rooms.leave(db, room, jid)
                virtual.went_out(db, room, account.id, out)
            return out

        self._persist.write(unit, self._told)

    # --- how they go -----------------------------------------------------------------------------

    def put_out(self, jid: str) -> None:
        """A session is not there any more: out of all rooms (REQ-557)."""

        def unit(db: Transaction) -> tuple[list[RoomId], Committed]:
            out, places = Committed(), sessions.places(db, self._network, jid)
            for room in places:
                self._put_out(db, room, jid, out)
            return places, out

        def committed(done: tuple[list[RoomId], Committed]) -> None:
            places, out = done
            self._told(out)
            for room in places:
                self.tell_out(jid, room)

        self._persist.write(unit, committed)

    def miss(
        self, room: RoomId, jids: Iterable[str], missed: Callable[[str, RoomId], None]
    ) -> None:
        """These are not told what is told in a room, so they are out of it (REQ-556)."""

        def unit(db: Transaction) -> Committed:
            out = Committed()
            for jid in jids:
                self._put_out(db, room, jid, out)
            return out

        def committed(out: Committed) -> None:
            self._told(out)
            for jid in jids:
                missed(jid, room)

        self._persist.write(unit, committed)

    def _put_out(self, db: Transaction, room: RoomId, jid: str, out: Committed) -> None:
        account = rooms.account_of(db, room, jid)
        rooms.leave(db, room, jid)
        if account is not None:
            virtual.went_out(db, room, account, out)

    def tell_out(self, jid: str, number: RoomId) -> None:
        """A session is out of a room, which is still there (REQ-512). Not if it is in again."""
        reader = self._store.reader
        user, room = UserJid(jid.partition("/")[0]), rooms.by_id(reader, number)
        if room is None or rooms.is_in(reader, number, jid):
            return
        known = (self._accounts.of(user), self._accounts.virtual(user))
        mine = (members.find(reader, number, one.remote_id) for one in known if one is not None)
        me = next(filter(None, mine), None)
        self._port.frozen(room.remote_id, me.nick if me is not None else "", jid)


class Changing:
    """Within it sessions of an account in a room come, go or show something else. Then those are
    told to whom the user looks different now, once."""

    def __init__(
        self,
        db: Transaction,
        account: Account,
        room: RoomId,
        now: float,
        out: Committed,
        without: str = "",
    ) -> None:
        """``without``: a session that is told all of it anyway."""
        self._db = db
        self._account = account
        self._room = room
        self._now = now
        self._out = out
        self._without = without

    def __enter__(self) -> None:
        self._before = self._best()

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None and self._best() != self._before:
            self._tell()

    def _best(self) -> Shown:
        best = sessions.best(self._db, self._room, self._account.id)
        return Shown() if best is None else changed(best, caps="")

    def _tell(self) -> None:
        db, link = self._db, self._account.link
        room = rooms.by_id(db, self._room)
        me = members.find(db, self._room, self._account.remote_id)
        if room is None or me is None or members.has_more(db, self._room, _MOST_MEMBERS):
            return
        own = rooms.sessions(db, self._room, self._account.id)
        to = tuple(jid for jid in own if jid != self._without)
        if link is not None:
            told = replace(presence_of(room, me), to=to)
            crowd.tell_own(link.intake.rooms.room_rows, db, room, told, self._now, self._out)
        if len(rooms.occupants(db, self._room)) > len(own):
            crowd.note(db, self._room, me.user, me, me, self._out)
