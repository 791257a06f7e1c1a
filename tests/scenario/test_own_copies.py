# SPDX-License-Identifier: Apache-2.0
"""What the gateway says in the user's name comes back from their server (REQ-1006). That is no
message of theirs: no limit, guard or list is asked, and none of them counts it."""

from __future__ import annotations

from gateway.bridge.outbound import pieces
from gateway.config.tree import Limits as LimitsConfig
from gateway.config.values import Rate as RateConfig
from tests.scenario.house import GATEWAY, HOME, House
from tests.scenario.test_limits import answers, conditions, message
from tests.scenario.test_stream import ALICE, running

_FORWARDED = "{urn:xmpp:privilege:2}privilege/{urn:xmpp:forward:0}forwarded/{jabber:client}message"
_GRANTED = (
    f"<message from='{HOME}' to='{GATEWAY}'><privilege xmlns='urn:xmpp:privilege:2'>"
    "<perm access='message' type='outgoing'/></privilege></message>"
)


async def said_elsewhere(house: House, *texts: str) -> list[str]:
    """The user says it in another app: what their server sends on to the contact then."""
    for text in texts:
        house.network.says("alice", "bob", text, own=True)
    told = [stanza.find(_FORWARDED) for stanza in await answers(house)]
    found = [(said.get("id"), said.findtext("{jabber:client}body")) for said in told if said]
    assert [body for _, body in found] == list(texts)
    return [
        f"<message type='chat' from='{ALICE}' to='bob@{GATEWAY}' id='{id}'>"
        f"<body>{body}</body></message>"
        for id, body in found
    ]


async def start(house: House) -> None:
    """With alice, in whose name the gateway may speak."""
    await running(house)
    assert await answers(house, _GRANTED) == []


async def test_req_1006_715_the_same_words_in_another_app_are_no_loop(house: House) -> None:
    await start(house)
    for _ in range(25):
        assert await answers(house, *await said_elsewhere(house, "ok")) == []
    assert conditions(await answers(house, message(ALICE, 1, "ok"))) == {}
    assert [sent.body for sent in house.network.sent] == ["ok"]


async def test_req_1006_711_copies_take_nothing_of_what_users_may_send(house: House) -> None:
    house.options.limits = LimitsConfig(messages=RateConfig((3, 60)))
    await start(house)
    assert await answers(house, *await said_elsewhere(house, *"abcdef")) == []
    found = await answers(house, *(message(ALICE, number) for number in range(4)))
    assert conditions(found) == {"wait resource-constraint": 1}
    assert len(house.network.sent) == 3


async def test_req_1006_137_copies_for_a_contact_who_was_blocked_meanwhile(house: House) -> None:
    await start(house)
    copies = await said_elsewhere(house, "Leave me alone.")
    await answers(house, message(ALICE, 0, f"block bob@{GATEWAY}", GATEWAY))
    assert await answers(house, *copies) == []
    assert conditions(await answers(house, message(ALICE, 1))) == {"auth forbidden": 1}


async def test_req_1006_copies_of_what_is_too_long_to_be_sent(house: House) -> None:
    house.options.adapter = "brief"
    await start(house)
    longest = pieces.longest(house.options.capabilities)
    copies = await said_elsewhere(house, "y" * (longest + 1))
    assert await answers(house, *copies) == []
    found = await answers(house, message(ALICE, 1, "y" * (longest + 1)))
    assert conditions(found) == {"modify not-acceptable": 1}
    assert house.network.sent == []


async def test_req_1001_1006_what_an_earlier_stream_has_not_told_says_nothing_of_the_next(
    house: House,
) -> None:
    await start(house)
    server, clock = house.server, house.clock
    server.tells_uptime = False
    server.cut()
    await clock.advance(5)
    await house.connected()
    server.refusal = "close"
    server.cut()
    house.network.says("alice", "bob", "meanwhile", own=True)
    await clock.advance(120)
    server.tells_uptime, server.refusal = True, ""
    server.grants = (
        "<privilege xmlns='urn:xmpp:privilege:2'>"
        "<perm access='message' type='outgoing'/></privilege>"
    )
    await clock.advance(120)
    await house.connected()
    (told,) = await answers(house)
    said = told.find(_FORWARDED)
    assert said is not None
    assert said.findtext("{jabber:client}body") == "meanwhile"
