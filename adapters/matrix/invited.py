# SPDX-License-Identifier: Apache-2.0
"""Invitations to groups, and what the account has asked to be let into. No I/O. Matrix spec,
client-server API, "Stripped state", "Knocking on rooms"."""

from __future__ import annotations

from collections.abc import Sequence

from adapters.matrix.group_sync import Groups
from adapters.matrix.groups import described, seen
from adapters.matrix.inbound import Event, as_dict, as_dicts, display_name
from adapters.matrix.membership import before, is_out
from adapters.matrix.parts import Cuts, Parts
from adapters.matrix.rooms import Group, RoomId
from adapters.matrix.text import clean
from gateway.events import RemoteRoomInvite, RemoteRoomInviteGone, RemoteRoomKnock
from gateway.ids import RemoteMessageId, RemoteRoomId, RemoteUserId

_KNOCKED = "knock"
"""In the place of an invitation in the book: the account has asked for one."""
_MAX_REASON_BYTES = 512


def group_invitation(
    room_id: RoomId, events: Sequence[Event], inviter: RemoteUserId, account: RemoteUserId
) -> RemoteRoomInvite | None:
    """None for a space, which is no place to talk. Invitations have no id of their own: a second
    one by the same person is told only when the first one is gone."""
    group = Group()
    name, reason, own_name = "", "", ""
    for event in events:
        group = described(group, event, 0)
        content = as_dict(event.get("content"))
        if event.get("type") == "m.room.member" and event.get("state_key") == inviter:
            name = display_name(content)
        if event.get("type") == "m.room.member" and event.get("state_key") == account:
            said = content.get("reason")
            reason = clean(said, _MAX_REASON_BYTES) if isinstance(said, str) else ""
            own_name = display_name(content)
    if group.is_space:
        return None
    return RemoteRoomInvite(
        room=RemoteRoomId(room_id),
        id=RemoteMessageId(f"{room_id} {inviter}"),
        inviter=inviter,
        inviter_name=name,
        name=_name(group, room_id, account),
        reason=reason,
        own_name=own_name,
    )


def own_knock(
    room_id: RoomId, events: Sequence[Event], account: RemoteUserId
) -> RemoteRoomKnock | None:
    """The account has asked to be let into a group. None for a space."""
    group = Group()
    for event in events:
        group = described(group, event, 0)
    if group.is_space:
        return None
    return RemoteRoomKnock(
        room=RemoteRoomId(room_id),
        id=RemoteMessageId(f"{room_id} {_KNOCKED}"),
        user=account,
        name=_name(group, room_id, account),
    )


def _name(group: Group, room_id: RoomId, account: RemoteUserId) -> str:
    return seen(room_id, group, account).name if group.name or group.alias else ""


class Invitations:
    """What waits for the account to come in, in one answer of /sync."""

    def __init__(self, parts: Parts, groups: Groups, account: RemoteUserId) -> None:
        self._parts = parts
        self._groups = groups
        self._account = account

    def invited(self, room_id: RoomId, events: Sequence[Event], inviter: RemoteUserId) -> Cuts:
        """Into a group, by its stripped state."""
        if self._parts.draft.group(room_id) is not None:  # the account came out of it unseen
            self._groups.over(room_id)
        invitation = group_invitation(room_id, events, inviter, self._account)
        if invitation is None:
            self._parts.outcome.tally.ignored += 1
        elif self._parts.draft.put_invitation(room_id, invitation.id):
            self._parts.say(invitation)
        if self._parts.stepped():
            yield from self._parts.cut()

    def knocked(self, room_id: RoomId, content: Event) -> None:
        """The account has asked to be let in."""
        events = as_dicts(as_dict(content.get("knock_state")).get("events"))
        asked = own_knock(room_id, events, self._account)
        if asked is not None and self._parts.draft.put_invitation(room_id, _KNOCKED):
            self._parts.say(asked)

    def over(self, room_id: RoomId, left: Sequence[Event] = ()) -> None:
        """One is answered, or was withdrawn. ``left``: what the answer has of a group that the
        account is not in."""
        refused = self._is_refused(room_id, left)
        if self._parts.draft.put_invitation(room_id, None) or refused:
            gone = RemoteRoomInviteGone(room=RemoteRoomId(room_id), is_refusal=refused)
            self._parts.say(gone)

    def _is_refused(self, room_id: RoomId, left: Sequence[Event]) -> bool:
        """Whether the account was not let in, and not by its own wish."""
        for event in left:
            if is_out(event, self._account) and event.get("sender") != self._account:
                waited = self._parts.draft.invitations().get(room_id)
                return waited == _KNOCKED or before(event) == "knock"
        return False
