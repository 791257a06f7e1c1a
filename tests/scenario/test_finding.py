# SPDX-License-Identifier: Apache-2.0
"""Rooms that clients look for by themselves: those of the user, and those of the network."""

from xml.etree.ElementTree import Element

from gateway.config.tree import Limits
from gateway.config.values import Rate
from tests.scenario.house import House
from tests.scenario.patterns import ACCEPT
from tests.scenario.test_rooms import PHONE, _ask, _received
from tests.scenario.test_stream import running

GATEWAY = "net.example"
ITEMS = "http://jabber.org/protocol/disco#items"
RSM = "{http://jabber.org/protocol/rsm}"
SEARCH = "urn:xmpp:channel-search:0:search"
_ERRORS = "{urn:ietf:params:xml:ns:xmpp-stanzas}"


def _in_rooms(house: House, *names: str, me: str = "alice") -> None:
    for name in names:
        members = [{"user": me, "name": me}]
        house.network.event(me, "room", room=f"!{name}", name=name, members=members)


async def _items(house: House, inner: str = "") -> tuple[list[str], dict[str, str | None]]:
    """Names, and what is said of the page."""
    answer = (await _ask(house, GATEWAY, f"<query xmlns='{ITEMS}'>{inner}</query>", "get"))[-1]
    names = [item.get("name", "") for item in answer.iter(f"{{{ITEMS}}}item")]
    page = answer.find(f".//{RSM}set")
    return names, {} if page is None else {one.tag.removeprefix(RSM): one.text for one in page}


async def test_req_111_the_gateway_lists_the_rooms_of_who_asks(house: House) -> None:
    await running(house)
    await house.link("carol@home.example", "carol")
    assert await _items(house) == ([], {})
    _in_rooms(house, "b", "a", "c")
    _in_rooms(house, "theirs", me="carol")
    house.network.event("alice", "member-gone", room="!c", user="alice")
    await house.clock.settle()
    assert await _items(house) == (["a", "b"], {})


async def test_req_111_many_rooms_come_in_pages(house: House) -> None:
    await running(house)
    names = [f"r{number:03}" for number in range(205)]
    _in_rooms(house, *names)
    await house.clock.settle()
    first, page = await _items(house)
    assert (first, page["count"]) == (names[:200], "205")
    rest = f"<set xmlns='{RSM[1:-1]}'><after>{page['last']}</after></set>"
    assert (await _items(house, rest))[0] == names[200:]
    some = f"<set xmlns='{RSM[1:-1]}'><max>2</max><after>{page['first']}</after></set>"
    assert (await _items(house, some))[0] == names[1:3]
    last = f"<set xmlns='{RSM[1:-1]}'><max>2</max><before/></set>"
    found, page = await _items(house, last)
    assert found == names[-2:]
    before = f"<set xmlns='{RSM[1:-1]}'><max>2</max><before>{page['first']}</before></set>"
    assert (await _items(house, before))[0] == names[-4:-2]
    assert (await _items(house, f"<set xmlns='{RSM[1:-1]}'><max>0</max></set>"))[1] == {
        "count": "205"
    }
    unknown = f"<set xmlns='{RSM[1:-1]}'><after>nobody</after></set>"
    answer = await _ask(house, GATEWAY, f"<query xmlns='{ITEMS}'>{unknown}</query>", "get")
    assert answer[-1].find(f".//{_ERRORS}item-not-found") is not None


def _form(**values: str) -> str:
    fields = "".join(f"<field var='{k}'><value>{v}</value></field>" for k, v in values.items())
    return f"<x xmlns='jabber:x:data' type='submit'>{fields}</x>"


async def _search(house: House, inner: str) -> Element:
    asked = f"<search xmlns='{SEARCH}'>{inner}</search>"
    return (await _ask(house, GATEWAY, asked, "get"))[-1]


async def _found(house: House, inner: str) -> tuple[list[str], str]:
    answer = await _search(house, inner)
    assert answer.get("type") == "result", answer
    last = answer.findtext(f".//{RSM}last") or ""
    return [item.get("address", "") for item in answer.iter(f"{{{SEARCH}}}item")], last


def _lists(house: House, *names: str) -> None:
    house.network.directory += [
        {"room": f"!{name}", "name": name, "members": 5, "address": f"#{name}:net"}
        for name in names
    ]


async def test_req_228_clients_search_for_rooms_page_by_page(house: House) -> None:
    await running(house)
    _lists(house, *(f"tea{number}" for number in range(5)))
    house.network.directory.append({"room": "!x", "name": "tea", "address": "!no-address-here"})
    found, last = await _found(
        house, _form(q="tea") + f"<set xmlns='{RSM[1:-1]}'><max>3</max></set>"
    )
    assert found == [f"#tea{number}%net@{GATEWAY}" for number in range(3)]
    more = f"<set xmlns='{RSM[1:-1]}'><max>3</max><after>{last}</after></set>"
    found, last = await _found(house, _form(all="1") + more)
    assert found == [f"#tea{number}%net@{GATEWAY}" for number in range(3, 5)]
    end = f"<set xmlns='{RSM[1:-1]}'><after>{last}</after></set>"
    assert (await _found(house, _form(q="tea") + end))[0] == []
    asked = (await _search(house, "")).iter("{jabber:x:data}field")
    assert {field.get("var") for field in asked} == {"FORM_TYPE", "q", "all", "key"}
    info = "<query xmlns='http://jabber.org/protocol/disco#info'/>"
    (answer,) = await _ask(house, GATEWAY, info, "get")
    assert answer.find(f".//*[@var='{SEARCH}']") is not None


async def test_req_228_a_search_that_cannot_be_made_says_why(house: House) -> None:
    await running(house)
    for form, condition, detail in (
        (_form(), "bad-request", "no-search-conditions"),
        (_form(q="tea", all="true"), "bad-request", "conflicting-fields"),
        (_form(q="tea", key="x"), "feature-not-implemented", "invalid-sort-key"),
    ):
        answer = await _search(house, form)
        assert answer.find(f".//{_ERRORS}{condition}") is not None
        assert answer.find(f".//{{urn:xmpp:channel-search:0:error}}{detail}") is not None
    house.network.faults.append({"error": "forbidden", "text": "Not shown."})
    answer = await _search(house, _form(q="tea"))
    assert answer.findtext(f".//{_ERRORS}text") == "Not shown."


async def test_req_711_who_searches_too_often_waits(house: House) -> None:
    house.options.limits = Limits(searches=Rate((2, 60)))
    await running(house)
    assert (await _found(house, _form(q="x")))[0] == []
    for _ in range(2):
        house.server.send(
            f"<message from='{PHONE}' to='{GATEWAY}' type='chat'><body>search x</body></message>"
        )
        await house.clock.settle()
        house.server.send(
            f"<message from='{PHONE}' to='{GATEWAY}' type='chat'><body>-</body></message>"
        )
        await house.clock.settle()
    said = [stanza.findtext(f"{ACCEPT}body") for stanza in _received(house)]
    assert said[-1] == "You are searching too often. Please wait a minute."
    answer = await _search(house, _form(q="x"))
    assert answer.find(f".//{_ERRORS}resource-constraint") is not None
    await house.clock.advance(60)
    assert (await _found(house, _form(q="x")))[0] == []
