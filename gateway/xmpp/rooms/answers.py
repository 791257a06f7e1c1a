# SPDX-License-Identifier: Apache-2.0
"""What rooms and their occupants answer to IQs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.bridge.accounts import Account
from gateway.bridge.rooms.nicks import nick
from gateway.errors import AdapterError
from gateway.ids import RemoteUserId
from gateway.store.accounts import AccountStatus
from gateway.store.archive import Wanted
from gateway.store.invitations import Invitation
from gateway.store.members import MemberRow
from gateway.store.portals import Portal
from gateway.store.rooms import RoomRow
from gateway.text.wording import tr
from gateway.xmpp import disco
from gateway.xmpp.asked import Answer, LaterAnswer, Request, version
from gateway.xmpp.codec import errors
from gateway.xmpp.codec.errors import Refused
from gateway.xmpp.codec.xml import attribute
from gateway.xmpp.console.model import Target
from gateway.xmpp.jid import split
from gateway.xmpp.rooms import archive, registration, roominfo
from gateway.xmpp.rooms.admin import Administration
from gateway.xmpp.rooms.archive_answers import ArchiveAnswers
from gateway.xmpp.rooms.cards import Cards
from gateway.xmpp.rooms.content import MODERATE
from gateway.xmpp.rooms.devices import DeviceAnswers
from gateway.xmpp.rooms.doors import NO_ROOM
from gateway.xmpp.rooms.owner import Configuration
from gateway.xmpp.rooms.refusals import refused
from gateway.xmpp.rooms.service import NOT_IN
from gateway.xmpp.rooms.speech import Speech
from gateway.xmpp.rooms.stanzas import MUC

if TYPE_CHECKING:
    from gateway.xmpp.component import Component

_FEATURES = (
    MUC,
    f"{MUC}#self-ping-optimization",
    f"{MUC}#stable_id",
    disco.INFO,
    disco.ITEMS,
    "muc_persistent",
    "muc_unsecured",
    archive.MAM,
    disco.COMMANDS,
    f"{archive.MAM}#extended",
    registration.REGISTER,
    "urn:xmpp:hats:0",
    "urn:xmpp:occupant-id:0",
    "urn:xmpp:ping",
    "urn:xmpp:sid:0",
    "vcard-temp",
)
_HIDDEN, _LISTED = "muc_hidden", "muc_public"
_PRIVATE = (_HIDDEN, "muc_membersonly", "muc_nonanonymous")
_CHANNEL = ("muc_open", "muc_semianonymous")
_OWN_NAME = "x-roomuser-item"
_MOST_LISTED = 200
"""Occupants that are listed by disco#items (REQ-127)."""
_LONGEST_NODE = 1_000


class RoomAnswers:
    """All rooms of one component. ``now`` has what they answer at once, ``later`` what the network
    is asked for first."""

    def __init__(self, component: Component) -> None:
        self._component = component
        self._rooms = component.network.rooms
        self.now: dict[tuple[str, str], Answer] = {
            ("get", f"{{{disco.INFO}}}query"): self._info,
            ("get", f"{{{disco.ITEMS}}}query"): self._items,
            ("get", "{urn:xmpp:ping}ping"): self._ping,
            ("get", "{jabber:iq:version}query"): self._version,
            ("get", "{jabber:iq:last}query"): self._last,
            ("get", f"{{{registration.REGISTER}}}query"): self._registered,
            ("set", f"{{{registration.REGISTER}}}query"): self._register,
        }
        self._speech = Speech(component, self._room)
        self.occupant = self._speech.occupant
        """What all occupants say of themselves."""
        self._archive = ArchiveAnswers(component, self._room)
        self._admin = Administration(component, self._room)
        self._cards = Cards(component, self._room, self._occupant)
        self._devices = DeviceAnswers(component, self._occupant)
        self.now |= self._archive.now | self._admin.now | self._cards.now
        self.later: dict[tuple[str, str], LaterAnswer] = {
            ("set", f"{{{MODERATE}}}moderate"): self._speech.moderate,
            **self._admin.later,
            **self._cards.later,
            **Configuration(component, self._room).later,
            ("set", f"{{{disco.COMMANDS}}}command"): self._command,
        }

    def answers_later(self, request: Request) -> LaterAnswer | None:
        """How a request is answered for which the network is asked; None if it need not be."""
        if self._admin.is_known(request):
            return None
        later = self._archive.answers_later(request) or self.later.get(request.key)
        later = later or self._cards.when_there(request) or self._devices.answers_later(request)
        return later or self.looked_up(request)

    def _room(self, request: Request) -> tuple[Account, RoomRow]:
        """Nothing is told of a room to people who are not in it."""
        found = self._component.rooms.find(split(request.sender), request.to)
        if found is not None:
            return found
        if self._portal(request) is not None:
            raise Refused(errors.NOT_IN_ROOM, NOT_IN)
        if request.account is None:
            raise Refused(errors.ITEM_NOT_FOUND, NO_ROOM)
        raise Refused(*self._component.rooms.doors.absence(request.account, request.to.local))

    def _portal(self, request: Request) -> Portal | None:
        """The linked group of a request of somebody who may come in, or ask why not."""
        component = self._component
        is_permitted = component.access.permits(split(request.sender).bare)
        return component.network.people.portal(request.to.local) if is_permitted else None

    def _occupant(self, request: Request) -> tuple[Account, RoomRow, MemberRow]:
        """Occupants answer those alone who are in the room (REQ-128, REQ-552)."""
        account, room = self._room(request)
        if not self._rooms.is_in(room, request.sender):
            raise Refused(errors.NOT_IN_ROOM, NOT_IN)
        member = self._rooms.by_nick(room, request.to.resource)
        if member is None:
            raise Refused(errors.ITEM_NOT_FOUND, tr("There is nobody of this name in the room."))
        return account, room, member

    def _info(self, request: Request) -> str:
        node = request.payload.get("node", "")
        if request.to.resource:
            self._occupant(request)
            return self.occupant.of_node(node)
        waiting = self._waiting(request)
        if waiting is not None and not node:
            return self._described(waiting.name, is_private=True)
        if waiting is not None and node == _OWN_NAME:
            return _own_name(self._expected(request, waiting))
        if not node and (shown := self._info_of_portal(request)):
            return shown
        account, room = self._room(request)
        if node == _OWN_NAME:
            return self._own_name(account, room)
        if node:
            return self._command_info(request, room, node)
        return self._described(
            room.name,
            roominfo.form(self._component, account, room),
            is_private=room.private,
            is_listed=room.is_listed,
            is_moderated=self._rooms.has_visitors(room),
        )

    def _info_of_portal(self, request: Request) -> str:
        """What a linked group is to who is not in it; empty if it is none, or they are. Its name
        is for who may come in."""
        portal, people = self._portal(request), self._component.network.people
        sender = split(request.sender)
        is_in = self._component.rooms.find(sender, request.to) is not None
        room = None if portal is None or is_in else people.room(portal)
        if portal is None or room is None:
            return ""
        may_come = people.refusal(sender.bare, portal.room) is None
        return self._described(
            room.name if may_come or not portal.is_closed else "",
            is_private=portal.is_closed,
            is_listed=room.is_listed and not portal.is_closed,
        )

    def _target(self, request: Request, room: RoomRow) -> Target:
        """What commands are about that are given here (REQ-220)."""
        if request.to.resource:
            raise Refused(errors.ITEM_NOT_FOUND)
        return Target(address=self._component.rooms.address(room), room=room.remote_id)

    def _command_info(self, request: Request, room: RoomRow, node: str) -> str:
        user = split(request.sender).bare
        info = self._component.commands.info(node, user, self._target(request, room))
        if info is None:
            raise Refused(errors.ITEM_NOT_FOUND)
        return info

    async def _command(self, request: Request) -> str:
        commands = self._component.commands
        target = commands.target_of(request.sender, request.payload)
        if target is None or split(target.address).bare != request.to.bare:
            _, room = self._room(request)
            target = self._target(request, room)
        return await commands.take(request.sender, request.payload, target)

    def _described(
        self,
        name: str,
        form: str = "",
        *,
        is_private: bool,
        is_listed: bool = False,
        is_moderated: bool = False,
    ) -> str:
        kind = _PRIVATE if is_private else (_LISTED if is_listed else _HIDDEN, *_CHANNEL)
        moderated = "muc_moderated" if is_moderated else "muc_unmoderated"
        features = sorted((*_FEATURES, *kind, moderated, *self._speech.features))
        listed = "".join(f"<feature var='{attribute(feature)}'/>" for feature in features)
        named = f" name='{attribute(name)}'" if name else ""
        return (
            f"<query xmlns='{disco.INFO}'><identity category='conference' type='text'{named}/>"
            f"{listed}{form}{self._speech.forms}</query>"
        )

    def _waiting(self, request: Request) -> Invitation | None:
        """What waits for the asker's account to come in: clients ask before they join."""
        account = request.account
        if account is None or self._component.rooms.find(split(request.sender), request.to):
            return None
        return self._component.network.rooms.coming.invitation(account, request.to.local)

    def looked_up(self, request: Request) -> LaterAnswer | None:
        """For clients that ask before they join a room by what the network calls it."""
        is_asked = request.key == ("get", f"{{{disco.INFO}}}query") and not (
            request.to.resource or request.payload.get("node")
        )
        account, local = request.account, request.to.local
        if not is_asked or account is None or self._rooms.find(account, local) is not None:
            return None
        is_waiting = self._component.network.rooms.coming.invitation(account, local) is not None
        may_be = self._component.rooms.doors.has_door(account, local)
        return self._info_of_unknown if may_be and not is_waiting else None

    async def _info_of_unknown(self, request: Request) -> str:
        assert request.account is not None
        try:
            await self._component.network.rooms.coming.find(request.account, request.to.local)
        except AdapterError as error:
            raise refused(error) from error
        return self._described("", is_private=False)

    def _own_name(self, account: Account, room: RoomRow) -> str:
        """XEP-0045 §7.12: what the user is called there."""
        me = self._rooms.me(account, room)
        if me is None:
            raise Refused(errors.ITEM_NOT_FOUND, NO_ROOM)
        return _own_name(me.nick)

    def _expected(self, request: Request, waiting: Invitation) -> str:
        """What the account will be called where it is only invited, unless somebody there is
        called so already."""
        user = request.account.remote_id if request.account is not None else RemoteUserId("")
        return nick(waiting.own_name, user, lambda _: False)

    def _items(self, request: Request) -> str:
        """REQ-127: occupants, of the room itself and where they are few."""
        account, room = self._room(request)
        node = request.payload.get("node", "")
        if len(node) > _LONGEST_NODE:  # it would be in the answer
            raise Refused(errors.ITEM_NOT_FOUND)
        if node == disco.COMMANDS:
            user = split(request.sender).bare
            return self._component.commands.items(user, self._target(request, room))
        if node or request.to.resource or self._rooms.count(room) > _MOST_LISTED:
            return disco.items(node)
        place = self._component.rooms.place(account, room)
        listed = "".join(
            f"<item jid='{attribute(place.occupant(member.nick))}'/>"
            for member in self._rooms.members(room)
        )
        return f"<query xmlns='{disco.ITEMS}'>{listed}</query>"

    def _ping(self, request: Request) -> str:
        """XEP-0410 §3.2: whether a session that asks about itself is still in (REQ-551)."""
        account, room = self._room(request)
        is_out = account.status is AccountStatus.LOGGED_OUT  # though a crash kept that to itself
        if is_out or not self._rooms.is_in(room, request.sender):
            raise Refused(errors.NOT_IN_ROOM)
        if request.to.resource:
            self._occupant(request)
        return ""

    def _version(self, request: Request) -> str:
        if request.to.resource:
            self._occupant(request)
        self._room(request)
        return version(self._component.network.adapter.display_name)

    def _last(self, request: Request) -> str:
        """XEP-0012: since when an occupant has said nothing here."""
        if not request.to.resource:
            raise Refused(errors.SERVICE_UNAVAILABLE)
        account, room, member = self._occupant(request)
        wanted = Wanted(sender=member.user, most=1, newest=True)
        said = self._rooms.archive.read(account, room, wanted)
        if not said:
            raise Refused(
                errors.SERVICE_UNAVAILABLE, tr("{nick} has said nothing yet.", nick=member.nick)
            )
        now = self._component.network.adapter.context.clock.now()
        seconds = max(0, int(now - said[0].message.sent_at))
        return f"<query xmlns='jabber:iq:last' seconds='{seconds}'/>"

    def _registered(self, request: Request) -> str:
        waiting, language = self._waiting(request), self._component.language_of(request.sender)
        if waiting is not None:
            return registration.registered(self._expected(request, waiting), language)
        account, room = self._room(request)
        me = self._rooms.me(account, room)
        if me is None:
            raise Refused(errors.ITEM_NOT_FOUND, NO_ROOM)
        return registration.registered(me.nick, language)

    def _register(self, request: Request) -> str:
        self._room(request)
        return registration.refuse(self._component.network.adapter.display_name)


def _own_name(called: str) -> str:
    named = f"<identity category='conference' type='text' name='{attribute(called)}'/>"
    return f"<query xmlns='{disco.INFO}' node='{_OWN_NAME}'>{named}</query>"
