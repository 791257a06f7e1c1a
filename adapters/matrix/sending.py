# SPDX-License-Identifier: Apache-2.0
"""A message to a room, encrypted where the room is.

Matrix spec, client-server API, "PUT /rooms/{roomId}/send/{eventType}/{txnId}".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from adapters.matrix.http import Api
from adapters.matrix.inbound import KEY
from adapters.matrix.opening import ENCRYPTED
from adapters.matrix.rooms import RoomId
from gateway.errors import Transient, Unsupported
from gateway.ids import RemoteMessageId

if TYPE_CHECKING:
    from adapters.matrix.e2e.encryption import Encryption


class Sending:
    """Of one account."""

    def __init__(self, api: Api, encryption: Encryption | None) -> None:
        self._api = api
        self._encryption = encryption

    async def message(
        self, room_id: RoomId, content: dict[str, Any], key: str, *, is_encrypted: bool
    ) -> RemoteMessageId:
        """An ``m.room.message``. Raises any `AdapterError`."""
        kind = "m.room.message"
        if is_encrypted:
            if self._encryption is None:
                raise Unsupported(ENCRYPTED)
            content = await self._encryption.encrypt(room_id, kind, content)
            kind = "m.room.encrypted"
        return await self.event(room_id, kind, content, key)

    async def event(
        self, room_id: RoomId, kind: str, content: dict[str, Any], transaction: str
    ) -> RemoteMessageId:
        """Any event, as it is. Raises any `AdapterError`."""
        path = ("rooms", room_id, "send", kind, transaction)
        event_id = (await self._api.put(*path, body=content)).get("event_id")
        if not isinstance(event_id, str):
            raise Transient("The homeserver did not confirm the message.")
        return RemoteMessageId(event_id)


def text_content(body: str, key: str) -> dict[str, Any]:
    """Spec, "m.text", "m.emote"."""
    return {**_text(body), KEY: key}


def edit_content(body: str, edits: RemoteMessageId, key: str) -> dict[str, Any]:
    """Spec, "Event replacements"; the text outside is for clients that know none."""
    shown = _text(body)
    return {
        **shown,
        "body": f"* {shown['body']}",
        "m.new_content": shown,
        "m.relates_to": {"rel_type": "m.replace", "event_id": edits},
        KEY: key,
    }


def _text(body: str) -> dict[str, Any]:
    emote = body.startswith("/me ") and bool(body[4:].strip())
    return {"msgtype": "m.emote" if emote else "m.text", "body": body[4:] if emote else body}
