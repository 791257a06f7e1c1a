# SPDX-License-Identifier: Apache-2.0
"""Whom a command is of use: values of `gateway.xmpp.console.model.Command.fits`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from gateway.events import RoomAction
from gateway.store.accounts import AccountStatus

if TYPE_CHECKING:
    from gateway.bridge.accounts import Account


def has_account(account: Account | None) -> bool:
    """For whom there is something to do."""
    return account is not None


def has_none(account: Account | None) -> bool:
    """For whom there is something to do."""
    return account is None


def is_linked(account: Account | None) -> bool:
    """There is a login to end."""
    return account is not None and account.status is not AccountStatus.LOGGED_OUT


def has_rooms(account: Account | None) -> bool:
    """The network has groups."""
    link = None if account is None else account.link
    return link is not None and link.adapter.capabilities.rooms


def can(*actions: type[RoomAction]) -> Callable[[Account | None], bool]:
    """The network knows how to do this with groups."""

    def fits(account: Account | None) -> bool:
        link = None if account is None else account.link
        return link is not None and link.adapter.capabilities.room_actions.issuperset(actions)

    return fits


def offers(capability: str) -> Callable[[Account | None], bool]:
    """The network has it, by the name of the capability."""

    def fits(account: Account | None) -> bool:
        link = None if account is None else account.link
        return link is not None and bool(getattr(link.adapter.capabilities, capability))

    return fits


def can_search(account: Account | None) -> bool:
    """Groups or people of the network can be searched for."""
    link = None if account is None else account.link
    if link is None:
        return False
    return link.adapter.capabilities.room_search or link.adapter.capabilities.people_search


def may_encrypt(account: Account | None) -> bool:
    """The network has end-to-end encryption."""
    link = None if account is None else account.link
    return is_linked(account) and link is not None and link.adapter.capabilities.encryption


def may_log_in_again(account: Account | None) -> bool:
    """For whom there is something to do."""
    return account is not None and account.status is not AccountStatus.LINKED
