# SPDX-License-Identifier: Apache-2.0
"""What all parts of one network stand on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gateway.adapter import Adapter, Clock
from gateway.bridge.accounts import Accounts
from gateway.bridge.addresses import Addresses
from gateway.bridge.persist import Persist
from gateway.bridge.portals.portals import Portals
from gateway.ids import NetworkName
from gateway.media.uploads import Uploads
from gateway.store import Store
from gateway.tasks import Tasks

if TYPE_CHECKING:
    from gateway.bridge.network_settings import NetworkSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """Of one network: what does nothing by itself, and is there before all that does."""

    settings: NetworkSettings
    adapter: Adapter
    store: Store
    accounts: Accounts
    addresses: Addresses
    tasks: Tasks
    """End with the network."""
    persist: Persist
    uploads: Uploads
    """Of the whole process."""
    portals: Portals
    """Groups that are linked for people without an account."""

    @property
    def network(self) -> NetworkName:
        """Its name in the configuration."""
        return self.settings.name

    @property
    def clock(self) -> Clock:
        """Also of the adapter."""
        return self.adapter.context.clock
