# SPDX-License-Identifier: Apache-2.0
"""One event of a group's timeline → what somebody has said or done there. For chats see
`chat_events`.

What it is about says `relations`. As in `inbound`, nothing here raises for what strangers have
written.
"""

from __future__ import annotations

from msgspec.structs import replace

from adapters.matrix.groups import effective, level_of
from adapters.matrix.ids import is_user_id
from adapters.matrix.inbound import (
    Event,
    as_dict,
    event_id_of,
    is_message,
    key_of,
    timestamp_of,
    undecryptable,
)
from adapters.matrix.links import link_to_message
from adapters.matrix.media import avatar_in
from adapters.matrix.mentions import mentions_in, without_people
from adapters.matrix.opened import Unread
from adapters.matrix.previews import previews_in
from adapters.matrix.relations import annotation, redacted, related
from adapters.matrix.rooms import Group
from adapters.matrix.text import clean
from adapters.matrix.words import told_by
from gateway.events import (
    RemoteRoomMessage,
    RemoteRoomNotice,
    RemoteRoomReaction,
    RemoteRoomRetraction,
    RemoteUndecryptable,
)
from gateway.ids import RemoteMessageId, RemoteRoomId, RemoteUserId
from gateway.text.wording import tr

Said = RemoteRoomMessage | RemoteRoomReaction | RemoteUndecryptable

_MAX_REASON_BYTES = 512
PINS = "m.room.pinned_events"
_AVATAR = "m.room.avatar"
_NAME = "m.room.name"
_MAX_NAME_BYTES = 512
_ENCRYPTED = tr("This group is end-to-end encrypted from now on.")


def said_in(
    room: RemoteRoomId,
    event: Event,
    *,
    account: RemoteUserId,
    now: float,
    unread: Unread | None = None,
    group: Group | None = None,
) -> Said | None:
    """What an event says, which may have been encrypted; None if it says nothing. ``group``: by
    what it is now, some may not call everybody; None if that is unknown."""
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
    told = _message(room, event, account, now)
    if group is None or level_of(group, sender) >= effective(group).mention_all:
        return told
    return replace(told, mentions=tuple(one for one in told.mentions if one.user is not None))


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


def _message(
    room: RemoteRoomId, event: Event, account: RemoteUserId, now: float
) -> RemoteRoomMessage:
    content, about = as_dict(event.get("content")), related(event)
    link = link_to_message(room, about.edits or event_id_of(event), account)
    words, files = told_by(event["type"], about.words, link=link)
    mentions = mentions_in(about.words, words, None if about.edits is None else content)
    return RemoteRoomMessage(
        room=room,
        sender=RemoteUserId(event["sender"]),
        id=RemoteMessageId(event_id_of(event)),
        body=words.text,
        sent_at=timestamp_of(event, now) / 1000,
        key=key_of(content),
        reply_to=about.reply_to,
        edits=about.edits,
        mentions=mentions,
        spans=without_people(words.spans),
        files=files,
        previews=previews_in(about.words),
        thread=about.thread,
        thread_after=about.thread_after,
    )


def _reaction(
    room: RemoteRoomId, event: Event, own: bool, now: float
) -> RemoteRoomReaction | None:
    found = annotation(event)
    if found is None:
        return None
    message, emoji = found
    return RemoteRoomReaction(
        room=room,
        sender=RemoteUserId(event["sender"]),
        id=RemoteMessageId(event_id_of(event)),
        message=message,
        emoji=emoji,
        sent_at=timestamp_of(event, now) / 1000,
        key=key_of(as_dict(event.get("content"))) if own else None,
    )


def _retraction(
    room: RemoteRoomId, event: Event, now: float, version: int
) -> RemoteRoomRetraction | None:
    message, reason = redacted(event, version), as_dict(event.get("content")).get("reason")
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
        return tr("A message was pinned.")
    return tr("A message is no longer pinned.") if old - new else ""


def _name(content: Event) -> str:
    name = content.get("name")
    return clean(name, _MAX_NAME_BYTES).strip() if isinstance(name, str) else ""


def _named(now: str, before: str) -> str:
    """What a group is called first is no change of it."""
    if not before or now == before:
        return ""
    return (
        tr("The group is called “{now}” now.", now=now)
        if now
        else tr("The group has no name any more.")
    )


def _pictured(now: str, before: str) -> str:
    if now == before:
        return ""
    return tr("The group has a new picture.") if now else tr("The group has no picture any more.")


def _texts(value: object) -> set[str]:
    return {item for item in value if isinstance(item, str)} if isinstance(value, list) else set()
