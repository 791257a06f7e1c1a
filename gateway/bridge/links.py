# SPDX-License-Identifier: Apache-2.0
"""The links of one network: how they are made, begun and ended."""

from __future__ import annotations

from collections.abc import Callable

import structlog

from gateway.adapter import Adapter
from gateway.bridge.accounts import Account
from gateway.bridge.addresses import Addresses
from gateway.bridge.backlog import Backlog
from gateway.bridge.inbound import Intake
from gateway.bridge.link import Link, LinkHooks, LinkState
from gateway.bridge.pacing import StartGate
from gateway.bridge.readiness import TROUBLE, Readiness
from gateway.bridge.rooms.intake import room_intake
from gateway.bridge.rooms.occupants import Cutoffs
from gateway.bridge.rows import Rows
from gateway.bridge.sealed import Sealed
from gateway.bridge.unread import Unread
from gateway.errors import AdapterError
from gateway.ids import AccountId, NetworkName
from gateway.store import Store
from gateway.store.secrets import SecretBox
from gateway.tasks import Tasks, contained, within

log = structlog.get_logger("network")

_LOG_OUT_LIMIT_S = 30.0


class Links:
    """Makes the supervised connection of each account, and runs it."""

    def __init__(
        self,
        network: NetworkName,
        adapter: Adapter,
        store: Store,
        box: SecretBox,
        addresses: Addresses,
        backlog: Backlog,
        readiness: Readiness,
        *,
        auto_accept: bool,
        concurrency: int,
        cutoffs: Cutoffs,
        hooks: Callable[[Account], LinkHooks],
        begun: Callable[[Account], None],
        is_live: Callable[[AccountId], bool],
    ) -> None:
        self._network = network
        self._adapter = adapter
        self._store = store
        self._box = box
        self._addresses = addresses
        self._backlog = backlog
        self._readiness = readiness
        self._auto_accept = auto_accept
        self._cutoffs = cutoffs
        self._hooks = hooks
        self._begun = begun
        self._is_live = is_live
        self._tasks = Tasks(f"links {network}")
        self._gate = StartGate(adapter.context.clock, self._tasks, concurrency)

    def prepare(self, account: Account) -> Link:
        """A link that does nothing yet. It takes the place of the one the account has."""
        rows = Rows(
            network=self._network,
            instance=self._store.instance,
            account=account.id,
            user=account.user,
            addresses=self._addresses,
        )
        intake = Intake(
            rows=rows,
            rooms=room_intake(
                rows,
                account.remote_id,
                self._cutoffs,
                self._is_live,
                has_history=self._adapter.capabilities.history,
            ),
            unread=Unread(rows),
            auto_accept=self._auto_accept,
            is_cutting=self._backlog.is_cutting,
        )
        account.link = link = Link(
            account,
            self._adapter,
            intake,
            self._store,
            self._hooks(account),
            self._gate,
            self._tasks,
            Sealed(self._store, self._box, account.id),
        )
        return link

    def run(self, account: Account, link: Link) -> None:
        """Begin to connect, unless the adapter has not started: then that is said."""
        if not self._readiness.is_ready:
            link.hinder(TROUBLE)
            return
        link.phase = LinkState.CONNECTING
        link.task = self._tasks.spawn(link.run(), f"account {account.id}")
        self._begun(account)

    async def revoke(self, link: Link) -> str:
        """Revoke the credentials on the network. Returns what went wrong, or nothing."""
        try:
            ending = contained(self._log_out, link)
            await within(self._adapter.context.clock, _LOG_OUT_LIMIT_S, ending)
        except AdapterError as error:
            return error.text
        except TimeoutError:
            return "It did not answer in time."
        except Exception:  # whatever happens there, the account here must not be stuck
            log.exception("log_out_failed", network=self._network)
            return "Internal error of the gateway."
        return ""

    async def _log_out(self, link: Link) -> None:
        await self._adapter.session(link.aside()).log_out()

    async def stop(self) -> None:
        """End all sessions."""
        await self._tasks.cancel()
