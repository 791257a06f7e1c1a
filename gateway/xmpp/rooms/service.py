# SPDX-License-Identifier: Apache-2.0
"""The rooms of one component: what comes for them, and what goes to the sessions in them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import TYPE_CHECKING
from xml.etree.ElementTree import Element

from msgspec.structs import replace

from gateway.bridge.accounts import Account
from gateway.bridge.rooms.crowd import presence_of
from gateway.bridge.rooms.rooms import Asked
from gateway.events import (
    RoomDelivery,
    RoomJoined,
    RoomNews,
    RoomPresence,
    RoomPresences,
)
from gateway.ids import RemoteRoomId, RemoteUserId
from gateway.store.accounts import AccountStatus
from gateway.store.journal import InboundRow
from gateway.store.kinds import AccountKind
from gateway.store.rooms import RoomRow
from gateway.store.sessions import Shown
from gateway.text.wording import tr
from gateway.xmpp.codec import errors
from gateway.xmpp.codec.incoming import IncomingMessage
from gateway.xmpp.codec.presence import error_of, read_shown
from gateway.xmpp.codec.xml import Stanza, text
from gateway.xmpp.jid import Address, split
from gateway.xmpp.limits import Kind, Standing
from gateway.xmpp.rooms import stanzas
from gateway.xmpp.rooms.doors import NO_ROOM, Doors
from gateway.xmpp.rooms.inviting import Inviting
from gateway.xmpp.rooms.joining import read_join, sequence
from gateway.xmpp.rooms.place import Place
from gateway.xmpp.rooms.pulse import GHOST, UNREACHABLE
from gateway.xmpp.rooms.speaking import Speaking
from gateway.xmpp.rooms.stanzas import MUC, SELF, TECHNICAL
from gateway.xmpp.rooms.subject import Subjects
from gateway.xmpp.rooms.visits import Visits
from gateway.xmpp.stream import MAX_STANZA_BYTES

if TYPE_CHECKING:
    from gateway.xmpp.component import Component

NOT_IN = tr("You are not in the room.")
_NO_ACCOUNT = tr("You have no account here, so you are in no group. Send “login” to {gateway}.")
_LOGGED_OUT = tr("You are logged out of the network. Please log in again, then join again.")
_NO_NICK = tr("What you want to be called in the group is missing.")
_TOO_MANY = tr("You are joining too often. Please wait a minute.")
_AGAIN_S = 60.0
_MOST_TOLD = 1_000


class RoomService:
    """Presence and messages. IQs are in `gateway.xmpp.rooms.answers`."""

    def __init__(self, component: Component) -> None:
        self._component = component
        self._rooms = component.network.rooms
        self._clock = component.network.adapter.context.clock
        self._speaking = Speaking(component)
        self._subjects = Subjects(component)
        self._told_out: dict[tuple[str, str], float] = {}
        """Sessions, and rooms of which they were told lately that they are not in."""
        self.doors = Doors(component, self.refuse_join, self._join)
        self.inviting = Inviting(component, self._refuse)
        self._visits = Visits(component, self.refuse_join)

    # --- addresses ------------------------------------------------------------------------------

    def place(self, account: Account, room: RoomRow) -> Place:
        """A room as it is written into stanzas."""
        users = self._rooms.users(room) if room.is_shared else {account.remote_id: account.user}
        return self._place(room.remote_id, users, is_private=room.private)

    def _place(
        self,
        room: RemoteRoomId,
        users: Mapping[RemoteUserId, str],
        *,
        is_private: bool,
        rulers: Collection[str] = (),
        devices: Mapping[RemoteUserId, Shown] | None = None,
    ) -> Place:
        return Place(
            room=self.address_of(room),
            puppet=self._component.puppet,
            users=users,
            is_private=is_private,
            caps=self._component.iqs.rooms.occupant.caps(),
            is_read=self._component.network.adapter.capabilities.read_marks,
            has_avatars=self._component.network.rooms.avatars.is_offered,
            rulers=rulers,
            devices=devices or {},
        )

    def occupant(self, room: RemoteRoomId, nick: str) -> str:
        """Full JID of somebody in a room."""
        address = self._component.puppet(RemoteUserId(room))
        return Place(address, self._component.puppet, {}, is_private=True).occupant(nick)

    def address(self, room: RoomRow) -> str:
        """Bare JID of a room."""
        return self.address_of(room.remote_id)

    def address_of(self, room: RemoteRoomId) -> str:
        """The same, of a room in which nobody may be yet."""
        return self._component.puppet(RemoteUserId(room))

    def find(self, sender: Address, to: Address) -> tuple[Account, RoomRow] | None:
        """The room at an address, for a user who is a member of it."""
        account = self._component.account_at(sender.bare, to.local)
        room = self._rooms.find(account, to.local) if account is not None else None
        if account is None or room is None or room.moved_to is not None:
            return None
        return (account, room) if self._rooms.me(account, room) is not None else None

    # --- presence -------------------------------------------------------------------------------

    def presence(self, element: Element, sender: Address, to: Address) -> None:
        """A session comes in, goes out, changes what it shows, or cannot be reached."""
        kind = element.get("type", "")
        if kind == "error":
            self._bounced(element, sender, to)
        elif kind == "unavailable":
            self._leave(element, sender, to)
        elif not kind and sender.resource:
            self._available(element, sender, to)

    def _available(self, element: Element, sender: Address, to: Address) -> None:
        found = self.find(sender, to)
        join = read_join(element, to.resource, self._clock.now())
        if join is not None and not to.resource:  # XEP-0045 §7.2.1
            self.refuse_join(element, errors.JID_MALFORMED, _NO_NICK)
            return
        if join is not None and found is not None and found[0].kind is AccountKind.VIRTUAL:
            found = None  # one who is just leaving seems to be in: that is decided by the unit
        if found is None:
            if join is not None:
                self._join_unknown(element, sender, to, join)
            elif self._component.network.people.portal(to.local) is not None:
                self._tell_out(element.get("from", ""), element.get("to", ""))
            return
        account, room = found
        session = element.get("from", "")
        if join is not None and account.status is not AccountStatus.LINKED:
            self.refuse_join(element, errors.UNAVAILABLE, _LOGGED_OUT)
        elif join is not None and not self._may_join(account):
            self.refuse_join(element, errors.RESOURCE_CONSTRAINT, _TOO_MANY)
        elif join is not None:
            self._join(account, room, session, join, element)
        elif self._rooms.is_in(room, session):
            self._rooms.sessions.shows(account, room, session, read_shown(element))
            self._keep_nick(account, room, session, to.resource)
        else:
            self._tell_out(session, element.get("to", ""))

    def _may_join(self, account: Account) -> bool:
        """REQ-711: who joins is told of thousands."""
        now = self._clock.monotonic()
        return self._component.limits.takes(Kind.JOINS, account.user, Standing.LINKED, now)

    def _join(
        self, account: Account, room: RoomRow, session: str, asked: Asked, element: Element
    ) -> None:
        """Also for a session that is in already: it has lost what it knew (REQ-504)."""
        self._told_out.pop((session, self.address(room)), None)

        def refused() -> None:
            self.refuse_join(element, errors.ITEM_NOT_FOUND, NO_ROOM)

        self._rooms.join(account, room, session, asked, refused)

    def _keep_nick(self, account: Account, room: RoomRow, session: str, nick: str) -> None:
        """REQ-507: the nick is the network's, but for those for whom the house speaks. A session
        that asks for another keeps this one; so does who asks too often, for others are told."""
        me = self._rooms.me(account, room)
        if me is None or nick == me.nick:
            return
        if account.kind is AccountKind.VIRTUAL and self._may_join(account):
            self._component.network.people.rename(account, room, nick)
            return
        told = stanzas.presence(
            self._place(
                room.remote_id,
                {me.user: account.user},
                is_private=room.private,
                devices=self._rooms.sessions.shown(room, [me.user]),
            ),
            presence_of(room, me),
            session,
            (stanzas.NICK_CHANGED,),
        )
        self._component.stream.send(told)

    def _tell_out(self, session: str, occupant: str) -> None:
        """REQ-505: not an old way to join, but somebody who thinks that they are in."""
        now, told = self._clock.monotonic(), (session, split(occupant).bare)
        if now - self._told_out.get(told, -_AGAIN_S) < _AGAIN_S:
            return
        self._told_out.pop(told, None)
        self._told_out[told] = now
        if len(self._told_out) > _MOST_TOLD:  # the first of them was told first
            del self._told_out[next(iter(self._told_out))]
        self._component.stream.send(stanzas.left(occupant, session, (SELF, TECHNICAL)))

    def frozen(self, room: RemoteRoomId, nick: str, session: str) -> None:
        """A session is out of a room, and the room is still there (REQ-512)."""
        left = stanzas.left(self.occupant(room, nick), session, (SELF, TECHNICAL))
        self._component.stream.send(left, unasked=True)

    def _leave(self, element: Element, sender: Address, to: Address) -> None:
        """REQ-510: answered whether or not it was in, or may be."""
        account = self._component.network.people.account_at(sender.bare, to.local)
        room = self._rooms.find(account, to.local) if account is not None else None
        session, occupant = element.get("from", ""), element.get("to", "")
        has_waited = self.doors.gives_up(session, to.local)
        has_waited |= self._visits.gives_up(session, to.local)
        if account is not None and room is not None:
            self._rooms.sessions.leave(account, room.id, session)
            occupant = self._own_address(account, room) or occupant
        elif account is None and not has_waited:
            return
        self._component.stream.send(stanzas.left(occupant, session, id=element.get("id", "")))

    def _own_address(self, account: Account, room: RoomRow) -> str:
        """That of the user's occupant; empty if they are not in the room any more."""
        me = self._rooms.me(account, room)
        return self.place(account, room).occupant(me.nick) if me is not None else ""

    def _join_unknown(self, element: Element, sender: Address, to: Address, join: Asked) -> None:
        account = self._component.account_at(sender.bare, to.local)
        portal = self._component.network.people.portal(to.local)
        if portal is not None and (account is None or account.kind is AccountKind.VIRTUAL):
            self._visits.come(portal, element, sender, join)
        elif account is None:
            said = _NO_ACCOUNT.format(gateway=self._component.domain)
            self.refuse_join(element, errors.REGISTRATION_REQUIRED, said)
        elif not self._may_join(account):
            self.refuse_join(element, errors.RESOURCE_CONSTRAINT, _TOO_MANY)
        else:
            self.doors.knock(account, to, join, element)

    def refuse_join(self, element: Element, error: errors.StanzaError, said: str) -> None:
        """REQ-513: the error comes from the occupant that was asked for, and repeats the request
        by its id and its name. Of what may pass, clients have words for two conditions (REQ-805).
        """
        if error.type == "wait" and error != errors.RESOURCE_CONSTRAINT:
            error = errors.REMOTE_TIMEOUT
        to, sent_by = element.get("to", ""), element.get("from", "")
        language = self._component.language_of(sent_by)
        inner = f"<x xmlns='{MUC}'/>{error.xml(said, language=language)}"
        self._component.stream.send(
            Stanza("presence", to, sent_by, "error", element.get("id", ""), inner)
        )

    def _bounced(self, element: Element, sender: Address, to: Address) -> None:
        self.unreachable(element.get("from", ""), sender, to, error_of(element))

    def unreachable(self, session: str, sender: Address, to: Address, condition: str) -> None:
        """Something came back from a session: it may be gone (REQ-557). It has missed that."""
        account = self._component.network.people.account_at(sender.bare, to.local)
        room = self._rooms.find(account, to.local) if account is not None else None
        if account is None or room is None or condition not in GHOST:
            return
        if self._rooms.is_in(room, session):
            self._rooms.sessions.leave(account, room.id, session)
            if condition == UNREACHABLE:
                self._rooms.servers.missed(session, room.id)
            else:
                self._tell_out(session, self._own_address(account, room) or self.address(room))

    def _refuse(self, message: IncomingMessage, error: errors.StanzaError, said: str) -> None:
        text = error.xml(said, language=self._component.language_of(message.sender))
        self._component.stream.send(
            Stanza("message", message.to, message.sender, "error", message.id, text)
        )

    # --- messages -------------------------------------------------------------------------------

    def message(
        self,
        message: IncomingMessage,
        sender: Address,
        to: Address,
        refuse: Callable[[errors.StanzaError, str], None],
    ) -> None:
        """What somebody says in a room. ``refuse`` answers with an error."""
        found = self.find(sender, to)
        if not message.has_content:  # then nobody waits for an answer
            if found is not None and self._rooms.is_in(found[1], message.sender):
                self._speaking.signals(*found, message)
            return
        if found is None and self._component.network.people.portal(to.local) is not None:
            refuse(errors.NOT_IN_ROOM, NOT_IN)
            return
        if found is None:
            refuse(errors.ITEM_NOT_FOUND, NO_ROOM)
            return
        account, room = found
        if to.resource:  # XEP-0045 §7.5
            refuse(errors.BAD_REQUEST, tr("What is said to a group goes to the group."))
        elif message.type != "groupchat":
            refuse(
                errors.NOT_ACCEPTABLE, tr("Please write to people in a conversation of their own.")
            )
        elif not self._rooms.is_in(room, message.sender):
            refuse(errors.NOT_IN_ROOM, NOT_IN)
        elif message.is_subject:
            self._subjects.change(account, room, message.subject or "", refuse)
        elif _is_too_long(message.body or ""):
            refuse(errors.NOT_ACCEPTABLE, tr("This is too long for one message to a group."))
        else:
            self._speaking.take(account, room, message, refuse)

    # --- rows -----------------------------------------------------------------------------------

    def stanzas_of(self, row: InboundRow) -> list[Stanza]:
        """Those of a row of a room. Raises `StanzaRefused`."""
        if isinstance(row.delivery, RoomNews):
            return self.inviting.stanzas_of(row, row.delivery)
        if not isinstance(row.delivery, RoomDelivery):
            return []
        made = self._made(row, self._admitted(row, row.delivery))
        self._rooms.servers.wrote(stanza.to for stanza in made)
        return made

    def _made(self, row: InboundRow, told: RoomDelivery) -> list[Stanza]:
        now = self._clock.now()
        if not isinstance(told, RoomPresence | RoomPresences | RoomJoined):
            # What is said, and most is, does not depend on who is there.
            place = self._place(RemoteRoomId(row.contact), {}, is_private=False)
            return stanzas.of_row(told, place, now, is_resent=row.resent)
        room = self._rooms.told_in(row)
        if room is None:
            return []
        users = self._rooms.users(room)
        shown = self._rooms.sessions.shown(room, users.keys() & stanzas.shown_in(told, users))
        rulers = () if room.private else self._rooms.rulers(room)
        place = self._place(
            room.remote_id, users, is_private=room.private, rulers=rulers, devices=shown
        )
        if isinstance(told, RoomJoined):
            return [one for to in told.to for one in self._joined(told, room, place, to)]
        return stanzas.of_row(told, place, now, is_resent=row.resent)

    def _admitted(self, row: InboundRow, told: RoomDelivery) -> RoomDelivery:
        """To all but those whose server is too slow for it."""
        to = self._rooms.servers.admit(told.to)
        room = self._rooms.told_in(row) if len(to) < len(told.to) else None
        if room is None:
            return told
        slow = tuple(set(told.to) - set(to))
        self._rooms.sessions.miss(room.id, slow, self._rooms.servers.missed)
        return replace(told, to=to)

    def _joined(self, told: RoomJoined, room: RoomRow, place: Place, to: str) -> Iterator[Stanza]:
        account = self._rooms.account_of(room, to)
        joined = self._rooms.joined(account, room, told) if account is not None else None
        return sequence(place, joined, told, to) if joined is not None else iter(())


def _is_too_long(body: str) -> bool:
    """With what is beside it, it could not be reflected (REQ-105). Characters have up to 5 bytes
    as XML."""
    most = MAX_STANZA_BYTES * 3 // 4
    return len(body) > most // 5 and len(text(body).encode()) > most
