# SPDX-License-Identifier: Apache-2.0
"""Our Bot API server: what administrators do."""

from __future__ import annotations

import pytest
import telegram
from telegram import ChatPermissions
from telegram.error import BadRequest

from tests.peers.bot_api import Bot, BotApi, Group, Person

_RIGHTS = ("can_restrict_members", "can_promote_members", "can_change_info")


@pytest.fixture
def bea(api: BotApi, friends: Group, bot: Bot) -> Person:
    """Somebody in a supergroup in which the bot may do most things."""
    bea = api.person("Bea")
    api.groups.add(friends, bea)
    api.groups.promote(friends, bot, *_RIGHTS)
    return bea


async def test_who_is_put_out_is_banned_for_a_minute(
    client: telegram.Bot, friends: Group, bot: Bot, bea: Person
) -> None:
    await client.get_updates(allowed_updates=["chat_member"])
    bot.updates.expire()
    await client.unban_chat_member(friends.id, bea.id)
    assert friends.member(bea).status == "left"
    changes = [each.chat_member for each in await client.get_updates()]
    assert [each and each.new_chat_member.status for each in changes] == ["kicked", "left"]
    banned = changes[0] and changes[0].new_chat_member
    assert isinstance(banned, telegram.ChatMemberBanned)
    assert changes[0] is not None
    assert (banned.until_date - changes[0].date).total_seconds() == 60
    assert changes[0].from_user.id == bot.id
    await client.ban_chat_member(friends.id, bea.id)
    await client.unban_chat_member(friends.id, bea.id, only_if_banned=True)
    assert friends.member(bea).status == "left"


async def test_only_what_is_held_can_be_given(
    client: telegram.Bot, api: BotApi, friends: Group, bea: Person
) -> None:
    await client.promote_chat_member(friends.id, bea.id, can_change_info=True)
    assert friends.member(bea).rights == {"can_manage_chat", "can_change_info"}
    with pytest.raises(BadRequest, match=r"RIGHT_FORBIDDEN|Right_forbidden"):
        await client.promote_chat_member(friends.id, bea.id, can_delete_messages=True)
    await client.promote_chat_member(friends.id, bea.id)
    assert friends.member(bea).status == "member"
    api.groups.promote(friends, bea)
    with pytest.raises(BadRequest, match=r"(?i)chat_admin_required"):
        await client.promote_chat_member(friends.id, bea.id)
    with pytest.raises(BadRequest, match=r"(?i)is an administrator of the chat"):
        await client.ban_chat_member(friends.id, bea.id)


async def test_who_may_not_speak_and_who_may_do_all(
    client: telegram.Bot, friends: Group, bea: Person
) -> None:
    for permissions, status in (
        (ChatPermissions(can_invite_users=True), "restricted"),
        (ChatPermissions.all_permissions(), "member"),
    ):
        await client.restrict_chat_member(
            friends.id, bea.id, permissions, use_independent_chat_permissions=True
        )
        assert friends.member(bea).status == status


async def test_a_basic_group_can_do_less(client: telegram.Bot, api: BotApi, bot: Bot) -> None:
    owner, bea = api.person("Owner"), api.person("Bea")
    group = api.groups.create("Basic", owner, bea, bot)
    with pytest.raises(BadRequest, match=r"(?i)need to be inviter"):
        await client.ban_chat_member(group.id, bea.id)
    api.groups.promote(group, bot)
    for refused in (
        client.unban_chat_member(group.id, bea.id),
        client.promote_chat_member(group.id, bea.id, can_change_info=True),
        client.restrict_chat_member(
            group.id, bea.id, ChatPermissions(), use_independent_chat_permissions=True
        ),
    ):
        with pytest.raises(BadRequest, match=r"(?i)for supergroup"):
            await refused
    with pytest.raises(BadRequest, match=r"(?i)can't remove chat owner"):
        await client.ban_chat_member(group.id, owner.id)
    await client.ban_chat_member(group.id, bea.id)
    assert group.member(bea).status == "left"


async def test_what_a_group_is_called(
    client: telegram.Bot, api: BotApi, friends: Group, bot: Bot, bea: Person
) -> None:
    await client.set_chat_title(friends.id, "Foes")
    await client.set_chat_description(friends.id, "No more")
    assert (friends.title, friends.description) == ("Foes", "No more")
    with pytest.raises(BadRequest, match="not modified"):
        await client.set_chat_description(friends.id, "No more")
    api.groups.demote(friends, bot)
    with pytest.raises(BadRequest, match=r"(?i)not enough rights to change chat title"):
        await client.set_chat_title(friends.id, "Friends")
