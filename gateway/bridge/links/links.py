# SPDX-License-Identifier: Apache-2.0
"""The links of one network: how they are made, begun and ended."""

from __future__ import annotations

from collections.abc import Callable

import structlog

from gateway.bridge.accounts import Account
from gateway.bridge.chats.said import what_is_said
from gateway.bridge.ground import Ground
from gateway.bridge.inbound.backlog import Backlog
from gateway.bridge.inbound.inbound import Intake
from gateway.bridge.inbound.rows import Rows
from gateway.bridge.links.carried import CarriedLink
from gateway.bridge.links.link import Link, LinkHooks, LinkState
from gateway.bridge.links.pacing import StartGate
from gateway.bridge.links.readiness import TROUBLE, Readiness
from gateway.bridge.links.sealed import Sealed
from gateway.bridge.rooms.intake import room_intake
from gateway.errors import AdapterError
from gateway.store.kinds import AccountKind
from gateway.store.secrets import SecretBox
from gateway.tasks import Tasks, contained, within
from gateway.text.wording import tr

log = structlog.get_logger("network")

_LOG_OUT_LIMIT_S = 30.0


class Links:
    """Makes the supervised connection of each account, and runs it."""

    def __init__(
        self,
        ground: Ground,
        box: SecretBox,
        backlog: Backlog,
        readiness: Readiness,
        *,
        hooks: Callable[[Account], LinkHooks],
        begun: Callable[[Account], None],
    ) -> None:
        self._ground = ground
        self._box = box
        self._backlog = backlog
        self._readiness = readiness
        self._hooks = hooks
        self._begun = begun
        self._tasks = Tasks(f"links {ground.network}")
        self._gate = StartGate(ground.clock, self._tasks, ground.settings.login_concurrency)

    def prepare(self, account: Account) -> Link:
        """A link that does nothing yet. It takes the place of the one the account has. That of an
        account for which the house speaks never does anything itself."""
        ground = self._ground
        rows = Rows(
            network=ground.network,
            instance=ground.store.instance,
            account=account.id,
            user=account.user,
            addresses=ground.addresses,
            links=ground.settings.file_links,
            uploads=bool(ground.settings.uploaders),
            language=lambda: account.language,
            common_language=ground.settings.language,
            reserved=ground.settings.reserved,
            is_of_house=account.kind is AccountKind.HOUSE,
        )
        intake = Intake(
            rows=rows,
            rooms=room_intake(
                rows,
                account.remote_id,
                ground.settings.cutoffs,
                ground.accounts.is_live,
                has_history=ground.adapter.capabilities.history,
            ),
            chats=what_is_said(
                rows, account.remote_id, self._backlog.is_cutting, lambda: account.settings
            ),
            auto_accept=ground.settings.auto_accept,
        )
        kind = CarriedLink if account.kind is AccountKind.VIRTUAL else Link
        account.link = link = kind(
            account,
            ground.adapter,
            intake,
            ground.store,
            self._hooks(account),
            self._gate,
            self._tasks,
            Sealed(ground.store, self._box, account.id),
        )
        return link

    def run(self, account: Account, link: Link) -> None:
        """Begin to connect, unless the adapter has not started: then that is said."""
        if not self._readiness.is_ready:
            link.hinder(TROUBLE)
            return
        link.phase = LinkState.CONNECTING
        link.task = self._tasks.spawn(link.run(), f"account {account.id}")
        if account.kind is AccountKind.OWN:
            self._begun(account)

    async def revoke(self, link: Link) -> str:
        """Revoke the credentials on the network. Returns what went wrong, or nothing."""
        try:
            ending = contained(self._log_out, link)
            await within(self._ground.clock, _LOG_OUT_LIMIT_S, ending)
        except AdapterError as error:
            return error.text
        except TimeoutError:
            return tr("It did not answer in time.")
        except Exception:  # whatever happens there, the account here must not be stuck
            log.exception("log_out_failed", network=self._ground.network)
            return tr("Internal error of the gateway.")
        return ""

    async def _log_out(self, link: Link) -> None:
        await self._ground.adapter.session(link.aside()).log_out()

    async def stop(self) -> None:
        """End all sessions."""
        await self._tasks.cancel()
