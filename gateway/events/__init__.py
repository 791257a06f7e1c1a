# SPDX-License-Identifier: Apache-2.0
"""What flows through the gateway: immutable records, in both directions.

=================  =========================  ==============================================
union              from → to                  kept in
=================  =========================  ==============================================
``RemoteEvent``    adapter → core             nowhere; the core turns it into deliveries
``Delivery``       core → XMPP                the inbound journal
``Command``        core → adapter             the outbound journal
``RoomAction``     core → adapter             nowhere; the user waits for the answer
``SearchRooms``    core → adapter             likewise
=================  =========================  ==============================================

Deliveries and commands are stored, so a record only ever gains optional fields: rows that an older
version wrote must still decode. Times are seconds since the epoch, UTC.
"""

from __future__ import annotations

from gateway.events.actions import (
    CreateRoom,
    DescribeRoom,
    DestroyRoom,
    FindRoom,
    InviteToRoom,
    JoinRoom,
    LeaveRoom,
    LiftBan,
    ModerateMessage,
    RemoveFromRoom,
    RoomAction,
    SetAffiliation,
    SetRoomAvatar,
    SetVoice,
)
from gateway.events.commands import (
    AcceptInvite,
    Command,
    DeclineInvite,
    MarkRead,
    MarkRoomRead,
    ReactInRoom,
    RetractInRoom,
    RoomCommand,
    SendRoomText,
    SendText,
)
from gateway.events.deliveries import (
    ChatMessage,
    Delivery,
    Displayed,
    Failure,
    FailureReason,
    GatewayNotice,
    Moderation,
    Notice,
    OwnDisplayed,
    OwnMessage,
    Receipt,
    Reply,
    RoomChanged,
    RoomDelivery,
    RoomDisplayed,
    RoomInvitation,
    RoomJoined,
    RoomKnock,
    RoomMessage,
    RoomMoved,
    RoomNews,
    RoomPresence,
    RoomPresences,
    SubscriptionRequest,
    Tombstone,
    Unavailable,
    Unsubscribed,
    is_for_one,
)
from gateway.events.enclosed import Enclosed
from gateway.events.mentions import Mention, RoomMention
from gateway.events.presence import (
    AVAILABLE,
    BEST_REACHED,
    UNAVAILABLE,
    Availability,
    Presence,
)
from gateway.events.remote import (
    RemoteContactGone,
    RemoteGap,
    RemoteIgnored,
    RemoteInvite,
    RemoteInviteGone,
    RemoteMessage,
    RemoteNotice,
    RemoteProfile,
    RemoteRead,
    RemoteUndecryptable,
    RemoteUnreadable,
)
from gateway.events.remote_rooms import (
    Affiliation,
    Departure,
    Member,
    RemoteMember,
    RemoteMemberGone,
    RemoteRoom,
    RemoteRoomEvent,
    RemoteRoomGap,
    RemoteRoomInvite,
    RemoteRoomInviteGone,
    RemoteRoomKnock,
    RemoteRoomKnockGone,
    RemoteRoomMessage,
    RemoteRoomMoved,
    RemoteRoomNotice,
    RemoteRoomReaction,
    RemoteRoomRead,
    RemoteRoomRetraction,
    RemoteRoomTopic,
    RoomRight,
)
from gateway.events.search import FoundRoom, FoundRooms, SearchRooms
from gateway.events.through import Through

RemoteEvent = (
    RemoteMessage
    | RemoteRead
    | RemoteUndecryptable
    | RemoteUnreadable
    | RemoteNotice
    | RemoteInvite
    | RemoteInviteGone
    | RemoteContactGone
    | RemoteProfile
    | RemoteGap
    | RemoteIgnored
    | RemoteRoomEvent
)

__all__ = [
    "AVAILABLE",
    "BEST_REACHED",
    "UNAVAILABLE",
    "AcceptInvite",
    "Affiliation",
    "Availability",
    "ChatMessage",
    "Command",
    "CreateRoom",
    "DeclineInvite",
    "Delivery",
    "Departure",
    "DescribeRoom",
    "DestroyRoom",
    "Displayed",
    "Enclosed",
    "Failure",
    "FailureReason",
    "FindRoom",
    "FoundRoom",
    "FoundRooms",
    "GatewayNotice",
    "InviteToRoom",
    "JoinRoom",
    "LeaveRoom",
    "LiftBan",
    "MarkRead",
    "MarkRoomRead",
    "Member",
    "Mention",
    "ModerateMessage",
    "Moderation",
    "Notice",
    "OwnDisplayed",
    "OwnMessage",
    "Presence",
    "ReactInRoom",
    "Receipt",
    "RemoteContactGone",
    "RemoteEvent",
    "RemoteGap",
    "RemoteIgnored",
    "RemoteInvite",
    "RemoteInviteGone",
    "RemoteMember",
    "RemoteMemberGone",
    "RemoteMessage",
    "RemoteNotice",
    "RemoteProfile",
    "RemoteRead",
    "RemoteRoom",
    "RemoteRoomEvent",
    "RemoteRoomGap",
    "RemoteRoomInvite",
    "RemoteRoomInviteGone",
    "RemoteRoomKnock",
    "RemoteRoomKnockGone",
    "RemoteRoomMessage",
    "RemoteRoomMoved",
    "RemoteRoomNotice",
    "RemoteRoomReaction",
    "RemoteRoomRead",
    "RemoteRoomRetraction",
    "RemoteRoomTopic",
    "RemoteUndecryptable",
    "RemoteUnreadable",
    "RemoveFromRoom",
    "Reply",
    "RetractInRoom",
    "RoomAction",
    "RoomChanged",
    "RoomCommand",
    "RoomDelivery",
    "RoomDisplayed",
    "RoomInvitation",
    "RoomJoined",
    "RoomKnock",
    "RoomMention",
    "RoomMessage",
    "RoomMoved",
    "RoomNews",
    "RoomPresence",
    "RoomPresences",
    "RoomRight",
    "SearchRooms",
    "SendRoomText",
    "SendText",
    "SetAffiliation",
    "SetRoomAvatar",
    "SetVoice",
    "SubscriptionRequest",
    "Through",
    "Tombstone",
    "Unavailable",
    "Unsubscribed",
    "is_for_one",
]
