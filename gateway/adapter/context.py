# SPDX-License-Identifier: Apache-2.0
"""What the gateway hands to an adapter, and to each session."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import aiohttp

    from gateway.adapter.files import Upload
    from gateway.events import Departure, Presence, RemoteEvent, RemoteUndecryptable, SentFile
    from gateway.ids import NetworkName, RemoteMessageId, RemoteRoomId, RemoteUserId


class Clock(Protocol):
    """The only source of time."""

    def now(self) -> float:
        """Seconds since the epoch, UTC."""

    def monotonic(self) -> float:
        """Seconds that never go back, for measuring."""

    async def sleep(self, seconds: float) -> None:
        """Wait."""


class Logger(Protocol):
    """Structured: an event name, then key=value. Account and network are bound already."""

    def debug(self, event: str, **fields: Any) -> Any: ...
    def info(self, event: str, **fields: Any) -> Any: ...
    def warning(self, event: str, **fields: Any) -> Any: ...
    def error(self, event: str, **fields: Any) -> Any: ...


class NetworkContext(Protocol):
    """The gateway, as an adapter sees it."""

    @property
    def name(self) -> NetworkName: ...

    @property
    def settings(self) -> Any:
        """An object of the adapter's ``settings_type``."""

    @property
    def log(self) -> Logger: ...

    @property
    def clock(self) -> Clock: ...

    @property
    def http(self) -> aiohttp.ClientSession: ...


class AccountContext(Protocol):
    """The gateway, as one session sees it."""

    @property
    def log(self) -> Logger: ...

    @property
    def clock(self) -> Clock: ...

    @property
    def http(self) -> aiohttp.ClientSession:
        """Shared by all accounts; never closed by an adapter."""

    @property
    def remote_id(self) -> RemoteUserId:
        """Of the account itself."""

    @property
    def instance(self) -> str:
        """Unguessable name of this gateway's database: marks what we made on the network."""

    @property
    def secret(self) -> bytes:
        """`Linked.secret` of the login."""

    @property
    def cursor(self) -> str | None:
        """What was last committed; None before the first commit of this account."""

    def state(self) -> Mapping[str, str]:
        """The account's own key-value store as last committed. Small: it is kept in memory."""

    def sealed(self, key: str) -> bytes | None:
        """A value as last committed to the account's store of secrets, such as keys.

        It may be large: each look-up is one in the database. It ends with a log-out. Raises
        `gateway.errors.SecretUnreadable` if it was sealed with another key file.
        """

    def waiting(self, needs: str | None = None) -> Sequence[RemoteUndecryptable]:
        """The committed events of this account that need this and cannot be read without it; all
        that cannot be read if it is None. The newest 2,000 at the most."""

    def reactions(
        self, room: RemoteRoomId, message: RemoteMessageId
    ) -> Mapping[str, RemoteMessageId]:
        """The account's own reactions to a message as last committed, each with its id."""

    def chat_reactions(
        self, contact: RemoteUserId, message: RemoteMessageId, *, theirs: bool = False
    ) -> Mapping[str, RemoteMessageId]:
        """The same in a chat; or those of the contact, as far as they were handed over."""

    @property
    def is_house(self) -> bool:
        """Whether it is that of `gateway.adapter.Adapter.house`. It has no chats, and of its rooms
        only those count that are linked: events of others are dropped."""

    def linked_rooms(self) -> frozenset[RemoteRoomId]:
        """Of an account of the house: its groups that people without an account may join."""

    async def link_room(self, room: RemoteRoomId, code: str, *, is_owner: bool) -> str:
        """Somebody who administers a group has sent the code there that links it; ``is_owner``:
        it is theirs. Returns what is to be said in the group.

        When the room is in `linked_rooms` then, it is told whole with the next events. Doing it
        twice is the same. Raises `gateway.errors.StoreUnavailable`.
        """

    async def unlink_room(self, room: RemoteRoomId) -> str:
        """Somebody who administers a group wants it to be linked no longer. Returns what is to be
        said in the group. Raises `gateway.errors.StoreUnavailable`."""

    async def put_out(self, room: RemoteRoomId, message: RemoteMessageId, how: Departure) -> str:
        """Somebody who administers a group wants whoever has said this through the account of the
        house to be out of it: kicked, or banned; or, as `gateway.events.RemoteMemberGone` says it,
        left: they may come again. Returns what is to be said in the group. Raises
        `gateway.errors.StoreUnavailable`.
        """

    def authors_reactions(
        self, room: RemoteRoomId, message: RemoteMessageId
    ) -> Mapping[RemoteUserId, tuple[str, ...]]:
        """What those react to a message with for whom an account of the house speaks, as last
        committed."""

    def worded(self, text: str) -> str:
        """A sentence for people of the network, in the language of the gateway."""

    def open(self, file: SentFile) -> AbstractAsyncContextManager[Upload]:
        """Open a file of a command, for `Session.send` to carry it to the network.

        For as long as bytes flow, the time that ``send`` may take is not counted. Raises any
        `AdapterError`, on being opened and while it is read; ``send`` lets it through.
        """

    async def ready(self) -> None:
        """Wait until more may be fetched; call it before each fetch but the first.

        It waits, for days perhaps, while too much waits for the user. A session that never calls
        it is made to wait in `commit`, once it is live, with the events it has. What the user
        sends goes on.
        """

    async def commit(
        self,
        events: Sequence[RemoteEvent],
        *,
        cursor: str | None = None,
        state: Mapping[str, str | None] | None = None,
        sealed: Mapping[str, bytes | None] | None = None,
    ) -> None:
        """Make events, cursor and changes of the state and of the secrets durable, in this order.

        All but events are stored together with the last of the events, all or nothing. Very many
        events are stored in parts, so when it raises some of them may be there; events that were
        committed before are ignored. A ``cursor`` of None leaves it as it is; a value of None
        deletes its key. On a network without keys it may wait until a `send`
        that is under way has its answer, so answers are never read behind it. Raises
        `gateway.errors.StoreUnavailable`, and the session should end with `Transient` or try
        again; `Transient` if this session is over.
        """

    def connected(self) -> None:
        """The session is live. Before this, no command is sent through it."""

    def typing(self, contact: RemoteUserId, active: bool) -> None:
        """The contact began or stopped typing. Latest wins; never stored."""

    def room_typing(self, room: RemoteRoomId, user: RemoteUserId, active: bool) -> None:
        """Somebody in a room began or stopped typing. Latest wins; never stored."""

    def presence(self, contact: RemoteUserId, presence: Presence) -> None:
        """How the contact can be reached now. Latest wins, and repeating it costs nothing.

        Kept over sessions and restarts. Somebody of whom nothing was ever told is shown as
        available, so tell of those whom the network says to be away, and tell only of people with
        whom the account has a chat.
        """
