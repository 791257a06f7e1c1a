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
from tests.scenario.test_stream import running

ADMIN = "http://jabber.org/protocol/muc#admin"
OWNER = "http://jabber.org/protocol/muc#owner"
MAM = "urn:xmpp:mam:2"
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
