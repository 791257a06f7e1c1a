# SPDX-License-Identifier: Apache-2.0
"""Calls in direct rooms (REQ-473). No I/O.

Matrix spec, client-server API, "Voice over IP"; MatrixRTC as apps write it today:
MSC4075 (somebody rings), MSC4310 (who is called declines), MSC3401 (who is in the call). As in
`inbound`, nothing here raises for what strangers have written. What becomes of a call the gateway
keeps, so each event stands for itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from adapters.matrix.inbound import (
    RINGS,
    Event,
    as_dict,
    event_id_of,
    timestamp_of,
)
from adapters.matrix.links import link_to_message
from adapters.matrix.rooms import RoomId
from adapters.matrix.text import clean
from gateway.events import CallStage, RemoteCall
from gateway.ids import RemoteMessageId, RemoteUserId

_INVITE = "m.call.invite"
_STAGES = {
    "m.call.answer": CallStage.ANSWERED,
    "m.call.reject": CallStage.DECLINED,
    "m.call.hangup": CallStage.OVER,
}
_DECLINES = ("m.rtc.decline", "org.matrix.msc4310.rtc.decline")
_MEMBERS = ("m.call.member", "org.matrix.msc3401.call.member")
CALL_TYPES = (*_STAGES, *_DECLINES, *_MEMBERS)
"""What becomes of one that rings."""
_THE_CALL = "rtc"
"""MatrixRTC has one call in a room at a time."""
_MAX_ID_BYTES = 255
_VIDEO = "m=video"
"""A line of this kind in SDP (RFC 8866 §5.14)."""


def call_in(
    room_id: RoomId, event: Event, *, contact: RemoteUserId, account: RemoteUserId, now: float
) -> RemoteCall | None:
    """What an event, which may have been encrypted, says of a call between these two."""
    sender, event_id = event.get("sender"), event_id_of(event)
    found = _stage(event)
    is_redacted = "redacted_because" in as_dict(event.get("unsigned"))
    if found is None or not event_id or sender not in (account, contact) or is_redacted:
        return None
    call, stage = found
    rings = stage is CallStage.RINGS
    return RemoteCall(
        contact=contact,
        id=RemoteMessageId(event_id),
        call=call,
        stage=stage,
        sent_at=timestamp_of(event, now) / 1000,
        own=sender == account,
        is_video=rings and _is_video(as_dict(event.get("content"))),
        link=link_to_message(room_id, event_id, account) if rings else "",
    )


def _stage(event: Event) -> tuple[str, CallStage] | None:
    kind, content = event.get("type"), as_dict(event.get("content"))
    if not isinstance(kind, str):
        return None
    if kind == _INVITE or kind in _STAGES:
        call = content.get("call_id")
        if not isinstance(call, str) or not call or clean(call, _MAX_ID_BYTES) != call:
            return None
        return f"voip {call}", _STAGES.get(kind, CallStage.RINGS)
    if kind in RINGS:
        return _THE_CALL, CallStage.RINGS
    if kind in _DECLINES:
        return _THE_CALL, CallStage.DECLINED
    if kind in _MEMBERS and "state_key" in event:
        return _THE_CALL, CallStage.ANSWERED if _is_in(content) else CallStage.OVER
    return None


def _is_in(content: Mapping[str, Any]) -> bool:
    """Whether somebody is in the call now. Older apps have a list of their devices in it."""
    listed = content.get("memberships")
    return bool(listed) if isinstance(listed, list) else bool(content)


def _is_video(content: Mapping[str, Any]) -> bool:
    sdp = as_dict(content.get("offer")).get("sdp")
    return content.get("m.call.intent") == "video" or (isinstance(sdp, str) and _VIDEO in sdp)
