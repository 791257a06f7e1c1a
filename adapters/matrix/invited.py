# SPDX-License-Identifier: Apache-2.0
"""Invitations to groups. No I/O. Matrix spec, client-server API, "Stripped state"."""

from __future__ import annotations

from collections.abc import Sequence

from adapters.matrix.groups import described, seen
from adapters.matrix.inbound import Event, as_dict, display_name
from adapters.matrix.rooms import Group, RoomId
from adapters.matrix.text import clean
from gateway.events import RemoteRoomInvite
from gateway.ids import RemoteMessageId, RemoteRoomId, RemoteUserId

_MAX_REASON_BYTES = 512


def group_invitation(
    room_id: RoomId, events: Sequence[Event], inviter: RemoteUserId, account: RemoteUserId
) -> RemoteRoomInvite | None:
    """None for a space, which is no place to talk. Invitations have no id of their own: a second
    one by the same person is told only when the first one is gone."""
    group = Group()
    name, reason = "", ""
    for event in events:
        group = described(group, event, 0)
        content = as_dict(event.get("content"))
        if event.get("type") == "m.room.member" and event.get("state_key") == inviter:
            name = display_name(content)
        if event.get("type") == "m.room.member" and event.get("state_key") == account:
            said = content.get("reason")
            reason = clean(said, _MAX_REASON_BYTES) if isinstance(said, str) else ""
    if group.is_space:
        return None
    is_named = bool(group.name or group.alias)
    return RemoteRoomInvite(
        room=RemoteRoomId(room_id),
        id=RemoteMessageId(f"{room_id} {inviter}"),
        inviter=inviter,
        inviter_name=name,
        name=seen(room_id, group, account).name if is_named else "",
        reason=reason,
    )
