"""The loop and the commands under faults that a real homeserver does not make on request."""

import asyncio
import itertools
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from adapters.matrix import MatrixAdapter, history
from adapters.matrix.contents import text_content
from adapters.matrix.login import Credentials
from adapters.matrix.outbound import MAX_TEXT_BYTES
from adapters.matrix.rooms import Book, Room, RoomId
from adapters.matrix.session import MatrixSession
from adapters.matrix.typists import Typists
from gateway.adapter import Linked, Session
from gateway.errors import (
    AdapterError,
    AuthExpired,
    Forbidden,
    RateLimited,
    TooLarge,
    Transient,
    Unsupported,
)
from gateway.events import RemoteGap, RemoteMessage, RemoteRead, SendText
from gateway.ids import RemoteUserId
from tests.unit.matrix.homeserver import Answer, Handler, Homeserver, Request, misbehaving
from tests.unit.matrix.memory import MemoryAccount, MemoryNetwork, Running
from tests.unit.matrix.samples import ALICE, BOB, ROOM, book, joined, text


@asynccontextmanager
async def _linked(
    handlers: dict[str, Handler], **room: Any
) -> AsyncIterator[tuple[Homeserver, MatrixAdapter, MemoryAccount]]:
    """An account with one room of Bob, at a homeserver with these manners."""
    async with misbehaving(**handlers) as server, aiohttp.ClientSession() as http:
        credentials = Credentials(
            homeserver=server.url, user_id=ALICE, device_id="D", access_token="T"
        )
        linked = Linked(realm=server.url, remote_id=ALICE, secret=credentials.encoded())
        account = MemoryAccount(linked, http)
        if room:
            draft = Book({}).draft()
            draft.put(ROOM, book(**room).rooms()[ROOM])
            account.stored = {key: str(value) for key, value in draft.changes().items()}
            account.cursor = "s0"
        yield server, MatrixAdapter(MemoryNetwork(http, encryption=False)), account


def _sync(*answers: Any) -> Handler:
    """One answer after the other; the last one again and again, slowly."""
    waiting = list(answers)

    def answer(_: Request) -> Answer:
        found = waiting.pop(0) if len(waiting) > 1 else waiting[0]
        return found if isinstance(found, tuple) else (200, found)

    return answer


QUIET = {"next_batch": "s9"}


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        ((401, {"errcode": "M_UNKNOWN_TOKEN", "soft_logout": True}), AuthExpired),
        ((429, {"errcode": "M_LIMIT_EXCEEDED", "retry_after_ms": 10}), RateLimited),
        ((502, {}), Transient),
        ((403, {"errcode": "M_FORBIDDEN"}), Forbidden),
        ((400, {"errcode": "M_BAD_JSON"}), Unsupported),
        ((200, {}), Transient),
        ((200, {"next_batch": 5}), Transient),
        ((200, {"next_batch": "\ud800"}), Transient),
    ],
)
async def test_what_ends_a_session(answer: Answer, kind: type[AdapterError]) -> None:
    async with _linked({"sync": lambda _: answer}) as (_, adapter, account):
        with pytest.raises(kind) as caught:
            await adapter.session(account).run()
        assert type(caught.value) is kind
        assert account.commits == 0
        assert not account.live.is_set()


async def test_the_next_request_waits_for_the_commit() -> None:
    answers = _sync({"next_batch": "s1", **joined(text("x"))}, QUIET)
    async with _linked({"sync": answers}, message="") as (server, adapter, account):
        account.is_broken = True
        with pytest.raises(Transient):
            await adapter.session(account).run()
        assert [request.query["since"] for request in server.requests] == ["s0"]
        assert account.cursor == "s0"


async def test_an_unreadable_secret_asks_to_log_in_again() -> None:
    async with _linked({}) as (_, adapter, account):
        account.secret = b"odd"
        with pytest.raises(AuthExpired):
            await adapter.session(account).run()


def _limited(*events: Any) -> dict[str, Any]:
    answer = joined(*events)
    answer["rooms"]["join"][ROOM]["timeline"].update(limited=True, prev_batch="p0")
    return answer


def _pages(*pages: Any) -> Handler:
    """History, newest page first; each page is a list of events."""

    def answer(asked: Request) -> Answer:
        number = int(asked.query["from"].removeprefix("p"))
        end = {"end": f"p{number + 1}"} if number + 1 < len(pages) else {}
        return 200, {"chunk": pages[number], **end}

    return answer


@pytest.mark.parametrize(
    ("history", "bodies", "gap"),
    [
        (_pages([text("c", "$3")], [], [text("b", "$2"), text("a", "$0")]), "bcd", False),
        (_pages([text("c", "$3")], [text("b", "$2")]), "bcd", False),
        (lambda _: (403, {"errcode": "M_FORBIDDEN"}), "d", True),
        (lambda _: (400, {"errcode": "M_UNKNOWN"}), "d", True),
        (lambda _: (200, {"chunk": [text("c", "$3")], "end": "p0"}), "cd", False),
        (lambda _: (200, {"chunk": "odd", "end": 5}), "d", False),
    ],
)
async def test_gaps(history: Handler, bodies: str, gap: bool) -> None:
    handlers = {"sync": _sync(_limited(text("d", "$4")), (500, {})), "messages": history}
    async with _linked(handlers, encrypted=False) as (_, adapter, account):
        with pytest.raises(Transient):
            await adapter.session(account).run()
        assert "".join(message.body for message in account.messages()) == bodies
        assert bool(account.inbox.find(lambda item: isinstance(item, RemoteGap))) == gap


async def test_a_history_without_end_is_given_up() -> None:
    numbers = itertools.count(1)
    handlers: dict[str, Handler] = {
        "sync": _sync(_limited(text("d", "$4")), (500, {})),
        "messages": lambda _: (200, {"chunk": [], "end": f"p{next(numbers)}"}),
    }
    async with _linked(handlers, encrypted=False) as (server, adapter, account):
        with pytest.raises(Transient):
            await adapter.session(account).run()
        assert len(server.requests) < 50
        assert account.inbox.find(lambda item: isinstance(item, RemoteGap))


async def test_gaps_of_many_rooms_are_filled_as_far_as_there_is_space(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """All of them are in memory until the answer is committed."""
    monkeypatch.setattr(history, "_AT_ONCE", 4_000)
    answer = _limited(text("d", "$4"))
    other = "!other:example.org"
    answer["rooms"]["join"][other] = _limited(text("e", "$14"))["rooms"]["join"][ROOM]
    handlers: dict[str, Handler] = {
        "sync": _sync(answer, (500, {})),
        "messages": _pages([text("x" * 4_000, "$3"), text("b", "$2"), text("a", "$0")]),
    }
    async with _linked(handlers, encrypted=False) as (server, adapter, account):
        draft = Book({}).draft()
        draft.put(RoomId(other), Room(contact=RemoteUserId("@carl:example.org"), last="$10"))
        account.stored |= {key: str(value) for key, value in draft.changes().items()}
        with pytest.raises(Transient):
            await adapter.session(account).run()
        assert sum(path.endswith("messages") for path in server.paths("GET")) == 1
        assert [message.id for message in account.messages()] == ["$2", "$3", "$4", "$14"]
        gap = account.inbox.find(lambda item: isinstance(item, RemoteGap))
        assert [each.id for each in gap if isinstance(each, RemoteGap)] == ["$14"]


async def test_a_fault_during_a_gap_commits_nothing() -> None:
    handlers: dict[str, Handler] = {
        "sync": _sync(_limited(text("d"))),
        "messages": lambda _: (502, {}),
    }
    async with _linked(handlers, encrypted=False) as (_, adapter, account):
        with pytest.raises(Transient):
            await adapter.session(account).run()
        assert (account.commits, account.cursor) == (0, "s0")


# --- sending ------------------------------------------------------------------------------------


@asynccontextmanager
async def sending(
    handlers: dict[str, Handler], **room: Any
) -> AsyncIterator[tuple[Homeserver, MemoryAccount, Session]]:
    """A session whose loop is not running: everything is asked anew."""
    async with _linked(handlers, **{"encrypted": False, **room}) as (server, adapter, account):
        yield server, account, adapter.session(account)


def _sent(asked: Request) -> Answer:
    return 200, {"event_id": f"$sent-{asked.path.rsplit('/', 1)[1]}"}


HELLO = SendText(contact=BOB, body="hello")


async def test_encryption_is_asked_for_while_the_loop_is_not_live() -> None:
    encrypted: Handler = lambda _: (200, {"algorithm": "odd"})  # noqa: E731
    handlers = {"m.room.encryption": encrypted, "key": _sent}
    async with sending(handlers) as (server, account, session):
        with pytest.raises(Unsupported, match="encrypted"):
            await session.send(HELLO, "key")
        assert server.paths("PUT") == []
        assert json.loads(account.stored[f"room:{ROOM}"])["encrypted"] is True


async def test_a_poll_that_is_open_for_long_is_not_believed() -> None:
    """The homeserver may have forgotten it, and with it that the room is encrypted by now."""
    handlers: dict[str, Handler] = {
        "m.room.encryption": lambda _: (200, {"algorithm": "m.megolm.v1.aes-sha2"}),
        "key": _sent,
    }
    async with sending(handlers) as (server, account, session):
        assert isinstance(session, MatrixSession)
        session._polling._answered_at = account.clock.monotonic()
        await session.send(HELLO, "first-key")
        assert len(server.paths("PUT")) == 1
        session._polling._answered_at = account.clock.monotonic() - 11
        with pytest.raises(Unsupported, match="encrypted"):
            await session.send(HELLO, "second-key")
        assert len(server.paths("PUT")) == 1


@pytest.mark.parametrize(
    "fault", [(502, {}), (429, {"errcode": "M_LIMIT_EXCEEDED"}), (404, {"error": "no route"})]
)
async def test_encryption_that_cannot_be_found_out_holds_the_message(fault: Answer) -> None:
    handlers: dict[str, Handler] = {"m.room.encryption": lambda _: fault, "key": _sent}
    async with sending(handlers) as (server, _, session):
        with pytest.raises(Transient):
            await session.send(HELLO, "key")
        assert server.paths("PUT") == []


async def test_another_attempt_goes_to_the_same_room() -> None:
    answers = iter([(502, {}), (200, {"event_id": "$1"})])
    async with sending({"key": lambda _: next(answers)}) as (server, _, session):
        draft = book().draft()
        newer = book(encrypted=False, used=10**9).rooms()[ROOM]
        draft.put(RoomId("!newer"), newer)
        with pytest.raises(Transient):
            await session.send(HELLO, "key")
        ledger = session._ledger  # type: ignore[attr-defined]
        async with ledger.writing():
            await ledger.commit(draft)
        assert (await session.send(HELLO, "key")).remote_id == "$1"
        assert set(server.paths("PUT")) == {f"/rooms/{ROOM}/send/m.room.message/key"}
        assert ledger.book.candidates(BOB)[0] == "!newer"


async def test_a_room_that_the_homeserver_encrypts_is_removed_again() -> None:
    handlers: dict[str, Handler] = {
        "profile/@bob:example.org": lambda _: (200, {}),
        "createRoom": lambda _: (200, {"room_id": "!new"}),
        "m.room.encryption": lambda _: (200, {}),
        "leave": lambda _: (200, {}),
    }
    async with sending(handlers, theirs="leave") as (server, account, session):
        with pytest.raises(Unsupported):
            await session.send(HELLO, "key")
        assert server.paths("POST") == ["/createRoom", "/rooms/!new/leave", "/rooms/!new/forget"]
        assert not [key for key in account.stored if key.startswith("opening:")]


async def test_m_direct_keeps_what_others_wrote() -> None:
    written: list[Any] = []

    def direct(asked: Request) -> Answer:
        if asked.method == "PUT":
            written.append(asked.body)
            return 200, {}
        return 200, {"@eve:hs": ["!e"], BOB: "odd", "x": 5}

    handlers: dict[str, Handler] = {"m.direct": direct, "key": _sent}
    async with sending(handlers, unlisted=True) as (_, _, session):
        await session.send(HELLO, "key")
        await session.send(HELLO, "key")
        assert written == [{"@eve:hs": ["!e"], BOB: [ROOM], "x": 5}]


async def test_a_message_does_not_depend_on_m_direct() -> None:
    handlers: dict[str, Handler] = {"m.direct": lambda _: (500, {}), "key": _sent}
    async with sending(handlers, unlisted=True) as (_, _, session):
        assert (await session.send(HELLO, "key")).remote_id == "$sent-key"


async def test_a_full_disk_is_told_as_transient() -> None:
    async with sending({"key": _sent}, encrypted=None) as (_, account, session):
        account.is_broken = True
        with pytest.raises(Transient):
            await session.send(HELLO, "key")


@pytest.mark.parametrize(
    ("body", "content"),
    [
        ("hello", {"msgtype": "m.text", "body": "hello"}),
        ("/me waves", {"msgtype": "m.emote", "body": "waves"}),
        ("/me", {"msgtype": "m.text", "body": "/me"}),
        ("/me  ", {"msgtype": "m.text", "body": "/me  "}),
        ("/mean", {"msgtype": "m.text", "body": "/mean"}),
    ],
)
def test_contents(body: str, content: dict[str, str]) -> None:
    assert text_content(body, "k") == {**content, "org.dragoman.key": "k"}


@pytest.mark.parametrize("kind", ['"', "\\", "\n", "\t", "x", "ä", "€", "𝄞", "\u2028", "\x7f"])
async def test_the_longest_text_is_no_longer_than_an_event_can_be(kind: str) -> None:
    sizes: list[int] = []

    def measured(asked: Request) -> Answer:
        assert asked.body["body"] == body
        compact = json.dumps(asked.body, ensure_ascii=False, separators=(",", ":"))
        sizes.append(len(compact.encode()))
        return 200, {"event_id": "$1"}

    body = kind * (MAX_TEXT_BYTES // len(kind.encode()))
    key = "0123456789abcdef" * 2 + "." + "9" * 18
    async with sending({key: measured}) as (_, _, session):
        await session.send(SendText(contact=BOB, body=body), key)
    assert [size <= 60_000 for size in sizes] == [True]


async def test_a_homeserver_with_a_lower_limit_says_so() -> None:
    refuse: Handler = lambda _: (413, {"errcode": "M_TOO_LARGE"})  # noqa: E731
    async with sending({"key": refuse}) as (_, _, session):
        with pytest.raises(TooLarge):
            await session.send(HELLO, "key")


async def test_looking_somebody_up_ends_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    async def hang(*_: object, **__: object) -> Any:
        await asyncio.sleep(60)

    monkeypatch.setattr("adapters.matrix.session._FIND_S", 0.05)
    monkeypatch.setattr("adapters.matrix.http.Api.get", hang)
    async with asyncio.timeout(5), sending({}) as (_, _, session):
        with pytest.raises(Transient, match="in time"):
            await session.find(BOB)


async def test_a_homeserver_that_answers_at_once_is_not_asked_without_end() -> None:
    """Each answer is a commit, for which those of all accounts wait."""
    numbers = itertools.count(1)

    def answer(_: Request) -> Answer:
        return 200, {"next_batch": f"s{next(numbers)}"}

    async with _linked({"sync": answer}, message="") as (_, adapter, account):
        polling = asyncio.create_task(adapter.session(account).run())
        await asyncio.wait([polling], timeout=1.0)
        polling.cancel()
        await asyncio.wait([polling])
        assert 50 <= account.commits <= 65


# --- large answers ------------------------------------------------------------------------------


async def test_a_large_answer_takes_several_commits_and_only_the_last_has_the_cursor() -> None:
    events = [text("x" * 200, f"${number}") for number in range(1, 2_001)]
    answer = {**joined(*events), "next_batch": "s1"}
    async with _linked({"sync": _sync(answer, QUIET)}, encrypted=False) as (_, adapter, account):
        sizes = _watched(account)
        async with Running(adapter, account):
            assert [message.id for message in account.messages()] == [
                e["event_id"] for e in events
            ]
        assert max(size for size, _ in sizes) <= 500
        cursors = [cursor for size, cursor in sizes if size]
        assert len(cursors) > 4
        assert set(cursors[:-1]) == {None}
        assert sizes[-1][1] == "s1"


@pytest.mark.parametrize("good", [0, 1, 3])
async def test_what_was_committed_before_a_crash_is_not_told_twice(good: int) -> None:
    read = {"type": "m.receipt", "content": {"$2000": {"m.read": {BOB: {"ts": 1}}}}}
    events = [text("x", f"${number}") for number in range(1, 2_001)]
    answer = {**joined(*events, ephemeral=[read]), "next_batch": "s1"}
    async with _linked({"sync": lambda _: (200, answer)}, encrypted=False) as (
        _,
        adapter,
        account,
    ):
        sizes = _watched(account, good)
        with pytest.raises(Transient):
            await adapter.session(account).run()
        assert account.cursor == "s0"
        assert len(account.messages()) == sum(size for size, _ in sizes[:good])
        account.is_broken = False
        _watched(account)
        async with Running(adapter, account):
            pass
        assert _ids(account) == [event["event_id"] for event in events]
        await account.wait(RemoteRead)
        assert account.cursor == "s1"


async def test_an_answer_beyond_the_limit_is_refused_with_a_sentence() -> None:
    huge = web.Response(body=b" " * (32 * 2**20 + 1), content_type="application/json")
    async with _linked({"sync": lambda _: huge}) as (_, adapter, account):
        with pytest.raises(Transient, match="more than 32 MiB"):
            await adapter.session(account).run()


def _ids(account: MemoryAccount) -> list[str]:
    return [message.id for message in account.messages()]


def _watched(account: MemoryAccount, good: int = 1_000) -> list[tuple[int, str | None]]:
    """Size and cursor of each commit; after some good ones the store is broken."""
    seen: list[tuple[int, str | None]] = []
    commit = MemoryAccount.commit

    async def watched(
        events: Any, *, cursor: str | None = None, state: Any = None, sealed: Any = None
    ) -> None:
        account.is_broken = len(seen) >= good
        seen.append((len(events), cursor))
        assert len(state) <= 500
        await commit(account, events, cursor=cursor, state=state, sealed=sealed)

    account.commit = watched  # type: ignore[method-assign]
    return seen


def test_typing_is_told_on_change_and_ends_with_the_session() -> None:
    told: list[tuple[str, bool]] = []
    typists = Typists(lambda contact, active: told.append((contact, active)))
    for room, active in [("!a", True), ("!a", True), ("!b", True), ("!a", False), ("!a", False)]:
        typists.note(RoomId(room), BOB, active)
    assert told == [(BOB, True)]
    typists.forget()
    assert told == [(BOB, True), (BOB, False)]


async def test_a_cancelled_session_forgets_who_types() -> None:
    typing = joined(ephemeral=[{"type": "m.typing", "content": {"user_ids": [BOB]}}])

    handlers = {"sync": _sync(typing, QUIET)}
    async with _linked(handlers, encrypted=False) as (_, adapter, account):
        async with Running(adapter, account):
            pass
        assert account.inbox.items[-1] == ("typing", BOB, False)
        assert not [item for item in account.inbox.items if isinstance(item, RemoteMessage)]
