# SPDX-License-Identifier: Apache-2.0
"""One component: a network's face on XMPP."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import structlog

from gateway.adapter import Clock
from gateway.bridge.accounts import Account
from gateway.bridge.network import Network
from gateway.bridge.ports import Pong
from gateway.events import SentFile
from gateway.ids import RemoteUserId, UserJid
from gateway.tasks import Tasks
from gateway.text.wording import joined, tr
from gateway.xmpp import jid
from gateway.xmpp.access import NOT_ADMITTED, AccessList
from gateway.xmpp.approvals import Approvals
from gateway.xmpp.bookmarks import Bookmarks
from gateway.xmpp.client_caps import ClientCaps
from gateway.xmpp.console.adhoc import AdHoc
from gateway.xmpp.console.chat import Console
from gateway.xmpp.console.desk import PageOffer
from gateway.xmpp.console.page import Pages
from gateway.xmpp.console.register import Registration
from gateway.xmpp.dispatch import Dispatch
from gateway.xmpp.displayed import DisplayedMarks
from gateway.xmpp.iq import IqService
from gateway.xmpp.limits import Guests, Kind, Limits, LimitSettings, Standing
from gateway.xmpp.neighbours import Entrance, Neighbours
from gateway.xmpp.own_profiles import UserProfiles
from gateway.xmpp.pep import UserNodes
from gateway.xmpp.pings import ping
from gateway.xmpp.port import Port
from gateway.xmpp.privilege import CONSENT, MEANING, Permission, Privileges
from gateway.xmpp.profile_events import ProfileEvents
from gateway.xmpp.profiles import Profiles
from gateway.xmpp.rooms.service import RoomService
from gateway.xmpp.rosters import UserRosters
from gateway.xmpp.stream import ServerSettings, Stream, StreamHooks

log = structlog.get_logger("component")

_CONSENT = tr(
    "Your server lets this gateway: {granted}. Once you are linked, “settings” switches off what "
    "you do not want of that."
)


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
    addresses: Mapping[str, Sequence[str]]
    """URIs of those who run the gateway, by what for: ``support``, ``abuse``."""
    limits: LimitSettings
    pages: Pages | None = None
    """Pages for the browser, if the admin has a web server for them."""


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
        self.addresses = {
            **settings.addresses,
            "admin": tuple(f"xmpp:{admin}" for admin in settings.admins),
        }
        self.access = settings.access
        self.approvals = settings.approvals
        self.approvals.watch(network.admission.changed)
        self.limits = Limits(settings.limits)
        self.guests = Guests()
        self._pages = settings.pages
        self.resource = settings.kind
        """The one resource of the gateway and of every puppet, for ever (REQ-405)."""
        self.tasks = Tasks(f"component {self.domain}")
        self.asked = Tasks(f"answers of {self.domain}")  # whoever waits is told before the end
        self._clock: Clock = network.adapter.context.clock
        self._server_domain = settings.server.server_domain
        self._local_domains = frozenset(settings.local_domains)
        self.privileges = Privileges(
            settings.local_domains,
            wanted=settings.use_privileges,
            consents=self._consents,
            changed=self._granted,
        )
        self.rooms = RoomService(self)
        self.nodes = UserNodes(self)
        self.rosters = UserRosters(self)
        self.own_profiles = UserProfiles(self)
        self.port = Port(self)
        self.bookmarks = Bookmarks(self, self.port.write_invitation)
        self.displayed = DisplayedMarks(self)
        self.profiles = Profiles(self)
        self.caps = ClientCaps(lambda: self.stream, self._clock)
        self.profile_events = ProfileEvents(self, self.caps)
        self.iqs = IqService(self)
        self.console = Console(self)
        self.commands = AdHoc(self)
        self.registration = Registration(self)
        self.stream = self._made_stream(settings.server)
        network.attach(self.port)

    def _made_stream(self, server: ServerSettings) -> Stream:
        dispatch = Dispatch(self)
        entrance = Entrance(stanza=dispatch.take, excessive=dispatch.refuse_excessive)
        self.neighbours.add(self.domain, entrance)
        hooks = StreamHooks(
            stanza=entrance.stanza,
            excessive=entrance.excessive,
            may_answer=self._may_answer,
            up=self._up,
            lost=self._lost,
            taken_over=self.network.delivery.taken_over,
        )
        return Stream(server, hooks, self._clock)

    async def run(self) -> None:
        """Keep the stream up until `stop`."""
        await self.stream.run()

    async def stop(self) -> None:
        """Close the stream in order; stanzas that come until its end are still handled."""
        await self.console.stop()
        await self.asked.cancel()
        await self.stream.stop()
        await self.asked.cancel()
        await self.tasks.cancel()

    def _up(self) -> None:
        self.network.stream_up()
        stream = self.privileges.stream
        ping(self.stream, self._server_domain, lambda pong: self._own_server_answers(pong, stream))

    def _own_server_answers(self, pong: Pong, stream: int) -> None:
        """``stream``: on which it was asked. That one may be gone, and the next one not be there
        yet."""
        if stream != self.privileges.stream:
            return
        self.privileges.all_told()
        self.network.delivery.grants_known()
        if pong.uptime_s is not None:
            self.network.delivery.own_server_is_up_for(pong.uptime_s)

    def _lost(self) -> None:
        self.privileges.reset()
        self.network.stream_lost()

    def account_of(self, user: UserJid) -> Account | None:
        """The user's account, if the admin still admits them (REQ-705)."""
        return self.network.accounts.of(user) if self.access.permits(user) else None

    def account_at(self, user: UserJid, local: str) -> Account | None:
        """By which account somebody is in the room at an address, or might be, if the admin still
        admits them."""
        return self.network.people.account_at(user, local) if self.access.permits(user) else None

    def _consents(self, user: UserJid, permission: Permission) -> bool:
        """Whether a user wants what their server lets us do in their name (REQ-1003)."""
        account = self.network.accounts.of(user)
        return account is not None and bool(getattr(account.settings, CONSENT[permission]))

    def _granted(self, domain: str) -> None:
        self.network.delivery.grants_known()
        self.network.contacts.roster.granted(domain)
        if self.privileges.tells_presence(domain):
            self.network.audience.granted(domain)

    def language_of(self, to: str) -> str:
        """In which whoever has this address is spoken to."""
        return self.network.languages.of(jid.split(to).bare)

    def told_of_consent(self, user: UserJid) -> str:
        """What a user is told before they link an account: what our server lets us do in their
        name, and that they may do without (REQ-1003). Empty if it lets us do nothing."""
        granted = joined((MEANING[each] for each in self.privileges.granted(user)), "; ")
        return _CONSENT.format(granted=granted) if granted else ""

    def standing(self, user: UserJid) -> Standing:
        """How somebody stands to the gateway, asked at each stanza (REQ-705)."""
        admitted = self.access.permits(user)
        if admitted and self.network.accounts.of(user) is not None:
            return Standing.LINKED
        # People of our own server are never strangers: their clients ask all there is on it.
        if self.is_local(user) or user in self.admins or (admitted and self.access.names(user)):
            return Standing.KNOWN
        if admitted and self.network.people.is_named(user):
            return Standing.KNOWN  # somebody has vouched for them
        is_guest = admitted and self.network.accounts.virtual(user) is not None
        if is_guest or self._talks_with(user):  # who is denied may be leaving just now
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
            said = tr(
                "{user} wants to use this gateway. Send “admit”, “dismiss” or “requests”.",
                user=user,
            )
            self.console.tell(UserJid(admin), said)

    def contact_at(self, typed: str) -> RemoteUserId | None:
        """Whom somebody means by an address that they have typed, here or on the network."""
        addresses, address = self.network.addresses, jid.split(typed.strip().removeprefix("xmpp:"))
        if address.domain == self.domain:
            return addresses.meant(address.local)
        return addresses.parse(typed)

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

    def may_send(self, user: UserJid, files: Sequence[SentFile]) -> bool:
        """Whether so many more files from somebody with an account are not too much (REQ-711). To
        a network that takes none they are words."""
        now = self._clock.monotonic()
        return not self.network.adapter.capabilities.sends_files or all(
            self.limits.takes(Kind.FILES, user, Standing.LINKED, now) for _ in files
        )

    def may_upload(self, user: UserJid) -> bool:
        """Whether one more try to upload a file for somebody is not too much (REQ-711)."""
        now = self._clock.monotonic()
        return self.limits.takes(Kind.UPLOADS, user, Standing.LINKED, now)

    def _talks_with(self, user: UserJid) -> bool:
        """Whether a command of theirs is under way."""
        is_on_page = self.logs_in_on_page(user)
        return is_on_page or self.console.talks_with(user) or self.commands.talks_with(user)

    def logs_in_on_page(self, user: UserJid) -> bool:
        """Whether they have a page in use."""
        return self._pages is not None and self._pages.talks_with(self, user)

    def page_of(self, user: UserJid, *, is_asked: bool = True) -> PageOffer | None:
        """A page on which they may log in; None if there are no pages. ``is_asked``: as in
        `Pages.offer`."""
        return None if self._pages is None else self._pages.offer(self, user, is_asked=is_asked)

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

    def is_local(self, user: UserJid) -> bool:
        """Whether the account is on our own server."""
        return user.rpartition("@")[2] in self._local_domains
