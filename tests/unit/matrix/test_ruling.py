# SPDX-License-Identifier: Apache-2.0
"""What moderators do, as requests: which ones, in which order, and what a refusal is called."""

import re
from typing import Any

import aiohttp
import pytest

from adapters.matrix.destroying import Destroying
from adapters.matrix.http import Api
from adapters.matrix.ledger import Ledger
from adapters.matrix.managing import ENDING, RULING, done_by
from adapters.matrix.media import Media
from adapters.matrix.rooms import Group, Levels
from adapters.matrix.ruling import Ruling
from gateway.adapter import Linked
from gateway.errors import AdapterError, Forbidden, NotFound, RateLimited, Unsupported
from gateway.events import (
    Affiliation,
    DescribeRoom,
    DestroyRoom,
    LiftBan,
    ModerateMessage,
    RemoveFromRoom,
    RoomAction,
    SetAffiliation,
    SetRoomAvatar,
    SetVoice,
)
from gateway.ids import RemoteMessageId, RemoteRoomId
from tests.unit.matrix.homeserver import Answer, Handler, Homeserver, Request, misbehaving
from tests.unit.matrix.memory import MemoryAccount
from tests.unit.matrix.samples import ALICE, BOB, CAROL, ROOM, group_book

TEA = RemoteRoomId(ROOM)
LEVELS = "/state/m.room.power_levels/"
REFUSED: Answer = (403, {"errcode": "M_FORBIDDEN", "error": "No."})
ALICE_RULES = {"users": {ALICE: 100}}


def _levels(content: Any) -> Handler:
    def answer(request: Request) -> Answer:
        return (200, content) if request.method == "GET" else (200, {"event_id": "$x"})

    return answer


def _ruling(http: aiohttp.ClientSession, server: Homeserver, ledger: Ledger) -> Ruling:
    api = Api(http, server.url, "T")
    return Ruling(api, ledger, ALICE, Media(api))


async def _do(
    action: RoomAction, handlers: dict[str, Handler], **group: Any
) -> tuple[Homeserver, AdapterError | None]:
    """What was asked of a homeserver, and how it ended."""
    async with misbehaving(**handlers) as server, aiohttp.ClientSession() as http:
        linked = Linked(realm=server.url, remote_id=ALICE, secret=b"")
        ledger = Ledger(MemoryAccount(linked, http))
        ledger.book = group_book(**group)
        api = Api(http, server.url, "T")
        of = Ruling(api, ledger, ALICE, Media(api))
        does = done_by(of, RULING) | done_by(Destroying(api, of, ALICE), ENDING)
        try:
            assert await does[type(action)](action) is None
        except AdapterError as error:
            return server, error
        return server, None


def _asked(server: Homeserver) -> list[tuple[str, str, Any]]:
    return [(asked.method, asked.path, asked.body) for asked in server.requests]


@pytest.mark.parametrize(
    ("action", "path", "body"),
    [
        (RemoveFromRoom(room=TEA, user=BOB), "kick", {"user_id": BOB}),
        (
            RemoveFromRoom(room=TEA, user=BOB, reason="enough"),
            "kick",
            {"user_id": BOB, "reason": "enough"},
        ),
        (RemoveFromRoom(room=TEA, user=BOB, is_ban=True), "ban", {"user_id": BOB}),
        (LiftBan(room=TEA, user=BOB), "unban", {"user_id": BOB}),
    ],
)
async def test_people(action: RoomAction, path: str, body: Any) -> None:
    handlers: dict[str, Handler] = {f"/{path}": lambda _: (200, {})}
    server, error = await _do(action, handlers)
    assert error is None
    assert _asked(server) == [("POST", f"/rooms/{ROOM}/{path}", body)]


async def test_an_affiliation_is_a_level() -> None:
    action = SetAffiliation(room=TEA, user=BOB, affiliation=Affiliation.ADMIN)
    server, error = await _do(action, {LEVELS: _levels(ALICE_RULES)})
    assert error is None
    path = f"/rooms/{ROOM}{LEVELS}"
    assert _asked(server) == [
        ("GET", path, None),
        ("PUT", path, {"users": {ALICE: 100, BOB: 50}}),
    ]


async def test_a_voice_is_a_level() -> None:
    action = SetVoice(room=TEA, user=BOB, may_speak=False)
    server, error = await _do(action, {LEVELS: _levels(ALICE_RULES)})
    assert error is None
    assert server.requests[-1].body == {"users": {ALICE: 100, BOB: -1}}


async def test_what_is_so_already_is_not_asked_for() -> None:
    action = SetVoice(room=TEA, user=BOB, may_speak=True)
    server, error = await _do(action, {LEVELS: _levels(ALICE_RULES)})
    assert error is None
    assert server.paths("PUT") == []


async def test_levels_that_were_never_set_are_written_down() -> None:
    def answer(request: Request) -> Answer:
        if request.method == "GET":
            return 404, {"errcode": "M_NOT_FOUND", "error": "Event not found."}
        return 200, {"event_id": "$x"}

    action = SetAffiliation(room=TEA, user=BOB, affiliation=Affiliation.ADMIN)
    server, error = await _do(action, {LEVELS: answer}, founder=ALICE)
    assert error is None
    assert server.requests[-1].body == {"users": {ALICE: 100, BOB: 50}, "state_default": 0}


async def test_levels_that_are_known_to_be_there_are_not_written_anew() -> None:
    known = Levels(users={ALICE: 100, BOB: 50})
    action = SetAffiliation(room=TEA, user=CAROL, affiliation=Affiliation.ADMIN)
    server, error = await _do(action, {}, founder=ALICE, levels=known)
    assert isinstance(error, NotFound)
    assert server.paths("PUT") == []


@pytest.mark.parametrize(
    ("fields", "puts"),
    [
        ({"name": "Tea"}, [("m.room.name", {"name": "Tea"})]),
        ({"topic": ""}, [("m.room.topic", {"topic": ""})]),
        ({"is_private": True}, [("m.room.join_rules", {"join_rule": "invite"})]),
        (
            {"name": "Tea", "topic": "Green", "is_private": False},
            [
                ("m.room.name", {"name": "Tea"}),
                ("m.room.topic", {"topic": "Green"}),
                ("m.room.join_rules", {"join_rule": "public"}),
            ],
        ),
        ({}, []),
    ],
)
async def test_what_a_group_is(fields: Any, puts: list[tuple[str, Any]]) -> None:
    handlers: dict[str, Handler] = {
        LEVELS: _levels(ALICE_RULES),
        "/": lambda _: (200, {"event_id": "$x"}),
    }
    server, error = await _do(DescribeRoom(room=TEA, **fields), handlers)
    assert error is None
    asked = [(asked.path, asked.body) for asked in server.requests if asked.method == "PUT"]
    assert asked == [(f"/rooms/{ROOM}/state/{kind}/", body) for kind, body in puts]


async def test_req_544_of_what_is_not_all_permitted_nothing_is_done() -> None:
    levels = {"users": {ALICE: 50}, "events": {"m.room.join_rules": 100}}
    action = DescribeRoom(room=TEA, name="Tea", is_private=False)
    server, error = await _do(action, {LEVELS: _levels(levels)})
    assert isinstance(error, Forbidden)
    assert "who may come in" in error.text
    assert server.paths("PUT") == []


@pytest.mark.parametrize(("level", "is_done"), [(100, True), (49, False)])
async def test_req_593_a_picture_is_uploaded_and_given_to_the_group(
    level: int, is_done: bool
) -> None:
    handlers: dict[str, Handler] = {
        LEVELS: _levels({"users": {ALICE: level}}),
        "/upload": lambda _: (200, {"content_uri": "mxc://example.org/abc"}),
        "/": lambda _: (200, {"event_id": "$x"}),
    }
    action = SetRoomAvatar(room=TEA, data=b"png", media_type="image/png")
    server, error = await _do(action, handlers)
    assert (error is None) is is_done
    uploads = [asked for asked in server.requests if asked.path.endswith("/upload")]
    puts = [(asked.path, asked.body) for asked in server.requests if asked.method == "PUT"]
    path = f"/rooms/{ROOM}/state/m.room.avatar/"
    assert len(uploads) == is_done
    assert puts == [(path, {"url": "mxc://example.org/abc"})] * is_done
    if is_done:
        server, error = await _do(SetRoomAvatar(room=TEA), handlers)
        assert error is None
        puts = [(asked.path, asked.body) for asked in server.requests if asked.method == "PUT"]
        assert puts == [(path, {})]


async def test_a_message_is_taken_back() -> None:
    action = ModerateMessage(room=TEA, message=RemoteMessageId("$1"), reason="spam")
    keys = set()
    for _ in range(2):
        handlers: dict[str, Handler] = {"": lambda _: (200, {"event_id": "$x"})}
        server, error = await _do(action, handlers)
        assert error is None
        ((method, path, body),) = _asked(server)
        found = re.fullmatch(rf"/rooms/{re.escape(ROOM)}/redact/\$1/([\w-]+)", path)
        assert found is not None
        keys.add(found[1])
        assert (method, body) == ("PUT", {"reason": "spam"})
    assert len(keys) == 2, "another action is none of the first one's repeats"


@pytest.mark.parametrize("encrypted", [True, None])
async def test_the_reason_is_not_sent_in_clear_to_an_encrypted_group(
    encrypted: bool | None,
) -> None:
    action = ModerateMessage(room=TEA, message=RemoteMessageId("$1"), reason="the secret")
    handlers: dict[str, Handler] = {"": lambda _: (200, {"event_id": "$x"})}
    server, error = await _do(action, handlers, encrypted=encrypted)
    assert (error, [body for _, _, body in _asked(server)]) == (None, [{}])


@pytest.mark.parametrize(
    ("action", "said"),
    [
        (RemoveFromRoom(room=TEA, user=BOB), "You may not remove them"),
        (LiftBan(room=TEA, user=BOB), "You may not lift their ban"),
        (
            SetAffiliation(room=TEA, user=BOB, affiliation=Affiliation.ADMIN),
            "You may not change their rights",
        ),
        (SetVoice(room=TEA, user=BOB, may_speak=False), "You may not decide whether they speak"),
        (DescribeRoom(room=TEA, name="x"), "You may not change this group"),
        (SetRoomAvatar(room=TEA), "You may not change the picture of this group"),
        (
            ModerateMessage(room=TEA, message=RemoteMessageId("$1")),
            "You may not take back this message",
        ),
    ],
)
async def test_what_is_forbidden_is_said_in_words(action: RoomAction, said: str) -> None:
    handlers: dict[str, Handler] = {"": lambda _: REFUSED}
    _, error = await _do(action, handlers)
    assert isinstance(error, Forbidden)
    assert error.text.startswith(said)
    assert "No." in error.text


async def test_every_action_is_tried_here() -> None:
    assert {*RULING, *ENDING} == {
        DestroyRoom,
        RemoveFromRoom, LiftBan, SetAffiliation, SetVoice, DescribeRoom, SetRoomAvatar,
        ModerateMessage,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        ((429, {"errcode": "M_LIMIT_EXCEEDED", "retry_after_ms": 3000}), RateLimited),
        ((404, {"errcode": "M_NOT_FOUND", "error": "No such user."}), NotFound),
        ((400, {"errcode": "M_BAD_STATE", "error": "Odd."}), Unsupported),
    ],
)
async def test_other_errors_stay_what_they_are(answer: Answer, kind: type[AdapterError]) -> None:
    action = RemoveFromRoom(room=TEA, user=BOB)
    _, error = await _do(action, {"/kick": lambda _: answer})
    assert isinstance(error, kind)


async def test_a_group_that_is_gone() -> None:
    action = DescribeRoom(room=RemoteRoomId("!other"), name="x")
    server, error = await _do(action, {})
    assert isinstance(error, NotFound)
    assert server.requests == []


async def test_who_is_banned() -> None:
    listed = [
        {"type": "m.room.member", "state_key": BOB, "content": {"membership": "ban"}},
        {"type": "m.room.member", "state_key": "odd", "content": {"membership": "ban"}},
        "odd",
        {"type": "m.room.member", "state_key": CAROL, "content": {"membership": "ban"}},
    ]
    handlers: dict[str, Handler] = {"/members": lambda _: (200, {"chunk": listed})}
    async with misbehaving(**handlers) as server, aiohttp.ClientSession() as http:
        linked = Linked(realm=server.url, remote_id=ALICE, secret=b"")
        ledger = Ledger(MemoryAccount(linked, http))
        found = await _ruling(http, server, ledger).banned(TEA)
    assert list(found) == [BOB, CAROL]
    assert server.requests[0].query == {"membership": "ban"}


def test_a_group_kept_by_an_earlier_version_is_like_most() -> None:
    """Its levels were stored without those needed to rule."""
    import msgspec

    stored = '{"levels": {"users": {"@alice:example.org": 100}}}'
    levels = msgspec.json.decode(stored, type=Group).levels
    assert levels is not None
    assert (levels.kick, levels.power_levels, levels.invite) == (50, 50, 0)
