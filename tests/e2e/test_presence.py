# SPDX-License-Identifier: Apache-2.0
"""Presence between a real XMPP server and a real homeserver."""

from collections.abc import Callable

from tests.demo.login import befriend
from tests.e2e.house import PASSWORD, House, Scene
from tests.peers.matrix_client import MatrixEvent
from tests.peers.xmpp_client import Stanza


def _shows(sender: str, show: str, status: str) -> Callable[[Stanza], bool]:
    def found(stanza: Stanza) -> bool:
        return (
            (stanza.kind, stanza.type, stanza.sender_bare) == ("presence", "available", sender)
            and stanza.text("show") == show
            and stanza.text("status") == status
        )

    return found


def _name(scene: Scene) -> str:
    return scene.alice.bare.partition("@")[0]


async def test_presence_both_ways(house: House) -> None:
    async with house.running() as scene:
        await scene.phone.set_presence("offline", "")
        scene.alice.send_presence(show="away", status="In the garden")
        await scene.log_in()
        await scene.bob.set_presence("unavailable", "At lunch")
        await scene.chat()

        # Alice, as bob sees her.
        def alice_is_away(event: MatrixEvent) -> bool:
            shown = (event.content.get("presence"), event.content.get("status_msg"))
            return (event.type, event.sender, *shown) == (
                "m.presence",
                scene.phone.user_id,
                "unavailable",
                "In the garden",
            )

        await scene.bob.wait_for(alice_is_away)

        # Bob, as alice sees him, and what another device of hers finds.
        await befriend(scene.alice, scene.bob_jid)
        await scene.alice.wait_for(_shows(scene.bob_jid, "away", "At lunch"))
        async with house.xmpp_client(_name(scene), resource="desk") as desk:
            await desk.wait_for(_shows(scene.bob_jid, "away", "At lunch"))


async def test_req_1013_prosody_tells_who_is_there_unasked(prosody_house: House) -> None:
    """Alice has not let the gateway see her: the privilege does, and so does it when the gateway
    comes later than she."""
    async with prosody_house.running() as scene:
        await scene.phone.set_presence("offline", "")
        await scene.talk.log_in(prosody_house.synapse.url, scene.phone.user, PASSWORD)
        await scene.chat()

        async def is_seen(status: str) -> None:
            await scene.bob.wait_for(
                lambda event: (
                    (event.type, event.sender) == ("m.presence", scene.phone.user_id)
                    and event.content.get("status_msg") == status
                )
            )

        scene.alice.send_presence(show="away", status="In the garden")
        await is_seen("In the garden")
        assert await scene.gateway.stop() == 0
        scene.alice.send_presence(show="away", status="At home")
        await scene.gateway.start()
        await is_seen("At home")


async def test_who_is_accepted_is_shown_as_they_are(prosody_house: House) -> None:
    """Synapse tells nothing of somebody new before they change."""
    async with prosody_house.linked() as scene:
        await scene.bob.set_presence("unavailable", "At lunch")
        room = await scene.bob.create_direct(scene.phone.user_id)
        await scene.alice.wait_presence("subscribe", sender=scene.bob_jid)
        scene.alice.approve(scene.bob_jid)
        scene.alice.subscribe(scene.bob_jid)
        await scene.bob.wait_member(room, scene.phone.user_id)
        await scene.alice.wait_for(_shows(scene.bob_jid, "away", "At lunch"), timeout=5)


async def test_a_restart_shows_the_same(house: House) -> None:
    async with house.linked() as scene:
        await scene.bob.set_presence("unavailable", "At lunch")
        await scene.chat()
        await befriend(scene.alice, scene.bob_jid)
        await scene.alice.wait_for(_shows(scene.bob_jid, "away", "At lunch"))
        mark = scene.alice.inbox.mark()
        assert await scene.gateway.stop() == 0
        await scene.gateway.start()
        await scene.ping_gateway()
        async with house.xmpp_client(_name(scene), resource="desk") as desk:
            await desk.wait_for(_shows(scene.bob_jid, "away", "At lunch"))
        # Nothing but the answers to the probes of the other device.
        assert not scene.alice.inbox.find(
            lambda stanza: (
                (stanza.kind, stanza.type) == ("presence", "unavailable")
                and stanza.sender_bare == scene.bob_jid
            ),
            since=mark,
        )
