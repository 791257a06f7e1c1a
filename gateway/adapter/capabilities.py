# SPDX-License-Identifier: Apache-2.0
"""What a network offers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gateway.events import RoomAction


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """What the network offers. What is claimed here must work: the contract suite tries each."""

    idempotent_send: bool
    """The key given to ``Session.send`` is an idempotency key on the network. Without one, a crash
    between sending and its answer ends as `Uncertain`, which is told to the user."""
    echoes_key: bool = False
    """Our own messages come back with the key in `RemoteMessage.key`."""
    typing: bool = False
    """`Session.set_typing` works, and `AccountContext.typing` is reported."""
    read_marks: bool = False
    """`MarkRead` works, and `RemoteRead` is reported."""
    live_only: bool = False
    """The network keeps nothing: what is not taken at once cannot be had later. Then
    `AccountContext.ready` never waits; when too much waits for the user, some is cut, and told."""
    presence: bool = False
    """`Session.set_presence` works, and `AccountContext.presence` is reported. Without it contacts
    are shown as available while the account is linked (REQ-310)."""
    contact_list: bool = False
    """The network has a list of contacts: `gateway.events.RemoteContactGone` tells of those whom
    it no longer has."""
    rooms: bool = False
    """The account's groups are reported (`gateway.events.RemoteRoomEvent`), and `SendRoomText`
    works."""
    room_actions: frozenset[type[RoomAction]] = frozenset()
    """What of these `Session.manage` can do at all."""
    room_search: bool = False
    """`Session.search_rooms` works."""
    edits: bool = False
    """In rooms, `SendRoomText.edits` works, and `RemoteRoomMessage.edits` is reported."""
    replies: bool = False
    """In rooms, ``reply_to`` of the same."""
    reactions: bool = False
    """In rooms, `ReactInRoom` works, and `RemoteRoomReaction` is reported."""
    retractions: bool = False
    """In rooms, `RetractInRoom` works, and `RemoteRoomRetraction` is reported."""
    mentions: bool = False
    """In rooms, `SendRoomText.mentions` works, and `RemoteRoomMessage.mentions` is reported."""
    threads: bool = False
    """In rooms, `SendRoomText.thread` works, and `RemoteRoomMessage.thread` is reported."""
    avatars: bool = False
    """`Session.avatar` works, and `gateway.events.RemoteRoom` and `gateway.events.Member` say who
    has a picture."""
    history: bool = False
    """`Session.history` tells what was said in rooms before the account was linked."""
    encryption: bool = False
    """`Session.encryption` lets the user set up end-to-end encryption."""
    max_text_bytes: int = 65536
    """Longest text in UTF-8. Longer ones are refused before they reach the adapter."""
