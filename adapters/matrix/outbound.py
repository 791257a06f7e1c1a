# SPDX-License-Identifier: Apache-2.0
"""Commands of the gateway → requests. Here those for chats; for groups see `group_outbound`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from adapters.matrix.group_outbound import GroupOutbound
from adapters.matrix.http import Api
from adapters.matrix.ledger import Ledger
from adapters.matrix.opening import Opening
from adapters.matrix.rooms import RoomId
from adapters.matrix.saying import Saying, text_content
from gateway.adapter import AccountContext, Sent
from gateway.errors import AdapterError, Forbidden, NotFound, Transient
from gateway.events import (
    AcceptInvite,
    Command,
    DeclineInvite,
    MarkRead,
    MarkRoomRead,
    ReactInRoom,
    RetractInRoom,
    SendRoomText,
    SendText,
)
from gateway.ids import RemoteMessageId, RemoteRoomId, RemoteUserId

if TYPE_CHECKING:
    from adapters.matrix.e2e.encryption import Encryption

MAX_TEXT_BYTES = 29_000
"""An event has at most 65,536 bytes with all that servers add, and a quote or a newline takes two.
The gateway refuses longer texts; what a homeserver with a lower limit says becomes `TooLarge`."""
_REMEMBERED_ATTEMPTS = 1_000


class Outbound:
    """Carries out the commands of one account."""

    def __init__(
        self,
        account: AccountContext,
        api: Api,
        ledger: Ledger,
        opening: Opening,
        encryption: Encryption | None,
    ) -> None:
        self._account = account
        self._api = api
        self._ledger = ledger
        self._opening = opening
        self._saying = Saying(account.remote_id, api, encryption)
        self._in_groups = GroupOutbound(account, api, opening, self._saying)
        self._rooms_of_attempts: dict[str, RoomId] = {}
        """A transaction id is unique within a room, so another attempt goes to the same one."""

    async def send(self, command: Command, key: str) -> Sent:
        """See `gateway.adapter.Session.send`."""
        match command:
            case SendText():
                return await self._text(command, key)
            case SendRoomText() | ReactInRoom() | RetractInRoom() | MarkRoomRead():
                return await self._in_groups.send(command, key)
            case MarkRead():
                await self._mark_read(command)
            case AcceptInvite():
                await self._accept(command.contact)
            case DeclineInvite():
                await self._decline(command.contact)
        return Sent()

    # --- text ---------------------------------------------------------------------------------

    async def _text(self, command: SendText, key: str) -> Sent:
        content = text_content(command.body, key)
        try:
            event_id = await self._deliver(command.contact, content, key)
        except Transient:
            raise
        except AdapterError:
            self._rooms_of_attempts.pop(key, None)
            raise
        self._rooms_of_attempts.pop(key, None)
        return Sent(remote_id=event_id)

    async def _deliver(
        self, contact: RemoteUserId, content: dict[str, Any], key: str
    ) -> RemoteMessageId:
        preferred = self._rooms_of_attempts.get(key)
        room_id = await self._opening.room_for(contact, preferred)
        try:
            return await self._say(room_id, content, key)
        except (Forbidden, NotFound):
            if not await self._opening.is_lost(room_id):
                raise
        return await self._say(await self._opening.room_for(contact, None), content, key)

    async def _say(self, room_id: RoomId, content: dict[str, Any], key: str) -> RemoteMessageId:
        self._rooms_of_attempts[key] = room_id
        if len(self._rooms_of_attempts) > _REMEMBERED_ATTEMPTS:
            del self._rooms_of_attempts[next(iter(self._rooms_of_attempts))]
        room = self._ledger.book.room(room_id)
        is_encrypted = room is not None and room.encrypted is True
        event_id = await self._saying.message(room_id, content, key, is_encrypted=is_encrypted)
        self._ledger.remember({event_id: room_id})
        return event_id

    # --- read marks and typing ----------------------------------------------------------------

    async def _mark_read(self, command: MarkRead) -> None:
        room_id = await self._room_of(command.contact, command.up_to)
        await self._saying.read(room_id, command.up_to)

    async def _room_of(self, contact: RemoteUserId, message: RemoteMessageId) -> RoomId:
        """From memory, or by asking in each room of the contact."""
        place = self._ledger.place(message)
        if place is not None:
            return place
        rooms = [entry for entry in self._ledger.book.rooms_of(contact) if entry[1].mine == "join"]
        for room_id, room in rooms:
            if len(rooms) == 1 or message in (room.message, room.last):
                return room_id
        for room_id, _ in rooms:
            try:
                await self._api.get("rooms", room_id, "event", message)
            except (NotFound, Forbidden):
                continue
            return room_id
        raise NotFound("The message is not in a room of this contact.")

    async def set_typing(self, contact: RemoteUserId, active: bool) -> None:
        """In the room that was used last."""
        for room_id in self._ledger.book.candidates(contact)[:1]:
            await self._saying.typing(room_id, active)

    async def set_room_typing(self, room: RemoteRoomId, active: bool) -> None:
        """In a group."""
        await self._saying.typing(RoomId(room), active)

    # --- invitations --------------------------------------------------------------------------

    async def _accept(self, contact: RemoteUserId) -> None:
        """Come into every room that the contact asked us into."""
        failed: AdapterError | None = None
        for room_id in self._ledger.book.invited_to(contact):
            try:
                await self._opening.join(room_id)
            except (NotFound, Forbidden) as error:
                failed = error
        if not self._ledger.book.candidates(contact):
            raise NotFound("The invitation is gone: it was withdrawn.") from failed

    async def _decline(self, contact: RemoteUserId) -> None:
        for room_id in self._ledger.book.invited_to(contact):
            await self._opening.leave(room_id)
