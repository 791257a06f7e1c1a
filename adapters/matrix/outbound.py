# SPDX-License-Identifier: Apache-2.0
"""Commands of the gateway → requests. Here those for chats; for groups see `group_outbound`."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from adapters.matrix.contents import content_of
from adapters.matrix.errors import in_words
from adapters.matrix.group_outbound import GroupOutbound
from adapters.matrix.http import Api
from adapters.matrix.ledger import Ledger
from adapters.matrix.opening import Opening
from adapters.matrix.reacting import Reacting
from adapters.matrix.rooms import RoomId
from adapters.matrix.saying import Saying
from adapters.matrix.uploads import Uploads
from adapters.matrix.voting import Voting
from gateway.adapter import AccountContext, Sent
from gateway.errors import AdapterError, Forbidden, NotFound, Transient
from gateway.events import (
    AcceptInvite,
    Command,
    DeclineInvite,
    MarkRead,
    MarkRoomRead,
    React,
    ReactInRoom,
    Retract,
    RetractInRoom,
    SendRoomText,
    SendText,
)
from gateway.ids import RemoteMessageId, RemoteRoomId, RemoteUserId
from gateway.text.wording import tr

if TYPE_CHECKING:
    from adapters.matrix.e2e.encryption import Encryption

MAX_TEXT_BYTES = 16_000
"""An event has at most 65,536 bytes with all that servers add. A quote or a newline takes two,
encryption makes four of three, and a text with styles is there twice, once as HTML. The gateway
cuts longer texts; what a homeserver with a lower limit says becomes `TooLarge`."""
_Carried = tuple[dict[str, Any] | None, bool]
"""A file as the content of an event, if there is one; and whether that is for an encrypted room
alone."""
_REMEMBERED_ATTEMPTS = 1_000
_LEFT = tr("You are no longer in the room where it was said.")


def _in_room(command: SendText, has_answered: bool) -> SendText:
    """The same for a room that has the message which it answers, or has not."""
    return command if has_answered else replace(command, reply_to=None)


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
        self._reacting = Reacting(account.remote_id, api, self._saying)
        self._uploads = Uploads(account, api, encrypts=encryption is not None)
        self._in_groups = GroupOutbound(
            account, opening, self._saying, self._reacting, self._uploads
        )
        self.voting = Voting(account.remote_id, ledger, opening, self._reacting)
        self._rooms_of_attempts: dict[str, RoomId] = {}
        """A transaction id is unique within a room, so another attempt goes to the same one."""

    async def send(self, command: Command, key: str) -> Sent:
        """See `gateway.adapter.Session.send`."""
        match command:
            case SendText():
                return await self._text(command, key)
            case SendRoomText() | ReactInRoom() | RetractInRoom() | MarkRoomRead():
                return await self._in_groups.send(command, key)
            case React():
                return Sent(reactions=await self._react(command, key))
            case Retract():
                await self._retract(command, key)
            case MarkRead():
                await self._mark_read(command)
            case AcceptInvite():
                await self._accept(command.contact)
            case DeclineInvite():
                await self._decline(command.contact)
        return Sent()

    # --- text ---------------------------------------------------------------------------------

    async def _text(self, command: SendText, key: str) -> Sent:
        try:
            if command.edits is not None:
                event_id = await self._edit(command, command.edits, key)
            else:
                event_id = await self._deliver(command, key)
        except Transient:
            raise
        except AdapterError:
            self._rooms_of_attempts.pop(key, None)
            raise
        self._rooms_of_attempts.pop(key, None)
        return Sent(remote_id=event_id)

    async def _edit(
        self, command: SendText, message: RemoteMessageId, key: str
    ) -> RemoteMessageId:
        """Where the message is, and nowhere else."""
        with in_words(tr("You may not edit this message."), tr("This message")):
            room_id = await self._room_of(command.contact, message)
            if (await self._opening.inspected(room_id)).mine != "join":
                raise Forbidden(_LEFT)
            carried = await self._saying.file_of(room_id, message), False
            return await self._say(room_id, command, key, carried)

    async def _deliver(self, command: SendText, key: str) -> RemoteMessageId:
        """An answer goes where the message is, and the next part of a text where the last one is.
        In another room nobody could see what it answers, and apps would show that something is
        missing."""
        answered, preferred = None, self._rooms_of_attempts.get(key)
        beside = command.reply_to or command.continues
        if beside is not None:
            with suppress(NotFound):
                answered = await self._room_of(command.contact, beside)
        room_id = await self._opening.room_for(command.contact, preferred or answered)
        if command.reply_to is not None and room_id == answered:
            vote = await self._vote(room_id, command, command.reply_to, key)
            if vote is not None:
                return vote
        carried = await self._carried(room_id, command)
        try:
            return await self._say(room_id, _in_room(command, room_id == answered), key, carried)
        except (Forbidden, NotFound):
            if not await self._opening.is_lost(room_id):
                raise
        room_id = await self._opening.room_for(command.contact, None)
        carried = await self._carried(room_id, command)
        return await self._say(room_id, _in_room(command, room_id == answered), key, carried)

    async def _vote(
        self, room_id: RoomId, command: SendText, message: RemoteMessageId, key: str
    ) -> RemoteMessageId | None:
        with in_words(tr("You may not vote in this chat."), tr("This poll")):
            asked = partial(self._opening.is_chat_encrypted, room_id)
            return await self._reacting.reply(room_id, message, command.body.strip(), key, asked)

    async def _carried(self, room_id: RoomId, command: SendText) -> _Carried:
        if command.file is None:
            return None, False
        asked = partial(self._opening.is_chat_encrypted, room_id)
        return await self._uploads.carried(command.file, asked)

    async def _say(
        self, room_id: RoomId, command: SendText, key: str, carried: _Carried
    ) -> RemoteMessageId:
        self._rooms_of_attempts[key] = room_id
        if len(self._rooms_of_attempts) > _REMEMBERED_ATTEMPTS:
            del self._rooms_of_attempts[next(iter(self._rooms_of_attempts))]
        file, is_encrypted = carried
        room = self._ledger.book.room(room_id)
        is_encrypted = is_encrypted or (room is not None and room.encrypted is True)
        event_id = await self._saying.message(
            room_id, content_of(command, key, file), key, is_encrypted=is_encrypted
        )
        self._ledger.remember({event_id: room_id})
        return event_id

    # --- what is done with messages -----------------------------------------------------------

    async def _react(self, command: React, key: str) -> dict[str, RemoteMessageId]:
        with in_words(tr("You may not react in this chat."), tr("This message")):
            room_id = await self._room_of(command.contact, command.message)
            return await self._reacting.react(
                room_id,
                command.message,
                command.emoji,
                self._account.chat_reactions(command.contact, command.message),
                key,
                partial(self._opening.is_chat_encrypted, room_id),
            )

    async def _retract(self, command: Retract, key: str) -> None:
        with in_words(tr("You may not take this message back."), tr("This message")):
            room_id = await self._room_of(command.contact, command.message)
            await self._saying.take_back(room_id, command.message, key)

    # --- read marks and typing ----------------------------------------------------------------

    async def _mark_read(self, command: MarkRead) -> None:
        room_id = await self._room_of(command.contact, command.up_to)
        await self._saying.read(room_id, command.up_to)

    async def _room_of(self, contact: RemoteUserId, message: RemoteMessageId) -> RoomId:
        """From memory, or by asking in each room of the contact."""
        place = self._ledger.place(message)
        if place is not None:
            return place
        rooms = self._ledger.book.rooms_of(contact)
        for room_id, room in rooms:
            if len(rooms) == 1 or message in (room.message, room.last):
                return room_id
        for room_id, _ in rooms:
            try:
                await self._api.get("rooms", room_id, "event", message)
            except (NotFound, Forbidden):
                continue
            self._ledger.remember({message: room_id})
            return room_id
        raise NotFound(tr("It is in no room that you share with this contact."))

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
            raise NotFound(tr("The invitation is gone: it was withdrawn.")) from failed

    async def _decline(self, contact: RemoteUserId) -> None:
        for room_id in self._ledger.book.invited_to(contact):
            await self._opening.leave(room_id)
