# SPDX-License-Identifier: Apache-2.0
"""What the bridge needs of the XMPP side. `gateway.xmpp` implements it; tests may too."""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from gateway.events import FailureReason, Presence, Through
from gateway.ids import RemoteRoomId, RemoteUserId, StanzaId, UserJid
from gateway.store.journal import InboundRow
from gateway.store.rooms import RoomRow


class Ping(enum.Enum):
    """What came of a ping to another server."""

    ANSWERED = enum.auto()
    UNREACHABLE = enum.auto()
    """Our own server says that it cannot be reached."""
    SILENT = enum.auto()


@dataclass(frozen=True, slots=True)
class Pong:
    """What came of a ping, and what the answer says."""

    outcome: Ping
    uptime_s: int | None = None
    """Whole seconds since the server was started, if it tells (XEP-0012, section 5)."""


class Pulse(enum.Enum):
    """What came of a ping to a session."""

    ALIVE = enum.auto()
    GONE = enum.auto()
    UNREACHABLE = enum.auto()
    """Its server cannot be reached."""
    SILENT = enum.auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class RosterItem:
    """A contact in the contact list that the user's own server keeps (RFC 6121 §2.1)."""

    name: str = ""
    labels: frozenset[str] = frozenset()
    """The groups it stands in."""
    to_user: bool = False
    """The user receives the puppet's presence: ``to`` or ``both``."""
    from_user: bool = False
    """The puppet receives the user's presence: ``from`` or ``both``."""
    is_approved: bool = False
    """A request of the puppet is accepted without asking the user (RFC 6121 §3.4)."""


class RosterRefused(Exception):
    """The user's server does not do it, or does not answer."""


class RosterPort(Protocol):
    """Contact lists of users, where their server lets us (XEP-0356)."""

    label: str
    """The group for contacts of this network."""

    def is_open(self, user: UserJid) -> bool:
        """Whether the user's contact list may be read and written."""

    async def read(self, user: UserJid) -> Mapping[RemoteUserId, RosterItem]:
        """The contacts of this network in it. Raises `RosterRefused`."""

    async def set(self, user: UserJid, contact: RemoteUserId, item: RosterItem) -> None:
        """Put a contact there, or another name for it. Raises `RosterRefused`."""

    def offer(self, user: UserJid, people: Mapping[RemoteUserId, str]) -> bool:
        """Offer contacts, with their names, to those of the user's clients that are known to be
        able to add many at once (XEP-0144). Returns whether there is one."""

    async def remove(self, user: UserJid, contact: RemoteUserId) -> None:
        """Remove a contact. Raises `RosterRefused`."""


class Unanswered(Exception):
    """The user's server does not tell, or what it tells is not what was asked for."""


class OwnProfilePort(Protocol):
    """What users publish of themselves with their own servers (REQ-349)."""

    async def name(self, user: UserJid) -> str:
        """How the user is called; empty if there is no such thing. Raises `Unanswered`."""

    async def picture(self, user: UserJid) -> str | None:
        """What the user's picture is called: SHA-1 of it, in hex. Empty if the user says that
        there is none, None if nothing follows from what is found. Raises `Unanswered`."""

    async def picture_data(self, user: UserJid, picture: str) -> bytes:
        """The picture of that name. Whatever it is, it has been made by a client. Raises
        `Unanswered`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """A place for a file at the server's upload service."""

    put: str
    """URL to which its bytes go, with these headers."""
    headers: tuple[tuple[str, str], ...]
    get: str
    """URL under which it is found then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedSlot:
    """For which file a place at an upload service is wanted."""

    name: str
    size: int
    """In bytes."""
    media_type: str


class SlotRefused(Exception):
    """The upload service gives no place. ``again_at``: when it may, in seconds since the epoch, 0
    if at any time; None if it never does."""

    def __init__(self, reason: str, again_at: float | None) -> None:
        super().__init__(reason)
        self.again_at = again_at


class XmppPort(Protocol):
    """The component stream of one network. Everything here is immediate: no I/O is awaited."""

    @property
    def rosters(self) -> RosterPort:
        """Contact lists of its users."""

    @property
    def own_profiles(self) -> OwnProfilePort:
        """What they publish of themselves."""

    async def slot(self, service: str, wanted: WantedSlot, user: UserJid | None) -> Slot:
        """Ask an upload service for a place for a file: in the name of a user, if one is given,
        else as the component. Raises `SlotRefused`, also where the user's server does not let us,
        or the user does not want it."""

    def may_upload(self, user: UserJid) -> bool:
        """Count one more try to upload a file for a user. False if there were too many."""

    def is_up(self) -> bool:
        """The stream is up: what is written now goes out."""

    def has_room(self) -> bool:
        """The stream is up and the window of unconfirmed rows is not full."""

    def write(self, row: InboundRow) -> int:
        """Write a row; `Delivery.taken_over` or `Delivery.lost` follows. Returns how many stanzas.

        Raises `gateway.errors.StanzaRefused` if no stanza can be made of it.
        """

    def is_local(self, user: UserJid) -> bool:
        """Whether the user's account is on our own server."""

    def knows_grants(self, user: UserJid) -> bool:
        """Whether it is known what the user's server lets us do in their name. Only at the
        beginning of a stream it is not; `Delivery.grants_known` follows."""

    def is_strange(self, user: UserJid) -> bool:
        """Whether the user is neither linked, nor local, nor admitted by name: anybody can be many
        of these."""

    def language_of(self, to: str) -> str:
        """In which whoever has this address is spoken to."""

    def ping(self, domain: str, answered: Callable[[Pong], None]) -> None:
        """Ping a server; tells once what came of it."""

    def feel_pulse(
        self, room: RemoteRoomId, jid: str, answered: Callable[[Pulse], None], *, has_caps: bool
    ) -> None:
        """Ping a session in a room; tells once what came of it. ``has_caps``: it has said that
        there is something to be asked (XEP-0115)."""

    def refuse(
        self,
        contact: RemoteUserId,
        to: str,
        message: StanzaId,
        reason: FailureReason,
        text: str,
        through: Through | None = None,
    ) -> None:
        """An error stanza that is not journalled, because the message is not either. ``through``:
        the message was sent to this occupant."""

    def room_uri(self, room: RoomRow) -> str:
        """What joins a room when it is clicked (XEP-0147)."""

    def say(self, user: UserJid, text: str) -> None:
        """A line from the gateway itself that is not worth a journal row."""

    def typing(
        self, user: UserJid, contact: RemoteUserId, active: bool, resource: str = ""
    ) -> None:
        """The contact began or stopped typing. With ``resource`` one device alone is told."""

    def typing_privately(self, user: UserJid, through: Through, active: bool) -> None:
        """The same of a contact whom the user sees as an occupant."""

    def room_typing(self, room: RemoteRoomId, nick: str, active: bool, to: Sequence[str]) -> None:
        """An occupant began or stopped typing; these sessions are told."""

    def subscription(
        self, kind: str, user: UserJid, contact: RemoteUserId, name: str = ""
    ) -> None:
        """``subscribe``, ``subscribed``, ``unsubscribe`` or ``unsubscribed`` from a puppet."""

    def end(self, user: UserJid, contact: RemoteUserId, resource: str = "") -> int:
        """End the subscriptions of a user without an account (REQ-209). Returns how many stanzas.

        With ``resource`` there were none, and that device alone is told that the contact is gone.
        They answer nobody: whatever the user's clients say to them, the next ones go out too.
        """

    def presence(
        self,
        user: UserJid,
        contact: RemoteUserId,
        presence: Presence,
        resource: str = "",
        picture: str | None = None,
    ) -> None:
        """A puppet's presence; the contact '' is the gateway itself, whose status it knows.

        With ``resource`` one device alone is told. ``picture``: hash of the contact's, empty if
        there is none, None if that is not known.
        """

    def profiled(self, user: UserJid, contact: RemoteUserId, *, name: bool, picture: bool) -> None:
        """The name or the picture of a contact is another one: devices that want to know are
        told, if they see the contact."""

    def device_came(self, user: UserJid, resource: str) -> None:
        """A device is there, or it can do something else than before."""

    def frozen(self, room: RemoteRoomId, nick: str, jid: str) -> None:
        """A session is out of a room, for reasons that have nothing to do with the room."""

    def tells_presence(self, user: UserJid) -> bool:
        """Whether the user's server tells the gateway who is there, without a subscription."""

    def probe(self, user: UserJid, contact: RemoteUserId) -> None:
        """Ask the user's server, in the name of a puppet that may see the user, who is there."""
