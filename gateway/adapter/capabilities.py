# SPDX-License-Identifier: Apache-2.0
"""What a network offers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gateway.events import RoomAction

AUTHOR_BYTES = 256
"""So much is left of a text with an author for the adapter to say who that is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """What the network offers. What is claimed here must work: the contract suite tries each."""

    idempotent_send: bool
    """The key given to ``Session.send`` is an idempotency key on the network. Without one, a crash
    between saying something and the answer ends as `Uncertain`, which is told to the user. Edits,
    reactions and retractions are the same if they are done twice, and are done again."""
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
    profile: bool = False
    """`Session.set_profile` works."""
    contact_list: bool = False
    """The network has a list of contacts: `gateway.events.RemoteContactGone` tells of those whom
    it no longer has."""
    lists_contacts: bool = False
    """`Session.contacts` tells the people of the account."""
    blocking: bool = False
    """`Session.block` works, and `gateway.events.RemoteIgnored` tells who is blocked."""
    reporting: bool = False
    """`Session.report` works."""
    muting: bool = False
    """`Session.mute` and `Session.muted` work."""
    rooms: bool = False
    """The account's groups are reported (`gateway.events.RemoteRoomEvent`), and `SendRoomText`
    works."""
    relay: bool = False
    """`Adapter.house` may give an account, which speaks for others: `SendRoomText.author` and
    `ReactInRoom.author` work."""
    room_actions: frozenset[type[RoomAction]] = frozenset()
    """What of these `Session.manage` can do at all."""
    room_search: bool = False
    """`Session.search_rooms` works."""
    people_search: bool = False
    """`Session.search_people` works."""
    edits: bool = False
    """`SendText.edits` works, and `RemoteMessage.edits` is reported; in rooms `SendRoomText.edits`
    and `RemoteRoomMessage.edits`."""
    replies: bool = False
    """``reply_to`` of the same."""
    quotes: bool = False
    """``cites`` of `SendText` and `SendRoomText` works."""
    reactions: bool = False
    """`React` works, and `RemoteReaction` is reported; in rooms `ReactInRoom` and
    `RemoteRoomReaction`."""
    reactions_per_message: int | None = None
    """With how many emoji one person can react to a message; None: with any number. The core sends
    the newest of more."""
    reactions_allowed: tuple[str, ...] = ()
    """The emoji that there are; empty: all."""
    retractions: bool = False
    """`Retract` works, and `RemoteRetraction` is reported, where the network tells of what others
    take back; in rooms `RetractInRoom` and `RemoteRoomRetraction`."""
    mentions: bool = False
    """`SendText.mentions` and `SendRoomText.mentions` work, and `RemoteMessage.mentions` and
    `RemoteRoomMessage.mentions` are reported."""
    threads: bool = False
    """`SendText.thread` works, and `RemoteMessage.thread` is reported; in rooms
    `SendRoomText.thread` and `RemoteRoomMessage.thread`."""
    files: bool = False
    """`RemoteMessage.files` is reported, in rooms `RemoteRoomMessage.files`, and
    `Session.download` fetches what was."""
    cards: bool = False
    """`RemoteMessage.cards` is reported, in rooms `RemoteRoomMessage.cards`."""
    previews: bool = False
    """`SendText.previews` works, and `RemoteMessage.previews` is reported; in rooms
    `SendRoomText.previews` and `RemoteRoomMessage.previews`."""
    attention: bool = False
    """In chats, `SendText.attention` works, and `RemoteMessage.attention` is reported."""
    polls: bool = False
    """`Session.poll` and `Session.vote` work."""
    calls: bool = False
    """`gateway.events.RemoteCall` tells of calls in chats, until they are over."""
    sends_files: bool = False
    """`SendText.file` works, and in rooms `SendRoomText.file`. Without it their addresses are sent
    as texts."""
    max_file_bytes: int | None = None
    """The largest file that the network takes. None: it is not known beforehand; then
    `Session.send` raises `TooLarge`."""
    voice_types: tuple[str, ...] = ()
    """As what media types the network plays voice messages; empty: as any. Where ``audio/ogg`` is
    one of them, others are made an Opus in Ogg, if the machine of the gateway can do that."""
    avatars: bool = False
    """`Session.avatar` works, and `gateway.events.RemoteProfile`, `gateway.events.RemoteRoom` and
    `gateway.events.Member` say who has a picture."""
    history: bool = False
    """`Session.history` tells what was said in rooms before the account was linked."""
    chat_history: bool = False
    """`Session.last_said` tells what was said last in a chat."""
    encryption: bool = False
    """`Session.encryption` lets the user set up end-to-end encryption."""
    max_text_bytes: int = 65536
    """Longest text in UTF-8. Longer ones are cut into several before they reach the adapter; those
    with an author are shorter by `AUTHOR_BYTES`."""
