# SPDX-License-Identifier: Apache-2.0
"""What rooms that accounts share need of Matrix: whom the admin trusts, who may read the past,
whom the account ignores, and all told once more."""

import asyncio
import json
from typing import Any

import aiohttp
import pytest

from adapters.matrix import MatrixAdapter
from adapters.matrix.filters import Mode, filter_for
from adapters.matrix.gaps import Fill
from adapters.matrix.members import Members
from adapters.matrix.rooms import Book, Group, RoomId
from adapters.matrix.session import MatrixSession
from adapters.matrix.settings import Homeserver
from gateway.errors import Transient
from gateway.events import RemoteEvent, RemoteIgnored, RemoteRoom, RemoteRoomMessage
from gateway.ids import RemoteRoomId, RemoteUserId
from tests.unit.matrix.homeserver import Answer, Handler, Request
from tests.unit.matrix.memory import MemoryNetwork, Running
from tests.unit.matrix.samples import (
    ALICE,
    BOB,
    CAROL,
    ROOM,
    created,
    group_book,
    joined,
    member,
    outcome,
    state,
    text,
)
from tests.unit.matrix.test_group_session import TOLD, linked

VISIBILITY = "m.room.history_visibility"
LIST = [member(ALICE, "join", "Alice"), member(BOB, "join", "Bob")]


def _visibility(value: object, event_id: str = "$v") -> Any:
    return state(VISIBILITY, "", {"history_visibility": value}, event_id)


def _all_told() -> Book:
    return Book({"groups": "1", "avatars": "1", "pasts": "1", "faces": "1"})


def _past(events: list[RemoteEvent]) -> list[object]:
    """What is told of who may read the past, and what is said in between."""
    return [
        event.shows_past if isinstance(event, RemoteRoom) else event.body
        for event in events
        if isinstance(event, RemoteRoom | RemoteRoomMessage)
    ]


# --- whom the admin trusts --------------------------------------------------------------------


async def test_rooms_are_shared_at_homeservers_that_are_trusted() -> None:
    trusted = tuple(map(Homeserver.parse, ("Example.org", "http://127.0.0.1:8008/")))
    async with aiohttp.ClientSession() as http:
        adapter = MatrixAdapter(MemoryNetwork(http, trusted_homeservers=trusted))
        assert adapter.shares_rooms("example.org")
        assert adapter.shares_rooms("http://127.0.0.1:8008")
        for other in ("https://example.org", "evil.example.org", "example.org.evil.org", ""):
            assert not adapter.shares_rooms(other)
        assert not MatrixAdapter(MemoryNetwork(http)).shares_rooms("example.org")


# --- who may read the past --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("events", "shows_past"),
    [
        ([], True),
        ([_visibility("shared")], True),
        ([_visibility("world_readable")], True),
        ([_visibility("invited")], False),
        ([_visibility("joined")], False),
        ([_visibility("org.example.more")], False),
        ([_visibility(["shared"])], False),
        ([_visibility(None)], False),
        ([state(VISIBILITY, "", "shared")], False),
        ([state(VISIBILITY, "other", {"history_visibility": "joined"})], True),
        ([state("m.room.encryption", "", {})], False),
        ([_visibility("world_readable"), state("m.room.encryption", "", {})], False),
    ],
)
def test_what_a_new_group_shows_of_its_past(events: list[Any], shows_past: bool) -> None:
    for place in ([created(), *events], [*events, created()]):
        answer = joined(state=place)
        [told] = outcome(answer, Book({}), Mode.FIRST, lists={ROOM: LIST}).events
        assert isinstance(told, RemoteRoom)
        assert told.shows_past is shows_past


def test_it_is_asked_for() -> None:
    room = json.loads(filter_for(Mode.NEXT))["room"]
    assert VISIBILITY in room["state"]["types"]
    assert VISIBILITY in room["timeline"]["types"]


def test_a_change_is_told_in_its_place() -> None:
    known = group_book()
    timeline = [
        text("a", "$1"), _visibility("joined", "$2"), text("b", "$3"),
        _visibility("invited", "$4"), _visibility("shared", "$5"), text("c", "$6"),
        state("m.room.encryption", "", {}, "$7"),
    ]  # fmt: skip
    result = outcome(joined(*timeline), known)
    assert _past(result.events) == ["a", False, "b", True, "c", False]
    known.apply(result.draft)
    [told] = outcome({}, known, lists={ROOM: LIST}).events  # encryption has changed who may speak
    assert (isinstance(told, RemoteRoom), _past([told])) == (True, [False])


def test_it_is_told_in_its_place_where_a_group_is_new() -> None:
    joins = {**member(ALICE, "join"), "unsigned": {"prev_content": {"membership": "invite"}}}
    timeline = [joins, text("a", "$1"), _visibility("shared", "$2"), text("b", "$3")]
    answer = joined(*timeline, state=[created(), _visibility("joined")])
    result = outcome(answer, _all_told(), lists={ROOM: LIST})
    assert _past(result.events) == [False, "a", True, "b"]


def test_what_was_missed_before_a_new_group_was_told_is_hidden_if_that_has_changed() -> None:
    missed = [text("a", "$1"), _visibility("shared", "$2"), text("b", "$3")]
    joins = {**member(ALICE, "join"), "unsigned": {"prev_content": {"membership": "invite"}}}
    answer = joined(text("c", "$4"), state=[created(), _visibility("shared")])
    fills = {ROOM: Fill([joins, *missed], complete=True)}
    result = outcome(
        answer,
        _all_told(),
        fills=fills,
        lists={ROOM: LIST},
    )
    assert _past(result.events) == [False, "a", True, "b", "c"]


def test_beyond_a_gap_it_is_hidden_if_that_has_changed() -> None:
    """When it did is not known."""
    answer = joined(text("b", "$3"), state=[_visibility("world_readable")])
    answer["rooms"]["join"][ROOM]["timeline"].update(limited=True, prev_batch="p")
    fills = {ROOM: Fill([text("a", "$2")], complete=False)}
    assert _past(outcome(answer, group_book(), fills=fills).events) == [False, "a", True, "b"]
    unchanged = joined(text("b", "$3"))
    unchanged["rooms"]["join"][ROOM]["timeline"].update(limited=True, prev_batch="p")
    assert _past(outcome(unchanged, group_book(), fills=fills).events) == ["a", "b"]


@pytest.mark.parametrize(
    ("encrypted", "events", "told"),
    [
        (False, [created()], [True]),
        (False, [created(), _visibility("joined")], []),
        (True, [created()], []),
        (None, [_visibility("shared")], []),
    ],
)
def test_groups_of_an_earlier_version_are_hidden_until_it_is_told(
    encrypted: bool | None, events: list[Any], told: list[bool]
) -> None:
    known = group_book(shows_past=None, encrypted=encrypted)
    name = state("m.room.name", "", {"name": "Coffee"})
    renamed = outcome(joined(name), known)
    assert _past(renamed.events) == [False]
    known.apply(renamed.draft)
    # The whole state of all rooms.
    assert _past(outcome(joined(state=events), known).events) == told


async def test_the_state_that_an_earlier_version_did_not_ask_for_is_asked_for_once() -> None:
    polls = _Polls({**joined(state=[created()]), "next_batch": "s1"})
    async with linked({"sync": polls}) as (server, adapter, account):
        del account.stored["pasts"]
        old = Group(name="Tea", encrypted=False, founder=BOB, last="$0")
        account.stored[f"group:{ROOM}"] = _record(old)
        async with Running(adapter, account):
            assert (await account.wait(RemoteRoom)).shows_past
        asked = [each.query.get("full_state") for each in server.requests]
        assert (asked[0], set(asked[1:])) == ("true", {None})
        async with Running(adapter, account):
            pass
        assert "full_state" not in server.requests[-1].query


def _record(group: Group) -> str:
    """As the book stores it."""
    draft = Book({}).draft()
    draft.put_group(ROOM, group)
    return str(draft.changes()[f"group:{ROOM}"])


# --- whom the account ignores -----------------------------------------------------------------


def _account_data(content: Any) -> dict[str, Any]:
    return {"account_data": {"events": [{"type": "m.ignored_user_list", "content": content}]}}


@pytest.mark.parametrize(
    ("content", "users"),
    [
        ({"ignored_users": {CAROL: {}, BOB: {}}}, (BOB, CAROL)),
        ({"ignored_users": {}}, ()),
        ({}, ()),
        ({"ignored_users": {BOB: None, "bob": {}, "": {}, "@\n:x": {}, "#a:b.org": {}}}, (BOB,)),
    ],
)
@pytest.mark.parametrize("mode", list(Mode))
def test_whom_the_account_ignores_is_told(
    content: Any, users: tuple[RemoteUserId, ...], mode: Mode
) -> None:
    assert outcome(_account_data(content), mode=mode).events == [RemoteIgnored(users=users)]


@pytest.mark.parametrize("content", [{"ignored_users": [BOB]}, {"ignored_users": None}])
def test_what_is_no_such_list_changes_nothing(content: Any) -> None:
    assert outcome(_account_data(content)).events == []


def test_it_comes_before_what_is_said() -> None:
    answer = {**joined(text("x", "$1")), **_account_data({"ignored_users": {CAROL: {}}})}
    kinds = [type(event) for event in outcome(answer, group_book()).events]
    assert kinds == [RemoteIgnored, RemoteRoomMessage]
    assert "m.ignored_user_list" in json.loads(filter_for(Mode.FIRST))["account_data"]["types"]


# --- all told once more -----------------------------------------------------------------------


class _Polls:
    """These answers, then nothing new."""

    def __init__(self, *answers: Any) -> None:
        self._waiting = list(answers)

    def __call__(self, _: Request) -> Answer:
        return 200, self._waiting.pop(0) if self._waiting else {"next_batch": "s9"}


OTHERS = [RoomId(f"!other{number}:hs") for number in range(25)]


def _waits(asked: Request) -> bool:
    return asked.query.get("timeout") == "30000"


def _stored(account: Any, room: RoomId = ROOM) -> Any:
    return json.loads(account.stored[f"group:{room}"])


async def test_a_room_is_told_whole_with_its_members() -> None:
    async with linked({"sync": _Polls(), "members": TOLD}) as (server, adapter, account):
        async with Running(adapter, account) as session:
            await session.tell_rooms([RemoteRoomId(ROOM), RemoteRoomId("!nowhere:hs")])
            told = await account.wait(RemoteRoom)
            assert [each.user for each in told.members or ()] == [ALICE, BOB]
            assert (str(told.room), told.is_new) == (str(ROOM), False)
        assert "is_stale" not in _stored(account)
        assert len([path for path in server.paths("GET") if path.endswith("members")]) == 1


async def test_a_crash_before_it_is_told_changes_nothing() -> None:
    async with linked({"sync": _Polls(), "members": TOLD}) as (_, adapter, account):
        await adapter.session(account).tell_rooms(None)
        assert _stored(account)["is_stale"] is True
        async with Running(adapter, account):
            assert (await account.wait(RemoteRoom)).members is not None


async def test_what_cannot_be_stored_is_refused() -> None:
    async with linked({}) as (_, adapter, account):
        account.is_broken = True
        with pytest.raises(Transient):
            await adapter.session(account).tell_rooms(None)


@pytest.mark.parametrize("kind", ["is_space", "is_hidden"])
async def test_what_is_not_told_is_not_told_now(kind: str) -> None:
    fields: dict[str, Any] = {kind: True}
    async with linked({}, **fields) as (_, adapter, account):
        await adapter.session(account).tell_rooms(None)
        assert "is_stale" not in _stored(account)


async def test_a_request_that_waits_is_given_up_for_it() -> None:
    async with linked({"sync": _Polls(), "members": TOLD}) as (server, adapter, account):
        server.news = asyncio.Event()

        async with Running(adapter, account) as session:
            await server.asked.wait_for(_waits)
            since = server.asked.mark()
            await asyncio.gather(session.tell_rooms(None), session.tell_rooms(None))
            await account.wait(RemoteRoom)
            await server.asked.wait_for(_waits, since=since)
        server.news.set()


async def test_many_are_asked_for_a_few_at_a_time() -> None:
    async with linked({"sync": _Polls(), "members": TOLD}) as (server, adapter, account):
        group = account.stored[f"group:{ROOM}"]
        account.stored.update({f"group:{room}": group for room in OTHERS})
        async with Running(adapter, account) as session:
            await session.tell_rooms(None)
            for room in (ROOM, *OTHERS):
                await account.wait(RemoteRoom, lambda told, room=room: told.room == room)  # type: ignore[misc]
        paths = [path.rpartition("/")[2] for path in server.paths("GET")]
        lists = "".join("m" if path == "members" else " " for path in paths).split()
        assert [len(each) for each in lists] == [10, 10, 6]


async def test_new_groups_are_not_put_off() -> None:
    rooms = OTHERS[:15]
    async with linked({"members": TOLD}) as (_, adapter, account):
        session = adapter.session(account)
        assert isinstance(session, MatrixSession)
        members = Members(account, lambda: session._api)
        found, _ = await members.of(rooms, "s1", lambda room_id: room_id == rooms[-1])
        assert (list(found), members.has_more) == ([*rooms[:10], rooms[-1]], True)
        found, _ = await members.of(rooms[10:14], "s1", lambda _: False)
        assert (list(found), members.has_more) == (rooms[10:14], False)


async def test_lists_that_cannot_be_had_are_not_asked_for_again_and_again() -> None:
    fault: Handler = lambda _: (403, {"errcode": "M_FORBIDDEN"})  # noqa: E731
    async with linked({"sync": _Polls(), "members": fault}) as (server, adapter, account):
        group = account.stored[f"group:{ROOM}"]
        account.stored.update({f"group:{room}": group for room in OTHERS})
        async with Running(adapter, account) as session:
            await session.tell_rooms(None)
            since = server.asked.mark()
            await server.asked.wait_for(lambda asked: asked.query.get("timeout") == "0")
            await server.asked.wait_for(_waits, since=since)
        assert len([path for path in server.paths("GET") if path.endswith("members")]) == 26
        assert _stored(account)["is_stale"] is True


# --- what others of the gateway say -----------------------------------------------------------


@pytest.mark.parametrize("sender", [ALICE, BOB])
def test_the_key_of_what_is_said_is_told_whoever_has_said_it(sender: RemoteUserId) -> None:
    """The session of another account may be the first that is told what a user has said. That the
    key is theirs, the gateway sees."""
    answer = joined(text("x", "$1", sender, **{"org.dragoman.key": "here.7"}))
    [told] = outcome(answer, group_book()).events
    assert isinstance(told, RemoteRoomMessage)
    assert (told.sender, told.key) == (sender, "here.7")
