# SPDX-License-Identifier: Apache-2.0
"""Which language each user of one network speaks (REQ-130): that of the last stanza that said one.

It is kept with the account, and written when it changes; of people without an account it is in
memory alone.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from msgspec import structs

from gateway.adapter import Clock
from gateway.bridge.persist import Persist
from gateway.events import (
    ChatMessage,
    Delivery,
    Failure,
    GatewayNotice,
    Notice,
    OwnMessage,
    SubscriptionRequest,
)
from gateway.ids import AccountId, UserJid
from gateway.locale import chosen, in_language, said_in
from gateway.store import accounts
from gateway.tasks import Tasks

if TYPE_CHECKING:
    from gateway.bridge.accounts import Account

_STRANGERS = 10_000
_WRITE_EVERY_S = 60.0
"""Devices of one user may speak in turns, and in different languages."""

D = TypeVar("D", bound=Delivery)


def told_in(delivery: D, language: str) -> D:
    """What a user is told, in their language. Before it is stored: it says the same when it is
    written again."""
    if isinstance(delivery, Notice | GatewayNotice | Failure):
        said = said_in(delivery.text, language)
        language = said.tag or delivery.language
        return structs.replace(delivery, text=said.text, language=language)
    if isinstance(delivery, ChatMessage | OwnMessage):  # one that stands in for what was said
        return structs.replace(delivery, body=in_language(delivery.body, language))
    if isinstance(delivery, SubscriptionRequest):
        return structs.replace(delivery, status=in_language(delivery.status, language))
    return delivery


class Languages:
    """Of the users of one network."""

    def __init__(self, default: str, clock: Clock, tasks: Tasks, persist: Persist) -> None:
        self.default = default
        """Of who has spoken none."""
        self._clock = clock
        self._tasks = tasks
        self._persist = persist
        self._account_of: Callable[[UserJid], Account | None]
        self._strangers: dict[UserJid, str] = {}
        """The longest ago first."""
        self._writing: set[AccountId] = set()

    def attach(self, account_of: Callable[[UserJid], Account | None]) -> None:
        """Connect to the accounts."""
        self._account_of = account_of

    def of(self, user: UserJid) -> str:
        """In which to speak to somebody."""
        account = self._account_of(user)
        return self.of_stranger(user) if account is None else account.language

    def of_stranger(self, user: UserJid) -> str:
        """The same, of somebody without an account."""
        return self._strangers.get(user, self.default)

    def heard(self, user: UserJid, tag: str) -> None:
        """Somebody has said in which language they want to be answered (RFC 6120 §8.1.5). What
        that says is unchecked."""
        language = chosen(tag) if tag else None
        if language is None:
            return
        account = self._account_of(user)
        if account is None:
            self._strangers.pop(user, None)
            if language != self.default:
                self._strangers[user] = language
            while len(self._strangers) > _STRANGERS:
                del self._strangers[next(iter(self._strangers))]
            return
        account.language = language
        if account.stored_language != language and account.id not in self._writing:
            self._writing.add(account.id)
            self._tasks.spawn(self._write(account), "language of a user")

    async def _write(self, account: Account) -> None:
        try:
            while account.stored_language != account.language:
                language = account.stored_language = account.language
                writing = partial(accounts.set_language, account=account.id, language=language)
                self._persist.write(writing)
                await self._clock.sleep(_WRITE_EVERY_S)
        finally:
            self._writing.discard(account.id)
