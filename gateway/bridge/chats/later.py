# SPDX-License-Identifier: Apache-2.0
"""Edits of messages that are edited again and again: the last one is told when nothing more comes
for a while (REQ-423). They are in the store meanwhile, so that a kill loses none."""

from __future__ import annotations

import structlog

from gateway.bridge.accounts import Account
from gateway.bridge.ground import Ground
from gateway.bridge.inbound.rows import Committed
from gateway.bridge.looking import Looking
from gateway.errors import StoreUnavailable
from gateway.store import Transaction, conversations, rooms, waiting_edits

log = structlog.get_logger("chats")

_EVERY_S = 1.0
_AT_ONCE = 100


class LaterEdits(Looking):
    """Those of one network."""

    def __init__(self, ground: Ground) -> None:
        super().__init__(ground.network, ground.clock, _EVERY_S, "edits_not_told")
        self._store = ground.store
        self._account_of = ground.accounts.by_id

    async def _look(self) -> bool:
        now = self._clock.now()
        told = set()
        for number, message in waiting_edits.due(self._store.reader, self._network, now, _AT_ONCE):
            account = self._account_of(number)
            if account is not None and account.link is not None and message not in told:
                told.add(message)
                try:
                    await self._tell(account, message, now)
                except StoreUnavailable:
                    raise
                except Exception:  # it is one message's trouble, and others wait behind it
                    log.exception("edits_not_told", network=self._network)
        return waiting_edits.are_any(self._store.reader)

    async def _tell(self, account: Account, message: int, now: float) -> None:
        assert account.link is not None
        intake = account.link.intake

        def unit(db: Transaction) -> Committed:
            out = Committed()
            conversation = conversations.of_message(db, message)
            if conversation is None:
                return out
            room = rooms.of_conversation(db, conversation)
            if room is None:
                intake.chats.edits.tell_waiting(db, conversation, message, now, out)
            else:
                intake.rooms.said.speech.edits.tell_waiting(db, room, message, now, out)
            return out

        await self._store.write(unit, account.link.hooks.committed)
