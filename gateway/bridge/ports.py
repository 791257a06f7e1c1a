# SPDX-License-Identifier: Apache-2.0
"""What the bridge needs of the XMPP side. `gateway.xmpp` implements it; tests may too."""

from __future__ import annotations

import enum
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from gateway.events import FailureReason, Presence, Through
from gateway.ids import RemoteRoomId, RemoteUserId, StanzaId, UserJid
from gateway.store.journal import InboundRow


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


class XmppPort(Protocol):
    """The component stream of one network. Everything here is immediate: no I/O is awaited."""

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

    def is_strange(self, user: UserJid) -> bool:
        """Whether the user is neither linked, nor local, nor admitted by name: anybody can be many
        of these."""

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
        self, user: UserJid, contact: RemoteUserId, presence: Presence, resource: str = ""
    ) -> None:
        """A puppet's presence; the contact '' is the gateway itself, whose status it knows.

        With ``resource`` one device alone is told.
        """

    def frozen(self, room: RemoteRoomId, nick: str, jid: str) -> None:
        """A session is out of a room, for reasons that have nothing to do with the room."""

    def probe(self, user: UserJid, contact: RemoteUserId) -> None:
        """Ask the user's server, in the name of a puppet that may see the user, who is there."""
