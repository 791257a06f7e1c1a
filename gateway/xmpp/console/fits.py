# SPDX-License-Identifier: Apache-2.0
"""Whom a command is of use: values of `gateway.xmpp.console.model.Command.fits`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gateway.events import RoomAction
from gateway.ids import UserJid
from gateway.store.accounts import AccountStatus

if TYPE_CHECKING:
    from gateway.adapter import Capabilities
    from gateway.bridge.accounts import Account
    from gateway.bridge.network import Network
    from gateway.xmpp.console.model import Target


@dataclass(frozen=True, slots=True, kw_only=True)
class Asker:
    """Somebody who may give a command, and where."""

    network: Network
    user: UserJid
    is_admin: bool
    target: Target | None = None

    @property
    def account(self) -> Account | None:
        """Theirs, if they have one."""
        return self.network.accounts.of(self.user)

    @property
    def capabilities(self) -> Capabilities | None:
        """Of their network, if they have an account."""
        link = None if self.account is None else self.account.link
        return None if link is None else link.adapter.capabilities


def has_account(asker: Asker) -> bool:
    """For whom there is something to do."""
    return asker.account is not None


def has_none(asker: Asker) -> bool:
    """For whom there is something to do."""
    return asker.account is None


def is_kept(asker: Asker) -> bool:
    """The gateway keeps something of them, if only what they are in linked groups."""
    return has_account(asker) or asker.network.accounts.virtual(asker.user) is not None


def is_linked(asker: Asker) -> bool:
    """There is a login to end."""
    return asker.account is not None and asker.account.status is not AccountStatus.LOGGED_OUT


def has_rooms(asker: Asker) -> bool:
    """The network has groups."""
    return asker.capabilities is not None and asker.capabilities.rooms


def can(*actions: type[RoomAction]) -> Callable[[Asker], bool]:
    """The network knows how to do this with groups."""

    def fits(asker: Asker) -> bool:
        offers = asker.capabilities
        return offers is not None and offers.room_actions.issuperset(actions)

    return fits


def offers(capability: str) -> Callable[[Asker], bool]:
    """The network has it, by the name of the capability."""

    def fits(asker: Asker) -> bool:
        return asker.capabilities is not None and bool(getattr(asker.capabilities, capability))

    return fits


def can_search(asker: Asker) -> bool:
    """Groups or people of the network can be searched for."""
    offers = asker.capabilities
    return offers is not None and (offers.room_search or offers.people_search)


def may_encrypt(asker: Asker) -> bool:
    """The network has end-to-end encryption."""
    return is_linked(asker) and asker.capabilities is not None and asker.capabilities.encryption


def may_log_in_again(asker: Asker) -> bool:
    """For whom there is something to do."""
    return asker.account is not None and asker.account.status is not AccountStatus.LINKED


def may_link_groups(asker: Asker) -> bool:
    """There is an account of the house, which can speak in groups for those without one."""
    return asker.network.accounts.house is not None


def sees_linked_groups(asker: Asker) -> bool:
    """There are linked groups that they may come into."""
    return bool(asker.network.portals.seen_by(asker.user, everything=asker.is_admin))


def rules_linked_groups(asker: Asker) -> bool:
    """There are linked groups of theirs; or the one where the command is given is."""
    ruled = asker.network.portals.ruled_by(asker.user, everything=asker.is_admin)
    room = None if asker.target is None else asker.target.room
    return bool(ruled) if asker.target is None else any(one.room == room for one in ruled)
