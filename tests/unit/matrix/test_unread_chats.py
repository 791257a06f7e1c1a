"""REQ-476: unread messages of chats when an account is linked, at a homeserver on a socket."""

from typing import Any

import aiohttp
import pytest

from adapters.matrix import MatrixAdapter
from adapters.matrix.login import Credentials
from gateway.adapter import Linked
from gateway.errors import Transient
from gateway.events import RemoteGap
from tests.unit.matrix.homeserver import Answer, Request, misbehaving
from tests.unit.matrix.memory import MemoryAccount, MemoryNetwork
from tests.unit.matrix.samples import ALICE, BOB, joined, member, state, text

ROOM = "!chat:example.org"
ENCRYPTED = state("m.room.encryption", "", {"algorithm": "m.megolm.v1.aes-sha2"})
OLDER = [text(f"older {n}", f"$o{n}") for n in range(9, 0, -1)]
"""Newest first."""


def _first(*timeline: Any, unread: Any, state: Any = (), direct: Any = (ROOM,)) -> dict[str, Any]:
    answer = joined(*timeline, room=ROOM, state=[member(BOB, "join", "Bob"), *state])
    room = answer["rooms"]["join"][ROOM]
    room["timeline"].update(limited=True, prev_batch="p0")
    room["unread_notifications"] = {"notification_count": unread}
    listed = {"type": "m.direct", "content": {BOB: list(direct)}}
    return {**answer, "account_data": {"events": [listed]}}


async def _linked(answer: Any, chunk: Any, unread: int) -> tuple[MemoryAccount, list[Request]]:
    """All that an account is told by its first answer, and what it asked for."""
    answers: list[Answer] = [(200, answer), (500, {})]

    def messages(asked: Request) -> Answer:
        if not isinstance(chunk, list):
            return chunk  # type: ignore[no-any-return]
        return 200, {"chunk": chunk[: int(asked.query["limit"])], "end": "p1"}

    handlers = {"sync": lambda _: answers.pop(0), "messages": messages}
    async with misbehaving(**handlers) as server, aiohttp.ClientSession() as http:
        credentials = Credentials(
            homeserver=server.url, user_id=ALICE, device_id="D", access_token="T"
        )
        linked = Linked(realm=server.url, remote_id=ALICE, secret=credentials.encoded())
        account = MemoryAccount(linked, http)
        adapter = MatrixAdapter(MemoryNetwork(http, encryption=False, unread=unread))
        with pytest.raises(Transient):
            await adapter.session(account).run()
        return account, [asked for asked in server.requests if "messages" in asked.path]


@pytest.mark.parametrize(
    ("unread", "wanted", "bodies"),
    [
        (3, 10, ["older 8", "older 9", "new"]),
        (3, 2, ["older 9", "new"]),
        (1, 10, ["new"]),
        (100, 10, [*(f"older {n}" for n in range(1, 10)), "new"]),
    ],
)
async def test_req_476_the_newest_unread_messages(
    unread: int, wanted: int, bodies: list[str]
) -> None:
    account, _ = await _linked(_first(text("new", "$new"), unread=unread), OLDER, wanted)
    assert [message.body for message in account.messages()] == bodies
    is_cut = account.inbox.find(lambda item: isinstance(item, RemoteGap))
    assert bool(is_cut) == (unread > wanted)


@pytest.mark.parametrize(
    "answer",
    [
        _first(text("new", "$new"), unread=0),
        _first(text("new", "$new"), unread="3"),
        _first(text("mine", "$new", sender=ALICE), unread=3),
        _first(text("new", "$new"), unread=3, state=[ENCRYPTED]),
        _first(text("new", "$new"), unread=3, direct=[]),
    ],
    ids=["read", "odd", "answered", "encrypted", "a group"],
)
async def test_req_476_nothing_of_other_chats(answer: Any) -> None:
    account, _ = await _linked(answer, OLDER, 10)
    assert list(account.messages()) == []


async def test_req_476_nothing_without_the_setting() -> None:
    account, asked = await _linked(_first(text("new", "$new"), unread=3), OLDER, 0)
    assert (list(account.messages()), asked) == ([], [])


async def test_req_476_who_has_answered_has_read_what_comes_before() -> None:
    chunk = [OLDER[0], text("mine", "$mine", sender=ALICE), *OLDER[1:]]
    account, _ = await _linked(_first(text("new", "$new"), unread=9), chunk, 10)
    assert [message.body for message in account.messages()] == ["older 9", "new"]


async def test_req_476_a_chat_whose_past_is_refused() -> None:
    refused = (403, {"errcode": "M_FORBIDDEN"})
    account, _ = await _linked(_first(text("new", "$new"), unread=3), refused, 10)
    assert [message.body for message in account.messages()] == ["new"]
