# SPDX-License-Identifier: Apache-2.0
"""A bot in chats of somebody who has let it in."""

from __future__ import annotations

import pytest
import telegram
from telegram import ReplyParameters
from telegram.constants import ChatAction
from telegram.error import BadRequest, Forbidden

from tests.peers.bot_api import Bot, BotApi, Person
from tests.peers.bot_api.business import PersonalChat


@pytest.fixture
def bob(api: BotApi) -> Person:
    """Whom Anna writes with."""
    return api.person("Bob")


@pytest.fixture
def chat(api: BotApi, bot: Bot, anna: Person, bob: Person) -> PersonalChat:
    """Theirs, as Anna has it, who lets the bot do what is needed."""
    bot.is_secretary = True
    return api.world.connect(anna, bot, "can_reply", "can_read_messages").chat(bob)


async def test_what_both_say(
    client: telegram.Bot, chat: PersonalChat, anna: Person, bob: Person
) -> None:
    said = bob.say(chat, "hi")
    own = anna.say(chat, "hello", reply_to=said)
    bob.edit(said, "hi there")
    bob.delete(said)
    connected, theirs, mine, edited, deleted = await client.get_updates()
    assert connected.business_connection is not None
    assert connected.business_connection.user.id == anna.id
    assert connected.business_connection.rights is not None
    assert connected.business_connection.rights.can_reply
    assert theirs.business_message is not None
    assert (theirs.business_message.text, theirs.business_message.chat.id) == ("hi", bob.id)
    assert theirs.business_message.business_connection_id == chat.connection.id
    assert mine.business_message is not None
    assert mine.business_message.from_user is not None
    assert (mine.business_message.from_user.id, mine.business_message.chat.id) == (anna.id, bob.id)
    assert mine.business_message.message_id == own.id
    assert edited.edited_business_message is not None
    assert edited.edited_business_message.text == "hi there"
    assert deleted.deleted_business_messages is not None
    assert list(deleted.deleted_business_messages.message_ids) == [said.id]
    assert (await client.get_business_connection(chat.connection.id)).is_enabled


async def test_what_the_bot_says_in_the_name_of_somebody(
    client: telegram.Bot, bot: Bot, chat: PersonalChat, anna: Person, bob: Person
) -> None:
    said = bob.say(chat, "hi")
    bot.updates.expire()
    by = chat.connection.id
    assert await client.send_chat_action(bob.id, ChatAction.TYPING, business_connection_id=by)
    sent = await client.send_message(
        bob.id, "hello", business_connection_id=by, reply_parameters=ReplyParameters(said.id)
    )
    assert sent.from_user is not None
    assert sent.from_user.id == anna.id
    assert sent.sender_business_bot is not None
    assert sent.sender_business_bot.id == bot.id
    assert [message.text for message in chat.seen.items] == ["hello"]
    (echo,) = await client.get_updates()
    assert echo.business_message is not None
    assert echo.business_message.message_id == sent.message_id
    edited = await client.edit_message_text(
        "hello!", bob.id, sent.message_id, business_connection_id=by
    )
    assert not isinstance(edited, bool)
    assert edited.text == "hello!"
    assert await client.read_business_message(by, bob.id, said.id)
    assert chat.read_up_to == said.id


async def test_what_it_may_not(
    client: telegram.Bot, api: BotApi, chat: PersonalChat, anna: Person, bob: Person
) -> None:
    by = chat.connection.id

    async def fails(why: str, connection: str = by, to: Person = bob) -> None:
        with pytest.raises(BadRequest, match=f"(?i){why}"):
            await client.send_message(to.id, "hello", business_connection_id=connection)

    await fails("business_peer_usage_missing")
    said = bob.say(chat, "hi")
    said.date -= 24 * 3600
    await fails("business_peer_usage_missing")
    with pytest.raises(BadRequest, match="Business_peer_usage_missing"):
        await client.read_business_message(by, bob.id, said.id)
    bob.say(chat, "still there?")
    await fails("business connection not found", connection="nonsense")
    await fails("business_peer_invalid", to=api.person("Carol"))
    with pytest.raises(BadRequest, match="Bot_access_forbidden"):
        await client.delete_business_messages(by, [said.id])
    chat.connection.change("can_delete_outgoing_messages")
    await fails("bot_access_forbidden")
    own = anna.say(chat, "mine")
    with pytest.raises(BadRequest, match="Bot_access_forbidden"):
        await client.delete_business_messages(by, [own.id])
    chat.connection.change("can_delete_all_messages")
    assert await client.delete_business_messages(by, [said.id, own.id])
    assert own.is_deleted
    chat.connection.change("can_reply", is_enabled=False)
    await fails("business_connection_invalid")
    before = len(await client.get_updates())
    bob.say(chat, "among ourselves")
    assert len(await client.get_updates()) == before


async def test_what_it_has_said_it_may_take_back(
    client: telegram.Bot, bot: Bot, chat: PersonalChat, bob: Person
) -> None:
    chat.connection.change("can_reply", "can_delete_outgoing_messages")
    by = chat.connection.id
    said = bob.say(chat, "hi")
    sent = await client.send_message(bob.id, "hello", business_connection_id=by)
    with pytest.raises(BadRequest, match="Bot_access_forbidden"):
        await client.delete_business_messages(by, [said.id, sent.message_id])
    bot.updates.expire()
    assert await client.delete_business_messages(by, [sent.message_id])
    (deleted,) = await client.get_updates()
    assert deleted.deleted_business_messages is not None
    assert list(deleted.deleted_business_messages.message_ids) == [sent.message_id]
    assert list(chat.messages) == [said.id]


async def test_what_its_owner_has_said_it_may_change_for_two_days(
    client: telegram.Bot, chat: PersonalChat, anna: Person, bob: Person
) -> None:
    by = chat.connection.id
    bob.say(chat, "hi")
    old, own = anna.say(chat, "before"), anna.say(chat, "now")
    old.date -= 48 * 3600
    assert await client.edit_message_text("now!", bob.id, own.id, business_connection_id=by)
    with pytest.raises(BadRequest, match="can't be edited"):
        await client.edit_message_text("before!", bob.id, old.id, business_connection_id=by)
    with pytest.raises(BadRequest, match="sent to self"):
        await client.send_message(anna.id, "note", business_connection_id=by)


async def test_who_is_known_by_it_is_not_written_to_without_it(
    client: telegram.Bot, chat: PersonalChat, bob: Person
) -> None:
    assert (await client.get_chat(bob.id)).first_name == "Bob"
    with pytest.raises(Forbidden, match="can't initiate conversation"):
        await client.send_message(bob.id, "hello")
