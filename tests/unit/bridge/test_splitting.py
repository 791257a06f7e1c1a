# SPDX-License-Identifier: Apache-2.0
"""Long texts become parts: nothing is lost, and every part fits into a stanza (REQ-105)."""

from __future__ import annotations

import pytest
import regex
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.bridge.splitting import MAX_PART_BYTES, split_styled, split_text
from gateway.events import ChatMessage
from gateway.ids import AccountId, ConversationId, RemoteUserId, RowId, StanzaId, UserJid
from gateway.store.journal import InboundRow
from gateway.text import Span, Style, clean
from gateway.xmpp.codec.outgoing import Route, stanza_of
from gateway.xmpp.stream import MAX_STANZA_BYTES

_PIECES = st.sampled_from(
    ["a", " ", "\n", "\r\n", "&", "é", "漢", "🙂", "e\u0301", "word ", "\ud800"]
)
_LONG = st.lists(st.tuples(_PIECES, st.integers(1, 40_000)), max_size=5).map(
    lambda pieces: "".join(piece * times for piece, times in pieces)
)


@given(st.one_of(_LONG, st.text()))
def test_nothing_is_lost_and_no_part_is_too_long(text: str) -> None:
    parts = split_text(text)
    assert "".join(parts) == text
    assert all(len(part.encode("utf-8", "replace")) <= MAX_PART_BYTES for part in parts)
    assert all(parts) or parts == [""]


@settings(max_examples=50)
@given(st.text(), st.integers(16, 200))
def test_req_459_small_limits_of_networks(text: str, limit: int) -> None:
    """Nothing is lost, and a cut is within a character only if that has no end."""
    parts = split_text(text, limit)
    assert "".join(parts) == text
    assert all(len(part.encode("utf-8", "replace")) <= limit for part in parts)
    ends = {each.end() for each in regex.finditer(r"\X", text)}
    longest = max((len(each[0].encode()) for each in regex.finditer(r"\X", text)), default=0)
    cuts = [len("".join(parts[:number])) for number in range(1, len(parts))]
    assert longest > limit or all(cut in ends for cut in cuts)


def test_req_459_paragraphs_stay_whole() -> None:
    text = f"{'x' * 30}\n\n{'y' * 20}\n{'z' * 30} {'w' * 30}"
    assert split_text(text, 60) == [text[:32], text[32:84], text[84:]]


@given(_LONG)
def test_there_are_no_more_parts_than_needed(text: str) -> None:
    """No cut throws away more than half of a part."""
    parts = split_text(text)
    size = len(text.encode("utf-8", "replace"))
    assert len(parts) <= max(1, -(-size * 2 // (MAX_PART_BYTES - 4)) + 1)


_CHARACTERS = ["e\u0301", "👨\u200d👩\u200d👧", "👍🏽", "\r\n", "क्षि", "🇩🇪.", "a"]


@pytest.mark.parametrize("character", _CHARACTERS)
@pytest.mark.parametrize("after", ["", " ", "\n"])
def test_req_459_no_cut_is_within_a_character(character: str, after: str) -> None:
    """As people see them, wherever the limit of bytes is in one."""
    word = character * 12 + after
    for before in range(0, 24, 5):
        text = "x" * before + word * (60_000 // len(word.encode()))
        first, second = split_text(text)
        assert first + second == text
        ends = {each.end() for each in regex.finditer(r"\X", text)}
        assert len(first) in ends


def test_req_459_a_character_without_an_end_is_cut() -> None:
    parts = split_text("a" + "\u0301" * MAX_PART_BYTES)
    assert len(parts) == 3
    assert all(len(part.encode()) <= MAX_PART_BYTES for part in parts)


def test_each_part_has_its_share_of_the_spans() -> None:
    text, limit = "x" * (2 * MAX_PART_BYTES), MAX_PART_BYTES
    spans = [
        Span(style=Style.BOLD, begin=limit - 10, end=limit + 10),
        Span(style=Style.ITALIC, begin=limit, end=limit + 5),
        Span(style=Style.CODE, begin=limit + 8, end=limit + 50),  # crosses the first one
        Span(style=Style.CODE, begin=2 * limit, end=3 * limit),
    ]
    (first, styles), (second, more) = split_styled(text, spans)
    assert first + second == text
    assert styles == (Span(style=Style.BOLD, begin=limit - 10, end=limit),)
    assert more == (
        Span(style=Style.BOLD, begin=0, end=10),
        Span(style=Style.ITALIC, begin=0, end=5),
    )


@pytest.mark.parametrize("separator", ["\n", " "])
def test_a_cut_is_made_at_line_ends_or_spaces(separator: str) -> None:
    line = "x" * 99 + separator
    parts = split_text(line * 2000)
    assert len(parts) > 1
    assert all(part.endswith(separator) for part in parts)


def test_a_text_of_exactly_the_limit_is_one_part() -> None:
    assert split_text("x" * MAX_PART_BYTES) == ["x" * MAX_PART_BYTES]
    assert len(split_text("x" * (MAX_PART_BYTES + 1))) == 2
    assert split_text("") == [""]


@pytest.mark.parametrize("char", ["&", "\r", "<", ">", "'", '"', "\x00", "\ud800", "\ufffe", "🙂"])
def test_the_worst_text_fits_into_a_stanza(char: str) -> None:
    for part in split_text(clean(char * MAX_PART_BYTES)):
        row = InboundRow(
            id=RowId(1),
            account=AccountId(1),
            conversation=ConversationId(1),
            user=UserJid(f"{'u' * 1023}@{'d' * 200}"),
            contact=RemoteUserId("bob"),
            stanza_id=StanzaId("i" * 36),
            delivery=ChatMessage(id=StanzaId("i" * 36), body=part, sent_at=0, nick="&" * 200),
            committed_at=0,
            resent=True,
        )
        route = Route(
            puppet="p" * 400,
            resource="matrix",
            user=row.user,
            gateway="g" * 200,
            read_marks=True,
            wants_receipt=True,
            may_send_as_user="",
        )
        assert len(str(stanza_of(row, route, 0)).encode()) <= MAX_STANZA_BYTES
