# SPDX-License-Identifier: Apache-2.0
"""One event of a group's timeline → what somebody has said or done there.

Matrix spec, client-server API, "Event replacements", "Rich replies", "Threading", "Event
annotations and reactions", "Redactions". As in `inbound`, nothing here raises for what strangers
have written. That an edit is by who has said the original is for the gateway to see: only it knows
what was said before.
"""

from __future__ import annotations

from typing import Any

from adapters.matrix.ids import is_user_id
from adapters.matrix.inbound import (
    Event,
    as_dict,
    body_of,
    event_id_of,
    is_message,
    key_of,
    timestamp_of,
    undecryptable,
)
from adapters.matrix.media import avatar_in
from adapters.matrix.mentions import mentions_in
from adapters.matrix.opened import Unread
from adapters.matrix.text import clean
from gateway.events import (
    RemoteRoomMessage,
    RemoteRoomNotice,
    RemoteRoomReaction,
    RemoteRoomRetraction,
    RemoteUndecryptable,
)
from gateway.ids import RemoteMessageId, RemoteRoomId, RemoteUserId

Said = RemoteRoomMessage | RemoteRoomReaction | RemoteUndecryptable

_MAX_EMOJI_BYTES = 128
"""The key of a reaction may be any text: what is longer is none that anybody could show."""
_MAX_REASON_BYTES = 512
_REDACTS_WITHIN = 11
"""Room version since which a redaction says within its content what it takes back."""
PINS = "m.room.pinned_events"
_AVATAR = "m.room.avatar"
_NAME = "m.room.name"
_MAX_NAME_BYTES = 512
_ENCRYPTED = "This group is end-to-end encrypted from now on."


def said_in(
    room: RemoteRoomId,
    event: Event,
    *,
    account: RemoteUserId,
    now: float,
    unread: Unread | None = None,
) -> Said | None:
    """What an event says, which may have been encrypted; None if it says nothing."""
    sender, kind = event.get("sender"), event.get("type")
    if not event_id_of(event) or not is_user_id(sender):
        return None
    if kind == "m.reaction":
        return _reaction(room, event, sender == account, now)
    if not is_message(event):
        return None
    if kind == "m.room.encrypted":
        return undecryptable(
            event,
            contact=RemoteUserId(sender),
            own=sender == account,
            now=now,
            unread=unread,
            room=room,
        )
    return _message(room, event, now)


def done_in(
    room: RemoteRoomId, event: Event, *, now: float, version: int
) -> RemoteRoomNotice | RemoteRoomRetraction | None:
    """What an event does, if the homeserver has checked that its sender may: so it must be as it
    came, and nothing that was decrypted. ``version``: of the room, 0 if unknown."""
    if not event_id_of(event) or not is_user_id(event.get("sender")):
        return None
    if event.get("type") == "m.room.redaction":
        return _retraction(room, event, now, version)
    if event.get("type") in (PINS, _AVATAR, _NAME, "m.room.encryption"):
        return _notice(room, event)
    return None


def _message(room: RemoteRoomId, event: Event, now: float) -> RemoteRoomMessage:
    content = as_dict(event.get("content"))
    relation = as_dict(content.get("m.relates_to"))
    words, edits = content, _edited(event, content, relation)
    if edits is not None:
        # "Applying m.new_content": the relations of the original stay.
        words, relation = {**content["m.new_content"], "m.relates_to": None}, {}
    answered, thread = _id_in(as_dict(relation.get("m.in_reply_to"))), _thread(relation)
    is_fallback = thread is not None and relation.get("is_falling_back") is True
    body = body_of(event["type"], words)
    return RemoteRoomMessage(
        room=room,
        sender=RemoteUserId(event["sender"]),
        id=RemoteMessageId(event_id_of(event)),
        body=body,
        sent_at=timestamp_of(event, now) / 1000,
        key=key_of(content),
        reply_to=None if is_fallback else answered,
        edits=edits,
        mentions=mentions_in(words, body, None if edits is None else content),
        thread=thread,
        thread_after=answered if is_fallback else None,
    )


def _edited(
    event: Event, content: dict[str, Any], relation: dict[str, Any]
) -> RemoteMessageId | None:
    """What is edited, if this is a valid edit. Others are messages of their own."""
    is_edit = (
        relation.get("rel_type") == "m.replace"
        and isinstance(content.get("m.new_content"), dict)
        and "state_key" not in event
    )
    return _id_in(relation) if is_edit else None


def _thread(relation: dict[str, Any]) -> RemoteMessageId | None:
    """The message with which the thread began that something is said in."""
    return _id_in(relation) if relation.get("rel_type") == "m.thread" else None


def _reaction(
    room: RemoteRoomId, event: Event, own: bool, now: float
) -> RemoteRoomReaction | None:
    content = as_dict(event.get("content"))
    relation = as_dict(content.get("m.relates_to"))
    message, emoji = _id_in(relation), relation.get("key")
    if (
        relation.get("rel_type") != "m.annotation"
        or message is None
        or not isinstance(emoji, str)
        or not emoji
        or clean(emoji, _MAX_EMOJI_BYTES) != emoji
    ):
        return None
    return RemoteRoomReaction(
        room=room,
        sender=RemoteUserId(event["sender"]),
        id=RemoteMessageId(event_id_of(event)),
        message=message,
        emoji=emoji,
        sent_at=timestamp_of(event, now) / 1000,
        key=key_of(content) if own else None,
    )


def _retraction(
    room: RemoteRoomId, event: Event, now: float, version: int
) -> RemoteRoomRetraction | None:
    message, reason = _redacted(event, version), as_dict(event.get("content")).get("reason")
    if message is None:
        return None
    return RemoteRoomRetraction(
        room=room,
        id=RemoteMessageId(event_id_of(event)),
        message=message,
        by=RemoteUserId(event["sender"]),
        sent_at=timestamp_of(event, now) / 1000,
        reason=clean(reason, _MAX_REASON_BYTES) if isinstance(reason, str) else "",
    )


def _redacted(event: Event, version: int) -> RemoteMessageId | None:
    """Spec, "m.room.redaction". The homeserver has checked only the one that holds in this
    version of the room; the other one is what the sender has made it."""
    within, beside = as_dict(event.get("content")).get("redacts"), event.get("redacts")
    if version >= _REDACTS_WITHIN:
        beside = None
    elif version:
        within = None
    return _id_in({"event_id": within if beside is None else beside})


def _notice(room: RemoteRoomId, event: Event) -> RemoteRoomNotice | None:
    """What nobody has said, and everybody is shown (REQ-577)."""
    before = as_dict(as_dict(event.get("unsigned")).get("prev_content"))
    if event.get("state_key") != "":
        return None
    content, is_important = as_dict(event.get("content")), True
    if event["type"] == PINS:
        text = _pinned(content.get("pinned"), before.get("pinned"))
    elif event["type"] == _AVATAR:
        text = _pictured(avatar_in(content, "url"), avatar_in(before, "url"))
        is_important = False
    elif event["type"] == _NAME:
        text = _named(_name(content), _name(before))
    else:
        text = "" if before else _ENCRYPTED
    if not text:
        return None
    return RemoteRoomNotice(
        room=room, id=RemoteMessageId(event_id_of(event)), text=text, is_important=is_important
    )


def _pinned(now: object, before: object) -> str:
    """Spec, "m.room.pinned_events": the whole list each time."""
    new, old = _texts(now), _texts(before)
    if new - old:
        return "A message was pinned."
    return "A message is no longer pinned." if old - new else ""


def _name(content: Event) -> str:
    name = content.get("name")
    return clean(name, _MAX_NAME_BYTES).strip() if isinstance(name, str) else ""


def _named(now: str, before: str) -> str:
    """What a group is called first is no change of it."""
    if not before or now == before:
        return ""
    return f"The group is called “{now}” now." if now else "The group has no name any more."


def _pictured(now: str, before: str) -> str:
    if now == before:
        return ""
    return "The group has a new picture." if now else "The group has no picture any more."


def _texts(value: object) -> set[str]:
    return {item for item in value if isinstance(item, str)} if isinstance(value, list) else set()


def _id_in(value: Event) -> RemoteMessageId | None:
    event_id = event_id_of(value)
    return RemoteMessageId(event_id) if event_id else None
