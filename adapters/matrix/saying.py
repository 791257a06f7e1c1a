# SPDX-License-Identifier: Apache-2.0
"""What the account says and does in one room, as requests.

Matrix spec, client-server API, "PUT /rooms/{roomId}/send/{eventType}/{txnId}", "PUT
/rooms/{roomId}/redact/{eventId}/{txnId}", "POST /rooms/{roomId}/read_markers", "PUT
/rooms/{roomId}/typing/{userId}".
"""

from __future__ import annotations

import hashlib
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from adapters.matrix.file_content import STICKER, as_event, file_in
from adapters.matrix.http import Api
from adapters.matrix.inbound import Event, as_dict, as_dicts, event_id_of
from adapters.matrix.opening import ENCRYPTED
from adapters.matrix.rooms import RoomId
from gateway.errors import Forbidden, NotFound, Transient, Unsupported
from gateway.ids import RemoteMessageId, RemoteUserId
from gateway.text.wording import tr

if TYPE_CHECKING:
    from adapters.matrix.e2e.encryption import Encryption

_TYPING_MS = 30_000
_STICKER = tr("A sticker cannot be changed.")


class Saying:
    """On behalf of one account. Each raises any `AdapterError`."""

    def __init__(self, account: RemoteUserId, api: Api, encryption: Encryption | None) -> None:
        self._account = account
        self._api = api
        self._encryption = encryption

    async def message(
        self,
        room_id: RoomId,
        content: dict[str, Any],
        key: str,
        *,
        is_encrypted: bool,
        kind: str = "",
    ) -> RemoteMessageId:
        """A message, or what else has words in it, encrypted where the room is."""
        if not kind:
            kind, content = as_event(content)
        if is_encrypted:
            if self._encryption is None:
                raise Unsupported(ENCRYPTED)
            content = await self._encryption.encrypt(room_id, kind, content)
            kind = "m.room.encrypted"
        return await self.in_clear(room_id, kind, content, key)

    async def said(self, room_id: RoomId, message: RemoteMessageId) -> Event:
        """What was said, as far as it can be read."""
        event = await self._api.get("rooms", room_id, "event", message)
        if event.get("type") == "m.room.encrypted" and self._encryption is not None:
            opened = await self._encryption.open_past(room_id, [event])
            return opened.clear.get((room_id, event_id_of(event)), event)
        return event

    async def file_of(self, room_id: RoomId, message: RemoteMessageId) -> dict[str, Any] | None:
        """The file of a message of the account, whose caption is edited: an edit without it would
        take it away (REQ-425)."""
        try:
            event = await self.said(room_id, message)
        except (Forbidden, NotFound):
            return None  # what the edit is refused for says more
        if event.get("type") == STICKER:
            raise Unsupported(_STICKER)
        return file_in(as_dict(event.get("content")))

    async def in_clear(
        self, room_id: RoomId, kind: str, content: dict[str, Any], key: str
    ) -> RemoteMessageId:
        """An event as it is."""
        answer = await self._api.put("rooms", room_id, "send", kind, key, body=content)
        return _made(answer)

    async def redact(
        self, room_id: RoomId, message: RemoteMessageId, key: str, reason: str = ""
    ) -> None:
        """Take an event back."""
        body = {"reason": reason} if reason else {}
        _made(await self._api.put("rooms", room_id, "redact", message, key, body=body))

    async def take_back(
        self, room_id: RoomId, message: RemoteMessageId, key: str, reason: str = ""
    ) -> None:
        """Take a message back, and then the account's edits of it, whose words would else stay. In
        the other order it would first be told anew. A crash in between leaves them: a homeserver
        tells nothing of the edits of what is gone."""
        edits = await self._edits(room_id, message)
        await self.redact(room_id, message, key, reason)
        for edit in edits:
            with suppress(NotFound):
                await self.redact(room_id, edit, part(key, "-", edit))

    async def _edits(self, room_id: RoomId, message: RemoteMessageId) -> list[RemoteMessageId]:
        try:
            answer = await self._api.replacements(room_id, message)
        except (Forbidden, NotFound, Unsupported):
            return []  # a homeserver without this; or the message itself says so
        return [
            RemoteMessageId(event_id_of(event))
            for event in as_dicts(answer.get("chunk"))
            if event_id_of(event) and event.get("sender") == self._account
        ]

    async def read(self, room_id: RoomId, up_to: RemoteMessageId) -> None:
        """The public receipt and our own place, in one request."""
        body = {"m.fully_read": up_to, "m.read": up_to}
        await self._api.post("rooms", room_id, "read_markers", body=body)

    async def typing(self, room_id: RoomId, active: bool) -> None:
        """The user begins, or stops."""
        body: dict[str, Any] = {"typing": active}
        if active:
            body["timeout"] = _TYPING_MS
        await self._api.put("rooms", room_id, "typing", self._account, body=body)


def part(key: str, what: str, of: str) -> str:
    """The transaction id of a part of a command."""
    return f"{key}.{hashlib.sha256(f'{what}{of}'.encode()).hexdigest()[:16]}"


def _made(answer: dict[str, Any]) -> RemoteMessageId:
    event_id = answer.get("event_id")
    if not isinstance(event_id, str):
        raise Transient(tr("The homeserver did not confirm the message."))
    return RemoteMessageId(event_id)
