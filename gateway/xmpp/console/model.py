# SPDX-License-Identifier: Apache-2.0
"""The one command model behind all faces of the console.

A command is a coroutine that talks through a `Dialogue`. What it asks is a `Form`; a face shows it
as it can: the chat field by field, ad-hoc commands (XEP-0050) as a whole.
"""

from __future__ import annotations

import asyncio
import enum
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Set
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from gateway.adapter import Clock
from gateway.bridge.splitting import brief
from gateway.errors import AccountGone, AdapterError, GatewayError, StanzaRefused, StoreUnavailable
from gateway.ids import RemoteRoomId, RemoteUserId, UserJid
from gateway.locale import in_any_language
from gateway.tasks import is_cancelled
from gateway.text.wording import Words, tr
from gateway.xmpp import jid
from gateway.xmpp.console.desk import Desk

if TYPE_CHECKING:
    from gateway.bridge.accounts import Account
    from gateway.xmpp.console.fits import Asker

T = TypeVar("T")
Answers = Mapping[str, str]
"""By the name of the field. A yes is "1", a no "0"; several addresses stand on lines of theirs."""

ANSWER_LIMIT_S = 900.0
_WORK_LIMIT_S = 60.0
YES = frozenset({"1", "true"}) | in_any_language(tr("yes"))
_NO = frozenset({"0", "false"}) | in_any_language(tr("no"))
LONGEST_ANSWER = 8192
"""Characters."""


class Cancelled(Exception):
    """The user does not want to go on, or has not answered in time."""


class Expired(Cancelled):
    """The user has not answered in time."""


class Back(Exception):
    """The user wants to see the form before this one again."""


class BadAnswer(Exception):
    """An answer that cannot be taken; the text says why."""


class Kind(enum.Enum):
    """What a field takes."""

    TEXT = enum.auto()
    SECRET = enum.auto()
    CHOICE = enum.auto()
    YES_NO = enum.auto()
    JIDS = enum.auto()
    """One or several bare addresses."""


@dataclass(frozen=True, slots=True)
class Option:
    """One of the values of a choice."""

    value: str
    label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One question."""

    name: str
    label: str
    kind: Kind = Kind.TEXT
    hint: str = ""
    """An example or one more sentence."""
    options: tuple[Option, ...] = ()
    default: str = ""
    """What an empty answer means. Secrets have none."""
    required: bool = True

    def checked(self, answer: str) -> str:
        """The answer as commands get it. Raises `BadAnswer`."""
        if len(answer) > LONGEST_ANSWER:
            raise BadAnswer(tr("The answer to “{label}” is too long.", label=self.label))
        if self.kind is not Kind.SECRET:  # which may begin or end with a blank
            answer = answer.strip() or self.default
        if not answer:
            if self.required:
                raise BadAnswer(tr("An answer to “{label}” is needed.", label=self.label))
            return ""
        return _CHECKS[self.kind](self, answer)


def _any_text(_: Field, answer: str) -> str:
    return answer


def _choice(field: Field, answer: str) -> str:
    """By its value; or as it is called, which others may have chosen."""
    if any(answer == option.value for option in field.options):
        return answer
    said = answer.lower()
    meant = [option.value for option in field.options if said in in_any_language(option.label)]
    if len(meant) == 1:
        return meant[0]
    # It is not repeated: it may be a password that was typed too soon (REQ-202).
    raise BadAnswer(tr("That is none of the possible answers to “{label}”.", label=field.label))


def _yes_no(field: Field, answer: str) -> str:
    said = answer.lower()
    if said in YES:
        return "1"
    if said in _NO:
        return "0"
    raise BadAnswer(tr("Please answer “{label}” with yes or no.", label=field.label))


def _jids(field: Field, answer: str) -> str:
    found = []
    for typed in answer.replace(",", " ").split():
        address = jid.split(typed)
        try:
            found.append(jid.make(address.local or "@", address.domain))
        except StanzaRefused:
            raise BadAnswer(
                tr("“{typed}” is not the address of an XMPP user.", typed=typed[:100])
            ) from None
    if not found:  # there were only commas
        raise BadAnswer(tr("An answer to “{label}” is needed.", label=field.label))
    return "\n".join(dict.fromkeys(found))


_CHECKS: Mapping[Kind, Callable[[Field, str], str]] = {
    Kind.TEXT: _any_text,
    Kind.SECRET: _any_text,
    Kind.CHOICE: _choice,
    Kind.YES_NO: _yes_no,
    Kind.JIDS: _jids,
}


class Place(enum.Enum):
    """Where a command may be given."""

    GATEWAY = enum.auto()
    CONTACT = enum.auto()
    ROOM = enum.auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Whom or what a command is about that was given at its address: it does not ask for that."""

    address: str
    """A bare JID."""
    contact: RemoteUserId | None = None
    room: RemoteRoomId | None = None

    @property
    def place(self) -> Place:
        """What it is."""
        return Place.ROOM if self.room is not None else Place.CONTACT


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """Questions that are asked together."""

    title: str
    instructions: str
    fields: tuple[Field, ...]
    last: bool = False
    """The answer ends the command."""
    edits: bool = False
    """All fields have values already; the user changes some of them."""
    form_type: str = ""
    """A registered FORM_TYPE (XEP-0068)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A result with columns (name and label) and rows."""

    title: str
    columns: tuple[tuple[str, str], ...]
    rows: tuple[tuple[str, ...], ...]


class Note(enum.Enum):
    """XEP-0050 §4.3."""

    INFO = "info"
    WARNING = "warn"
    ERROR = "error"


class Dialogue(ABC):
    """One user's talk with one command."""

    keeps_answers = False
    """Whatever the user answers stays in an archive of their client or server."""
    has_secret = False
    """They have typed a password or the like where it stays, and nobody has told them so yet."""

    def __init__(self, user: UserJid, desk: Desk, target: Target | None = None) -> None:
        self.user = user
        self.target = target
        self.approvals = desk.approvals
        self.network = desk.network
        self.may_log_in = desk.may_log_in
        self.consent = desk.consent
        self.may_search = desk.may_search
        self.room_uri = desk.room_uri
        self.room_at = desk.room_at
        self.room_called = desk.room_called
        self.address_of = desk.address_of
        self.contact_at = desk.contact_at
        self.person = desk.person
        self.tell = desk.tell
        self.page_of = desk.page_of
        self.is_admin = desk.is_admin
        self._tasks = desk.tasks
        self._clock: Clock = desk.network.adapter.context.clock
        self._asked: asyncio.Future[Any] | None = None
        """What the user's answer is set on."""
        self._work: asyncio.Future[Any] | None = None
        """What the user may cancel while nothing is asked."""

    @property
    def account(self) -> Account:
        """The user's, for commands that need one. Raises `AccountGone`: it may have ended while
        somebody was waited for."""
        account = self.network.accounts.of(self.user)
        if account is None:
            raise AccountGone(tr("You have no account here any more."))
        return account

    def begins_with(self, words: Set[str]) -> bool:
        """Whether the user has said one of these with the command; then it answers no question."""
        return False

    @abstractmethod
    def say(self, text: str, note: Note = Note.INFO) -> None:
        """Tell the user something."""

    @abstractmethod
    def show(self, table: Table) -> None:
        """Show a result."""

    @abstractmethod
    async def ask(
        self, form: Form, known: Answers | None = None, *, wrong: str = "", back: bool = False
    ) -> dict[str, str]:
        """The user's answers to a form, checked, by name.

        ``known`` are answers of before: not asked again where questions are asked one by one, else
        shown. ``wrong`` says what is wrong with the answers of before. With ``back`` the user may
        want to see the form before; then it raises `Back`. Raises `Cancelled`.
        """

    async def wait(
        self, work: Coroutine[Any, Any, T], late: Callable[[T], Awaitable[None]] | None = None
    ) -> T:
        """The result of work that the network has a part in, within a minute.

        Raises `TimeoutError` after that; the work goes on. With ``late`` the user may cancel,
        which ends the command; ``late`` gets a result that nobody waits for any more.
        """
        result: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        limit = self._limit(result, _WORK_LIMIT_S, TimeoutError())
        self._work = result if late is not None else None
        self._tasks.spawn(_finish(work, result, late), "work of a command")
        try:
            return await result
        finally:
            limit.cancel()
            self._work = None

    async def _answer(self) -> Any:
        """What the user answers; whoever asks has shown the question. Raises `Expired`."""
        self._asked = asyncio.get_running_loop().create_future()
        limit = self._limit(self._asked, ANSWER_LIMIT_S, Expired())
        try:
            return await self._asked
        finally:
            limit.cancel()
            self._asked = None

    def cancel(self) -> bool:
        """The user does not want to go on. False if that is not possible now."""
        waiting = self._work if self._asked is None else self._asked
        if waiting is None or waiting.done():
            return False
        waiting.set_exception(Cancelled())
        return True

    def _limit(
        self, future: asyncio.Future[Any], seconds: float, error: Exception
    ) -> asyncio.Task[None]:
        """End the wait for a future with this error."""

        async def give_up() -> None:
            await self._clock.sleep(seconds)
            if not future.done():
                future.set_exception(error)

        return self._tasks.spawn(give_up(), "limit")


async def _finish(
    work: Coroutine[Any, Any, T],
    result: asyncio.Future[T],
    late: Callable[[T], Awaitable[None]] | None,
) -> None:
    """Work goes on when its command no longer waits; its result is then cleared away."""
    try:
        value = await work
    except (asyncio.CancelledError, Exception) as error:
        if is_cancelled():
            raise
        if isinstance(error, asyncio.CancelledError):
            error = RuntimeError("cancelled from within")
        if not result.done():
            result.set_exception(error)
        elif not isinstance(error, GatewayError | TimeoutError):
            raise error from None
    else:
        if not result.done():
            result.set_result(value)
        elif late is not None:
            await late(value)


def _anybody(_: Asker) -> bool:
    return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """One command."""

    name: Words
    """In the chat, also in other languages; and its node, unless ``node`` says another."""
    title: str
    """In a list of commands: "Log in again"."""
    summary: str
    """In ``help``."""
    run: Callable[[Dialogue], Awaitable[None]]
    node: str = ""
    needs_account: bool = False
    leaves: bool = False
    """Also for those who are no longer admitted."""
    for_admins: bool = False
    also_for_admins: bool = False
    """Also for those of them who may link no account themselves."""
    on_admission: bool = False
    """Of use only where admins admit users one by one."""
    in_help: bool = True
    places: frozenset[Place] = frozenset({Place.GATEWAY})
    takes_word: bool = False
    """In the chat, what stands behind its name answers its first question."""
    is_particular: bool = False
    """Some networks do not have it: ``help`` knows it where it is offered."""
    fits: Callable[[Asker], bool] = _anybody
    """Whether there is a point in offering it to somebody."""

    async def carry_out(self, talk: Dialogue) -> None:
        """Run it. Raises `Cancelled`, or what nobody has thought of."""
        try:
            await self.run(talk)
        except StoreUnavailable:
            said = tr(
                "The gateway cannot store anything at the moment. Please try again later.",
            )
            talk.say(said, Note.ERROR)
        except TimeoutError:
            said = tr("The network does not answer. The gateway goes on with it.")
            talk.say(said, Note.WARNING)
        except (AdapterError, AccountGone) as error:
            talk.say(brief(str(error)), Note.ERROR)
