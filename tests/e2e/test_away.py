# SPDX-License-Identifier: Apache-2.0
"""What clients see of a gateway that is not there, and that comes back."""

from __future__ import annotations

from collections import Counter

from tests.e2e.house import House
from tests.peers.xmpp_client import Stanza

_ITEMS = "<query xmlns='http://jabber.org/protocol/disco#items'/>"
_INFO = "<query xmlns='http://jabber.org/protocol/disco#info'/>"


def _error(stanza: Stanza) -> str | None:
    error = stanza.child("jabber:client", "error")
    assert stanza.type == "error"
    assert error is not None
    return error.get("type")


async def test_req_831_909_917_a_gateway_that_is_away_for_a_while(prosody_house: House) -> None:
    """Monal would forget rooms and bookmarks for any error that does not say *wait*."""
    async with prosody_house.linked() as scene:
        alice, domain = scene.alice, scene.house.domain
        await scene.chat()
        # The server of the user lists it, which is how Movim finds it.
        listed = (await alice.iq(scene.house.xmpp.domain, _ITEMS)).xml
        assert domain in {item.get("jid") for item in listed.iter()}
        assert await scene.gateway.stop() == 0
        for address in (domain, f"#club@{domain}", scene.bob_jid):
            assert _error(await alice.iq(address, _INFO)) == "wait"
        lost = alice.send_message(scene.bob_jid, "Are you there?")
        assert _error(await alice.wait_error(lost)) == "wait"
        await scene.gateway.start()
        await scene.ping_gateway()
        # The client has shown it as failed. What the user says again is new, and is said alone.
        again = alice.send_message(scene.bob_jid, "Are you there?")
        await alice.wait_receipt(again)
        await scene.bob.wait_text("Are you there?", room_id=scene.room)
        last = alice.send_message(scene.bob_jid, "Good.")
        await alice.wait_receipt(last)
        await scene.bob.wait_text("Good.", room_id=scene.room)
        page = await scene.bob.request("GET", f"rooms/{scene.room}/messages?dir=b&limit=50")
        said = Counter(event["content"].get("body") for event in page["chunk"])
        assert said["Are you there?"] == said["Good."] == 1
