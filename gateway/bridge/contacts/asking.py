# SPDX-License-Identifier: Apache-2.0
"""Contacts who ask to be added, where their users' contact lists are not ours to write.

Each asks once, ever; what the user answers is remembered for ever (REQ-231). At most 20 of them in
an hour, since servers take more for spam (REQ-234): the others ask when they write again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from gateway.bridge.accounts import Account
from gateway.bridge.accounts.languages import told_in
from gateway.bridge.ground import Ground
from gateway.events import SubscriptionRequest
from gateway.ids import AccountId, RemoteUserId, stanza_id
from gateway.store import Transaction, accounts, contacts, conversations, journal, roster
from gateway.store.contacts import Subscription
from gateway.store.journal import InboundRow
from gateway.store.roster import Row, State
from gateway.text.wording import tr

IN_AN_HOUR = 20
_HOUR_S = 3600.0


def has_asked_enough(db: Transaction, account: AccountId, now: float) -> bool:
    """Nobody else is to ask the user now."""
    return roster.asked_since(db, account, now - _HOUR_S) >= IN_AN_HOUR


class Asking:
    """Of one network."""

    def __init__(self, ground: Ground, deliver: Callable[[list[InboundRow]], None]) -> None:
        self._network = ground.network
        self._title = ground.adapter.display_name
        """Of the network, for people."""
        self._clock = ground.clock
        self._persist = ground.persist
        self._deliver = deliver

    def ask(self, account: Account, contact: RemoteUserId) -> None:
        """The contact asks, if it never has and not too many do."""
        now = self._clock.now()
        self._persist.write(
            lambda db: self._unit(db, account, contact, now),
            lambda row: self._deliver([row]) if row is not None else None,
        )

    def _unit(
        self, db: Transaction, account: Account, contact: RemoteUserId, now: float
    ) -> InboundRow | None:
        if not accounts.exists(db, account.id):  # removed meanwhile
            return None
        before, known = (
            roster.get(db, account.id, contact),
            contacts.get(db, account.id, contact),
        )
        if before is None or before.state in (State.WANTED, State.INVITED):
            asked = replace(before or Row(), state=State.ASKED)
        elif before.state is State.OURS:  # the user's server left out the subscription
            asked = before
        else:
            return None
        if known.from_user is not Subscription.NONE or known.to_user is Subscription.REFUSED:
            roster.put(db, account.id, contact, asked)  # no need to, or no point
            return None
        if has_asked_enough(db, account.id, now):
            return None
        roster.put(db, account.id, contact, replace(asked, asked_at=now))
        contacts.put(db, account.id, contact, replace(known, from_user=Subscription.ASKED))
        said = tr(
            "{name} writes to you on {title}.", name=known.name or contact, title=self._title
        )
        return journal.add_inbound(
            db,
            account=account.id,
            conversation=conversations.chat(db, account.id, contact),
            user=account.user,
            contact=contact,
            stanza_id=stanza_id(self._network, account.user, contact, "asks", str(now)),
            delivery=told_in(SubscriptionRequest(name=known.name, status=said), account.language),
            now=now,
        )
