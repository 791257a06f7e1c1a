# SPDX-License-Identifier: Apache-2.0
"""The adapter of the scripted network, which fails for one account at one point in one way."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, ClassVar

from gateway.adapter import (
    AccountContext,
    Contact,
    Linked,
    LoginFlow,
    LoginStep,
    NetworkContext,
    Relogin,
    Sent,
    Session,
)
from gateway.errors import (
    AdapterError,
    AuthExpired,
    BadLogin,
    Forbidden,
    NotFound,
    RateLimited,
    TooLarge,
    Transient,
    Uncertain,
    Unsupported,
)
from gateway.events import Command
from gateway.ids import RemoteUserId
from tests.scripted.adapter import ScriptedAdapter, ScriptedSession

SENTENCE = "This is what the network says."


class PanicException(BaseException):
    """As extension modules written in Rust raise it."""


async def _hang() -> None:
    await asyncio.Event().wait()


def _raises(error: Callable[[], BaseException]) -> Callable[[Trouble], Any]:
    async def way(_: Trouble) -> None:
        raise error()

    return way


async def _hangs(_: Trouble) -> None:
    await _hang()


async def _is_deaf(trouble: Trouble) -> None:
    """Takes no notice of being cancelled."""
    while not trouble.is_over:
        try:
            await asyncio.sleep(0.02)
        except asyncio.CancelledError:
            trouble.ignored += 1


async def _cancels_itself(_: Trouble) -> None:
    task = asyncio.current_task()
    assert task is not None
    task.cancel()
    await asyncio.sleep(0)


async def _returns(_: Trouble) -> None:
    """What follows is not done: nothing comes back."""


WAYS: Mapping[str, Callable[[Trouble], Any]] = {
    **{
        kind.__name__: _raises(lambda kind=kind: kind(SENTENCE))  # type: ignore[misc]
        for kind in (
            AdapterError,
            AuthExpired,
            BadLogin,
            Forbidden,
            NotFound,
            TooLarge,
            Transient,
            Uncertain,
            Unsupported,
            AssertionError,
            KeyError,
            MemoryError,
            RuntimeError,
            StopAsyncIteration,
            TimeoutError,
            asyncio.CancelledError,
            KeyboardInterrupt,
            PanicException,
            SystemExit,
        )
    },
    "RateLimited": _raises(lambda: RateLimited(SENTENCE, retry_after_s=3)),
    "RateLimited-nan": _raises(lambda: RateLimited(SENTENCE, retry_after_s=float("nan"))),
    "hangs": _hangs,
    "deaf": _is_deaf,
    "cancels-itself": _cancels_itself,
    "returns-nothing": _returns,
}


@dataclass(slots=True)
class Trouble:
    """Of one account: ``point`` is where, ``way`` is how, until `over`."""

    point: str
    way: str
    is_over: bool = False
    times: int = 0
    ignored: int = 0
    """Cancellations."""
    zombies: list[TroubledSession] = field(default_factory=list)

    async def meet(self, point: str) -> bool:
        """Fail, if this is the point. True if what follows is not to be done."""
        if self.is_over or point != self.point:
            return False
        self.times += 1
        await WAYS[self.way](self)
        return True

    def meet_now(self, point: str) -> None:
        """The same where nothing can be awaited."""
        if self.is_over or point != self.point:
            return
        self.times += 1
        with suppress(StopIteration):
            WAYS[self.way](self).send(None)


class TroubledAdapter(ScriptedAdapter):
    """The scripted network, with trouble."""

    troubles: ClassVar[dict[str, Trouble]] = {}
    """By the account's name on the network."""

    def login(self, again: Relogin | None = None) -> LoginFlow:
        return _Login(super().login(again))

    def session(self, account: AccountContext) -> Session:
        trouble = self.troubles.get(account.remote_id)
        if trouble is not None:
            trouble.meet_now("session")
            if trouble.point == "session" and not trouble.is_over:
                return None  # type: ignore[return-value]
        return TroubledSession(account, self.context)


class _Login(LoginFlow):
    """Users log in with a name; the first question is in trouble if anybody's is."""

    def __init__(self, inner: LoginFlow) -> None:
        self._inner = inner

    def first(self) -> LoginStep:
        for trouble in TroubledAdapter.troubles.values():
            trouble.meet_now("first")
            if trouble.point == "first" and not trouble.is_over:
                return None  # type: ignore[return-value]
        return self._inner.first()

    async def submit(self, answers: Mapping[str, str]) -> LoginStep | Linked:
        trouble = TroubledAdapter.troubles.get(answers.get("username", ""))
        if trouble is not None and await trouble.meet("submit"):
            return None  # type: ignore[return-value]
        return await self._inner.submit(answers)


class TroubledSession(ScriptedSession):
    """A session that may meet with trouble at every step of it."""

    def __init__(self, account: AccountContext, context: NetworkContext) -> None:
        super().__init__(account, context.settings.port)
        self.account = account
        self._trouble = TroubledAdapter.troubles.get(account.remote_id) or Trouble("", "")

    async def run(self) -> None:
        if await self._trouble.meet("before-connected"):
            return
        self._account = _Watched(self._account, self._trouble)
        if self._trouble.point == "after-connected" and not self._trouble.is_over:
            await self._fail_when_connected()
        else:
            await super().run()

    async def _fail_when_connected(self) -> None:
        self._trouble.zombies.append(self)
        running = asyncio.create_task(super().run())
        try:
            await self._account.was_connected.wait()  # type: ignore[attr-defined]
            await self._trouble.meet("after-connected")
        finally:
            running.cancel()
            await asyncio.wait([running])

    async def _take(self, wire: Any, push: Any) -> None:
        if not isinstance(push, AdapterError) and push.get("event") is not None:
            await self._trouble.meet("converter")
        await super()._take(wire, push)

    async def turn(self, command: Command) -> None:
        await self._trouble.meet("turn")
        await super().turn(command)

    async def send(self, command: Command, key: str) -> Sent:
        if await self._trouble.meet("send"):
            return None  # type: ignore[return-value]
        return await super().send(command, key)

    async def set_typing(self, contact: RemoteUserId, active: bool) -> None:
        await self._trouble.meet("set_typing")
        await super().set_typing(contact, active)

    async def find(self, contact: RemoteUserId) -> Contact:
        if await self._trouble.meet("find"):
            return None  # type: ignore[return-value]
        return await super().find(contact)

    async def log_out(self) -> None:
        await self._trouble.meet("log_out")
        await super().log_out()


class _Watched:
    """An account's context that tells when it was connected, and fails around a commit."""

    def __init__(self, account: AccountContext, trouble: Trouble) -> None:
        self._account = account
        self._trouble = trouble
        self.was_connected = asyncio.Event()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._account, name)

    def connected(self) -> None:
        self._account.connected()
        self.was_connected.set()

    async def commit(self, events: Sequence[Any], **more: Any) -> None:
        await self._trouble.meet("before-commit")
        await self._account.commit(events, **more)
        await self._trouble.meet("after-commit")
