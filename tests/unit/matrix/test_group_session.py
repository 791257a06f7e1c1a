# SPDX-License-Identifier: Apache-2.0
"""Groups at homeservers that do not tell, refuse, or forget."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, get_args

import aiohttp
import pytest

from adapters.matrix import MatrixAdapter
from adapters.matrix.login import Credentials
from adapters.matrix.members import Members
from adapters.matrix.rooms import RoomId
from adapters.matrix.session import MatrixSession
from gateway.adapter import Linked
from gateway.errors import AuthExpired, Forbidden, NotFound, Transient, Unsupported
from gateway.events import (
    MarkRoomRead,
    ReactInRoom,
    RemoteRoom,
    RemoteRoomMessage,
    RetractInRoom,
    RoomCommand,
    SendRoomText,
)
from gateway.ids import RemoteMessageId, RemoteRoomId
from tests.unit.matrix.homeserver import Answer, Handler, Homeserver, Request, misbehaving
from tests.unit.matrix.memory import MemoryAccount, MemoryNetwork, Running
from tests.unit.matrix.samples import (
    ALICE,
    BOB,
    ROOM,
    created,
    group_book,
    joined,
    member,
    state,
    text,
)

LIST = {"chunk": [member(ALICE, "join", "Alice"), member(BOB, "join", "Bob")]}
TOLD: Handler = lambda _: (200, LIST)  # noqa: E731
HELLO = SendRoomText(room=RemoteRoomId(ROOM), body="hello")


@asynccontextmanager
async def linked(
    handlers: dict[str, Handler], *, known: bool = True, cursor: str | None = "s0", **group: Any
) -> AsyncIterator[tuple[Homeserver, MatrixAdapter, MemoryAccount]]:
    """An account with one group, at a homeserver with these manners."""
    async with misbehaving(**handlers) as server, aiohttp.ClientSession() as http:
        credentials = Credentials(
            homeserver=server.url, user_id=ALICE, device_id="D", access_token="T"
        )
        linked = Linked(realm=server.url, remote_id=ALICE, secret=credentials.encoded())
        account = MemoryAccount(linked, http)
        account.cursor = cursor
        if known:
            book = group_book(**group)
            draft = book.draft()
            draft.changed_groups.update(book.groups())
            account.stored = {key: str(value) for key, value in draft.changes().items()}
            account.stored |= {"groups": "1", "avatars": "1", "pasts": "1", "faces": "1"}
        yield server, MatrixAdapter(MemoryNetwork(http, encryption=False)), account


class _Sync:
    """One answer after the other, then nothing new."""

    def __init__(self, *answers: Any) -> None:
        self._waiting = [*answers, {"next_batch": "s7"}, {"next_batch": "s8"}]
        self.is_quiet = asyncio.Event()
        """Nothing new was told twice."""

    def __call__(self, _: Request) -> Answer:
        if self._waiting:
            return 200, self._waiting.pop(0)
        self.is_quiet.set()
        return 200, {"next_batch": "s9"}


NEW = {**joined(text("old"), state=[created()]), "next_batch": "s1"}


# --- the state of all rooms -------------------------------------------------------------------


async def test_what_an_earlier_version_left_out_is_asked_for_once() -> None:
    polls = _Sync(NEW)
    handlers: dict[str, Handler] = {"sync": polls, "members": TOLD}
    async with linked(handlers, known=False) as (server, adapter, account):
        async with Running(adapter, account):
            room = await account.wait(RemoteRoom)
            assert (len(room.members or ()), room.is_new) == (2, False)
            await polls.is_quiet.wait()
        asked = [each.query.get("full_state") for each in server.requests if "sync" in each.path]
        assert asked[0] == "true"
        assert set(asked[1:]) == {None}
        async with Running(adapter, account):
            pass
        assert "full_state" not in server.requests[-1].query


async def test_at_a_first_link_it_comes_anyway() -> None:
    polls = _Sync(NEW)
    handlers: dict[str, Handler] = {"sync": polls, "members": TOLD}
    async with linked(handlers, known=False, cursor=None) as (server, adapter, account):
        async with Running(adapter, account):
            await account.wait(RemoteRoom)
            await polls.is_quiet.wait()
        assert not [each for each in server.requests if "full_state" in each.query]


async def test_a_room_without_its_state_is_asked_for_once() -> None:
    stranger = joined(text("who am I?"), room="!other:hs")
    polls = _Sync(*[dict(stranger) for _ in range(3)])
    async with linked({"sync": polls}) as (server, adapter, account):
        async with Running(adapter, account):
            await polls.is_quiet.wait()
        asked = [each.query.get("full_state") for each in server.requests]
        assert asked[:4] == [None, "true", None, None]
        assert ("groups_without_state", {"rooms": 1}) in account.lines.lines


# --- who is there -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fault",
    [(403, {"errcode": "M_FORBIDDEN"}), (404, {}), (429, {"errcode": "M_LIMIT_EXCEEDED"}),
     (502, {}), (200, {"chunk": "odd"}), (200, {}), (200, {"chunk": [5, {"state_key": []}]}),
     (200, {"chunk": [member(BOB, "join")]})],
)  # fmt: skip
async def test_a_homeserver_that_does_not_tell_who_is_there_holds_up_nothing(
    fault: Answer,
) -> None:
    answer = {**joined(text("x", "$2"), state=[created()]), "next_batch": "s1"}
    polls = _Sync(answer)
    handlers: dict[str, Handler] = {"sync": polls, "members": lambda _: fault}
    async with linked(handlers, cursor=None, known=False) as (server, adapter, account):
        async with Running(adapter, account):
            room = await account.wait(RemoteRoom)
            assert [each.user for each in room.members or ()] == [ALICE]
            await polls.is_quiet.wait()
        asked = [path for path in server.paths("GET") if path.endswith("members")]
        assert len(asked) == 1
        assert json.loads(account.stored[f"group:{ROOM}"])["is_stale"] is True


async def test_an_expired_login_ends_the_session() -> None:
    fault: Handler = lambda _: (401, {"errcode": "M_UNKNOWN_TOKEN"})  # noqa: E731
    async with linked({"sync": _Sync(NEW), "members": fault}, known=False) as (
        _,
        adapter,
        account,
    ):
        with pytest.raises(AuthExpired):
            await adapter.session(account).run()


async def test_the_list_is_that_of_the_answer() -> None:
    polls = _Sync(NEW)
    handlers: dict[str, Handler] = {"sync": polls, "members": TOLD}
    async with linked(handlers, known=False) as (server, adapter, account):
        async with Running(adapter, account):
            await account.wait(RemoteRoom)
        [asked] = [each for each in server.requests if each.path.endswith("members")]
        assert asked.query == {"membership": "join", "at": "s1"}


async def test_a_long_list_is_not_asked_for_again_and_again() -> None:
    """Whoever rules a group may change it all the time."""
    long = {"chunk": [member(ALICE, "join", "x" * 100)] * 1_000}
    async with linked({"members": lambda _: (200, long)}) as (server, adapter, account):
        session = adapter.session(account)
        assert isinstance(session, MatrixSession)
        members = Members(account, lambda: session._api)
        rooms = [RoomId(ROOM), RoomId("!other")]
        found, size = await members.of(rooms, "s1", lambda _: False)
        assert (list(found), size > 200_000) == (rooms, True)
        assert await members.of(rooms, "s2", lambda _: False) == ({}, 0)
        found, _ = await members.of(rooms, "s2", lambda room_id: room_id == ROOM)
        assert list(found) == [ROOM]
        assert len(server.requests) == 3


async def test_lists_are_asked_for_as_far_as_there_is_space_and_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rooms = [RoomId(f"!{number}") for number in range(5)]
    async with linked({"members": TOLD}) as (_, adapter, account):
        session = adapter.session(account)
        assert isinstance(session, MatrixSession)
        monkeypatch.setattr("adapters.matrix.members._LIMIT", 1_000)
        found, _ = await Members(account, lambda: session._api).of(rooms, "s", lambda _: True)
        assert 1 < len(found) < 5
        monkeypatch.setattr("adapters.matrix.members._ENOUGH_S", 0.0)
        found, _ = await Members(account, lambda: session._api).of(rooms, "s", lambda _: True)
        assert found == {}


@pytest.mark.parametrize(("status", "asked"), [(403, 5), (502, 1)])
async def test_a_homeserver_in_trouble_is_not_asked_for_one_list_after_the_other(
    status: int, asked: int
) -> None:
    rooms = [RoomId(f"!{number}") for number in range(5)]
    async with linked({"members": lambda _: (status, {})}) as (server, adapter, account):
        session = adapter.session(account)
        assert isinstance(session, MatrixSession)
        members = Members(account, lambda: session._api)
        for _ in range(2):
            found, _ = await members.of(rooms, "s", lambda _: False)
            assert found == {}
        assert len(server.requests) == asked


# --- sending ----------------------------------------------------------------------------------


def _sent(asked: Request) -> Answer:
    return 200, {"event_id": "$sent"}


async def test_a_text_goes_to_the_group_under_its_key() -> None:
    clear: Handler = lambda _: (404, {"errcode": "M_NOT_FOUND"})  # noqa: E731
    handlers = {"m.room.encryption": clear, "key": _sent}
    async with linked(handlers) as (server, adapter, account):
        session = adapter.session(account)
        assert (await session.send(HELLO, "key")).remote_id == "$sent"
        [put] = [each for each in server.requests if each.method == "PUT"]
        assert put.path == f"/rooms/{ROOM}/send/m.room.message/key"
        assert put.body == {"msgtype": "m.text", "body": "hello", "org.dragoman.key": "key"}


async def test_encryption_is_asked_for_while_the_loop_is_not_live() -> None:
    handlers = {"m.room.encryption": lambda _: (200, {"algorithm": "odd"}), "key": _sent}
    async with linked(handlers) as (server, adapter, account):
        session = adapter.session(account)
        assert isinstance(session, MatrixSession)
        session._polling._answered_at = account.clock.monotonic()
        await session.send(HELLO, "key")
        session._polling._answered_at = account.clock.monotonic() - 11
        with pytest.raises(Unsupported, match="encrypted"):
            await session.send(HELLO, "key")
        assert json.loads(account.stored[f"group:{ROOM}"])["encrypted"] is True
        asked = len(server.requests)
        with pytest.raises(Unsupported, match="encrypted"):
            await session.send(HELLO, "key")
        assert len(server.requests) == asked


@pytest.mark.parametrize("fault", [(502, {}), (404, {"error": "no route"}), (200, {"a": 1})])
async def test_encryption_that_cannot_be_found_out_holds_the_text(fault: Answer) -> None:
    handlers: dict[str, Handler] = {"m.room.encryption": lambda _: fault, "key": _sent}
    async with linked(handlers, encrypted=None) as (server, adapter, account):
        session = adapter.session(account)
        with pytest.raises(Transient):
            await session.send(HELLO, "key")
        assert server.paths("PUT") == []


@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        ((403, {"errcode": "M_FORBIDDEN", "error": "You are muted"}), Forbidden, "not write"),
        ((404, {"errcode": "M_NOT_FOUND"}), NotFound, "not there any more"),
        ((502, {}), Transient, "problem"),
        ((200, {}), Transient, "did not confirm"),
    ],
)
async def test_refusals_are_sentences(answer: Answer, kind: type[Exception], words: str) -> None:
    async with linked({"key": lambda _: answer}, encrypted=False) as (_, adapter, account):
        session = adapter.session(account)
        assert isinstance(session, MatrixSession)
        session._polling._answered_at = account.clock.monotonic()
        with pytest.raises(kind, match=words):
            await session.send(HELLO, "key")


async def test_a_group_that_the_book_does_not_have_is_asked_about() -> None:
    refuse: Handler = lambda _: (403, {"errcode": "M_FORBIDDEN"})  # noqa: E731
    async with linked({"m.room.encryption": refuse}, known=False) as (server, adapter, account):
        with pytest.raises(Forbidden, match="not write"):
            await adapter.session(account).send(HELLO, "key")
        assert server.paths("PUT") == []


# --- typing -----------------------------------------------------------------------------------


async def test_who_types_is_told_and_forgotten_when_the_session_ends() -> None:
    typing = {"type": "m.typing", "content": {"user_ids": [BOB]}}
    answer = {**joined(ephemeral=[typing]), "next_batch": "s1"}
    async with linked({"sync": _Sync(answer)}) as (_, adapter, account):
        async with Running(adapter, account):
            await account.inbox.wait_for(lambda item: item == ("room-typing", ROOM, BOB, True))
        assert account.inbox.items[-1] == ("room-typing", ROOM, BOB, False)


# --- large answers ----------------------------------------------------------------------------


async def test_a_large_answer_takes_several_commits() -> None:
    events = [
        event
        for number in range(1, 1_001)
        for event in (
            text("x" * 200, f"${number}"),
            state("m.room.name", "", {"name": f"Tea {number}"}, f"$n{number}"),
        )
    ]
    answer = {**joined(*events), "next_batch": "s1"}
    async with linked({"sync": _Sync(answer)}) as (_, adapter, account):
        async with Running(adapter, account):
            await account.wait(RemoteRoomMessage, lambda said: said.id == "$1000")
        said = account.inbox.find(lambda item: isinstance(item, RemoteRoomMessage))
        assert len(said) == 1_000
        assert account.commits > 4


# --- what is said in clear -----------------------------------------------------------------------


class _Sealing:
    """An `Encryption` of which only that it was asked matters."""

    async def encrypt(self, *_: Any) -> dict[str, Any]:
        return {"ciphertext": "sealed"}


async def test_reactions_and_what_has_no_encrypted_form_go_in_clear_to_an_encrypted_group(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    room, about = RemoteRoomId(ROOM), RemoteMessageId("$1")
    commands: dict[type[Any], list[RoomCommand]] = {
        SendRoomText: [
            SendRoomText(room=room, body="secret"),
            SendRoomText(room=room, body="secret", edits=about),
            SendRoomText(room=room, body="secret", reply_to=about, quote="> secret\n"),
        ],
        ReactInRoom: [
            ReactInRoom(room=room, message=about, emoji=("👍",)),
            ReactInRoom(room=room, message=about, emoji=()),
        ],
        RetractInRoom: [RetractInRoom(room=room, message=about)],
        MarkRoomRead: [MarkRoomRead(room=room, up_to=about)],
    }
    assert set(commands) == set(get_args(RoomCommand))
    fine: Handler = lambda _: (200, {"event_id": "$sent"})  # noqa: E731
    async with linked({"": fine}, encrypted=True) as (server, adapter, account):
        session = adapter.session(account)
        assert isinstance(session, MatrixSession)
        monkeypatch.setattr(session, "_encryption", _Sealing())
        for command in (each for kind in commands.values() for each in kind):
            await session.send(command, "key")
        await session.set_room_typing(room, True)
        sent = [each for each in server.requests if each.method in ("PUT", "POST")]
    kinds = [each.path.removeprefix(f"/rooms/{ROOM}/").split("/") for each in sent]
    assert [kind[1] if kind[0] == "send" else kind[0] for kind in kinds] == [
        *["m.room.encrypted"] * 3,
        "m.reaction",
        "redact",
        "read_markers",
        "typing",
    ]
    assert not any("secret" in json.dumps(each.body) for each in sent)
