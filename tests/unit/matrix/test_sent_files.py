# SPDX-License-Identifier: Apache-2.0
"""Files of users in chats and groups → what the homeserver is asked."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from msgspec import structs

from gateway.adapter import Session
from gateway.errors import NotFound, Unsupported
from gateway.events import FileKind, SendRoomText, SendText, SentFile
from gateway.ids import RemoteMessageId, RemoteRoomId
from tests.unit.matrix.homeserver import Answer, Handler, Homeserver, Request
from tests.unit.matrix.memory import MemoryAccount
from tests.unit.matrix.samples import BOB, ROOM
from tests.unit.matrix.test_group_session import linked
from tests.unit.matrix.test_session import sending

FIRST = RemoteMessageId("$first")
URL = "mxc://example.org/a"
FILE = SentFile(url="https://files.example/a.png", name="a.png", kind=FileKind.IMAGE)
IN_CHAT: Any = SendText(contact=BOB, body="Look", file=FILE)
IN_GROUP: Any = SendRoomText(room=RemoteRoomId(ROOM), body="Look", file=FILE)
BOTH = pytest.mark.parametrize("command", [IN_CHAT, IN_GROUP])
THERE = {"msgtype": "m.image", "body": "a.png", "url": URL, "info": {"size": 3}}


class _House:
    """A homeserver; ``encrypted`` is what it says of the room, one time after the other."""

    def __init__(self, *encrypted: bool) -> None:
        self._encrypted = list(encrypted)
        self.said: dict[str, Any] = THERE
        self.kind = "m.room.message"

    def handlers(self) -> dict[str, Handler]:
        made: Answer = (200, {"event_id": "$made"})
        return {
            "m.room.encryption": self._encryption,
            "/upload": lambda _: (200, {"content_uri": URL}),
            "/media/config": lambda _: (200, {}),
            f"/event/{FIRST}": lambda _: (200, {"type": self.kind, "content": self.said}),
            "/k": lambda _: made,
        }

    def _encryption(self, _: Request) -> Answer:
        if self._encrypted and self._encrypted.pop(0):
            return 200, {"algorithm": "m.megolm.v1.aes-sha2"}
        return 404, {"errcode": "M_NOT_FOUND"}


@asynccontextmanager
async def _session(
    command: Any, house: _House
) -> AsyncIterator[tuple[Homeserver, MemoryAccount, Session]]:
    """Of an account without encryption."""
    if isinstance(command, SendText):
        async with sending(house.handlers()) as (server, account, session):
            yield server, account, session
    else:
        async with linked(house.handlers(), encrypted=False) as (server, adapter, account):
            yield server, account, adapter.session(account)


def _puts(server: Homeserver) -> list[Any]:
    return [asked.body for asked in server.requests if asked.method == "PUT"]


def _without_file(command: Any, **about: Any) -> Any:
    fields = {"body": command.body, **about}
    if isinstance(command, SendText):
        return SendText(contact=BOB, **fields)
    return SendRoomText(room=RemoteRoomId(ROOM), **fields)


@BOTH
async def test_req_448_a_file_is_shown_with_what_is_said_of_it(command: Any) -> None:
    async with _session(command, _House()) as (server, account, session):
        account.files = {FILE.url: b"png"}
        sent = await session.send(command, "k")
        assert sent.remote_id == "$made"
        assert _puts(server) == [
            {
                "msgtype": "m.image",
                "body": "Look",
                "filename": "a.png",
                "info": {"size": 3},
                "url": URL,
                "org.dragoman.key": "k",
            }
        ]


@BOTH
async def test_req_449_of_a_file_that_is_gone_nothing_is_said_but_that(command: Any) -> None:
    async with _session(command, _House()) as (server, _, session):
        with pytest.raises(NotFound, match=r"^There is no such file\.$"):
            await session.send(command, "k")
        assert _puts(server) == []


@pytest.mark.parametrize(
    ("command", "encrypted"),
    [
        (IN_GROUP, [True]),
        (IN_GROUP, [False, True]),
        (IN_CHAT, [True]),
        (IN_CHAT, [False, True]),
        (IN_CHAT, [False, False, True]),
    ],
)
async def test_nothing_is_shown_in_clear_in_a_room_that_is_encrypted_meanwhile(
    command: Any, encrypted: list[bool]
) -> None:
    """Whenever it says so, before the message is sent."""
    async with _session(command, _House(*encrypted)) as (server, account, session):
        account.files = {FILE.url: b"png"}
        with pytest.raises(Unsupported, match="end-to-end encrypted"):
            await session.send(command, "k")
        assert _puts(server) == []


@BOTH
async def test_req_425_an_edit_of_a_caption_has_the_file(command: Any) -> None:
    edit = _without_file(command, edits=FIRST)
    async with _session(command, house := _House()) as (server, _, session):
        await session.send(edit, "k")
        house.said = {"msgtype": "m.text", "body": "no file"}
        await session.send(edit, "k")
        first, second = (put["m.new_content"] for put in _puts(server))
    assert first == {**THERE, "body": "Look", "filename": "a.png"}
    assert second == {"msgtype": "m.text", "body": "Look"}


@BOTH
async def test_req_450_a_sticker_goes_as_one_and_is_not_changed(command: Any) -> None:
    sticker = structs.replace(FILE, kind=FileKind.STICKER, description="😘")
    said = structs.replace(command, body="", file=sticker)
    house = _House()
    async with _session(command, house) as (server, account, session):
        account.files = {FILE.url: b"png"}
        await session.send(said, "k")
        (asked,) = [asked for asked in server.requests if asked.method == "PUT"]
        assert "/send/m.sticker/k" in asked.path
        content = {"body": "😘", "info": {"size": 3}, "url": URL, "org.dragoman.key": "k"}
        assert asked.body == content
        house.kind = "m.sticker"
        with pytest.raises(Unsupported, match=r"^A sticker cannot be changed\.$"):
            await session.send(_without_file(command, edits=FIRST), "k2")
