# SPDX-License-Identifier: Apache-2.0
"""Sessions in rooms that are not there any more: who is asked, how fast, and what ends one."""

from __future__ import annotations

from xml.etree.ElementTree import Element

import pytest

from tests.scenario.house import GATEWAY, House
from tests.scenario.patterns import ACCEPT
from tests.scenario.test_rooms import _codes, _join, _received
from tests.scenario.test_stream import ALICE, running

_STANZAS = "xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'"
_PING = "{urn:xmpp:ping}ping"
_INFO = "{http://jabber.org/protocol/disco#info}query"
_CAPS = "<c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='n' ver='v='/>"
_MUC = "<x xmlns='http://jabber.org/protocol/muc'/>"
_HOUR = 3600
PHONE = f"{ALICE}/phone"
CONDITIONS = (
    "gone",
    "internal-server-error",
    "item-not-found",
    "jid-malformed",
    "recipient-unavailable",
    "redirect",
    "remote-server-not-found",
    "service-unavailable",
)


async def _club(house: House, devices: int = 1, caps: str = "", user: str = ALICE) -> str:
    """Alice is in a room with so many devices; `phone` is one of them."""
    await running(house, user)
    members = [{"user": "alice", "name": "Alice"}, {"user": "bob", "name": "Bob"}]
    house.network.event("alice", "room", room="!club", name="Club", members=members)
    await house.clock.settle()
    ((local,),) = house.query("SELECT localpart FROM address WHERE remote_id = '!club'")
    room = f"{local}@{GATEWAY}"
    for number in range(devices):
        session = f"{user}/{f'd{number}' if number else 'phone'}"
        house.server.send(f"<presence from='{session}' to='{room}/Alice'>{_MUC}{caps}</presence>")
    await house.clock.settle()
    _received(house)
    return room


def _asked(stanzas: list[Element], what: str = _PING) -> list[Element]:
    return [one for one in stanzas if one.tag == f"{ACCEPT}iq" and one.find(what) is not None]


def _put_out(stanzas: list[Element]) -> list[str]:
    return [one.get("to", "") for one in stanzas if "333" in _codes(one)]


def _refuses(house: House, question: Element, condition: str, kind: str = "cancel") -> None:
    house.server.send(
        f"<iq type='error' id='{question.get('id')}' from='{question.get('to')}'"
        f" to='{question.get('from')}'><error type='{kind}'><{condition} {_STANZAS}/></error></iq>"
    )


async def _silence(house: House) -> Element:
    """Alice says nothing for so long that she is asked."""
    await house.clock.advance(2 * _HOUR + 70)
    (question,) = _asked(_received(house))
    return question


async def test_req_557_many_are_not_asked_at_once(house: House) -> None:
    room = await _club(house, devices=100)
    at, asked = [], set[str]()
    await house.clock.advance(2 * _HOUR)
    for _ in range(1000):
        await house.clock.advance(0.1)
        for question in _asked(_received(house)):
            at.append(house.clock.monotonic())
            asked.add(question.get("to", ""))
            house.server.send(
                f"<iq type='result' id='{question.get('id')}' from='{question.get('to')}'"
                f" to='{room}'/>"
            )
    assert len(at) == len(asked) == 100
    assert max(sum(begin <= one < begin + 1 for one in at) for begin in at) <= 5


async def test_req_557_a_session_in_many_rooms_is_asked_once(house: House) -> None:
    await _club(house)
    for number in range(5):
        members = [{"user": "alice", "name": "Alice"}]
        name = f"!other{number}"
        house.network.event("alice", "room", room=name, name=name[1:], members=members)
        await house.clock.settle()
        ((local,),) = house.query(f"SELECT localpart FROM address WHERE remote_id = '{name}'")
        await _join(house, f"{local}@{GATEWAY}")
    question = await _silence(house)
    _refuses(house, question, "item-not-found")
    await house.clock.settle()
    assert _put_out(_received(house)) == [PHONE] * 6
    assert house.query("SELECT count(*) FROM occupant") == [(0,)]


@pytest.mark.parametrize("condition", CONDITIONS)
@pytest.mark.parametrize("kind", ["message", "presence", "iq"])
async def test_req_557_what_ends_a_session(house: House, kind: str, condition: str) -> None:
    room = await _club(house, devices=2)
    if kind == "iq":
        await house.clock.advance(2 * _HOUR + 70)
        for question in _asked(_received(house)):
            if question.get("to") == PHONE:
                _refuses(house, question, condition)
            else:
                house.server.send(
                    f"<iq type='result' id='{question.get('id')}' from='{question.get('to')}'"
                    f" to='{room}'/>"
                )
    else:
        house.server.send(
            f"<{kind} type='error' from='{PHONE}' to='{room}/Bob'>"
            f"<error type='cancel'><{condition} {_STANZAS}/></error></{kind}>"
        )
    await house.clock.settle()
    # A client without caps may just not know what it is asked.
    is_unclear = kind == "iq" and condition == "service-unavailable"
    assert _put_out(_received(house)) == ([] if is_unclear else [PHONE])
    left = {jid for (jid,) in house.query("SELECT jid FROM occupant")}
    assert left == {f"{ALICE}/d1", *([PHONE] if is_unclear else [])}


@pytest.mark.parametrize("condition", ["feature-not-implemented", "forbidden", "not-allowed"])
@pytest.mark.parametrize("kind", ["message", "presence", "iq"])
async def test_req_557_what_does_not(house: House, kind: str, condition: str) -> None:
    room = await _club(house)
    if kind == "iq":
        _refuses(house, await _silence(house), condition)
    else:
        house.server.send(
            f"<{kind} type='error' from='{PHONE}' to='{room}/Bob'>"
            f"<error type='cancel'><{condition} {_STANZAS}/></error></{kind}>"
        )
    await house.clock.advance(60)
    assert not _put_out(_received(house))
    assert house.query("SELECT count(*) FROM occupant") == [(1,)]


@pytest.mark.parametrize("is_there", [True, False])
async def test_req_557_a_client_that_knows_no_pings(house: House, is_there: bool) -> None:
    """It says what it can do, so it must tell what that is; a server without it cannot."""
    room = await _club(house, caps=_CAPS)
    _refuses(house, await _silence(house), "service-unavailable")
    await house.clock.settle()
    (question,) = _asked(_received(house), _INFO)
    assert (question.get("from"), question.get("to")) == (room, PHONE)
    if is_there:
        features = "<feature var='jabber:iq:version'/>"
        house.server.send(
            f"<iq type='result' id='{question.get('id')}' from='{PHONE}' to='{room}'>"
            f"<query xmlns='http://jabber.org/protocol/disco#info'>{features}</query></iq>"
        )
    else:
        _refuses(house, question, "service-unavailable")
    await house.clock.settle()
    assert _put_out(_received(house)) == ([] if is_there else [PHONE])
    await house.clock.advance(1.9 * _HOUR)
    assert not _received(house)


async def test_req_598_who_does_not_answer_is_out_after_a_day(house: House) -> None:
    await _club(house)
    await _silence(house)
    for _ in range(11):
        await house.clock.advance(2 * _HOUR + 70)
        stanzas = _received(house)
        assert len(_asked(stanzas)) == 1
        assert not _put_out(stanzas)
    assert house.clock.monotonic() < 2 * _HOUR + 24 * _HOUR + 1000
    await house.clock.advance(2 * _HOUR + 70)
    await house.clock.advance(120)
    assert _put_out(_received(house)) == [PHONE]
    assert house.query("SELECT count(*) FROM occupant") == [(0,)]


async def test_req_598_a_day_without_a_server_is_nobodys_fault(house: House) -> None:
    await _club(house)
    await _silence(house)
    await house.clock.advance(60)
    house.server.refusal = "conflict"
    house.server.cut()
    await house.clock.leap(30 * _HOUR)
    house.server.refusal = ""
    await house.clock.advance(120)
    assert not _put_out(_received(house))


async def test_req_557_after_a_restart_nobody_is_asked_in_a_storm(house: House) -> None:
    await _club(house, devices=50)
    await house.clock.advance(_HOUR)
    await house.kill()
    await house.clock.leap(20 * _HOUR)
    await running(house)
    at = []
    for _ in range(1200):
        await house.clock.advance(0.1)
        at += [house.clock.monotonic() for _ in _asked(_received(house))]
    assert len(at) == 50
    assert max(sum(begin <= one < begin + 1 for one in at) for begin in at) <= 5


@pytest.mark.parametrize("is_back", [True, False])
async def test_req_557_five_minutes_for_a_server_that_cannot_be_reached(
    house: House, is_back: bool
) -> None:
    """Who has missed nothing stays if it is back by then."""
    remote = "alice@far.example"
    await _club(house, user=remote)
    question = await _silence(house)
    house.server.others = "cannot be reached"
    _refuses(house, question, "remote-server-timeout", "wait")
    await house.clock.advance(280)
    assert not _put_out(_received(house))
    if is_back:
        house.server.others = "answer"
    await house.clock.advance(60)
    assert _put_out(_received(house)) == ([] if is_back else [f"{remote}/phone"])
    assert house.query("SELECT count(*) FROM occupant") == [(int(is_back),)]


async def test_req_557_a_session_that_speaks_shows_that_its_server_is_there(
    house: House,
) -> None:
    remote = "alice@far.example"
    room = await _club(house, user=remote)
    house.server.others = "cannot be reached"
    house.server.send(
        f"<message type='error' from='{remote}/phone' to='{room}/Bob'>"
        f"<error type='wait'><remote-server-timeout {_STANZAS}/></error></message>"
    )
    await house.clock.advance(40)
    assert not _put_out(_received(house))
    house.server.send(
        f"<iq type='get' id='p' from='{remote}/phone' to='{room}/Alice'>"
        "<ping xmlns='urn:xmpp:ping'/></iq>"
    )
    await house.clock.settle()
    told = _received(house)
    assert _put_out(told) == [f"{remote}/phone"]
    (answer,) = (one for one in told if one.get("id") == "p")
    assert answer.find(f"{ACCEPT}error/*") is not None
