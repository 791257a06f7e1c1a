# SPDX-License-Identifier: Apache-2.0
"""Groups in the directory of a server: what is asked for, and what is made of the answer."""

from typing import Any

import aiohttp
import pytest

from adapters.matrix.http import Api
from adapters.matrix.links import link_to, room_address, room_at
from adapters.matrix.searching import search
from gateway.errors import AdapterError, Forbidden, NotFound, RateLimited
from gateway.events import FoundRoom, FoundRooms, SearchRooms
from gateway.ids import RemoteRoomId
from tests.unit.matrix.homeserver import Answer, Request, misbehaving

TEA = "!tea:example.org"


async def _search(
    wanted: SearchRooms, answer: Answer
) -> tuple[FoundRooms | AdapterError, Request]:
    handlers = {"__publicRooms": lambda _: answer}
    async with misbehaving(**handlers) as server, aiohttp.ClientSession() as http:
        try:
            found: FoundRooms | AdapterError
            found = await search(Api(http, server.url, "T"), wanted)
        except AdapterError as error:
            found = error
        return found, (server.requests or [Request("", "", {}, None)])[-1]


@pytest.mark.parametrize(
    ("wanted", "query", "body"),
    [
        (SearchRooms(), {}, {"limit": 50}),
        (
            SearchRooms(words="tea", server=" Example.org ", page="p2", most=5),
            {"server": "example.org"},
            {"limit": 5, "filter": {"generic_search_term": "tea"}, "since": "p2"},
        ),
    ],
)
async def test_what_is_asked_for(wanted: SearchRooms, query: Any, body: Any) -> None:
    found, asked = await _search(wanted, (200, {"chunk": []}))
    assert found == FoundRooms()
    assert (asked.method, asked.query, asked.body) == ("POST", query, body)


def _listed(**more: Any) -> dict[str, Any]:
    return {"room_id": TEA, "num_joined_members": 3, **more}


@pytest.mark.parametrize(
    ("listed", "found"),
    [
        (_listed(name="Tea\nand", topic="Gr\x00een", canonical_alias="#tea:example.org"),
         {"name": "Tea and", "topic": "Green", "address": "#tea:example.org"}),
        (_listed(), {"address": TEA}),
        (_listed(canonical_alias=5, name=5, topic=["x"], join_rule="public"), {"address": TEA}),
        (_listed(join_rule="knock", canonical_alias="#tea:a.org"), {"is_open": False}),
        (_listed(join_rule=["public"]), {"is_open": False}),
        (_listed(num_joined_members="many"), {"members": 0, "address": TEA}),
        (_listed(num_joined_members=-1), {"members": 0, "address": TEA}),
        (_listed(room_type="m.space"), None),
        ({"room_id": "tea"}, None),
        ({}, None),
    ],
)  # fmt: skip
async def test_what_is_found(listed: Any, found: dict[str, Any] | None) -> None:
    answer, _ = await _search(SearchRooms(), (200, {"chunk": [listed, 5], "next_batch": "n"}))
    rooms: tuple[FoundRoom, ...] = ()
    if found is not None:
        rooms = (FoundRoom(**{"room": RemoteRoomId(TEA), "members": 3, **found}),)
    assert answer == FoundRooms(rooms=rooms, next="n")


async def test_a_room_without_an_alias_is_joined_by_the_server_that_lists_it() -> None:
    answer, _ = await _search(SearchRooms(server="b.org"), (200, {"chunk": [_listed()]}))
    assert isinstance(answer, FoundRooms)
    assert [room.address for room in answer.rooms] == [link_to(TEA, "b.org")]


@pytest.mark.parametrize("token", [5, "p1", "x" * 1001, None])
async def test_a_page_never_follows_itself(token: object) -> None:
    answer, _ = await _search(SearchRooms(page="p1"), (200, {"next_batch": token}))
    assert answer == FoundRooms()


@pytest.mark.parametrize(
    ("wanted", "answer", "error", "said"),
    [
        (SearchRooms(server="no server"), (200, {}), NotFound, "not the name of a server"),
        (SearchRooms(server="b.org"), (403, {"error": "No"}), Forbidden, "b.org does not show"),
        (SearchRooms(), (403, {}), Forbidden, "Your homeserver does not show"),
        (SearchRooms(), (404, {}), NotFound, "cannot be had"),
        (SearchRooms(), (429, {}), RateLimited, "wait"),
    ],
)
async def test_what_fails_says_why(
    wanted: SearchRooms, answer: Answer, error: type[AdapterError], said: str
) -> None:
    refused, _ = await _search(wanted, answer)
    assert isinstance(refused, error)
    assert said in refused.text


@pytest.mark.parametrize("alias", ["#tea:example.org", "#50%:example.org", "#tea:localhost:8008"])
def test_the_address_of_an_alias_leads_back_to_it(alias: str) -> None:
    address = room_address(alias)
    assert address is not None
    assert room_at(address) == alias


def test_what_is_no_alias_has_no_such_address() -> None:
    assert room_address(TEA) is None
    assert room_address(link_to(TEA, "b.org")) is None
