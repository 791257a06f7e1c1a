# SPDX-License-Identifier: Apache-2.0
"""Private messages (REQ-575), outside of units. `gateway.bridge.rooms.ways` says how they go."""

from __future__ import annotations

from msgspec import structs

from gateway.bridge.ground import Ground
from gateway.bridge.inbound.delivery import Delivery
from gateway.bridge.rooms.ways import way_of
from gateway.events import SaidInChat, Through
from gateway.ids import (
    AccountId,
    RemoteUserId,
    StanzaId,
    UserJid,
    stanza_id,
)
from gateway.store import Transaction, conversations, journal
from gateway.store.journal import InboundRow, InboundState


class PrivateMessages:
    """Those of one network, outside of units."""

    def __init__(self, ground: Ground, delivery: Delivery) -> None:
        self._network = ground.network
        self._store = ground.store
        self._clock = ground.clock
        self._persist = ground.persist
        self._delivery = delivery

    def way_of(self, account: AccountId, contact: RemoteUserId) -> Through | None:
        """By which occupant what a contact does now is told; None if by their puppet."""
        chat = conversations.find_chat(self._store.reader, account, contact)
        return way_of(self._store.reader, chat, contact) if chat is not None else None

    def came_back(
        self, user: UserJid, session: str, message: StanzaId, *, temporary: bool
    ) -> None:
        """A session, or its server, has not taken one. If that may pass it comes once more, else
        the contact's puppet says it, and only to whom it was refused by."""
        for row in journal.recent_inbound(self._store.reader, message):
            told = row.delivery
            if (
                row.user != user
                or row.state is InboundState.DEAD
                or not isinstance(told, SaidInChat)
                or told.through is None
                or session not in told.through.to
            ):
                continue
            if temporary:
                self._delivery.bounced(user, message, temporary=True)
            elif len(told.through.to) == 1:
                self._delivery.by_puppet(user, message)
            else:
                self._say_again(row, told, session)
            return

    def _say_again(self, row: InboundRow, told: SaidInChat, session: str) -> None:
        """To one of several sessions: the others have it."""
        now = self._clock.now()
        sid = stanza_id(self._network, row.user, row.contact, "by puppet", told.id, session)

        def unit(db: Transaction) -> list[InboundRow]:
            once = f"by puppet {told.id} {session}"
            if not conversations.tell_once(db, row.conversation, once, until_pruned_at=now):
                return []
            known = conversations.by_alias(db, row.conversation, told.id)
            if known is not None:
                conversations.add_alias(db, row.conversation, sid, known.id)
            again = journal.add_inbound(
                db,
                account=row.account,
                conversation=row.conversation,
                user=row.user,
                contact=row.contact,
                stanza_id=sid,
                delivery=structs.replace(told, id=sid, through=None, to=session),
                now=now,
            )
            return [again]

        self._persist.write(unit, self._delivery.offer)
