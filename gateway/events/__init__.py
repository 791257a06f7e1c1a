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
``SearchPeople``   core → adapter             likewise
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
from gateway.events.cards import ContactCard
from gateway.events.commands import (
    AcceptInvite,
    Author,
    ChatCommand,
    Command,
    DeclineInvite,
    MarkRead,
    MarkRoomRead,
    React,
    ReactInRoom,
    Retract,
    RetractInRoom,
    RoomCommand,
    SendRoomText,
    SendText,
)
from gateway.events.deliveries import (
    CallInvite,
    CallOver,
    ChatMessage,
    ChatReactions,
    ChatReply,
    ChatRetraction,
    Delivery,
    Displayed,
    Failure,
    FailureReason,
    GatewayNotice,
    Notice,
    OwnDisplayed,
    OwnMessage,
    Receipt,
    SaidInChat,
    SubscriptionRequest,
    Unavailable,
    Unsubscribed,
)
from gateway.events.enclosed import Enclosed
from gateway.events.files import FileFacts, FileKind, RemoteFile, SentFile, SharedFile
from gateway.events.mentions import ChatMention, Mention, RoomMention
from gateway.events.presence import (
    AVAILABLE,
    BEST_REACHED,
    UNAVAILABLE,
    Availability,
    Presence,
)
from gateway.events.previews import LinkPreview
from gateway.events.remote import (
    CallStage,
    RemoteCall,
    RemoteContactGone,
    RemoteGap,
    RemoteIgnored,
    RemoteInvite,
    RemoteInviteGone,
    RemoteMessage,
    RemoteNotice,
    RemoteProfile,
    RemoteReaction,
    RemoteRead,
    RemoteRetraction,
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
from gateway.events.room_deliveries import (
    Moderation,
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
    Tombstone,
    is_for_one,
)
from gateway.events.search import FoundPerson, FoundRoom, FoundRooms, SearchPeople, SearchRooms
from gateway.events.through import Through

RemoteEvent = (
    RemoteMessage
    | RemoteReaction
    | RemoteRetraction
    | RemoteCall
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
    "Author",
    "Availability",
    "CallInvite",
    "CallOver",
    "CallStage",
    "ChatCommand",
    "ChatMention",
    "ChatMessage",
    "ChatReactions",
    "ChatReply",
    "ChatRetraction",
    "Command",
    "ContactCard",
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
    "FileFacts",
    "FileKind",
    "FindRoom",
    "FoundPerson",
    "FoundRoom",
    "FoundRooms",
    "GatewayNotice",
    "InviteToRoom",
    "JoinRoom",
    "LeaveRoom",
    "LiftBan",
    "LinkPreview",
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
    "React",
    "ReactInRoom",
    "Receipt",
    "RemoteCall",
    "RemoteContactGone",
    "RemoteEvent",
    "RemoteFile",
    "RemoteGap",
    "RemoteIgnored",
    "RemoteInvite",
    "RemoteInviteGone",
    "RemoteMember",
    "RemoteMemberGone",
    "RemoteMessage",
    "RemoteNotice",
    "RemoteProfile",
    "RemoteReaction",
    "RemoteRead",
    "RemoteRetraction",
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
    "Retract",
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
    "SaidInChat",
    "SearchPeople",
    "SearchRooms",
    "SendRoomText",
    "SendText",
    "SentFile",
    "SetAffiliation",
    "SetRoomAvatar",
    "SetVoice",
    "SharedFile",
    "SubscriptionRequest",
    "Through",
    "Tombstone",
    "Unavailable",
    "Unsubscribed",
    "is_for_one",
]
