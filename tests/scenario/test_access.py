# SPDX-License-Identifier: Apache-2.0
"""Who is denied after having linked an account (REQ-705)."""

from __future__ import annotations

from xml.etree.ElementTree import Element

import pytest

from gateway.ids import UserJid
from gateway.xmpp.access import NOT_ADMITTED, AccessList
from tests.scenario.house import GATEWAY, House
from tests.scenario.patterns import ACCEPT
from tests.scenario.test_stream import ALICE, bodies, events, running

FAR = "alice@far.example"
_TEXT = "{urn:ietf:params:xml:ns:xmpp-stanzas}text"
_FORBIDDEN = "{urn:ietf:params:xml:ns:xmpp-stanzas}forbidden"


async def answers(house: House, stanza: str) -> list[Element]:
    """What the gateway says to a stanza."""
    house.server.send(stanza)
    await house.clock.settle()
    found = []
    while not house.server.received.empty():
        found.append(house.server.received.get_nowait())
    return found


def deny(house: House, user: str) -> None:
    house.component.access = AccessList(allow=("*",), deny=(user,))


def test_req_705_an_admin_who_closes_the_gateway_has_closed_it() -> None:
    access = AccessList(allow=("*", ALICE), deny=("*",), ask=("*",), is_approved=lambda _: True)
    for user in map(UserJid, (ALICE, FAR)):
        assert not access.permits(user)
        assert not access.may_ask(user)
    assert not AccessList(allow=("*",)).names(UserJid(FAR))


async def test_req_705_messages_are_refused(house: House) -> None:
    await running(house)
    deny(house, ALICE)
    (error,) = await answers(
        house,
        f"<message from='{ALICE}/phone' to='bob@{GATEWAY}' type='chat' id='m1'><body>hi</body>"
        "<composing xmlns='http://jabber.org/protocol/chatstates'/></message>",
    )
    assert (error.get("type"), error.get("id")) == ("error", "m1")
    assert error.find(f".//{_FORBIDDEN}") is not None
    assert error.findtext(f".//{_TEXT}") == NOT_ADMITTED
    assert not house.network.sent
    assert not house.network.commands


async def test_req_705_signals_are_ignored(house: House) -> None:
    await running(house)
    deny(house, ALICE)
    assert not await answers(
        house,
        f"<message from='{ALICE}/phone' to='bob@{GATEWAY}' type='chat' id='m1'>"
        "<composing xmlns='http://jabber.org/protocol/chatstates'/></message>",
    )
    assert not house.network.commands


@pytest.mark.parametrize("target", [GATEWAY, f"bob@{GATEWAY}"])
async def test_req_705_refused_with_one_stanza_and_told_when_they_write(
    house: House, target: str
) -> None:
    await running(house, FAR)
    deny(house, FAR)
    subscribe = f"<presence type='subscribe' from='{FAR}' to='{target}'/>"
    (unsubscribed,) = await answers(house, subscribe)
    assert unsubscribed.get("type") == "unsubscribed"
    (told,) = await answers(
        house, f"<message type='chat' from='{FAR}/x' to='{GATEWAY}'><body>login</body></message>"
    )
    assert told.findtext(f"{ACCEPT}body") == NOT_ADMITTED
    (gone,) = await answers(house, f"<presence type='probe' from='{FAR}' to='{target}'/>")
    assert gone.get("type") == "unavailable"


@pytest.mark.parametrize("target", [GATEWAY, f"bob@{GATEWAY}"])
async def test_req_705_people_of_our_own_server_are_told_at_once(
    house: House, target: str
) -> None:
    await running(house)
    deny(house, ALICE)
    subscribe = f"<presence type='subscribe' from='{ALICE}' to='{target}'/>"
    found = await answers(house, subscribe)
    assert sorted(stanza.get("type", "") for stanza in found) == ["chat", "unsubscribed"]
    assert NOT_ADMITTED in [stanza.findtext(f"{ACCEPT}body") for stanza in found]
    (unsubscribed,) = await answers(house, subscribe)
    assert unsubscribed.get("type") == "unsubscribed"


async def test_req_705_nothing_is_told_of_contacts(house: House) -> None:
    await running(house)
    deny(house, ALICE)
    (reply,) = await answers(
        house,
        f"<iq type='get' id='q1' from='{ALICE}/phone' to='bob@{GATEWAY}'>"
        "<query xmlns='http://jabber.org/protocol/disco#info'/></iq>",
    )
    assert reply.get("type") == "error"


async def test_req_705_the_account_does_not_connect(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    await running(house)
    await house.stop()
    monkeypatch.setattr(AccessList, "permits", lambda _, user: user != ALICE)
    await house.start()
    await house.connected()
    account = house.bridge.accounts.of(UserJid(ALICE))
    assert account is not None
    assert account.link is None or account.link.session is None
    assert "account_not_admitted" in events(house)
    await bodies(house)
