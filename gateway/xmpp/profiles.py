# SPDX-License-Identifier: Apache-2.0
"""Who somebody is, for cards and events: a contact as one user sees them, or the gateway."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from importlib import resources
from typing import TYPE_CHECKING

from gateway.bridge.accounts import Account
from gateway.ids import RemoteUserId
from gateway.media.images import described
from gateway.store.avatars import PictureRow
from gateway.store.conversations import GATEWAY
from gateway.xmpp import avatars
from gateway.xmpp.asked import Request
from gateway.xmpp.codec import errors
from gateway.xmpp.codec.errors import Refused

if TYPE_CHECKING:
    from gateway.xmpp.component import Component


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """What is shown of somebody."""

    jid: str
    id: str
    """What they are called for want of a name."""
    name: str
    """Empty if none is known."""
    picture: PictureRow | None = None
    has_none: bool = False
    """It is known that there is no picture, or none that can be shown."""
    kind: str = "individual"
    """RFC 6350 §6.1.4."""
    url: str = ""
    """Where the network shows them."""

    def card(self) -> str:
        """XEP-0054 (REQ-330)."""
        name, picture = self.name or self.id, self.picture
        return avatars.card(name, picture, nick=self.name, jid=self.jid, url=self.url)

    def card4(self) -> str:
        """XEP-0292 (REQ-332)."""
        name, picture = self.name or self.id, self.picture
        return avatars.card4(name, self.kind, picture, nick=self.name, jid=self.jid, url=self.url)


def published(shown: Profile, request: Request) -> str:
    """The answer to who asks for something that is published (REQ-136). Raises `Refused`."""
    found = avatars.published(request.payload, shown.name, shown.picture, shown.card4)
    if found is None:
        raise Refused(errors.ITEM_NOT_FOUND)
    return found


class Profiles:
    """Of one component."""

    def __init__(self, component: Component) -> None:
        self._component = component
        self._profiles = component.network.contacts.profiles

    def of(self, account: Account, contact: RemoteUserId) -> Profile:
        """What a user sees of a contact (REQ-307), or of the gateway."""
        if contact == GATEWAY:
            return self.gateway
        known = self._profiles
        picture = known.picture(account, contact)
        return Profile(
            jid=self._component.puppet(contact),
            id=contact,
            name=known.name(account, contact),
            picture=picture,
            has_none=picture is None and known.has_no_picture(account, contact),
            url=known.page(contact),
        )

    @cached_property
    def gateway(self) -> Profile:
        """The gateway itself (REQ-348)."""
        return Profile(
            jid=self._component.domain,
            id=self._component.domain,
            name=self._component.name,
            picture=self.logo,
            kind="application",
        )

    @cached_property
    def logo(self) -> PictureRow:
        """The picture of the gateway, which is the same in all networks."""
        made = described(resources.files("gateway.xmpp").joinpath("logo.png").read_bytes())
        return PictureRow(
            hash=made.hash, type=made.type, width=made.width, height=made.height, data=made.data
        )
