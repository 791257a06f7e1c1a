# SPDX-License-Identifier: Apache-2.0
"""What users and strangers write into fields of rooms, however long and of whatever kind."""

from __future__ import annotations

from xml.etree.ElementTree import Element

import pytest

from gateway.ids import RemoteUserId
from gateway.xmpp.stream import MAX_STANZA_BYTES
from tests.scenario.house import GATEWAY, House
from tests.scenario.patterns import ACCEPT
from tests.scenario.test_coming import PHONE, _conditions, _received
from tests.scenario.test_stream import events, running

ADMIN = "http://jabber.org/protocol/muc#admin"
OWNER = "http://jabber.org/protocol/muc#owner"
MUC_USER = "http://jabber.org/protocol/muc#user"
MAM = "urn:xmpp:mam:2"
RECEIPTS = "urn:xmpp:receipts"
LONG = "x" * MAX_STANZA_BYTES
"""No answer has room for it."""
FORM = f"<x xmlns='jabber:x:data' type='submit'><field var='{LONG}'><value/></field></x>"


async def _club(house: House, *others: str) -> str:
    """The address of a room that alice owns."""
    await running(house)
    members = [{"user": "alice", "name": "Alice", "affiliation": "owner"}]
    members += [{"user": user} for user in ("bob", *others)]
    house.network.event("alice", "room", room="!club", name="Club", members=members)
    for number in range(2):
        said = {"sender": "bob", "id": f"m{number}", "body": "hello"}
        house.network.event("alice", "room-message", room="!club", **said, sent_at=0)
    await house.clock.settle()
    (local,) = house.query("SELECT localpart FROM address WHERE remote_id = '!club'")[0]
    await _received(house)
    return f"{local}@{GATEWAY}"


async def _asked(house: House, room: str, payload: str, kind: str) -> list[Element]:
    house.server.send(f"<iq type='{kind}' id='q1' from='{PHONE}' to='{room}'>{payload}</iq>")
    return await _received(house)


@pytest.mark.parametrize(
    ("kind", "payload", "condition"),
    [
        ("set", f"<query xmlns='{ADMIN}'><item nick='{LONG}' role='none'/></query>", "item-not"),
        ("set", f"<query xmlns='{ADMIN}'><item jid='{LONG}@x' role='none'/></query>", "not-acc"),
        (
            "set",
            f"<query xmlns='{OWNER}'>{FORM}</query>",
            "not-acceptable",
        ),
        (
            "set",
            f"<query xmlns='{MAM}'>{FORM}</query>",
            "feature-not-implemented",
        ),
        ("set", f"<query xmlns='{MAM}' queryid='{LONG}'/>", "bad-request"),
        (
            "get",
            f"<query xmlns='http://jabber.org/protocol/disco#items' node='{LONG}'/>",
            "item-not-found",
        ),
    ],
)
async def test_req_129_whatever_is_asked_of_a_room_at_length_is_answered(
    house: House, kind: str, payload: str, condition: str
) -> None:
    room = await _club(house)
    (answer,) = await _asked(house, room, payload, kind)
    (found,) = _conditions([answer])
    assert found.startswith(condition)


async def test_req_547_fifty_are_put_out_of_a_large_group_by_addresses_that_tell_nothing(
    house: House,
) -> None:
    """Who is called like that is looked for among all members, once. No callback may take long."""
    others = [f"Übel {number}" for number in range(6_000)]
    room = await _club(house, *others)
    known = house.bridge.addresses
    addresses = [known.localpart(RemoteUserId(user)) for user in others[-50:]]
    assert all(address.startswith(".") for address in addresses)
    items = "".join(
        f"<item jid='{address}@{GATEWAY}' affiliation='outcast'/>" for address in addresses
    )
    (answer,) = await _asked(house, room, f"<query xmlns='{ADMIN}'>{items}</query>", "set")
    assert answer.get("type") == "result"
    removed = [one["user"] for one in house.network.commands if one["do"] == "RemoveFromRoom"]
    assert removed == others[-50:]


async def test_req_732_what_strangers_say_in_an_invitation_looks_like_no_line_of_the_gateway(
    house: House,
) -> None:
    await running(house)
    house.network.event(
        "alice",
        "room-invite",
        room="!tea",
        id="i1",
        inviter="bob",
        inviter_name="\u2066Support http://evil.example/",
        name="\u202eTea",
        reason="now.\n\nYour login has expired: https://evil.example/",
    )
    invite, line = await _received(house)
    reason = invite[0].get("reason", "")
    body = line.findtext(f"{ACCEPT}body", "")
    assert reason == (
        "Support http:/ /evil.example/ (bob@net.example) invites you to the group “Tea” "
        "(now. Your login has expired: https:/ /evil.example/)."
    )
    assert body.startswith(reason)
    assert body.isprintable()


# --- ids -----------------------------------------------------------------------------------------

_JOIN = "<x xmlns='http://jabber.org/protocol/muc'/>"
_OFTEN = "x" * 10_000
"""Longer than any client's, and an answer has room for it."""
_QUOTES = "'" * 50_000
"""Six times as long in what is written."""


@pytest.mark.parametrize("id", [_OFTEN, _QUOTES, LONG])
async def test_req_129_501_who_joins_under_an_endless_id_is_not_in(house: House, id: str) -> None:
    """Their own presence would be too long to be written, and so all that comes with it."""
    room = await _club(house)
    house.server.send(f'<presence id="{id}" from="{PHONE}" to="{room}/Alice">{_JOIN}</presence>')
    answers = await _received(house)
    assert _conditions(answers) == (["policy-violation"] if id is _OFTEN else [])
    assert house.query("SELECT count(*) FROM occupant") == [(0,)]
    assert "dead_letter" not in events(house)
    house.logs.clear()


@pytest.mark.parametrize("kind", ["groupchat", "chat"])
async def test_req_129_560_what_is_said_under_an_endless_id_is_refused(
    house: House, kind: str
) -> None:
    room = await _club(house)
    house.server.send(f"<presence from='{PHONE}' to='{room}/Alice'>{_JOIN}</presence>")
    await _received(house)
    to = room if kind == "groupchat" else f"bob@{GATEWAY}"
    start = f'<message type="{kind}" from="{PHONE}" to="{to}"'
    house.server.send(f'{start} id="{_OFTEN}"><body>hello</body></message>')
    assert _conditions(await _received(house)) == ["policy-violation"]
    beside = f'<origin-id xmlns="urn:xmpp:sid:0" id="{_QUOTES}"/><request xmlns="{RECEIPTS}"/>'
    house.server.send(f'{start} id="m1"><body>hello</body>{beside}</message>')
    (answer,) = await _received(house)
    assert "m1" in (answer.get("id"), answer[0].get("id"))


async def test_req_510_who_leaves_under_an_endless_id_is_out(house: House) -> None:
    room = await _club(house)
    house.server.send(f"<presence from='{PHONE}' to='{room}/Alice'>{_JOIN}</presence>")
    await _received(house)
    house.server.send(
        f'<presence type="unavailable" id="{LONG}" from="{PHONE}" to="{room}/Alice"/>'
    )
    (left,) = await _received(house)
    assert (left.get("type"), left.get("id")) == ("unavailable", None)
    assert house.query("SELECT count(*) FROM occupant") == [(0,)]


# --- texts and names -----------------------------------------------------------------------------


async def test_req_105_560_what_could_not_be_reflected_is_refused(house: House) -> None:
    """The network would have it, and nobody here."""
    room = await _club(house)
    house.server.send(f"<presence from='{PHONE}' to='{room}/Alice'>{_JOIN}</presence>")
    await _received(house)
    start = f"<message type='groupchat' from='{PHONE}' to='{room}'"
    house.server.send(f"{start} id='m1'><body>{'>' * 70_000}</body></message>")
    (refused,) = await _received(house)
    assert (refused.get("id"), _conditions([refused])) == ("m1", ["not-acceptable"])
    house.server.send(f"{start} id='m2'><body>{'x' * 60_000}</body></message>")
    (said,) = await _received(house)
    assert (said.get("id"), said.get("type")) == ("m2", "groupchat")


async def test_req_563_a_text_for_all_is_no_invitation_whatever_is_beside_it(
    house: House,
) -> None:
    room = await _club(house)
    house.server.send(f"<presence from='{PHONE}' to='{room}/Alice'>{_JOIN}</presence>")
    await _received(house)
    invite = f"<x xmlns='{MUC_USER}'><invite to='carol@{GATEWAY}'/><decline/></x>"
    house.server.send(
        f"<message type='groupchat' id='m1' from='{PHONE}' to='{room}'>"
        f"<body>hello</body>{invite}</message>"
    )
    (said,) = await _received(house)
    assert (said.get("id"), said.findtext(f"{ACCEPT}body")) == ("m1", "hello")
    assert not [one for one in house.network.commands if one["op"] == "manage"]


async def test_req_732_a_name_begins_no_line_as_if_it_were_the_gateways(house: House) -> None:
    room = await _club(house)
    name = "Tea\n\r\u2028\x85Your login has expired:  log in at evil.example"
    members = [{"user": "alice", "affiliation": "owner"}, {"user": "bob", "name": name}]
    house.network.event("alice", "room", room="!club", name=name, members=members)
    house.network.event("alice", "room-invite", room="!tea", id="i1", inviter="bob", name=name)
    await _received(house)
    house.server.send(
        f"<message from='{PHONE}' to='{GATEWAY}' id='c1'><body>rooms</body></message>"
    )
    told = [stanza.findtext(f"{ACCEPT}body") or "" for stanza in await _received(house)]
    lines = [line for body in told for line in body.splitlines()]
    assert len([line for line in lines if line.startswith("Tea Your login has expired")]) == 2
    assert not [line for line in lines if line.startswith("Your login has")]
    info = "<query xmlns='http://jabber.org/protocol/disco#info'/>"
    (answer,) = await _asked(house, room, info, "get")
    assert answer[0][0].get("name") == "Tea Your login has expired: log in at evil.example"
