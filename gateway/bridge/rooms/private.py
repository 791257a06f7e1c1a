# SPDX-License-Identifier: Apache-2.0
"""Private messages (REQ-575): by which way what belongs to a chat reaches the user.

While the user has addressed somebody in a room last, their chat is that occupant's. Else it is the
puppet's. That is decided where a row is committed, and the row has it: a repetition goes the same
way, and nothing is seen in both windows.
"""

from __future__ import annotations

from msgspec import structs

from gateway.adapter import Clock
from gateway.bridge.delivery import Delivery
from gateway.bridge.persist import Persist
from gateway.bridge.rooms.occupant_ids import occupant_id
from gateway.events import ChatMessage, SendText, Through
from gateway.ids import (
    AccountId,
    ConversationId,
    NetworkName,
    RemoteUserId,
    StanzaId,
    UserJid,
    stanza_id,
)
from gateway.store import Store, Transaction, conversations, journal, members, rooms
from gateway.store.journal import InboundRow, InboundState, OutboundRow
from gateway.store.writer import Connection


def way_of(db: Connection, chat: ConversationId, contact: RemoteUserId) -> Through | None:
    """By which occupant what a contact says now is told; None if by their puppet."""
    room = rooms.through(db, chat)
    member = members.find(db, room.id, contact) if room is not None else None
    account = conversations.account_of(db, chat)
    to = rooms.sessions(db, room.id, account) if room is not None and account is not None else ()
    if room is None or member is None or not to:
        return None
    occupant = occupant_id(room.secret, contact)
    return Through(room=room.remote_id, nick=member.nick, occupant=occupant, to=to)


def addressed(row: OutboundRow) -> Through | None:
    """The occupant to whom a message was sent, if it was."""
    return row.command.through if isinstance(row.command, SendText) else None


def way_back(db: Transaction, row: OutboundRow, sent: Through | None) -> Through | None:
    """By which occupant the user learns what became of a message: the one it was sent to."""
    room = rooms.find(db, row.account, sent.room) if sent is not None else None
    if sent is None or room is None:
        return sent
    to = rooms.sessions(db, room.id, row.account)
    occupant = occupant_id(room.secret, row.contact)
    return structs.replace(sent, occupant=occupant, to=to or (row.sender,))


class PrivateMessages:
    """Those of one network, outside of units."""

    def __init__(
        self,
        network: NetworkName,
        store: Store,
        clock: Clock,
        persist: Persist,
        delivery: Delivery,
    ) -> None:
        self._network = network
        self._store = store
        self._clock = clock
        self._persist = persist
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
                or not isinstance(told, ChatMessage)
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

    def _say_again(self, row: InboundRow, told: ChatMessage, session: str) -> None:
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
