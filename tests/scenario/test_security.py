# SPDX-License-Identifier: Apache-2.0
"""Whom the gateway believes, and who gets what (REQ-701 to REQ-706, REQ-710, REQ-742)."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
import structlog

from gateway.ids import UserJid
from gateway.xmpp import jid
from tests.scenario.house import GATEWAY, PASSWORD, SECRET, House
from tests.scenario.patterns import ACCEPT
from tests.scenario.test_limits import answers, conditions, message
from tests.scenario.test_stream import ALICE, bodies, events, running

PRIVILEGE = "urn:xmpp:privilege:2"


# --- the payload is not believed (REQ-701, REQ-702) ---------------------------------------------


FORGED = {
    "forwarded": "<forwarded xmlns='urn:xmpp:forward:0'><message xmlns='jabber:client'"
    " from='carol@home.example' to='bob@net.example'><body>forged</body></message></forwarded>",
    "carbon": "<received xmlns='urn:xmpp:carbons:2'><forwarded xmlns='urn:xmpp:forward:0'><message"
    " xmlns='jabber:client' from='carol@home.example' to='bob@net.example'><body>forged</body>"
    "</message></forwarded></received>",
    "delay": "<delay xmlns='urn:xmpp:delay' from='carol@home.example'"
    " stamp='2001-01-01T00:00:00Z'/>",
    "addresses": "<addresses xmlns='http://jabber.org/protocol/address'>"
    "<address type='ofrom' jid='carol@home.example'/>"
    "<address type='to' jid='eve@net.example'/></addresses>",
    "nick": "<nick xmlns='http://jabber.org/protocol/nick'>Carol</nick>",
    "ids": "<stanza-id xmlns='urn:xmpp:sid:0' id='forged' by='home.example'/>"
    "<origin-id xmlns='urn:xmpp:sid:0' id='forged'/>"
    "<occupant-id xmlns='urn:xmpp:occupant-id:0' id='forged'/>",
    "invite": "<x xmlns='http://jabber.org/protocol/muc#user'>"
    "<invite from='carol@home.example'/></x>",
}


@pytest.mark.parametrize("payload", FORGED)
async def test_req_701_the_payload_says_nothing_of_the_sender(house: House, payload: str) -> None:
    await running(house)
    await house.link("carol@home.example", "carol")
    await bodies(house)
    stanza = message(ALICE, 1).replace("<body>", f"{FORGED[payload]}<body>")
    await answers(house, stanza)
    (sent,) = house.network.sent
    assert (sent.sender, sent.to, sent.body) == ("alice", "bob", "text 1")
    (row,) = house.query("SELECT sender, committed_at FROM outbound")
    assert row == (f"{ALICE}/x", house.clock.now())


@pytest.mark.parametrize("payload", ["forwarded", "carbon"])
async def test_req_701_what_is_wrapped_is_not_a_message(house: House, payload: str) -> None:
    await running(house)
    await house.link("carol@home.example", "carol")
    await bodies(house)
    await answers(house, f"<message from='{ALICE}' to='bob@{GATEWAY}'>{FORGED[payload]}</message>")
    assert not house.network.sent


async def test_req_702_not_for_us_is_counted(house: House) -> None:
    await running(house)
    for to in ("bob@other.example", "bob@net.example.evil.example", "", "bob@NET.example.", "@"):
        await answers(house, message(ALICE, 1, to=to))
    dropped = [log for log in house.logs if log["event"] == "not_for_us"]
    assert [(log["to"], log["unsaid"]) for log in dropped] == [("bob@other.example", 0)]
    assert len(house.network.sent) == 1, "another spelling of our own domain"
    await house.clock.advance(60)
    await answers(house, message(ALICE, 1, to="bob@other.example"))
    dropped = [log for log in house.logs if log["event"] == "not_for_us"]
    assert dropped[-1]["unsaid"] == 3


# --- privileges (REQ-703, REQ-704) --------------------------------------------------------------


def advertisement(sender: str, inner: str = "<perm access='message' type='outgoing'/>") -> str:
    return (
        f"<message from='{sender}' to='{GATEWAY}'>"
        f"<privilege xmlns='{PRIVILEGE}'>{inner}</privilege></message>"
    )


def may_send(house: House) -> bool:
    return bool(house.component.privileges.may_send_as(UserJid(ALICE)))


@pytest.mark.parametrize(
    "sender",
    [
        "evil.example",
        "alice@home.example",
        "home.example/x",
        "x@home.example",
        "home.example.evil",
    ],
)
async def test_req_703_only_the_bare_local_domain_grants(house: House, sender: str) -> None:
    await running(house)
    await answers(house, advertisement(sender))
    assert not may_send(house)
    assert "privileges_from_stranger" in events(house)


async def test_req_703_replaced_as_a_whole_and_cleared_at_disconnect(house: House) -> None:
    await running(house)
    await answers(house, advertisement("home.example"))
    assert may_send(house)
    await answers(house, advertisement("home.example", "<perm access='roster' type='both'/>"))
    assert not may_send(house)
    await answers(house, advertisement("home.example"))
    house.server.cut()
    await house.clock.advance(2)
    await house.connected()
    assert not may_send(house)


async def test_req_703_strangers_do_not_fill_the_log(house: House) -> None:
    await running(house)
    await answers(house, *(advertisement(f"evil{n}.example") for n in range(200)))
    assert events(house).count("privileges_from_stranger") <= 10


@pytest.mark.parametrize("sender", ["home.example", "evil.example", "alice@home.example"])
async def test_req_704_wrapped_answers_that_nobody_asked_for_do_nothing(
    house: House, sender: str
) -> None:
    await running(house)
    await answers(house, advertisement("home.example"))
    wrapped = message("carol@home.example", 1).replace(
        "<message", "<message xmlns='jabber:client'"
    )
    forged = f"<forwarded xmlns='urn:xmpp:forward:0'>{wrapped}</forwarded>"
    assert await answers(house, advertisement(sender, forged)) == []
    assert may_send(house)
    assert not house.network.sent


# --- who is who (REQ-706, REQ-710) --------------------------------------------------------------


NAMESAKES = [
    "alice@far.example",
    "alice@home.example.far.example",
    "alice@hоme.example",  # noqa: RUF001 - a Cyrillic letter
    "alіce@home.example",  # noqa: RUF001
    "ａlice@home.example",  # noqa: RUF001 - full width
    "alice@home.example@far.example",
    "home.example",
    "alice",
]


@pytest.mark.parametrize("namesake", NAMESAKES)
async def test_req_706_710_a_namesake_gets_nothing_of_the_user(
    house: House, namesake: str
) -> None:
    await running(house)
    puppet = f"bob@{GATEWAY}"
    for kind in ("subscribe", "subscribed"):
        await answers(house, f"<presence type='{kind}' from='{ALICE}' to='{puppet}'/>")
    house.network.says("alice", "bob", "secret")
    (secret,) = await answers(house)
    asked = [
        *(
            f"<presence type='{k}' from='{namesake}' to='{puppet}'/>"
            for k in ("probe", "subscribe")
        ),
        message(namesake, 1),
        *(
            f"<iq type='get' from='{namesake}/x' to='{puppet}{resource}' id='q'>{query}</iq>"
            for resource in ("", "/scripted")
            for query in (
                "<vCard xmlns='vcard-temp'/>",
                "<query xmlns='jabber:iq:last'/>",
                "<ping xmlns='urn:xmpp:ping'/>",
                "<query xmlns='http://jabber.org/protocol/disco#info'/>",
                (
                    "<pubsub xmlns='http://jabber.org/protocol/pubsub'>"
                    "<items node='http://jabber.org/protocol/nick'/></pubsub>"
                ),
            )
        ),
        # Neither a receipt nor a bounce of theirs is one of the user.
        (
            f"<message from='{namesake}/x' to='{puppet}'>"
            f"<received xmlns='urn:xmpp:receipts' id='{secret.get('id')}'/></message>"
        ),
        (
            f"<message type='error' from='{namesake}' to='{puppet}' id='{secret.get('id')}'>"
            "<error><item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>"
            "</message>"
        ),
    ]
    found = await answers(house, *asked)
    assert not [stanza for stanza in found if stanza.get("type") in ("result", None)]
    assert "Bob" not in "".join("".join(stanza.itertext()) for stanza in found)
    assert not [s for s in found if s.tag == f"{ACCEPT}presence" and not s.get("type")]
    assert not house.network.sent
    await house.clock.advance(60)
    assert house.query("SELECT count(*) FROM inbound WHERE state = 2") == [(1,)]


@pytest.mark.parametrize(
    "spelling", ["Alice@HOME.example", "alice@home.example.", "ALICE@home.EXAMPLE"]
)
async def test_req_706_other_spellings_of_the_user(house: House, spelling: str) -> None:
    await running(house)
    await answers(house, message(spelling, 1))
    assert [text.sender for text in house.network.sent] == ["alice"]


def test_req_706_only_what_every_server_takes_for_equal_is_equal() -> None:
    assert jid.split("ALICE@Home.Example/Rés").bare == "alice@home.example"
    assert jid.split("Ärger@home.example").bare == "Ärger@home.example"
    # U+212A, the sign of Kelvin, is a "k" for str.lower.
    assert jid.split("alice@ban\u212a.example").domain != "bank.example"


async def test_req_710_presence_is_for_those_who_are_subscribed(house: House) -> None:
    await running(house)
    await house.link("carol@home.example", "carol")
    await answers(house, f"<presence type='subscribe' from='{ALICE}' to='bob@{GATEWAY}'/>")
    await house.clock.advance(60)
    await answers(house)
    probes = [
        f"<presence type='probe' from='{user}' to='bob@{GATEWAY}'/>"
        for user in ("carol@home.example", "dave@home.example", "mallory@evil.example")
    ]
    found = await answers(house, *probes)
    assert {stanza.get("type") for stanza in found} <= {"unavailable", "unsubscribed"}
    assert not [stanza for stanza in found if len(stanza)]
    (last,) = await answers(
        house,
        f"<iq type='get' id='l' from='{ALICE}/x' to='bob@{GATEWAY}'>"
        "<query xmlns='jabber:iq:last'/></iq>",
    )
    assert conditions([last]) == {"cancel service-unavailable": 1}


async def test_req_705_rights_are_looked_at_each_time(house: House) -> None:
    await running(house)
    access = house.component.access
    assert conditions(await answers(house, message(ALICE, 1))) == {}
    house.component.access = type(access)(allow=("home.example",), deny=(ALICE,))
    assert conditions(await answers(house, message(ALICE, 2))) == {"auth forbidden": 1}
    house.component.access = access
    assert conditions(await answers(house, message(ALICE, 3))) == {}
    assert [text.body for text in house.network.sent] == ["text 1", "text 3"]


# --- logs (REQ-742) -----------------------------------------------------------------------------


async def test_req_742_the_log_has_nothing_of_what_people_say(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run through good and bad; the words of people, and secrets, are looked for."""
    records = tmp_path / "library.log"
    structlog.get_config()["processors"].insert(0, structlog.processors.format_exc_info)
    handler = logging.FileHandler(records)
    logging.getLogger().addHandler(handler)
    canaries = ["canary-out", "canary-in", "canary-bad", "canary-typed", "canary-name"]
    try:
        await running(house)
        house.network.people["canary-name"] = "canary-name"
        await answers(house, message(ALICE, 1, "canary-out"), message(ALICE, 1, "canary-out"))
        house.network.says("alice", "bob", "canary-in")
        house.network.faults += [{"error": "forbidden", "text": "canary-bad"}]
        await answers(house, message(ALICE, 2, "canary-out"))
        await answers(house, message(ALICE, 3, "canary-out", "nobody@net.example"))
        for said in ("login", "canary-typed", PASSWORD, "login", "dave", PASSWORD, "canary-typed"):
            await answers(house, message("new@home.example", 4, said, GATEWAY))

        def broken(*_: object) -> None:
            raise RuntimeError("a defect")

        for place in ("wants", "typing"):
            monkeypatch.setattr(house.bridge, place, broken)
        await answers(house, message(ALICE, 5, "canary-out"))
        monkeypatch.setattr("gateway.xmpp.codec.outgoing.stanza_of", broken)
        house.network.says("alice", "bob", "canary-in")
        await answers(house)
        house.server.send("<message><body>canary-bad</message>")
        await house.clock.advance(120)
    finally:
        logging.getLogger().removeHandler(handler)
        handler.close()
    logged = [log for log in house.logs if log["log_level"] != "debug"]
    assert {"stanza_failed", "dead_letter", "stream_down"} <= set(events(house))
    written = repr(logged) + records.read_text()
    assert "RuntimeError: a defect" in written, "tracebacks are looked through too"
    words = (*canaries, PASSWORD, SECRET, *house.network.tokens)
    assert [word for word in words if word in written] == []
