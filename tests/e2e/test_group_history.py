# SPDX-License-Identifier: Apache-2.0
"""What was said in a group on a real homeserver before alice linked her account, as her client
pages back to it."""

from __future__ import annotations

from urllib.parse import quote

from tests.e2e.house import House, Scene
from tests.e2e.test_groups import _group, _in_room, _invited, _join
from tests.e2e.two import address
from tests.peers.xmpp_client import Stanza, XmppClient

_MAM = "urn:xmpp:mam:2"
_RSM = "http://jabber.org/protocol/rsm"
_INNER = f"{{{_MAM}}}result/{{urn:xmpp:forward:0}}forwarded/{{jabber:client}}message"


async def _page(alice: XmppClient, room: str, page: str) -> tuple[list[Stanza], Stanza]:
    mark = alice.inbox.mark()
    form = (
        "<x xmlns='jabber:x:data' type='submit'>"
        f"<field var='FORM_TYPE' type='hidden'><value>{_MAM}</value></field></x>"
    )
    asked = f"<query xmlns='{_MAM}'>{form}<set xmlns='{_RSM}'>{page}</set></query>"
    answer = await alice.iq(room, asked, type="set")
    found = (stanza.xml.find(_INNER) for stanza in alice.inbox.items[mark:])
    return [Stanza(message) for message in found if message is not None], answer


def _end(answer: Stanza, name: str) -> str:
    return answer.xml.findtext(f".//{{{_RSM}}}{name}") or ""


def _is_complete(answer: Stanza) -> bool:
    fin = answer.child(_MAM, "fin")
    return fin is not None and fin.get("complete") == "true"


async def _all(alice: XmppClient, room: str, *, back: bool) -> list[Stanza]:
    """In pages of 10."""
    found: list[Stanza] = []
    at = "<before/>" if back else ""
    for _ in range(100):
        messages, answer = await _page(alice, room, f"<max>10</max>{at}")
        assert len(messages) <= 10
        found = messages + found if back else found + messages
        if _is_complete(answer):
            return found
        name, end = ("before", "first") if back else ("after", "last")
        at = f"<{name}>{_end(answer, end)}</{name}>"
    raise AssertionError("there is no end")


def _room(scene: Scene) -> str:
    """Address of the only group."""
    ((local,),) = scene.query("SELECT localpart FROM address WHERE localpart LIKE '#%'")
    return f"{local}@{scene.house.domain}"


async def test_all_that_was_said_before_the_link_is_there_once(prosody_house: House) -> None:
    async with prosody_house.running() as scene:
        alice, bob = scene.alice, scene.bob
        group = await _group(scene)
        said = [f"before {number}" for number in range(120)]
        ids = [await bob.send_text(group, body) for body in said]
        await bob.edit(group, ids[3], "before three")
        await bob.react(group, ids[5], "👍")
        await bob.redact(group, ids[7])
        await scene.phone.send_text(group, "from my phone")
        await scene.log_in()
        await scene.live()
        await bob.send_text(group, "now")
        await scene.settled()
        room = _room(scene)
        await _join(alice, room)
        await alice.wait_for(_in_room(room, "now"))
        mark = alice.inbox.mark()

        results = await _all(alice, room, back=True)
        bodies = [stanza.body for stanza in results if stanza.body]
        expected = [*said[:7], *said[8:], "before three", "from my phone", "now"]
        assert sorted(bodies) == sorted(expected)
        texts = [body for body in bodies if body in said]
        assert texts == [body for body in said if body != said[7]]
        assert bodies[-1] == "now"
        by_body = {stanza.body: stanza for stanza in results if stanza.body}
        replace = by_body["before three"].child("urn:xmpp:message-correct:0", "replace")
        assert replace is not None
        assert replace.get("id") == by_body["before 3"].id
        assert by_body["before 0"].sender == f"{room}/{bob.user}"
        assert by_body["from my phone"].sender.startswith(f"{room}/alice")
        reacted = [stanza.child("urn:xmpp:reactions:0", "reactions") for stanza in results]
        assert [[one.text for one in emoji] for emoji in reacted if emoji is not None] == [["👍"]]
        gone = [stanza.child("urn:xmpp:message-retract:1", "retracted") for stanza in results]
        assert len([stone for stone in gone if stone is not None]) == 1

        again = await _all(alice, room, back=False)
        assert [stanza.id for stanza in again] == [stanza.id for stanza in results]
        live = [
            stanza
            for stanza in alice.inbox.items[mark:]
            if stanza.kind == "message" and stanza.type == "groupchat"
        ]
        assert live == []


async def test_what_the_homeserver_hides_is_not_there(prosody_house: House) -> None:
    """History visibility: what was said before alice was invited is for those of before."""
    async with prosody_house.running() as scene:
        alice, bob = scene.alice, scene.bob
        group = await bob.create_room(name="Tea")
        content = {"history_visibility": "joined"}
        path = f"rooms/{group}/state/m.room.history_visibility/"
        await bob.request("PUT", path, content)
        for number in range(30):
            await bob.send_text(group, f"secret {number}")
        await bob.request("POST", f"rooms/{group}/invite", {"user_id": scene.phone.user_id})
        await scene.phone.wait_invite(sender=bob.user_id)
        await scene.phone.join(group)
        await bob.send_text(group, "welcome")
        await scene.log_in()
        await scene.live()
        await scene.settled()
        room = _room(scene)
        bodies = [stanza.body for stanza in await _all(alice, room, back=True) if stanza.body]
        assert bodies == ["welcome"]


async def test_what_was_missed_is_found_in_its_place(prosody_house: House) -> None:
    """More than is fetched at once was said while the gateway was down; then alice was out of the
    group for a while."""
    settings = {"allow_private_homeservers": True, "max_gap": 20}
    networks = {"matrix": prosody_house.network(prosody_house.domain, settings=settings)}
    async with prosody_house.linked(networks=networks) as scene:
        alice, bob = scene.alice, scene.bob
        group = await _group(scene)
        await scene.live()
        room = await _invited(alice)
        await _join(alice, room)
        await bob.send_text(group, "before")
        await alice.wait_for(_in_room(room, "before"))
        await scene.gateway.stop()
        missed = [f"missed {number}" for number in range(150)]
        for body in missed:
            await bob.send_text(group, body)
        await scene.gateway.start()
        await alice.wait_for(_in_room(room, missed[-1]), timeout=30)
        await scene.settled()
        assert "missed 0" not in {stanza.body for stanza in alice.inbox.items}

        results = await _all(alice, room, back=True)
        bodies = [stanza.body for stanza in results if (stanza.body or "").startswith(("b", "m"))]
        assert bodies == ["before", *missed]
        lines = [stanza.body or "" for stanza in results if "not fetched" in (stanza.body or "")]
        assert len(lines) == 1
        again = await _all(alice, room, back=False)
        assert [stanza.id for stanza in again] == [stanza.id for stanza in results]

        await bob.request("POST", f"rooms/{quote(group)}/kick", {"user_id": scene.phone.user_id})
        await alice.wait_for(
            lambda stanza: (stanza.type, stanza.sender_bare) == ("unavailable", room)
        )
        meanwhile = [f"meanwhile {number}" for number in range(5)]
        for body in meanwhile:
            await bob.send_text(group, body)
        since = alice.inbox.mark()
        await bob.invite(group, scene.phone.user_id)
        await scene.phone.wait_invite(sender=bob.user_id)
        await scene.phone.join(group)
        assert await address(alice, since) == room
        await _join(alice, room)
        await bob.send_text(group, "more")
        await alice.wait_for(_in_room(room, "more"))
        results = await _all(alice, room, back=True)
        bodies = [stanza.body for stanza in results if (stanza.body or "").startswith(("b", "m"))]
        assert bodies == ["before", *missed, *meanwhile, "more"]
