# SPDX-License-Identifier: Apache-2.0
"""Accounts are connected only while their users are admitted (REQ-705)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import structlog

from gateway.bridge.accounts import Account
from gateway.bridge.accounts.logins import Logins
from gateway.bridge.attendance.following import Following
from gateway.bridge.ground import Ground
from gateway.bridge.links.link import Link, LinkState
from gateway.bridge.links.links import Links
from gateway.ids import UserJid
from gateway.store.accounts import AccountStatus
from gateway.text.wording import tr

log = structlog.get_logger("network")


class Admission:
    """To one network."""

    def __init__(
        self,
        ground: Ground,
        links: Links,
        logins: Logins,
        following: Following,
        link_changed: Callable[[Account], None],
        shut_out: Callable[[UserJid], Awaitable[None]],
    ) -> None:
        """``shut_out``: out of groups in which a user is without an account."""
        self._network = ground.network
        self._tasks = ground.tasks
        self._accounts = ground.accounts
        self._links = links
        self._logins = logins
        self._following = following
        self._link_changed = link_changed
        self._shut_out_of_groups = shut_out

    def connect(self, account: Account) -> None:
        """Connect a linked account, if its user is admitted, and wants that now."""
        if account.status is not AccountStatus.LINKED or account.link is None:
            return
        if not self._logins.permits(account.user):
            self._shut_out(account, account.link)
        elif self._following.may_connect(account):
            self._links.run(account, account.link)
        else:
            self._following.rest(account)

    def changed(self, user: UserJid) -> None:
        """An admin admits a user, or does so no longer."""
        self._tasks.spawn(self._changed(user), "admission")

    async def _changed(self, user: UserJid) -> None:
        """Not before a login or log-out that is under way has ended: then it is clear what holds.

        What it may be then is asked: admins take back what they have mistyped.
        """
        async with self._logins.turn(user):
            account, permitted = self._accounts.of(user), self._logins.permits(user)
            if not permitted:
                await self._shut_out_of_groups(user)
            if (
                account is None
                or account.link is None
                or account.status is not AccountStatus.LINKED
            ):
                return
            if account.link.phase is LinkState.STOPPED and permitted:
                self._links.prepare(account)
                self.connect(account)
            elif not permitted:
                await self._disconnect(account, account.link)

    async def _disconnect(self, account: Account, link: Link) -> None:
        await link.stop()
        self._shut_out(account, link)
        self._link_changed(account)

    def _shut_out(self, account: Account, link: Link) -> None:
        log.warning("account_not_admitted", network=self._network, account=account.id)
        link.phase = LinkState.STOPPED
        link.trouble = tr("The admin of this gateway does not admit you")
