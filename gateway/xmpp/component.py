# SPDX-License-Identifier: Apache-2.0
"""One component: a network's face on XMPP. Implements `gateway.bridge.ports.XmppPort`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import partial

import structlog

from gateway.adapter import Clock
from gateway.bridge.accounts import Account
from gateway.bridge.link import LinkState
from gateway.bridge.network import Network
from gateway.bridge.ports import Pong, Pulse
from gateway.bridge.splitting import brief
from gateway.events import Availability, FailureReason, Presence, RoomNews, Through
from gateway.ids import RemoteRoomId, RemoteUserId, StanzaId, UserJid
from gateway.store.conversations import GATEWAY
from gateway.store.journal import InboundRow
from gateway.tasks import Tasks
from gateway.xmpp import jid
from gateway.xmpp.access import NOT_ADMITTED, AccessList
from gateway.xmpp.approvals import Approvals
from gateway.xmpp.bookmarks import Bookmarks
from gateway.xmpp.codec import errors, outgoing
from gateway.xmpp.codec.outgoing import Route
from gateway.xmpp.codec.presence import puppet_presence
from gateway.xmpp.codec.xml import Stanza, text
from gateway.xmpp.console.adhoc import AdHoc
from gateway.xmpp.console.chat import Console
from gateway.xmpp.console.register import Registration
from gateway.xmpp.dispatch import Dispatch
from gateway.xmpp.displayed import DisplayedMarks
from gateway.xmpp.iq import IqService
from gateway.xmpp.limits import Guests, Kind, Limits, LimitSettings, Standing
from gateway.xmpp.neighbours import Entrance, Neighbours
from gateway.xmpp.pep import UserNodes
from gateway.xmpp.pings import ping
from gateway.xmpp.privilege import Privileges
from gateway.xmpp.rooms import private, pulse
from gateway.xmpp.rooms.service import RoomService
from gateway.xmpp.stream import ServerSettings, Stream, StreamHooks

log = structlog.get_logger("component")

_STATUS = {
    LinkState.CONNECTING: ("away", "Connecting …"),
    LinkState.LIVE: ("", "Connected"),
    LinkState.RETRYING: ("away", "Not connected: {trouble}"),
    LinkState.EXPIRED: ("dnd", "Please log in again: {trouble}"),
    LinkState.STOPPED: ("xa", "Logged out"),
    LinkState.WAITING: ("xa", "Not connected: waiting for you to come online"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ComponentSettings:
    """What the configuration says of a component."""

    server: ServerSettings
    local_domains: Collection[str]
    use_privileges: bool
    access: AccessList
    approvals: Approvals
    name: str
    """For people."""
    kind: str
    """The gateway's type in disco: ``matrix``."""
    admins: Sequence[str] = ()
    limits: LimitSettings


class Component:
    """Owns the stream, the entrance and the exits of one component domain."""

    def __init__(
        self, settings: ComponentSettings, network: Network, neighbours: Neighbours
    ) -> None:
        self.network = network
        self.neighbours = neighbours
        self.domain = settings.server.domain
        self.name = settings.name
        self.kind = settings.kind
        self.admins = settings.admins
        self.access = settings.access
        self.approvals = settings.approvals
        self.approvals.watch(network.admission.changed)
        self.limits = Limits(settings.limits)
        self.guests = Guests()
        self.resource = settings.kind
        """The one resource of the gateway and of every puppet, for ever (REQ-405)."""
        self.tasks = Tasks(f"component {self.domain}")
        self.asked = Tasks(f"answers of {self.domain}")  # whoever waits is told before the end
        self._clock: Clock = network.adapter.context.clock
        self._server_domain = settings.server.server_domain
        self._local_domains = frozenset(settings.local_domains)
        self.privileges = Privileges(settings.local_domains, wanted=settings.use_privileges)
        self.rooms = RoomService(self)
        self.nodes = UserNodes(self)
        self.bookmarks = Bookmarks(self, self._write_invitation)
        self.displayed = DisplayedMarks(self)
        self.iqs = IqService(self)
        self.console = Console(self)
        self.commands = AdHoc(self)
        self.registration = Registration(self)
        dispatch = Dispatch(self)
        entrance = Entrance(stanza=dispatch.take, excessive=dispatch.refuse_excessive)
        neighbours.add(self.domain, entrance)
        hooks = StreamHooks(
            stanza=entrance.stanza,
            excessive=entrance.excessive,
            may_answer=self._may_answer,
            up=self._up,
            lost=self._lost,
            taken_over=network.delivery.taken_over,
        )
        self.stream = Stream(settings.server, hooks, self._clock)
        network.attach(self)

    async def run(self) -> None:
        """Keep the stream up until `stop`."""
        await self.stream.run()

    async def stop(self) -> None:
        """Close the stream in order; stanzas that come until its end are still handled."""
        await self.asked.cancel()
        await self.stream.stop()
        await self.asked.cancel()
        await self.tasks.cancel()

    def _up(self) -> None:
        self.network.stream_up()
        ping(self.stream, self._server_domain, self._own_server_answers)

    def _own_server_answers(self, pong: Pong) -> None:
        if pong.uptime_s is not None:
            self.network.delivery.own_server_is_up_for(pong.uptime_s)

    def _lost(self) -> None:
        self.privileges.reset()
        self.network.stream_lost()

    def account_of(self, user: UserJid) -> Account | None:
        """The user's account, if the admin still admits them (REQ-705)."""
        return self.network.accounts.of(user) if self.access.permits(user) else None

    def standing(self, user: UserJid) -> Standing:
        """How somebody stands to the gateway, asked at each stanza (REQ-705)."""
        admitted = self.access.permits(user)
        if admitted and self.network.accounts.of(user) is not None:
            return Standing.LINKED
        # People of our own server are never strangers: their clients ask all there is on it.
        if self.is_local(user) or user in self.admins or (admitted and self.access.names(user)):
            return Standing.KNOWN
        if self._talks_with(user):  # who is denied may be leaving just now
            return Standing.GUEST
        return Standing.STRANGER

    def not_admitted(self, user: UserJid) -> str:
        """What to say to somebody who may not use the gateway. Where admins may admit them, these
        are asked (REQ-211)."""
        if not self.access.may_ask(user):
            return NOT_ADMITTED
        return self.approvals.ask(user, partial(self._ask_admins, user))

    def _ask_admins(self, user: UserJid) -> None:
        for admin in self.admins:
            said = f"{user} wants to use this gateway. Send “admit”, “dismiss” or “requests”."
            self.console.tell(UserJid(admin), said)

    def room_called(self, called: str) -> str | None:
        """The address at which a room is joined that the network calls so, if it can be here."""
        local = self.network.addresses.of_room_called(called)
        return None if local is None else jid.make(local, self.domain)

    def may_log_in(self, user: UserJid) -> bool:
        """Whether another attempt to log in to the network is not too much (REQ-711)."""
        standing = self.standing(user)
        return self.limits.takes(Kind.LOGINS, user, standing, self._clock.monotonic())

    def may_search(self, user: UserJid) -> bool:
        """Whether another search for rooms of the network is not too much (REQ-711)."""
        standing = self.standing(user)
        return self.limits.takes(Kind.SEARCHES, user, standing, self._clock.monotonic())

    def _talks_with(self, user: UserJid) -> bool:
        """Whether a command of theirs is under way."""
        return self.console.talks_with(user) or self.commands.talks_with(user)

    def _may_answer(self, to: str) -> bool:
        user = jid.split(to).bare
        return (
            self.limits.may_answer(user)
            or self.standing(user) is not Standing.STRANGER
            or self.network.registrations.tells(user)
        )

    def puppet(self, contact: RemoteUserId) -> str:
        """Bare JID of a contact's puppet, or of the gateway."""
        return jid.make(self.network.addresses.localpart(contact), self.domain)

    # --- the bridge's port ------------------------------------------------------------------

    def is_up(self) -> bool:
        """See `XmppPort.is_up`."""
        return self.stream.is_up

    def has_room(self) -> bool:
        """See `XmppPort.has_room`."""
        return self.stream.has_room()

    def is_local(self, user: UserJid) -> bool:
        """See `XmppPort.is_local`."""
        return user.rpartition("@")[2] in self._local_domains

    def is_strange(self, user: UserJid) -> bool:
        """See `XmppPort.is_strange`."""
        return self.standing(user).is_strange

    def ping(self, domain: str, answered: Callable[[Pong], None]) -> None:
        """See `XmppPort.ping`."""
        ping(self.stream, domain, answered)

    def write(self, row: InboundRow) -> int:
        """See `XmppPort.write`."""
        if self.bookmarks.takes(row):
            return 1
        self.displayed.note(row)
        stanzas = self._stanzas_of(row)
        if not stanzas:
            asyncio.get_running_loop().call_soon(self.network.delivery.taken_over, [row])
        else:
            self.stream.send_row(row, stanzas)
        return len(stanzas)

    def _write_invitation(self, row: InboundRow) -> None:
        if self.stream.is_up:  # else it is written again as a whole
            self.stream.send_row(row, self._stanzas_of(row))

    def _stanzas_of(self, row: InboundRow) -> Sequence[Stanza]:
        if row.is_of_room or isinstance(row.delivery, RoomNews):
            return self.rooms.stanzas_of(row)
        through: Through | None = getattr(row.delivery, "through", None)
        if through is not None:
            room = self.puppet(RemoteUserId(through.room))
            route, now = self._route(row), self._clock.now()
            return private.stanzas_of(row, through, route, room, now)
        stanza = outgoing.stanza_of(row, self._route(row), self._clock.now())
        return () if stanza is None else (stanza,)

    def _route(self, row: InboundRow) -> Route:
        return Route(
            puppet=self.puppet(row.contact),
            resource=self.resource,
            user=getattr(row.delivery, "to", "") or row.user,
            gateway=self.domain,
            read_marks=self.network.adapter.capabilities.read_marks,
            wants_receipt=not self.is_local(row.user),
            may_send_as_user=self.privileges.may_send_as(row.user),
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
        error, sender = errors.OF_REASON[reason].xml(text), self.puppet(contact)
        if through is not None:
            sender = self.rooms.occupant(through.room, through.nick)
        self.stream.send(Stanza("message", sender, to, "error", message, error))

    def say(self, user: UserJid, text: str) -> None:
        """See `XmppPort.say`."""
        self.console.say(user, text)

    def typing(
        self, user: UserJid, contact: RemoteUserId, active: bool, resource: str = ""
    ) -> None:
        """See `XmppPort.typing`."""
        account = self.network.accounts.of(user)
        if account is not None and account.knows_chat_states:
            state = "composing" if active else "paused"
            sender = f"{self.puppet(contact)}/{self.resource}"
            to = f"{user}/{resource}" if resource else user
            self.stream.send(outgoing.chat_state(state, sender, to), fleeting=True)

    def typing_privately(self, user: UserJid, through: Through, active: bool) -> None:
        """See `XmppPort.typing_privately`."""
        account = self.network.accounts.of(user)
        if account is not None and account.knows_chat_states:
            state = "composing" if active else "paused"
            sender, marks = self.rooms.occupant(through.room, through.nick), private.marks(through)
            for session in through.to:
                told = outgoing.chat_state(state, sender, session, marks=marks)
                self.stream.send(told, fleeting=True)

    def room_typing(self, room: RemoteRoomId, nick: str, active: bool, to: Sequence[str]) -> None:
        """See `XmppPort.room_typing`."""
        state = "composing" if active else "paused"
        occupant = self.rooms.occupant(room, nick)
        for session in to:
            told = outgoing.chat_state(state, occupant, session, "groupchat")
            self.stream.send(told, fleeting=True)

    def subscription(
        self, kind: str, user: UserJid, contact: RemoteUserId, name: str = ""
    ) -> None:
        """See `XmppPort.subscription`."""
        self.stream.send(outgoing.subscription(kind, self.puppet(contact), user, name))

    def end(self, user: UserJid, contact: RemoteUserId, resource: str = "") -> int:
        """See `XmppPort.end`."""
        puppet = self.puppet(contact)
        to = f"{user}/{resource}" if resource else user
        stanzas = [Stanza("presence", f"{puppet}/{self.resource}", to, "unavailable")]
        if not resource:
            kinds = ("unsubscribe", "unsubscribed")
            stanzas[:0] = [outgoing.subscription(kind, puppet, user) for kind in kinds]
        for stanza in stanzas:
            self.stream.send(stanza, unasked=True)
        return len(stanzas)

    def presence(
        self, user: UserJid, contact: RemoteUserId, presence: Presence, resource: str = ""
    ) -> None:
        """See `XmppPort.presence`."""
        sender = f"{self.puppet(contact)}/{self.resource}"
        if contact == GATEWAY and presence.availability is not Availability.UNAVAILABLE:
            self.stream.send(Stanza("presence", sender, user, inner=self._gateway_status(user)))
        else:
            caps = self.iqs.puppets.entity.caps()
            to = f"{user}/{resource}" if resource else user
            self.stream.send(puppet_presence(sender, to, presence, caps, self._clock.now()))

    def frozen(self, room: RemoteRoomId, nick: str, jid: str) -> None:
        """See `XmppPort.frozen`."""
        self.rooms.frozen(room, nick, jid)

    def feel_pulse(
        self, room: RemoteRoomId, jid: str, answered: Callable[[Pulse], None], *, has_caps: bool
    ) -> None:
        """See `XmppPort.feel_pulse`."""
        pulse.feel(self.stream, self.rooms.address_of(room), jid, answered, has_caps=has_caps)

    def probe(self, user: UserJid, contact: RemoteUserId) -> None:
        """See `XmppPort.probe`."""
        probe = Stanza("presence", self.puppet(contact), user, "probe")
        self.stream.send(probe, fleeting=True)

    def _gateway_status(self, user: UserJid) -> str:
        account = self.network.accounts.of(user)
        if account is None:
            return f"{self._status_of_stranger(user)}{self.iqs.gateway.entity.caps()}"
        link = account.link
        show, status = _STATUS[link.phase if link is not None else LinkState.STOPPED]
        said = status.format(trouble=link.trouble if link is not None else "")
        shown = f"<show>{show}</show>" if show else ""
        return f"{shown}<status>{text(said)}</status>{self.iqs.gateway.entity.caps()}"

    def _status_of_stranger(self, user: UserJid) -> str:
        """A registration is under way, or has failed, or there was none (REQ-207)."""
        if self.network.registrations.of(user) is not None:
            return "<show>away</show><status>Logging in …</status>"
        trouble = self.network.registrations.trouble(user)
        if trouble:
            return f"<show>dnd</show><status>{text(brief(f'Not logged in: {trouble}'))}</status>"
        return "<show>xa</show><status>Logged out</status>"
