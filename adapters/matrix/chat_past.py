# SPDX-License-Identifier: Apache-2.0
"""What was said last in a chat, when somebody asks for it. Nothing of it is kept.

Matrix spec, client-server API, "GET /rooms/{roomId}/messages", from the end of the room that is
used now. What was redacted has no words any more.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from msgspec.structs import replace

from adapters.matrix.chat_events import said_to
from adapters.matrix.filters import SAID_FILTER
from adapters.matrix.history import page
from adapters.matrix.http import Api
from adapters.matrix.inbound import Event, as_dicts, event_id_of
from adapters.matrix.ledger import Ledger
from adapters.matrix.rooms import Room, RoomId
from adapters.matrix.sync import NOTHING
from gateway.adapter import AccountContext
from gateway.errors import NotFound
from gateway.events import RemoteMessage
from gateway.ids import RemoteMessageId, RemoteUserId
from gateway.text.wording import tr

if TYPE_CHECKING:
    from adapters.matrix.e2e.encryption import Encryption

_PAGES = 3
"""Edits are events too, and may be most of them."""


class ChatPast:
    """Of the chats of one account."""

    def __init__(
        self,
        account: AccountContext,
        api: Callable[[], Api],
        ledger: Ledger,
        encryption: Callable[[], Encryption | None],
    ) -> None:
        self._account = account
        self._api = api
        self._ledger = ledger
        self._encryption = encryption

    async def last_said(self, contact: RemoteUserId, most: int) -> Sequence[RemoteMessage]:
        """See `gateway.adapter.Session.last_said`."""
        rooms = self._ledger.book.rooms_of(contact)
        if not rooms:
            raise NotFound(tr("There is no chat with them on the network yet."))
        room_id, room = rooms[0]
        newest_first: list[Event] = []
        found: list[RemoteMessage] = []
        token: str | None = None
        for _ in range(_PAGES):
            content = (await page(self._api(), room_id, token, SAID_FILTER)).content
            newest_first += as_dicts(content.get("chunk"))
            found = as_they_are(await self._told(room_id, room, newest_first[::-1]))
            following = content.get("end")
            if len(found) >= most or not isinstance(following, str) or following == token:
                break
            token = following
        return found[-most:]

    async def _told(
        self, room_id: RoomId, room: Room, events: Sequence[Event]
    ) -> list[RemoteMessage]:
        encryption = self._encryption()
        opened = NOTHING if encryption is None else await encryption.open_past(room_id, events)
        told = []
        for event in events:
            said = said_to(
                room_id,
                opened.clear.get((room_id, event_id_of(event)), event),
                contact=room.contact,
                account=self._account.remote_id,
                name_of=self._ledger.book.name,
                now=self._account.clock.now(),
                guests=room.guests,
            )
            if isinstance(said, RemoteMessage):
                told.append(said)
        return told


def as_they_are(told: Sequence[RemoteMessage]) -> list[RemoteMessage]:
    """Each message once, where it was said, with the words that it has now."""
    found: dict[RemoteMessageId, RemoteMessage] = {}
    for said in told:
        if said.edits is None:
            found[said.id] = said
        elif (first := found.get(said.edits)) is not None and first.own == said.own:
            found[said.edits] = replace(first, body=said.body, spans=said.spans)
    return list(found.values())
