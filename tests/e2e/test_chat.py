"""A chat as both people see it, apart from failures."""

from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.demo.login import befriend
from tests.e2e.house import GATEWAY, House, Scene
from tests.peers.ejabberd import Ejabberd
from tests.peers.synapse import Synapse
from tests.peers.xmpp_client import Stanza

_CARBONS = "{urn:xmpp:carbons:2}"
_FORWARDED = "{urn:xmpp:forward:0}forwarded/{jabber:client}message"
_NICK = "http://jabber.org/protocol/nick"


# --- messages that alice sends with another client of Matrix ------------------------------------


def _sent_carbon(text: str) -> Callable[[Stanza], bool]:
    def sent_carbon(stanza: Stanza) -> bool:
        message = stanza.xml.find(f"{_CARBONS}sent/{_FORWARDED}")
        return message is not None and message.findtext("{jabber:client}body") == text

    return sent_carbon


async def _alice_writes_with_her_phone(scene: Scene) -> None:
    await scene.phone.send_text(scene.room, "From my phone 📱")
    await scene.bob.wait_text("From my phone 📱")


@pytest.mark.parametrize("fixed", [False, True], ids=["debian", "fixed"])
async def test_own_messages_are_shown_as_sent_by_alice(prosody_house: House, fixed: bool) -> None:
    house = prosody_house
    async with AsyncExitStack() as stack:
        if fixed:
            await stack.enter_async_context(house.own_server(fix_privilege=True))
        scene = await stack.enter_async_context(house.linked())
        await scene.alice.enable_carbons()
        await scene.chat()
        await _alice_writes_with_her_phone(scene)
        carbon = await scene.alice.wait_for(_sent_carbon("From my phone 📱"))
        message = carbon.xml.find(f"{_CARBONS}sent/{_FORWARDED}")
        assert message is not None
        assert carbon.sender == scene.alice.bare
        assert message.get("from", "").partition("/")[0] == scene.alice.bare
        assert message.get("to", "") == scene.bob_jid

        # The server routes it to the puppet as well: it is not sent to the network again.
        id = scene.alice.send_message(scene.bob_jid, "And from my computer.")
        await scene.alice.wait_receipt(id)
        await scene.bob.wait_text("And from my computer.")
        assert scene.seen_by_bob() == ["From my phone 📱", "And from my computer."]
        assert [stanza.body for stanza in scene.from_bob()] == ["Here I am."]


@pytest.mark.parametrize(
    ("server_grants", "options"),
    [(False, {}), (True, {"use_privileges": False})],
    ids=["not granted", "not wanted"],
)
async def test_own_messages_without_privileges(
    house: House, server_grants: bool, options: dict[str, Any]
) -> None:
    async with AsyncExitStack() as stack:
        if not server_grants:
            await stack.enter_async_context(house.own_server(privileged=False))
        scene = await stack.enter_async_context(house.linked(**options))
        await scene.alice.enable_carbons()
        await scene.chat()
        await _alice_writes_with_her_phone(scene)
        await scene.alice.wait_message("You: From my phone 📱", sender=scene.bob_jid)
        await scene.settled()
        assert not scene.alice.inbox.find(_sent_carbon("From my phone 📱"))
        assert scene.seen_by_bob() == ["From my phone 📱"]


async def test_privileges_of_an_old_ejabberd_are_said_to_be_too_old(
    ejabberd: Ejabberd, synapse: Synapse, tmp_path: Path
) -> None:
    """REQ-1015, with version 23.01: own messages have their other form, and come once."""
    async with House(ejabberd, synapse, tmp_path).linked() as scene:
        await scene.alice.enable_carbons()
        await scene.gateway.wait_logged("privileges_too_old")
        await scene.chat()
        await _alice_writes_with_her_phone(scene)
        await scene.alice.wait_message("You: From my phone 📱", sender=scene.bob_jid)
        await scene.settled()
        assert not scene.alice.inbox.find(_sent_carbon("From my phone 📱"))
        assert scene.seen_by_bob() == ["From my phone 📱"]


# --- typing, read marks, names ------------------------------------------------------------------


async def test_typing_both_ways(house: House) -> None:
    async with house.linked() as scene:
        await scene.chat()
        mark = scene.bob.inbox.mark()
        scene.alice.send_chat_state(scene.bob_jid, "composing")
        await scene.bob.wait_typing(scene.room, scene.phone.user_id, since=mark)
        mark = scene.bob.inbox.mark()
        scene.alice.send_chat_state(scene.bob_jid, "paused")
        await scene.bob.wait_typing(scene.room, scene.phone.user_id, typing=False, since=mark)

        mark = scene.alice.inbox.mark()
        await scene.bob.typing(scene.room)
        await scene.alice.wait_chat_state("composing", sender=scene.bob_jid, since=mark)
        await scene.bob.typing(scene.room, typing=False)
        await scene.alice.wait_chat_state("paused", sender=scene.bob_jid, since=mark)


async def test_who_never_showed_chat_states_gets_none(house: House) -> None:
    async with house.linked() as scene:
        await scene.chat()
        await scene.bob.typing(scene.room)
        await scene.bob.send_text(scene.room, "I typed this.")
        await scene.alice.wait_message("I typed this.")
        for state in ("composing", "paused"):
            found = scene.alice.inbox.find(
                lambda stanza, state=state: (  # type: ignore[misc]
                    stanza.child("http://jabber.org/protocol/chatstates", state) is not None
                )
            )
            assert not found


async def test_read_marks_both_ways(house: House) -> None:
    async with house.linked() as scene:
        await scene.chat()
        event_id = await scene.bob.send_text(scene.room, "Did you read this?")
        message = await scene.alice.wait_message("Did you read this?", sender=scene.bob_jid)
        scene.alice.send_marker(scene.bob_jid, message.id)
        await scene.bob.wait_receipt(event_id, user_id=scene.phone.user_id)

        id = scene.alice.send_message(scene.bob_jid, "And you?")
        seen = await scene.bob.wait_text("And you?")
        await scene.alice.wait_receipt(id)
        await scene.bob.read(scene.room, seen.event_id)
        await scene.alice.wait_marker(id)


async def test_what_alice_reads_with_her_phone_is_read_on_xmpp(prosody_house: House) -> None:
    async with prosody_house.linked() as scene:
        await scene.alice.enable_carbons()
        await scene.chat()
        event_id = await scene.bob.send_text(scene.room, "Read me anywhere.")
        message = await scene.alice.wait_message("Read me anywhere.")
        await scene.phone.read(scene.room, event_id)

        def displayed(stanza: Stanza) -> bool:
            inner = stanza.xml.find(f"{_CARBONS}sent/{_FORWARDED}")
            mark = inner.find("{urn:xmpp:chat-markers:0}displayed") if inner is not None else None
            return mark is not None and mark.get("id") == message.id

        await scene.alice.wait_for(displayed)


async def test_the_name_of_a_contact_is_told(house: House) -> None:
    async with house.linked() as scene:
        await scene.bob.set_displayname("Bob <b> & “Söhne” 🚀")
        await befriend(scene.alice, scene.bob_jid)
        request = await scene.alice.wait_presence("subscribe", sender=scene.bob_jid)
        assert request.text("nick", _NICK) == "Bob <b> & “Söhne” 🚀"
        await scene.chat()
        message = await scene.alice.wait_message("Here I am.")
        assert message.text("nick", _NICK) == "Bob <b> & “Söhne” 🚀"
        assert (await scene.alice.roster())[scene.bob_jid].get("subscription") == "both"


async def test_all_clients_of_alice_see_both_sides(house: House) -> None:
    async with house.linked() as scene:
        tablet = house.xmpp_client(scene.alice.bare.partition("@")[0], resource="tablet")
        async with tablet:
            await tablet.enable_carbons()
            await scene.chat()
            await tablet.wait_for(_text_anywhere("Here I am."))
            id = scene.alice.send_message(scene.bob_jid, "From one of two.")
            await scene.alice.wait_receipt(id)
            await tablet.wait_for(_sent_carbon("From one of two."))


def _text_anywhere(text: str) -> Callable[[Stanza], bool]:
    def with_text(stanza: Stanza) -> bool:
        return any(body.text == text for body in stanza.xml.iter("{jabber:client}body"))

    return with_text


# --- texts --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "one\ntwo\n\nfour  ",
        "<b>&amp;</b> ]]> \"'",
        "👩🏽‍🚀🇩🇪 مرحبا Ünïcödé",
        "/me waves",
        "long " * 1500,
    ],
    ids=["lines", "markup", "unicode", "emote", "long"],
)
async def test_texts_arrive_as_they_are(house: House, text: str) -> None:
    async with house.linked() as scene:
        await scene.chat()
        id = scene.alice.send_message(scene.bob_jid, text)
        await scene.alice.wait_receipt(id)
        emote = text.startswith("/me ")
        seen = await scene.bob.wait_text(text[4:] if emote else text)
        assert seen.content["msgtype"] == ("m.emote" if emote else "m.text")
        content = {"msgtype": seen.content["msgtype"], "body": seen.body}
        await scene.bob.send_event(scene.room, "m.room.message", content)
        await scene.alice.wait_message(text, sender=scene.bob_jid)


async def test_req_459_a_long_text_is_several_there_and_one_here(prosody_house: House) -> None:
    async with prosody_house.linked() as scene:
        await scene.chat()
        text = " ".join(f"word{number}" for number in range(6_000))
        id = scene.alice.send_message(scene.bob_jid, text)
        await scene.alice.wait_receipt(id)
        scene.alice.send_message(scene.bob_jid, "That was all.")
        await scene.bob.wait_text("That was all.")
        parts = [said for said in scene.seen_by_bob() if said.startswith("word")]
        assert len(parts) == 4
        assert " ".join(part.strip() for part in parts) == text
        assert len(scene.receipts() & {id}) == 1


async def test_what_cannot_be_delivered_comes_back(house: House) -> None:
    async with house.linked() as scene:
        await scene.chat()
        too_long = scene.alice.send_message(scene.bob_jid, "x" * 120_000)
        error = await scene.alice.wait_error(too_long)
        assert _condition(error) == "not-acceptable"
        nobody = f"nobody%localhost@{GATEWAY}"
        lost = scene.alice.send_message(nobody, "Anybody there?")
        error = await scene.alice.wait_error(lost)
        assert (_condition(error), error.sender_bare) == ("item-not-found", nobody)
        assert not scene.receipts() & {too_long, lost}


# --- encryption of other kinds ------------------------------------------------------------------


async def test_an_encrypted_stanza_is_refused(house: House) -> None:
    async with house.linked() as scene:
        await scene.chat()
        id = scene.alice.send_message(
            scene.bob_jid,
            "I sent you an OMEMO encrypted message",
            extra="<encrypted xmlns='eu.siacs.conversations.axolotl'/>",
        )
        assert _condition(await scene.alice.wait_error(id)) == "not-acceptable"
        await scene.settled()
        assert not scene.seen_by_bob()


# --- invitations --------------------------------------------------------------------------------


async def test_an_invitation_is_accepted_by_subscribed(house: House) -> None:
    async with house.linked() as scene:
        scene.room = await _invited(scene)
        scene.alice.approve(scene.bob_jid)
        await scene.bob.wait_member(scene.room, scene.phone.user_id)
        await scene.bob.send_text(scene.room, "Welcome!")
        await scene.alice.wait_message("Welcome!", sender=scene.bob_jid)


async def test_an_invitation_is_accepted_by_an_answer(house: House) -> None:
    async with house.linked() as scene:
        scene.room = await _invited(scene)
        id = scene.alice.send_message(scene.bob_jid, "Hello, who is this?")
        await scene.alice.wait_receipt(id)
        await scene.bob.wait_text("Hello, who is this?", room_id=scene.room)


async def test_an_invitation_is_declined(house: House) -> None:
    async with house.linked() as scene:
        scene.room = await _invited(scene)
        scene.alice.deny(scene.bob_jid)
        await scene.bob.wait_member(scene.room, scene.phone.user_id, "leave")
        await scene.settled()
        assert len(_requests(scene)) == 1


async def _invited(scene: Scene) -> str:
    """Bob asks alice: one request, and one line that says what to do."""
    room = await scene.bob.create_direct(scene.phone.user_id)
    await scene.alice.wait_presence("subscribe", sender=scene.bob_jid)
    await scene.settled()
    assert len(_requests(scene)) == 1
    (line,) = scene.from_bob()
    assert "wants to talk with you" in (line.body or "")
    return room


def _requests(scene: Scene) -> list[Stanza]:
    return scene.alice.inbox.find(
        lambda stanza: stanza.type == "subscribe" and stanza.sender_bare == scene.bob_jid
    )


def _condition(error: Stanza) -> str:
    """The defined condition of a stanza error."""
    found = error.xml.find("{jabber:client}error")
    assert found is not None
    return next(child.tag.rpartition("}")[2] for child in found if not child.tag.endswith("}text"))
