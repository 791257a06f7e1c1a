# SPDX-License-Identifier: Apache-2.0
"""The user's typing, refreshed on the network (REQ-418). Latest wins; nothing is stored."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field

import structlog

from gateway.adapter import Clock
from gateway.bridge.accounts import Account
from gateway.errors import AdapterError
from gateway.ids import AccountId, RemoteUserId
from gateway.tasks import Tasks, contained, within

log = structlog.get_logger("typing")

_REFRESH_S = 20.0
"""Networks forget typing after 5 to 30 s, and XMPP clients do not repeat it."""
_LONGEST_S = 60.0
_PACE_S = 1.0
"""Between two requests for one chat."""
_LIMIT_S = 30.0
"""For one request."""


@dataclass(slots=True, eq=False)
class _Chat:
    """What the network is to know about one chat."""

    typing: bool
    until: float
    changed: asyncio.Event = field(default_factory=asyncio.Event)


class Typing:
    """Who is typing to whom on one network."""

    def __init__(self, clock: Clock, tasks: Tasks) -> None:
        self._clock = clock
        self._tasks = tasks
        self._chats: dict[tuple[AccountId, RemoteUserId], _Chat] = {}

    def set(self, account: Account, contact: RemoteUserId, active: bool) -> None:
        """The user began or stopped typing to a contact."""
        key = (account.id, contact)
        until = self._clock.monotonic() + _LONGEST_S
        chat = self._chats.get(key)
        if chat is not None:
            chat.until = until
            if chat.typing is not active:
                chat.typing = active
                chat.changed.set()
        elif active:
            self._chats[key] = chat = _Chat(active, until)
            self._tasks.spawn(self._keep(account, contact, chat), "typing")

    async def _keep(self, account: Account, contact: RemoteUserId, chat: _Chat) -> None:
        """One request after the other, each with what is true then: the last one is right."""
        told = False
        try:
            while chat.typing or told:
                told = chat.typing
                await self._tell(account, contact, told)
                await self._clock.sleep(_PACE_S)
                if told and chat.typing:
                    chat.changed.clear()
                    with contextlib.suppress(TimeoutError):
                        await within(self._clock, _REFRESH_S - _PACE_S, chat.changed.wait())
                    if self._clock.monotonic() >= chat.until:
                        chat.typing = False
        finally:
            self._chats.pop((account.id, contact), None)

    async def _tell(self, account: Account, contact: RemoteUserId, active: bool) -> None:
        session = account.link.session if account.link is not None else None
        if session is not None:
            telling = contained(session.set_typing, contact, active)
            try:
                await within(self._clock, _LIMIT_S, telling)
            except (AdapterError, TimeoutError):
                pass  # best effort
            except Exception as error:
                log.debug("typing_failed", account=account.id, error=type(error).__name__)
