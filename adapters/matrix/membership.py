# SPDX-License-Identifier: Apache-2.0
"""Groups: one member event → who came out, who asks to be let in. No I/O.

Matrix spec, client-server API, "m.room.member", "Knocking on rooms". As in `groups`, nothing here
raises for what strangers have written.
"""

from __future__ import annotations

from adapters.matrix.ids import is_user_id
from adapters.matrix.inbound import Event, as_dict, display_name, event_id_of
from adapters.matrix.marks import DESTROYED
from adapters.matrix.rooms import RoomId
from adapters.matrix.text import clean
from gateway.events import Departure, RemoteMemberGone, RemoteRoomKnock, RemoteRoomKnockGone
from gateway.ids import RemoteMessageId, RemoteRoomId, RemoteUserId

_MAX_REASON_BYTES = 512
_NEVER_IN = ("invite", "knock", "leave")


def before(event: Event) -> object:
    """The membership that somebody had before a member event, if the homeserver tells."""
    return as_dict(as_dict(event.get("unsigned")).get("prev_content")).get("membership")


def _reason(event: Event) -> str:
    reason = as_dict(event.get("content")).get("reason")
    return clean(reason, _MAX_REASON_BYTES) if isinstance(reason, str) else ""


def departure(room_id: RoomId, event: Event) -> RemoteMemberGone | None:
    """That somebody came out, if a member event says so, and not that they did not come in; that
    they were banned, wherever they were; and that a ban was lifted."""
    user_id, sender = event.get("state_key"), event.get("sender")
    content = as_dict(event.get("content"))
    membership, was = content.get("membership"), before(event)
    is_told = was != "ban" if membership == "ban" else was not in _NEVER_IN
    if not is_user_id(user_id) or membership not in ("leave", "ban") or not is_told:
        return None
    how = Departure.BANNED if membership == "ban" else Departure.KICKED
    if membership == "leave" and content.get(DESTROYED) is True:
        how = Departure.DESTROYED
    elif membership == "leave" and (sender == user_id or was == "ban"):
        how = Departure.LEFT
    is_actor = sender != user_id or how is Departure.BANNED
    return RemoteMemberGone(
        room=RemoteRoomId(room_id),
        user=RemoteUserId(user_id),
        how=how,
        actor=RemoteUserId(str(sender)) if is_actor and is_user_id(sender) else None,
        reason=_reason(event),
    )


def is_out(event: Event, account: RemoteUserId) -> bool:
    """Whether by this event the account has come out of a room."""
    return (
        event.get("type") == "m.room.member"
        and event.get("state_key") == account
        and as_dict(event.get("content")).get("membership") in ("leave", "ban")
    )


def is_about_ban(event: Event) -> bool:
    """Whether by a member event somebody was banned who was out, or is not any more."""
    is_banned = as_dict(event.get("content")).get("membership") == "ban"
    return before(event) in _NEVER_IN if is_banned else before(event) == "ban"


def knock(room_id: RoomId, event: Event) -> RemoteRoomKnock | None:
    """That somebody asks to be let in, if a member event says so."""
    user_id, event_id = event.get("state_key"), event_id_of(event)
    content = as_dict(event.get("content"))
    if not is_user_id(user_id) or not event_id or content.get("membership") != "knock":
        return None
    return RemoteRoomKnock(
        room=RemoteRoomId(room_id),
        id=RemoteMessageId(event_id),
        user=RemoteUserId(user_id),
        name=display_name(content),
        reason=_reason(event),
    )


def knocks_no_more(room_id: RoomId, event: Event) -> RemoteRoomKnockGone | None:
    """That somebody asks no longer, likewise."""
    user_id, membership = event.get("state_key"), as_dict(event.get("content")).get("membership")
    if not is_user_id(user_id) or before(event) != "knock" or membership == "knock":
        return None
    return RemoteRoomKnockGone(room=RemoteRoomId(room_id), user=RemoteUserId(user_id))
