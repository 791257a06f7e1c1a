# SPDX-License-Identifier: Apache-2.0
"""Groups: who is in them, what bots see there, topics, and what becomes of them."""

from __future__ import annotations

import pytest
import telegram
from telegram import (
    BotCommand,
    ChatMemberAdministrator,
    ChatMemberOwner,
    ChatMemberRestricted,
    ReplyParameters,
    Update,
)
from telegram.constants import ChatAction, ChatType
from telegram.error import BadRequest, ChatMigrated, Forbidden

from tests.peers.bot_api import Bot, BotApi, Group, Person

from .test_media import picture


async def test_coming_and_going(client: telegram.Bot, api: BotApi, anna: Person, bot: Bot) -> None:
    group = api.groups.create("Friends", anna, bot)
    mine, hello = await client.get_updates()
    assert mine.my_chat_member is not None
    assert mine.my_chat_member.new_chat_member.status == "member"
    assert hello.message is not None
    assert hello.message.new_chat_members[0].id == bot.id
    assert hello.message.chat.type == ChatType.GROUP
    bob = api.person("Bob")
    api.groups.add(group, bob)
    api.groups.remove(group, bob, by=anna)
    came, went = await client.get_updates(offset=hello.update_id + 1)
    assert came.message is not None
    assert came.message.new_chat_members[0].first_name == "Bob"
    assert went.message is not None
    assert went.message.left_chat_member is not None
    assert group.member(bob).status == "kicked"
    api.groups.remove(group, bot, by=anna)
    updates = await client.get_updates(offset=went.update_id + 1)
    assert updates[0].my_chat_member is not None
    assert updates[0].my_chat_member.new_chat_member.status == "kicked"
    assert updates[1].message is not None
    assert updates[1].message.left_chat_member is not None
    assert updates[1].message.left_chat_member.id == bot.id
    anna.say(group, "now that it is gone")
    assert len(await client.get_updates(offset=updates[-1].update_id + 1)) == 0
    with pytest.raises(Forbidden, match="bot was kicked from the group chat"):
        await client.send_message(group.id, "hello?")


async def test_a_bot_leaves(client: telegram.Bot, friends: Group, bot: Bot) -> None:
    await client.leave_chat(friends.id)
    assert friends.member(bot).status == "left"
    with pytest.raises(Forbidden, match="bot is not a member of the supergroup chat"):
        await client.send_message(friends.id, "hello?")


async def test_a_bot_that_may_say_nothing(
    client: telegram.Bot, api: BotApi, bot: Bot, friends: Group
) -> None:
    api.groups.restrict(friends, bot)
    with pytest.raises(BadRequest, match="Not enough rights to send text messages"):
        await client.send_message(friends.id, "hello")
    (update,) = await client.get_updates()
    assert update.my_chat_member is not None
    assert isinstance(update.my_chat_member.new_chat_member, ChatMemberRestricted)


async def test_privacy_mode(client: telegram.Bot, api: BotApi, anna: Person, bot: Bot) -> None:
    bot.reads_all = False
    group = api.groups.create("Friends", anna, bot)
    bot.updates.expire()
    sent = await client.send_message(group.id, "here I am")
    anna.say(group, "among ourselves")
    anna.say(group, "/help")
    anna.say(group, "/help@other_bot")
    anna.say(group, "dear @relay_bot")
    anna.say(group, "an answer", reply_to=group.messages[sent.message_id])
    assert texts(await client.get_updates()) == ["/help", "dear @relay_bot", "an answer"]
    bot.updates.expire()
    bot.reads_all = True
    anna.say(group, "it does not count yet")
    assert texts(await client.get_updates()) == []
    api.groups.add(group, bot)
    anna.say(group, "now it does")
    assert texts(await client.get_updates()) == ["now it does"]


async def test_bots_do_not_see_bots(
    client: telegram.Bot, api: BotApi, bot: Bot, friends: Group
) -> None:
    other = api.bot("Other", "other_bot")
    api.groups.add(friends, other)
    other.updates.expire()
    await client.send_message(friends.id, "hello")
    assert other.updates.waiting == []


async def test_who_is_what(
    client: telegram.Bot, api: BotApi, anna: Person, bot: Bot, friends: Group
) -> None:
    bob = api.person("Bob")
    with pytest.raises(BadRequest, match="Participant_id_invalid"):
        await client.get_chat_member(friends.id, 4711)
    assert (await client.get_chat_member(friends.id, bob.id)).status == "left"
    api.groups.add(friends, bob)
    api.groups.promote(friends, bot, "can_delete_messages", title="relay")
    assert await client.get_chat_member_count(friends.id) == 3
    owner, admin = await client.get_chat_administrators(friends.id)
    assert isinstance(owner, ChatMemberOwner)
    assert owner.user.id == anna.id
    assert isinstance(admin, ChatMemberAdministrator)
    assert (admin.custom_title, admin.can_delete_messages) == ("relay", True)
    assert not admin.can_change_info
    api.groups.demote(friends, bot)
    assert len(await client.get_chat_administrators(friends.id)) == 1


async def test_what_a_chat_is(
    client: telegram.Bot, api: BotApi, anna: Person, bot: Bot, friends: Group
) -> None:
    friends.description = "about nothing"
    friends.reactions = {"👍"}
    friends.photo = api.world.files.photo(picture())
    full = await client.get_chat(friends.id)
    assert (full.title, full.description) == ("Friends", "about nothing")
    assert full.available_reactions is not None
    assert [each.to_dict()["emoji"] for each in full.available_reactions] == ["👍"]
    assert full.photo is not None
    assert (await full.photo.get_big_file()).file_size
    anna.start(bot)
    anna.show(picture(640, 640))
    anna.bio = "me"
    private = await client.get_chat(anna.id)
    assert (private.first_name, private.username, private.bio) == ("Anna", "anna_e", "me")
    photos = await client.get_user_profile_photos(anna.id)
    assert [[each.width for each in sizes] for sizes in photos.photos] == [[160, 320, 640]]
    with pytest.raises(BadRequest, match="Chat not found"):
        await client.get_chat(-4711)


async def test_topics(client: telegram.Bot, api: BotApi, anna: Person, bot: Bot) -> None:
    forum = api.groups.create("Forum", anna, bot, is_forum=True)
    bot.updates.expire()
    topic = api.groups.open_topic(forum, "News")
    anna.say(forum, "in it", topic=topic)
    anna.say(forum, "not in it")
    api.groups.rename_topic(forum, topic, "Olds")
    opened, inside, outside, renamed = (each.message for each in await client.get_updates())
    assert opened is not None
    assert opened.forum_topic_created is not None
    assert (opened.message_id, opened.message_thread_id) == (topic, topic)
    assert opened.chat.is_forum
    assert inside is not None
    assert (inside.message_thread_id, inside.is_topic_message) == (topic, True)
    assert inside.reply_to_message is not None, "of its creation, as in the vendor's server"
    assert inside.reply_to_message.message_id == topic
    assert outside is not None
    assert outside.message_thread_id is None
    assert renamed is not None
    assert renamed.forum_topic_edited is not None
    sent = await client.send_message(forum.id, "yes", message_thread_id=topic)
    assert sent.is_topic_message
    with pytest.raises(BadRequest, match="Message thread not found"):
        await client.send_message(forum.id, "yes", message_thread_id=4711)
    api.groups.close_topic(forum, topic)
    with pytest.raises(BadRequest, match="Topic_closed"):
        await client.send_message(forum.id, "yes", message_thread_id=topic)
    api.groups.close_topic(forum, topic, again=True)
    await client.send_message(forum.id, "yes", message_thread_id=topic)


async def test_who_may_write_into_which_topic(
    client: telegram.Bot, api: BotApi, anna: Person, bot: Bot, friends: Group
) -> None:
    """Into closed ones administrators who manage topics; into none that is gone, nor where there
    are none. An answer goes where what it answers is."""
    forum = api.groups.create("Forum", anna, bot, is_forum=True)
    topic = api.groups.open_topic(forum, "News")
    said = anna.say(forum, "in it", topic=topic)
    for closed in (topic, None):
        api.groups.close_topic(forum, closed)
        with pytest.raises(BadRequest, match="Topic_closed"):
            await client.send_message(forum.id, "yes", message_thread_id=closed)
    with pytest.raises(BadRequest, match="Topic_closed"):
        await client.send_message(forum.id, "yes", reply_parameters=ReplyParameters(said.id))
    api.groups.promote(forum, bot, "can_manage_topics")
    sent = await client.send_message(forum.id, "yes", reply_parameters=ReplyParameters(said.id))
    assert (sent.message_thread_id, sent.is_topic_message) == (topic, True)
    api.groups.delete_topic(forum, topic)
    assert said.is_deleted
    for chat, thread in ((forum, topic), (friends, 1)):
        with pytest.raises(BadRequest, match="Message thread not found"):
            await client.send_message(chat.id, "yes", message_thread_id=thread)


async def test_chains_of_answers_are_no_topics(
    client: telegram.Bot, anna: Person, friends: Group
) -> None:
    first = anna.say(friends, "one")
    second = anna.say(friends, "two", reply_to=first)
    anna.say(friends, "three", reply_to=second)
    messages = [each.message for each in await client.get_updates()]
    found = [
        (each and each.message_thread_id, each and each.is_topic_message) for each in messages
    ]
    assert found == [(None, None), (first.id, None), (first.id, None)]


async def test_topics_of_a_chat(client: telegram.Bot, api: BotApi, anna: Person, bot: Bot) -> None:
    bot.has_topics = True
    topic = anna.open_topic(bot, "News")
    anna.say(bot, "in it", topic=topic)
    opened, inside = (each.message for each in await client.get_updates())
    assert opened is not None
    assert opened.forum_topic_created is not None
    assert inside is not None
    assert (inside.message_thread_id, inside.is_topic_message) == (topic, True)
    sent = await client.send_message(anna.id, "yes", message_thread_id=topic)
    assert sent.message_thread_id == topic
    with pytest.raises(BadRequest, match="Message thread not found"):
        await client.send_message(anna.id, "yes", message_thread_id=4711)


async def test_a_poll_is_told_again_when_it_is_closed(
    client: telegram.Bot, anna: Person, friends: Group
) -> None:
    """What was told before stays as it was, and nobody is told where it is."""
    asked = anna.ask(friends, "Tea?", "yes", "no")
    anna.close_poll(asked, 2, 1)
    begun, closed = await client.get_updates()
    assert begun.message is not None
    assert begun.message.poll is not None
    assert (begun.message.poll.is_closed, begun.message.poll.total_voter_count) == (False, 0)
    assert closed.message is None
    assert closed.poll is not None
    assert (closed.poll.id, closed.poll.is_closed) == (begun.message.poll.id, True)
    assert [option.voter_count for option in closed.poll.options] == [2, 1]


async def test_a_group_gets_another_id(
    client: telegram.Bot, api: BotApi, anna: Person, bot: Bot
) -> None:
    group = api.groups.create("Friends", anna, bot)
    bot.updates.expire()
    new = api.groups.upgrade(group)
    old_side, new_side = (each.message for each in await client.get_updates())
    assert old_side is not None
    assert (old_side.chat.id, old_side.migrate_to_chat_id) == (group.id, new.id)
    assert new_side is not None
    assert (new_side.chat.id, new_side.migrate_from_chat_id) == (new.id, group.id)
    with pytest.raises(ChatMigrated) as raised:
        await client.send_message(group.id, "hello")
    assert raised.value.new_chat_id == new.id
    await client.send_message(new.id, "hello")


async def test_other_events(
    client: telegram.Bot, api: BotApi, anna: Person, friends: Group
) -> None:
    api.groups.rename(friends, "Foes")
    said = anna.say(friends, "read this", is_anonymous=True)
    api.groups.pin(said)
    anna.say(friends, "of others", forwarded_from="Somebody")
    anna.say(friends, "of mine", forwarded_from=anna)
    renamed, secret, pinned, other, mine = (each.message for each in await client.get_updates())
    assert renamed is not None
    assert renamed.new_chat_title == "Foes"
    assert secret is not None
    assert secret.sender_chat is not None
    assert secret.sender_chat.id == friends.id
    assert secret.from_user is not None
    assert secret.from_user.username == "GroupAnonymousBot"
    assert pinned is not None
    assert pinned.pinned_message is not None
    assert pinned.pinned_message.message_id == said.id
    assert other is not None
    assert other.forward_origin is not None
    assert other.forward_origin.type == "hidden_user"
    assert mine is not None
    assert mine.forward_origin is not None
    assert mine.forward_origin.type == "user"


async def test_what_is_not_kept(client: telegram.Bot, api: BotApi, friends: Group) -> None:
    assert await client.send_chat_action(friends.id, ChatAction.TYPING)
    assert api.done.items[-1].arguments["action"] == "typing"
    commands = [BotCommand("help", "what there is")]
    assert await client.set_my_commands(commands)
    assert list(await client.get_my_commands()) == commands
    assert await client.delete_my_commands()
    assert await client.get_my_commands() == ()


async def test_logging_out(client: telegram.Bot, bot: Bot) -> None:
    assert await client.close()
    assert await client.log_out()
    with pytest.raises(BadRequest, match="Logged out"):
        await client.get_me()
    bot.logged_out = False


def texts(updates: tuple[Update, ...]) -> list[str | None]:
    """What was said in them."""
    return [each.message.text for each in updates if each.message and each.message.text]
