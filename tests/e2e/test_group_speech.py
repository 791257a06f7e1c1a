# SPDX-License-Identifier: Apache-2.0
"""A group on Matrix in which people change, answer, react, take back, read and type, as alice sees
it in a room, and as bob sees her."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import quote

from tests.e2e.house import House, Scene
from tests.e2e.test_groups import _group, _in_room, _invited, _join
from tests.peers.matrix_client import MatrixEvent
from tests.peers.xmpp_client import Stanza

_REPLACE = "urn:xmpp:message-correct:0"
_REACTIONS = "urn:xmpp:reactions:0"
_REPLY = "urn:xmpp:reply:0"
_RETRACT = "urn:xmpp:message-retract:1"
_MODERATE = "urn:xmpp:message-moderate:1"
_MARKERS = "urn:xmpp:chat-markers:0"
_STATES = "http://jabber.org/protocol/chatstates"
_SID = "urn:xmpp:sid:0"
_REFERENCE = "urn:xmpp:reference:0"
_MENTIONS = "urn:xmpp:mentions:0"


def _with(room: str, namespace: str, name: str, of: str) -> Callable[[Stanza], bool]:
    """A message of the room in which this element refers to a message."""

    def found(stanza: Stanza) -> bool:
        element = stanza.child(namespace, name)
        is_here = (stanza.type, stanza.sender_bare) == ("groupchat", room)
        return is_here and element is not None and element.get("id") == of

    return found


def _emoji(stanza: Stanza) -> list[str | None]:
    reactions = stanza.child(_REACTIONS, "reactions")
    return [] if reactions is None else [reaction.text for reaction in reactions]


def _archive_id(stanza: Stanza) -> str:
    found = stanza.child(_SID, "stanza-id")
    assert found is not None
    return found.get("id", "")


async def _scene(scene: Scene) -> tuple[str, str]:
    group = await _group(scene)
    room = await _invited(scene.alice)
    await _join(scene.alice, room)
    return group, room


async def test_what_others_do_is_seen_in_the_room(prosody_house: House) -> None:
    async with prosody_house.linked() as scene:
        alice, bob = scene.alice, scene.bob
        group, room = await _scene(scene)
        said = await bob.send_text(group, "helo")
        heard = await alice.wait_for(_in_room(room, "helo"))
        await bob.edit(group, said, "hello")
        edited = await alice.wait_for(_in_room(room, "hello"))
        replace = edited.child(_REPLACE, "replace")
        assert replace is not None
        assert replace.get("id") == heard.id
        reacted = _with(room, _REACTIONS, "reactions", _archive_id(heard))
        reaction = await bob.react(group, said, "👍")
        assert _emoji(await alice.wait_for(reacted)) == ["👍"]
        mark = len(alice.inbox.items)
        await bob.redact(group, reaction)
        assert _emoji(await alice.wait_for(reacted, since=mark)) == []
        await bob.typing(group)
        await alice.wait_for(lambda stanza: stanza.child(_STATES, "composing") is not None)
        await bob.redact(group, said)
        gone = await alice.wait_for(_with(room, _RETRACT, "retract", _archive_id(heard)))
        retract = gone.child(_RETRACT, "retract")
        assert retract is not None
        moderated = retract.find(f"{{{_MODERATE}}}moderated")
        assert moderated is not None
        assert gone.sender == room


async def test_what_alice_does_is_seen_on_matrix(prosody_house: House) -> None:
    async with prosody_house.linked() as scene:
        alice, bob = scene.alice, scene.bob
        group, room = await _scene(scene)
        said = await bob.send_text(group, "lunch?")
        heard = await alice.wait_for(_in_room(room, "lunch?"))

        def says(sid: str, content: str) -> None:
            alice.send_raw(f"<message to='{room}' type='groupchat' id='{sid}'>{content}</message>")

        asked = _archive_id(heard)
        says("m1", f"<body>yse</body><reply xmlns='{_REPLY}' to='{heard.sender}' id='{asked}'/>")
        answer = await bob.wait_text("yse", room_id=group)
        assert answer.content["m.relates_to"] == {"m.in_reply_to": {"event_id": said}}
        mine = await alice.wait_for(lambda stanza: stanza.id == "m1")

        says("m2", f"<body>yes</body><replace xmlns='{_REPLACE}' id='m1'/>")
        edit = await bob.wait_for(lambda event: "m.new_content" in event.content)
        assert edit.content["m.new_content"]["body"] == "yes"
        assert edit.content["m.relates_to"]["event_id"] == answer.event_id

        for sid, emoji in (("m3", "👍❤"), ("m4", "❤🎉")):
            each = "".join(f"<reaction>{one}</reaction>" for one in emoji)
            says(sid, f"<reactions xmlns='{_REACTIONS}' id='{asked}'>{each}</reactions>")
            await bob.wait_for(_shows(scene, said, set(emoji)))
            reflected = await alice.wait_for(lambda stanza, sid=sid: stanza.id == sid)  # type: ignore[misc]
            assert set(_emoji(reflected)) == set(emoji)

        says("m5", f"<displayed xmlns='{_MARKERS}' id='{asked}'/>")
        await bob.wait_receipt(said, user_id=scene.phone.user_id)
        says("m6", f"<composing xmlns='{_STATES}'/>")
        await bob.wait_typing(group, scene.phone.user_id)
        says("m7", f"<retract xmlns='{_RETRACT}' id='{_archive_id(mine)}'/>")
        await bob.wait_for(
            lambda event: (
                event.type == "m.room.redaction"
                and answer.event_id in (event.raw.get("redacts"), event.content.get("redacts"))
            )
        )
        await alice.wait_for(_with(room, _RETRACT, "retract", _archive_id(mine)))
        await scene.settled()
        errors = alice.inbox.find(
            lambda stanza: (stanza.type, stanza.sender_bare) == ("error", room)
        )
        assert list(map(str, errors)) == []


def _shows(scene: Scene, message: str, emoji: set[str]) -> Callable[[MatrixEvent], bool]:
    """Whether these are the reactions to a message."""

    def shown(_: MatrixEvent) -> bool:
        made: dict[str, str] = {}
        for event in scene.bob.inbox.items:
            relation = event.content.get("m.relates_to", {})
            if event.type == "m.reaction" and relation.get("event_id") == message:
                made[event.event_id] = relation["key"]
            elif event.type == "m.room.redaction":
                made.pop(str(event.raw.get("redacts")), None)
        return set(made.values()) == emoji

    return shown


async def test_req_439_574_people_are_mentioned_both_ways(prosody_house: House) -> None:
    async with prosody_house.linked() as scene:
        alice, bob = scene.alice, scene.bob
        group, room = await _scene(scene)
        me = scene.phone.user_id
        content = {
            "msgtype": "m.text",
            "body": "My friend, tea?",
            "format": "org.matrix.custom.html",
            "formatted_body": f'<a href="https://matrix.to/#/{me}">My friend</a>, tea?',
            "m.mentions": {"user_ids": [me]},
        }
        await bob.send_event(group, "m.room.message", content)
        heard = await alice.wait_for(
            lambda stanza: stanza.child(_REFERENCE, "reference") is not None
        )
        reference, mention = (
            heard.child(_REFERENCE, "reference"),
            heard.child(_MENTIONS, "mention"),
        )
        assert reference is not None
        assert mention is not None
        nick = str(heard.body).removesuffix(", tea?")
        assert reference.get("uri") == f"xmpp:{quote(room, safe='@.-_~')}/{quote(nick, safe='')}"
        assert (reference.get("begin"), reference.get("end")) == ("0", str(len(nick)))
        assert mention.get("occupantid")

        asked = heard.sender.partition("/")[2]
        alice.send_raw(
            f"<message to='{room}' type='groupchat' id='m1'><body>{asked}: yes</body></message>"
        )
        answer = await bob.wait_text(f"{asked}: yes", room_id=group)
        link = f'<a href="https://matrix.to/#/{bob.user_id}">{asked}</a>: yes'
        assert answer.content["m.mentions"] == {"user_ids": [bob.user_id]}
        assert answer.content["formatted_body"] == link
        mine = await alice.wait_for(lambda stanza: stanza.id == "m1")
        seen = mine.child(_REFERENCE, "reference")
        assert seen is not None
        assert seen.get("end") == str(len(asked))


async def test_req_578_a_thread_goes_on_from_both_sides(prosody_house: House) -> None:
    async with prosody_house.linked() as scene:
        alice, bob = scene.alice, scene.bob
        group, room = await _scene(scene)

        def related(event_id: str, *, is_answer: bool) -> dict[str, object]:
            answered = {"event_id": event_id}
            relation = {"rel_type": "m.thread", "event_id": root, "m.in_reply_to": answered}
            return {**relation, "is_falling_back": not is_answer}

        def says(sid: str, content: str) -> None:
            alice.send_raw(f"<message to='{room}' type='groupchat' id='{sid}'>{content}</message>")

        root = await bob.send_text(group, "tea?")
        began = await alice.wait_for(_in_room(room, "tea?"))
        green = {
            "msgtype": "m.text",
            "body": "green",
            "m.relates_to": related(root, is_answer=False),
        }
        first = await bob.send_event(group, "m.room.message", green)
        heard = await alice.wait_for(_with(room, _REPLY, "reply", _archive_id(began)))
        thread = f"<thread>{heard.text('thread')}</thread>"
        assert began.text("thread") == ""
        assert heard.text("thread") != ""
        says("m1", f"<body>black</body>{thread}")
        black = await bob.wait_text("black", room_id=group)
        assert black.content["m.relates_to"] == related(first, is_answer=False)
        mine = await alice.wait_for(lambda stanza: stanza.id == "m1")
        assert mine.text("thread") == heard.text("thread")
        asked = _archive_id(heard)
        says("m2", f"<body>ok</body><reply xmlns='{_REPLY}' to='{heard.sender}' id='{asked}'/>")
        answer = await bob.wait_text("ok", room_id=group)
        assert answer.content["m.relates_to"] == related(first, is_answer=True)
        began_with = await bob.request("GET", f"rooms/{quote(group)}/event/{quote(root)}")
        assert began_with["unsigned"]["m.relations"]["m.thread"]["count"] == 3
