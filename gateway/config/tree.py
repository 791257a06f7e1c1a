# SPDX-License-Identifier: Apache-2.0
"""The settings tree, with its defaults.

Every section completes itself: ``local_domains`` always have the server's domain, an empty
``access.allow`` becomes the local domains, and so on. Whoever holds a `Config` never sees the
shorthand.
"""

from collections.abc import Mapping
from itertools import takewhile
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec.structs import force_setattr

from gateway.config.values import (
    AccessEntry,
    BareJid,
    ContactUri,
    Domain,
    Duration,
    Host,
    Language,
    Listen,
    Program,
    Proxy,
    Rate,
    Reachable,
    Service,
    Size,
    SizeOrNone,
    WebAddress,
)
from gateway.ids import NetworkName
from gateway.locale import ENGLISH
from gateway.secret import Secret

Port = Annotated[int, msgspec.Meta(ge=1, le=65535)]
Way = Literal["user", "component", "gateway"]
Count = Annotated[int, msgspec.Meta(ge=1)]
Occupants = Annotated[int, msgspec.Meta(ge=1, le=1000)]
"""As many as a session is told of that joins a room."""


class Server(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The XMPP server that we are a component of."""

    host: Host = Host("127.0.0.1")
    """Where component connections go. The link is not encrypted (REQ-102)."""
    port: Port = 5347
    domain: Domain
    """The server's own domain: barrier pings go there."""
    local_domains: tuple[Domain, ...] = ()
    """The domains of this server, ``domain`` among them whether or not it is named; only these may
    grant privileges (XEP-0356)."""
    tunnelled: bool = False
    """Somebody else protects the link, so a host other than this machine is all right."""

    def __post_init__(self) -> None:
        if self.domain not in self.local_domains:
            force_setattr(self, "local_domains", (self.domain, *self.local_domains))


class Xmpp(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The XMPP side."""

    server: Server
    use_privileges: bool = True
    """Use privileges (XEP-0356) when the server grants them."""


class Access(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who may use the gateway."""

    allow: tuple[AccessEntry, ...] = ()
    """Exact domains and bare JIDs, or ``*``; when empty, the server's local domains."""
    deny: tuple[AccessEntry, ...] = ()
    """Refused even when ``allow`` has them; ``*`` closes the gateway."""
    ask: tuple[AccessEntry, ...] = ()
    """Admitted one by one, when one of ``admins`` has said so."""
    admins: tuple[BareJid, ...] = ()


class Addresses(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where those who run the gateway are reached, told to everybody who asks (XEP-0157); the
    admins are told besides."""

    support: tuple[ContactUri, ...] = ()
    abuse: tuple[ContactUri, ...] = ()
    security: tuple[ContactUri, ...] = ()
    feedback: tuple[ContactUri, ...] = ()
    status: tuple[ContactUri, ...] = ()
    """Where it is said whether the gateway works."""


class Store(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Files of the gateway. `load_config` makes the paths absolute."""

    database: Path = Path("dragoman.db")
    key_file: Path = Path()
    """The key of the secrets in the database; by default the database's path plus ``.key``."""

    def __post_init__(self) -> None:
        if self.key_file == Path():
            force_setattr(self, "key_file", Path(f"{self.database}.key"))


class Delivery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Limits of messages: how long they may take, and how many may wait."""

    send_limit: Duration = Duration(600)
    """What the network did not take in this time comes back to its sender as an error."""
    attempt_warning: Duration = Duration(30)
    """An attempt that lasts longer is logged."""
    attempt_limit: Duration = Duration(120)
    """An attempt that lasts longer is ended."""
    alias_retention: Duration = Duration(400 * 86400)
    """How long a message can still be corrected, replied to or marked as read."""
    dead_letter_retention: Duration = Duration(30 * 86400)
    """How long what never reached its user is kept, to be tried again."""
    inbound_rows: Count = 50_000
    """When so much waits for one user, no more is fetched until less than half is left."""
    inbound_size: Size = Size(256_000_000)
    """The same in bytes of content."""
    outbound_rows: Count = 10_000
    """When so much of one user waits for a network, more of it is refused."""
    login_concurrency: Count = 8
    """How many accounts connect to their networks at once after a start."""


class Log(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is logged, and how."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["console", "json"] = "console"


class Limits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How much users and strangers may send; a rate is also the size of a burst (REQ-711)."""

    messages: Rate = Rate((2000, 300))
    """Of one user, with a text."""
    signals: Rate = Rate((10_000, 300))
    """Of one user: receipts, read marks, typing."""
    iqs: Rate = Rate((5000, 300))
    """Of one user."""
    subscriptions: Rate = Rate((5000, 600))
    """Of one user."""
    joins: Rate = Rate((1000, 600))
    """Of one user, of rooms."""
    searches: Rate = Rate((60, 600))
    """Of one user: pages of rooms of the network that were searched for."""
    logins: Rate = Rate((30, 600))
    """Of one user: attempts to log in to the network."""
    files: Rate = Rate((300, 600))
    """Of one user: files that they send."""
    uploads: Rate = Rate((1000, 600))
    """Of one user: tries to put files that they are sent at the upload service of the server."""
    stranger: Rate = Rate((60, 60))
    """All stanzas of one person who is not admitted by name and has no account."""
    strange_domain: Rate = Rate((300, 60))
    """All stanzas of such people of one domain."""
    strangers: Rate = Rate((3000, 60))
    """All stanzas of such people of all domains."""


class Rooms(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who is seen in the rooms of large groups (REQ-553)."""

    shown_members: Occupants = 200
    """A group of so many is shown as a whole. In a larger one, at most so many who do not moderate
    it."""
    shown_speakers: Occupants = 100
    """Of those who have spoken, so many are there when a room is joined that nobody was in; never
    more than ``shown_members``."""
    spoken_within: Duration = Duration(86400)
    """How long ago they may have done so."""

    def __post_init__(self) -> None:
        if self.shown_speakers > self.shown_members:
            force_setattr(self, "shown_speakers", self.shown_members)


class Http(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The pages of the gateway, behind a web server of the admin's that speaks https."""

    listen: Listen = Listen("127.0.0.1:8087")
    """Where that web server finds us."""
    public_url: WebAddress = WebAddress()
    """Where people find it. Empty: there are no pages."""
    files_url: WebAddress = WebAddress()
    """Where they find files, at a host of its own; by default it is ``public_url``."""
    tunnelled: bool = False
    """Somebody else protects the way from that web server to us, so an address that is not
    loopback is all right."""
    file_retention: Duration = Duration(400 * 86400)
    """How long the address of a file works that came from a network; the network has to keep the
    file as long as that."""
    file_cache: SizeOrNone = SizeOrNone(0)
    """So much of what was fetched is kept on the disk."""

    def __post_init__(self) -> None:
        if not self.files_url:
            force_setattr(self, "files_url", self.public_url)


class Files(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where users find the files that people on networks send."""

    upload_service: Service = Service()
    """That of the server (XEP-0363). Empty: files are at the gateway's own address."""
    ways: tuple[Way, ...] = ("user", "component", "gateway")
    """What is tried, one after the other: to put it onto the upload service in the user's name,
    where their server lets us, or as the component; or the gateway's own address. What none of
    these does comes in words."""

    def uploaders(self) -> tuple[Way, ...]:
        """Those ways to the upload service that are tried before the gateway's own address, which
        never fails."""
        before = takewhile(lambda way: way != "gateway", self.ways)
        return tuple(dict.fromkeys(before)) if self.upload_service else ()


class Fetch(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Files that users send are fetched from where they have put them (REQ-720)."""

    allow: tuple[Reachable, ...] = ()
    """Reached although they are this machine or in a private network."""
    allow_http: bool = False
    """Fetch by ``http://`` as well."""
    ports: tuple[Port, ...] = (5281, 5443, 8443)
    """Besides those of https and http themselves: where XMPP servers have their files."""
    max_size: Size = Size(1_000_000_000)
    """A larger file is not fetched."""
    silence_limit: Duration = Duration(20)
    """A server that says nothing for so long is given up."""
    time_limit: Duration = Duration(60)
    """Nor may it take longer than this and a second for each 16 kB."""
    at_once: Count = 16
    """Files that are fetched at the same time."""
    at_once_per_user: Count = 3
    """Of these, for one user."""
    proxy: Proxy = Proxy()
    """Through which all is fetched but from ``allow``."""


class Media(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is done with files on their way."""

    ffmpeg: Program = Program("auto")
    """Which one is used; "off": none."""


class Process(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The process itself."""

    stuck_limit: Duration = Duration(60)
    """The process ends, to be started again, when it has done nothing at all for so long."""


class Network(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One network: an adapter with a component domain of its own."""

    adapter: str
    """Name of the adapter in the entry-point group ``dragoman.adapters``."""
    domain: Domain
    """The component's domain."""
    secret: Secret
    """Shared with the server, for the component's handshake."""
    name: str = ""
    """For people; by default the adapter's name with a capital letter."""
    auto_accept_invites: bool = False
    """Accept invitations to direct chats without asking the user."""
    settings: msgspec.Struct
    """Of the adapter's own ``settings_type``. The file may leave it out."""

    def __post_init__(self) -> None:
        if not self.name:
            force_setattr(self, "name", self.adapter.capitalize())


class Config(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The whole configuration."""

    xmpp: Xmpp
    language: Language = Language(ENGLISH)
    """In which users are spoken to whose clients do not say which one they want."""
    access: Access = Access()
    addresses: Addresses = Addresses()
    store: Store = Store()
    delivery: Delivery = Delivery()
    limits: Limits = Limits()
    rooms: Rooms = Rooms()
    http: Http = Http()
    files: Files = Files()
    fetch: Fetch = Fetch()
    media: Media = Media()
    log: Log = Log()
    process: Process = Process()
    networks: Mapping[NetworkName, Network]

    def __post_init__(self) -> None:
        if not self.access.allow:
            local = tuple(map(AccessEntry, self.xmpp.server.local_domains))
            force_setattr(self, "access", msgspec.structs.replace(self.access, allow=local))
