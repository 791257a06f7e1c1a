# SPDX-License-Identifier: Apache-2.0
"""The contract: what the author of a network implements, and what the gateway hands to them.

How to write an adapter
=======================

1. Make a package with a class derived from `Adapter`, and name it in the entry-point group
   ``dragoman.adapters``. Import from the gateway only ``gateway.adapter``, ``gateway.events``,
   ``gateway.ids``, ``gateway.errors`` and ``gateway.text``; everything else comes through the
   context objects below.
2. Implement `Adapter` (one object per configured network), `LoginFlow` (the questions that link an
   account) and `Session` (the live connection of one account).
3. Run the contract suite on it (``docs/developer/adapters.md``).

What the gateway promises to an adapter
---------------------------------------

* One `Session` object at a time per account. ``run`` is called once per object; when it raises,
  the gateway waits (2 s to 10 min, with jitter) and makes a new object.
* An exception of a session costs that attempt only. Other accounts do not notice.
* A session that is over has no say: its `AccountContext` takes nothing more.
* ``send`` is called for one command of a conversation at a time, in order; commands of different
  conversations overlap. A command that failed with `Transient` comes again **with the same key**.
* The clock is ``context.clock``: tests move it, so no adapter calls ``time.time`` or
  ``asyncio.sleep`` for longer than a scheduling turn.

What an adapter promises to the gateway
---------------------------------------

* **Nothing is acknowledged before it is durable.** Events go to `AccountContext.commit` together
  with the cursor that follows them; only when that returns may the network forget them.
* Events may be handed over again: the gateway knows them by their remote id.
* Every failure is one of the `gateway.errors.AdapterError` tree, with a sentence for the user.
* Contents, tokens and phone numbers are never logged.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import msgspec

from gateway.errors import Unsupported

if TYPE_CHECKING:
    import aiohttp

    from gateway.events import (
        Command,
        FoundRooms,
        Presence,
        RemoteEvent,
        RemoteUndecryptable,
        RoomAction,
        SearchRooms,
    )
    from gateway.ids import NetworkName, RemoteMessageId, RemoteRoomId, RemoteUserId

__all__ = [
    "AccountContext",
    "Adapter",
    "Capabilities",
    "Clock",
    "Contact",
    "EncryptionFlow",
    "HistoryPage",
    "Linked",
    "Logger",
    "LoginField",
    "LoginFlow",
    "LoginOption",
    "LoginStep",
    "NetworkContext",
    "NoSettings",
    "Relogin",
    "Sent",
    "Session",
]


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


class NoSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """For adapters that have nothing to configure."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """What the network offers. What is claimed here must work: the contract suite tries each."""

    idempotent_send: bool
    """The key given to ``Session.send`` is an idempotency key on the network. Without one, a crash
    between sending and its answer ends as `Uncertain`, which is told to the user."""
    echoes_key: bool = False
    """Our own messages come back with the key in `RemoteMessage.key`."""
    typing: bool = False
    """`Session.set_typing` works, and `AccountContext.typing` is reported."""
    read_marks: bool = False
    """`MarkRead` works, and `RemoteRead` is reported."""
    live_only: bool = False
    """The network keeps nothing: what is not taken at once cannot be had later. Then
    `AccountContext.ready` never waits; when too much waits for the user, some is cut, and told."""
    presence: bool = False
    """`Session.set_presence` works, and `AccountContext.presence` is reported. Without it contacts
    are shown as available while the account is linked (REQ-310)."""
    contact_list: bool = False
    """The network has a list of contacts: `gateway.events.RemoteContactGone` tells of those whom
    it no longer has."""
    rooms: bool = False
    """The account's groups are reported (`gateway.events.RemoteRoomEvent`), and `SendRoomText`
    works."""
    room_actions: frozenset[type[RoomAction]] = frozenset()
    """What of these `Session.manage` can do at all."""
    room_search: bool = False
    """`Session.search_rooms` works."""
    edits: bool = False
    """In rooms, `SendRoomText.edits` works, and `RemoteRoomMessage.edits` is reported."""
    replies: bool = False
    """In rooms, ``reply_to`` of the same."""
    reactions: bool = False
    """In rooms, `ReactInRoom` works, and `RemoteRoomReaction` is reported."""
    retractions: bool = False
    """In rooms, `RetractInRoom` works, and `RemoteRoomRetraction` is reported."""
    mentions: bool = False
    """In rooms, `SendRoomText.mentions` works, and `RemoteRoomMessage.mentions` is reported."""
    avatars: bool = False
    """`Session.avatar` works, and `gateway.events.RemoteRoom` and `gateway.events.Member` say who
    has a picture."""
    history: bool = False
    """`Session.history` tells what was said in rooms before the account was linked."""
    encryption: bool = False
    """`Session.encryption` lets the user set up end-to-end encryption."""
    max_text_bytes: int = 65536
    """Longest text in UTF-8. Longer ones are refused before they reach the adapter."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginOption:
    """One possible answer."""

    value: str
    label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginField:
    """One question of a login dialogue."""

    name: str
    """Unique within a login. What XEP-0077 has a name for is called so (``username``,
    ``password``), and a choice between several ways to log in is called ``method``."""
    label: str
    """The question, in plain words: "Password"."""
    hint: str = ""
    """An example or one more sentence."""
    secret: bool = False
    """The answer is never shown or logged, and the user is told to delete it."""
    options: tuple[LoginOption, ...] = ()
    """The possible answers, if only some are."""
    default: str = ""
    """What an empty answer means; shown to the user. Not for secrets."""
    required: bool = True
    """An answer is needed, if there is no default."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginStep:
    """Questions that are asked together."""

    instructions: str
    fields: tuple[LoginField, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Linked:
    """A successful login."""

    realm: str
    """Trust domain in which ``remote_id`` was proved, for example the homeserver's address."""
    remote_id: RemoteUserId
    secret: bytes = field(repr=False)
    """Whatever a session needs to connect. Encrypted at rest; see `AccountContext.secret`."""
    note: str = ""
    """What the user should know from now on, in one or two plain sentences."""
    ours: bool = True
    """This login has made the session on the network. If the user brought one (an access token),
    it is revoked only after the gateway has taken it over: until then anybody could end the
    session of somebody else by it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Relogin:
    """An account whose login has ended, and which shall go on as the same identity."""

    realm: str
    remote_id: RemoteUserId


class LoginFlow(ABC):
    """One user's login dialogue. Thrown away when it ends or when the user gives up.

    Whatever can be checked without a secret is checked before one is asked for: a chat keeps what
    was typed into it.
    """

    @abstractmethod
    def first(self) -> LoginStep:
        """The first questions. No I/O."""

    def at_once(self) -> LoginStep:
        """The questions of the simplest login, all in one form. No I/O.

        For clients that know nothing else (XEP-0077). `submit` takes the answers as they are; what
        it then still asks for is asked elsewhere.
        """
        return self.first()

    @abstractmethod
    async def submit(self, answers: Mapping[str, str]) -> LoginStep | Linked:
        """All answers so far, by field name; returns more questions or the result.

        Which answers are there says how far the user is. They may go back: then answers that were
        there are missing again, and those before may be others. May take up to 30 s. Raises
        `BadLogin` (asks again, naming the field, which may be one of an earlier step),
        `Transient`, `Forbidden`, `Unsupported`; the text is shown to the user.
        """


class EncryptionFlow(ABC):
    """One user's dialogue about encryption. Thrown away when it ends or the user gives up."""

    @abstractmethod
    def first(self) -> LoginStep:
        """How things are, and what can be done. No I/O."""

    @abstractmethod
    async def submit(self, answers: Mapping[str, str]) -> LoginStep | str:
        """All answers so far, by field name; returns more questions, or what has come of it.

        May take up to 30 s. Raises `BadLogin` (asks again), or any other `AdapterError`; the text
        is shown to the user.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Contact:
    """What the network says of a person."""

    name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """The network has taken a command."""

    remote_id: RemoteMessageId | None = None
    """Id of the message that it made, if it made one."""
    reactions: Mapping[str, RemoteMessageId] = field(default_factory=dict)
    """After a `gateway.events.ReactInRoom`: the account's reactions, with their ids."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryPage:
    """Some of what was said in a room."""

    events: Sequence[RemoteEvent]
    """The oldest first: texts, edits, reactions, retractions, notices, and what cannot be read. A
    text that was taken back is there as one without words, followed by its retraction."""
    cursor: str | None
    """What comes before them; None if there is nothing."""


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
        that is not known, raise `Uncertain`.
        """

    @abstractmethod
    async def set_typing(self, contact: RemoteUserId, active: bool) -> None:
        """The user types, or stopped. Best effort: errors are ignored."""

    async def manage(self, action: RoomAction) -> RemoteRoomId | None:
        """Do something with a room for a user who waits, within 20 s, and return when it is done.

        Returns the room, where the account comes into one. What has changed comes back by
        `AccountContext.commit` as well, like what others do. Never tried again; raises any
        `AdapterError`, and the user is told its text. Only what is in
        `Capabilities.room_actions` is asked for.
        """
        raise Unsupported("This cannot be done with groups of this network.")

    async def banned(self, room: RemoteRoomId) -> Sequence[RemoteUserId]:
        """Who may not come into a room, within 20 s, for a user who waits.

        Called only where `LiftBan` is in `Capabilities.room_actions`. Raises any `AdapterError`.
        """
        raise Unsupported("This network does not tell who is banned.")

    async def search_rooms(self, wanted: SearchRooms) -> FoundRooms:
        """Rooms that anybody may find, the largest first, within 20 s, for a user who waits.

        Raises any `AdapterError`.
        """
        raise Unsupported("Groups of this network cannot be searched for.")

    async def tell_rooms(self, rooms: Sequence[RemoteRoomId] | None) -> None:
        """Tell these rooms of the account whole, each with its members, by commits that follow;
        all of its rooms if this is None. Returns at once.

        Called where rooms are shared (`Adapter.shares_rooms`), and when that has changed. Raises
        any `AdapterError`, and it is asked for again.
        """
        raise Unsupported("This network does not tell its rooms anew.")

    async def avatar(self, reference: str) -> bytes:
        """Fetch the picture that the network calls so, of at most 8 MiB, within 30 s.

        Where the network makes small ones, one of some 256 pixels is enough. It may be anything:
        the gateway looks at it in a process of its own. ``reference`` is what
        `gateway.events.Member` or `gateway.events.RemoteRoom` said, perhaps to an earlier session
        of this account, and always means the same picture: whoever gets another one has another
        reference. Called in the background, for few at a time. Raises any `AdapterError`, and is
        called again some times.
        """
        raise Unsupported("This network has no pictures.")

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
        raise Unsupported("This network does not tell what was said before.")

    async def set_room_typing(self, room: RemoteRoomId, active: bool) -> None:  # noqa: B027
        """The user types in a room, or stopped. Best effort: errors are ignored."""

    async def set_presence(self, presence: Presence) -> None:  # noqa: B027 - a capability
        """How the user can be reached, for the people of the network (REQ-317).

        Called after ``connected`` and when it changes, not more than once in 30 s. Until then the
        network is to be told nothing: to be connected does not mean to be online. It holds until
        the next call or the end of ``run``. Best effort: errors are ignored.
        """

    def encryption(self) -> EncryptionFlow:
        """The questions about end-to-end encryption, for a session that is live. No I/O.

        Raises `Unsupported` with the reason.
        """
        raise Unsupported("There is no end-to-end encryption in this network.")

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


class Adapter(ABC):
    """One kind of network. One object of it per configured network."""

    display_name: ClassVar[str]
    """For people: "Matrix"."""
    settings_type: ClassVar[type[msgspec.Struct]] = NoSettings
    """The type of ``networks.<name>.settings`` in the configuration."""
    capabilities: ClassVar[Capabilities]

    def __init__(self, context: NetworkContext) -> None:
        self.context = context

    async def start(self) -> None:  # noqa: B027 - optional
        """Before the first session. Anything that all accounts share."""

    async def stop(self) -> None:  # noqa: B027 - optional
        """After the last session."""

    @abstractmethod
    def address_of(self, remote_id: RemoteUserId) -> str | None:
        """The readable address of a contact: ``bob%example.org`` for ``@bob:example.org``.

        The gateway escapes it (XEP-0106) into the localpart of the puppet's JID. None if there is
        no readable form that `contact_at` can read back; the gateway then assigns a name with a
        hash. No I/O.
        """

    @abstractmethod
    def contact_at(self, address: str) -> RemoteUserId | None:
        """The contact whose readable address this is, or None if it cannot be one. No I/O.

        Must be the inverse: ``contact_at(address_of(x)) == x``. Also used for what a person types
        (``@bob:example.org``), so several spellings may be taken.
        """

    def room_at(self, address: str) -> str | None:
        """What `gateway.events.FindRoom` and `gateway.events.JoinRoom` take for the room that
        people address so here: ``#tea:example.org`` for ``#tea%example.org``.

        None if it can be no room. Every address begins with ``#``, in lower case. No I/O.
        """
        return None

    def room_address(self, called: str) -> str | None:
        """The inverse: the address of a room that the network calls so. No I/O."""
        return None

    def shares_rooms(self, realm: str) -> bool:
        """Whether the rooms in a realm are one for all accounts there: what one of them is told
        of a room, others are told by it. So its server must be one that the admin trusts. No I/O.
        """
        return False

    @abstractmethod
    def login(self, again: Relogin | None = None) -> LoginFlow:
        """Begin to link an account.

        With ``again`` the user logs in to an account that they had linked: only what proves that
        is asked for, and never who or where they are.
        """

    @abstractmethod
    def session(self, account: AccountContext) -> Session:
        """A new session of a linked account. No I/O."""
