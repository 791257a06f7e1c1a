# SPDX-License-Identifier: Apache-2.0
"""Clients that encrypt by default look for the devices of a whole group (REQ-135, REQ-803)."""

from __future__ import annotations

import pytest

from tests.scenario.house import GATEWAY, House
from tests.scenario.test_stream import ALICE, running

_PUBSUB = "http://jabber.org/protocol/pubsub"
_ERRORS = "{urn:ietf:params:xml:ns:xmpp-stanzas}"
_NODES = (
    "eu.siacs.conversations.axolotl.devicelist",
    "eu.siacs.conversations.axolotl.bundles:31415",
    "urn:xmpp:omemo:2:devices",
    "urn:xmpp:omemo:2:bundles",
    "urn:xmpp:openpgp:0:public-keys",
)


@pytest.mark.parametrize("network", ["answers", "answers nothing", "is down"])
async def test_req_135_803_two_hundred_at_once_wait_for_nobody(house: House, network: str) -> None:
    """The members of a private group, as soon as a client is told of them."""
    await running(house)
    members = [{"user": "alice"}, *({"user": f"member{number}"} for number in range(200))]
    house.network.event("alice", "room", room="!club", name="Club", members=members)
    await house.clock.settle()
    if network == "is down":
        await house.network.stop()
        await house.clock.settle()
    house.network.mute = network == "answers nothing"
    while not house.server.received.empty():
        house.server.received.get_nowait()
    now = house.clock.monotonic()
    wanted = []
    for number in range(200):
        node = _NODES[number % len(_NODES)]
        wanted.append(f"q{number}")
        house.server.send(
            f"<iq type='get' id='q{number}' from='{ALICE}/phone' to='member{number}@{GATEWAY}'>"
            f"<pubsub xmlns='{_PUBSUB}'><items node='{node}'/></pubsub></iq>"
        )
    await house.clock.settle()
    answered = []
    while not house.server.received.empty():
        answer = house.server.received.get_nowait()
        if answer.tag.endswith("}iq"):
            answered.append(answer.get("id"))
            assert answer.get("type") == "error"
            assert answer.find(f".//{_ERRORS}item-not-found") is not None
    assert answered == wanted
    assert house.clock.monotonic() == now
    assert "find" not in repr(house.network.commands)
