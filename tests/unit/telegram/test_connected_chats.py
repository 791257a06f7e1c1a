# SPDX-License-Identifier: Apache-2.0
"""What is said in the user's own chats, both ways."""

from collections.abc import Callable

import pytest

from gateway.adapter import Contact
from gateway.errors import (
    AdapterError,
    Forbidden,
    NotFound,
    RateLimited,
    Uncertain,
    Unsupported,
)
from gateway.events import (
    ContactCard,
    FileKind,
    MarkRead,
    Mention,
    React,
    RemoteMessage,
    RemoteNotice,
    RemoteProfile,
    RemoteRetraction,
    RemoteUnreadable,
    Retract,
    SendText,
    SentFile,
)
from gateway.ids import RemoteMessageId, RemoteUserId
from gateway.text import Span, Style
from tests.peers.bot_api import bad
from tests.unit.telegram.own_chats import ALL, Own, connected
from tests.unit.telegram.world import World, picture

_DAY_S = 86_400
_URL = "https://files.example/1"


@pytest.fixture
async def own(world: World) -> Own:
    """Alice has proved that it is her account, and Bob has said something."""
    made = connected(world, *ALL)
    async with world.running():
        await made.prove()
        made.bob.say(made.chat, "hi")
        await world.account.text("hi")
    return made


# --- what comes -------------------------------------------------------------------------------


async def test_what_both_say_with_its_names(own: Own) -> None:
    theirs = own.bob.say(own.chat, "see?", [{"type": "bold", "offset": 0, "length": 3}])
    mine = own.alice.say(own.chat, "yes", reply_to=theirs)
    async with own.world.running():
        said = await own.account.text("see?")
        answer = await own.account.text("yes")
    assert (said.contact, said.id, said.own) == (own.contact, own.id(theirs), False)
    assert said.spans == (Span(Style.BOLD, 0, 3),)
    assert (answer.contact, answer.id, answer.own) == (own.contact, own.id(mine), True)
    assert answer.reply_to == own.id(theirs)
    told = own.account.of(RemoteProfile)[-1]
    assert (told.contact, told.name) == (own.contact, "Bob Burns")


def _pictured(contact: str) -> Callable[[RemoteProfile], bool]:
    return lambda told: told.contact == contact and bool(told.avatar)


async def test_somebody_has_one_picture_in_both_chats(own: Own) -> None:
    own.bob.show(picture("red"))
    own.world.clock.ahead += _DAY_S
    async with own.world.running() as session:
        shown = []
        for where, contact in ((own.chat, own.contact), (own.bot, str(own.bob.id))):
            own.bob.say(where, "look at me")
            shown.append(await own.account.first(RemoteProfile, _pictured(contact)))
        assert shown[0].avatar == shown[1].avatar
        assert (await session.find(own.contact)).avatar == shown[0].avatar


async def test_who_is_named_is_who_is_known_there(own: Own) -> None:
    """The user is who the gateway takes for them, which is the bot."""
    user = own.account.remote_id
    at = [{"type": "text_mention", "offset": 0, "length": 5, "user": own.alice.json()}]
    own.bob.say(own.chat, "Alice!", at)
    async with own.world.running() as session:
        called = await own.account.text("Alice!")
        both = (Mention(user=user, begin=0, end=2), Mention(user=own.contact, begin=7, end=10))
        await session.send(own.text("me and Bob", mentions=both), "k.1")
        echo = await own.account.text("me and Bob")
    assert [(each.user, each.begin, each.end) for each in called.mentions] == [(user, 0, 5)]
    assert [each.user for each in echo.mentions] == [user, own.contact]
    named = [each["user"]["id"] for each in own.chat.seen.items[0].entities]
    assert named == [own.alice.id, own.bob.id]


async def test_what_both_edit_and_delete(own: Own) -> None:
    theirs, mine = own.bob.say(own.chat, "one"), own.alice.say(own.chat, "two")
    own.bob.edit(theirs, "one!")
    own.alice.edit(mine, "two!")
    own.bob.delete(theirs)
    own.bob.delete(mine)
    async with own.world.running():
        await own.account.until(lambda: len(own.account.of(RemoteRetraction)) == 2)
    edits = [(m.edits, m.body, m.own) for m in own.account.of(RemoteMessage) if m.edits]
    assert edits == [(own.id(theirs), "one!", False), (own.id(mine), "two!", True)]
    gone = own.account.of(RemoteRetraction)
    assert [(each.contact, each.message) for each in gone] == [
        (own.contact, own.id(theirs)),
        (own.contact, own.id(mine)),
    ]
    assert len({each.id for each in gone}) == 2


async def test_a_file_and_a_card(own: Own) -> None:
    own.bob.send_file(own.chat, "document", b"data", name="a.txt", caption="look")
    card = {"phone_number": "+1", "first_name": "Carol", "user_id": 7_000_000_099}
    own.bob.send(own.chat, {"contact": card})
    own.bob.send(own.chat, {"contact": {"phone_number": "+2", "first_name": "Dan"}})
    async with own.world.running() as session:
        shared = await own.account.text("look")
        await own.account.first(RemoteMessage, lambda m: bool(m.cards) and m.cards[0].user is None)
        (file,) = shared.files
        download = await session.download(file.reference)
        assert b"".join([chunk async for chunk in download.chunks]) == b"data"
        await download.close()
    assert own.account.of(RemoteMessage)[-2].cards == (
        ContactCard(name="Carol", phones=("+1",), user=RemoteUserId("me.7000000099")),
    )


async def test_what_nobody_has_said_is_a_line(own: Own) -> None:
    changed = own.bob.send(
        own.chat, {"message_auto_delete_timer_changed": {"message_auto_delete_time": 86_400 * 3}}
    )
    async with own.world.running():
        told = await own.account.first(RemoteNotice, lambda told: told.contact is not None)
    assert (told.contact, told.id) == (own.contact, own.id(changed))
    assert told.text == "Bob Burns has set that messages are deleted after 3 days."


async def test_what_cannot_be_read_is_told_in_its_own_chat(own: Own) -> None:
    """And of a stranger's nothing is, readable or not."""
    mallory = own.telegram.person("Mallory")
    other = own.telegram.world.connect(mallory, own.bot, *ALL).chat(own.bob)
    for chat in (own.chat, other):
        own.bob.say(chat, "spoilt")
        spoilt = own.bot.updates.waiting[-1]["business_message"]
        del spoilt["date"]
    own.bob.say(own.chat, "end")
    async with own.world.running():
        await own.account.text("end")
    (unreadable,) = own.account.of(RemoteUnreadable)
    assert unreadable.contact == own.contact
    assert unreadable.id.startswith(f"{own.contact}/update ")
    own.telegram.misuses.clear()  # which it was the server that made


# --- what goes --------------------------------------------------------------------------------


async def test_what_is_sent_is_the_users_and_comes_back_under_the_same_id(own: Own) -> None:
    asked = own.bob.say(own.chat, "tea?")
    async with own.world.running() as session:
        text = own.text("*Yes* 🙂", spans=(Span(Style.BOLD, 0, 5), Span(Style.MARK, 0, 1)))
        sent = await session.send(own.text("yes", reply_to=own.id(asked)), "k.1")
        echo = await own.account.text("yes")
        styled = await session.send(text, "k.2")
    first, second = own.chat.seen.items
    assert (first.sender, first.written_by, first.reply_to) == (own.alice, own.bot, asked)
    assert second.entities[0]["type"] == "bold"
    assert (sent.remote_id, echo.own) == (echo.id, True)
    assert styled.remote_id == own.id(second)


async def test_an_own_edit_comes_back_under_the_same_id(own: Own) -> None:
    """With whatever styles; else clients would be told of what they have done themselves."""
    async with own.world.running() as session:
        sent = await session.send(own.text("one"), "k.1")
        edit = own.text("two", edits=sent.remote_id, spans=(Span(Style.ITALIC, 0, 3),))
        edited = await session.send(edit, "k.2")
        echo = await own.account.text("two")
        again = await session.send(edit, "k.2")
    (message,) = own.chat.seen.items
    assert message.text == "two"
    assert (echo.edits, echo.own, echo.id) == (sent.remote_id, True, edited.remote_id)
    assert str(again.remote_id).startswith(f"{sent.remote_id}/")


async def test_what_the_user_edits_on_the_phone_is_another_edit(own: Own) -> None:
    async with own.world.running() as session:
        sent = await session.send(own.text("one"), "k.1")
        edited = await session.send(own.text("two", edits=sent.remote_id), "k.2")
        own.alice.edit(own.chat.seen.items[0], "three")
        echo = await own.account.text("three")
    assert (echo.edits, echo.own) == (sent.remote_id, True)
    assert echo.id != edited.remote_id


async def test_files_of_the_user(own: Own) -> None:
    own.account.files[_URL] = b"data"
    file = SentFile(url=_URL, name="a.pdf", kind=FileKind.FILE, media_type="application/pdf")
    answered = own.bob.say(own.chat, "send it")
    async with own.world.running() as session:
        sent = await session.send(own.text("here", file=file, reply_to=own.id(answered)), "k.1")
        (message,) = own.chat.seen.items
        assert (message.sender, message.reply_to, message.text) == (own.alice, answered, "here")
        assert "document" in message.content
        assert sent.remote_id == own.id(message)
        await session.send(own.text("there", edits=sent.remote_id), "k.2")
        assert message.text == "there"


async def test_what_is_taken_back(own: Own) -> None:
    async with own.world.running() as session:
        sent = await session.send(own.text("oops"), "k.1")
        assert sent.remote_id is not None
        for _ in range(2):  # the second time it is gone, and that is no error
            await session.send(Retract(contact=own.contact, message=sent.remote_id), "k.2")
        assert own.chat.seen.items[0].is_deleted
        await own.account.first(RemoteRetraction, lambda gone: gone.message == sent.remote_id)


async def test_read_marks_go_out(own: Own) -> None:
    adapter = own.world.adapter
    assert adapter.takes_read_marks(own.contact)
    assert not adapter.takes_read_marks(own.world.contact)
    assert not adapter.capabilities.read_marks
    said = [own.bob.say(own.chat, text) for text in ("one", "two")]
    async with own.world.running() as session:
        await session.send(MarkRead(contact=own.contact, up_to=own.id(said[0])), "k.1")
        assert own.chat.read_up_to == said[0].id
        own.connection.change("can_reply")
        own.bob.say(own.chat, "three")
        await own.account.text("three")
        with pytest.raises(Forbidden, match="not allowed"):
            await session.send(MarkRead(contact=own.contact, up_to=own.id(said[1])), "k.2")
    assert own.chat.read_up_to == said[0].id


async def test_there_are_no_reactions(own: Own) -> None:
    async with own.world.running() as session:
        react = React(contact=own.contact, message=own.id(1), emoji=("👍",))
        with pytest.raises(Unsupported, match="own chats"):
            await session.send(react, "k.1")


# --- what is refused --------------------------------------------------------------------------


async def test_after_a_day_of_silence_nothing_goes(own: Own) -> None:
    """It is said why; what the user writes in the app does not change it, an answer does."""
    (said,) = own.chat.messages.values()
    said.date -= _DAY_S
    own.alice.say(own.chat, "are you there?")
    read = MarkRead(contact=own.contact, up_to=own.id(said))
    async with own.world.running() as session:
        for command in (own.text("hello"), read):
            with pytest.raises(Forbidden, match=r"24 hours.*Telegram app"):
                await session.send(command, "k.1")
        own.bob.say(own.chat, "yes")
        await session.send(own.text("hello"), "k.2")
        await session.send(read, "k.3")
    assert [message.text for message in own.chat.seen.items] == ["hello"]


@pytest.mark.parametrize(
    ("said", "kind", "words"),
    [
        ("BUSINESS_CONNECTION_INVALID", Forbidden, "not connected"),
        ("business connection not found", Forbidden, "not connected"),
        ("BUSINESS_CONNECTION_NOT_ALLOWED", Forbidden, "not allowed"),
        ("BOT_ACCESS_FORBIDDEN", Forbidden, "not allowed"),
        ("BUSINESS_PEER_INVALID", NotFound, "not let your bot into a chat"),
        ("PEER_ID_INVALID", NotFound, "not let your bot into a chat"),
        ("MESSAGE_ID_INVALID", NotFound, "the message any more"),
        ("MESSAGE_DELETE_FORBIDDEN", Forbidden, "delete this message"),
        ("message can't be edited", Forbidden, "change this message"),
        ("SOMETHING_NEW", Unsupported, "Something_new"),
    ],
)
async def test_each_refusal_has_a_sentence(
    own: Own, said: str, kind: type[AdapterError], words: str
) -> None:
    async with own.world.running() as session:
        own.telegram.faults.refuse(bad(said), method="sendMessage")
        with pytest.raises(kind, match=words):
            await session.send(own.text("hello"), "k.1")


async def test_a_chat_that_the_bot_was_not_let_into(own: Own) -> None:
    carol = own.telegram.person("Carol")
    contact = RemoteUserId(f"me.{carol.id}")
    async with own.world.running() as session:
        assert await session.find(own.contact) == Contact(name="Bob Burns", avatar="")
        with pytest.raises(NotFound, match="not let your bot into"):
            await session.find(contact)
        with pytest.raises(NotFound, match="not let your bot into"):
            await session.send(SendText(contact=contact, body="hello"), "k.1")


async def test_messages_of_another_chat_are_none_of_this(own: Own) -> None:
    """Nor are those of the chat with the bot, which has the same numbers."""
    foreign = own.id(1).replace(str(own.bob.id), str(own.world.anna.id))
    bare = f"{own.bob.id}:1"
    other = own.id(1).replace(f"me.{own.alice.id}", "me.7")
    async with own.world.running() as session:
        for message in (foreign, bare, other):
            retract = Retract(contact=own.contact, message=RemoteMessageId(message))
            with pytest.raises(NotFound, match="the message any more"):
                await session.send(retract, "k.1")
    assert len(own.chat.messages) == 1


async def test_nothing_goes_before_there_is_an_account(world: World) -> None:
    own = connected(world, *ALL)
    async with world.running() as session:
        with pytest.raises(Forbidden, match="not connected"):
            await session.send(own.text("hello"), "k.1")
    assert not own.chat.messages


# --- limits, and answers that never come ------------------------------------------------------


async def test_what_was_not_answered_is_uncertain_and_its_echo_says_the_rest(own: Own) -> None:
    own.telegram.faults.cut(carried_out=True, method="sendMessage")
    async with own.world.running() as session:
        with pytest.raises(Uncertain):
            await session.send(own.text("hello"), "k.1")
        echo = await own.account.text("hello")
    assert echo.own
    assert len(own.chat.seen.items) == 1


async def test_a_pause_is_that_of_one_chat(own: Own) -> None:
    """Not even that of the same person with the bot."""
    own.bob.start(own.bot)
    own.telegram.faults.too_many(600, method="sendMessage")
    async with own.world.running() as session:
        with pytest.raises(RateLimited, match="10 minutes"):
            await session.send(own.text("hello"), "k.1")
        with pytest.raises(RateLimited):
            await session.turn(own.text("hello"))
        to_bot = SendText(contact=RemoteUserId(str(own.bob.id)), body="by the bot")
        await session.turn(to_bot)
        await session.send(to_bot, "k.2")
    assert not own.chat.seen.items
