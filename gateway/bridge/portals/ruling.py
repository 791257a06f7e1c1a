# SPDX-License-Identifier: Apache-2.0
"""What people do with linked groups for whom the house speaks: about one another it is decided
here, and about people of the network there, by the rights that the house has.

The network would do for the house whatever it may, so who may ask for it is checked here.
"""

from __future__ import annotations

from msgspec import structs

from gateway.bridge.accounts import Account
from gateway.bridge.ground import Ground
from gateway.bridge.inbound.rows import Committed
from gateway.bridge.rooms import virtual
from gateway.bridge.rooms.network_rooms import NetworkRooms
from gateway.bridge.rooms.rooms import is_ruler
from gateway.errors import Forbidden, NotFound, Unsupported
from gateway.events import (
    Affiliation,
    Departure,
    DescribeRoom,
    DestroyRoom,
    InviteToRoom,
    LeaveRoom,
    LiftBan,
    Member,
    RemoveFromRoom,
    RoomAction,
    SetAffiliation,
    SetVoice,
)
from gateway.ids import RemoteMessageId, RemoteRoomId, RemoteUserId, is_virtual, user_of
from gateway.store import Transaction, conversations, members, portals, texts
from gateway.store.archive import Archived
from gateway.store.members import MemberRow
from gateway.store.portals import OUTCAST
from gateway.store.rooms import RoomRow
from gateway.text.wording import tr

_NOT_IN = tr("You are not in this group.")
_ONLY_RULERS = tr("Only owners and admins of this group may do that.")
_NO_VOICE = tr("People on XMPP cannot be silenced in this group. They can be put out of it.")
_NO_INVITATION = tr(
    "Only people on XMPP can be invited from here. Others are invited in the network's app."
)
_ONLY_OWNERS = tr("Only an owner decides who is an owner or an admin.")
_LAST_OWNER = tr("Without this owner the group would have none.")
IS_PRIVATE = tr(
    "This group is private on the network: only who is named by an owner or an admin comes in."
)
_RULERS = (Affiliation.OWNER, Affiliation.ADMIN)
_NOBODY = tr("Nobody on XMPP has said this.")
_KICKED = tr("{nick} is out of the room on XMPP, and may come again.")
_BANNED = tr("{nick} is banned from the room on XMPP.")
_MAY_COME = tr("{nick} may come into the room on XMPP again.")


class Ruling:
    """Of the linked groups of one network."""

    def __init__(self, ground: Ground, rooms: NetworkRooms) -> None:
        self._network = ground.network
        self._store = ground.store
        self._accounts = ground.accounts
        self._portals = ground.portals
        self._now = ground.clock.now
        self._rooms = rooms

    async def do(self, account: Account, action: RoomAction) -> RemoteRoomId | None:
        """Carry something out that somebody wants for whom the house speaks. Raises any
        `AdapterError`, and `StoreUnavailable`."""
        room_id: RemoteRoomId | None = getattr(action, "room", None)
        room = None if room_id is None else self._rooms.known(account, room_id)
        me = None if room is None else self._rooms.me(account, room)
        if room is None or me is None:
            raise NotFound(_NOT_IN)
        user: RemoteUserId | None = getattr(action, "user", None)
        match action:
            case LeaveRoom():
                await self._put_out(room, account.remote_id, Departure.LEFT, me)
                return None
            case InviteToRoom():
                await self._invite(room, me, action)
                return None
        if not is_ruler(me):
            raise Forbidden(_ONLY_RULERS)
        if user is not None:
            self._spare_owners(room, me, user, action)
        if user is not None and is_virtual(user):
            await self._do_here(room, me, user, action)
            return None
        if isinstance(action, DestroyRoom):
            if me.affiliation is not Affiliation.OWNER:
                raise Forbidden(_ONLY_RULERS)
            await self._portals.unlink(room.remote_id, by=account.user)
            return None
        if isinstance(action, DescribeRoom) and action.is_private is not None:
            await self._describe(account, room, action)
            return None
        return await self._rooms.management.on_network(account, action)

    async def _describe(self, account: Account, room: RoomRow, action: DescribeRoom) -> None:
        """Who comes in is decided here, as far as the network leaves that open."""
        is_private = bool(action.is_private)
        portal = self._portals.of(room.remote_id)
        if portal is not None and portal.is_private and not is_private:
            raise Unsupported(IS_PRIVATE)
        await self._portals.open_up(room.remote_id, members_only=is_private)
        if action.name is not None or action.topic is not None:
            action = structs.replace(action, is_private=None)
            await self._rooms.management.on_network(account, action)

    async def put_out(
        self, remote_id: RemoteRoomId, message: RemoteMessageId, how: Departure
    ) -> str:
        """See `gateway.adapter.AccountContext.put_out`."""
        house = self._accounts.house
        room = None if house is None else self._rooms.known(house, remote_id)
        said = None if room is None else self._said(room, message)
        if room is None or said is None or not is_virtual(said.sender):
            return self._portals.in_words(_NOBODY)
        user, nick = said.sender, said.message.nick
        if how is Departure.LEFT:
            await self._affiliate(room, user, "")
            return self._portals.in_words(_MAY_COME.format(nick=nick))
        wanted = OUTCAST if how is Departure.BANNED else None
        await self._put_out(room, user, how, None, affiliation=wanted)
        text = _BANNED if how is Departure.BANNED else _KICKED
        return self._portals.in_words(text.format(nick=nick))

    def _said(self, room: RoomRow, message: RemoteMessageId) -> Archived | None:
        """What the network calls so, as the archive has it."""
        reader = self._store.reader
        found = conversations.by_remote_id(reader, room.conversation, message)
        if found is None:
            return None
        return texts.first(reader, room.id, found.id if found.about is None else found.about)

    def _spare_owners(
        self, room: RoomRow, me: MemberRow, user: RemoteUserId, action: RoomAction
    ) -> None:
        """XEP-0045 §10.3 to §10.7: who is an owner or an admin is decided by owners, and one is
        left. Of people of the network the house would do it for anybody."""
        wanted = getattr(action, "affiliation", None)
        if is_virtual(user):
            before = self._portals.affiliation(room.remote_id, user_of(user))
        else:
            member = self._rooms.member(room, user)
            before = "" if member is None else member.affiliation
        is_removed = isinstance(action, RemoveFromRoom)
        is_about_rulers = before == Affiliation.OWNER or (
            not is_removed and (before == Affiliation.ADMIN or wanted in _RULERS)
        )
        if is_about_rulers and me.affiliation is not Affiliation.OWNER:
            raise Forbidden(_ONLY_OWNERS)
        if not is_virtual(user) or before != Affiliation.OWNER or wanted is Affiliation.OWNER:
            return
        is_kick = is_removed and not getattr(action, "is_ban", False)
        if not is_kick and self._portals.named(room.remote_id, before) == [user_of(user)]:
            raise Forbidden(_LAST_OWNER)

    async def _do_here(
        self, room: RoomRow, me: MemberRow, user: RemoteUserId, action: RoomAction
    ) -> None:
        """About somebody for whom the house speaks, too."""
        match action:
            case RemoveFromRoom(is_ban=True, reason=reason):
                await self._put_out(
                    room, user, Departure.BANNED, me, affiliation=OUTCAST, reason=reason
                )
            case RemoveFromRoom(reason=reason):
                await self._put_out(room, user, Departure.KICKED, me, reason=reason)
            case LiftBan():
                await self._affiliate(room, user, "")
            case SetAffiliation(affiliation=Affiliation.NONE) if room.private:
                await self._put_out(room, user, Departure.LEFT, me, affiliation="")
            case SetAffiliation(affiliation=wanted):
                await self._affiliate(room, user, "" if wanted is Affiliation.NONE else wanted)
            case SetVoice():
                raise Unsupported(_NO_VOICE)
            case _:
                raise Unsupported(tr("This cannot be done with people on XMPP."))

    async def _invite(self, room: RoomRow, me: MemberRow, action: InviteToRoom) -> None:
        """Where only who was named comes in, an invitation names somebody; and who was banned is
        so no longer."""
        if not is_virtual(action.user):
            raise Unsupported(_NO_INVITATION)
        stored = self._portals.affiliation(room.remote_id, user_of(action.user))
        portal = self._portals.of(room.remote_id)
        is_closed = portal is None or portal.is_closed
        if stored != OUTCAST and (stored or not is_closed):
            return
        if not is_ruler(me):
            raise Forbidden(_ONLY_RULERS)
        await self._affiliate(room, action.user, Affiliation.MEMBER if is_closed else "")

    async def _affiliate(self, room: RoomRow, user: RemoteUserId, wanted: str) -> None:
        """Somebody is this from now on, and seen as that."""
        account = self._accounts.virtual(user_of(user))
        link = None if account is None else account.link

        def become(db: Transaction, out: Committed) -> None:
            portals.set_affiliation(db, self._network, room.remote_id, user_of(user), wanted)
            before = members.find(db, room.id, user)
            if before is None or link is None:
                return
            member = Member(
                user=user,
                name=before.name,
                affiliation=Affiliation(wanted or Affiliation.NONE),
                may_speak=before.may_speak,
                title=before.title,
                avatar=before.avatar,
            )
            virtual.come_in(link.intake.rooms, db, room, member, self._now(), out)

        await self._rooms.decide(become)

    async def _put_out(
        self,
        room: RoomRow,
        user: RemoteUserId,
        how: Departure,
        by: MemberRow | None,
        *,
        affiliation: str | None = None,
        reason: str = "",
    ) -> None:
        """``affiliation``: what somebody is from now on, if that is something else. At once, or
        they might be let in again between."""
        house = self._accounts.house
        if house is None or house.link is None:
            return
        room_rows = house.link.intake.rooms.room_rows
        actor = "" if by is None or by.user == user else by.nick

        def put_out(db: Transaction, out: Committed) -> None:
            if affiliation is not None:
                portals.set_affiliation(
                    db, self._network, room.remote_id, user_of(user), affiliation
                )
            virtual.put_out(
                room_rows,
                db,
                room,
                user,
                how,
                self._now(),
                out,
                actor=actor,
                reason=reason,
                may_come_back=affiliation is None,
            )

        await self._rooms.decide(put_out)
