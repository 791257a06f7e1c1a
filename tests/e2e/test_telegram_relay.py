# SPDX-License-Identifier: Apache-2.0
"""A group of Telegram that is linked for everybody, on a real XMPP server: nobody has an account
there, and the gateway is killed while people talk."""

import re
from collections.abc import Callable
from pathlib import Path
from urllib.parse import unquote

import pytest

from tests.demo.login import Talk
from tests.e2e.house import OTHER_GATEWAY, PASSWORD, once_by_id
from tests.e2e.telegram_house import client_of, gateway_to
from tests.gateway_process import GatewayProcess
from tests.peers.bot_api import BotApi, Group, Message, Person
from tests.peers.converse import Browser
from tests.peers.prosody import Prosody
from tests.peers.xmpp_client import Stanza, XmppClient

pytestmark = pytest.mark.timeout(180)

_MUC = "http://jabber.org/protocol/muc"
_MANY = 10


def _is_said(room: str, body: str | None = None) -> Callable[[Stanza], bool]:
    return lambda stanza: (
        (stanza.kind, stanza.type, stanza.sender_bare) == ("message", "groupchat", room)
        and stanza.body is not None
        and body in (None, stanza.body)
    )


async def _link(alice: XmppClient, anna: Person, group: Group) -> str:
    """By a code, which the owner of the group sends there. Returns the address of the room."""
    talk = Talk(alice, OTHER_GATEWAY)
    await talk.ask("link-group", "Who may come in?")
    told = await talk.ask("2", "/link")
    found = re.search(r"startgroup=([A-Z0-9-]+) ", told)
    assert found is not None, told
    anna.say(group, f"/link {found[1]}")
    linked = await talk.hear("is linked")
    address = re.search(r"xmpp:(\S+)\?join", linked)
    assert address is not None, linked
    return unquote(address[1])


async def _join(client: XmppClient, room: str, nick: str) -> None:
    client.send_raw(f"<presence to='{room}/{nick}'><x xmlns='{_MUC}'/></presence>")
    await client.wait_for(
        lambda stanza: (
            (stanza.kind, stanza.sender_bare, stanza.type) == ("message", room, "groupchat")
            and stanza.body is None
        ),
        timeout=30,
    )


def _says(client: XmppClient, room: str, body: str) -> None:
    """Under an id of these words."""
    client.send_raw(
        f"<message to='{room}' type='groupchat' id='{body}'><body>{body}</body></message>"
    )


async def test_a_group_is_linked_for_people_without_an_account(
    prosody: Prosody, tmp_path: Path
) -> None:
    async with BotApi() as telegram:
        bot, anna = telegram.bot(), telegram.person("Anna")
        group = telegram.groups.create("Tea", anna, bot, is_super=True)
        group.username = "tea_for_all"  # else only who was named would come in
        async with (
            gateway_to(prosody, tmp_path / "gateway", telegram, relay=bot) as gateway,
            client_of(prosody, "alice-of-relay") as alice,
            client_of(prosody, "rob-of-relay") as rob,
        ):
            room = await _link(alice, anna, group)
            await _join(alice, room, "Alice")
            await _join(rob, room, "Rob")
            anna.say(group, "Hello all")
            for client in (alice, rob):
                heard = await client.wait_for(_is_said(room, "Hello all"), timeout=30)
                assert heard.sender == f"{room}/Anna"
            _says(alice, room, "Hello Anna")
            for client in (alice, rob):
                back = await client.wait_for(_is_said(room, "Hello Anna"), timeout=30)
                assert (back.sender, back.id) == (f"{room}/Alice", "Hello Anna")
            said = await group.seen.wait_for(lambda message: "Hello Anna" in message.text)
            assert said.text == "Alice: Hello Anna"
            await _react(alice, rob, anna, group, room)
            await _change(alice, rob, said, room)
            await _talk_through_a_kill(gateway, alice, rob, anna, group, room)
            await _put_out(rob, anna, group, room)
            assert bot.token not in gateway.log_file.read_text()
            assert bot.token.encode() not in gateway.database.read_bytes()


async def test_converse_js_in_a_linked_group(prosody: Prosody, tmp_path: Path) -> None:
    """As a person without any account sees it: files, answers and reactions too."""
    async with BotApi() as telegram:
        bot, anna = telegram.bot(), telegram.person("Anna", last_name="Bauer")
        group = telegram.groups.create("Tea", anna, bot, is_super=True)
        group.username = "tea_for_all"  # else only who was named would come in
        telegram.groups.promote(group, bot)
        async with (
            gateway_to(prosody, tmp_path / "gateway", telegram, relay=bot),
            client_of(prosody, "alice-in-a-browser") as alice,
            Browser() as browser,
        ):
            room = await _link(alice, anna, group)
            page = await browser.log_in(alice.bare, PASSWORD, prosody.websocket_url)
            await page.join(room, "Alice")
            question = anna.say(group, "One lump or two?")
            assert await page.author_of("One lump or two?") == "Anna Bauer"
            await page.reply("One lump or two?", "Two, please.")
            said = await group.seen.wait_for(lambda message: "Two, please." in message.text)
            assert said.text == "Alice: Two, please."
            assert said.reply_to is question
            assert await page.author_of("Two, please.") == "Alice"
            anna.react(said, "👍")
            await page.sees_reaction("Two, please.", "👍")
            await page.react("One lump or two?", "❤️")
            await page.sees_reaction("One lump or two?", "❤️")
            anna.edit(question, "One lump, two, or none?")
            assert await page.author_of("One lump, two, or none?") == "Anna Bauer"
            await page.picture(tmp_path / "linked.png")


async def _react(
    alice: XmppClient, rob: XmppClient, anna: Person, group: Group, room: str
) -> None:
    """The bot shows what most have, and says what somebody else has."""
    asked = anna.say(group, "Tea or coffee?")
    heard = await rob.wait_for(_is_said(room, "Tea or coffee?"), timeout=30)
    named = heard.child("urn:xmpp:sid:0", "stanza-id")
    assert named is not None

    async def react(client: XmppClient, *emoji: str) -> None:
        id = f"{client.bare} {''.join(emoji)}"
        inner = "".join(f"<reaction>{each}</reaction>" for each in emoji)
        client.send_raw(
            f"<message to='{room}' type='groupchat' id='{id}'>"
            f"<reactions xmlns='urn:xmpp:reactions:0' id='{named.get('id')}'>{inner}</reactions>"
            "</message>"
        )
        await rob.wait_for(lambda stanza: stanza.id == id, timeout=30)

    def shown() -> list[str]:
        (made,) = asked.reactions.values()
        return [each["emoji"] for each in made]

    await react(alice, "👍")
    assert shown() == ["👍"]
    await react(rob, "🎉")
    line = group.seen.items[-1]
    assert (shown(), line.text, line.reply_to) == (["👍"], "Rob reacted with 🎉", asked)
    await react(alice)
    assert shown() == ["🎉"]
    await react(rob)
    assert shown() == []


async def _change(alice: XmppClient, rob: XmppClient, said: Message, room: str) -> None:
    """What alice has said is something else, and then nothing any more."""
    about = f"to='{room}' type='groupchat'"
    alice.send_raw(
        f"<message {about} id='edit'><body>Hello Anna!</body>"
        "<replace xmlns='urn:xmpp:message-correct:0' id='Hello Anna'/></message>"
    )
    await rob.wait_for(_is_said(room, "Hello Anna!"), timeout=30)
    assert said.text == "Alice: Hello Anna!"
    back = next(each for each in rob.inbox.find(_is_said(room, "Hello Anna")))
    named = back.child("urn:xmpp:sid:0", "stanza-id")
    assert named is not None
    alice.send_raw(
        f"<message {about} id='gone'>"
        f"<retract xmlns='urn:xmpp:message-retract:1' id='{named.get('id')}'/></message>"
    )
    await rob.wait_for(lambda stanza: stanza.id == "gone", timeout=30)
    assert said.is_deleted


async def _talk_through_a_kill(
    gateway: GatewayProcess,
    alice: XmppClient,
    rob: XmppClient,
    anna: Person,
    group: Group,
    room: str,
) -> None:
    """Nobody has to come in again, and all read the same, once."""
    for number in range(_MANY):
        anna.say(group, f"anna {number}")
    gateway.kill()
    for number in range(_MANY, 2 * _MANY):
        anna.say(group, f"anna {number}")
    await gateway.start()
    for client in (alice, rob):
        await client.wait_for(_is_said(room, f"anna {2 * _MANY - 1}"), timeout=60)
        came = once_by_id(client.inbox.find(_is_said(room)))
        assert [body for body in came if body.startswith("anna")] == [
            f"anna {number}" for number in range(2 * _MANY)
        ]
    _says(rob, room, "still here")
    await alice.wait_for(_is_said(room, "still here"), timeout=60)


async def _put_out(rob: XmppClient, anna: Person, group: Group, room: str) -> None:
    """By who administers the group on Telegram, with an answer to what was said."""
    said = await group.seen.wait_for(lambda message: "still here" in message.text)
    anna.say(group, "/ban", reply_to=said)
    gone = await rob.wait_for(
        lambda stanza: stanza.kind == "presence" and stanza.type == "unavailable", timeout=30
    )
    assert "301" in str(gone)
    assert gone.sender == f"{room}/Rob"
