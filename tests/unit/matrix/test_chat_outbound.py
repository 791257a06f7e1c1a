# SPDX-License-Identifier: Apache-2.0
"""What the user does with messages of chats → what the homeserver is asked. What is made of a set
of reactions, and what refuses them, is tested with groups (`test_group_outbound`)."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest

from adapters.matrix.contents import content_of
from adapters.matrix.rooms import Room, RoomId
from adapters.matrix.session import MatrixSession
from gateway.adapter import Session
from gateway.errors import AdapterError, Forbidden, NotFound, Transient, Unsupported
from gateway.events import Command, MarkRead, React, RemoteReaction, Retract, SendText
from gateway.ids import RemoteMessageId
from tests.unit.matrix.homeserver import Answer, Handler, Homeserver, Request
from tests.unit.matrix.memory import MemoryAccount
from tests.unit.matrix.samples import ALICE, BOB, ROOM
from tests.unit.matrix.test_session import sending

FIRST = RemoteMessageId("$first")
KEY = "org.dragoman.key"
NEWER = RoomId("!newer:example.org")
REPLY = {"m.in_reply_to": {"event_id": FIRST}}


def _text(body: str = "new", **about: Any) -> SendText:
    return SendText(contact=BOB, body=body, **about)


def _react(*emoji: str) -> React:
    return React(contact=BOB, message=FIRST, emoji=emoji)


RETRACT = Retract(contact=BOB, message=FIRST)
ABOUT_FIRST: list[Command] = [_text(edits=FIRST), _react("🎉"), RETRACT]


class House:
    """A homeserver that keeps transactions, and of which rooms have which events."""

    def __init__(self, **events: str) -> None:
        self.made: dict[str, str] = {}
        self.events = events
        self.faults: list[Answer | None] = []
        self.edits: Any = []
        """Of the message."""

    def __call__(self, asked: Request) -> Answer:
        fault = self.faults.pop(0) if self.faults else None
        made = self.made.setdefault(asked.path, f"$made{len(self.made)}")
        return fault or (200, {"event_id": made})

    def event(self, asked: Request) -> Answer:
        has = any(asked.path == f"/rooms/{room}/event/{FIRST}" for room in self.events.values())
        return (200, {}) if has else (404, {"errcode": "M_NOT_FOUND"})


@asynccontextmanager
async def chat(
    house: House, newer: Mapping[str, Any] | None = None, **room: Any
) -> AsyncIterator[tuple[Homeserver, MemoryAccount, Session]]:
    """A chat with one room or, with another one that was used later, with two."""
    handlers: dict[str, Handler] = {
        "m.room.encryption": lambda _: (404, {"errcode": "M_NOT_FOUND"}),
        FIRST: house.event,
        "m.replace": lambda _: (200, {"chunk": house.edits}),
        "leave": lambda _: (200, {}),
        **dict.fromkeys("0123456789abcdefk", house),
    }
    async with sending(handlers, **room) as (server, account, session):
        if newer is not None:
            assert isinstance(session, MatrixSession)
            async with session._ledger.writing() as book:
                draft = book.draft()
                fields = {"mine": "join", "theirs": "join", "encrypted": False, "used": 10**9}
                draft.put(NEWER, Room(**{"contact": BOB, **fields, **newer}))
                await session._ledger.commit(draft)
        yield server, account, session


def note(account: MemoryAccount, emoji: str, event_id: str) -> None:
    """The account has reacted with this."""
    made = RemoteMessageId(event_id)
    account.made_reactions[made] = RemoteReaction(
        contact=BOB, id=made, message=FIRST, emoji=emoji, sent_at=0, own=True
    )


def _puts(server: Homeserver) -> list[tuple[str, Any]]:
    """Where something was sent, and what it is about."""
    return [
        (asked.path.rpartition("/")[0], asked.body.get("m.relates_to"))
        for asked in server.requests
        if asked.method == "PUT"
    ]


def _places(server: Homeserver) -> set[str]:
    return {path.split("/")[2] for path, _ in _puts(server)}


# --- texts --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "content"),
    [
        (_text(), {"msgtype": "m.text", "body": "new"}),
        (_text("/me waves"), {"msgtype": "m.emote", "body": "waves"}),
        (_text(reply_to=FIRST), {"msgtype": "m.text", "body": "new", "m.relates_to": REPLY}),
        (_text(edits=FIRST),
         {"msgtype": "m.text", "body": "* new",
          "m.new_content": {"msgtype": "m.text", "body": "new"},
          "m.relates_to": {"rel_type": "m.replace", "event_id": FIRST}}),
        (_text("/me waves", edits=FIRST, reply_to=RemoteMessageId("$other")),
         {"msgtype": "m.emote", "body": "* waves",
          "m.new_content": {"msgtype": "m.emote", "body": "waves"},
          "m.relates_to": {"rel_type": "m.replace", "event_id": FIRST}}),
    ],
)  # fmt: skip
def test_edits_and_replies(command: SendText, content: Any) -> None:
    """REQ-424, REQ-435."""
    assert content_of(command, "k") == {**content, KEY: "k"}


@pytest.mark.parametrize("command", [_text(edits=FIRST), _text(reply_to=FIRST)])
async def test_what_comes_again_is_the_same(command: SendText) -> None:
    house = House()
    async with chat(house) as (server, _, session):
        house.faults = [(502, {})]
        with pytest.raises(Transient):
            await session.send(command, "k")
        sent = await session.send(command, "k")
        assert sent.remote_id == "$made0"
        assert await session.send(command, "k") == sent
        assert len({asked.path for asked in server.requests if asked.method == "PUT"}) == 1


# --- where --------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", [*ABOUT_FIRST, _text(reply_to=FIRST), _text(continues=FIRST)])
async def test_what_is_done_with_a_message_is_done_where_it_is(command: Command) -> None:
    """And not in the room that was used last; also when only the homeserver knows where."""
    async with chat(House(room=ROOM), newer={}) as (server, _, session):
        await session.send(command, "k")
        assert _places(server) == {ROOM}
        asked = len(server.paths("GET"))
        await session.send(command, "k")
        asked_again = [path for path in server.paths("GET")[asked:] if "/event/" in path]
        is_edit = isinstance(command, SendText) and command.edits is not None
        assert len(asked_again) == is_edit  # whether it has a file


@pytest.mark.parametrize("command", ABOUT_FIRST)
@pytest.mark.parametrize("newer", [{}, {"mine": "leave"}])
async def test_what_is_nowhere_is_said_to_be_gone(command: Command, newer: Any) -> None:
    async with chat(House(), newer=newer) as (server, _, session):
        with pytest.raises(NotFound, match=r"message is not there any more\. It is in no room"):
            await session.send(command, "k")
        assert _puts(server) == []


async def test_an_answer_to_what_is_nowhere_is_sent_all_the_same() -> None:
    async with chat(House(), newer={}) as (server, _, session):
        await session.send(_text(reply_to=FIRST), "k")
        assert _puts(server) == [(f"/rooms/{NEWER}/send/m.room.message", None)]


async def test_an_answer_goes_where_the_contact_is() -> None:
    """They have left the room of what is answered: in another one nobody could see that."""
    async with chat(House(room=ROOM), newer={}, theirs="leave") as (server, _, session):
        await session.send(_text(reply_to=FIRST), "k")
        assert _puts(server) == [(f"/rooms/{NEWER}/send/m.room.message", None)]


async def test_a_message_in_a_room_that_was_left_cannot_be_edited() -> None:
    async with chat(House(room=ROOM), newer={}, mine="leave") as (server, _, session):
        with pytest.raises(Forbidden, match=r"may not edit this message\. You are no longer in"):
            await session.send(_text(edits=FIRST), "k")
        assert _puts(server) == []


async def test_a_read_mark_goes_where_the_message_is() -> None:
    async with chat(House(room=ROOM), newer={}) as (server, _, session):
        with pytest.raises(AdapterError):  # this homeserver takes none
            await session.send(MarkRead(contact=BOB, up_to=FIRST), "k")
        assert server.paths("POST") == [f"/rooms/{ROOM}/read_markers"]


# --- refusals -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "answer", "kind", "words"),
    [
        (_text(edits=FIRST), (403, {}), Forbidden, "may not edit"),
        (_text(edits=FIRST), (404, {}), NotFound, "message is not there"),
        (_text(edits=FIRST), (429, {}), AdapterError, "wait"),
        (_text(edits=FIRST), (200, {}), Transient, "confirm"),
        (_react("🎉"), (403, {}), Forbidden, "may not react"),
        (_react("🎉"), (404, {}), NotFound, "message is not there"),
        (_react("🎉"), (400, {"errcode": "M_UNKNOWN"}), Unsupported, "refused"),
        (RETRACT, (403, {}), Forbidden, "may not take"),
        (RETRACT, (404, {}), NotFound, "message is not there"),
        (RETRACT, (502, {}), Transient, "problem"),
    ],
)  # fmt: skip
async def test_refusals_are_sentences(
    command: Command, answer: Answer, kind: type[AdapterError], words: str
) -> None:
    house = House()
    async with chat(house) as (_, _, session):
        house.faults = [answer]
        with pytest.raises(kind, match=words):
            await session.send(command, "k")


@pytest.mark.parametrize("command", ABOUT_FIRST)
async def test_an_edit_that_is_refused_goes_nowhere_else(command: Command) -> None:
    """In contrast to a text, which finds another room."""
    house = House(room=ROOM)
    async with chat(house, newer={}) as (server, _, session):
        house.faults = [(403, {"errcode": "M_FORBIDDEN"})]
        with pytest.raises(Forbidden):
            await session.send(command, "k")
        assert _places(server) == {ROOM}


# --- reactions and retractions ------------------------------------------------------------------


async def test_the_missing_reactions_are_made_and_the_others_taken_back() -> None:
    """REQ-432."""
    house = House()
    async with chat(house) as (server, account, session):
        for emoji, event_id in (("👍", "$old"), ("❤", "$stays")):
            note(account, emoji, event_id)
        house.faults = [None, (502, {})]
        with pytest.raises(Transient):
            await session.send(_react("❤", "🎉"), "k")
        sent = await session.send(_react("❤", "🎉"), "k")
        assert sent.reactions == {"❤": "$stays", "🎉": "$made0"}
        relation = {"rel_type": "m.annotation", "event_id": FIRST, "key": "🎉"}
        assert _puts(server) == [
            (f"/rooms/{ROOM}/send/m.reaction", relation),
            (f"/rooms/{ROOM}/redact/$old", None),
        ] * 2  # fmt: skip
        paths = server.paths("PUT")
        assert paths[:2] == paths[2:]


async def test_in_an_encrypted_chat_an_emoji_goes_in_clear_and_words_do_not() -> None:
    async with chat(House(), encrypted=True) as (server, _, session):
        await session.send(_react("🎉"), "k")
        with pytest.raises(Unsupported, match="nothing but emoji"):
            await session.send(_react("🎉", "at noon"), "k2")
        assert len(_puts(server)) == 1


async def test_an_edit_is_not_sent_in_clear_to_a_chat_that_is_encrypted_by_now() -> None:
    async with chat(House(), encrypted=True) as (server, _, session):
        with pytest.raises(Unsupported, match="encrypted"):
            await session.send(_text(edits=FIRST), "k")
        assert _puts(server) == []


async def test_a_retraction_that_comes_again_is_the_same() -> None:
    """REQ-427."""
    async with chat(House()) as (server, _, session):
        await session.send(RETRACT, "k")
        await session.send(RETRACT, "k")
        assert server.paths("PUT") == [f"/rooms/{ROOM}/redact/{FIRST}/k"] * 2


def _edit(event_id: Any, sender: str = ALICE) -> dict[str, Any]:
    return {"event_id": event_id, "sender": sender}


async def test_edits_go_with_what_is_taken_back() -> None:
    """Their words would stay. They go last: what they say must not be told to be taken back."""
    house = House()
    house.edits = [_edit("$e1"), _edit("$e2", BOB), 5, _edit(["$e3"]), {}]
    async with chat(house) as (server, _, session):
        house.faults = [None, (502, {})]
        with pytest.raises(Transient):
            await session.send(RETRACT, "k")
        await session.send(RETRACT, "k")
        paths = server.paths("PUT")
        assert paths[:2] == paths[2:]
        assert [path.split("/")[4] for path in paths[:2]] == [FIRST, "$e1"]


@pytest.mark.parametrize("edits", ["odd", None, {}])
async def test_a_homeserver_that_tells_no_edits_is_one_without_them(edits: Any) -> None:
    house = House()
    house.edits = edits
    async with chat(house) as (server, _, session):
        await session.send(RETRACT, "k")
        assert server.paths("PUT") == [f"/rooms/{ROOM}/redact/{FIRST}/k"]
