# SPDX-License-Identifier: Apache-2.0
"""How it stands with the links of one network, as their users are told of it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from gateway.bridge.accounts import Account
from gateway.bridge.accounts.languages import told_in
from gateway.bridge.attendance.presence import Presences
from gateway.bridge.contacts.subscriptions import Subscriptions
from gateway.bridge.ground import Ground
from gateway.bridge.inbound.delivery import Delivery
from gateway.bridge.links.link import LinkState
from gateway.bridge.ports import XmppPort
from gateway.events import GatewayNotice
from gateway.ids import stanza_id
from gateway.store import Transaction, accounts, conversations, journal
from gateway.store.accounts import AccountStatus
from gateway.store.conversations import GATEWAY
from gateway.store.journal import InboundRow
from gateway.text.wording import tr

_PASSING = (LinkState.CONNECTING, LinkState.STOPPED, LinkState.WAITING)
_PHASES = {
    AccountStatus.LINKED: LinkState.LIVE,
    AccountStatus.EXPIRED: LinkState.EXPIRED,
    AccountStatus.LOGGED_OUT: LinkState.STOPPED,
}


class LinkNotices:
    """Tells the users of one network what has become of their links."""

    def __init__(
        self,
        ground: Ground,
        delivery: Delivery,
        subscriptions: Subscriptions,
        presences: Presences,
    ) -> None:
        self._network = ground.network
        self._clock = ground.clock
        self._persist = ground.persist
        self._delivery = delivery
        self._subscriptions = subscriptions
        self._presences = presences
        self._port: XmppPort

    def attach(self, port: XmppPort) -> None:
        """Connect to the XMPP side."""
        self._port = port

    def resume(self, account: Account) -> None:
        """What the user last saw still holds; a restart is not to be seen at all (REQ-143)."""
        if account.link is not None:
            account.link.shown = account.link.phase = _PHASES[account.status]
        if account.status is AccountStatus.EXPIRED and account.secret is None:
            self._tell_expired(account, tr("The gateway can no longer read your login."))

    def show(self, account: Account) -> None:
        """Tell the user of a state of the link that lasts, once the stream can carry it."""
        link = account.link
        if (
            link is None
            or link.phase is link.shown
            or link.phase in _PASSING
            or link.on_probation
            or not self._port.is_up()
        ):
            return
        link.shown = link.phase
        if link.phase is LinkState.EXPIRED:
            self._presences.show_all(account)
        else:
            self._subscriptions.show_gateway(account)

    def expired(self, account: Account, reason: str) -> None:
        """The user has to act, and is told once (REQ-222)."""
        account.status = AccountStatus.EXPIRED
        # It may be stored late, when the disk is full, and then be the end of another login.
        sealed = account.sealed
        self._tell_expired(
            account, reason, unless=lambda db: not accounts.expire(db, account.id, sealed)
        )

    def _tell_expired(
        self,
        account: Account,
        reason: str,
        unless: Callable[[Transaction], bool] = lambda _: False,
    ) -> None:
        now = self._clock.now()
        text = tr("{reason} Send “login” to log in again.", reason=reason)
        # Once for these credentials: a restart is no reason to say it again.
        credentials = hashlib.sha256(account.secret or b"").hexdigest()
        sid = stanza_id(self._network, account.user, "expired", account.id, credentials)

        def unit(db: Transaction) -> list[InboundRow]:
            if unless(db):
                return []
            conversation = conversations.chat(db, account.id, GATEWAY)
            if not conversations.tell_once(db, conversation, sid):
                return []
            return [
                journal.add_inbound(
                    db,
                    account=account.id,
                    conversation=conversation,
                    user=account.user,
                    contact=GATEWAY,
                    stanza_id=sid,
                    delivery=told_in(GatewayNotice(id=sid, text=text), account.language),
                    now=now,
                )
            ]

        self._persist.write(unit, self._delivery.offer)
