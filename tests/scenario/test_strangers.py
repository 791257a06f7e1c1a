# SPDX-License-Identifier: Apache-2.0
"""What strangers send must not stay in memory."""

from __future__ import annotations

from gateway.xmpp import jid
from gateway.xmpp.codec import xml
from gateway.xmpp.console import welcome
from tests.scenario.house import GATEWAY, House
from tests.scenario.test_stream import bodies


def _sizes() -> list[int]:
    caches = (xml._remembered, jid._remembered_parts, jid._remembered_made)
    return [cache.cache_info().currsize for cache in caches]


async def test_long_ids_and_addresses_are_not_remembered(house: House) -> None:
    await house.start()
    await house.connected()
    house.server.send(
        f"<iq type='get' id='x' from='x@far.example/y' to='{GATEWAY}'>"
        "<ping xmlns='urn:xmpp:ping'/></iq>"
    )
    await bodies(house)
    before = _sizes()
    for number in range(20):
        house.server.send(
            f"<iq type='get' id='{'i' * 50_000}{number}' from='x@far.example/{'r' * 900}{number}'"
            f" to='{GATEWAY}'><ping xmlns='urn:xmpp:ping'/></iq>"
        )
    assert len(await bodies(house)) == 20
    assert _sizes() == before


async def test_req_711_ids_that_no_answer_has_room_for_do_not_fill_the_log(house: House) -> None:
    await house.start()
    await house.connected()
    for number in range(20):
        house.server.send(
            f"<iq type='get' id='{number}{'&quot;' * 50_000}' from='x@evil.example/y'"
            f" to='{GATEWAY}'><ping xmlns='urn:xmpp:ping'/></iq>"
        )
    assert not await bodies(house)
    refused = [log for log in house.logs if log["event"] == "stanza_refused"]
    assert len(refused) == 1
    assert len(repr(refused)) < 1000


def test_what_is_not_remembered_is_the_same() -> None:
    long = "a&b'" * 100
    assert xml.attribute(long) == xml.attribute("a&b'") * 100
    assert jid.split(f"A@B.Example/{long}") == ("a", "b.example", long, "a@b.example")
    assert jid.make("a" * 200, "b.example") == "a" * 200 + "@b.example"


async def test_welcomes_are_forgotten(house: House) -> None:
    await house.start()
    await house.connected()
    for number in range(50):
        house.server.send(
            f"<presence type='subscribe' from='u{number}@far.example' to='bob@{GATEWAY}'/>"
        )
    await bodies(house)
    assert len(house.component.console.welcome._strangers._told) == 50
    await house.clock.advance(86_401)
    house.server.send(f"<presence type='subscribe' from='v@far.example' to='bob@{GATEWAY}'/>")
    await bodies(house)
    assert list(house.component.console.welcome._strangers._told) == ["v@far.example"]


async def test_welcomes_are_bounded(house: House) -> None:
    await house.start()
    await house.connected()
    for number in range(welcome._KEPT + 10):
        house.component.console.welcome.met(f"u{number}@far.example")  # type: ignore[arg-type]
    assert len(house.component.console.welcome._strangers._told) == welcome._KEPT
