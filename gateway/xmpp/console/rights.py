# SPDX-License-Identifier: Apache-2.0
"""Who may give which command. Asked again at every stage: rights may be lost in between."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gateway.ids import UserJid
from gateway.text.wording import tr
from gateway.xmpp.access import NOT_ADMITTED
from gateway.xmpp.codec import errors
from gateway.xmpp.codec.errors import StanzaError
from gateway.xmpp.console.fits import Asker
from gateway.xmpp.console.model import Command, Place, Target

if TYPE_CHECKING:
    from gateway.xmpp.component import Component


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a command may not be given."""

    error: StanzaError
    text: str
    may_ask: bool = False
    """An admin may see it otherwise."""


_NO_ACCOUNT = Refusal(
    errors.REGISTRATION_REQUIRED, tr("You have no account here. Send “login” to link one.")
)
_NOT_ADMITTED = Refusal(errors.FORBIDDEN, NOT_ADMITTED, may_ask=True)
_NO_ADMIN = Refusal(errors.FORBIDDEN, tr("Only admins of this gateway may do that."))


def refusal(component: Component, command: Command, user: UserJid) -> Refusal | None:
    """Why this user may not give this command now, or None."""
    accounts, is_admin = component.network.accounts, user in component.admins
    if command.for_admins:  # even if they may link no account themselves
        return None if is_admin else _NO_ADMIN
    has_account = accounts.of(user) is not None
    if command.leaves:  # whoever is in linked groups without an account may want to as well
        has_account = has_account or accounts.virtual(user) is not None
    may_without = (command.leaves and has_account) or (command.also_for_admins and is_admin)
    if not may_without and not component.access.permits(user):
        return _NOT_ADMITTED
    if command.needs_account and not has_account:
        return _NO_ACCOUNT
    return None


def words(component: Component, refused: Refusal, user: UserJid) -> str:
    """What to say to somebody whose command is refused. That may ask the admins (REQ-211)."""
    return component.not_admitted(user) if refused.may_ask else refused.text


def is_offered(
    component: Component, command: Command, user: UserJid, target: Target | None = None
) -> bool:
    """Whether to list it: it may be given, and there is a point in giving it (REQ-112)."""
    place = Place.GATEWAY if target is None else target.place
    if place not in command.places:
        return False
    if command.on_admission and not component.access.ask:
        return False
    is_admin = user in component.admins
    asker = Asker(network=component.network, user=user, is_admin=is_admin, target=target)
    return refusal(component, command, user) is None and command.fits(asker)
