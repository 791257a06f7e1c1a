# SPDX-License-Identifier: Apache-2.0
"""Presence of Matrix: what events mean, and what silence means."""

import asyncio
import json
from typing import Any

import aiohttp
import pytest

from adapters.matrix.filters import Filters, Mode, filter_for
from adapters.matrix.http import Api
from adapters.matrix.presences import Contacts, Own, presences
from gateway.adapter import Linked
from gateway.events import UNAVAILABLE, Availability, Presence
from gateway.ids import RemoteUserId
from tests.clock import VirtualClock
from tests.unit.matrix.homeserver import misbehaving
from tests.unit.matrix.memory import MemoryAccount

ALICE = RemoteUserId("@alice:home.example")
BOB = RemoteUserId("@bob:home.example")
EVE = RemoteUserId("@eve:far.example")
AWAY = Presence(availability=Availability.AWAY)
NOW = 1_767_225_600.0


def _event(sender: Any = BOB, **content: Any) -> dict[str, Any]:
    return {"type": "m.presence", "sender": sender, "content": content}


def _answer(*events: Any) -> dict[str, Any]:
    return {"presence": {"events": list(events)}}


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ({"presence": "online", "last_active_ago": 5}, Presence()),
        ({"presence": "online", "status_msg": "Hi"}, Presence(status="Hi")),
        (
            {"presence": "unavailable", "last_active_ago": 60_000},
            Presence(availability=Availability.AWAY, idle_since=NOW - 60),
        ),
        ({"presence": "unavailable"}, Presence(availability=Availability.AWAY)),
        ({"presence": "offline", "last_active_ago": 9}, UNAVAILABLE),
        ({"presence": "org.matrix.msc3026.busy"}, Presence(availability=Availability.DND)),
        # What no homeserver should say.
        ({"presence": "online", "status_msg": 7}, Presence()),
        ({"presence": "unavailable", "last_active_ago": -5}, AWAY),
        ({"presence": "unavailable", "last_active_ago": 1e99}, AWAY),
        ({"presence": "unavailable", "last_active_ago": 10**40}, AWAY),
    ],
)
def test_states(content: dict[str, Any], expected: Presence) -> None:
    assert list(presences(_answer(_event(**content)), NOW)) == [(BOB, expected)]


@pytest.mark.parametrize(
    "event",
    [
        _event(presence="asleep"),
        _event(),
        _event(sender=None, presence="online"),
        _event(sender="bob", presence="online"),
        {**_event(presence="online"), "type": "m.other"},
        {"type": "m.presence", "sender": BOB, "content": "online"},
        "online",
    ],
)
def test_what_is_no_presence(event: Any) -> None:
    assert not list(presences(_answer(event), NOW))
    assert not list(presences({"presence": [event]}, NOW))


def _nobody_is_asked() -> Api:
    raise AssertionError


class _Told:
    """A part of a `gateway.adapter.AccountContext`."""

    def __init__(self) -> None:
        self.account = MemoryAccount(Linked(realm="r", remote_id=ALICE, secret=b""), None)  # type: ignore[arg-type]
        self.account.clock = VirtualClock()

    def take(self) -> dict[str, Availability]:
        """What was told since the last time."""
        items = [item for item in self.account.inbox.items if isinstance(item, tuple)]
        self.account.inbox.items.clear()
        return {contact: presence.availability for _, contact, presence in items}


def test_silence_means_offline_only_where_presence_is_told() -> None:
    told = _Told()
    contacts = Contacts(told.account, _nobody_is_asked)
    contacts.take(_answer(_event(ALICE, presence="online")), Mode.FIRST, {BOB, EVE})
    assert told.take() == {BOB: "unavailable"}
    contacts.take(_answer(_event(EVE, presence="online")), Mode.NEXT, {BOB, EVE})
    assert told.take() == {EVE: "available"}


@pytest.mark.parametrize(
    ("answer", "shown"),
    [
        ((200, {"presence": "online"}), "available"),
        ((200, {"presence": "unavailable", "last_active_ago": 9}), "away"),
        ((200, {"presence": 7}), "unavailable"),
        ((403, {"errcode": "M_FORBIDDEN"}), "unavailable"),
        ((404, {"errcode": "M_UNKNOWN"}), "unavailable"),
    ],
)
async def test_req_310_who_becomes_a_contact_is_asked_about(
    answer: tuple[int, Any], shown: str
) -> None:
    """Servers tell nothing of somebody before they change."""
    async with (
        misbehaving(status=lambda _: answer) as server,
        aiohttp.ClientSession() as http,
    ):
        told = _Told()
        contacts = Contacts(told.account, lambda: Api(http, server.url, "T"))
        contacts.take(_answer(_event(presence="offline")), Mode.FIRST, {BOB})
        assert told.take() == {BOB: "unavailable"}
        dora = RemoteUserId("@dora:home.example")
        contacts.take(_answer(), Mode.NEXT, {BOB, EVE, dora}, {dora})
        contacts.take(_answer(), Mode.NEXT, {BOB, EVE, dora}, {dora})
        assert told.take() == {dora: "unavailable"}  # she has invited, and nobody has come
        async with asyncio.timeout(5):
            asking = asyncio.create_task(contacts.ask())
            contacts.take(_answer(), Mode.NEXT, {BOB, EVE, dora})
            contacts.take(_answer(), Mode.NEXT, {BOB, EVE, dora})
            while not (found := told.take()):  # noqa: ASYNC110  no event tells
                await asyncio.sleep(0)
        assert found == {dora: shown}
        asking.cancel()
        assert [request.path for request in server.requests] == [f"/presence/{dora}/status"]


async def test_what_is_told_meanwhile_is_newer_than_the_answer() -> None:
    async with (
        misbehaving(status=lambda _: (200, {"presence": "online"})) as server,
        aiohttp.ClientSession() as http,
    ):
        told, dora = _Told(), RemoteUserId("@dora:home.example")
        contacts = Contacts(told.account, lambda: Api(http, server.url, "T"))
        contacts.take(_answer(_event(presence="offline")), Mode.FIRST, {BOB})
        contacts.take(_answer(), Mode.NEXT, {BOB, dora})
        told.take()
        asking = asyncio.create_task(contacts.ask())
        await asyncio.sleep(0)
        contacts.take(_answer(_event(dora, presence="unavailable")), Mode.NEXT, {BOB, dora})
        async with asyncio.timeout(5):
            while not server.requests:  # noqa: ASYNC110  no event tells
                await asyncio.sleep(0)
            await asyncio.sleep(0.05)
        asking.cancel()
        assert told.take() == {dora: "away"}


def test_a_homeserver_without_presence_says_nothing_of_anybody() -> None:
    told = _Told()
    contacts = Contacts(told.account, _nobody_is_asked)
    contacts.take({}, Mode.FIRST, {BOB, EVE})
    contacts.take({}, Mode.NEXT, {BOB, EVE})
    assert not told.take()


def test_a_session_that_continues_takes_nobody_for_offline() -> None:
    told = _Told()
    contacts = Contacts(told.account, _nobody_is_asked)
    contacts.begin({BOB})
    contacts.take(_answer(_event(ALICE, presence="online")), Mode.NEXT, {BOB})
    assert not told.take()
    # After a refused cursor the answer is complete again.
    contacts.take(_answer(_event(ALICE, presence="online")), Mode.AGAIN, {BOB})
    assert told.take() == {BOB: "unavailable"}


def test_strangers_and_the_account_itself_are_not_told_of() -> None:
    told = _Told()
    contacts = Contacts(told.account, _nobody_is_asked)
    events = _answer(_event(ALICE, presence="online"), _event(EVE, presence="online"))
    contacts.take(events, Mode.NEXT, {BOB, ALICE})
    assert EVE not in (found := told.take())
    assert found.get(ALICE) is None


async def test_who_is_online_stays_so() -> None:
    clock = VirtualClock()
    async with (
        misbehaving(status=lambda _: (200, {})) as server,
        aiohttp.ClientSession() as http,
    ):
        told = _Told()
        told.account.clock = clock
        own = Own(told.account, lambda: Api(http, server.url, "T"))
        assert own.of_sync == "offline"
        await own.set(Presence(status="Here"))
        assert own.of_sync == "online"
        assert server.requests[-1].body == {"presence": "online", "status_msg": "Here"}
        assert server.requests[-1].path == f"/presence/{ALICE}/status"
        for shown, expected in (
            (Availability.DND, "unavailable"),
            (Availability.XA, "unavailable"),
            (Availability.UNAVAILABLE, "offline"),
        ):
            await own.set(Presence(availability=shown))
            assert server.requests[-1].body == {"presence": expected}


async def test_a_long_filter_is_left_with_the_homeserver() -> None:
    people = {RemoteUserId(f"@friend{number}:home.example") for number in range(500)}
    async with (
        misbehaving(filter=lambda _: (200, {"filter_id": "f1"})) as server,
        aiohttp.ClientSession() as http,
    ):
        filters = Filters(ALICE, lambda: Api(http, server.url, "T"))
        short = json.loads(await filters.of(Mode.NEXT, {BOB}))
        assert short["presence"] == {"types": ["m.presence"], "senders": [ALICE, BOB]}
        assert not server.requests
        assert [await filters.of(Mode.NEXT, people) for _ in range(3)] == ["f1"] * 3
        assert await filters.of(Mode.NEXT, {*people, BOB}) == "f1"
        first, second = server.requests
        assert first.body == json.loads(filter_for(Mode.NEXT, sorted({*people, ALICE})))
        assert BOB in second.body["presence"]["senders"]


@pytest.mark.parametrize("answer", [(200, {"filter_id": 7}), (403, {"errcode": "M_FORBIDDEN"})])
async def test_a_homeserver_that_keeps_no_filter(answer: tuple[int, Any]) -> None:
    people = {RemoteUserId(f"@friend{number}:home.example") for number in range(500)}
    async with (
        misbehaving(filter=lambda _: answer) as server,
        aiohttp.ClientSession() as http,
    ):
        filters = Filters(ALICE, lambda: Api(http, server.url, "T"))
        assert await filters.of(Mode.NEXT, people) == filter_for(Mode.NEXT)
        assert await filters.of(Mode.NEXT, people) == filter_for(Mode.NEXT)
        assert len(server.requests) == 1


def test_req_310_presence_of_more_than_ten_thousand_contacts_goes_on() -> None:
    told = _Told()
    people = {BOB, *(RemoteUserId(f"@p{index}:home.example") for index in range(12_000))}
    contacts = Contacts(told.account, _nobody_is_asked)
    contacts.begin(people)
    for state, shown in (("offline", "unavailable"), ("online", "available")):
        contacts.take(_answer(_event(presence=state)), Mode.NEXT, people)
        assert told.take() == {BOB: shown}
    # More than one asks about at a time: silence of a server that tells means offline.
    crowd = [RemoteUserId(f"@new{index}:home.example") for index in range(60)]
    contacts.take(_answer(), Mode.NEXT, {*people, EVE, *crowd})
    assert len(told.take()) == 10
