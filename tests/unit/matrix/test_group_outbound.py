# SPDX-License-Identifier: Apache-2.0
"""What the user says and does in groups → what the homeserver is asked."""

from typing import Any

import pytest

from adapters.matrix.contents import content_of
from adapters.matrix.http import _encoded
from adapters.matrix.outbound import MAX_TEXT_BYTES
from adapters.matrix.session import MatrixSession
from gateway.errors import Forbidden, NotFound, RateLimited, Transient, Unsupported
from gateway.events import (
    MarkRoomRead,
    ReactInRoom,
    RemoteRoomReaction,
    RetractInRoom,
    RoomCommand,
    SendRoomText,
)
from gateway.ids import RemoteMessageId, RemoteRoomId
from tests.unit.matrix.homeserver import Answer, Handler, Homeserver, Request
from tests.unit.matrix.memory import MemoryAccount
from tests.unit.matrix.samples import ALICE, BOB, ROOM
from tests.unit.matrix.test_group_session import linked

TEA = RemoteRoomId(ROOM)
FIRST = RemoteMessageId("$first")
KEY = "org.dragoman.key"


def _text(body: str = "new", **about: Any) -> SendRoomText:
    return SendRoomText(room=TEA, body=body, **about)


def _react(*emoji: str) -> ReactInRoom:
    return ReactInRoom(room=TEA, message=FIRST, emoji=emoji)


# --- texts --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "content"),
    [
        (_text(), {"msgtype": "m.text", "body": "new"}),
        (_text(reply_to=FIRST),
         {"msgtype": "m.text", "body": "new",
          "m.relates_to": {"m.in_reply_to": {"event_id": FIRST}}}),
        (_text(thread=FIRST),
         {"msgtype": "m.text", "body": "new",
          "m.relates_to": {"rel_type": "m.thread", "event_id": FIRST, "is_falling_back": True,
                           "m.in_reply_to": {"event_id": FIRST}}}),
        (_text(thread=FIRST, thread_after=RemoteMessageId("$last")),
         {"msgtype": "m.text", "body": "new",
          "m.relates_to": {"rel_type": "m.thread", "event_id": FIRST, "is_falling_back": True,
                           "m.in_reply_to": {"event_id": "$last"}}}),
        (_text(thread=FIRST, thread_after=RemoteMessageId("$last"),
               reply_to=RemoteMessageId("$other")),
         {"msgtype": "m.text", "body": "new",
          "m.relates_to": {"rel_type": "m.thread", "event_id": FIRST, "is_falling_back": False,
                           "m.in_reply_to": {"event_id": "$other"}}}),
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
def test_edits_and_replies(command: SendRoomText, content: Any) -> None:
    assert content_of(command, "k") == {**content, KEY: "k"}


def test_an_edit_may_be_as_long_as_a_text() -> None:
    """An event has at most 65,536 bytes, with some thousand that servers add."""
    for char in '"', "x", "🙂":
        body = char * (MAX_TEXT_BYTES // len(char.encode()))
        content = content_of(_text(body, edits=FIRST), "k")
        assert content["m.new_content"]["body"] == body
        assert len(_encoded(content)) < 61_000


# --- reactions ----------------------------------------------------------------------------------


class _Reactions:
    """A homeserver that keeps transactions, as real ones do."""

    def __init__(self) -> None:
        self.made: dict[str, str] = {}
        self.faults: list[Answer | None] = []
        """Answers to the next requests instead of the right ones."""

    def __call__(self, asked: Request) -> Answer:
        fault = self.faults.pop(0) if self.faults else None
        made = self.made.setdefault(asked.path, f"$made{len(self.made)}")
        return fault or (200, {"event_id": made})


def _does(reactions: Handler, **more: Handler) -> dict[str, Handler]:
    """Transaction ids end in hexadecimal digits."""
    edits: Handler = lambda _: (200, {"chunk": []})  # noqa: E731
    return {**more, "m.replace": edits, **dict.fromkeys("0123456789abcdef", reactions)}


def _note(account: MemoryAccount, emoji: str, event_id: str) -> None:
    made = RemoteMessageId(event_id)
    account.made_reactions[made] = RemoteRoomReaction(
        room=TEA, sender=ALICE, id=made, message=FIRST, emoji=emoji, sent_at=0
    )


def _puts(server: Homeserver) -> list[tuple[str, Any]]:
    made = []
    for asked in server.requests:
        if asked.method == "PUT":
            what = asked.path.removeprefix(f"/rooms/{ROOM}/").rpartition("/")[0]
            made.append((what, asked.body.get("m.relates_to", {}).get("key")))
    return made


async def test_the_missing_are_added_and_the_others_taken_back() -> None:
    reactions = _Reactions()
    async with linked(_does(reactions)) as (server, adapter, account):
        _note(account, "👍", "$old")
        _note(account, "❤", "$stays")
        session = adapter.session(account)
        sent = await session.send(_react("❤", "🎉"), "k")
        assert sent.reactions == {"❤": "$stays", "🎉": "$made0"}
        assert _puts(server) == [("send/m.reaction", "🎉"), ("redact/$old", None)]
        [added, _] = server.requests
        assert added.body == {
            "m.relates_to": {"rel_type": "m.annotation", "event_id": FIRST, "key": "🎉"},
            KEY: "k",
        }


async def test_an_attempt_that_comes_again_makes_nothing_twice() -> None:
    """Whatever of it the network has, and whether that has come back or not."""
    reactions = _Reactions()
    command = _react("🎉", "🍰")
    async with linked(_does(reactions)) as (server, adapter, account):
        _note(account, "👍", "$old")
        session = adapter.session(account)
        reactions.faults = [None, (502, {})]
        with pytest.raises(Transient):
            await session.send(command, "k")
        first = await session.send(command, "k")
        asked = {each.path for each in server.requests}
        assert await session.send(command, "k") == first
        assert {each.path for each in server.requests} == asked
        assert len(asked) == 3
        for emoji, event_id in first.reactions.items():
            _note(account, emoji, event_id)
        del account.made_reactions[RemoteMessageId("$old")]
        count = len(server.requests)
        assert await session.send(command, "k") == first
        assert len(server.requests) == count


async def test_other_commands_make_other_reactions() -> None:
    reactions = _Reactions()
    async with linked(_does(reactions)) as (_, adapter, account):
        session = adapter.session(account)
        first = await session.send(_react("🎉"), "k1")
        assert await session.send(_react("🎉"), "k2") != first


async def test_each_part_of_a_command_has_a_transaction_of_its_own() -> None:
    """Under the same one a homeserver would do only the first."""
    async with linked(_does(_Reactions())) as (server, adapter, account):
        for event_id in ("$a", "$b"):
            _note(account, event_id, event_id)
        await adapter.session(account).send(_react("🎉", "🍰"), "k")
        parts = {asked.path.rpartition("/")[2] for asked in server.requests}
        assert len(parts) == len(server.requests) == 4
        assert all(part.startswith("k.") for part in parts)


async def test_the_same_emoji_twice_is_one() -> None:
    async with linked(_does(_Reactions())) as (server, adapter, account):
        await adapter.session(account).send(_react("🎉", "🎉"), "k")
        assert len(_puts(server)) == 1


DUPLICATE: Answer = 400, {"errcode": "M_DUPLICATE_ANNOTATION", "error": "once"}


def _annotation(key: Any, event_id: Any, sender: Any = ALICE) -> Any:
    return {"event_id": event_id, "sender": sender, "content": {"m.relates_to": {"key": key}}}


@pytest.mark.parametrize(
    ("pages", "expected"),
    [
        ([{"chunk": [_annotation("🎉", "$bobs", BOB), _annotation("👍", "$no"),
                     _annotation("🎉", "$it")]}], {"🎉": "$it"}),
        ([{"chunk": [5, {}, {"content": 7}], "next_batch": "p2"},
          {"chunk": [_annotation("🎉", "$it")]}], {"🎉": "$it"}),
        ([{"chunk": "odd", "next_batch": 5}], {}),
        ([{"chunk": [_annotation("🎉", ["$it"])]}], {}),
        ([{"chunk": [], "next_batch": "p"}] * 9, {}),
    ],
)  # fmt: skip
async def test_a_reaction_made_elsewhere_is_looked_for(pages: Any, expected: Any) -> None:
    asked: list[Request] = []

    def annotations(request: Request) -> Answer:
        asked.append(request)
        return 200, pages[len(asked) - 1]

    handlers = _does(lambda _: DUPLICATE, **{"m.annotation/m.reaction": annotations})
    async with linked(handlers) as (_, adapter, account):
        sent = await adapter.session(account).send(_react("🎉"), "k")
        assert sent.reactions == expected
    assert len(asked) <= 5
    assert all(each.query.get("from") for each in asked[1:])
    assert asked[0].path.endswith(f"v1/rooms/{ROOM}/relations/{FIRST}/m.annotation/m.reaction")


async def test_what_is_gone_already_is_as_it_should_be() -> None:
    def gone(asked: Request) -> Answer:
        return 404, {"errcode": "M_NOT_FOUND"}

    async with linked(_does(gone)) as (_, adapter, account):
        _note(account, "👍", "$old")
        assert (await adapter.session(account).send(_react(), "k")).reactions == {}


@pytest.mark.parametrize(
    ("command", "answer", "kind", "words"),
    [
        (_react("🎉"), (403, {"errcode": "M_FORBIDDEN"}), Forbidden, "not react"),
        (_react("🎉"), (404, {"errcode": "M_NOT_FOUND"}), NotFound, "message is not there"),
        (_react("🎉"), (400, {"errcode": "M_UNKNOWN"}), Unsupported, "refused"),
        (_react("🎉"), (429, {"errcode": "M_LIMIT_EXCEEDED"}), RateLimited, "wait"),
        (_react("🎉"), (200, {}), Transient, "confirm"),
        (RetractInRoom(room=TEA, message=FIRST), (403, {}), Forbidden, "not take"),
        (RetractInRoom(room=TEA, message=FIRST), (404, {}), NotFound, "message is not there"),
        (RetractInRoom(room=TEA, message=FIRST), (502, {}), Transient, "problem"),
        (RetractInRoom(room=TEA, message=FIRST), (200, {}), Transient, "confirm"),
    ],
)
async def test_refusals_are_sentences(
    command: RoomCommand, answer: Answer, kind: type[Exception], words: str
) -> None:
    async with linked(_does(lambda _: answer)) as (_, adapter, account):
        with pytest.raises(kind, match=words):
            await adapter.session(account).send(command, "a")


# --- in an encrypted group ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "emoji", ["🎉", "❤\ufe0f", "1\ufe0f\u20e3", "\u2139\ufe0f", "👩\u200d👧", "🇩🇪"]
)
async def test_an_emoji_goes_in_clear(emoji: str) -> None:
    async with linked(_does(_Reactions()), encrypted=True) as (server, adapter, account):
        await adapter.session(account).send(_react(emoji), "k")
        assert _puts(server) == [("send/m.reaction", emoji)]


async def test_words_do_not() -> None:
    for encrypted, number in ((True, 0), (False, 1)):
        async with linked(_does(_Reactions()), encrypted=encrypted) as (server, adapter, account):
            session = adapter.session(account)
            assert isinstance(session, MatrixSession)
            session._polling._answered_at = account.clock.monotonic()
            if encrypted:
                with pytest.raises(Unsupported, match="nothing but emoji"):
                    await session.send(_react("🎉", "at noon"), "k")
            else:
                await session.send(_react("at noon"), "k")
            assert len(_puts(server)) == number


@pytest.mark.parametrize(
    "words", ["no", "Y", "7", "不", "हाँ", "ใช่", "1\ufe0f\u20e32\ufe0f\u20e3", "🎉a"]
)
async def test_nor_does_a_word_of_one_letter(words: str) -> None:
    async with linked(_does(_Reactions()), encrypted=True) as (server, adapter, account):
        with pytest.raises(Unsupported, match="nothing but emoji"):
            await adapter.session(account).send(_react(words), "k")
        assert _puts(server) == []


async def test_nor_does_the_reason_of_a_retraction() -> None:
    command = RetractInRoom(room=TEA, message=FIRST, reason="the secret is out")
    for encrypted, body in ((True, {}), (False, {"reason": "the secret is out"})):
        async with linked(_does(_Reactions()), encrypted=encrypted) as (server, adapter, account):
            session = adapter.session(account)
            assert isinstance(session, MatrixSession)
            session._polling._answered_at = account.clock.monotonic()
            await session.send(command, "a")
            [asked] = [each for each in server.requests if each.method == "PUT"]
            assert (asked.path, asked.body) == (f"/rooms/{ROOM}/redact/{FIRST}/a", body)


# --- read marks and typing ----------------------------------------------------------------------


async def test_read_marks_and_typing() -> None:
    done: Handler = lambda _: (200, {})  # noqa: E731
    async with linked({"read_markers": done, ALICE: done}) as (server, adapter, account):
        session = adapter.session(account)
        await session.send(MarkRoomRead(room=TEA, up_to=FIRST), "k")
        await session.set_room_typing(TEA, True)
        await session.set_room_typing(TEA, False)
        path = f"/rooms/{ROOM}/typing/{ALICE}"
        assert [(asked.path, asked.body) for asked in server.requests] == [
            (f"/rooms/{ROOM}/read_markers", {"m.fully_read": FIRST, "m.read": FIRST}),
            (path, {"typing": True, "timeout": 30_000}),
            (path, {"typing": False}),
        ]
