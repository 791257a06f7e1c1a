# SPDX-License-Identifier: Apache-2.0
"""Whether an event is what its type says. Adapters convert what strangers made, and may err."""

from __future__ import annotations

from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from gateway.events import (
    Member,
    Mention,
    RemoteEvent,
    RemoteMember,
    RemoteRoom,
    RemoteRoomMessage,
)
from gateway.ids import RemoteMessageId, RemoteRoomId, RemoteUserId

_Field = tuple[str, tuple[type, ...], bool]
"""Name, what it may be, and whether it is an id, which may not be empty."""


def _fields(kind: type) -> tuple[_Field, ...]:
    return tuple(
        (name, _types(hint), hint in (RemoteUserId, RemoteRoomId, RemoteMessageId))
        for name, hint in get_type_hints(kind).items()
        if not name.startswith("__")
    )


def _types(hint: Any) -> tuple[type, ...]:
    if isinstance(hint, UnionType) or get_origin(hint) is Union:  # of new types it is the latter
        return tuple(part for one in get_args(hint) for part in _types(one))
    plain: type = getattr(hint, "__supertype__", get_origin(hint) or hint)
    return (int, float) if plain is float else (plain,)


_FIELDS = {kind: _fields(kind) for kind in (*get_args(RemoteEvent), Member, Mention)}


def must_be_whole(event: RemoteEvent) -> None:
    """Raises `TypeError` for what is no event, has a field of a wrong type, or an empty id.

    The empty contact is the gateway itself: nobody on a network may speak in its name.
    """
    _must_be_whole(event)
    for member in event.members or () if isinstance(event, RemoteRoom) else ():
        _must_be_whole(member)
    if isinstance(event, RemoteMember):
        _must_be_whole(event.member)
    for mention in event.mentions if isinstance(event, RemoteRoomMessage) else ():
        _must_be_whole(mention)


def _must_be_whole(event: RemoteEvent | Member | Mention) -> None:
    fields = _FIELDS.get(type(event))
    if fields is None:
        raise TypeError(f"a {type(event).__name__} is no event")
    for name, types, is_id in fields:
        value = getattr(event, name)
        if not isinstance(value, types) or (is_id and not value):
            raise TypeError(f"{type(event).__name__}.{name} is a {type(value).__name__}")


def honest_time(said: float, now: float) -> float:
    """When something was sent, as far as that can be: not in the future, nor before 1970."""
    return said if 0 <= said <= now else now  # nothing compares with what is no number
