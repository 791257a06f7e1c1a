# SPDX-License-Identifier: Apache-2.0
"""Whether an event is what its type says. Adapters convert what strangers made, and may err."""

from __future__ import annotations

from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from gateway.events import (
    ContactCard,
    LinkPreview,
    Member,
    Mention,
    RemoteEvent,
    RemoteFile,
    RemoteMember,
    RemoteMessage,
    RemoteRoom,
    RemoteRoomMessage,
)
from gateway.ids import RemoteMessageId, RemoteRoomId, RemoteUserId
from gateway.text import Span, is_clean

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


_Part = ContactCard | LinkPreview | Member | Mention | RemoteFile | Span
_FIELDS = {kind: _fields(kind) for kind in (*get_args(RemoteEvent), *get_args(_Part))}
_LONGEST_REFERENCE = 4_000
_LARGEST_CONTENT = 64 * 1024


def must_be_whole(event: RemoteEvent) -> None:
    """Raises `TypeError` or `ValueError` for what is no event, has a field of a wrong type, or an
    empty id.

    The empty contact is the gateway itself: nobody on a network may speak in its name.
    """
    _must_be_whole(event)
    for member in event.members or () if isinstance(event, RemoteRoom) else ():
        _must_be_whole(member)
    if isinstance(event, RemoteMember):
        _must_be_whole(event.member)
    if isinstance(event, RemoteMessage | RemoteRoomMessage):
        _must_be_said(event)


def _must_be_said(event: RemoteMessage | RemoteRoomMessage) -> None:
    parts: tuple[_Part, ...] = (*event.mentions, *event.spans, *event.previews)
    for part in parts:
        _must_be_whole(part)
    for file in event.files:
        _must_be_file(file)
        if file.thumbnail is not None:
            _must_be_file(file.thumbnail)
    for card in event.cards:
        _must_be_whole(card)
        if not all(isinstance(each, str) for each in (*card.phones, *card.mails)):
            raise TypeError("what is said of somebody is no text")


def _must_be_file(file: RemoteFile) -> None:
    _must_be_whole(file)
    if not 0 < len(file.reference) <= _LONGEST_REFERENCE or not is_clean(file.reference):
        raise ValueError("the reference of a file is empty, too long, or no text")
    if len(file.content) > _LARGEST_CONTENT:
        raise ValueError("a file is too large for what is handed over with a message")


def _must_be_whole(event: RemoteEvent | _Part) -> None:
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
