# SPDX-License-Identifier: Apache-2.0
"""Rows that did not get through: they are written again, given up, or become dead letters."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import structlog
from msgspec import structs

from gateway.adapter import Clock
from gateway.bridge.accounts.languages import told_in
from gateway.bridge.inbound.backlog import Backlog
from gateway.bridge.inbound.peers import Peers
from gateway.bridge.inbound.queues import Queue, Queues
from gateway.bridge.inbound.taken import Taken
from gateway.bridge.persist import Persist
from gateway.bridge.ports import XmppPort
from gateway.events import (
    ChatReactions,
    ChatRetraction,
    Delivery,
    GatewayNotice,
    Notice,
    OwnDisplayed,
    OwnMessage,
    RoomChanged,
    RoomDisplayed,
    RoomJoined,
    RoomMoved,
    RoomNews,
    RoomPresence,
    RoomPresences,
    SaidInChat,
)
from gateway.ids import (
    AccountId,
    ConversationId,
    NetworkName,
    RemoteUserId,
    StanzaId,
    UserJid,
    stanza_id,
)
from gateway.store import Store, Transaction, conversations, journal, sharing
from gateway.store.conversations import GATEWAY
from gateway.store.journal import InboundRow, InboundState
from gateway.text.wording import tr

log = structlog.get_logger("delivery")

_REDELIVERIES = 100
"""With the waits between them about two days (REQ-461), whatever the clock is set to."""
_FIRST_REDELIVERY_S = 5.0
_LONGEST_REDELIVERY_S = 1800.0
_BLOCKED_LIMIT_S = 48 * 3600.0
_HELD_BACK = 3
"""How often a row holds up all others of its user, if their server takes those."""
_REWORDINGS = 3
"""How often a refused own message is said in another way; once is enough, unless it is odd."""

_NOT_CONVERTED = tr(
    "A message could not be converted for XMPP. Please look at it on the network itself.",
)
_NOT_CONVERTED_IN_GROUP = tr(
    "Something in one of your groups could not be converted for XMPP. Please "
    "look at it on the network itself.",
)
_NO_CONTENT = (
    ChatReactions,
    Notice,
    GatewayNotice,
    RoomPresence,
    RoomPresences,
    RoomChanged,
    RoomDisplayed,
    RoomJoined,
    RoomMoved,
)
"""If one of these cannot be said, there is nothing to look for."""


class Redelivery:
    """What becomes of rows that came back, or that nobody takes."""

    def __init__(
        self,
        network: NetworkName,
        store: Store,
        clock: Clock,
        persist: Persist,
        backlog: Backlog,
        queues: Queues,
        taken: Taken,
    ) -> None:
        self._network = network
        self._store = store
        self._clock = clock
        self._persist = persist
        self._backlog = backlog
        self._queues = queues
        self._taken = taken
        self.refused: Counter[UserJid] = Counter()
        """What servers have refused for good since the start."""
        self._port: XmppPort
        self._peers: Peers
        self._offer: Callable[[list[InboundRow]], None]

    def attach(
        self, port: XmppPort, peers: Peers, offer: Callable[[list[InboundRow]], None]
    ) -> None:
        """Connect to the XMPP side."""
        self._port, self._peers, self._offer = port, peers, offer

    def bounced(self, user: UserJid, message: StanzaId, *, temporary: bool) -> bool:
        """A stanza of ours came back as an error (REQ-461). False if it is none of ours."""
        row = self._sent(message, lambda row: row.user == user)
        if row is None:
            return False
        if not temporary or row.bounces >= _REDELIVERIES:
            self.give_up(row)
            return True
        delay = min(_FIRST_REDELIVERY_S * 2**row.bounces, _LONGEST_REDELIVERY_S)
        queue = self._again(row)
        log.info("bounced", row=row.id, again_in_s=delay)
        self._queues.pause(queue, delay)
        return True

    def held_back(self, user: UserJid, message: StanzaId) -> bool:
        """It came back, and its queue is held by whoever asks. False if it is none of ours, or is
        refused for what it is, while others are taken: then there is nothing to hold."""

        def concerns(row: InboundRow) -> bool:
            is_odd = row.bounces >= _HELD_BACK and self._taken.is_any(user)
            return row.user == user and not is_odd

        row = self._sent(message, concerns)
        if row is not None:
            self._taken.refused(row)
            self._again(row)
        return row is not None

    def not_in_their_name(self, domain: str, message: StanzaId) -> None:
        """Our server refused what was sent in its user's name: said in another way (REQ-1006)."""

        def concerns(row: InboundRow) -> bool:
            return (
                _is_in_their_name(row.delivery)
                and row.user.rpartition("@")[2] == domain
                and self._port.is_local(row.user)
                and row.bounces < _REWORDINGS
            )

        row = self._sent(message, concerns)
        if row is not None:
            self._again(row)

    def by_puppet(self, user: UserJid, message: StanzaId) -> None:
        """A private message was refused: the contact's puppet says it (REQ-575)."""

        def concerns(row: InboundRow) -> bool:
            told = row.delivery
            is_private = isinstance(told, SaidInChat) and told.through is not None
            return row.user == user and is_private

        row = self._sent(message, concerns)
        if row is not None and isinstance(row.delivery, SaidInChat):
            row.delivery = structs.replace(row.delivery, through=None)
            self._again(row, reworded=row.delivery)

    def is_blocked_too_long(self, queue: Queue, row: InboundRow) -> bool:
        """The row has waited for its user's server for longer than anybody waits.

        Both must be that long: by the row's age alone a clock that is set forward would end it.
        """
        now = self._clock.monotonic()
        if queue.blocked_since is None:
            queue.blocked_since = now
        blocked_s = now - queue.blocked_since
        age_s = self._clock.now() - row.committed_at
        if age_s < 0:
            age_s = blocked_s  # the clock was set back
        return min(age_s, blocked_s) > _BLOCKED_LIMIT_S

    def give_up(self, row: InboundRow) -> None:
        """Their server does not take it, and nobody is left to be told but the log."""
        log.warning("delivery_given_up", row=row.id, bounces=row.bounces)
        self.refused[row.user] += 1
        now = self._clock.now()
        self._persist.write(
            lambda db: journal.close_inbound(db, [row], InboundState.DEAD, now),
            self._backlog.done,
        )

    def dead_letter(self, row: InboundRow) -> None:
        """One line in the conversation instead; the next row goes on."""
        now = self._clock.now()
        told = isinstance(row.delivery, _NO_CONTENT)

        def unit(db: Transaction) -> tuple[list[InboundRow], list[InboundRow]]:
            closed = journal.close_inbound(db, [row], InboundState.DEAD, now)
            return closed, [] if told else self._lines(db, row, now)

        def written(result: tuple[list[InboundRow], list[InboundRow]]) -> None:
            closed, lines = result
            self._backlog.done(closed)
            self._offer(lines)

        self._persist.write(unit, written)

    def _lines(self, db: Transaction, row: InboundRow, now: float) -> list[InboundRow]:
        is_news = isinstance(row.delivery, RoomNews)
        if not (conversations.is_room(db, row.conversation) or is_news):
            return [self._line(db, row, row.account, row.user, row.contact, _NOT_CONVERTED, now)]
        # A room says nothing to a bare address, where it would be a person of this name.
        return [
            self._line(db, row, account, user, GATEWAY, _NOT_CONVERTED_IN_GROUP, now)
            for account, user in sharing.users_of(db, row.conversation).items()
            if _concerns(row, user)
        ]

    def _line(
        self,
        db: Transaction,
        row: InboundRow,
        account: AccountId,
        user: UserJid,
        contact: RemoteUserId,
        text: str,
        now: float,
    ) -> InboundRow:
        sid = stanza_id(self._network, user, row.contact, "dead-letter", row.id)
        line: Notice | GatewayNotice = GatewayNotice(id=sid, text=text)
        if contact:
            way = getattr(row.delivery, "through", None)
            line = Notice(id=sid, text=text, through=way)
        return journal.add_inbound(
            db,
            account=account,
            conversation=conversations.chat(db, account, contact),
            user=user,
            contact=contact,
            stanza_id=sid,
            delivery=told_in(line, self._port.language_of(user)),
            now=now,
        )

    def _sent(
        self, message: StanzaId, concerns: Callable[[InboundRow], bool]
    ) -> InboundRow | None:
        """The row that came back. From here on its earlier writing proves nothing any more."""
        sent = journal.recent_inbound(self._store.reader, message)
        kept = (row for row in sent if row.state is not InboundState.DEAD)
        row = next(filter(concerns, kept), None)
        if row is None:
            return None
        queue = self._queues.find(row.conversation)
        if queue is not None and queue.waits_for(row.id):
            return None
        self._queues.take_back(row)
        self._peers.take_back(row)
        return row

    def _again(self, row: InboundRow, reworded: SaidInChat | None = None) -> Queue:
        now = self._clock.now()

        def unit(db: Transaction) -> list[InboundRow]:
            if reworded is not None:
                journal.reword(db, row.id, reworded)
                _tell_by_puppet(db, row.conversation, reworded.id)
            return journal.bounce(db, row, now)

        self._persist.write(unit, self._backlog.added)
        row.state = InboundState.COMMITTED
        return self._queues.put_back([row])


def _tell_by_puppet(db: Transaction, chat: ConversationId, id: StanzaId) -> None:
    """From now on, a message and what is said about it."""
    said = conversations.by_alias(db, chat, id)
    if said is not None:
        conversations.set_through(db, conversations.original(db, said).id, None)


def _is_in_their_name(told: Delivery | None) -> bool:
    if isinstance(told, ChatReactions | ChatRetraction):
        return told.own
    return isinstance(told, OwnMessage | OwnDisplayed)


def _concerns(row: InboundRow, user: UserJid) -> bool:
    """Whether a row of a room is for one of its users: of several, those whose sessions get it."""
    to = getattr(row.delivery, "to", None)
    return bool(row.user) or to is None or any(jid.partition("/")[0] == user for jid in to)
