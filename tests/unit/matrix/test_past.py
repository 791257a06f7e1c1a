# SPDX-License-Identifier: Apache-2.0
"""What was said before, at homeservers that forget, refuse, or answer nonsense."""

from typing import Any

import pytest

from adapters.matrix import past
from adapters.matrix.group_events import said_in
from gateway.adapter import HistoryPage
from gateway.errors import Forbidden, Transient
from gateway.events import (
    RemoteEvent,
    RemoteRoomMessage,
    RemoteRoomReaction,
    RemoteRoomRetraction,
    RemoteUndecryptable,
    RemoteUnreadable,
)
from gateway.ids import RemoteMessageId, RemoteRoomId
from tests.unit.matrix.homeserver import Answer, Handler, Homeserver, Request
from tests.unit.matrix.memory import Running
from tests.unit.matrix.samples import ALICE, BOB, ROOM, message, state, text
from tests.unit.matrix.test_group_session import linked

KNOWN = RemoteMessageId("$9")
NOTHING: Handler = lambda _: (200, {"chunk": []})  # noqa: E731


def _at(event: dict[str, Any], start: str = "t1", **more: Any) -> Handler:
    return lambda _: (200, {"event": event, "start": start, **more})


async def _ask(
    handlers: dict[str, Handler],
    before: str | None = None,
    known: RemoteMessageId | None = KNOWN,
    **group: Any,
) -> tuple[HistoryPage, Homeserver]:
    handlers = {"sync": lambda _: (200, {"next_batch": "s1"}), **handlers}
    async with (
        linked(handlers, **group) as (server, adapter, account),
        Running(adapter, account) as session,
    ):
        page = await session.history(RemoteRoomId(ROOM), before, known, 100)
        return page, server


def _ids(page: HistoryPage) -> list[str]:
    return [event.id for event in page.events if isinstance(event, RemoteRoomMessage)]


async def test_it_begins_before_the_oldest_that_is_known() -> None:
    older = [text("two", "$8"), text("one", "$7")]
    page, server = await _ask(
        {
            "context/$9": _at(text("known", "$9")),
            "messages": lambda _: (200, {"chunk": older, "end": "t2"}),
        }
    )
    assert (_ids(page), page.cursor) == (["$7", "$8", "$9"], "t2")
    asked = [request.query for request in server.requests if "messages" in request.path]
    assert [(query["from"], query["dir"]) for query in asked] == [("t1", "b")]


@pytest.mark.parametrize("known", [None, KNOWN])
async def test_it_begins_at_what_sync_has_told_if_nothing_is_known_or_that_is_gone(
    known: RemoteMessageId | None,
) -> None:
    page, _ = await _ask(
        {
            "context/$9": lambda _: (404, {"errcode": "M_NOT_FOUND"}),
            "context/$0": _at(text("last", "$0")),
            "messages": NOTHING,
        },
        known=known,
    )
    assert (_ids(page), page.cursor) == (["$0"], None)


async def test_a_homeserver_that_knows_neither_has_nothing() -> None:
    page, server = await _ask({"messages": NOTHING})
    assert (list(page.events), page.cursor) == ([], None)
    assert not [request for request in server.requests if "messages" in request.path]


async def test_of_a_group_that_is_still_to_be_told_nothing_is_known_yet() -> None:
    with pytest.raises(Transient):
        await _ask({"messages": NOTHING}, known=None, last="")


async def test_it_goes_on_from_the_cursor() -> None:
    page, server = await _ask({"messages": NOTHING}, before="t7")
    assert (_ids(page), page.cursor) == ([], None)
    assert not [request for request in server.requests if "context" in request.path]


async def test_a_page_may_have_nothing_and_more_before_it() -> None:
    answer: Handler = lambda _: (200, {"chunk": [], "end": "t8"})  # noqa: E731
    page, _ = await _ask({"messages": answer}, before="t7")
    assert (_ids(page), page.cursor) == ([], "t8")


async def test_a_homeserver_that_makes_no_way_has_no_more() -> None:
    answer: Handler = lambda _: (200, {"chunk": [], "end": "t7"})  # noqa: E731
    page, _ = await _ask({"messages": answer}, before="t7")
    assert page.cursor is None


async def test_a_cursor_that_is_not_taken_any_more_is_none() -> None:
    def messages(request: Request) -> Answer:
        if request.query["from"] == "old":
            return 400, {"errcode": "M_UNKNOWN", "error": "Bad token"}
        return 200, {"chunk": [text("one", "$7")], "end": "t2"}

    page, _ = await _ask({"context/$9": _at(text("x", "$9")), "messages": messages}, before="old")
    assert (_ids(page), page.cursor) == (["$7", "$9"], "t2")


async def test_what_is_refused_is_an_error() -> None:
    refused: Handler = lambda _: (403, {"errcode": "M_FORBIDDEN"})  # noqa: E731
    with pytest.raises(Forbidden):
        await _ask({"messages": refused}, before="t1")


def _redacted(kind: str, redacted: str, **because: Any) -> dict[str, Any]:
    unsigned = {"redacted_because": {"event_id": "$r", "sender": ALICE, **because}}
    return {**message({}, redacted, BOB, kind), "unsigned": unsigned}


async def test_what_was_redacted_comes_with_its_retraction() -> None:
    chunk = [
        _redacted("m.reaction", "$4"),
        _redacted("m.room.encrypted", "$3", sender=7, event_id=None, content="?"),
        _redacted("m.room.message", "$2", content={"reason": "Oh"}, origin_server_ts=1_500_000),
    ]
    page, _ = await _ask({"messages": lambda _: (200, {"chunk": chunk})}, before="t1")
    said, gone, secret, gone_too = page.events
    assert isinstance(said, RemoteRoomMessage)
    assert (said.id, said.body, said.sender) == ("$2", "", BOB)
    assert isinstance(gone, RemoteRoomRetraction)
    assert (gone.id, gone.message, gone.by, gone.reason) == ("$r", "$2", ALICE, "Oh")
    assert gone.sent_at == 1500.0
    assert isinstance(secret, RemoteRoomMessage)
    assert isinstance(gone_too, RemoteRoomRetraction)
    assert (gone_too.id, gone_too.message, gone_too.by) == ("$3", "$3", BOB)


async def test_what_is_no_event_is_left_out_and_what_cannot_be_converted_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    relation = {"m.relates_to": {"rel_type": "m.annotation", "event_id": "$2", "key": "👍"}}
    chunk: list[Any] = [
        7,
        {},
        message({"body": "?"}, "$6", sender="nobody"),
        message(relation, "$5", kind="m.reaction"),
        message({"algorithm": "?"}, "$4", kind="m.room.encrypted"),
        text("explosive", "$3"),
        text("two", "$2"),
    ]

    def explosive(room: Any, event: Any, **about: Any) -> RemoteEvent | None:
        assert event["event_id"] != "$3"
        return said_in(room, event, **about)

    monkeypatch.setattr(past, "said_in", explosive)
    page, _ = await _ask({"messages": lambda _: (200, {"chunk": chunk})}, before="t1")
    assert [type(event) for event in page.events] == [
        RemoteRoomMessage,
        RemoteUnreadable,
        RemoteUndecryptable,
        RemoteRoomReaction,
    ]


@pytest.mark.parametrize(
    ("changes", "topic"),
    [
        ({"content": {"topic": "Tea"}}, "Tea"),
        ({"content": {}}, ""),
        ({"content": {"topic": 7}}, ""),
        ({"content": {"topic": "Tea"}, "state_key": "x"}, None),
        ({"content": {"topic": "Tea"}, "type": "m.room.name"}, None),
    ],
)
def test_topics_of_the_past(changes: dict[str, Any], topic: str | None) -> None:
    """REQ-582."""
    event = {**state("m.room.topic", "", {}, "$t"), **changes}
    told = past.topic_in(RemoteRoomId("!tea:example.org"), event, 5_000.0)
    assert (told and told.topic) == topic
    assert told is None or (told.by, told.sent_at) == (event["sender"], 1_000.0)
