# SPDX-License-Identifier: Apache-2.0
"""Groups that let in only who asks: asking, and being asked. And who may not come in at all."""

import re
from collections.abc import Sequence
from typing import Any

import aiohttp
import pytest

from adapters.matrix.coming import Coming
from adapters.matrix.filters import Mode
from adapters.matrix.http import Api
from adapters.matrix.managing import COMING, done_by
from adapters.matrix.rooms import Book
from gateway.adapter import Linked
from gateway.errors import AdapterError, Banned, Forbidden, Knocked, Transient
from gateway.events import (
    Departure,
    JoinRoom,
    RemoteMemberGone,
    RemoteRoom,
    RemoteRoomInvite,
    RemoteRoomInviteGone,
    RemoteRoomKnock,
    RemoteRoomKnockGone,
)
from gateway.ids import RemoteMessageId, RemoteRoomId
from tests.unit.matrix.homeserver import Answer, Request, misbehaving
from tests.unit.matrix.memory import MemoryAccount
from tests.unit.matrix.samples import (
    ALICE,
    BOB,
    CAROL,
    ROOM,
    created,
    group_book,
    invitation,
    invited,
    joined,
    member,
    outcome,
    state,
)

TEA = RemoteRoomId(ROOM)
NAME = state("m.room.name", "", {"name": "Tea"}, "$name")
OWN = RemoteRoomKnock(room=TEA, id=RemoteMessageId(f"{ROOM} knock"), user=ALICE, name="Tea")
GONE = RemoteRoomInviteGone(room=TEA)
REFUSED = RemoteRoomInviteGone(room=TEA, is_refusal=True)


def _knocking(*events: Any) -> dict[str, Any]:
    return {"rooms": {"knock": {ROOM: {"knock_state": {"events": list(events)}}}}}


def _left(sender: str, membership: str = "leave", before: str = "") -> dict[str, Any]:
    event = {**member(ALICE, membership), "sender": sender}
    if before:
        event["unsigned"] = {"prev_content": {"membership": before}}
    return {"rooms": {"leave": {ROOM: {"timeline": {"events": [event]}}}}}


def _asked() -> Book:
    known = Book({"groups": "1", "avatars": "1", "pasts": "1", "faces": "1"})
    result = outcome(_knocking(created(), NAME), known)
    assert result.events == [OWN]
    known.apply(result.draft)
    return known


# --- the account asks -----------------------------------------------------------------------


def test_that_the_account_has_asked_is_told_once() -> None:
    known = _asked()
    for mode in Mode.NEXT, Mode.AGAIN:
        assert outcome(_knocking(created(), NAME), known, mode).events == []
    space = _knocking(created(type="m.space"))
    assert outcome(space, Book({})).events == []


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (_left(BOB), REFUSED),
        (_left(BOB, "ban"), REFUSED),
        (_left(ALICE), GONE),
        ({"rooms": {"leave": {ROOM: {}}}}, GONE),
    ],
)
def test_that_the_account_is_not_let_in_is_told(answer: Any, told: RemoteRoomInviteGone) -> None:
    known = _asked()
    result = outcome(answer, known)
    assert told in result.events
    known.apply(result.draft)
    assert told not in outcome({"rooms": {"leave": {ROOM: {}}}}, known).events
    assert outcome(_knocking(created(), NAME), known).events == [OWN]


def test_a_refusal_of_which_the_book_has_not_heard() -> None:
    assert outcome(_left(BOB, before="knock"), Book({})).events == [REFUSED]
    assert outcome(_left(BOB, before="join"), Book({})).events == []


def test_an_invitation_is_the_answer() -> None:
    asked = {**invitation(direct=False)}
    asked["content"] = {**asked["content"], "displayname": "Alice L."}
    (event,) = outcome(invited(NAME, asked), _asked()).events
    assert isinstance(event, RemoteRoomInvite)
    assert (event.inviter, event.own_name) == (BOB, "Alice L.")


# --- others ask -----------------------------------------------------------------------------


def _by_carol(membership: str, before: str | None = None, sender: str = CAROL) -> Any:
    event = member(CAROL, membership, "Carol", reason="tea\x00")
    event["sender"] = sender
    if before is not None:
        event["unsigned"] = {"prev_content": {"membership": before}}
    return event


OVER = RemoteRoomKnockGone(room=TEA, user=CAROL)


def test_who_asks_is_told_once() -> None:
    known, answer = group_book(), joined(_by_carol("knock"))
    result = outcome(answer, known)
    assert result.events == [
        RemoteRoomKnock(
            room=TEA,
            id=RemoteMessageId(f"$member-{CAROL}-knock"),
            user=CAROL,
            name="Carol",
            reason="tea",
        )
    ]
    known.apply(result.draft)
    assert outcome(answer, known, Mode.AGAIN).events == []


@pytest.mark.parametrize(
    ("event", "others"),
    [
        (_by_carol("invite", "knock", BOB), 0),
        (_by_carol("leave", "knock", BOB), 0),
        (_by_carol("leave", "knock"), 0),
        (_by_carol("ban", "knock", BOB), 1),
        (_by_carol("join", "knock"), 1),
    ],
)
def test_who_asks_no_longer(event: Any, others: int) -> None:
    events = outcome(joined(event), group_book()).events
    assert events[-1] == OVER
    assert len(events) == 1 + others


@pytest.mark.parametrize(
    "event", [_by_carol("knock", "knock"), _by_carol("invite", "leave", BOB), _by_carol("invite")]
)
def test_who_has_not_stopped_to_ask(event: Any) -> None:
    assert OVER not in outcome(joined(event), group_book()).events


# --- bans -----------------------------------------------------------------------------------


def test_a_ban_of_the_account_while_it_is_out_is_told_and_its_end() -> None:
    known = Book({"groups": "1", "avatars": "1", "pasts": "1", "faces": "1"})
    (banned,) = outcome(_left(BOB, "ban", "leave"), known).events
    assert banned == RemoteMemberGone(room=TEA, user=ALICE, how=Departure.BANNED, actor=BOB)
    (lifted,) = outcome(_left(BOB, "leave", "ban"), known).events
    assert lifted == RemoteMemberGone(room=TEA, user=ALICE, how=Departure.LEFT, actor=BOB)


def test_a_ban_of_who_is_not_there_is_told() -> None:
    for membership, before, how in (
        ("ban", "leave", Departure.BANNED),
        ("leave", "ban", Departure.LEFT),
    ):
        events = outcome(joined(_by_carol(membership, before, BOB)), group_book()).events
        assert [event.how for event in events if isinstance(event, RemoteMemberGone)] == [how]


# --- who finds a group ----------------------------------------------------------------------


def test_a_channel_with_an_address_is_found_by_everybody() -> None:
    alias = state("m.room.canonical_alias", "", {"alias": "#tea:example.org"})
    public = state("m.room.join_rules", "", {"join_rule": "public"})
    for events, is_listed in (([alias, public], True), ([alias], False), ([public], False)):
        answer = joined(state=[created(), *events])
        result = outcome(answer, Book({}), Mode.FIRST, lists={ROOM: [member(ALICE, "join")]})
        (room,) = result.events
        assert isinstance(room, RemoteRoom)
        assert room.is_listed is is_listed


# --- what the homeserver is asked for -------------------------------------------------------

_FORBIDDEN: Answer = (403, {"errcode": "M_FORBIDDEN", "error": "You are not invited."})
_BANNED: Answer = (403, {"errcode": "M_FORBIDDEN", "error": "You are banned from this room"})
_LINK = "https://matrix.to/#/!x:a.org?via=a.org"


async def _joins(
    action: JoinRoom, join: Answer, knock: Answer
) -> tuple[AdapterError, Sequence[Request]]:
    """What it comes to, and what was asked."""

    def answer(asked: Request) -> Answer:
        return join if asked.path.startswith("/join/") else knock

    async with misbehaving(**{"": answer}) as server, aiohttp.ClientSession() as http:
        account = MemoryAccount(Linked(realm="", remote_id=ALICE, secret=b""), http)
        of = Coming(account, lambda: Api(http, server.url, "T"), encrypts=lambda: False)
        with pytest.raises(AdapterError) as raised:
            await done_by(of, COMING)[JoinRoom](action)
        return raised.value, server.requests


@pytest.mark.parametrize(
    ("join", "knock", "error", "said"),
    [
        (_FORBIDDEN, (200, {"room_id": "!x:a.org"}), Knocked, "You have asked for that now"),
        (_FORBIDDEN, _FORBIDDEN, Forbidden, "cannot come into this group.*not invited"),
        (_FORBIDDEN, (404, {"errcode": "M_UNRECOGNIZED"}), Forbidden, "cannot come into"),
        (_FORBIDDEN, (404, {}), Forbidden, "cannot come into"),
        (_FORBIDDEN, (502, {}), Transient, "problem"),
    ],
)
async def test_where_the_account_may_not_come_in_it_asks(
    join: Answer, knock: Answer, error: type[AdapterError], said: str
) -> None:
    raised, requests = await _joins(JoinRoom(address=_LINK), join, knock)
    assert (type(raised), [one.path for one in requests]) == (
        error,
        ["/join/!x:a.org", "/knock/!x:a.org"],
    )
    assert re.search(said, raised.text)
    assert (requests[1].query, requests[1].body) == (requests[0].query, {})
    assert requests[1].query["via"] == "a.org"


@pytest.mark.parametrize(
    ("action", "join", "error"),
    [
        (JoinRoom(address=_LINK, asks=False), _FORBIDDEN, Forbidden),
        (JoinRoom(address=_LINK), _BANNED, Banned),
        (JoinRoom(address=_LINK, asks=False), _BANNED, Banned),
    ],
)
async def test_where_that_is_of_no_use_nobody_is_asked(
    action: JoinRoom, join: Answer, error: type[AdapterError]
) -> None:
    raised, requests = await _joins(action, join, (200, {"room_id": "!x:a.org"}))
    assert (type(raised), len(requests)) == (error, 1)
