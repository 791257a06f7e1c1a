# SPDX-License-Identifier: Apache-2.0
"""Threads of rooms (REQ-578): messages that belong together, by the one with which that began.

What sessions see is an id that says which message that is, signed by the room. So it is always the
same, needs no table, and is known again when a client sends it; any other id of a client is a
matter between clients.
"""

from __future__ import annotations

import binascii
import hashlib
import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode

from gateway.events import RemoteRoomMessage
from gateway.ids import RemoteMessageId
from gateway.store import conversations, texts
from gateway.store.rooms import RoomRow
from gateway.store.writer import Connection

_MOST_TEXTS = 50
_SIGNATURE_BYTES = 12


def id_of(room: RoomRow, root: RemoteMessageId | None) -> str:
    """Of the thread that began with a message; empty if there is none."""
    if root is None:
        return ""
    encoded = root.encode()
    return f"{_text(encoded)}.{_text(_signature(room, encoded))}"


def root_of(room: RoomRow, thread: str) -> RemoteMessageId | None:
    """The inverse. None if it is no thread of the network."""
    named, _, signed = thread.partition(".")
    try:
        root, signature = _bytes(named), _bytes(signed)
        known = hmac.compare_digest(signature, _signature(room, root))
        return RemoteMessageId(root.decode()) if known else None
    except (binascii.Error, ValueError):
        return None


def answered(event: RemoteRoomMessage) -> RemoteMessageId | None:
    """What a message answers. One of a thread, that answers none in it, is shown as an answer to
    the one before it, or else to the first: most clients know no threads."""
    return event.reply_to or event.thread_after or event.thread


def last(db: Connection, room: RoomRow, root: RemoteMessageId) -> RemoteMessageId:
    """The message of a thread that was said last, as far as it was lately, or else the first."""
    thread = id_of(room, root)
    for message, said in texts.newest(db, room.id, _MOST_TEXTS):
        if said.thread == thread:
            found = conversations.remote_id_of(db, message)
            if found is not None:
                return found
    return root


def _signature(room: RoomRow, root: bytes) -> bytes:
    signed = hmac.digest(room.secret, b"thread\0" + root, hashlib.sha256)
    return signed[:_SIGNATURE_BYTES]


def _text(value: bytes) -> str:
    return urlsafe_b64encode(value).decode().rstrip("=")


def _bytes(value: str) -> bytes:
    return urlsafe_b64decode(value + "=" * (-len(value) % 4))
