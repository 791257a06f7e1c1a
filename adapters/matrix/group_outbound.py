# SPDX-License-Identifier: Apache-2.0
"""Commands for groups → requests.

Matrix spec, client-server API, "Event replacements", "Rich replies", "Event annotations and
reactions", "PUT /rooms/{roomId}/redact/{eventId}/{txnId}", "Receipts", "Typing notifications".
"""

from __future__ import annotations

import hashlib
from typing import Any

from adapters.matrix.errors import code_of
from adapters.matrix.http import Api
from adapters.matrix.inbound import KEY
from adapters.matrix.opening import Opening
from adapters.matrix.rooms import RoomId
from adapters.matrix.sending import Sending, edit_content, text_content
from gateway.adapter import AccountContext, Sent
from gateway.errors import AdapterError, Forbidden, NotFound
from gateway.events import MarkRoomRead, ReactInRoom, RetractInRoom, RoomCommand, SendRoomText
from gateway.ids import RemoteMessageId, RemoteRoomId

_TYPING_MS = 30_000


class GroupOutbound:
    """Of one account."""

    def __init__(
        self, account: AccountContext, api: Api, opening: Opening, sending: Sending
    ) -> None:
        self._account = account
        self._api = api
        self._opening = opening
        self._sending = sending

    async def send(self, command: RoomCommand, key: str) -> Sent:
        """See `gateway.adapter.Session.send`."""
        try:
            match command:
                case SendRoomText():
                    return await self._text(command, key)
                case ReactInRoom():
                    return await self._react(command, key)
                case RetractInRoom():
                    await self._redact(command.room, command.message, key, command.reason)
                case MarkRoomRead():
                    await self._mark_read(command)
        except Forbidden as error:
            may_not = "write" if isinstance(command, SendRoomText) else "do this"
            raise Forbidden(f"You may not {may_not} in this group. {error.text}") from error
        except NotFound as error:
            gone = "This group" if isinstance(command, SendRoomText) else "This message"
            raise NotFound(f"{gone} is not there any more. {error.text}") from error
        return Sent()

    async def _text(self, command: SendRoomText, key: str) -> Sent:
        room_id = RoomId(command.room)
        is_encrypted = await self._opening.is_group_encrypted(room_id)
        if command.edits is not None:
            content = edit_content(command.body, command.edits, key)
        else:
            content = text_content(command.body, key)
        if command.reply_to is not None and command.edits is None:
            content["m.relates_to"] = {"m.in_reply_to": {"event_id": command.reply_to}}
        event_id = await self._sending.message(room_id, content, key, is_encrypted=is_encrypted)
        return Sent(remote_id=event_id)

    async def _react(self, command: ReactInRoom, key: str) -> Sent:
        """Reactions are in clear also where the room is encrypted, as clients have them: see
        docs/decisions/0010. A repetition makes the same requests."""
        known = self._account.reactions(command.room, command.message)
        reactions = {emoji: known[emoji] for emoji in command.emoji if emoji in known}
        for emoji in command.emoji:
            if emoji not in known:
                made = await self._annotate(command, emoji, key)
                if made is not None:
                    reactions[emoji] = made
        for emoji in sorted(known.keys() - set(command.emoji)):
            await self._redact(command.room, known[emoji], _transaction(key, emoji))
        return Sent(reactions=reactions)

    async def _annotate(
        self, command: ReactInRoom, emoji: str, key: str
    ) -> RemoteMessageId | None:
        """None if another app has made the same meanwhile: then /sync tells of it."""
        relation = {"rel_type": "m.annotation", "event_id": command.message, "key": emoji}
        content = {"m.relates_to": relation, KEY: key}
        room_id, transaction = RoomId(command.room), _transaction(key, emoji)
        try:
            return await self._sending.event(room_id, "m.reaction", content, transaction)
        except AdapterError as error:
            if code_of(error) != "M_DUPLICATE_ANNOTATION":
                raise
        return None

    async def _redact(
        self, room: RemoteRoomId, message: RemoteMessageId, transaction: str, reason: str = ""
    ) -> None:
        body = {"reason": reason} if reason else {}
        await self._api.put("rooms", room, "redact", message, transaction, body=body)

    async def _mark_read(self, command: MarkRoomRead) -> None:
        """The public receipt and our own place, in one request."""
        body = {"m.fully_read": command.up_to, "m.read": command.up_to}
        await self._api.post("rooms", command.room, "read_markers", body=body)

    async def set_typing(self, room: RemoteRoomId, active: bool) -> None:
        """See `gateway.adapter.Session.set_room_typing`."""
        body: dict[str, Any] = {"typing": active}
        if active:
            body["timeout"] = _TYPING_MS
        await self._api.put("rooms", room, "typing", self._account.remote_id, body=body)


def _transaction(key: str, emoji: str) -> str:
    """One for each emoji of a command, the same for ever."""
    digest = hashlib.sha256(emoji.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{key}.{digest[:16]}"
