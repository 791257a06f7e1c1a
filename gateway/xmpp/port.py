# SPDX-License-Identifier: Apache-2.0
"""What the bridge has written by one component. Implements `gateway.bridge.ports.XmppPort`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from gateway.bridge.ports import OwnProfilePort, Pong, Pulse, RosterPort, Slot, WantedSlot
from gateway.events import Availability, FailureReason, Presence, RoomNews, Through
from gateway.ids import RemoteRoomId, RemoteUserId, StanzaId, UserJid
from gateway.store.conversations import GATEWAY, Speaker
from gateway.store.journal import InboundRow
from gateway.store.rooms import RoomRow
from gateway.xmpp.codec import errors, outgoing
from gateway.xmpp.codec.outgoing import Route, speaker_of
from gateway.xmpp.codec.presence import puppet_presence
from gateway.xmpp.codec.xml import Stanza
from gateway.xmpp.gateway_status import gateway_status
from gateway.xmpp.pings import ping
from gateway.xmpp.rooms import private, pulse
from gateway.xmpp.rooms.stanzas import uri
from gateway.xmpp.upload import request_slot

if TYPE_CHECKING:
    from gateway.xmpp.component import Component
    from gateway.xmpp.stream import Stream


class Port:
    """Of one component; what it says is said in the names of puppets, rooms and the gateway."""

    def __init__(self, component: Component) -> None:
        self._component = component
        self._network = component.network
        self._clock = component.network.adapter.context.clock
        self._puppet = component.puppet
        self._rooms = component.rooms

    @property
    def _stream(self) -> Stream:
        return self._component.stream

    @property
    def rosters(self) -> RosterPort:
        """See `XmppPort.rosters`."""
        return self._component.rosters

    @property
    def own_profiles(self) -> OwnProfilePort:
        """See `XmppPort.own_profiles`."""
        return self._component.own_profiles

    async def slot(self, service: str, wanted: WantedSlot, user: UserJid | None) -> Slot:
        """See `XmppPort.slot`."""
        return await request_slot(self._component, service, wanted, user)

    def may_upload(self, user: UserJid) -> bool:
        """See `XmppPort.may_upload`."""
        return self._component.may_upload(user)

    def is_up(self) -> bool:
        """See `XmppPort.is_up`."""
        return self._stream.is_up

    def has_room(self) -> bool:
        """See `XmppPort.has_room`."""
        return self._stream.has_room()

    def is_local(self, user: UserJid) -> bool:
        """See `XmppPort.is_local`."""
        return self._component.is_local(user)

    def knows_grants(self, user: UserJid) -> bool:
        """See `XmppPort.knows_grants`."""
        return self._component.privileges.knows(user)

    def is_strange(self, user: UserJid) -> bool:
        """See `XmppPort.is_strange`."""
        return self._component.standing(user).is_strange

    def language_of(self, to: str) -> str:
        """See `XmppPort.language_of`."""
        return self._component.language_of(to)

    def ping(self, domain: str, answered: Callable[[Pong], None]) -> None:
        """See `XmppPort.ping`."""
        ping(self._stream, domain, answered)

    def write(self, row: InboundRow) -> int:
        """See `XmppPort.write`."""
        if self._component.bookmarks.takes(row):
            return 1
        self._component.displayed.note(row)
        stanzas = self._stanzas_of(row)
        if not stanzas:
            asyncio.get_running_loop().call_soon(self._network.delivery.taken_over, [row])
        else:
            self._stream.send_row(row, stanzas)
        return len(stanzas)

    def write_invitation(self, row: InboundRow) -> None:
        """One that no bookmark takes the place of."""
        if self._stream.is_up:  # else it is written again as a whole
            self._stream.send_row(row, self._stanzas_of(row))

    def _stanzas_of(self, row: InboundRow) -> Sequence[Stanza]:
        if row.is_of_room or isinstance(row.delivery, RoomNews):
            return self._rooms.stanzas_of(row)
        route, now = self._route(row), self._clock.now()
        row.speaker = speaker_of(row.delivery, route)
        through: Through | None = getattr(row.delivery, "through", None)
        if through is not None and (through.to or row.speaker is Speaker.USER):
            room = self._puppet(RemoteUserId(through.room))
            return private.stanzas_of(row, through, route, room, now)
        stanza = outgoing.stanza_of(row, route, now)
        return () if stanza is None else (stanza,)

    def _route(self, row: InboundRow) -> Route:
        account = self._network.accounts.of(row.user)
        return Route(
            puppet=self._puppet(row.contact),
            resource=self._component.resource,
            user=getattr(row.delivery, "to", "") or row.user,
            gateway=self._component.domain,
            read_marks=self._network.adapter.takes_read_marks(row.contact),
            wants_receipt=not self.is_local(row.user),
            may_send_as_user=self._component.privileges.may_send_as(row.user),
            shows_as_you=account is None or account.settings.show_as_you,
            told_by=row.told_by,
            language=self.language_of(row.user),
        )

    def refuse(
        self,
        contact: RemoteUserId,
        to: str,
        message: StanzaId,
        reason: FailureReason,
        text: str,
        through: Through | None = None,
    ) -> None:
        """See `XmppPort.refuse`."""
        error = errors.OF_REASON[reason].xml(text, language=self.language_of(to))
        sender = self._puppet(contact)
        if through is not None:
            sender = self._rooms.occupant(through.room, through.nick)
        self._stream.send(Stanza("message", sender, to, "error", message, error))

    def room_uri(self, room: RoomRow) -> str:
        """See `XmppPort.room_uri`."""
        return uri(self._rooms.address(room))

    def say(self, user: UserJid, text: str) -> None:
        """See `XmppPort.say`."""
        self._component.console.say(user, text)

    def typing(
        self, user: UserJid, contact: RemoteUserId, active: bool, resource: str = ""
    ) -> None:
        """See `XmppPort.typing`."""
        account = self._network.accounts.of(user)
        if account is not None and account.knows_chat_states:
            state = "composing" if active else "paused"
            sender = f"{self._puppet(contact)}/{self._component.resource}"
            to = f"{user}/{resource}" if resource else user
            self._stream.send(outgoing.chat_state(state, sender, to), fleeting=True)

    def typing_privately(self, user: UserJid, through: Through, active: bool) -> None:
        """See `XmppPort.typing_privately`."""
        account = self._network.accounts.of(user)
        if account is not None and account.knows_chat_states:
            state = "composing" if active else "paused"
            sender = self._rooms.occupant(through.room, through.nick)
            marks = private.marks(through)
            for session in through.to:
                told = outgoing.chat_state(state, sender, session, marks=marks)
                self._stream.send(told, fleeting=True)

    def room_typing(self, room: RemoteRoomId, nick: str, active: bool, to: Sequence[str]) -> None:
        """See `XmppPort.room_typing`."""
        state = "composing" if active else "paused"
        occupant = self._rooms.occupant(room, nick)
        for session in to:
            told = outgoing.chat_state(state, occupant, session, "groupchat")
            self._stream.send(told, fleeting=True)

    def subscription(
        self, kind: str, user: UserJid, contact: RemoteUserId, name: str = ""
    ) -> None:
        """See `XmppPort.subscription`."""
        self._stream.send(outgoing.subscription(kind, self._puppet(contact), user, name))

    def end(self, user: UserJid, contact: RemoteUserId, resource: str = "") -> int:
        """See `XmppPort.end`."""
        puppet = self._puppet(contact)
        to = f"{user}/{resource}" if resource else user
        stanzas = [Stanza("presence", f"{puppet}/{self._component.resource}", to, "unavailable")]
        if not resource:
            kinds = ("unsubscribe", "unsubscribed")
            stanzas[:0] = [outgoing.subscription(kind, puppet, user) for kind in kinds]
        for stanza in stanzas:
            self._stream.send(stanza, unasked=True)
        return len(stanzas)

    def profiled(self, user: UserJid, contact: RemoteUserId, *, name: bool, picture: bool) -> None:
        """See `XmppPort.profiled`."""
        self._component.profile_events.profiled(user, contact, name=name, picture=picture)

    def device_came(self, user: UserJid, resource: str) -> None:
        """See `XmppPort.device_came`."""
        self._component.profile_events.device_came(user, resource)

    def presence(
        self,
        user: UserJid,
        contact: RemoteUserId,
        presence: Presence,
        resource: str = "",
        picture: str | None = None,
    ) -> None:
        """See `XmppPort.presence`."""
        sender = f"{self._puppet(contact)}/{self._component.resource}"
        if contact == GATEWAY and presence.availability is not Availability.UNAVAILABLE:
            status = gateway_status(self._component, user)
            self._stream.send(Stanza("presence", sender, user, inner=status))
        else:
            caps = self._component.iqs.puppets.entity.caps()
            to = f"{user}/{resource}" if resource else user
            now = self._clock.now()
            self._stream.send(puppet_presence(sender, to, presence, caps, picture, now))

    def frozen(self, room: RemoteRoomId, nick: str, jid: str) -> None:
        """See `XmppPort.frozen`."""
        self._rooms.frozen(room, nick, jid)

    def feel_pulse(
        self, room: RemoteRoomId, jid: str, answered: Callable[[Pulse], None], *, has_caps: bool
    ) -> None:
        """See `XmppPort.feel_pulse`."""
        pulse.feel(self._stream, self._rooms.address_of(room), jid, answered, has_caps=has_caps)

    def tells_presence(self, user: UserJid) -> bool:
        """See `XmppPort.tells_presence`."""
        return self._component.privileges.tells_presence(user.rpartition("@")[2])

    def probe(self, user: UserJid, contact: RemoteUserId) -> None:
        """See `XmppPort.probe`."""
        probe = Stanza("presence", self._puppet(contact), user, "probe")
        self._stream.send(probe, fleeting=True)
