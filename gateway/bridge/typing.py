# SPDX-License-Identifier: Apache-2.0
"""The user's typing, refreshed on the network (REQ-418). Latest wins; nothing is stored."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import structlog

from gateway.adapter import Adapter, Session
from gateway.bridge.accounts import Account
from gateway.errors import AdapterError
from gateway.ids import AccountId, RemoteRoomId, RemoteUserId
from gateway.tasks import Tasks, contained, within

log = structlog.get_logger("typing")
Where = TypeVar("Where", RemoteUserId, RemoteRoomId)

_REFRESH_S = 20.0
"""Networks forget typing after 5 to 30 s, and XMPP clients do not repeat it."""
_LONGEST_S = 60.0
_PACE_S = 1.0
"""Between two requests for one chat."""
_LIMIT_S = 30.0
"""For one request."""


@dataclass(slots=True, eq=False)
class _Chat:
    """What the network is to know about one chat, or one room."""

    typing: bool
    until: float
    changed: asyncio.Event = field(default_factory=asyncio.Event)


class Typing(Generic[Where]):
    """Who is typing where on one network: to whom, or in which room."""

    def __init__(
        self,
        adapter: Adapter,
        tasks: Tasks,
        teller: Callable[[Session], Callable[[Where, bool], Awaitable[None]]],
    ) -> None:
        """``teller``: what of a session tells the network."""
        self._clock = adapter.context.clock
        self._is_possible = adapter.capabilities.typing
        self._tasks = tasks
        self._teller: Callable[[Session], Callable[[Where, bool], Awaitable[None]]] = teller
        self._chats: dict[tuple[AccountId, Where], _Chat] = {}

    def set(self, account: Account, where: Where, active: bool) -> None:
        """The user began or stopped typing; that they began is told only if they want it."""
        if active and not (self._is_possible and account.settings.send_typing):
            return
        key = (account.id, where)
        until = self._clock.monotonic() + _LONGEST_S
        chat = self._chats.get(key)
        if chat is not None:
            chat.until = until
            if chat.typing is not active:
                chat.typing = active
                chat.changed.set()
        elif active:
            self._chats[key] = chat = _Chat(active, until)
            self._tasks.spawn(self._keep(account, where, chat), "typing")

    async def _keep(self, account: Account, where: Where, chat: _Chat) -> None:
        """One request after the other, each with what is true then: the last one is right."""
        told = False
        try:
            while chat.typing or told:
                told = chat.typing
                await self._tell(account, where, told)
                await self._clock.sleep(_PACE_S)
                if told and chat.typing:
                    chat.changed.clear()
                    with contextlib.suppress(TimeoutError):
                        await within(self._clock, _REFRESH_S - _PACE_S, chat.changed.wait())
                    if self._clock.monotonic() >= chat.until:
                        chat.typing = False
        finally:
            self._chats.pop((account.id, where), None)

    async def _tell(self, account: Account, where: Where, active: bool) -> None:
        session = account.link.session if account.link is not None else None
        if session is not None:
            telling = contained(self._teller(session), where, active)
            try:
                await within(self._clock, _LIMIT_S, telling)
            except (AdapterError, TimeoutError):
                pass  # best effort
            except Exception as error:
                log.debug("typing_failed", account=account.id, error=type(error).__name__)
