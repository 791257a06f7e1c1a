# SPDX-License-Identifier: Apache-2.0
"""One event of a timeline → what the gateway tells the user. For groups see `group_events`.

Matrix spec, client-server API, "Instant Messaging" (the msgtypes), "Event replacements", "Rich
replies". Events are written by strangers and checked by nobody: every field may be missing or of
any type, and nothing here raises for it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from adapters.matrix.opened import Unread
from adapters.matrix.text import clean, without_reply_fallback
from gateway.events import RemoteMessage, RemoteUndecryptable
from gateway.ids import RemoteMessageId, RemoteRoomId, RemoteUserId

Event = Mapping[str, Any]

KEY = "org.dragoman.key"
"""Our private key in the content of what we send: the key of the command."""

MAX_BODY_BYTES = 65_536
"""An event cannot be larger. A homeserver that does not care is cut off here."""
_MAX_KEPT_BYTES = 6 * 65_536
"""As JSON writes it: six characters for one that has to be escaped."""
_MAX_ID_BYTES = 255
_MAX_NAME_BYTES = 255
_LATER = " — not bridged yet"
_MEDIA = {
    "m.image": "image",
    "m.file": "file",
    "m.audio": "audio",
    "m.video": "video",
    "m.sticker": "sticker",
}
POLLS = ("m.poll.start", "org.matrix.msc3381.poll.start")
CALLS = ("m.call.invite",)
MESSAGE_TYPES = ("m.room.message", "m.room.encrypted", "m.sticker", *POLLS, *CALLS)


def as_dict(value: object) -> dict[str, Any]:
    """A JSON object, or an empty one in place of anything else."""
    return value if isinstance(value, dict) else {}


def as_dicts(value: object) -> list[dict[str, Any]]:
    """The JSON objects of a list."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def event_id_of(event: Event) -> str:
    """The event's id, or the empty string if it has none that can be used."""
    event_id = event.get("event_id")
    if isinstance(event_id, str) and clean(event_id, _MAX_ID_BYTES) == event_id:
        return event_id
    return ""


def timestamp_of(event: Event, now: float) -> int:
    """``origin_server_ts``, which is the word of the sender's server: never in the future."""
    latest = int(now * 1000)
    sent = event.get("origin_server_ts")
    if isinstance(sent, int) and not isinstance(sent, bool) and 0 < sent <= latest:
        return sent
    return latest


def display_name(content: Mapping[str, Any]) -> str:
    """The name in a member event or a profile."""
    name = content.get("displayname")
    if not isinstance(name, str):
        return ""
    return " ".join(clean(name, _MAX_NAME_BYTES).split())


def remote_event(
    event: Event,
    *,
    contact: RemoteUserId,
    account: RemoteUserId,
    name_of: Callable[[str], str],
    now: float,
    unread: Unread | None = None,
) -> RemoteMessage | RemoteUndecryptable | None:
    """What a timeline event says in a chat; None if it says nothing (a reaction, a redacted
    message)."""
    if not is_message(event):
        return None
    sender, content = event["sender"], as_dict(event.get("content"))
    own = sender == account
    if event["type"] == "m.room.encrypted":
        return undecryptable(event, contact=contact, own=own, now=now, unread=unread)
    speaker = "" if own or sender == contact else name_of(sender)
    return RemoteMessage(
        contact=contact,
        id=RemoteMessageId(event_id_of(event)),
        body=body_of(event["type"], content, speaker),
        sent_at=timestamp_of(event, now) / 1000,
        own=own,
        key=key_of(content) if own else None,
    )


def is_message(event: Event) -> bool:
    """Whether it is something that somebody has said, and that was not redacted since."""
    if not event_id_of(event) or not isinstance(event.get("sender"), str):
        return False
    is_redacted = "redacted_because" in as_dict(event.get("unsigned"))
    return event.get("type") in MESSAGE_TYPES and not (
        is_redacted and not as_dict(event.get("content"))
    )


def undecryptable(
    event: Event,
    *,
    contact: RemoteUserId,
    own: bool,
    now: float,
    unread: Unread | None,
    room: RemoteRoomId | None = None,
) -> RemoteUndecryptable:
    """A message that cannot be read, kept for later."""
    return RemoteUndecryptable(
        contact=contact,
        id=RemoteMessageId(event_id_of(event)),
        sent_at=timestamp_of(event, now) / 1000,
        content=_kept(event),
        own=own,
        needs=unread.needs if unread else "",
        reason=unread.reason if unread else "",
        room=room,
    )


def key_of(content: Mapping[str, Any]) -> str | None:
    """The key of the command by which our own gateway has made this."""
    key = content.get(KEY)
    return key if isinstance(key, str) and clean(key, _MAX_ID_BYTES) == key else None


def body_of(kind: str, content: Mapping[str, Any], speaker: str = "") -> str:
    """The words for a message. Another person than the contact is named."""
    return clean(_text(kind, content, speaker), MAX_BODY_BYTES)


def _kept(event: Event) -> str:
    """An encrypted event for later, unless it is larger than any event can be."""
    kept = json.dumps(event)
    if len(kept) <= _MAX_KEPT_BYTES:
        return kept
    return json.dumps({key: event.get(key) for key in ("type", "event_id", "sender")})


def _text(kind: str, content: Mapping[str, Any], speaker: str) -> str:
    relation = as_dict(content.get("m.relates_to"))
    mark = ""
    if relation.get("rel_type") == "m.replace" and isinstance(content.get("m.new_content"), dict):
        content = content["m.new_content"]
        mark = "✏ "
    if kind == "m.room.message" and content.get("msgtype") == "m.emote":
        action = _body(content)
        return f"{mark}* {speaker} {action}" if speaker else f"{mark}/me {action}"
    words = _described(kind, content)
    if isinstance(relation.get("m.in_reply_to"), dict):
        words = without_reply_fallback(words)
    return f"{speaker}: {mark}{words}" if speaker else mark + words


def _described(kind: str, content: Mapping[str, Any]) -> str:
    if kind in POLLS:
        return f"[poll] {_question(content)}".rstrip() + _LATER
    if kind in CALLS:
        return "[call]" + _LATER
    msgtype = content.get("msgtype") if kind == "m.room.message" else kind
    if msgtype in ("m.text", "m.notice"):
        return _body(content)
    if isinstance(msgtype, str) and msgtype in _MEDIA:
        return _media(_MEDIA[msgtype], content)
    if msgtype == "m.location":
        place = content.get("geo_uri")
        return f"[location] {_body(content)} {place if isinstance(place, str) else ''}".rstrip()
    return f"[a kind of message that is not bridged yet] {_body(content)}"


def _body(content: Mapping[str, Any]) -> str:
    body = content.get("body")
    has_text = isinstance(body, str) and clean(body, MAX_BODY_BYTES).strip()
    return body if isinstance(body, str) and has_text else "[message without text]"


def _media(what: str, content: Mapping[str, Any]) -> str:
    """Spec, "Media captions": with a ``filename`` that differs, the body is a caption."""
    body, filename = content.get("body"), content.get("filename")
    caption = ""
    if isinstance(filename, str) and filename.strip():
        caption = body if isinstance(body, str) and body != filename else ""
        body = filename
    if what == "audio" and "org.matrix.msc3245.voice" in content:
        what = "voice message"
    described = f"[{what}] {body if isinstance(body, str) else ''}".rstrip() + _LATER
    return f"{described}\n{caption}" if caption.strip() else described


def _question(content: Mapping[str, Any]) -> str:
    """Stable polls have a list of texts, unstable ones a plain one."""
    poll = as_dict(content.get("m.poll") or content.get("org.matrix.msc3381.poll.start"))
    question = as_dict(poll.get("question"))
    texts = as_dicts(question.get("m.text"))
    text = texts[0].get("body") if texts else question.get("body")
    if text is None:
        text = question.get("org.matrix.msc1767.text") or question.get("m.text")
    return text if isinstance(text, str) else ""
