# SPDX-License-Identifier: Apache-2.0
"""Long texts become parts: nothing is lost, and every part fits into a stanza (REQ-105)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.bridge.splitting import MAX_PART_BYTES, split_text
from gateway.events import ChatMessage
from gateway.ids import AccountId, ConversationId, RemoteUserId, RowId, StanzaId, UserJid
from gateway.store.journal import InboundRow
from gateway.text import clean
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


@given(_LONG)
def test_there_are_no_more_parts_than_needed(text: str) -> None:
    """No cut throws away more than half of a part."""
    parts = split_text(text)
    size = len(text.encode("utf-8", "replace"))
    assert len(parts) <= max(1, -(-size * 2 // (MAX_PART_BYTES - 4)) + 1)


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
