# SPDX-License-Identifier: Apache-2.0
"""What bots can learn of chats and people, and leaving."""

from __future__ import annotations

from typing import Any

from tests.peers.bot_api.calls import Call, method
from tests.peers.bot_api.chats import PERMISSIONS, Chat, Group, Member, PrivateChat
from tests.peers.bot_api.errors import bad

Json = dict[str, Any]


@method
def get_chat(call: Call) -> Json:
    """All that there is to know."""
    chat = call.chat(to_write=False)
    made = chat.json() | {
        "accent_color_id": 0,
        "max_reaction_count": 11,
        "accepted_gift_types": dict.fromkeys(
            (
                "unlimited_gifts",
                "limited_gifts",
                "unique_gifts",
                "premium_subscription",
                "gifts_from_channels",
            ),
            False,
        ),
    }
    if chat.reactions is not None:
        made["available_reactions"] = [
            {"type": "emoji", "emoji": each} for each in sorted(chat.reactions)
        ]
    if isinstance(chat, Group):
        made["permissions"] = dict.fromkeys(PERMISSIONS, True)
        if chat.description:
            made["description"] = chat.description
        if chat.is_super and chat.shows_past and chat.member(call.bot).is_admin:
            made["has_visible_history"] = True
    if isinstance(chat, PrivateChat) and chat.person.bio:
        made["bio"] = chat.person.bio
    sizes = _photo(chat)
    if sizes:
        small, big = sizes[0], sizes[-1]
        made["photo"] = {
            "small_file_id": small.file_id,
            "small_file_unique_id": small.file_unique_id,
            "big_file_id": big.file_id,
            "big_file_unique_id": big.file_unique_id,
        }
    return made


@method
def get_chat_administrators(call: Call) -> list[Json]:
    """Those that are no bots, but for the one that asks."""
    group = _group(call)
    return [
        member.json()
        for member in group.members.values()
        if member.is_admin and (not member.user.is_bot or member.user is call.bot)
    ]


@method
def get_chat_member_count(call: Call) -> int:
    """How many are there; there is no list of them."""
    return sum(member.is_present for member in _group(call).members.values())


@method
def get_chat_member(call: Call) -> Json:
    """What somebody is. Of others it is certain only if the bot is an administrator."""
    user = call.world.users.get(call.arguments["user_id"])
    if user is None:
        raise bad("PARTICIPANT_ID_INVALID")
    return call.chat().member(user).json()


@method
def get_user_profile_photos(call: Call) -> Json:
    """Pictures of somebody, the newest first."""
    user = call.world.users.get(call.arguments["user_id"])
    if user is None:
        raise bad("user not found")
    first = call.arguments.get("offset", 0)
    photos = user.photos[first : first + call.arguments.get("limit", 100)]
    made = [[size.photo_size() for size in sizes] for sizes in photos]
    return {"total_count": len(user.photos), "photos": made}


@method
def leave_chat(call: Call) -> bool:
    """Go."""
    group = _group(call)
    old = group.member(call.bot)
    call.world.change_member(group, old, Member(call.bot, "left"), call.bot)
    call.world.post(group, call.bot, {"left_chat_member": call.bot.json()})
    return True


def _group(call: Call) -> Group:
    """Whoever may say nothing there can still ask."""
    chat = call.chat(to_write=False)
    if chat.member(call.bot).status != "restricted":
        chat.check_open_to(call.bot)
    if not isinstance(chat, Group):
        raise bad("there are no administrators in the private chat")
    return chat


def _photo(chat: Chat) -> list[Any]:
    if isinstance(chat, PrivateChat):
        return next(iter(chat.person.photos), [])
    return chat.photo
