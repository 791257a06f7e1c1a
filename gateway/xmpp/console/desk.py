# SPDX-License-Identifier: Apache-2.0
"""What the commands of one component work with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import unquote

from gateway.bridge.network import Network
from gateway.ids import RemoteUserId, UserJid
from gateway.store.rooms import RoomRow
from gateway.tasks import Tasks
from gateway.xmpp import jid
from gateway.xmpp.approvals import Approvals
from gateway.xmpp.rooms.stanzas import uri

if TYPE_CHECKING:
    from gateway.xmpp.component import Component


class PageOffer(NamedTuple):
    """Where somebody may log in by a browser."""

    address: str
    minutes: int
    """For which it is good, if nobody answers there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """What the commands of one component work with."""

    network: Network
    tasks: Tasks
    may_log_in: Callable[[UserJid], bool]
    """Whether another attempt is not too much."""
    consent: Callable[[UserJid], str]
    """What users are told of what is done in their names, before they link an account."""
    may_search: Callable[[UserJid], bool]
    """The same of searches."""
    is_admin: Callable[[UserJid], bool]
    """Whether somebody is an admin of this gateway."""
    approvals: Approvals
    tell: Callable[[UserJid, str], None]
    """A line of the gateway to somebody."""
    page_of: Callable[[UserJid], PageOffer | None]
    """A page on which they may log in; None if there are no pages."""
    room_uri: Callable[[RoomRow], str]
    """What joins a room when it is clicked."""
    room_at: Callable[[str], str | None]
    """The localpart of the room whose address here somebody has typed, or a link to it."""
    room_called: Callable[[str], str | None]
    """The address at which a room is joined that the network calls so, if it can be here."""
    address_of: Callable[[RemoteUserId], str]
    """Of a contact or a room."""
    contact_at: Callable[[str], RemoteUserId | None]
    """Whom somebody means by an address that they have typed, here or on the network."""
    person: Callable[[str], RemoteUserId | None]
    """The same, or the user of the gateway with this XMPP address. Who that is on the network is
    told nobody (REQ-307)."""


def desk_of(component: Component) -> Desk:
    """That of a component."""

    def room_at(typed: str) -> str | None:
        address = jid.split(unquote(typed.strip().removeprefix("xmpp:").removesuffix("?join")))
        is_ours = address.domain == component.domain and address.local.startswith("#")
        return address.local if is_ours else None

    def person(typed: str) -> RemoteUserId | None:
        address = jid.split(typed.strip().removeprefix("xmpp:"))
        account = component.network.accounts.of(address.bare)
        return account.remote_id if account is not None else component.contact_at(typed)

    return Desk(
        network=component.network,
        tasks=component.tasks,
        may_log_in=component.may_log_in,
        consent=component.told_of_consent,
        may_search=component.may_search,
        is_admin=lambda user: user in component.admins,
        approvals=component.approvals,
        tell=component.console.tell,
        page_of=component.page_of,
        room_uri=lambda room: uri(component.rooms.address(room)),
        room_at=room_at,
        room_called=component.room_called,
        address_of=component.puppet,
        contact_at=component.contact_at,
        person=person,
    )
