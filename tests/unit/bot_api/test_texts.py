# SPDX-License-Identifier: Apache-2.0
"""Texts both ways, by somebody else's library over the socket."""

from __future__ import annotations

import pytest
import telegram
from telegram import LinkPreviewOptions, MessageEntity, ReplyParameters, Update
from telegram.constants import ChatType
from telegram.error import BadRequest, Forbidden, InvalidToken

from tests.peers.bot_api import Bot, BotApi, Group, Person

from .conftest import client_of


async def test_who_the_bot_is(client: telegram.Bot, bot: Bot) -> None:
    me = await client.get_me()
    assert (me.id, me.username, me.can_read_all_group_messages) == (bot.id, "relay_bot", True)


async def test_a_text_of_a_person(client: telegram.Bot, anna: Person, bot: Bot) -> None:
    said = anna.say(bot, "  hello /start@relay_bot and https://example.org/a.  ")
    (update,) = await client.get_updates()
    message = update.message
    assert message is not None
    assert message.from_user is not None
    assert (message.from_user.full_name, message.chat.id) == ("Anna Example", anna.id)
    assert (message.message_id, message.chat.type) == (said.id, ChatType.PRIVATE)
    assert message.text == "hello /start@relay_bot and https://example.org/a."
    assert message.parse_entities() == {
        MessageEntity("bot_command", 6, 16): "/start@relay_bot",
        MessageEntity("url", 27, 21): "https://example.org/a",
    }


async def test_a_text_of_the_bot(
    client: telegram.Bot, api: BotApi, anna: Person, friends: Group
) -> None:
    text = "😀 bold and anna"
    entities = [
        MessageEntity("bold", 3, 4),
        MessageEntity("text_mention", 12, 4, user=telegram.User(anna.id, "", False)),
    ]
    sent = await client.send_message(
        friends.id,
        text,
        entities=entities,
        link_preview_options=LinkPreviewOptions(is_disabled=True),
    )
    seen = await friends.seen.wait_for(lambda message: message.text == text)
    assert seen.entities[0] == {"type": "bold", "offset": 3, "length": 4}
    assert seen.entities[1]["user"]["first_name"] == "Anna"
    assert sent.message_id == seen.id
    assert sent.link_preview_options == LinkPreviewOptions(is_disabled=True)
    assert [asked.method for asked in api.done.items] == ["getMe", "sendMessage"]


async def test_bots_are_not_told_of_what_they_said(
    client: telegram.Bot, friends: Group, bot: Bot
) -> None:
    sent = await client.send_message(friends.id, "one")
    await client.edit_message_text("two", friends.id, sent.message_id)
    assert friends.texts[-1] == "two"
    assert bot.updates.waiting == []


async def test_answers_and_quotes(client: telegram.Bot, anna: Person, friends: Group) -> None:
    said = anna.say(friends, "one 😀 two")
    sent = await client.send_message(
        friends.id, "yes", reply_parameters=ReplyParameters(said.id, quote="two")
    )
    assert sent.reply_to_message is not None
    assert sent.reply_to_message.text == "one 😀 two"
    assert sent.quote is not None
    assert (sent.quote.text, sent.quote.position) == ("two", 7)
    anna.say(friends, "so?", reply_to=friends.messages[sent.message_id], quote="es")
    updates = await client.get_updates()
    answer = updates[-1].message
    assert answer is not None
    assert answer.reply_to_message is not None
    assert answer.reply_to_message.message_id == sent.message_id
    assert answer.reply_to_message.reply_to_message is None
    assert answer.quote is not None
    assert answer.quote.position == 1


async def test_a_quote_has_the_styles_of_what_it_quotes(
    client: telegram.Bot, anna: Person, friends: Group
) -> None:
    """Links and the like are none; what lies around the quote is cut."""
    styles = [
        {"type": "bold", "offset": 0, "length": 6},
        {"type": "code", "offset": 7, "length": 5},
    ]
    said = anna.say(friends, "😀 two three", styles)
    for quote in ("two", "😀 three"):
        with pytest.raises(BadRequest, match="Quote_text_invalid"):
            await client.send_message(
                friends.id, "yes", reply_parameters=ReplyParameters(said.id, quote=quote)
            )
    bold = MessageEntity("bold", 0, 3)
    styled = ReplyParameters(said.id, quote="two", quote_entities=[bold])
    sent = await client.send_message(friends.id, "yes", reply_parameters=styled)
    assert sent.quote is not None
    assert sent.quote.entities == (bold,)
    plain = ReplyParameters(said.id, quote="three")
    sent = await client.send_message(friends.id, "yes", reply_parameters=plain)
    assert sent.quote is not None
    assert sent.quote.entities == ()


async def test_answers_to_what_is_gone(client: telegram.Bot, anna: Person, friends: Group) -> None:
    said = anna.say(friends, "one")
    anna.delete(said)
    gone = ReplyParameters(said.id)
    with pytest.raises(BadRequest, match=r"^Message to be replied not found$"):
        await client.send_message(friends.id, "yes", reply_parameters=gone)
    gone = ReplyParameters(said.id, allow_sending_without_reply=True)
    sent = await client.send_message(friends.id, "yes", reply_parameters=gone)
    assert sent.reply_to_message is None


async def test_edits_both_ways(client: telegram.Bot, anna: Person, friends: Group) -> None:
    said = anna.say(friends, "helo")
    anna.edit(said, "hello")
    new, edited = await client.get_updates()
    assert new.message is not None
    assert new.message.text == "helo"
    assert edited.edited_message is not None
    assert edited.edited_message.text == "hello"
    assert edited.edited_message.edit_date is not None
    sent = await client.send_message(friends.id, "one")
    with pytest.raises(BadRequest, match="is not modified"):
        await client.edit_message_text("one", friends.id, sent.message_id)
    with pytest.raises(BadRequest, match="can't be edited"):
        await client.edit_message_text("two", friends.id, said.id)
    with pytest.raises(BadRequest, match="to edit not found"):
        await client.edit_message_text("two", friends.id, 4711)


async def test_taking_back(
    client: telegram.Bot, api: BotApi, anna: Person, bot: Bot, friends: Group
) -> None:
    sent = await client.send_message(friends.id, "one")
    said = anna.say(friends, "two")
    assert await client.delete_message(friends.id, sent.message_id)
    assert "one" not in friends.texts
    with pytest.raises(BadRequest, match="to delete not found"):
        await client.delete_message(friends.id, sent.message_id)
    with pytest.raises(BadRequest, match="can't be deleted"):
        await client.delete_message(friends.id, said.id)
    api.groups.promote(friends, bot, "can_delete_messages")
    assert await client.delete_messages(friends.id, [said.id, 4711])
    assert said.is_deleted


async def test_after_two_days_nothing_of_a_private_chat_is_taken_back(
    client: telegram.Bot, api: BotApi, anna: Person, bot: Bot
) -> None:
    said = anna.start(bot)
    said.date -= 48 * 3600
    with pytest.raises(BadRequest, match="can't be deleted"):
        await client.delete_message(anna.id, said.id)


async def test_reactions(
    client: telegram.Bot, api: BotApi, anna: Person, bot: Bot, friends: Group
) -> None:
    sent = await client.send_message(friends.id, "one")
    message = friends.messages[sent.message_id]
    assert not await client.get_updates(allowed_updates=Update.ALL_TYPES)
    anna.react(message, "👍")
    assert not await client.get_updates(), "it is no admin"
    api.groups.promote(friends, bot)
    anna.react(message, "👍", "❤")
    updates = await client.get_updates()
    told = updates[-1].message_reaction
    assert told is not None
    assert [each.to_dict()["emoji"] for each in told.old_reaction] == ["👍"]
    assert [each.to_dict()["emoji"] for each in told.new_reaction] == ["👍", "❤"]
    assert await client.set_message_reaction(friends.id, sent.message_id, "🔥")
    assert message.reactions[bot.id] == [{"type": "emoji", "emoji": "🔥"}]
    assert await client.set_message_reaction(friends.id, sent.message_id)
    assert message.reactions[bot.id] == []
    with pytest.raises(BadRequest, match="Reactions_too_many"):
        await client.set_message_reaction(friends.id, sent.message_id, ["🔥", "👍"])
    friends.reactions = {"👍"}
    with pytest.raises(BadRequest, match="Reaction_invalid"):
        await client.set_message_reaction(friends.id, sent.message_id, "🔥")


async def test_who_may_be_written_to(client: telegram.Bot, anna: Person, bot: Bot) -> None:
    with pytest.raises(BadRequest, match=r"^Chat not found$"):
        await client.send_message(anna.id, "hello")
    anna.start(bot)
    await client.send_message(anna.id, "hello")
    anna.block(bot)
    with pytest.raises(Forbidden, match="bot was blocked by the user"):
        await client.send_message(anna.id, "hello")
    updates = await client.get_updates()
    told = updates[-1].my_chat_member
    assert told is not None
    assert told.new_chat_member.status == "kicked"
    anna.unblock(bot)
    await client.send_message(anna.id, "hello again")


async def test_whom_a_bot_only_knows_from_a_group(
    client: telegram.Bot, anna: Person, friends: Group
) -> None:
    assert (await client.get_chat(anna.id)).first_name == "Anna"
    with pytest.raises(Forbidden, match="bot can't initiate conversation with a user"):
        await client.send_message(anna.id, "hello")
    anna.leave_telegram()
    assert (await client.get_chat_member(friends.id, anna.id)).user.first_name == ""
    with pytest.raises(Forbidden, match="user is deactivated"):
        await client.send_message(anna.id, "hello")


async def test_somebody_who_moves(client: telegram.Bot, anna: Person, bot: Bot) -> None:
    place = {"latitude": 48.2, "longitude": 16.3, "live_period": 900}
    said = anna.send(bot, {"location": place})
    anna.change(said, {"location": {**place, "longitude": 16.4, "heading": 90}})
    anna.change(said, said.content)
    sent, moved, same = await client.get_updates()
    assert sent.message is not None
    assert moved.edited_message is not None
    assert moved.edited_message.location is not None
    assert moved.edited_message.location.longitude == 16.4
    assert same.edited_message is not None
    assert same.edited_message.location == moved.edited_message.location


async def test_a_token_that_is_worth_nothing(api: BotApi, bot: Bot, client: telegram.Bot) -> None:
    bot.revoke()
    with pytest.raises(InvalidToken):
        await client.get_me()
    async with client_of(api, bot) as again:
        assert (await again.get_me()).id == bot.id
