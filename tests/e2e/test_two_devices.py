# SPDX-License-Identifier: Apache-2.0
"""Alice has two XMPP clients and one of Matrix: what is done in one is in the others, once."""

from __future__ import annotations

from collections import Counter
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.e2e.archive import archived
from tests.e2e.house import House, Scene
from tests.peers.prosody import Prosody
from tests.peers.xmpp_client import MARKERS, REPLACE, Stanza, XmppClient

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

_CARBONS = "urn:xmpp:carbons:2"
_FORWARDED = "{urn:xmpp:forward:0}forwarded/{jabber:client}message"
_REACTIONS = "urn:xmpp:reactions:0"
_REPLY = "urn:xmpp:reply:0"
_RETRACT = "urn:xmpp:message-retract:1"
_STORE = "<store xmlns='urn:xmpp:hints'/>"
_SPEECH = ("m.room.message", "m.reaction", "m.room.redaction")
_ABOUT = {
    "reads": (MARKERS, "displayed"),
    "takes back": (_RETRACT, "retract"),
    "reacts to": (_REACTIONS, "reactions"),
    "edits": (REPLACE, "replace"),
    "answers": (_REPLY, "reply"),
}

Deed = tuple[str, str, str, str]
"""Who does what, about which message, and with which words."""


def _message(stanza: Stanza) -> Stanza | None:
    """What a client is shown of a stanza: also what its server copies to it."""
    if stanza.kind != "message" or stanza.type == "error":
        return None
    for copied in ("sent", "received"):
        carbon = stanza.child(_CARBONS, copied)
        if carbon is not None:
            inner = carbon.find(_FORWARDED)
            assert inner is not None
            return Stanza(inner)
    return stanza


@dataclass
class Devices:
    """A chat with bob."""

    scene: Scene
    tablet: XmppClient
    """The second client of alice; the first one is her computer."""
    texts: dict[str, str] = field(default_factory=dict)
    """What messages say, by the ids of their stanzas."""

    @property
    def computer(self) -> XmppClient:
        return self.scene.alice

    @property
    def both(self) -> tuple[XmppClient, XmppClient]:
        return self.computer, self.tablet

    async def says(self, client: XmppClient, text: str, extra: str = "") -> str:
        """Alice says something on XMPP, and the network has it; the id."""
        id = client.send_message(self.scene.bob_jid, text, extra=extra)
        self.texts[id] = text
        await client.wait_receipt(id)
        return id

    def deed(self, message: Stanza) -> Deed | None:
        """What a message of the chat does."""
        parties = message.sender_bare, message.xml.get("to", "").partition("/")[0]
        if self.scene.bob_jid not in parties:
            return None
        who = "bob" if message.sender_bare == self.scene.bob_jid else "alice"
        for verb, (namespace, name) in _ABOUT.items():
            child = message.child(namespace, name)
            if child is not None:
                words = message.body or " ".join(part.text or "" for part in child)
                if verb == "takes back":
                    words = ""  # what clients show that do not know it
                elif verb in ("edits", "answers"):
                    self.texts[message.id] = words
                return who, verb, self.texts.get(child.get("id", ""), "?"), words
        if message.body is None:
            return None
        self.texts[message.id] = message.body
        return who, "says", "", message.body

    def deeds(self, client: XmppClient) -> list[Deed]:
        """All that a client was told."""
        messages = (_message(stanza) for stanza in client.inbox.items)
        found = (self.deed(message) for message in messages if message is not None)
        return [deed for deed in found if deed is not None]

    async def told(self, deed: Deed, *clients: XmppClient) -> Stanza:
        """Wait until clients, or else both, are told of something; what told the last one."""
        message = None
        for client in clients or self.both:

            def tells(stanza: Stanza) -> bool:
                message = _message(stanza)
                return message is not None and self.deed(message) == deed

            message = _message(await client.wait_for(tells))
        assert message is not None
        return message

    async def archive(self) -> list[Deed]:
        """All that alice's server has kept."""
        kept = (
            self.deed(message) for message in await archived(self.computer, self.scene.bob_jid)
        )
        return [deed for deed in kept if deed is not None]


@asynccontextmanager
async def _two_devices(house: House) -> AsyncIterator[Devices]:
    async with house.linked() as scene:
        user = scene.alice.bare.partition("@")[0]
        async with house.xmpp_client(user, resource="tablet") as tablet:
            for client in (scene.alice, tablet):
                await client.enable_carbons()
            await scene.chat()
            yield Devices(scene, tablet)


async def test_what_is_said_and_read_on_one_device_is_on_the_others_once(house: House) -> None:
    """Where there are no privileges that can be used (ejabberd 23.01), in the other form."""
    async with _two_devices(house) as devices:
        scene, bob, phone = devices.scene, devices.scene.bob, devices.scene.phone
        computer, tablet = devices.both
        is_privileged = isinstance(house.xmpp, Prosody)
        # She writes with one: bob, and the other.
        await devices.says(computer, "Hello Bob.")
        seen = await bob.wait_text("Hello Bob.")
        hello: Deed = ("alice", "says", "", "Hello Bob.")
        await devices.told(hello, tablet)
        # Bob reads and answers: both.
        await bob.read(scene.room, seen.event_id)
        shown: list[Deed] = [("bob", "says", "", "Here I am.")]
        shown.append(("bob", "reads", "Hello Bob.", ""))
        await devices.told(shown[-1])
        answer_id = await bob.send_text(scene.room, "Hello Alice.")
        shown.append(("bob", "says", "", "Hello Alice."))
        answer = await devices.told(shown[-1])
        # She reads it with the other: bob, and the first one.
        tablet.send_marker(scene.bob_jid, answer.id)
        await bob.wait_receipt(answer_id, user_id=phone.user_id)
        read: Deed = ("alice", "reads", "Hello Alice.", "")
        await devices.told(read, computer)
        # She writes and reads with the app of the network: both, in the form that there is.
        await phone.send_text(scene.room, "On my way.")
        own, foreign = ("alice", "On my way."), ("bob", "You: On my way.")
        who, words = own if is_privileged else foreign
        shown.append((who, "says", "", words))
        await devices.told(shown[-1])
        question_id = await bob.send_text(scene.room, "Where are you?")
        shown.append(("bob", "says", "", "Where are you?"))
        await devices.told(shown[-1])
        await phone.read(scene.room, question_id)
        if is_privileged:
            shown.append(("alice", "reads", "Where are you?", ""))
            await devices.told(shown[-1])

        await scene.settled()
        await tablet.ping()
        assert Counter(devices.deeds(tablet)) == Counter([*shown, hello])
        assert Counter(devices.deeds(computer)) == Counter([*shown, read])
        assert scene.seen_by_bob() == ["Hello Bob.", "On my way."]
        kept = [deed for deed in await devices.archive() if deed[1] == "says"]
        assert Counter(kept) == Counter([hello, *(deed for deed in shown if deed[1] == "says")])


def _about(namespace: str, name: str, id: str, content: str = "") -> str:
    return f"<{name} xmlns='{namespace}' id='{id}'>{content}</{name}>"


def _on_matrix(devices: Devices) -> Counter[tuple[str, str]]:
    """What bob's timeline has of alice's, each as often as it is there."""
    bob, alice = devices.scene.bob, devices.scene.phone.user_id
    found = Counter[tuple[str, str]]()
    for event in bob.inbox.items:
        if event.sender != alice or event.type not in _SPEECH:
            continue
        relation = event.content.get("m.relates_to", {})
        kind = relation.get("rel_type") or next(iter(relation), event.type)
        edit = event.content.get("m.new_content", {})
        found[kind, edit.get("body") or event.body or relation.get("key", "")] += 1
    return found


async def test_what_is_changed_on_one_device_is_changed_on_the_others_once(house: House) -> None:
    """By alice, with her XMPP clients: edits, answers, reactions, and what she takes back."""
    async with _two_devices(house) as devices:
        scene, contact = devices.scene, devices.scene.bob_jid
        computer, tablet = devices.both
        await scene.bob.send_text(scene.room, "Locked out?")
        asked = await devices.told(("bob", "says", "", "Locked out?"))

        yes = await devices.says(computer, "Yse.", _about(_REPLY, "reply", asked.id))
        computer.send_message(contact, "Yes.", replaces=yes)
        sad = _about(_REACTIONS, "reactions", asked.id, "<reaction>😢</reaction>") + _STORE
        computer.send_raw(f"<message to='{contact}' type='chat' id='sad'>{sad}</message>")
        oops = await devices.says(tablet, "Oops.")
        back = _about(_RETRACT, "retract", oops) + _STORE
        tablet.send_raw(f"<message to='{contact}' type='chat' id='back'>{back}</message>")
        await scene.bob.wait_for(lambda event: event.type == "m.room.redaction")
        await scene.settled()
        await tablet.ping()

        by_computer: list[Deed] = [
            ("alice", "answers", "Locked out?", "Yse."),
            ("alice", "edits", "Yse.", "Yes."),
            ("alice", "reacts to", "Locked out?", "😢"),
        ]
        by_tablet: list[Deed] = [
            ("alice", "says", "", "Oops."),
            ("alice", "takes back", "Oops.", ""),
        ]
        shown: list[Deed] = [
            ("bob", "says", "", "Here I am."),
            ("bob", "says", "", "Locked out?"),
        ]
        assert Counter(devices.deeds(tablet)) == Counter([*shown, *by_computer])
        assert Counter(devices.deeds(computer)) == Counter([*shown, *by_tablet])
        assert _on_matrix(devices) == {
            ("m.in_reply_to", "Yse."): 1,
            ("m.replace", "Yes."): 1,
            ("m.annotation", "😢"): 1,
            ("m.room.message", "Oops."): 1,
            ("m.room.redaction", ""): 1,
        }
        kept = Counter(await devices.archive())
        assert kept == Counter([*shown, *by_computer, *by_tablet])


async def test_what_others_and_other_apps_change_is_changed_on_both_once(house: House) -> None:
    """By bob, and by alice with the app of the network."""
    async with _two_devices(house) as devices:
        scene, bob, phone = devices.scene, devices.scene.bob, devices.scene.phone
        computer, tablet = devices.both
        room = scene.room
        await devices.says(computer, "Locked out.")
        seen = await bob.wait_text("Locked out.", room_id=room)
        shown: list[Deed] = [("bob", "says", "", "Here I am.")]

        reply = await bob.reply(room, seen.event_id, "I cmoe.")
        shown.append(("bob", "answers", "Locked out.", "> Locked out.\nI cmoe."))
        await devices.told(shown[-1])
        await bob.edit(room, reply, "I come.")
        await bob.react(room, seen.event_id, "🔑")
        shown.append(("bob", "reacts to", "Locked out.", "🔑"))
        await devices.told(shown[-1])
        oops = await bob.send_text(room, "Oops.")
        shown.append(("bob", "says", "", "Oops."))
        await devices.told(shown[-1])
        await bob.redact(room, oops)
        shown.append(("bob", "takes back", "Oops.", ""))
        await devices.told(shown[-1])

        thanks = await phone.send_text(room, "Tanks.")
        await phone.edit(room, thanks, "Thanks.")
        await phone.react(room, reply, "❤️")
        answer = "> Locked out.\nI cmoe."
        shown.append(("bob", "edits", answer, "> Locked out.\nI come."))
        if isinstance(house.xmpp, Prosody):
            shown.append(("alice", "says", "", "Tanks."))
            shown.append(("alice", "edits", "Tanks.", "Thanks."))
            shown.append(("alice", "reacts to", answer, "❤️"))
        else:  # nobody may send reactions in alice's name
            shown.append(("bob", "says", "", "You: Tanks."))
            shown.append(("bob", "edits", "You: Tanks.", "You: Thanks."))
        await devices.told(shown[-1])
        await scene.settled()
        await tablet.ping()
        hers: Deed = ("alice", "says", "", "Locked out.")
        assert Counter(devices.deeds(computer)) == Counter(shown)
        assert Counter(devices.deeds(tablet)) == Counter([*shown, hers])
        assert Counter(await devices.archive()) == Counter([*shown, hers])
