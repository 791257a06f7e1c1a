# SPDX-License-Identifier: Apache-2.0
"""What moderators ask for (XEP-0045 §8, §9, §10) → what the network is asked to do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING
from xml.etree.ElementTree import Element

from gateway.bridge.accounts import Account
from gateway.bridge.addresses import by_hash
from gateway.bridge.rooms.rooms import is_ruler
from gateway.bridge.splitting import brief
from gateway.events import (
    Affiliation,
    InviteToRoom,
    LiftBan,
    RemoveFromRoom,
    RoomAction,
    SetAffiliation,
    SetVoice,
)
from gateway.ids import RemoteUserId, is_virtual, virtual_id
from gateway.store.kinds import AccountKind
from gateway.store.members import MemberRow
from gateway.store.rooms import RoomRow
from gateway.text.wording import tr
from gateway.xmpp.codec import errors
from gateway.xmpp.codec.errors import Refused
from gateway.xmpp.jid import split

if TYPE_CHECKING:
    from gateway.xmpp.component import Component

ADMIN = "http://jabber.org/protocol/muc#admin"
ONLY_RULERS = tr("Only owners and admins of the group can do this.")
NOT_POSSIBLE = tr("This cannot be done with groups of this network.")
_MOST_ITEMS = 50
_OUTCAST = "outcast"
_AFFILIATIONS = frozenset({*Affiliation, _OUTCAST})
_ROLES = frozenset({"none", "visitor", "participant", "moderator"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One change, as it is asked for."""

    affiliation: str = ""
    role: str = ""
    """One of both."""
    jid: str = ""
    nick: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class _Target:
    user: RemoteUserId
    member: MemberRow | None
    """None: not in the room."""


def items(query: Element) -> list[Item]:
    """Those of a ``muc#admin`` query. Raises `Refused`."""
    found = query.findall(f"{{{ADMIN}}}item")
    if not found:
        raise Refused(errors.BAD_REQUEST, tr("Nothing is asked for."))
    if len(found) > _MOST_ITEMS:
        raise Refused(
            errors.NOT_ACCEPTABLE,
            tr("At most {most_items} changes can be asked for.", most_items=_MOST_ITEMS),
        )
    return list(map(_item, found))


def _item(element: Element) -> Item:
    affiliation, role = element.get("affiliation"), element.get("role")
    if (affiliation is None) is (role is None):
        raise Refused(errors.BAD_REQUEST, tr("Either an affiliation or a role is expected."))
    if affiliation is not None and affiliation not in _AFFILIATIONS:
        raise Refused(errors.BAD_REQUEST, tr("There is no such affiliation."))
    if role is not None and role not in _ROLES:
        raise Refused(errors.BAD_REQUEST, tr("There is no such role."))
    return Item(
        affiliation=affiliation or "",
        role=role or "",
        jid=element.get("jid", ""),
        nick=element.get("nick", ""),
        reason=brief(element.findtext(f"{{{ADMIN}}}reason") or ""),
    )


class Changes:
    """In one room, by one of its members."""

    def __init__(
        self, component: Component, account: Account, room: RoomRow, me: MemberRow
    ) -> None:
        self._component = component
        self._rooms = component.network.rooms
        self._management = component.network.rooms.management
        self._account = account
        self._room = room
        self._me = me

    def of(self, query: Element) -> list[RoomAction]:
        """What is to be done, in order. All of it is checked first; raises `Refused`."""
        if not is_ruler(self._me):
            raise Refused(errors.FORBIDDEN, ONLY_RULERS)
        return [action for item in items(query) for action in self._actions(item)]

    def _actions(self, item: Item) -> Iterator[RoomAction]:
        target = self._target(item)
        action = self._role(item, target) if item.role else self._affiliation(item, target)
        if action is None:
            return  # they are that already
        if not is_virtual(target.user) and not self._management.is_possible(type(action)):
            raise Refused(errors.NOT_ALLOWED, NOT_POSSIBLE)
        yield action

    # --- who is meant ---------------------------------------------------------------------------

    def _target(self, item: Item) -> _Target:
        """By the nick where a role is to change, else rather by the address."""
        if item.nick and (item.role or not item.jid):
            return self._called(item.nick)
        if not item.jid:
            raise Refused(errors.BAD_REQUEST, tr("It is not said whom this is about."))
        user = self._at(item.jid, is_invited=item.affiliation == Affiliation.MEMBER)
        return _Target(user, self._rooms.member(self._room, user))

    def _called(self, nick: str) -> _Target:
        member = self._rooms.by_nick(self._room, nick)
        if member is None:
            raise Refused(
                errors.ITEM_NOT_FOUND, tr("There is nobody called {nick} in the room.", nick=nick)
            )
        return _Target(member.user, member)

    def _at(self, jid: str, *, is_invited: bool) -> RemoteUserId:
        """Somebody of XMPP is invited as whom they are on the network (REQ-592)."""
        address = split(jid)
        if address.bare == self._account.user:
            return self._account.remote_id
        network = self._component.network
        is_virtual_here = self._account.kind is AccountKind.VIRTUAL
        if is_virtual_here and address.domain != self._component.domain:
            return virtual_id(address.bare)
        guest = network.accounts.of(address.bare)
        if guest is not None and (is_invited or self._knows(guest)):
            return guest.remote_id
        if address.domain != self._component.domain:
            name = network.adapter.display_name
            said = tr(
                "Only people of {name} can be in this group. {jid} is not the address of one.",
                name=name,
                jid=jid,
            )
            raise Refused(errors.NOT_ACCEPTABLE, said)
        local, addresses = address.local, network.addresses
        user = addresses.contact(local)
        if user is None and local.startswith("."):
            user = addresses.made_up(local, self._by_hash)
        if user is None:
            raise Refused(errors.ITEM_NOT_FOUND, tr("There is nobody at {jid}.", jid=jid))
        return user

    @cached_property
    def _by_hash(self) -> Mapping[str, RemoteUserId]:
        """Everybody in the room. There may be thousands, and as many are asked for as can be."""
        return by_hash(member.user for member in self._rooms.members(self._room))

    def _knows(self, other: Account) -> bool:
        """Whether who somebody is by XMPP is shown in this room."""
        return self._room.private and other.remote_id in self._rooms.users(self._room)

    # --- roles ----------------------------------------------------------------------------------

    def _role(self, item: Item, target: _Target) -> RoomAction | None:
        member = target.member
        if member is None:
            raise Refused(errors.ITEM_NOT_FOUND, _absent(item))
        if item.role == "none":
            self._spare_self(target)
            self._spare_rulers(member)
            return self._removal(item, target)
        if is_ruler(member):
            if item.role == "moderator":
                return None
            said = tr(
                "Owners and admins are always moderators. Change their affiliation first.",
            )
            raise Refused(errors.NOT_ALLOWED, said)
        if item.role == "moderator":
            said = tr("Who is to be a moderator of this group has to become an admin.")
            raise Refused(errors.NOT_ALLOWED, said)
        may_speak = item.role == "participant"
        if member.may_speak is may_speak:
            return None
        return SetVoice(room=self._room.remote_id, user=target.user, may_speak=may_speak)

    # --- affiliations ---------------------------------------------------------------------------

    def _affiliation(self, item: Item, target: _Target) -> RoomAction | None:
        if item.affiliation == _OUTCAST:
            self._spare_self(target)
            if target.member is not None:
                self._spare_rulers(target.member)
            return self._removal(item, target, is_ban=True)
        wanted = Affiliation(item.affiliation)
        if target.member is None:
            return self._of_absent(item, target, wanted)
        if target.member.affiliation is wanted:
            return None
        is_out = wanted is Affiliation.NONE and self._room.private and not is_virtual(target.user)
        if is_out:  # XEP-0045 §9.4: then they are out
            self._spare_self(target)
            self._spare_rulers(target.member)
            return self._removal(item, target)
        self._only_owners(target.member, wanted)
        if self._rooms.is_last_owner(self._room, target.member):
            raise Refused(errors.CONFLICT, tr("Without this owner the group would have none."))
        return SetAffiliation(room=self._room.remote_id, user=target.user, affiliation=wanted)

    def _of_absent(self, item: Item, target: _Target, wanted: Affiliation) -> RoomAction:
        room = self._room.remote_id
        if is_virtual(target.user):  # of whom it is known here, wherever they are
            return SetAffiliation(room=room, user=target.user, affiliation=wanted)
        if wanted is Affiliation.NONE and self._rooms.has_knocked(
            self._account, self._room, target.user
        ):
            return self._removal(item, target)
        if wanted is Affiliation.NONE:
            return LiftBan(room=room, user=target.user)
        if wanted is Affiliation.MEMBER:
            return InviteToRoom(room=room, user=target.user, reason=item.reason)
        raise Refused(errors.ITEM_NOT_FOUND, _absent(item))

    def _removal(self, item: Item, target: _Target, *, is_ban: bool = False) -> RemoveFromRoom:
        return RemoveFromRoom(
            room=self._room.remote_id, user=target.user, is_ban=is_ban, reason=item.reason
        )

    # --- what is not allowed --------------------------------------------------------------------

    def _spare_self(self, target: _Target) -> None:
        """XEP-0045 §9.1."""
        if target.user == self._me.user:
            raise Refused(errors.CONFLICT, tr("You cannot remove yourself."))

    def _spare_rulers(self, member: MemberRow) -> None:
        """XEP-0045 §8.2, §9.1."""
        if member.affiliation is Affiliation.OWNER and not self._is_owner:
            raise Refused(errors.NOT_ALLOWED, tr("An admin can do nothing to an owner."))

    def _only_owners(self, member: MemberRow, wanted: Affiliation) -> None:
        """XEP-0045 §10.3 to §10.7."""
        is_about_rulers = is_ruler(member) or wanted in (Affiliation.ADMIN, Affiliation.OWNER)
        if is_about_rulers and not self._is_owner:
            raise Refused(
                errors.FORBIDDEN, tr("Only an owner decides who is an owner or an admin.")
            )

    @property
    def _is_owner(self) -> bool:
        return self._me.affiliation is Affiliation.OWNER


def _absent(item: Item) -> str:
    return tr("{nick} is not in the group.", nick=item.nick or item.jid)
