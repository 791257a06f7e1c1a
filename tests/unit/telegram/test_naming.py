# SPDX-License-Identifier: Apache-2.0
"""Who is named in a text, both ways (REQ-439, REQ-574)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs
from telegram import MessageEntity

from adapters.telegram import naming
from adapters.telegram.entities import told, units, written
from adapters.telegram.naming import Usernames, mentions_in, without_people
from gateway.events import (
    FileKind,
    Mention,
    RemoteMessage,
    RemoteRoomMessage,
    SendRoomText,
    SentFile,
)
from gateway.ids import RemoteRoomId, RemoteUserId
from gateway.text import Span, Style
from gateway.xmpp.codec.styling import styled
from tests.peers.bot_api import Group, User
from tests.unit.telegram.world import World

_URL = "https://files.example/1"
_WORDS = st.text(st.sampled_from("ab 🙂é👩\u200d👧"), max_size=12)
_CALLED = st.text(st.sampled_from("Anna🙂é"), min_size=1, max_size=6)


def _id(user: User) -> RemoteUserId:
    return RemoteUserId(str(user.id))


def _mention(user: User, body: str, called: str, *, notify: bool = True) -> Mention:
    begin = body.index(called)
    return Mention(user=_id(user), begin=begin, end=begin + len(called), notify=notify)


async def _heard(world: World, body: str) -> RemoteRoomMessage:
    return await world.account.first(RemoteRoomMessage, lambda event: event.body == body)


def _group(world: World, *others: User) -> Group:
    return world.telegram.groups.create("Tea", world.anna, *others, world.bot)


async def test_who_is_named_in_a_group(world: World) -> None:
    """By their numbers, and by user names as soon as these are known: of the bot itself, of who
    administers the group, has come, or has said something, or was answered."""
    telegram, groups = world.telegram, world.telegram.groups
    carol, dora, emil, fred = (
        telegram.person(name, username=f"{name.lower()}_1")
        for name in ("Carol", "Dora", "Emil", "Fred")
    )
    group = _group(world, carol, dora, fred)
    groups.promote(group, carol)
    unnamed = telegram.person("Gina")
    groups.add(group, unnamed)
    unheard = dora.say(group, "before the gateway")
    world.bot.updates.expire()
    async with world.running():
        groups.add(group, emil, by=world.anna)
        world.anna.say(group, "why?", reply_to=unheard)
        body = "🙂 @Relay_Bot @carol_1 @dora_1 @emil_1 @fred_1 @nobody_1 Gina!"
        offset = units(body) - 5
        named = {"type": "text_mention", "offset": offset, "length": 4, "user": unnamed.json()}
        world.anna.say(group, body, [named])
        heard = await _heard(world, body)
    known = ((world.bot, "Relay_Bot"), *((each, each.username) for each in (carol, dora, emil)))
    assert heard.mentions == tuple(
        _mention(user, body, called) for user, called in (*known, (unnamed, "Gina"))
    )
    assert heard.spans == ()


async def test_an_edit_tells_nobody(world: World) -> None:
    """Nor does Telegram. That somebody is named now is something to see."""
    group = _group(world)
    async with world.running():
        said = world.anna.say(group, "Relay, tea?")
        entity = {"type": "text_mention", "offset": 0, "length": 5, "user": world.bot.json()}
        world.anna.edit(said, "Relay, tea?", [entity])
        edit = await world.account.first(RemoteRoomMessage, lambda event: event.edits is not None)
    assert edit.mentions == (_mention(world.bot, edit.body, "Relay", notify=False),)


async def test_who_is_named_in_a_chat_and_below_a_quote(world: World) -> None:
    async with world.running():
        asked = world.anna.say(world.bot, "milk or 🙂?")
        entity = {"type": "text_mention", "offset": 0, "length": 5, "user": world.bot.json()}
        world.anna.say(world.bot, "Relay!", [entity], reply_to=asked, quote="or 🙂")
        heard = await world.account.first(RemoteMessage, lambda event: bool(event.mentions))
    assert heard.body == "or 🙂\nRelay!"
    assert heard.mentions == (_mention(world.bot, heard.body, "Relay"),)


async def test_whom_the_user_names(world: World) -> None:
    """Beside what has a style; everybody, and who is no person, are only named."""
    carol = world.telegram.person("Carol")
    group = _group(world, carol)
    body = "🙂 *Anna* and @Carol, all of Tea: `Anna`!"
    mentions = (
        _mention(world.anna, body, "Anna"),
        _mention(carol, body, "Carol"),
        Mention(user=None, begin=body.index("all"), end=body.index("all") + 3),
        Mention(user=RemoteUserId(str(group.id)), begin=body.index("Tea"), end=body.index(":")),
        Mention(user=_id(world.anna), begin=body.rindex("Anna"), end=body.rindex("Anna") + 4),
        Mention(user=_id(carol)),
    )
    first = _mention(carol, "Carol:", "Carol")
    command = SendRoomText(
        room=RemoteRoomId(str(group.id)), body=body, spans=styled(body), mentions=mentions
    )
    world.account.files[_URL] = b"data"
    file = SentFile(url=_URL, name="x.bin", kind=FileKind.FILE, media_type="")
    async with world.running() as session:
        await world.account.until(lambda: world.account.events)
        await session.send(command, "k.1")
        of_file = structs.replace(command, body="Carol:", spans=(), mentions=(first,), file=file)
        await session.send(of_file, "k.2")
    sent, below = group.seen.items
    (named,) = below.entities
    assert (named["type"], named["user"]) == ("text_mention", carol.json())
    assert sent.text == "🙂 Anna and @Carol, all of Tea: Anna!"
    found = [
        (each["type"], each.get("user"), each["offset"], each["length"]) for each in sent.entities
    ]
    assert found == [
        ("bold", None, 3, 4),
        ("text_mention", world.anna.json(), 3, 4),
        ("text_mention", carol.json(), 13, 5),
        ("code", None, 32, 4),
    ]


@given(st.lists(st.tuples(_WORDS, _CALLED), min_size=1, max_size=5), _WORDS, st.booleans())
def test_named_there_and_back(parts: list[tuple[str, str]], last: str, is_bold: bool) -> None:
    """Whatever emoji stand before, in and behind a name: the same part of the text is theirs, in
    UTF-16 there and in code points here."""
    body, mentions = "", []
    for number, (before, called) in enumerate(parts, start=1):
        begin = len(body) + len(before)
        body += before + called
        mentions.append(Mention(user=RemoteUserId(str(number)), begin=begin, end=len(body)))
    body += last
    spans = (Span(Style.BOLD, 0, len(body)),) if is_bold else ()
    text, entities = written(body, spans, mentions)
    assert text == body
    coded = text.encode("utf-16-le")
    people = [each for each in entities if each.type == MessageEntity.TEXT_MENTION]
    assert [
        coded[2 * each.offset : 2 * (each.offset + each.length)].decode("utf-16-le")
        for each in people
    ] == [called for _, called in parts]
    back, found = told(text, entities, Usernames())
    assert (back, without_people(found)) == (body, spans)
    assert mentions_in(found, notify=True) == tuple(mentions)


def test_only_so_many_user_names_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that were heard of last; a name that somebody else has taken is theirs."""
    monkeypatch.setattr(naming, "_MOST", 2)
    names = Usernames()
    entity = MessageEntity(MessageEntity.MENTION, 0, 5)
    for user, name in ((1, "anna"), (2, "bob"), (1, "anna"), (3, "Carol"), (4, None)):
        names.learn(user, name)
    found = [names.named(entity, name) for name in ("@anna", "@bob", "@carol")]
    assert found == ["1", None, "3"]
    names.learn(5, "ANNA")
    assert names.named(entity, "@anna") == "5"
