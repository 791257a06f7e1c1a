# SPDX-License-Identifier: Apache-2.0
"""Users whose servers say that they have no account there any more (REQ-461).

It may be a mistake of an hour, so nothing is given up: what is for them waits, and is tried again
each hour. After three days in which the server takes nothing the session rests too, so that the
network keeps what comes. Both end when anything comes of the user, whenever that is.
"""

from __future__ import annotations

import structlog

from gateway.bridge.accounts import Account
from gateway.bridge.accounts.languages import told_in
from gateway.bridge.attendance.devices import Reach
from gateway.bridge.attendance.following import Following
from gateway.bridge.ground import Ground
from gateway.bridge.inbound.delivery import Delivery
from gateway.events import GatewayNotice
from gateway.ids import StanzaId, UserJid, stanza_id
from gateway.store import Transaction, accounts, conversations, journal
from gateway.store.conversations import GATEWAY
from gateway.store.journal import InboundRow
from gateway.text.wording import tr

log = structlog.get_logger("network")

_PATIENCE_S = 3 * 86400.0
_AGAIN_S = 3600.0
_BACK = tr(
    "Your server has said for days that there is no account of yours, so the gateway had "
    "stopped. It goes on now, with what has waited for you.",
)


class Suspension:
    """Of the accounts of one network."""

    def __init__(self, ground: Ground, delivery: Delivery, following: Following) -> None:
        self._ground = ground
        self._delivery = delivery
        self._following = following
        self.doubted: set[UserJid] = set()
        """Who may be gone; nearly always nobody."""

    def load(self) -> None:
        """What an earlier process was told still holds. Before anything is delivered."""
        for account in self._ground.accounts:
            if account.gone_since is not None:
                self._doubt(account.user)
            if account.is_suspended:
                self._delivery.hold(account.user)

    def start(self) -> None:
        """Begin to try again what came back."""
        self._ground.tasks.spawn(self._watch(), "users who may be gone")

    async def _watch(self) -> None:
        while True:
            await self._ground.clock.sleep(_AGAIN_S)
            for user in tuple(self.doubted):
                account = self._ground.accounts.of(user)
                if account is not None and account.is_suspended:
                    continue
                if account is None or self._delivery.taken.is_any(user):
                    self._is_there(user, account)
                self._delivery.go_on(user)

    # --- what servers say ------------------------------------------------------------------------

    def came_back(self, user: UserJid, message: StanzaId) -> bool:
        """The user's server says of a stanza that nobody is there. False if that is none of ours,
        or not to be believed: then it was refused for another reason."""
        account = self._believed(user)
        if account is None or not self._delivery.refused_as_gone(user, message):
            return False
        self._is_gone(account)
        return True

    def is_gone(self, user: UserJid) -> None:
        """The user's server has said so of presence."""
        account = self._believed(user)
        if account is not None:
            self._is_gone(account)

    def _believed(self, user: UserJid) -> Account | None:
        account = self._ground.accounts.of(user)
        is_seen = account is not None and account.devices.reach is Reach.ONLINE
        return None if is_seen else account

    def _is_gone(self, account: Account) -> None:
        now = self._ground.clock.now()
        since = account.gone_since
        if account.is_suspended:
            return
        if since is None or since > now:  # the clock may have been set back
            self._doubt(account.user)
            account.gone_since = now
            self._keep(account)
        elif now - since >= _PATIENCE_S and not self._delivery.taken.is_any(account.user):
            log.warning("account_suspended", network=self._ground.network, account=account.id)
            account.is_suspended = True
            self._keep(account)
            self._delivery.hold(account.user)
            self._following.suspend(account)

    def _doubt(self, user: UserJid) -> None:
        self.doubted.add(user)
        self._delivery.taken.watch(user)

    # --- they are there --------------------------------------------------------------------------

    def heard(self, user: UserJid) -> None:
        """Something came of the user: they are there after all."""
        if user not in self.doubted:
            return
        self.doubted.discard(user)
        self._delivery.taken.forget(user)
        account = self._ground.accounts.of(user)
        if account is not None:
            since, was_suspended = account.gone_since, account.is_suspended
            account.gone_since, account.is_suspended = None, False
            self._keep(account)
            if was_suspended:
                log.info("account_resumed", network=self._ground.network, account=account.id)
                self._tell(account, since)
                self._following.look(account)
        self._delivery.go_on(user)

    def _is_there(self, user: UserJid, account: Account | None) -> None:
        """Their server takes what is for them; or they are none of our users any more."""
        self.doubted.discard(user)
        if account is None:
            self._delivery.taken.forget(user)
        else:
            account.gone_since = None
            self._keep(account)

    def _keep(self, account: Account) -> None:
        since, is_suspended = account.gone_since, account.is_suspended
        self._ground.persist.write(
            lambda db: accounts.set_gone(db, account.id, since, is_suspended=is_suspended)
        )

    def _tell(self, account: Account, since: float | None) -> None:
        now = self._ground.clock.now()
        sid = stanza_id(self._ground.network, account.user, "suspended", account.id, str(since))

        def unit(db: Transaction) -> list[InboundRow]:
            return [
                journal.add_inbound(
                    db,
                    account=account.id,
                    conversation=conversations.chat(db, account.id, GATEWAY),
                    user=account.user,
                    contact=GATEWAY,
                    stanza_id=sid,
                    delivery=told_in(GatewayNotice(id=sid, text=_BACK), account.language),
                    now=now,
                )
            ]

        self._ground.persist.write(unit, self._delivery.offer)
