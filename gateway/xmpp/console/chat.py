# SPDX-License-Identifier: Apache-2.0
"""The chat with the gateway's own JID: the face that every client has (REQ-201, REQ-202)."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Coroutine
from typing import TYPE_CHECKING, Any, TypeVar

import structlog

from gateway.bridge.network import Network
from gateway.errors import AdapterError, GatewayError
from gateway.events import AVAILABLE, UNAVAILABLE
from gateway.ids import UserJid
from gateway.store.conversations import GATEWAY
from gateway.tasks import contained, is_cancelled
from gateway.xmpp.access import NOT_ADMITTED
from gateway.xmpp.codec.incoming import IncomingMessage
from gateway.xmpp.codec.outgoing import STORE
from gateway.xmpp.codec.xml import Stanza, attribute, text
from gateway.xmpp.console.commands import COMMANDS, Command
from gateway.xmpp.jid import split

if TYPE_CHECKING:
    from gateway.xmpp.component import Component

log = structlog.get_logger("console")

T = TypeVar("T")

_WELCOME_AGAIN_S = 86400.0
_WELCOMES_KEPT = 10_000
"""Strangers beyond that may be welcomed twice a day."""
_BUSY_LIMIT_S = 60.0
_ANSWER_LIMIT_S = 900.0


class _Cancelled(Exception):
    """The user does not want to go on."""


class _Talk:
    """One user's dialogue with one command; any of the user's devices may continue it."""

    def __init__(self, console: Console, user: UserJid, network: Network) -> None:
        self.user = user
        self.network = network
        self._console = console
        self._answer: asyncio.Future[str] | None = None
        self._work: asyncio.Future[Any] | None = None
        """What the user may cancel while nothing is asked."""

    def say(self, text: str) -> None:
        """See `commands.Dialogue.say`."""
        self._console.say(self.user, text)

    async def ask(self, question: str) -> str:
        """See `commands.Dialogue.ask`."""
        self.say(question)
        self._answer = asyncio.get_running_loop().create_future()
        limit = self._console.limit(self._answer, _ANSWER_LIMIT_S, _Cancelled())
        try:
            return await self._answer
        finally:
            limit.cancel()
            self._answer = None

    async def wait(
        self, work: Coroutine[Any, Any, T], late: Callable[[T], Awaitable[None]] | None = None
    ) -> T:
        """See `commands.Dialogue.wait`."""
        result: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        limit = self._console.limit(result, _BUSY_LIMIT_S, TimeoutError())
        self._work = result if late is not None else None
        self._console.tasks.spawn(_finish(work, result, late), "work of a command")
        try:
            return await result
        finally:
            limit.cancel()
            self._work = None

    def answer(self, said: str) -> bool:
        """The user said something. False if nothing was asked."""
        cancel = said.strip().lower() == "cancel"
        waiting = self._work if self._answer is None else self._answer
        if waiting is None or waiting.done():
            return False
        if cancel:
            waiting.set_exception(_Cancelled())
        elif self._answer is not None:
            self._answer.set_result(said)
        return cancel or self._answer is not None


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


class Console:
    """The dialogues of one component."""

    def __init__(self, component: Component) -> None:
        self._component = component
        self._network = component.network
        self._clock = component.network.adapter.context.clock
        self.tasks = component.tasks
        self._talks: dict[UserJid, _Talk] = {}
        self._welcomed: dict[UserJid, float] = {}

    def say(self, user: UserJid, said: str) -> None:
        """A line from the gateway, to the bare JID, always from the same full JID."""
        component = self._component
        component.stream.send(
            Stanza(
                "message",
                f"{component.domain}/{component.resource}",
                user,
                "chat",
                str(uuid.uuid4()),
                f"<body>{text(said)}</body>",
            )
        )

    def talks_with(self, user: UserJid) -> bool:
        """Whether a command is being carried out for somebody."""
        return user in self._talks

    def take(self, message: IncomingMessage) -> None:
        """A message of a user to the gateway."""
        user = split(message.sender).bare
        if message.wants_receipt and message.id:
            self._acknowledge(message, user)
        talk = self._talks.get(user)
        if talk is not None:
            if not talk.answer(message.body or ""):
                self.say(user, "One moment, I am still busy with your last command.")
            return
        if not self._component.access.permits(user):
            self._met(user)
            self.say(user, NOT_ADMITTED)
            return
        self._command(user, (message.body or "").strip())

    def welcome(self, user: UserJid) -> None:
        """The first words to somebody without an account, once a day (REQ-203)."""
        if self._met(user):
            return
        if not self._component.access.permits(user):
            self.say(user, NOT_ADMITTED)
            return
        name = self._network.adapter.display_name
        self.say(user, f"Welcome. Send “login” to link your {name} account, “help” for more.")

    def _met(self, user: UserJid) -> bool:
        """Remember that somebody was told what this is. Whether that was so within a day."""
        now = self._clock.monotonic()
        before = self._welcomed.get(user)
        if before is not None and now - before < _WELCOME_AGAIN_S:
            return True
        self._welcomed.pop(user, None)
        self._welcomed[user] = now
        while True:  # the oldest stand first
            oldest = next(iter(self._welcomed))
            if (
                len(self._welcomed) <= _WELCOMES_KEPT
                and now - self._welcomed[oldest] < _WELCOME_AGAIN_S
            ):
                return False
            del self._welcomed[oldest]

    def presence_of_stranger(self, kind: str, user: UserJid) -> None:
        """Somebody without an account adds or removes the gateway as a contact."""
        if kind == "subscribe":
            if not self._component.access.permits(user):
                self._component.subscription("unsubscribed", user, GATEWAY)
                self.welcome(user)
                return
            self._component.subscription("subscribed", user, GATEWAY)
            self._component.presence(user, GATEWAY, AVAILABLE)
            self.welcome(user)
        elif kind == "probe":
            admitted = self._component.access.permits(user)
            self._component.presence(user, GATEWAY, AVAILABLE if admitted else UNAVAILABLE)
        elif kind == "unsubscribe":
            self._component.subscription("unsubscribed", user, GATEWAY)

    def _command(self, user: UserJid, said: str) -> None:
        name = said.lower().lstrip("/")
        command = COMMANDS.get(name)
        if name == "cancel":
            self.say(user, "There is nothing to cancel.")
        elif command is None:
            self.say(user, "I do not know this command. Send “help” for a list.")
        elif command.needs_account and self._network.accounts.of(user) is None:
            self.say(user, "You have no account here. Send “login” to link one.")
        else:
            talk = self._talks[user] = _Talk(self, user, self._network)
            self.tasks.spawn(self._run(command, talk), f"command {name}")

    async def _run(self, command: Command, talk: _Talk) -> None:
        try:
            await contained(command.run, talk)
        except _Cancelled:
            talk.say("Cancelled.")
        except AdapterError as error:
            talk.say(error.text)
        except (asyncio.CancelledError, Exception) as error:
            if is_cancelled():
                raise
            talk.say("Something went wrong in the gateway. Please try again or tell its admin.")
            raise RuntimeError(f"the command {command.name} failed") from error
        finally:
            self._talks.pop(talk.user, None)

    def limit(
        self, future: asyncio.Future[Any], seconds: float, error: Exception
    ) -> asyncio.Task[None]:
        """End the wait for a future with this error."""

        async def give_up() -> None:
            await self._clock.sleep(seconds)
            if not future.done():
                future.set_exception(error)

        return self.tasks.spawn(give_up(), "limit")

    def _acknowledge(self, message: IncomingMessage, user: UserJid) -> None:
        component = self._component
        inner = f"<received xmlns='urn:xmpp:receipts' id='{attribute(message.id)}'/>{STORE}"
        component.stream.send(
            Stanza(
                "message",
                f"{component.domain}/{component.resource}",
                user,
                "chat",
                str(uuid.uuid4()),
                inner,
            )
        )
