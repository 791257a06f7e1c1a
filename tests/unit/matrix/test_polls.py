# SPDX-License-Identifier: Apache-2.0
"""Polls as text with numbers, and votes for what the numbers stand for (REQ-455)."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.matrix.inbound import MAX_BODY_BYTES
from adapters.matrix.ongoing import Known
from adapters.matrix.polls import Poll, is_vote, poll_in, poll_words, result_in
from adapters.matrix.relations import related
from gateway.errors import NotFound, Transient
from gateway.events import React, SendText
from gateway.ids import RemoteMessageId, RemoteRoomId
from gateway.text import is_clean
from tests.unit.matrix.homeserver import Answer, Request
from tests.unit.matrix.samples import ALICE, BOB, ROOM, message
from tests.unit.matrix.test_chat_outbound import KEY, House, chat, note

START = "org.matrix.msc3381.poll.start"
RESPONSE = "org.matrix.msc3381.poll.response"
TEXT = "org.matrix.msc1767.text"


def _stable(question: str, *answers: str, most: Any = 1) -> dict[str, Any]:
    listed = [{"m.id": f"id {each}", "m.text": [{"body": each}]} for each in answers]
    poll = {"question": {"m.text": [{"body": question}]}, "answers": listed}
    return {"m.poll": {**poll, "max_selections": most}, "m.text": [{"body": "?"}]}


def _unstable(question: str, *answers: str, most: Any = 1) -> dict[str, Any]:
    listed = [{"id": f"id {each}", TEXT: each} for each in answers]
    poll = {"question": {TEXT: question, "body": "?"}, "answers": listed}
    return {START: {**poll, "max_selections": most}, TEXT: "?"}


KINDS = [("m.poll.start", _stable), (START, _unstable)]
TOLD = "📊 Tea?\n1️⃣ Yes\n2️⃣ No\nTo vote, react or reply with a number."


def _poll(kind: str, content: Any) -> Poll:
    poll = poll_in(kind, content)
    assert poll is not None
    return poll


# --- what is told -------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "of"), KINDS)
def test_a_poll_is_a_question_with_numbered_answers(kind: str, of: Any) -> None:
    assert poll_words(_poll(kind, of("Tea?", "Yes", "No"))) == TOLD


def test_numbers_go_on_where_keys_end() -> None:
    lines = poll_words(_poll(START, _unstable("?", *map(str, range(30))))).split("\n")
    assert lines[9:13] == ["9️⃣ 8", "🔟 9", "11. 10", "12. 11"]
    assert lines[20:] == ["20. 19", "To vote, react or reply with a number."]


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ({}, "📊 A poll"),
        ({"m.poll": 7}, "📊 A poll"),
        ({START: {"question": "Tea?", "answers": {}}}, "📊 A poll"),
        ({START: {"question": {TEXT: "a\nb\x00"}, "answers": [5, {}, {"id": 5, TEXT: "x"}]}},
         "📊 a b"),
        ({START: {"question": {"m.text": "Tea?"}, "answers": [{"id": "1", TEXT: "two\nlines"}]}},
         "📊 Tea?\n1️⃣ two lines\nTo vote, react or reply with a number."),
    ],
)  # fmt: skip
def test_what_a_poll_lacks(content: Any, text: str) -> None:
    assert poll_words(_poll(START, content)) == text


@pytest.mark.parametrize("kind", ["m.poll.end", "org.matrix.msc3381.poll.end"])
def test_the_end_answers_the_poll_with_the_result(kind: str) -> None:
    relation = {"rel_type": "m.reference", "event_id": "$poll"}
    event = message({"m.relates_to": relation, TEXT: "Top answer: Yes"}, kind=kind)
    assert result_in(kind, event["content"]) == "📊 Top answer: Yes"
    assert result_in(kind, {"m.text": [{"body": "Yes"}]}) == "📊 Yes"
    assert result_in(kind, {}) == "📊 The poll has ended."
    assert related(event).reply_to == "$poll"
    assert related(message({"m.relates_to": relation})).reply_to is None


_ANY = st.recursive(
    st.none() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(["m.poll", START, "question", "answers", "id", "m.id", "m.text", TEXT,
                         "max_selections", "body"]), inner, max_size=5),
    max_leaves=15,
)  # fmt: skip


@given(content=st.dictionaries(st.sampled_from(["m.poll", START]), _ANY))
def test_no_poll_raises(content: Any) -> None:
    poll = _poll(START, content)
    assert is_clean(poll_words(poll))
    poll.vote("$1", poll.chosen(["1️⃣", "x"]).values())


def test_a_huge_poll_is_cut() -> None:
    huge = _poll(START, _unstable("ä" * 100_000, *(["ü" * 100_000] * 30)))
    assert len(poll_words(huge).encode()) <= MAX_BODY_BYTES


# --- votes --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("emoji", "expected"),
    [("1️⃣", True), ("1\u20e3", True), ("🔟", True), ("0️⃣", False), ("👍", False)],
)
def test_what_may_be_a_vote(emoji: str, expected: bool) -> None:
    assert is_vote(emoji) is expected


POLL = RemoteMessageId("$first")
REFERENCE = {"rel_type": "m.reference", "event_id": POLL}


class _Polling(House):
    """A homeserver where the message is a poll."""

    def __init__(self, kind: str, content: Any) -> None:
        super().__init__()
        self.poll = message(content, POLL, BOB, kind)

    def event(self, asked: Request) -> Answer:
        return 200, self.poll


def _react(*emoji: str) -> React:
    return React(contact=BOB, message=POLL, emoji=emoji)


def _votes(server: Any) -> list[tuple[str, Any]]:
    return [
        (asked.path.split("/")[4], {k: v for k, v in (asked.body or {}).items() if k != KEY})
        for asked in server.requests
        if asked.method == "PUT"
    ]


async def test_a_number_is_a_vote_and_not_a_reaction() -> None:
    stable: tuple[str, dict[str, Any]] = "m.poll.response", {"m.selections": ["id No"]}
    unstable: tuple[str, dict[str, Any]] = RESPONSE, {RESPONSE: {"answers": ["id No"]}}
    for (kind, of), (response, chosen) in zip(KINDS, (stable, unstable), strict=True):
        async with chat(_Polling(kind, of("Tea?", "Yes", "No"))) as (server, _, session):
            sent = await session.send(_react("2️⃣", "🎉"), "k")
            assert sent.reactions.keys() == {"2️⃣", "🎉"}
            vote, reaction = _votes(server)
            assert vote == (response, {"m.relates_to": REFERENCE, **chosen})
            assert reaction[0] == "m.reaction"
            assert await session.send(_react("2️⃣", "🎉"), "k") == sent


@pytest.mark.parametrize(
    ("had", "wanted", "most", "chosen"),
    [
        (["1️⃣"], ["2️⃣"], 1, ["id No"]),
        (["1️⃣"], ["1️⃣", "2️⃣"], 1, ["id No"]),
        (["1️⃣"], ["2️⃣", "1️⃣"], 2, ["id Yes", "id No"]),
        (["1️⃣", "2️⃣"], ["1️⃣"], 2, ["id Yes"]),
        (["1️⃣"], [], 1, []),
        ([], ["9️⃣"], 1, []),
    ],
)
async def test_a_vote_takes_the_place_of_the_last_one(
    had: list[str], wanted: list[str], most: int, chosen: list[str]
) -> None:
    """One event has all that is chosen; nothing is taken back."""
    poll = _Polling(START, _unstable("Tea?", "Yes", "No", most=most))
    async with chat(poll) as (server, account, session):
        for number, emoji in enumerate(had):
            note(account, emoji, f"$vote{number}")
        sent = await session.send(_react(*wanted), "k")
        [vote] = _votes(server)
        assert vote == (RESPONSE, {"m.relates_to": REFERENCE, RESPONSE: {"answers": chosen}})
        assert len(sent.reactions) == len(chosen)


async def test_a_number_in_reply_to_a_poll_is_a_vote() -> None:
    def reply(body: str) -> SendText:
        return SendText(contact=BOB, body=body, reply_to=POLL)

    poll = _Polling(START, _unstable("Tea?", "Yes", "No"))
    async with chat(poll) as (server, _, session):
        sent = await session.send(reply(" 2\n"), "k")
        assert await session.send(reply(" 2\n"), "k") == sent
        content = {"m.relates_to": REFERENCE, RESPONSE: {"answers": ["id No"]}}
        assert _votes(server) == [(RESPONSE, content)] * 2
        assert len(set(server.paths("PUT"))) == 1
    for body in ("0", "3", "2.", "٢", "two", "1 2", "100"):
        async with chat(poll) as (server, _, session):
            await session.send(reply(body), "k")
            assert [kind for kind, _ in _votes(server)] == ["m.room.message"]
    async with chat(_Polling("m.room.message", {"body": "x"})) as (server, _, session):
        await session.send(reply("1"), "k")
        assert [kind for kind, _ in _votes(server)] == ["m.room.message"]


async def test_without_a_poll_a_number_is_a_reaction() -> None:
    for kind in ("m.room.message", "m.room.encrypted"):
        async with chat(_Polling(kind, {"msgtype": "m.text", "body": "x"})) as (
            server,
            _,
            session,
        ):
            await session.send(_react("1️⃣"), "k")
            assert [kind for kind, _ in _votes(server)] == ["m.reaction"]


async def test_a_vote_that_comes_again_is_the_same() -> None:
    house = _Polling(START, _unstable("Tea?", "Yes", "No"))
    async with chat(house) as (server, _, session):
        house.faults = [(502, {})]
        with pytest.raises(Transient):
            await session.send(_react("1️⃣"), "k")
        await session.send(_react("1️⃣"), "k")
        assert len(set(server.paths("PUT"))) == 1
        assert server.paths("PUT")[0].startswith(f"/rooms/{ROOM}/send/{RESPONSE}/k.")
        assert ALICE not in str(_votes(server))


# --- the newest one, and voting on it by a command ----------------------------------------------


async def _goes_on(session: Any, **polls: Known) -> None:
    async with session._ledger.writing() as book:
        draft = book.draft()
        for name, known in polls.items():
            draft.note(f"ongoing:{ROOM} ${name}", msgspec.json.encode(known).decode())
        await session._ledger.commit(draft)


async def test_req_220_the_newest_poll_is_voted_on_by_the_places_of_its_answers() -> None:
    house = House()
    async with chat(house) as (server, _, session):
        assert await session.poll(BOB, None) is None
        tea = _poll("m.poll.start", _stable("Tea?", "Yes", "No", most=7))
        votes: dict[str, tuple[str, tuple[int, ...]]] = {ALICE: ("$v", (1,)), BOB: ("$w", (0,))}
        await _goes_on(
            session,
            old=Known(sender=BOB, began=1, poll=_poll(START, _unstable("Old?", "x"))),
            tea=Known(sender=BOB, began=2, poll=tea, votes=votes),
            place=Known(sender=BOB, began=3, until=9),
        )
        assert await session.poll(None, RemoteRoomId("!other:example.org")) is None
        poll = await session.poll(BOB, None)
        assert poll is not None
        assert (poll.question, poll.answers) == ("Tea?", ("Yes", "No"))
        assert (poll.most, poll.chosen) == (2, (1,))
        await session.vote(poll, [1, 0])
        asked = server.requests[-1]
        assert asked.path.startswith(f"/rooms/{ROOM}/send/m.poll.response/")
        assert asked.body["m.selections"] == ["id No", "id Yes"]
        assert asked.body["m.relates_to"] == {"rel_type": "m.reference", "event_id": "$tea"}


@pytest.mark.parametrize("now", [None, ("Tea?", "No", "Yes"), ("Tea?", "Yes")])
async def test_req_220_nobody_votes_for_what_was_not_shown(now: tuple[str, ...] | None) -> None:
    async with chat(House()) as (server, _, session):
        before = Known(sender=BOB, began=1, poll=_poll(START, _unstable("Tea?", "Yes", "No")))
        await _goes_on(session, tea=before)
        poll = await session.poll(BOB, None)
        assert poll is not None
        if now is None:
            async with session._ledger.writing() as book:  # type: ignore[attr-defined]
                draft = book.draft()
                draft.note(f"ongoing:{ROOM} $tea", None)
                await session._ledger.commit(draft)  # type: ignore[attr-defined]
        else:
            changed = Known(sender=BOB, began=1, poll=_poll(START, _unstable(*now)))
            await _goes_on(session, tea=changed)
        with pytest.raises(NotFound, match="over"):
            await session.vote(poll, [0])
        assert not any(asked.method == "PUT" for asked in server.requests)
