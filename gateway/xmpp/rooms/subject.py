# SPDX-License-Identifier: Apache-2.0
"""Subjects that users set (XEP-0045 §8.1; REQ-549).

Nothing is reflected: the network tells of the new topic, or the message comes back with an error.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from gateway.bridge.accounts import Account
from gateway.errors import AdapterError
from gateway.events import DescribeRoom, RoomRight
from gateway.ids import AccountId, RoomId
from gateway.store.rooms import RoomRow
from gateway.text.wording import tr
from gateway.xmpp.codec import errors
from gateway.xmpp.rooms.refusals import refused

if TYPE_CHECKING:
    from gateway.xmpp.component import Component

_NOT_ALLOWED = tr("You may not change the topic of this group.")
_ONE_AT_A_TIME = tr("Your last change of the topic is still on its way. Please try again.")


class Subjects:
    """Of all rooms of one component."""

    def __init__(self, component: Component) -> None:
        self._component = component
        self._network = component.network
        self._open: set[tuple[AccountId, RoomId]] = set()
        """One at a time of each account, or a later one might be overtaken."""

    def change(
        self,
        account: Account,
        room: RoomRow,
        topic: str,
        refuse: Callable[[errors.StanzaError, str], None],
    ) -> None:
        """The subject is to be this. ``refuse`` answers with an error."""
        one = account.id, room.id
        if not self._network.rooms.management.is_possible(DescribeRoom):
            refuse(errors.NOT_ALLOWED, tr("The topic of this group cannot be changed from here."))
        elif not self._network.rooms.may(account, room, RoomRight.TOPIC):
            refuse(errors.FORBIDDEN, _NOT_ALLOWED)
        elif one in self._open:
            refuse(errors.RESOURCE_CONSTRAINT, _ONE_AT_A_TIME)
        else:
            self._open.add(one)
            work = self._change(account, DescribeRoom(room=room.remote_id, topic=topic), refuse)
            self._component.asked.spawn(work, "subject", done=lambda: self._open.discard(one))

    async def _change(
        self,
        account: Account,
        action: DescribeRoom,
        refuse: Callable[[errors.StanzaError, str], None],
    ) -> None:
        try:
            await self._network.rooms.management.do(account, action)
        except AdapterError as error:
            failed = refused(error)
            refuse(failed.error, failed.said)
        except asyncio.CancelledError:  # the gateway stops: `Management` lets out no other
            refuse(errors.UNAVAILABLE, errors.STOPPING)
            raise
