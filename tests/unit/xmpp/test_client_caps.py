# SPDX-License-Identifier: Apache-2.0
"""What clients can do: asked once, believed only as far as it proves itself (XEP-0115)."""

from __future__ import annotations

from collections.abc import Callable
from xml.etree.ElementTree import Element, fromstring

import pytest

from gateway.bridge.attendance.devices import Caps
from gateway.xmpp.client_caps import ClientCaps, Features, version
from tests.clock import VirtualClock

INFO = "http://jabber.org/protocol/disco#info"
PICTURES = "urn:xmpp:avatar:metadata+notify"
# The two examples of XEP-0115, sections 5.2 and 5.3.
SIMPLE = f"""<query xmlns='{INFO}' node='http://code.google.com/p/exodus#QgayPKawpkPSDYmwT/WM94uAlu0='>
  <identity category='client' name='Exodus 0.9.1' type='pc'/>
  <feature var='http://jabber.org/protocol/caps'/>
  <feature var='{INFO}'/>
  <feature var='http://jabber.org/protocol/disco#items'/>
  <feature var='http://jabber.org/protocol/muc'/>
</query>"""
COMPLEX = f"""<query xmlns='{INFO}'>
  <identity xml:lang='en' category='client' name='Psi 0.11' type='pc'/>
  <identity xml:lang='el' category='client' name='Ψ 0.11' type='pc'/>
  <feature var='http://jabber.org/protocol/caps'/>
  <feature var='{INFO}'/>
  <feature var='http://jabber.org/protocol/disco#items'/>
  <feature var='http://jabber.org/protocol/muc'/>
  <x xmlns='jabber:x:data' type='result'>
    <field var='FORM_TYPE' type='hidden'><value>urn:xmpp:dataforms:softwareinfo</value></field>
    <field var='ip_version' type='text-multi'><value>ipv4</value><value>ipv6</value></field>
    <field var='os'><value>Mac</value></field>
    <field var='os_version'><value>10.5.1</value></field>
    <field var='software'><value>Psi</value></field>
    <field var='software_version'><value>0.11</value></field>
  </x>
</query>"""
_IDENTITY = "<identity category='client' type='phone' name='App'/>"


def _query(inner: str) -> Element:
    return fromstring(f"<query xmlns='{INFO}'>{inner}</query>")


def _form(kind: str, fields: str = "") -> str:
    hidden = f"<field var='FORM_TYPE' type='hidden'><value>{kind}</value></field>"
    return f"<x xmlns='jabber:x:data' type='result'>{hidden}{fields}</x>"


@pytest.mark.parametrize(
    ("answer", "name"),
    [
        (SIMPLE, "QgayPKawpkPSDYmwT/WM94uAlu0="),
        (COMPLEX, "q07IKJEyjvHSyhy//CH0CxmKi8w="),
    ],
)
def test_the_names_of_the_specification(answer: str, name: str) -> None:
    assert version(fromstring(answer), "sha-1") == name


@pytest.mark.parametrize(
    "inner",
    [
        f"{_IDENTITY}{_IDENTITY}",
        f"{_IDENTITY}<feature var='a'/><feature var='a'/>",
        "<x xmlns='jabber:x:data'>"
        "<field var='FORM_TYPE' type='hidden'><value>t</value></field></x>" * 2,
        f"{_IDENTITY}<feature var='a&lt;b'/>",
        _form("t</value><value>u"),
        _form("t", "<field var='FORM_TYPE' type='hidden'><value>u</value></field>"),
    ],
)
def test_what_can_have_no_name(inner: str) -> None:
    assert version(_query(inner), "sha-1") is None


def test_other_hashes() -> None:
    one = _query(f"{_IDENTITY}<feature var='a'/>")
    names = {version(one, kind) for kind in ("sha-1", "sha-256", "sha-512")}
    assert len(names) == 3
    assert version(one, "md5") is None


class _Stream:
    """Takes the questions; a test answers them."""

    def __init__(self) -> None:
        self.open: list[tuple[str, Callable[[Element | None], None]]] = []

    def request(
        self, to: str, payload: str, answered: Callable[[Element | None], None], limit_s: float
    ) -> None:
        self.open.append((to, answered))

    def answer(self, inner: str, sender: str = "", kind: str = "result") -> str:
        """The oldest question; returns who was asked."""
        to, answered = self.open.pop(0)
        reply = fromstring(
            f"<iq type='{kind}' from='{sender or to}'><query xmlns='{INFO}'>{inner}</query></iq>"
        )
        answered(reply)
        return to

    def silence(self) -> None:
        self.open.pop(0)[1](None)


class _House:
    def __init__(self) -> None:
        self.stream, self.clock = _Stream(), VirtualClock()
        self.caps = ClientCaps(lambda: self.stream, self.clock)  # type: ignore[arg-type,return-value]
        self.told: list[tuple[str, Features]] = []

    def learn(self, jid: str, caps: Caps) -> None:
        self.caps.learn(jid, caps, lambda found: self.told.append((jid, found)))


def _named(inner: str, kind: str = "sha-1") -> Caps:
    ver = version(_query(inner), kind)
    assert ver is not None
    return Caps(node="https://app.example", ver=ver, hash=kind)


APP = f"{_IDENTITY}<feature var='{PICTURES}'/>"
WANTS = frozenset({PICTURES})


def test_req_344_one_question_for_all_clients_of_a_kind() -> None:
    house = _House()
    for number in range(50):
        house.learn(f"user{number}@far.example/phone", _named(APP))
    assert len(house.stream.open) == 1
    house.stream.answer(APP)
    assert [found for _, found in house.told] == [WANTS] * 50
    house.learn("late@far.example/phone", _named(APP))
    assert house.told[-1] == ("late@far.example/phone", WANTS)
    assert house.stream.open == []


def test_req_344_a_lie_counts_for_the_liar_alone() -> None:
    house = _House()
    house.learn("mallory@far.example/x", _named(APP))
    house.learn("alice@home.example/phone", _named(APP))
    house.stream.answer(_IDENTITY)
    assert house.told == [("mallory@far.example/x", frozenset())]
    assert house.stream.answer(APP) == "alice@home.example/phone"
    assert house.told[1:] == [("alice@home.example/phone", WANTS)]


_ODD = "<identity category='http:' type='' xml:lang='jabber.org' name='protocol/nick+notify'/>"
NAMES = "http://jabber.org/protocol/nick+notify"


@pytest.mark.parametrize(
    ("honest", "lie"),
    [
        (APP, _IDENTITY + _form(PICTURES)),
        (
            f"{_IDENTITY}<feature var='a'/><feature var='{PICTURES}'/>",
            _IDENTITY + _form("a", f"<field var='{PICTURES}'/>"),
        ),
        (
            f"{_IDENTITY}<feature var='a'/><feature var='b'/><feature var='{PICTURES}'/>",
            _IDENTITY + _form("a", f"<field var='b'><value>{PICTURES}</value></field>"),
        ),
        (
            f"{_IDENTITY}<feature var='{NAMES}'/>",
            _IDENTITY + _ODD,
        ),
    ],
    ids=["kind of a form", "field", "value", "identity"],
)
def test_req_344_what_is_no_feature_of_the_same_name_counts_for_the_liar_alone(
    honest: str, lie: str
) -> None:
    house = _House()
    house.learn("mallory@far.example/x", _named(honest))
    house.learn("alice@home.example/phone", _named(honest))
    house.stream.answer(lie)
    house.stream.answer(honest)
    assert [jid for jid, found in house.told if found] == ["alice@home.example/phone"]


def test_req_344_what_waits_for_one_answer_has_a_bound() -> None:
    house = _House()
    for _ in range(5_000):
        house.learn("alice@home.example/phone", _named(APP))
    for number in range(500):
        house.learn(f"user{number}@far.example/phone", _named(APP))
    house.stream.answer(APP)
    told = [jid for jid, _ in house.told]
    assert told.count("alice@home.example/phone") == 500
    assert len(set(told)) == 100


def test_req_344_who_says_nothing_is_not_asked_again_at_once() -> None:
    house = _House()
    house.learn("alice@home.example/phone", _named(APP))
    house.learn("bob@home.example/phone", _named(APP))
    house.stream.silence()
    house.learn("alice@home.example/phone", _named(APP))
    assert [to for to, _ in house.stream.open] == ["bob@home.example/phone"]
    house.stream.answer(APP)
    assert house.told == [
        ("bob@home.example/phone", WANTS), ("alice@home.example/phone", WANTS)
    ]  # fmt: skip


def test_req_344_somebody_else_may_not_answer() -> None:
    house = _House()
    house.learn("alice@home.example/phone", _named(APP))
    house.stream.answer(APP, sender="mallory@far.example/x")
    assert house.told == []


def test_req_344_endless_answers_are_none() -> None:
    house = _House()
    house.learn("alice@home.example/phone", _named(APP))
    house.stream.answer(APP + "<feature var='x'/>" * 5_000)
    house.learn("alice@home.example/phone", _named(APP))
    assert (house.told, house.stream.open) == ([], [])


def test_req_344_unknown_hashes_say_nothing_of_others() -> None:
    house = _House()
    caps = Caps(node="https://app.example", ver="1.0", hash="")
    for jid in ("alice@home.example/phone", "bob@home.example/phone"):
        house.learn(jid, caps)
    assert len(house.stream.open) == 2
    house.stream.answer(APP)
    house.stream.answer(_IDENTITY)
    assert house.told == [
        ("alice@home.example/phone", WANTS), ("bob@home.example/phone", frozenset())
    ]  # fmt: skip
