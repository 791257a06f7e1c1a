# SPDX-License-Identifier: Apache-2.0
"""What a row carries, as bytes. Records only gain optional fields, so old rows can be read."""

from __future__ import annotations

from typing import TypeVar

import msgspec

from gateway.events import (
    Command,
    Delivery,
    RemoteMessage,
    RemoteReaction,
    RemoteRoomEvent,
    RemoteRoomMessage,
    RemoteRoomReaction,
)
from gateway.text.wording import plain

T = TypeVar("T")

encode = msgspec.msgpack.Encoder(enc_hook=plain).encode
_deliveries = msgspec.msgpack.Decoder(Delivery)
_commands = msgspec.msgpack.Decoder(Command)
_edits = msgspec.msgpack.Decoder(RemoteMessage | RemoteRoomMessage)
_reactions = msgspec.msgpack.Decoder(list[RemoteReaction | RemoteRoomReaction])
_room_events = msgspec.msgpack.Decoder(RemoteRoomEvent)


def delivery(payload: bytes) -> Delivery | None:
    """What is told to a user; None if this version cannot read it."""
    return _decoded(_deliveries, payload)


def command(payload: bytes) -> Command | None:
    """What a user wants of the network; None if this version cannot read it."""
    return _decoded(_commands, payload)


def edit(payload: bytes) -> RemoteMessage | RemoteRoomMessage | None:
    """An edit that waits; None if this version cannot read it."""
    return _decoded(_edits, payload)


def reactions(payload: bytes) -> list[RemoteReaction | RemoteRoomReaction]:
    """Those to a message that cannot be read yet; none if this version cannot read them."""
    return _decoded(_reactions, payload) or []


def room_event(payload: bytes) -> RemoteRoomEvent | None:
    """What waits for what is further back; None if this version cannot read it."""
    return _decoded(_room_events, payload)


def _decoded(decoder: msgspec.msgpack.Decoder[T], payload: bytes) -> T | None:
    try:
        return decoder.decode(payload)
    except msgspec.DecodeError:
        return None  # a damaged row becomes a dead letter; it must not hold up those behind it
