"""Telegram on a real XMPP server: a bot is linked, and the gateway is killed while people talk, to
it and in a group."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.house import OTHER_GATEWAY, once_by_id
from tests.e2e.telegram_house import client_of, gateway_to, link
from tests.peers.bot_api import BotApi, Group, Person
from tests.peers.prosody import Prosody
from tests.peers.xmpp_client import RECEIPTS, Stanza, XmppClient

pytestmark = pytest.mark.timeout(120)

_MANY = 15
_MUC = "http://jabber.org/protocol/muc"
_REPLY, _SID = "urn:xmpp:reply:0", "urn:xmpp:sid:0"


def _answers(alice: XmppClient, contact: str) -> tuple[list[str], list[str]]:
    """Ids of what alice has sent to somebody: those with a receipt, and those that came back."""
    received, back = [], []
    for stanza in alice.inbox.items:
        if stanza.sender_bare != contact or stanza.kind != "message":
            continue
        if stanza.type == "error":
            back.append(stanza.id)
        elif (receipt := stanza.child(RECEIPTS, "received")) is not None:
            received.append(receipt.get("id", ""))
    return received, back


async def test_a_bot_is_linked_and_a_kill_loses_and_doubles_nothing(
    prosody: Prosody, tmp_path: Path
) -> None:
    async with (
        BotApi() as telegram,
        gateway_to(prosody, tmp_path / "gateway", telegram) as gateway,
        client_of(prosody, "alice-of-telegram") as alice,
    ):
        bot, anna = telegram.bot(), telegram.person("Anna")
        await link(alice, bot)
        contact = f"{anna.id}@{OTHER_GATEWAY}"
        anna.say(bot, "Hello from Telegram 🙂")
        await alice.wait_message("Hello from Telegram 🙂", sender=contact, timeout=30)
        chat = telegram.world.private(bot, anna)
        said = {alice.send_message(contact, "*Hello* from XMPP"): "Hello from XMPP"}
        first = await chat.seen.wait_for(lambda message: True, timeout=30)
        assert (first.text, first.entities[0]["type"]) == ("Hello from XMPP", "bold")
        await alice.wait_receipt(*said, timeout=30)

        group = telegram.groups.create("Tea", anna, bot)
        room = await _enter(alice, anna, group)

        # Telegram has taken one, and its answer is on the way; others wait behind it.
        fault = telegram.faults.hold(carried_out=True, method="sendMessage")
        unclear = alice.send_message(contact, "under way")
        said |= {alice.send_message(contact, text): text for text in ("alice 0", "alice 1")}
        for number in range(_MANY):
            anna.say(bot, f"anna {number}")
            anna.say(group, f"all {number}")
        await fault.reached()
        gateway.kill()
        fault.let_go()
        for number in range(_MANY, 2 * _MANY):
            anna.say(bot, f"anna {number}")
            anna.say(group, f"all {number}")
        await gateway.start()
        await alice.wait_message(f"anna {2 * _MANY - 1}", sender=contact, timeout=60)
        await alice.wait_for(_is_said(room, f"all {2 * _MANY - 1}"), timeout=60)
        _says(alice, room, "Bye")
        await alice.wait_for(_is_said(room, "Bye"), timeout=60)
        last = alice.send_message(contact, "the last one")
        said[last] = "the last one"
        await alice.wait_receipt(last, timeout=60)
        error = await alice.wait_error(unclear, timeout=60)
        assert "may or may not have arrived" in str(error)

        came = once_by_id(_texts(alice, contact))
        assert came == ["Hello from Telegram 🙂", *(f"anna {n}" for n in range(2 * _MANY))]
        in_room = once_by_id(alice.inbox.find(_is_said(room)))
        assert in_room == [
            "Hello all", "Hello Anna", *(f"all {n}" for n in range(2 * _MANY)), "Bye",
        ]  # fmt: skip
        assert [message.text for message in group.seen.items] == ["Hello Anna", "Bye"]
        received, back = _answers(alice, contact)
        assert back == [unclear]
        # What was not committed before the kill has no receipt, and is not there. What was told
        # just before it may be told again.
        there = [message.text for message in chat.seen.items if message.text != "under way"]
        assert there == [said[each] for each in dict.fromkeys(received)]
        assert len(chat.seen.items) == len(there) + 1, "it was sent twice"
        assert bot.token not in gateway.log_file.read_text()
        assert bot.token.encode() not in gateway.database.read_bytes()


async def _enter(alice: XmppClient, anna: Person, group: Group) -> str:
    """She joins a new group, and both say something there. Returns its address."""
    room = await _invited(alice)
    await _join(alice, room)
    anna.say(group, "Hello all")
    heard = await alice.wait_for(_is_said(room, "Hello all"), timeout=30)
    assert heard.sender == f"{room}/Anna"
    _says(alice, room, "Hello Anna")
    assert (await alice.wait_for(_is_said(room, "Hello Anna"), timeout=30)).id == "Hello Anna"
    return room


async def test_req_578_topics_of_a_group_are_threads(prosody: Prosody, tmp_path: Path) -> None:
    """What is said in a topic answers the line that names it, and who answers that line, without
    any thread, says something in the topic."""
    async with (
        BotApi() as telegram,
        gateway_to(prosody, tmp_path / "gateway", telegram),
        client_of(prosody, "alice-of-topics") as alice,
    ):
        bot, anna = telegram.bot(), telegram.person("Anna")
        await link(alice, bot)
        group = telegram.groups.create("Teas", anna, bot, is_forum=True)
        room = await _enter(alice, anna, group)
        topic = telegram.groups.open_topic(group, "Green")
        told = await alice.wait_for(_is_said(room, "Topic “Green”, opened by Anna."), timeout=30)
        assert told.sender == room
        anna.say(group, "with milk?", topic=topic)
        quote = "> Topic “Green”, opened by Anna.\n"
        said = await alice.wait_for(_is_said(room, f"{quote}with milk?"), timeout=30)
        thread, line, answered = (
            told.text("thread"), told.child(_SID, "stanza-id"), said.child(_REPLY, "reply"),
        )  # fmt: skip
        assert thread == said.text("thread") != ""
        assert line is not None
        assert answered is not None
        assert answered.get("id") == line.get("id")
        _says(alice, room, "never", f"<reply xmlns='{_REPLY}' id='{line.get('id')}'/>")
        back = await alice.wait_for(_is_said(room, "never"), timeout=30)
        assert back.text("thread") == thread
        _says(alice, room, "Well", f"<thread>{thread}</thread>")
        await alice.wait_for(_is_said(room, "Well"), timeout=30)
        telegram.groups.close_topic(group, topic)
        await alice.wait_for(_is_said(room, "Anna has closed the topic “Green”."), timeout=30)
        _says(alice, room, "too late", f"<thread>{thread}</thread>")
        error = await alice.wait_error("too late", timeout=30)
        assert "This topic of the group is closed." in str(error)
    there = [(message.text, message.thread_id) for message in group.seen.items]
    assert there == [("Hello Anna", None), ("never", topic), ("Well", topic)]


async def _invited(alice: XmppClient) -> str:
    """Address of the room of which she is told."""
    told = await alice.wait_for(
        lambda stanza: stanza.child("jabber:x:conference", "x") is not None, timeout=30
    )
    x = told.child("jabber:x:conference", "x")
    assert x is not None
    return x.get("jid", "")


async def _join(alice: XmppClient, room: str) -> None:
    alice.send_raw(f"<presence to='{room}/Alice'><x xmlns='{_MUC}'/></presence>")
    await alice.wait_for(
        lambda stanza: (
            (stanza.kind, stanza.sender_bare, stanza.type) == ("message", room, "groupchat")
            and stanza.body is None
        ),
        timeout=30,
    )


def _says(alice: XmppClient, room: str, body: str, beside: str = "") -> None:
    """Under an id of these words."""
    alice.send_raw(
        f"<message to='{room}' type='groupchat' id='{body}'><body>{body}</body>{beside}</message>"
    )


def _is_said(room: str, body: str | None = None) -> Callable[[Stanza], bool]:
    """In a room; anything if it is not said what."""
    return lambda stanza: (
        (stanza.kind, stanza.type, stanza.sender_bare) == ("message", "groupchat", room)
        and stanza.body is not None
        and body in (None, stanza.body)
    )


def _texts(alice: XmppClient, contact: str) -> list[Stanza]:
    return alice.inbox.find(
        lambda stanza: (
            stanza.kind == "message"
            and (stanza.type, stanza.sender_bare) == ("chat", contact)
            and stanza.body is not None
        )
    )
