# SPDX-License-Identifier: Apache-2.0
"""What can be said about what was said in the rooms of one network, and taking messages back as a
moderator (XEP-0425)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING

from gateway.adapter import Capabilities
from gateway.bridge.accounts import Account
from gateway.bridge.rooms.management import Management
from gateway.bridge.splitting import brief
from gateway.errors import AdapterError
from gateway.events import ModerateMessage
from gateway.ids import AccountId, StanzaId
from gateway.store.rooms import RoomRow
from gateway.text.wording import tr
from gateway.xmpp import disco
from gateway.xmpp.asked import Request
from gateway.xmpp.codec import errors
from gateway.xmpp.codec.enclosing import REFERENCE
from gateway.xmpp.codec.errors import Refused
from gateway.xmpp.codec.incoming import CHANNEL, MENTIONS, RETRACT
from gateway.xmpp.rooms.content import MODERATE
from gateway.xmpp.rooms.refusals import refused

if TYPE_CHECKING:
    from gateway.xmpp.component import Component

_NO_MESSAGE = tr("There is no such message in this group.")
_NOT_ON_NETWORK = tr("The network does not have this message.")


def _of_occupants(capabilities: Capabilities) -> Iterator[str]:
    """A room that has the features of mentions says who may use them (XEP-0513 §3.6): ours knows
    that, and takes no wishes."""
    if capabilities.mentions:
        yield from (REFERENCE, MENTIONS, CHANNEL)


def _of_rooms(capabilities: Capabilities, management: Management) -> Iterator[str]:
    """REQ-540."""
    yield from disco.about_messages(capabilities)
    if capabilities.retractions:
        yield f"{RETRACT}#tombstone"
    if management.is_possible(ModerateMessage):
        yield MODERATE


class Speech:
    """In the rooms of one component."""

    def __init__(
        self, component: Component, room_of: Callable[[Request], tuple[Account, RoomRow]]
    ) -> None:
        self._room_of = room_of
        self._component = component
        self._asked: dict[
            tuple[AccountId, ModerateMessage], asyncio.Task[AdapterError | None]
        ] = {}
        network = component.network
        capabilities = network.adapter.capabilities
        self._rooms, self._management = network.rooms, network.rooms.management
        self.features = tuple(_of_rooms(capabilities, self._management))
        """Of a room, as far as they depend on the network."""
        self.forms = "".join(form.xml() for form in disco.restrictions(capabilities))
        self.occupant = disco.puppet_client(
            network.adapter.display_name, capabilities, _of_occupants(capabilities)
        )
        """What an occupant says of itself."""

    async def moderate(self, request: Request) -> str:
        """REQ-568. Clients ask once for each edit: what is gone is gone."""
        account, room = self._room_of(request)
        wanted = request.payload
        if wanted.find(f"{{{RETRACT}}}retract") is None or not wanted.get("id"):
            raise Refused(errors.BAD_REQUEST, tr("A message to be retracted is expected."))
        message = self._rooms.archive.meant(room, StanzaId(wanted.get("id", "")))
        if message is None:
            raise Refused(errors.ITEM_NOT_FOUND, _NO_MESSAGE)
        if self._rooms.archive.is_gone(room, message):
            return ""
        if message.remote_id is None:
            raise Refused(errors.ITEM_NOT_FOUND, _NOT_ON_NETWORK)
        reason = brief(wanted.findtext(f"{{{MODERATE}}}reason") or "")
        action = ModerateMessage(room=room.remote_id, message=message.remote_id, reason=reason)
        error = await self._moderated(account, action)
        if error is not None:
            raise refused(error)
        return ""

    async def _moderated(self, account: Account, action: ModerateMessage) -> AdapterError | None:
        """What has come of it. What is asked for several times at once is done once: the network
        would refuse the second time, or count it."""
        key = account.id, action
        if key not in self._asked:
            self._asked[key] = self._component.asked.spawn(
                self._moderate(account, action), "moderate", done=partial(self._asked.pop, key)
            )
        return await asyncio.shield(self._asked[key])

    async def _moderate(self, account: Account, action: ModerateMessage) -> AdapterError | None:
        try:
            await self._management.do(account, action)
        except AdapterError as error:
            return error
        return None
