# SPDX-License-Identifier: Apache-2.0
"""Coming into rooms, where a script is not enough: many of everything, and names of all kinds."""

from __future__ import annotations

from xml.etree.ElementTree import Element

import pytest

from gateway.store.invitations import MOST
from tests.scenario.house import GATEWAY, House
from tests.scenario.patterns import ACCEPT
from tests.scenario.test_stream import ALICE, running

PHONE = f"{ALICE}/phone"
INVITE = "{jabber:x:conference}x"
STANZAS = "{urn:ietf:params:xml:ns:xmpp-stanzas}"


def _invites(house: House, room: str, name: str = "Tea", **fields: str) -> None:
    invite = {"id": f"i-{room}", "inviter": "bob", "name": name, **fields}
    house.network.event("alice", "room-invite", room=room, **invite)


async def _received(house: House) -> list[Element]:
    await house.clock.settle()
    found = []
    while not house.server.received.empty():
        found.append(house.server.received.get_nowait())
    return found


def _addresses(stanzas: list[Element]) -> list[str]:
    """Of the rooms that somebody is invited to."""
    found = (stanza.find(INVITE) for stanza in stanzas)
    return [invite.get("jid", "") for invite in found if invite is not None]


def _bodies(stanzas: list[Element]) -> list[str]:
    return [body for stanza in stanzas if (body := stanza.findtext(f"{ACCEPT}body"))]


def _join(house: House, room: str, session: str = PHONE) -> None:
    house.server.send(
        f"<presence from='{session}' to='{room}/Alice'>"
        "<x xmlns='http://jabber.org/protocol/muc'/></presence>"
    )


def _conditions(stanzas: list[Element]) -> list[str]:
    return [
        condition.tag.removeprefix(STANZAS)
        for stanza in stanzas
        if (error := stanza.find(f"{ACCEPT}error")) is not None
        for condition in error[:1]
    ]


async def test_req_712_no_more_invitations_wait_than_that(house: House) -> None:
    await running(house)
    for number in range(MOST + 5):
        _invites(house, f"!{number}")
    stanzas = await _received(house)
    while more := await _received(house):
        stanzas += more
    assert len(_addresses(stanzas)) == MOST
    assert len([body for body in _bodies(stanzas) if "You are not told of more" in body]) == 1
    assert house.query("SELECT count(*) FROM invitation")[0] == (MOST,)
    house.network.event("alice", "room-invite-gone", room="!0")
    _invites(house, "!new")
    assert len(_addresses(await _received(house))) == 1


async def test_req_712_no_more_joins_of_a_user_wait_than_that(house: House) -> None:
    await running(house)
    _invites(house, "!tea")
    (room,) = _addresses(await _received(house))
    house.network.mute = True
    for number in range(25):
        _join(house, room, f"{ALICE}/{number}")
    assert _conditions(await _received(house)) == ["resource-constraint"] * 5
    await house.clock.advance(20)
    assert _conditions(await _received(house)) == ["remote-server-timeout"] * 20
    house.network.mute = False
    _join(house, room)
    await house.clock.settle()
    house.network.event("alice", "room", room="!tea", members=[{"user": "alice"}])
    presence, subject = await _received(house)
    assert presence.get("type") is None
    assert subject.find(f"{ACCEPT}subject") is not None


async def test_req_712_strangers_leave_room_for_what_the_user_wants(house: House) -> None:
    """As many invitations as may wait, and a room that the user joins by its name."""
    await running(house)
    for number in range(MOST):
        _invites(house, f"!{number}")
    while await _received(house):
        pass
    house.network.aliases["#tea:net"] = "!tea"
    room = f"#tea%net@{GATEWAY}"
    _join(house, room)
    assert _conditions(await _received(house)) == []
    house.network.event("alice", "room", room="!tea", members=[{"user": "alice"}])
    presence, _ = await _received(house)
    assert (presence.get("from"), presence.get("type")) == (f"{room}/alice", None)


async def test_req_590_who_is_at_the_door_is_not_told_of_the_room_once_more(
    house: House,
) -> None:
    """An invitation that comes meanwhile keeps how the room is reached."""
    await running(house)
    house.network.aliases["#tea:net"] = "!tea"
    room = f"#tea%net@{GATEWAY}"
    _join(house, room)
    await house.clock.settle()
    _invites(house, "!tea")
    assert _addresses(await _received(house)) == []
    assert house.query("SELECT address, joining FROM invitation") == [("#tea:net", 1)]


@pytest.mark.parametrize("how", ["in vain", "killed"])
async def test_req_590_whoever_was_at_a_door_once_is_told_of_the_next_invitation(
    house: House, how: str
) -> None:
    await running(house)
    house.network.aliases["#tea:net"] = "!tea"
    _join(house, f"#tea%net@{GATEWAY}")
    assert await _received(house) == []
    if how == "killed":
        await house.kill()
        await house.start()
        await house.connected()
    else:
        await house.clock.advance(16)
        assert _conditions(await _received(house)) == ["remote-server-timeout"]
    _invites(house, "!tea")
    (address,) = _addresses(await _received(house))
    assert address.startswith("#tea-")


async def test_req_513_825_a_door_that_is_shut_for_now_takes_no_bookmark_away(
    house: House,
) -> None:
    """Monal forgets a room after each error that is not of type wait."""
    await running(house)
    members = [{"user": "alice"}]
    for number in range(MOST):
        house.network.event("alice", "room", room=f"!{number}", members=members)
        house.network.event("alice", "room-moved", room=f"!{number}", to=f"!new{number}")
    while await _received(house):
        pass
    house.network.aliases["#tea:net"] = "!tea"
    _join(house, f"#tea%net@{GATEWAY}")
    (refused,) = await _received(house)
    error = refused.find(f"{ACCEPT}error")
    assert error is not None
    assert error.get("type") == "wait"


async def test_req_548_a_room_sends_its_people_not_everywhere(house: House) -> None:
    """Whoever rules rooms could let accounts come into very many others."""
    await running(house)
    members = [{"user": "alice"}]
    for number in range(30):
        house.network.event("alice", "room", room=f"!{number}", members=members)
        house.network.event("alice", "room-moved", room=f"!{number}", to=f"!new{number}")
    await house.clock.settle()
    joined = [one for one in house.network.commands if one.get("do") == "JoinRoom"]
    assert len(joined) == 10
    assert len(_addresses(await _received(house))) == 30
    await house.clock.advance(3601)
    house.network.event("alice", "room", room="!again", members=members)
    house.network.event("alice", "room-moved", room="!again", to="!there")
    await house.clock.settle()
    assert len([one for one in house.network.commands if one.get("do") == "JoinRoom"]) == 11


async def test_req_548_two_rooms_that_lead_to_each_other(house: House) -> None:
    await running(house)
    for room in "!a", "!b":
        house.network.event("alice", "room", room=room, name=room, members=[{"user": "alice"}])
    house.network.event("alice", "room-moved", room="!a", to="!b")
    house.network.event("alice", "room-moved", room="!b", to="!a")
    house.network.event("alice", "room-moved", room="!a", to="!a")
    assert _addresses(await _received(house)) == []
    for (local,) in house.query("SELECT localpart FROM address WHERE remote_id LIKE '!_'"):
        _join(house, f"{local}@{GATEWAY}")
    assert _conditions(await _received(house)) == ["gone", "gone"]


@pytest.mark.parametrize(
    "name", ["", " ", "<b>&", "x" * 5_000, "\u202eevil", "😀", "a\nb", "\ud800", "\x07"]
)
async def test_an_invitation_of_whatever_name_is_told_and_accepted(
    house: House, name: str
) -> None:
    await running(house)
    _invites(house, "!tea", name, inviter_name=name, reason=name)
    stanzas = await _received(house)
    (room,) = _addresses(stanzas)
    assert all(len(body) < 3_000 for body in _bodies(stanzas))
    _join(house, room)
    await house.clock.settle()
    assert house.network.commands[-1]["do"] == "JoinRoom"
    house.network.event("alice", "room", room="!tea", name=name, members=[{"user": "alice"}])
    presence, _ = await _received(house)
    assert presence.get("type") is None


@pytest.mark.parametrize(
    "room",
    [
        "#%net",
        "#tea%",
        "#tea%other",
        "#TEA%net",
        "#tea\\20%net",
        "#tea\\40x%net",
        "#t%%net",
        "#😀%net",
    ],
)
async def test_req_513_whatever_is_joined_is_answered(house: House, room: str) -> None:
    await running(house)
    house.network.faults = [{"error": "not-found", "text": "None."}] * 2
    _join(house, f"{room}@{GATEWAY}")
    (stanza,) = await _received(house)
    assert _conditions([stanza]) == ["item-not-found"]
    assert stanza.get("from") == f"{room}@{GATEWAY}/Alice"


async def test_req_592_whatever_is_invited_is_answered(house: House) -> None:
    await running(house)
    house.network.event("alice", "room", room="!tea", members=[{"user": "alice"}])
    await house.clock.settle()
    (local,) = house.query("SELECT localpart FROM address WHERE remote_id = '!tea'")[0]
    room = f"{local}@{GATEWAY}"
    muc = "http://jabber.org/protocol/muc#user"
    for number, to in enumerate(
        ("", "@", "/", "a@b@c", f"{GATEWAY}", f"{room}", "😀@x", "x" * 2_000)
    ):
        invite = f"<x xmlns='{muc}'><invite to='{to}'/></x>"
        house.server.send(f"<message from='{PHONE}' to='{room}' id='{number}'>{invite}</message>")
    answered = await _received(house)
    # Without an address it invites nobody, and is no invitation.
    assert [stanza.get("id") for stanza in answered] == [str(number) for number in range(1, 8)]
    assert all(stanza.get("type") == "error" for stanza in answered)
    assert not house.network.commands


async def test_req_513_a_room_by_its_name_that_lets_nobody_in_is_not_kept(house: House) -> None:
    await running(house)
    house.network.faults = [{}, {"error": "forbidden", "text": "Members only."}]
    _join(house, f"#tea%net@{GATEWAY}")
    assert _conditions(await _received(house)) == ["registration-required"]
    assert [one["do"] for one in house.network.commands] == ["FindRoom"]
    assert house.query("SELECT count(*) FROM invitation")[0] == (0,)
    # Nor has it given that name to a room which somebody else is in.
    house.network.event("alice", "room", room="#tea:net", name="x", members=[{"user": "alice"}])
    await house.clock.settle()
    (local,) = house.query("SELECT localpart FROM address WHERE remote_id = '#tea:net'")[0]
    assert local.startswith("#x-")


@pytest.mark.parametrize("waits_for", ["join", "iq", "invitation", "subject"])
async def test_req_514_129_whoever_waits_when_the_gateway_stops_is_told(
    house: House, waits_for: str
) -> None:
    """A client that waits to be in is not in: no ping of its own would ever tell it more."""
    await running(house)
    _invites(house, "!tea")
    (tea,) = _addresses(await _received(house))
    members = [{"user": "alice", "affiliation": "owner"}, {"user": "bob"}]
    house.network.event("alice", "room", room="!club", members=members, may=["topic", "invite"])
    await house.clock.settle()
    (local,) = house.query("SELECT localpart FROM address WHERE remote_id = '!club'")[0]
    club = f"{local}@{GATEWAY}"
    _join(house, club)
    await _received(house)
    house.network.mute = True
    muc = "http://jabber.org/protocol/muc"
    asked = {
        "join": f"<presence id='a' from='{PHONE}' to='{tea}/Alice'><x xmlns='{muc}'/></presence>",
        "iq": f"<iq type='set' id='a' from='{PHONE}' to='{club}'><query xmlns='{muc}#admin'>"
        "<item nick='bob' role='none'/></query></iq>",
        "invitation": f"<message id='a' from='{PHONE}' to='{club}'><x xmlns='{muc}#user'>"
        f"<invite to='carol@{GATEWAY}'/></x></message>",
        "subject": f"<message id='a' type='groupchat' from='{PHONE}' to='{club}'>"
        "<subject>Tea</subject></message>",
    }
    house.server.send(asked[waits_for])
    assert not await _received(house)
    await house.stop()
    (answer,) = await _received(house)
    said = "remote-server-timeout" if waits_for == "join" else "recipient-unavailable"
    assert (answer.get("id"), _conditions([answer])) == ("a", [said])
    error = answer.find(f"{ACCEPT}error")
    assert error is not None
    assert error.get("type") == "wait"
