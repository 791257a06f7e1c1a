# SPDX-License-Identifier: Apache-2.0
"""What the presence of the gateway says to each user of their link."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.bridge.links.link import LinkState
from gateway.bridge.splitting import brief
from gateway.ids import UserJid
from gateway.locale import said_in
from gateway.text.wording import tr
from gateway.xmpp import avatars
from gateway.xmpp.codec.xml import text

if TYPE_CHECKING:
    from gateway.xmpp.component import Component

_STATUS = {
    LinkState.CONNECTING: ("away", tr("Connecting …")),
    LinkState.LIVE: ("", tr("Connected")),
    LinkState.RETRYING: ("away", tr("Not connected: {trouble}")),
    LinkState.EXPIRED: ("dnd", tr("Please log in again: {trouble}")),
    LinkState.STOPPED: ("xa", tr("Logged out")),
    LinkState.WAITING: ("xa", tr("Not connected: waiting for you to come online")),
}


def gateway_status(component: Component, user: UserJid) -> str:
    """What its presence says to a user of their link, as XML (REQ-142)."""
    account = component.network.accounts.of(user)
    logo = component.profiles.logo
    known = f"{component.iqs.gateway.entity.caps()}{avatars.update(logo.hash)}"
    if account is None:
        return f"{_status_of_stranger(component, user)}{known}"
    link = account.link
    show, status = _STATUS[link.phase if link is not None else LinkState.STOPPED]
    said = status.format(trouble=link.trouble if link is not None else "")
    return f"{_status(component, user, show, said)}{known}"


def _status(component: Component, user: UserJid, show: str, status: str) -> str:
    said = said_in(status, component.language_of(user))
    shown = f"<show>{show}</show>" if show else ""
    spoken = f" xml:lang='{said.tag}'" if said.tag else ""
    return f"{shown}<status{spoken}>{text(brief(said.text))}</status>"


def _status_of_stranger(component: Component, user: UserJid) -> str:
    """A registration is under way, or has failed, or there was none (REQ-207)."""
    if component.network.registrations.of(user) is not None:
        return _status(component, user, "away", tr("Logging in …"))
    trouble = component.network.registrations.trouble(user)
    if trouble:
        return _status(component, user, "dnd", tr("Not logged in: {trouble}", trouble=trouble))
    return _status(component, user, "xa", tr("Logged out"))
