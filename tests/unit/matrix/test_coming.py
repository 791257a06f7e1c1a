# SPDX-License-Identifier: Apache-2.0
"""Invitations to groups, groups that move, and what users want while they wait."""

import json
import re
from typing import Any

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.matrix import MatrixAdapter
from adapters.matrix.coming import Coming
from adapters.matrix.filters import Mode, filter_for
from adapters.matrix.group_sync import to_be_listed
from adapters.matrix.http import Api
from adapters.matrix.links import RoomLink, is_alias, link_to, parsed, room_at
from adapters.matrix.managing import COMING, done_by
from adapters.matrix.marks import GROUP_MARKER
from adapters.matrix.rooms import Book
from gateway.adapter import Linked
from gateway.errors import AdapterError, Forbidden, NotFound, Transient
from gateway.events import (
    CreateRoom,
    FindRoom,
    InviteToRoom,
    JoinRoom,
    LeaveRoom,
    RemoteInvite,
    RemoteMemberGone,
    RemoteRoom,
    RemoteRoomInvite,
    RemoteRoomInviteGone,
    RemoteRoomMoved,
    RoomAction,
)
from gateway.ids import RemoteRoomId
from tests.unit.matrix.homeserver import Answer, Homeserver, Request, misbehaving
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
    text,
)

MINE = "instance-of-the-tests"
TEA = RemoteRoomId(ROOM)
NAME = state("m.room.name", "", {"name": "Tea"}, "$name")

# --- what people call a room ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("typed", "link"),
    [
        ("#tea:example.org", RoomLink("#tea:example.org")),
        (" #tea:example.org ", RoomLink("#tea:example.org")),
        ("#Tea Time:example.org:8448", RoomLink("#Tea Time:example.org:8448")),
        ("!x:example.org", RoomLink("!x:example.org", ("example.org",))),
        ("!hash", RoomLink("!hash")),
        ("matrix:r/tea:example.org", RoomLink("#tea:example.org")),
        ("matrix:r/tea:example.org?action=join", RoomLink("#tea:example.org")),
        ("matrix:room/tea:example.org", RoomLink("#tea:example.org")),
        ("matrix:roomid/x:a.org?via=b.org&via=c.org",
         RoomLink("!x:a.org", ("b.org", "c.org", "a.org"))),
        ("matrix:roomid/x:a.org/e/event?via=b.org", RoomLink("!x:a.org", ("b.org", "a.org"))),
        ("https://matrix.to/#/#tea:example.org", RoomLink("#tea:example.org")),
        ("https://matrix.to/#/%23tea%3Aexample.org", RoomLink("#tea:example.org")),
        ("https://matrix.to/#/!x:a.org?via=b.org", RoomLink("!x:a.org", ("b.org", "a.org"))),
        ("https://matrix.to/#/!x%3Aa.org/%24event?via=b.org",
         RoomLink("!x:a.org", ("b.org", "a.org"))),
        (link_to("!x:a.org", "b.org"), RoomLink("!x:a.org", ("b.org", "a.org"))),
        (link_to("!hash/+=", "b.org:8448"), RoomLink("!hash/+=", ("b.org:8448",))),
        ("https://matrix.to/#/!x:a.org?via=not a server", RoomLink("!x:a.org", ("a.org",))),
        ("", None),
        ("tea", None),
        ("#tea", None),
        ("#:example.org", None),
        ("#tea:not a server", None),
        ("@bob:example.org", None),
        ("!", None),
        ("!" + "x" * 255, None),
        ("matrix:u/bob:example.org", None),
        ("matrix:r/", None),
        ("https://matrix.to/#/@bob:example.org", None),
        ("https://example.org/#/#tea:example.org", None),
        ("https://[", None),
    ],
)  # fmt: skip
def test_what_people_call_a_room(typed: str, link: RoomLink | None) -> None:
    assert parsed(typed) == link


@pytest.mark.parametrize(
    ("address", "alias"),
    [
        ("#tea%example.org", "#tea:example.org"),
        ("#50%%example.org", "#50%:example.org"),
        ("#tea%localhost:8008", "#tea:localhost:8008"),
        ("#tea:example.org", None),
        ("#a:b%example.org", None),
        ("#%example.org", None),
        ("#tea%", None),
        ("tea%example.org", None),
        ("#tea", None),
    ],
)
def test_the_address_of_an_alias(address: str, alias: str | None) -> None:
    assert room_at(address) == alias


@given(st.text())
def test_nothing_that_is_typed_raises(typed: str) -> None:
    for begin in "", "#", "!", "matrix:", "matrix:roomid/", "https://matrix.to/#/":
        link = parsed(begin + typed)
        assert link is None or is_alias(link.name) or link.name.startswith("!")
    room_at(f"#{typed}")


# --- invitations ------------------------------------------------------------------------------


def _stripped(sender: str = BOB, **more: Any) -> Any:
    event = invitation(sender, direct=False)
    return {**event, "content": {**event["content"], **more}}


def _asked(**fields: Any) -> RemoteRoomInvite:
    return RemoteRoomInvite(room=TEA, id=f"{TEA} {BOB}", inviter=BOB, **fields)  # type: ignore[arg-type]


def test_req_590_an_invitation_to_a_group_is_told_once() -> None:
    known = Book({})
    answer = invited(created(), NAME, member(BOB, "join", "Bob"), _stripped(reason="come"))
    first = outcome(answer, known)
    assert first.events == [_asked(inviter_name="Bob", name="Tea", reason="come")]
    known.apply(first.draft)
    assert outcome(answer, known).events == []
    assert outcome(answer, Book({**known_state(known)}), Mode.AGAIN).events == []
    by_carol = outcome(invited(NAME, _stripped(CAROL)), known)
    assert [type(event) for event in by_carol.events] == [RemoteRoomInvite]


def known_state(known: Book) -> dict[str, str]:
    """As it is stored."""
    return {f"invited:{room_id}": said for room_id, said in known.invitations().items()}


def test_an_invitation_without_a_name_has_none() -> None:
    assert outcome(invited(_stripped()), Book({})).events == [_asked()]
    alias = state("m.room.canonical_alias", "", {"alias": "#tea:example.org"})
    assert outcome(invited(alias, _stripped()), Book({})).events == [
        _asked(name="#tea:example.org")
    ]


def test_an_invitation_to_a_space_is_none() -> None:
    result = outcome(invited(created(type="m.space"), NAME, _stripped()), Book({}))
    assert (result.events, result.tally.ignored) == ([], 1)


def test_a_direct_invitation_is_that_of_a_person() -> None:
    result = outcome(invited(invitation()), Book({}))
    assert [type(event) for event in result.events] == [RemoteInvite]


def _waiting() -> Book:
    known = Book({"groups": "1", "avatars": "1", "pasts": "1", "faces": "1"})
    known.apply(outcome(invited(NAME, _stripped()), known).draft)
    return known


def test_an_invitation_that_is_withdrawn() -> None:
    left = {"rooms": {"leave": {ROOM: {"timeline": {"events": [member(ALICE, "leave")]}}}}}
    for answer, mode in ((left, Mode.NEXT), ({}, Mode.AGAIN)):
        known = _waiting()
        result = outcome(answer, known, mode)
        assert result.events == [RemoteRoomInviteGone(room=TEA)]
        known.apply(result.draft)
        assert outcome(answer, known, mode).events == []
        assert len(outcome(invited(NAME, _stripped()), known).events) == 1


def test_an_invitation_that_is_accepted_is_over_when_the_group_is_told() -> None:
    own = state("m.room.member", ALICE, {"membership": "join"}, "$own", ALICE)
    answer = joined(own, state=[created(), NAME])
    result = outcome(answer, _waiting(), lists={ROOM: [member(ALICE, "join")]})
    room, gone = result.events
    assert isinstance(room, RemoteRoom)
    assert room.is_new
    assert gone == RemoteRoomInviteGone(room=TEA)


def test_an_invitation_to_a_group_that_the_account_was_put_out_of() -> None:
    result = outcome(invited(NAME, _stripped()), group_book())
    assert result.events == [RemoteMemberGone(room=TEA, user=ALICE), _asked(name="Tea")]


def test_req_712_no_more_invitations_than_these_are_remembered() -> None:
    known, told = Book({}), 0
    for number in range(250):
        result = outcome(invited(_stripped(), room=f"!{number}"), known)
        told += len(result.events)
        known.apply(result.draft)
    assert (told, len(known.invitations())) == (200, 200)


# --- groups that move -------------------------------------------------------------------------


def _tombstone(new: object = "!new:example.org", **content: Any) -> Any:
    return state("m.room.tombstone", "", {"replacement_room": new, **content}, "$end")


_MOVED = RemoteRoomMoved(
    room=TEA,
    to=RemoteRoomId("!new:example.org"),
    address="https://matrix.to/#/%21new%3Aexample.org?via=example.org",
    reason="more room",
)


def test_req_548_a_group_that_moves_says_so_once() -> None:
    assert "m.room.tombstone" in json.loads(filter_for(Mode.NEXT))["room"]["timeline"]["types"]
    end = _tombstone(body="more room")
    for answer in (joined(text("a", "$1"), end), joined(text("a", "$1"), state=[end])):
        known = group_book()
        result = outcome(answer, known)
        assert _MOVED in result.events
        known.apply(result.draft)
        assert outcome(joined(text("b", "$2"), end), known).events[1:] == []


@pytest.mark.parametrize("new", [None, 5, "", "x" * 300, "a\nb"])
def test_a_group_that_goes_nowhere_has_not_moved(new: object) -> None:
    assert outcome(joined(_tombstone(new)), group_book()).events == []


def test_a_group_that_had_moved_before_the_account_came_is_left_as_it_is() -> None:
    answer = joined(text("a"), state=[created(), NAME, _tombstone()])
    result = outcome(answer, Book({}), Mode.FIRST, lists={ROOM: [member(ALICE, "join")]})
    assert [type(event) for event in result.events] == [RemoteRoom]


# --- what users want --------------------------------------------------------------------------


def test_a_group_that_the_gateway_makes_is_told_while_nobody_else_is_there() -> None:
    own = state("m.room.member", ALICE, {"membership": "join"}, "$own", ALICE)
    made = created(ALICE)
    made["content"][GROUP_MARKER] = {"instance": "here"}
    known = Book({"groups": "1", "avatars": "1", "pasts": "1", "faces": "1"})
    lists = {ROOM: [member(ALICE, "join")]}
    result = outcome(joined(made, own, NAME), known, lists=lists)
    assert [type(event) for event in result.events] == [RemoteRoom]
    # Homeservers make it in two steps.
    first = outcome(joined(made, own), known, lists=lists)
    assert first.events == []
    known.apply(first.draft)
    rest = joined(NAME)
    assert list(to_be_listed(rest, known, Mode.NEXT, ALICE, "here")) == [ROOM]
    room = outcome(rest, known, lists=lists).events[0]
    assert isinstance(room, RemoteRoom)
    assert (room.name, room.is_new) == ("Tea", True)


async def _do(
    action: RoomAction, answer: Answer, *, encrypts: bool = False
) -> tuple[RemoteRoomId | AdapterError | None, Request]:
    """What comes of it, and what the homeserver was asked."""
    async with misbehaving(**{"": lambda _: answer}) as server, aiohttp.ClientSession() as http:
        account = MemoryAccount(Linked(realm="", remote_id=ALICE, secret=b""), http)
        of = Coming(account, lambda: Api(http, server.url, "T"), encrypts=lambda: encrypts)
        try:
            done: Any = await done_by(of, COMING)[type(action)](action)
        except AdapterError as error:
            done = error
        return done, _only(server)


def _only(server: Homeserver) -> Request:
    return server.requests[0] if server.requests else Request("", "", {}, None)


@pytest.mark.parametrize(
    ("action", "path", "body"),
    [
        (JoinRoom(address="#tea:example.org"), "/join/#tea:example.org", {}),
        (JoinRoom(address="!x:example.org"), "/join/!x:example.org", {}),
        (FindRoom(address="#tea:example.org"), "/directory/room/#tea:example.org", None),
        (CreateRoom(name="Tea"), "/createRoom", {"name": "Tea", "preset": "private_chat",
         "invite": [], "creation_content": {GROUP_MARKER: {"instance": MINE}}}),
        (CreateRoom(name="Tea", topic="Green", is_private=False, invited=(BOB,)), "/createRoom",
         {"name": "Tea", "topic": "Green", "preset": "public_chat", "invite": [BOB],
          "creation_content": {GROUP_MARKER: {"instance": MINE}}}),
        (LeaveRoom(room=TEA), f"/rooms/{TEA}/leave", {}),
        (LeaveRoom(room=TEA, reason="bye"), f"/rooms/{TEA}/leave", {"reason": "bye"}),
        (InviteToRoom(room=TEA, user=BOB), f"/rooms/{TEA}/invite", {"user_id": BOB}),
        (InviteToRoom(room=TEA, user=BOB, reason="come"), f"/rooms/{TEA}/invite",
         {"user_id": BOB, "reason": "come"}),
    ],
)  # fmt: skip
async def test_what_the_homeserver_is_asked_for(action: RoomAction, path: str, body: Any) -> None:
    done, asked = await _do(action, (200, {"room_id": ROOM}))
    is_in = not isinstance(action, LeaveRoom | InviteToRoom)
    assert (done, asked.path, asked.body) == (TEA if is_in else None, path, body)


async def test_the_servers_of_a_link_are_asked_too() -> None:
    link = link_to("!x:a.org", "b.org")
    _, asked = await _do(JoinRoom(address=link), (200, {"room_id": "!x:a.org"}))
    assert asked.query in ({"via": "a.org", "server_name": "a.org"},
                           {"via": "b.org", "server_name": "b.org"})  # fmt: skip


async def test_a_private_group_is_encrypted_where_the_gateway_can() -> None:
    for action, encrypts in ((CreateRoom(name="x"), True),
                             (CreateRoom(name="x", is_private=False), False)):  # fmt: skip
        _, asked = await _do(action, (200, {"room_id": ROOM}), encrypts=True)
        assert ("initial_state" in asked.body) is encrypts


@pytest.mark.parametrize(
    ("action", "answer", "error", "said"),
    [
        (JoinRoom(address="tea"), (200, {}), NotFound, "no address of a Matrix room"),
        (JoinRoom(address="#tea:a.org"), (404, {"error": "No"}), NotFound, "no such group.*No"),
        (JoinRoom(address="!x:a.org"), (403, {"error": "No"}), Forbidden, "cannot come into.*No"),
        (JoinRoom(address="!x:a.org"), (200, {}), Transient, "did not say which room"),
        (FindRoom(address="#tea:a.org"), (404, {}), NotFound, "There is no such group"),
        (CreateRoom(name="x"), (200, {"room_id": 5}), Transient, "did not say which room"),
        (LeaveRoom(room=TEA), (403, {}), Forbidden, "refused"),
    ],
)  # fmt: skip
async def test_what_fails_says_why(
    action: RoomAction, answer: Answer, error: type[AdapterError], said: str
) -> None:
    done, _ = await _do(action, answer)
    assert isinstance(done, error)

    assert re.search(said, done.text)


def test_what_is_possible_is_done() -> None:
    assert MatrixAdapter.capabilities.room_actions >= set(COMING)
