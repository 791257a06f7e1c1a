# SPDX-License-Identifier: Apache-2.0
"""What the account says and does in one room, as requests.

Matrix spec, client-server API, "PUT /rooms/{roomId}/send/{eventType}/{txnId}", "PUT
/rooms/{roomId}/redact/{eventId}/{txnId}", "POST /rooms/{roomId}/read_markers", "PUT
/rooms/{roomId}/typing/{userId}".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from adapters.matrix.http import Api
from adapters.matrix.inbound import KEY
from adapters.matrix.opening import ENCRYPTED
from adapters.matrix.rooms import RoomId
from gateway.errors import Transient, Unsupported
from gateway.ids import RemoteMessageId, RemoteUserId

if TYPE_CHECKING:
    from adapters.matrix.e2e.encryption import Encryption

_TYPING_MS = 30_000


class Saying:
    """On behalf of one account. Each raises any `AdapterError`."""

    def __init__(self, account: RemoteUserId, api: Api, encryption: Encryption | None) -> None:
        self._account = account
        self._api = api
        self._encryption = encryption

    async def message(
        self, room_id: RoomId, content: dict[str, Any], key: str, *, is_encrypted: bool
    ) -> RemoteMessageId:
        """A message, encrypted where the room is."""
        kind = "m.room.message"
        if is_encrypted:
            if self._encryption is None:
                raise Unsupported(ENCRYPTED)
            content = await self._encryption.encrypt(room_id, kind, content)
            kind = "m.room.encrypted"
        return await self.in_clear(room_id, kind, content, key)

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


def _made(answer: dict[str, Any]) -> RemoteMessageId:
    event_id = answer.get("event_id")
    if not isinstance(event_id, str):
        raise Transient("The homeserver did not confirm the message.")
    return RemoteMessageId(event_id)


def text_content(body: str, key: str) -> dict[str, Any]:
    """Spec, "m.text", "m.emote"."""
    emote = body.startswith("/me ") and bool(body[4:].strip())
    return {
        "msgtype": "m.emote" if emote else "m.text",
        "body": body[4:] if emote else body,
        KEY: key,
    }
