# SPDX-License-Identifier: Apache-2.0
"""One event of a group's timeline → what the gateway tells of it: texts with what they relate to,
reactions, and what was taken back. No I/O.

Matrix spec, client-server API, "Event replacements", "Rich replies", "Event annotations and
reactions", "Redactions". Nothing raises for what strangers have written. A relation that cannot be
read leaves a message as one that is about nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import structs

from adapters.matrix.ids import is_user_id
from adapters.matrix.inbound import (
    MAX_BODY_BYTES,
    Event,
    as_dict,
    event_id_of,
    is_said,
    key_of,
    timestamp_of,
    undecryptable,
    words,
)
from adapters.matrix.opened import Unread
from adapters.matrix.text import clean, without_reply_fallback
from gateway.events import (
    RemoteRoomMessage,
    RemoteRoomReaction,
    RemoteRoomRetraction,
    RemoteUndecryptable,
)
from gateway.ids import RemoteMessageId, RemoteRoomId, RemoteUserId

Said = RemoteRoomMessage | RemoteRoomReaction | RemoteRoomRetraction | RemoteUndecryptable

_MAX_EMOJI = 32
_MAX_REASON_BYTES = 512


def said_in(
    room: RemoteRoomId,
    event: Event,
    account: RemoteUserId,
    now: float,
    unread: Unread | None = None,
) -> Said | None:
    """What an event says in a group; None if it says nothing."""
    user_id = event.get("sender")
    if not is_user_id(user_id) or not event_id_of(event):
        return None
    sender = RemoteUserId(user_id)
    if event.get("type") == "m.reaction":
        return _reaction(room, event, sender, account, now)
    if event.get("type") == "m.room.redaction":
        return _retraction(room, event, sender, now)
    if not is_said(event):
        return None
    if event["type"] == "m.room.encrypted":
        waits = undecryptable(event, sender, now, unread, own=sender == account)
        return structs.replace(waits, room=room)
    return _message(room, event, sender, account, now)


def _message(
    room: RemoteRoomId, event: Event, sender: RemoteUserId, account: RemoteUserId, now: float
) -> RemoteRoomMessage:
    content = as_dict(event.get("content"))
    relation, shown = as_dict(content.get("m.relates_to")), content.get("m.new_content")
    edits = _id(relation.get("event_id")) if relation.get("rel_type") == "m.replace" else None
    if edits is None or not isinstance(shown, dict):
        edits, shown = None, content
    reply = None if edits is not None else relation.get("m.in_reply_to")
    body = words(str(event["type"]), shown)
    if isinstance(reply, dict):
        body = without_reply_fallback(body)
    return RemoteRoomMessage(
        room=room,
        sender=sender,
        id=RemoteMessageId(event_id_of(event)),
        body=clean(body, MAX_BODY_BYTES),
        sent_at=timestamp_of(event, now) / 1000,
        key=key_of(content) if sender == account else None,
        reply_to=_answered(relation, reply),
        edits=edits,
    )


def _answered(relation: Mapping[str, Any], reply: object) -> RemoteMessageId | None:
    """Spec, "Threading", "Fallback for unthreaded clients": in a thread it may be that, and no
    answer."""
    if not isinstance(reply, dict):
        return None
    if relation.get("rel_type") == "m.thread" and relation.get("is_falling_back") is True:
        return None
    return _id(reply.get("event_id"))


def _reaction(
    room: RemoteRoomId, event: Event, sender: RemoteUserId, account: RemoteUserId, now: float
) -> RemoteRoomReaction | None:
    content = as_dict(event.get("content"))
    relation = as_dict(content.get("m.relates_to"))
    message, emoji = _id(relation.get("event_id")), relation.get("key")
    if relation.get("rel_type") != "m.annotation" or message is None:
        return None  # one that was taken back has no content
    if not isinstance(emoji, str) or not 0 < len(emoji) <= _MAX_EMOJI:
        return None
    if clean(emoji, MAX_BODY_BYTES) != emoji or not emoji.strip():
        return None
    return RemoteRoomReaction(
        room=room,
        sender=sender,
        id=RemoteMessageId(event_id_of(event)),
        message=message,
        emoji=emoji,
        sent_at=timestamp_of(event, now) / 1000,
        key=key_of(content) if sender == account else None,
    )


def _retraction(
    room: RemoteRoomId, event: Event, sender: RemoteUserId, now: float
) -> RemoteRoomRetraction | None:
    """Spec, "Redactions": since room version 11 the content names what is redacted. Homeservers
    write the same into the other place, and have checked one of both: what contradicts itself is
    made up."""
    content = as_dict(event.get("content"))
    inside, outside = _id(content.get("redacts")), _id(event.get("redacts"))
    message = inside or outside
    if message is None or (outside or message) != message:
        return None
    reason = content.get("reason")
    return RemoteRoomRetraction(
        room=room,
        id=RemoteMessageId(event_id_of(event)),
        message=message,
        by=sender,
        sent_at=timestamp_of(event, now) / 1000,
        reason=clean(reason, _MAX_REASON_BYTES) if isinstance(reason, str) else "",
    )


def _id(value: object) -> RemoteMessageId | None:
    return RemoteMessageId(found) if (found := event_id_of({"event_id": value})) else None
