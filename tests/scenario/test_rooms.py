# SPDX-License-Identifier: Apache-2.0
"""Rooms, where a script is not enough: archives page by page, names of all kinds."""

from __future__ import annotations

import asyncio
import itertools
import unicodedata
from collections import Counter
from collections.abc import Sequence
from xml.etree.ElementTree import Element, tostring

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.bridge.rooms.nicks import fold, nick
from gateway.config.tree import Limits
from gateway.config.values import Rate
from gateway.errors import StanzaRefused
from gateway.ids import RemoteUserId, UserJid
from gateway.store.accounts import AccountStatus
from gateway.xmpp import jid
from tests.scenario.house import GATEWAY, House
from tests.scenario.patterns import ACCEPT
from tests.scenario.test_stream import ALICE, running

PHONE = f"{ALICE}/phone"
MAM = "{urn:xmpp:mam:2}"
MUC_USER = "{http://jabber.org/protocol/muc#user}"
RSM = "{http://jabber.org/protocol/rsm}"
MEMBERS = [{"user": "alice", "name": "Alice"}, {"user": "bob", "name": "Bob"}]
_numbers = itertools.count()


async def _club(house: House, *said: str, name: str = "Club") -> str:
    """Alice is in a room with bob, who has said this at one and the same time."""
    await running(house)
    house.network.event("alice", "room", room="!club", name=name, members=MEMBERS)
    for number, body in enumerate(said):
        _says(house, "bob", body, f"m{number}")
    await house.clock.settle()
    await house.clock.advance(5)
    (address,) = house.query("SELECT localpart FROM address WHERE remote_id = '!club'")[0]
    while not house.server.received.empty():
        house.server.received.get_nowait()
    return f"{address}@{GATEWAY}"


async def _join(house: House, room: str, session: str = PHONE) -> list[Element]:
    """What a session is told that joins."""
    house.server.send(
        f"<presence from='{session}' to='{room}/Alice'><x xmlns='http://jabber.org/protocol/muc'/>"
        "</presence>"
    )
    await house.clock.settle()
    return _received(house)


def _received(house: House) -> list[Element]:
    found = []
    while not house.server.received.empty():
        found.append(house.server.received.get_nowait())
    return found


def _says(house: House, sender: str, body: str, message: str) -> None:
    fields = {"room": "!club", "sender": sender, "id": message, "body": body}
    house.network.event("alice", "room-message", **fields, sent_at=house.clock.now())


async def _ask(house: House, room: str, payload: str, kind: str = "set") -> list[Element]:
    """What is sent in answer to an IQ, which itself is the last."""
    number = f"q{next(_numbers)}"
    house.server.send(f"<iq type='{kind}' id='{number}' from='{PHONE}' to='{room}'>{payload}</iq>")
    await house.clock.settle()
    found = []
    while not house.server.received.empty():
        found.append(house.server.received.get_nowait())
    async with asyncio.timeout(5):  # a long one may still be read
        while not found or found[-1].get("id") != number:
            found.append(await house.server.received.get())
    return found


def _query(page: str = "", *fields: tuple[str, str], flip: bool = False) -> str:
    form = "".join(f"<field var='{name}'><value>{value}</value></field>" for name, value in fields)
    return (
        "<query xmlns='urn:xmpp:mam:2' queryid='f1'><x xmlns='jabber:x:data' type='submit'>"
        f"<field var='FORM_TYPE' type='hidden'><value>urn:xmpp:mam:2</value></field>{form}</x>"
        f"<set xmlns='http://jabber.org/protocol/rsm'>{page}</set>"
        f"{'<flip-page/>' if flip else ''}</query>"
    )


def _bodies(results: Sequence[Element]) -> list[str]:
    found = []
    for result in results:
        body = result.find(".//{jabber:client}body")
        if body is not None:
            found.append(body.text or "")
    return found


def _end(results: Sequence[Element], name: str) -> str:
    return results[-1].findtext(f".//{RSM}{name}", "")


def _is_complete(results: Sequence[Element]) -> bool:
    fin = results[-1].find(f"{MAM}fin")
    assert fin is not None
    return fin.get("complete") == "true"


@pytest.mark.parametrize("count", [0, 1, 9, 10, 11, 57])
@pytest.mark.parametrize("size", [1, 10])
async def test_req_580_583_each_message_is_on_one_page_in_both_directions(
    house: House, count: int, size: int
) -> None:
    said = [f"text {number}" for number in range(count)]
    room = await _club(house, *said)
    forwards: list[str] = []
    page = await _ask(house, room, _query(f"<max>{size}</max>"))
    while True:
        forwards += _bodies(page)
        assert len(_bodies(page)) <= size
        if _is_complete(page):
            break
        after = f"<max>{size}</max><after>{_end(page, 'last')}</after>"
        page = await _ask(house, room, _query(after))
    assert forwards == said
    backwards: list[str] = []
    page = await _ask(house, room, _query(f"<max>{size}</max><before/>"))
    while True:
        backwards = _bodies(page) + backwards
        if _is_complete(page):
            break
        before = f"<max>{size}</max><before>{_end(page, 'first')}</before>"
        page = await _ask(house, room, _query(before))
    assert backwards == said


async def test_req_580_filters(house: House) -> None:
    room = await _club(house, "one", "two")
    await house.clock.advance(100)
    _says(house, "alice", "three", "m9")
    await house.clock.settle()
    first = (await _ask(house, room, _query()))[0].find(f"{MAM}result")
    assert first is not None
    one = first.get("id", "")
    for fields, expected in (
        ([("start", "2026-01-01T00:00:50Z")], ["three"]),
        ([("end", "2026-01-01T00:00:50Z")], ["one", "two"]),
        ([("start", "2026-01-01T01:00:00Z")], []),
        ([("with", f"{room}/Alice")], ["three"]),
        ([("with", f"bob@{GATEWAY}")], ["one", "two"]),
        ([("with", f"{room}/Nobody")], []),
        ([("after-id", one)], ["two", "three"]),
        ([("before-id", one)], []),
        ([("ids", one)], ["one"]),
    ):
        assert _bodies(await _ask(house, room, _query("", *fields))) == expected, fields
    assert _bodies(await _ask(house, room, _query("", flip=True))) == ["three", "two", "one"]
    newest = await _ask(house, room, _query("<max>2</max><before/>", flip=True))
    assert _bodies(newest) == ["three", "two"]


@pytest.mark.parametrize(
    ("page", "field", "condition"),
    [
        ("<after>nobody</after>", None, "item-not-found"),
        ("<before>nobody</before>", None, "item-not-found"),
        ("<index>3</index>", None, "feature-not-implemented"),
        ("", ("withtext", "tea"), "feature-not-implemented"),
        ("", ("after-id", "nobody"), "item-not-found"),
        ("", ("ids", "nobody"), "item-not-found"),
        ("", ("start", "yesterday"), "bad-request"),
        ("", ("start", "2026-01-01T00:00:50"), "bad-request"),
    ],
)
async def test_req_580_what_cannot_be_asked(
    house: House, page: str, field: tuple[str, str] | None, condition: str
) -> None:
    room = await _club(house, "one")
    answer = (await _ask(house, room, _query(page, *([field] if field else []))))[-1]
    assert answer.get("type") == "error"
    assert answer.find(f".//{{urn:ietf:params:xml:ns:xmpp-stanzas}}{condition}") is not None


async def test_req_581_582_results_are_as_the_message_was(house: House) -> None:
    room = await _club(house)
    house.server.send(
        f"<presence from='{PHONE}' to='{room}/Alice'><x xmlns='http://jabber.org/protocol/muc'/>"
        "</presence>"
    )
    await house.clock.settle()
    while not house.server.received.empty():
        house.server.received.get_nowait()
    _says(house, "bob", "hello <all>", "m1")
    await house.clock.settle()
    live = house.server.received.get_nowait()
    result = (await _ask(house, room, _query()))[0]
    assert (result.get("from"), result.get("to")) == (room, PHONE)
    kept = result.find(".//{jabber:client}message")
    assert kept is not None
    assert (kept.get("id"), kept.get("from")) == (live.get("id"), live.get("from"))
    for name in ("{urn:xmpp:sid:0}stanza-id", "{urn:xmpp:occupant-id:0}occupant-id"):
        inside, outside = kept.find(name), live.find(name)
        assert inside is not None
        assert outside is not None
        assert dict(inside.items()) == dict(outside.items())
    item = kept.find(f"{MUC_USER}x/{MUC_USER}item")
    assert item is not None
    assert item.get("jid") == f"bob@{GATEWAY}"
    found = result.find(f"{MAM}result")
    stanza_id = live.find("{urn:xmpp:sid:0}stanza-id")
    assert found is not None
    assert stanza_id is not None
    assert found.get("id") == stanza_id.get("id")


async def test_req_582_the_archive_of_a_channel_says_no_addresses(house: House) -> None:
    room = await _club(house)
    house.network.event("alice", "room", room="!club", members=MEMBERS, is_private=False)
    _says(house, "bob", "hello", "m1")
    await house.clock.settle()
    results = await _ask(house, room, _query())
    assert _bodies(results) == ["hello"]
    assert not [item for each in results for item in each.iter(f"{MUC_USER}item")]


async def test_req_580_pages_of_ids(house: House) -> None:
    room = await _club(house, "one", "two", "three")
    results = (await _ask(house, room, _query()))[:-1]
    found = [result.find(f"{MAM}result") for result in results]
    ids = [result.get("id", "") for result in found if result is not None]
    wanted = "".join(f"<value>{one}</value>" for one in (ids[2], ids[0], ids[0]))
    query = _query("<max>1</max>").replace("</x>", f"<field var='ids'>{wanted}</field></x>")
    page = await _ask(house, room, query)
    assert (_bodies(page), _is_complete(page)) == (["one"], False)
    page = await _ask(house, room, query.replace("</max>", f"</max><after>{ids[0]}</after>"))
    assert (_bodies(page), _is_complete(page)) == (["three"], True)
    page = await _ask(house, room, query.replace("</max>", "</max><before/>"))
    assert (_bodies(page), _is_complete(page)) == (["three"], False)
    many = query.replace("</field></x>", f"{'<value>x</value>' * 100}</field></x>")
    assert (await _ask(house, room, many))[-1].get("type") == "error"


async def test_req_580_metadata_and_form(house: House) -> None:
    room = await _club(house, "one", "two")
    ends = (await _ask(house, room, "<metadata xmlns='urn:xmpp:mam:2'/>", "get"))[-1]
    page = await _ask(house, room, _query())
    start, end = ends.find(f".//{MAM}start"), ends.find(f".//{MAM}end")
    assert start is not None
    assert end is not None
    assert (start.get("id"), end.get("id")) == (_end(page, "first"), _end(page, "last"))
    form = (await _ask(house, room, "<query xmlns='urn:xmpp:mam:2'/>", "get"))[-1]
    fields = {field.get("var") for field in form.iter("{jabber:x:data}field")}
    assert fields >= {"with", "start", "end", "before-id", "after-id", "ids"}


async def test_req_585_the_archive_is_for_members(house: House) -> None:
    room = await _club(house, "secret")
    await house.link("carol@home.example", "carol")
    house.server.send(
        f"<iq type='set' id='x' from='carol@home.example/x' to='{room}'>{_query()}</iq>"
    )
    await house.clock.settle()
    answers = []
    while not house.server.received.empty():
        answers.append(house.server.received.get_nowait())
    assert not any("secret" in "".join(answer.itertext()) for answer in answers)
    assert answers[-1].get("type") == "error"


_LETTERS = st.one_of(
    st.characters(codec="utf-8"),
    st.characters(min_codepoint=0x0591, max_codepoint=0x06FF),  # to the left
    st.characters(min_codepoint=0x0020, max_codepoint=0x024F),
)


def _codes(told: Element) -> set[str]:
    return {status.get("code", "") for status in told.iter(f"{MUC_USER}status")}


async def test_req_501_a_server_that_does_not_read_gets_all_of_a_join(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Presence is dropped then, but who joins is not told it again."""
    monkeypatch.setattr("gateway.xmpp.outbox.PRESENCE_BYTES", 1000)
    room = await _club(house)
    house.component.stream._pressed(congested=True)
    for device in "abc":
        assert not [
            told
            for told in await _join(house, room, f"{ALICE}/{device}")
            if told.get("to") != "home.example"
        ]
    house.component.stream._pressed(congested=False)
    await house.clock.settle()
    told = Counter(stanza.get("to") for stanza in _received(house) if "110" in _codes(stanza))
    assert told == {f"{ALICE}/{device}": 1 for device in "abc"}


async def test_req_504_what_waits_for_a_session_comes_before_it_is_told_all_again(
    house: House,
) -> None:
    room = await _club(house)
    await _join(house, room)
    house.component.stream._pressed(congested=True)
    _says(house, "bob", "hello", "m1")
    await house.clock.settle()
    await _join(house, room)
    house.component.stream._pressed(congested=False)
    await house.clock.settle()
    told = [(each.get("from"), each.get("type")) for each in _received(house)]
    assert told == [
        (f"{room}/Bob", "groupchat"),
        (f"{room}/Bob", None),
        (f"{room}/Alice", None),
        (f"{room}/Bob", "groupchat"),
        (room, "groupchat"),
    ]


@pytest.mark.parametrize("nick", ["\N{GRINNING FACE}", "שלום Bob", "n" * 1000])
async def test_req_505_also_under_a_nick_that_is_none(house: House, nick: str) -> None:
    room = await _club(house)
    house.server.send(f"<presence from='{PHONE}' to='{room}/{nick}'/>")
    await house.clock.settle()
    (told,) = _received(house)
    assert (told.get("from"), told.get("type")) == (f"{room}/{nick}", "unavailable")
    assert _codes(told) == {"110", "333"}


async def test_req_505_of_each_room_once(house: House) -> None:
    """Who has lost two rooms is told of both."""
    club = await _club(house)
    members = [{"user": "alice", "name": "Alice"}]
    house.network.event("alice", "room", room="!tea", name="Tea", members=members)
    await house.clock.settle()
    (local,) = house.query("SELECT localpart FROM address WHERE remote_id = '!tea'")[0]
    for room in (club, f"{local}@{GATEWAY}", club):
        house.server.send(f"<presence from='{PHONE}' to='{room}/Alice'/>")
    await house.clock.settle()
    told = [stanza.get("from", "").partition("/")[0] for stanza in _received(house)]
    assert told == [club, f"{local}@{GATEWAY}"]


async def test_req_557_a_session_is_told_of_itself_and_not_of_who_spoke(house: House) -> None:
    room = await _club(house)
    await _join(house, room)
    house.server.send(
        f"<message type='error' from='{PHONE}' to='{room}/Bob'><error type='cancel'>"
        "<gone xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>"
    )
    await house.clock.settle()
    (told,) = _received(house)
    assert (told.get("from"), _codes(told)) == (f"{room}/Alice", {"110", "333"})


async def test_req_510_who_has_left_is_not_told_of_an_earlier_join(house: House) -> None:
    room = await _club(house)
    house.component.stream._pressed(congested=True)
    await _join(house, room)
    house.server.send(f"<presence from='{PHONE}' to='{room}/Alice' type='unavailable'/>")
    await house.clock.settle()
    house.component.stream._pressed(congested=False)
    await house.clock.settle()
    assert [told.get("type") for told in _received(house)] == ["unavailable"]


async def test_req_590_who_was_removed_learns_that_they_are_in_again(house: House) -> None:
    await _club(house)
    await house.clock.advance(10)
    house.network.event("alice", "member-gone", room="!club", user="alice")
    for _ in range(2):
        house.network.event(
            "alice", "room", room="!club", name="Club", is_new=True, members=MEMBERS
        )
    await house.clock.settle()
    invitation, line = _received(house)
    assert invitation.find("{jabber:x:conference}x") is not None
    assert "xmpp:%23club" in line.findtext(f"{ACCEPT}body", "")


async def test_req_512_a_crash_while_logging_out_keeps_nobody_in(house: House) -> None:
    room = await _club(house)
    await _join(house, room)
    account = house.component.network.accounts.of(UserJid(ALICE))
    assert account is not None
    await house.component.network.accounts.set_status(account, AccountStatus.LOGGED_OUT)
    answer = (await _ask(house, f"{room}/Alice", "<ping xmlns='urn:xmpp:ping'/>", "get"))[-1]
    assert answer.find(".//{urn:ietf:params:xml:ns:xmpp-stanzas}not-acceptable") is not None


async def test_req_712_what_a_session_is_told_that_joins_has_an_end(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.bridge.rooms.rooms.MOST_OTHERS", 1)
    monkeypatch.setattr("gateway.bridge.rooms.archive.MOST_HISTORY_BYTES", 11)
    room = await _club(house, "one", "three", "four", "five")
    eve = {"user": "eve", "name": "Zoe", "affiliation": "owner"}
    house.network.event("alice", "member", room="!club", member=eve)
    await house.clock.settle()
    told = await _join(house, room)
    assert [stanza.get("from") for stanza in told[:2]] == [f"{room}/Zoe", f"{room}/Alice"]
    assert [stanza.findtext(f"{ACCEPT}body") for stanza in told[2:]] == ["four", "five", None]


async def test_req_576_a_slow_room_says_how_slow_it_is(house: House) -> None:
    room = await _club(house)
    asked = "<query xmlns='http://jabber.org/protocol/disco#info'/>"
    for seconds, said in ((0, None), (20, "20"), (-1, None), (10**9, "86400")):
        house.network.event("alice", "room", room="!club", name="Club", slow_mode_s=seconds)
        await house.clock.settle()
        (answer,) = [
            one for one in await _ask(house, room, asked, "get") if one.tag.endswith("iq")
        ]
        field = answer.find(".//*[@var='muc#roominfo_slow_mode_duration']")
        value = None if field is None else field.findtext("{jabber:x:data}value")
        assert value == said


async def test_req_711_who_joins_too_often_waits(house: House) -> None:
    house.options.limits = Limits(joins=Rate((3, 60)))
    room = await _club(house)
    for _ in range(3):
        assert (await _join(house, room))[-1].tag == f"{ACCEPT}message"
    (refused,) = await _join(house, room)
    assert refused.get("type") == "error"
    error = refused.find(f"{ACCEPT}error")
    assert error is not None
    assert error.get("type") == "wait"
    await house.clock.advance(21)
    assert (await _join(house, room))[-1].tag == f"{ACCEPT}message"


async def test_req_712_the_newest_sessions_are_in_a_room(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.bridge.rooms.rooms.MOST_SESSIONS", 3)
    room = await _club(house)
    for device in ("a", "b", "c", "a"):
        await house.clock.advance(1)
        await _join(house, room, f"{ALICE}/{device}")
    await house.clock.advance(1)
    *_, told = await _join(house, room, f"{ALICE}/d")
    assert (told.get("to"), told.get("type")) == (f"{ALICE}/b", "unavailable")
    assert _codes(told) == {"110", "333"}
    _says(house, "bob", "hello", "m1")
    await house.clock.settle()
    assert {told.get("to") for told in _received(house)} == {
        f"{ALICE}/{device}" for device in ("a", "c", "d")
    }


async def test_req_712_who_was_told_that_they_are_out_is_forgotten_in_time(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.xmpp.rooms.service._MOST_TOLD", 10)
    room = await _club(house)
    for number in range(50):
        house.server.send(f"<presence from='{ALICE}/{number}' to='{room}/Alice'/>")
    house.server.send(f"<presence from='{ALICE}/49' to='{room}/Alice'/>")
    await house.clock.settle()
    assert len(_received(house)) == 50
    assert len(house.component.rooms._told_out) == 10


async def test_req_104_what_cannot_be_said_in_a_room_is_told_by_the_gateway(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    room = await _club(house)
    await _join(house, room)

    def refuse(*_: object, **__: object) -> None:
        raise StanzaRefused("it is not to be said")

    monkeypatch.setattr("gateway.xmpp.rooms.stanzas.message", refuse)
    _says(house, "bob", "hello", "m1")
    await house.clock.settle()
    (line,) = _received(house)
    assert (line.get("from"), line.get("type")) == (f"{GATEWAY}/scripted", "chat")


async def test_req_582_no_id_of_the_archive_comes_again(house: House) -> None:
    """Clients keep what they had before the account ended, and know messages by it."""
    room = await _club(house)
    seen = set()
    for number in range(2):
        await _join(house, room)
        house.server.send(
            f"<message from='{PHONE}' to='{room}' type='groupchat' id='g{number}'>"
            f"<body>text {number}</body></message>"
        )
        await house.clock.settle()
        (said,) = _received(house)
        stanza_id = said.find("{urn:xmpp:sid:0}stanza-id")
        assert stanza_id is not None
        seen.add(stanza_id.get("id"))
        account = house.component.network.accounts.of(UserJid(ALICE))
        assert account is not None
        await house.component.network.logins.unregister(account)
        await house.clock.settle()
        await house.link(ALICE, "alice")
        house.network.event("alice", "room", room="!club", name="Club", members=MEMBERS)
        await house.clock.settle()
        _received(house)
    assert len(seen) == 2


@given(
    name=st.text(_LETTERS, max_size=80), taken=st.sets(st.text(_LETTERS, max_size=10), max_size=3)
)
@example(name="שלום Bob", taken=set())
@example(name="مريم", taken={"مريم"})
@example(name="1 مريم!", taken=set())
@example(name="a\N{REPLACEMENT CHARACTER}", taken=set())
@example(name="\N{FULLWIDTH DIGIT ONE}\N{LATIN SMALL LIGATURE FI}", taken=set())
def test_req_269_nicks_are_what_servers_take(name: str, taken: set[str]) -> None:
    others = {fold(each) for each in taken} | {fold("somebody"), fold("bob")}
    made = nick(name, RemoteUserId("bob"), lambda folded: folded in others)
    assert fold(made) not in others
    assert made == made.strip()
    assert 0 < len(made.encode()) <= 200
    assert not any(unicodedata.category(char) in ("Cc", "Cf") for char in made)
    assert jid.make("#r", GATEWAY, made) == f"#r@{GATEWAY}/{made}"


def test_req_269_thousands_may_have_one_name() -> None:
    taken: set[str] = set()
    looks = itertools.count()

    def is_taken(folded: str) -> bool:
        next(looks)
        return folded in taken

    for _ in range(2000):
        taken.add(fold(nick("Deleted", RemoteUserId("bob"), is_taken)))
    assert len(taken) == 2000
    assert next(looks) < 50_000
    assert {fold("Deleted"), fold("Deleted (2)"), fold("Deleted (3)")} <= taken


async def test_req_501_a_name_in_both_directions_keeps_nobody_out(house: House) -> None:
    room = await _club(house)
    house.network.event(
        "alice", "member", room="!club", member={"user": "eve", "name": "שלום Bob"}
    )
    _says(house, "eve", "shalom", "m1")
    await house.clock.settle()
    assert [told.tag for told in await _join(house, room)] == [
        "{jabber:component:accept}presence",
        "{jabber:component:accept}presence",
        "{jabber:component:accept}presence",
        "{jabber:component:accept}message",
        "{jabber:component:accept}message",
    ]


async def test_req_586_a_page_has_at_most_a_hundred(house: House) -> None:
    room = await _club(house, *(f"text {number}" for number in range(120)))
    for page in ("", "<max>1000</max>", "<max>many</max>"):
        found = await _ask(house, room, _query(page))
        assert len(_bodies(found)) == 100
        assert not _is_complete(found)
    none = await _ask(house, room, _query("<max>0</max>"))
    assert not _bodies(none)
    assert not _is_complete(none)


@pytest.mark.parametrize("backwards", [False, True])
async def test_req_586_712_a_page_has_an_end_in_bytes_too(
    house: House, *, backwards: bool
) -> None:
    """Two of a hundred long texts would be more than may wait for our server, so that it would be
    left, for everybody."""
    said = [f"{number}{'&' * 40_000}" for number in range(30)]
    room = await _club(house, *said)
    found: list[str] = []
    page = await _ask(house, room, _query("<before/>" if backwards else ""))
    assert not _is_complete(page)
    while True:
        bodies = _bodies(page)
        assert bodies
        assert sum(len(tostring(one)) for one in page) < 1_500_000
        found = bodies + found if backwards else found + bodies
        if _is_complete(page):
            break
        end = ("before", "first") if backwards else ("after", "last")
        page = await _ask(house, room, _query(f"<{end[0]}>{_end(page, end[1])}</{end[0]}>"))
    assert found == said


@pytest.mark.parametrize(
    "name",
    [
        "\N{HANGUL FILLER}",
        "\N{HALFWIDTH HANGUL FILLER}\N{HANGUL CHOSEONG FILLER}\N{HANGUL JUNGSEONG FILLER}",
        "\N{BRAILLE PATTERN BLANK}",
        "\N{KHMER VOWEL INHERENT AQ}\N{KHMER VOWEL INHERENT AA}",
        "\N{MONGOLIAN FREE VARIATION SELECTOR ONE}",
        "\N{COMBINING GRAVE ACCENT}" * 500,
        "\N{COMBINING ENCLOSING CIRCLE}\N{DEVANAGARI VOWEL SIGN AA}",
        "\N{ZERO WIDTH SPACE}\N{RIGHT-TO-LEFT OVERRIDE}\N{WORD JOINER}",
        " \t\n",
    ],
)
def test_req_269_732_a_name_of_which_nothing_is_seen_is_none(name: str) -> None:
    """Nor does it make one look like another."""
    assert nick(name, RemoteUserId("bob"), lambda _: False) == "bob"
    assert nick(f"Carol{name}", RemoteUserId("bob"), lambda _: False).startswith("Carol")
    taken = nick(f"Eve {name}", RemoteUserId("bob"), lambda folded: folded == fold("Eve"))
    assert taken != "Eve"


def test_req_269_marks_stay_with_their_letters() -> None:
    name = "हिन्दी Zoë e\N{COMBINING GRAVE ACCENT}"
    assert nick(name, RemoteUserId("bob"), lambda _: False) == unicodedata.normalize("NFKC", name)
