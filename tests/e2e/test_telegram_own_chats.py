# SPDX-License-Identifier: Apache-2.0
"""The user's own chats in Telegram on a real XMPP server, by a bot that was let into them; the
gateway is killed while people talk."""

import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.demo.login import Talk
from tests.e2e.house import OTHER_GATEWAY, once_by_id
from tests.e2e.telegram_house import client_of, gateway_to, link
from tests.gateway_process import GatewayProcess
from tests.peers.bot_api import Bot, BotApi, Person
from tests.peers.bot_api.business import PersonalChat
from tests.peers.prosody import Prosody
from tests.peers.xmpp_client import Stanza, XmppClient

pytestmark = pytest.mark.timeout(120)

_MARKERS = "urn:xmpp:chat-markers:0"
_SENT = "{urn:xmpp:carbons:2}sent/{urn:xmpp:forward:0}forwarded/{jabber:client}message"
_RETRACT = "urn:xmpp:message-retract:1"
_CORRECT = "urn:xmpp:message-correct:0"
_INFO = "http://jabber.org/protocol/disco#info"
_RIGHTS = ("can_reply", "can_read_messages", "can_delete_all_messages")
_MANY = 10


@dataclass
class _Scene:
    """Alice has let her bot into her chat with Bob."""

    telegram: BotApi
    gateway: GatewayProcess
    alice: XmppClient
    talk: Talk
    bot: Bot
    me: Person
    """Alice, on Telegram."""
    bob: Person
    chat: PersonalChat

    @property
    def own(self) -> str:
        """Bob, who writes to alice."""
        return f"me.{self.bob.id}@{OTHER_GATEWAY}"

    @property
    def by_bot(self) -> str:
        """Bob, who writes to her bot."""
        return f"{self.bob.id}@{OTHER_GATEWAY}"


@asynccontextmanager
async def _scene(prosody: Prosody, directory: Path, user: str) -> AsyncIterator[_Scene]:
    async with (
        BotApi() as telegram,
        gateway_to(prosody, directory / "gateway", telegram) as gateway,
        client_of(prosody, user) as alice,
    ):
        await alice.enable_carbons()
        bot = telegram.bot(is_secretary=True)
        me, bob = telegram.person("Alice"), telegram.person("Bob")
        talk = await link(alice, bot)
        chat = telegram.world.connect(me, bot, *_RIGHTS).chat(bob)
        code = re.search(r"/own (\d+)", await talk.hear("Alice (", timeout=30))
        assert code is not None
        me.say(bot, f"/own {code[1]}")
        await talk.hear("are here from now on", timeout=30)
        yield _Scene(telegram, gateway, alice, talk, bot, me, bob, chat)


async def test_req_414_own_chats_by_a_connected_bot(prosody: Prosody, tmp_path: Path) -> None:
    """Bob writes to alice, and to her bot: these are two chats."""
    async with _scene(prosody, tmp_path, "alice-of-own-chats") as scene:
        alice, bob, chat, own = scene.alice, scene.bob, scene.chat, scene.own
        mallory = scene.telegram.person("Mallory")
        foreign = scene.telegram.world.connect(mallory, scene.bot, *_RIGHTS).chat(bob)
        bob.say(foreign, "not for you")
        bob.say(scene.bot, "to the bot")
        said = bob.say(chat, "Hello Alice")
        first = await alice.wait_message("Hello Alice", sender=own, timeout=30)
        other = await alice.wait_message("to the bot", sender=scene.by_bot, timeout=30)
        assert first.child(_MARKERS, "markable") is not None
        assert other.child(_MARKERS, "markable") is None
        for contact in (own, scene.by_bot):
            info = await alice.iq(f"{contact}/telegram", f"<query xmlns='{_INFO}'/>")
            assert "urn:xmpp:receipts" in str(info)
            assert _MARKERS not in str(info)
        alice.send_marker(own, first.id)

        # What she says is hers there, and what she says with her phone is hers here.
        answer = alice.send_message(own, "Hello *Bob*")
        await alice.wait_receipt(answer, timeout=30)
        (sent,) = chat.seen.items
        assert (sent.text, sent.sender, sent.written_by) == ("Hello Bob", scene.me, scene.bot)
        assert chat.read_up_to == said.id
        scene.me.say(chat, "From my phone 📱")
        await alice.wait_for(_copied("From my phone 📱"), timeout=30)

        # Each changes and deletes something.
        bob.edit(said, "Hello Alice!")
        edit = await alice.wait_message("Hello Alice!", sender=own, timeout=30)
        replaced = edit.child(_CORRECT, "replace")
        assert replaced is not None
        assert replaced.get("id") == first.id
        alice.send_raw(
            f"<message to='{own}' type='chat' id='e1'><body>Hello *Bobby*</body>"
            f"<replace xmlns='{_CORRECT}' id='{answer}'/>"
            "<request xmlns='urn:xmpp:receipts'/></message>"
        )
        await alice.wait_receipt("e1", timeout=30)
        assert sent.text == "Hello Bobby"
        bob.delete(said)
        gone = await alice.wait_for(_retracts(own), timeout=30)
        assert first.id in str(gone)

        bob.say(chat, "Bye")
        await alice.wait_message("Bye", sender=own, timeout=30)
        assert once_by_id(_texts(alice, own)) == ["Hello Alice", "Hello Alice!", "Bye"]
        assert _copies(alice) == ["From my phone 📱"], "what is sent or changed here comes no more"
        assert not alice.inbox.find(lambda stanza: "not for you" in str(stanza))


async def test_a_kill_loses_and_doubles_nothing_and_silence_is_explained(
    prosody: Prosody, tmp_path: Path
) -> None:
    async with _scene(prosody, tmp_path, "alice-of-kills") as scene:
        alice, bob, chat, own = scene.alice, scene.bob, scene.chat, scene.own
        bob.say(chat, "Hello Alice")
        await alice.wait_message("Hello Alice", sender=own, timeout=30)
        fault = scene.telegram.faults.hold(carried_out=True, method="sendMessage")
        unclear = alice.send_message(own, "under way")
        await fault.reached()
        for number in range(_MANY):
            bob.say(chat, f"bob {number}")
            scene.me.say(chat, f"me {number}")
        scene.gateway.kill()
        fault.let_go()
        await scene.gateway.start()
        bob.say(chat, "the last one")
        await alice.wait_message("the last one", sender=own, timeout=60)
        error = await alice.wait_error(unclear, timeout=60)
        assert "may or may not have arrived" in str(error)

        # After a day of silence nothing goes, and it is said why.
        for message in chat.messages.values():
            message.date -= 86_400
        late = alice.send_message(own, "too late")
        error = await alice.wait_error(late, timeout=30)
        assert "only within 24 hours" in str(error)
        chat.connection.change(is_enabled=False)
        await scene.talk.hear("not connected", timeout=30)

        assert [message.text for message in chat.seen.items] == ["under way"]
        assert once_by_id(_texts(alice, own)) == [
            "Hello Alice", *(f"bob {n}" for n in range(_MANY)), "the last one",
        ]  # fmt: skip
        # That what was under way has arrived is seen.
        mine = list(dict.fromkeys(_copies(alice)))
        assert mine == ["under way", *(f"me {n}" for n in range(_MANY))]
        assert scene.bot.token not in scene.gateway.log_file.read_text()


def _copies(alice: XmppClient) -> list[str]:
    """Texts that were said in her name elsewhere."""
    found = (stanza.xml.find(_SENT) for stanza in alice.inbox.items)
    texts = (each.findtext("{jabber:client}body") for each in found if each is not None)
    return [text for text in texts if text is not None]


def _copied(text: str) -> Callable[[Stanza], bool]:
    def is_copy(stanza: Stanza) -> bool:
        message = stanza.xml.find(_SENT)
        return message is not None and message.findtext("{jabber:client}body") == text

    return is_copy


def _retracts(contact: str) -> Callable[[Stanza], bool]:
    return lambda stanza: (
        stanza.sender_bare == contact and stanza.child(_RETRACT, "retract") is not None
    )


def _texts(alice: XmppClient, contact: str) -> list[Stanza]:
    return alice.inbox.find(
        lambda stanza: (
            (stanza.kind, stanza.type, stanza.sender_bare) == ("message", "chat", contact)
            and stanza.body is not None
            and stanza.child(_RETRACT, "retract") is None
        )
    )
