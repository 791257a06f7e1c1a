# SPDX-License-Identifier: Apache-2.0
"""The live connection of one account."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gateway.errors import Unsupported
from gateway.text.wording import tr

if TYPE_CHECKING:
    from gateway.adapter.files import Download
    from gateway.adapter.login import EncryptionFlow
    from gateway.events import (
        Command,
        FoundPerson,
        FoundRooms,
        Presence,
        RemoteEvent,
        RemoteMessage,
        RoomAction,
        SearchPeople,
        SearchRooms,
    )
    from gateway.ids import RemoteMessageId, RemoteRoomId, RemoteUserId


@dataclass(frozen=True, slots=True, kw_only=True)
class Contact:
    """What the network says of a person."""

    name: str = ""
    avatar: str | None = None
    """As in `gateway.events.RemoteProfile`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedContact:
    """One of an account's people."""

    id: RemoteUserId
    name: str = ""
    was_talked_with: bool = False
    """Something was said in their chat, in whatever app."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnPicture:
    """A picture that the user shows: a PNG or JPEG of at most 96 KiB. Without data: none."""

    data: bytes = field(default=b"", repr=False)
    media_type: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """The network has taken a command."""

    remote_id: RemoteMessageId | None = None
    """Id of the message that it made, if it made one."""
    reactions: Mapping[str, RemoteMessageId] = field(default_factory=dict)
    """After a `gateway.events.React` or `gateway.events.ReactInRoom`: the account's reactions,
    with their ids."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Muted:
    """Of which chats and rooms the user's apps of the network do not notify."""

    contacts: frozenset[RemoteUserId] = frozenset()
    rooms: frozenset[RemoteRoomId] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Poll:
    """A question that one can vote on."""

    reference: str
    """By which `Session.vote` finds it."""
    question: str
    answers: tuple[str, ...]
    most: int = 1
    """How many of them one may choose."""
    chosen: tuple[int, ...] = ()
    """The places of those that the account has chosen, as far as that is known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryPage:
    """Some of what was said in a room."""

    events: Sequence[RemoteEvent]
    """The oldest first: texts, edits, reactions, retractions, notices, and what cannot be read. A
    text that was taken back is there as one without words, followed by its retraction."""
    cursor: str | None
    """What comes before them; None if there is nothing."""


class Session(ABC):
    """The live connection of one account."""

    @abstractmethod
    async def run(self) -> None:
        """Connect, call `AccountContext.connected`, hand over events, until cancelled.

        Raises `Transient` (tried again later), `AuthExpired` (ends until the user logs in again),
        or any other `AdapterError` (told to the user, tried again later). Cancellation may come at
        any await; what was not committed comes again from the network.

        One event never ends a session: it would come again, and end the next one. An event whose
        conversion raises is handed over as `gateway.events.RemoteUnreadable`, in its place, and
        what comes after it as usual. The core does the same with what it cannot store.
        """

    @abstractmethod
    async def send(self, command: Command, key: str) -> Sent:
        """Carry out a command, and return when the network has taken it.

        ``key`` names this command for ever; an attempt with a key that the network has already
        taken returns the first result. Called only between ``connected`` and the end of ``run``;
        given up (cancelled) after ``delivery.attempt_limit``. Raises any `AdapterError`. Without
        ``idempotent_send``, `Transient` means that the network certainly does not have it; where
        that is not known, raise `Uncertain`, but for edits, reactions and retractions, which are
        done again.
        """

    async def turn(self, command: Command) -> None:  # noqa: B027 - not all networks want a pace
        """Wait until the network may be asked to carry a command out; `send` comes at once after.

        Nothing goes out here, so that nothing is unclear if the gateway ends meanwhile. It counts
        as an attempt of its own: as long as ``delivery.attempt_limit``. Raises any `AdapterError`,
        and ``send`` is not called then.
        """

    @abstractmethod
    async def set_typing(self, contact: RemoteUserId, active: bool) -> None:
        """The user types, or stopped. Best effort: errors are ignored."""

    async def contacts(self) -> Sequence[ListedContact]:
        """The people of the account, within 20 s, for a user who waits: its list of contacts, or
        those of its chats. Each once. Raises any `AdapterError`.

        Called only where `Capabilities.lists_contacts` says so.
        """
        raise Unsupported(tr("This network does not tell who your contacts are."))

    async def block(self, contact: RemoteUserId, is_blocked: bool) -> None:
        """Hear nothing more of somebody, or again, within 20 s, for a user who waits; return when
        it is done. `gateway.events.RemoteIgnored` follows. Raises any `AdapterError`.

        Called only where `Capabilities.blocking` says so.
        """
        raise Unsupported(tr("Nobody can be blocked in this network."))

    async def report(self, contact: RemoteUserId, reason: str) -> None:
        """Tell those who run the network that somebody behaves badly; ``reason`` may be empty.
        Within 20 s, for a user who waits. Raises any `AdapterError`.

        Called only where `Capabilities.reporting` says so.
        """
        raise Unsupported(tr("Nobody can be reported in this network."))

    async def mute(
        self, contact: RemoteUserId | None, room: RemoteRoomId | None, is_muted: bool
    ) -> None:
        """Apps of the network notify the account no more of its chat with somebody, or of a room
        (the other one is None), or again; within 20 s, for a user who waits. Doing it twice is
        the same. Raises any `AdapterError`.

        Called only where `Capabilities.muting` says so.
        """
        raise Unsupported(tr("Nothing can be muted in this network."))

    async def muted(self) -> Muted:
        """What is muted now, by `mute` or in another app, within 20 s, for a user who waits.
        Raises any `AdapterError`. Called only where `Capabilities.muting` says so.
        """
        raise Unsupported(tr("Nothing can be muted in this network."))

    async def poll(self, contact: RemoteUserId | None, room: RemoteRoomId | None) -> Poll | None:
        """The newest poll that goes on in the chat with somebody, or in a room (the other one is
        None), within 20 s, for a user who waits. None if none is known. Raises any `AdapterError`.

        Called only where `Capabilities.polls` says so.
        """
        raise Unsupported(tr("There are no polls in this network."))

    async def vote(self, poll: Poll, answers: Sequence[int]) -> None:
        """Choose the answers at these places, in place of those of before; within 20 s, for a user
        who waits. How it stands then is told as ever. Raises any `AdapterError`.

        Called only where `Capabilities.polls` says so.
        """
        raise Unsupported(tr("There are no polls in this network."))

    async def last_said(self, contact: RemoteUserId, most: int) -> Sequence[RemoteMessage]:
        """What was said last in a chat, the oldest first, within 20 s, for a user who waits: each
        message once and as it is now, at most so many, and none that was taken back.

        It is told to nobody else. What cannot be read is left out. Raises any `AdapterError`.
        Called only where `Capabilities.chat_history` says so.
        """
        raise Unsupported(tr("This network does not tell what was said before."))

    async def manage(self, action: RoomAction) -> RemoteRoomId | None:
        """Do something with a room for a user who waits, within 20 s, and return when it is done.

        Returns the room, where the account comes into one. What has changed comes back by
        `AccountContext.commit` as well, like what others do. Never tried again; raises any
        `AdapterError`, and the user is told its text. Only what is in
        `Capabilities.room_actions` is asked for.
        """
        raise Unsupported(tr("This cannot be done with groups of this network."))

    async def banned(self, room: RemoteRoomId) -> Sequence[RemoteUserId]:
        """Who may not come into a room, within 20 s, for a user who waits.

        Called only where `LiftBan` is in `Capabilities.room_actions`. Raises any `AdapterError`.
        """
        raise Unsupported(tr("This network does not tell who is banned."))

    async def search_rooms(self, wanted: SearchRooms) -> FoundRooms:
        """Rooms that anybody may find, the largest first, within 20 s, for a user who waits.

        Raises any `AdapterError`.
        """
        raise Unsupported(tr("Groups of this network cannot be searched for."))

    async def search_people(self, wanted: SearchPeople) -> Sequence[FoundPerson]:
        """People whom the account may find by their names or ids, within 20 s, for a user who
        waits. Raises any `AdapterError`.
        """
        raise Unsupported(tr("People of this network cannot be searched for."))

    async def tell_rooms(self, rooms: Sequence[RemoteRoomId] | None) -> None:
        """Tell these rooms of the account whole, each with its members, by commits that follow;
        all of its rooms if this is None.

        Returns at once, but not before it is certain that they will be told, whatever ends before
        that: it is not asked for again. Called where rooms are shared (`Adapter.shares_rooms`),
        and when that has changed. Raises any `AdapterError`, and it is asked for again.
        """
        raise Unsupported(tr("This network does not tell its rooms anew."))

    async def avatar(self, reference: str) -> bytes:
        """Fetch the picture that the network calls so, of at most 8 MiB, within 30 s.

        Where the network makes small ones, one of some 256 pixels is enough. It may be anything:
        the gateway looks at it in a process of its own. ``reference`` is what
        `gateway.events.RemoteProfile`, `gateway.events.Member` or `gateway.events.RemoteRoom`
        said, perhaps to an earlier session of this account, and always means the same picture:
        whoever gets another one has another reference. Called in the background, for few at a
        time. Raises any `AdapterError`, and is called again some times.
        """
        raise Unsupported(tr("This network has no pictures."))

    async def download(self, reference: str, start: int = 0, *, in_part: bool = False) -> Download:
        """Open a file that the network has, from its byte ``start`` on, in the clear.

        Where the network cannot be trusted with it, all that comes is what was sent, or an error
        in its place; of the whole, the last chunk is enough. ``in_part``: it is not wanted to its
        end. That is only so if not all of it is wanted, and may be refused by `TooLarge`.

        ``reference`` is that of a `gateway.events.RemoteFile`, perhaps of an earlier session, or
        of another account in a room that both are in. Several may be open at a time, and they are
        left unread at any place; however slowly one is taken, ``run`` and ``send`` go on. Opening
        takes at most 30 s, and raises any `AdapterError`: `NotFound` where the network has it no
        longer. Called only where `Capabilities.files` says so.
        """
        raise Unsupported(tr("This network has no files."))

    async def history(
        self,
        room: RemoteRoomId,
        before: str | None,
        known: RemoteMessageId | None,
        limit: int,
    ) -> HistoryPage:
        """A page of what was said before, for a user who waits, within 30 s.

        ``before`` is the cursor of the last page. Without one the page begins before ``known``,
        the oldest message that the gateway has, or, if it has none, before all that was and will
        be handed over by `AccountContext.commit`. It has about ``limit`` events, or none; those
        that the gateway has are ignored. They are told to nobody who does not ask for them. A
        cursor that the network does not take any more is none. Only what the account may see is
        there. Raises any `AdapterError`; then the same is asked for again later. Called only
        where `Capabilities.history` says so.
        """
        raise Unsupported(tr("This network does not tell what was said before."))

    async def set_room_typing(self, room: RemoteRoomId, active: bool) -> None:  # noqa: B027
        """The user types in a room, or stopped. Best effort: errors are ignored."""

    async def set_presence(self, presence: Presence) -> None:  # noqa: B027 - a capability
        """How the user can be reached, for the people of the network (REQ-317).

        Called after ``connected`` and when it changes, not more than once in 30 s. Until then the
        network is to be told nothing: to be connected does not mean to be online. It holds until
        the next call or the end of ``run``. Best effort: errors are ignored.
        """

    async def set_profile(
        self, *, name: str | None = None, picture: OwnPicture | None = None
    ) -> None:
        """Show people of the network this name or this picture of the user, within 30 s (REQ-349).

        What is None stays as it is. Called where `Capabilities.profile` says so, for users who
        wish it, when they have another one on XMPP; doing it twice is the same. Raises any
        `AdapterError`: after `Transient` and `RateLimited` it is called again.
        """
        raise Unsupported(tr("Names and pictures cannot be set in this network."))

    def encryption(self) -> EncryptionFlow:
        """The questions about end-to-end encryption, for a session that is live. No I/O.

        Raises `Unsupported` with the reason.
        """
        raise Unsupported(tr("There is no end-to-end encryption in this network."))

    @abstractmethod
    async def find(self, contact: RemoteUserId) -> Contact:
        """Look a person up, within 5 s.

        Raises `NotFound` if there is none, `Forbidden` if the network does not tell, and
        `Transient` if it cannot tell now.
        """

    @abstractmethod
    async def log_out(self) -> None:
        """Revoke the credentials on the network.

        Called after ``run`` has ended, also when it never connected. Errors are reported to the
        user, but the account is removed all the same.
        """
