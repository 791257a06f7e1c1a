# SPDX-License-Identifier: Apache-2.0
"""What the user says and does in groups → requests. For chats see `outbound`."""

from __future__ import annotations

from functools import partial

from adapters.matrix.contents import content_of
from adapters.matrix.errors import in_words
from adapters.matrix.opening import Opening
from adapters.matrix.reacting import Reacting
from adapters.matrix.rooms import RoomId
from adapters.matrix.saying import Saying
from adapters.matrix.uploads import Uploads
from gateway.adapter import AccountContext, Sent
from gateway.events import (
    MarkRoomRead,
    ReactInRoom,
    RetractInRoom,
    RoomCommand,
    SendRoomText,
)
from gateway.ids import RemoteMessageId
from gateway.text.wording import tr


class GroupOutbound:
    """Carries out the commands of one account in its groups."""

    def __init__(
        self,
        account: AccountContext,
        opening: Opening,
        saying: Saying,
        reacting: Reacting,
        uploads: Uploads,
    ) -> None:
        self._account = account
        self._opening = opening
        self._saying = saying
        self._reacting = reacting
        self._uploads = uploads

    async def send(self, command: RoomCommand, key: str) -> Sent:
        """See `gateway.adapter.Session.send`."""
        match command:
            case SendRoomText():
                return Sent(remote_id=await self._text(command, key))
            case ReactInRoom():
                with in_words(tr("You may not react in this group."), tr("This message")):
                    return Sent(reactions=await self._react(command, key))
            case RetractInRoom():
                with in_words(tr("You may not take this message back."), tr("This message")):
                    await self._retract(command, key)
            case MarkRoomRead():
                await self._saying.read(RoomId(command.room), command.up_to)
        return Sent()

    async def _text(self, command: SendRoomText, key: str) -> RemoteMessageId:
        room_id = RoomId(command.room)
        file, is_encrypted = None, None
        if command.file is not None:  # what is said of that says nothing of the group
            asked = partial(self._opening.is_group_encrypted, room_id)
            file, is_encrypted = await self._uploads.carried(command.file, asked)
        with in_words(tr("You may not write in this group."), tr("This group")):
            if command.edits is not None:
                file = await self._saying.file_of(room_id, command.edits)
            if is_encrypted is None:
                is_encrypted = await self._opening.is_group_encrypted(room_id)
            content = content_of(command, key, file)
            return await self._saying.message(room_id, content, key, is_encrypted=is_encrypted)

    async def _react(self, command: ReactInRoom, key: str) -> dict[str, RemoteMessageId]:
        room_id = RoomId(command.room)
        return await self._reacting.react(
            room_id,
            command.message,
            command.emoji,
            self._account.reactions(command.room, command.message),
            key,
            lambda: self._opening.is_group_encrypted(room_id),
        )

    async def _retract(self, command: RetractInRoom, key: str) -> None:
        """The reason is not encrypted either."""
        room_id, reason = RoomId(command.room), command.reason
        if reason and await self._opening.is_group_encrypted(room_id):
            reason = ""
        await self._saying.take_back(room_id, command.message, key, reason)
