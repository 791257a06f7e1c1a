# SPDX-License-Identifier: Apache-2.0
"""How a group is ended for everybody: which requests, in which order, and what is looked at first
(REQ-548)."""

from typing import Any

import pytest

from adapters.matrix.marks import DESTROYED
from gateway.errors import AdapterError, Forbidden, RateLimited, Unsupported
from gateway.events import DestroyRoom
from tests.unit.matrix.homeserver import Answer, Handler
from tests.unit.matrix.samples import ALICE, BOB, CAROL, ROOM, member
from tests.unit.matrix.test_ruling import ALICE_RULES, LEVELS, REFUSED, TEA, _asked, _do, _levels

ALIAS = "#tea:example.org"
_DIRECTORY = f"/directory/list/room/{ROOM}"
DAN = "@dan:example.org"
CROWD = tuple(member(f"@p{number}:a.org", "join") for number in range(101))


def _handlers(levels: Any = ALICE_RULES, *members: Any, **more: Handler) -> dict[str, Handler]:
    return {
        **{end.replace("__", "/"): handler for end, handler in more.items()},
        LEVELS: _levels(levels),
        "/members": lambda _: (200, {"chunk": list(members)}),
        "/aliases": lambda _: (200, {"aliases": [ALIAS, 5, "odd"]}),
        ROOM: lambda _: (200, {}),
        ALIAS: lambda _: (200, {}),
        "/m.room.join_rules/": lambda _: (200, {"event_id": "$x"}),
        BOB: lambda _: (200, {"event_id": "$x"}),
        CAROL: lambda _: (200, {"event_id": "$x"}),
        ALICE: lambda _: (200, {"event_id": "$x"}),
    }


def _puts_out(user: str, **content: Any) -> tuple[str, str, Any]:
    path = f"/rooms/{ROOM}/state/m.room.member/{user}"
    return ("PUT", path, {"membership": "leave", DESTROYED: True, **content})


async def test_req_548_everybody_is_put_out_and_nobody_comes_back() -> None:
    people = (
        member(ALICE, "join"),
        member(BOB, "join"),
        member(CAROL, "invite"),
        member(DAN, "ban"),
        {"state_key": 5},
    )
    server, error = await _do(
        DestroyRoom(room=TEA, reason="over"), _handlers(ALICE_RULES, *people)
    )
    assert error is None
    assert _asked(server)[2:] == [
        ("PUT", f"/rooms/{ROOM}/state/m.room.join_rules/", {"join_rule": "invite"}),
        ("PUT", _DIRECTORY, {"visibility": "private"}),
        ("GET", f"/rooms/{ROOM}/aliases", None),
        ("DELETE", f"/directory/room/{ALIAS}", None),
        _puts_out(BOB, reason="over"),
        _puts_out(CAROL, reason="over"),
        _puts_out(ALICE, reason="over"),
    ]


async def test_its_addresses_are_not_in_the_way() -> None:
    handlers = {ALIAS: lambda _: REFUSED, ROOM: lambda _: REFUSED, **_handlers()}
    handlers |= {ALIAS: lambda _: REFUSED, ROOM: lambda _: REFUSED}
    server, error = await _do(DestroyRoom(room=TEA), handlers)
    assert error is None
    assert _asked(server)[-1] == _puts_out(ALICE)


@pytest.mark.parametrize(
    ("levels", "members", "error"),
    [
        ({"users": {ALICE: 49}}, (), Forbidden),
        ({"users": {ALICE: 60}, "events": {"m.room.join_rules": 70}}, (), Forbidden),
        ({"users": {ALICE: 100, BOB: 100}}, (member(BOB, "join"),), Forbidden),
        (
            ALICE_RULES,
            tuple(member(f"@p{number}:a.org", "join") for number in range(101)),
            Unsupported,
        ),
    ],
)
async def test_what_cannot_be_ended_is_left_as_it_is(
    levels: Any, members: tuple[Any, ...], error: type[AdapterError]
) -> None:
    server, refused = await _do(DestroyRoom(room=TEA), _handlers(levels, *members))
    assert type(refused) is error
    assert not server.paths("PUT")


async def test_an_owner_who_was_banned_is_not_in_the_way() -> None:
    rules = {"users": {ALICE: 100, BOB: 100}}
    _, error = await _do(DestroyRoom(room=TEA), _handlers(rules, member(BOB, "ban")))
    assert error is None


async def test_the_account_stays_until_all_others_are_out() -> None:
    slow: Answer = (429, {"errcode": "M_LIMIT_EXCEEDED", "retry_after_ms": 1})
    handlers = _handlers(ALICE_RULES, member(BOB, "join"), member(CAROL, "join"))
    handlers[CAROL] = lambda _: slow
    server, error = await _do(DestroyRoom(room=TEA), handlers)
    assert isinstance(error, RateLimited)
    assert _asked(server)[-1] == _puts_out(CAROL)
