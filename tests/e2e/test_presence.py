# SPDX-License-Identifier: Apache-2.0
"""Presence between a real XMPP server and a real homeserver."""

from collections.abc import Callable

from tests.demo.login import befriend
from tests.e2e.house import House, Scene
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
