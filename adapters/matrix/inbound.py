# SPDX-License-Identifier: Apache-2.0
"""What all events have, in chats and groups alike.

The words for a message are in `words`; what an event says as a whole is told by `chat_events` and
`group_events`. Events are written by strangers and checked by nobody:
every field may be missing or of any type, and nothing here raises for it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from adapters.matrix.opened import Unread
from adapters.matrix.text import clean
from gateway.events import RemoteUndecryptable
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
POLL_STARTS = ("m.poll.start", "org.matrix.msc3381.poll.start")
POLL_ENDS = ("m.poll.end", "org.matrix.msc3381.poll.end")
RINGS = ("m.rtc.notification", "org.matrix.msc4075.rtc.notification")
CALLS = ("m.call.invite", *RINGS)
"""Somebody calls."""
BEACONS = ("m.beacon_info", "org.matrix.msc3672.beacon_info")
"""Somebody begins to share where they are, or has stopped;"""
BEATS = ("m.beacon", "org.matrix.msc3672.beacon")
"""and where that is."""
VOTES = ("m.poll.response", "org.matrix.msc3381.poll.response")
MESSAGE_TYPES = (
    *("m.room.message", "m.room.encrypted", "m.sticker"),
    *(*POLL_STARTS, *POLL_ENDS, *CALLS, *BEACONS),
)


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


def is_message(event: Event) -> bool:
    """Whether it is something that somebody has said, and that was not redacted since."""
    if not event_id_of(event) or not isinstance(event.get("sender"), str):
        return False
    content = as_dict(event.get("content"))
    if event.get("type") in BEACONS:
        return content.get("live") is True
    is_redacted = "redacted_because" in as_dict(event.get("unsigned"))
    return event.get("type") in MESSAGE_TYPES and not (is_redacted and not content)


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


def _kept(event: Event) -> str:
    """An encrypted event for later, unless it is larger than any event can be."""
    kept = json.dumps(event)
    if len(kept) <= _MAX_KEPT_BYTES:
        return kept
    return json.dumps({key: event.get(key) for key in ("type", "event_id", "sender")})
