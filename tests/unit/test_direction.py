# SPDX-License-Identifier: Apache-2.0
"""What turns the direction of a text does not reach beyond its line (REQ-732, UAX #9)."""

from __future__ import annotations

import re
import unicodedata
from time import perf_counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.text import Span, Style, tree
from gateway.text.direction import closed, unturned
from gateway.xmpp.codec.restyling import Written, restyled

_CLOSED_BY = {"LRE": "PDF", "RLE": "PDF", "LRO": "PDF", "RLO": "PDF"}
_CLOSED_BY |= {"LRI": "PDI", "RLI": "PDI", "FSI": "PDI"}
_TURNING = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
_TEXTS = st.text(st.sampled_from(_TURNING + "*_`> \n\r\x85\u2028\u2029abä🎉"), max_size=40)
_SPANS = st.lists(
    st.tuples(
        st.sampled_from([style for style in Style if style is not Style.MARK]),
        st.integers(0, 40),
        st.integers(0, 40),
    ),
    max_size=6,
)


def _is_open(line: str) -> bool:
    """Whether something that it has begun goes on after it, as the algorithm of Unicode says
    (rules X1 to X8). It is written here once more, by the classes of characters."""
    begun: list[str] = []
    for char in line:
        kind = unicodedata.bidirectional(char)
        if kind in _CLOSED_BY:
            begun.append(_CLOSED_BY[kind])
        elif kind == "PDF" and begun[-1:] == ["PDF"]:
            begun.pop()
        elif kind == "PDI" and "PDI" in begun:
            del begun[len(begun) - 1 - begun[::-1].index("PDI") :]
    return bool(begun)


def _without_what_was_put_in(written: Written) -> str:
    kept, done = [], 0
    for place, before, size in zip(
        written.places, (0, *written.sizes), written.sizes, strict=False
    ):
        kept.append(written.body[done : place + before])
        done = place + size
    return "".join([*kept, written.body[done:]])


@given(_TEXTS, _SPANS)
def test_req_732_a_line_leaves_nothing_open_and_no_word_is_another_one(
    text: str, spans: list[tuple[Style, int, int]]
) -> None:
    told = tree([Span(*span) for span in spans], len(text))
    written = restyled(text, told)
    assert _without_what_was_put_in(written) == text
    for line in re.split("[\n\r\x85\u2028\u2029]", written.body):
        assert not _is_open(line)
    for newline in ("\n", "\u2029"):  # whatever ends a line where it is shown
        assert not any(_is_open(line) for line in written.body.split(newline))


@given(_TEXTS)
def test_req_732_what_is_closed_already_stays_as_it_is(text: str) -> None:
    once = closed(text)
    assert closed(once) == once
    assert unturned(once) == unturned(text)
    if not set(text) & set(_TURNING):
        assert once == text


@pytest.mark.parametrize(
    ("text", "body"),
    [
        ("a\u202eb", "a\u202eb\u202c"),
        ("a\u202eb\nc\u2067d\n", "a\u202eb\u202c\nc\u2067d\u2069\n"),
        ("a\u202eb\r\nc", "a\u202eb\u202c\r\nc"),
        ("\u202e\u2067\u202ba", "\u202e\u2067\u202ba\u202c\u2069\u202c"),
        ("\u2067\u202ea\u2069 b", "\u2067\u202ea\u2069 b"),  # an isolate ends all within it
        ("\u202e\u2069\u202c", "\u202e\u2069\u202c"),
        ("\u2067\u202c", "\u2067\u202c\u2069"),  # what is no isolate ends none
        ("\u2067\u2029\u202ea\u2069", "\u2067\u2069\u2029\u202ea\u2069\u202c"),
        ("\u202c\u2069 שלום \u200f", "\u202c\u2069 שלום \u200f"),
    ],
)
def test_req_732_how_lines_are_closed(text: str, body: str) -> None:
    assert closed(text) == body
    assert restyled(text, ()).body == body


def test_req_732_styles_are_where_they_were() -> None:
    text = "a\u202eb\ncode\n\u2067who\u2069 b"
    spans = (
        Span(Style.BOLD, 2, 3),
        Span(Style.CODE_BLOCK, 4, 8),
        Span(Style.SPOILER, 9, 14),
        Span(Style.LINK, 15, 16, "https://e.example"),
    )
    written = restyled(text, spans)
    fenced = "```\ncode\n```"
    link = "b (https://e.example)"
    assert written.body == f"a\u202eb\u202c\n{fenced}\n\u2067who\u2069 {link}"
    assert written.body[written.begin(4) : written.end(8)] == "code"
    assert written.body[written.begin(15) : written.end(16)] == "b"
    assert "start='2' end='3'><strong/>" in written.beside


def test_req_732_a_line_ends_before_the_mark_of_what_it_is_in() -> None:
    text = "a\u202eb"
    block, strike = Span(Style.CODE_BLOCK, 0, 3), Span(Style.STRIKE, 0, 3)
    assert restyled(text, (block,)).body == "```\na\u202eb\u202c\n```"
    assert restyled(text, (strike,)).body == "~a\u202eb\u202c~"


def test_req_732_where_styles_are_left_out_lines_are_closed() -> None:
    """They would make the text too long."""
    lines = "x\n" * 3_998
    quotes = tuple(Span(Style.QUOTE, 0, 7_998) for _ in range(4))
    assert restyled(f"{lines}\u202ex", quotes).body == f"{lines}\u202ex\u202c"


def test_req_732_a_hint_that_is_cut_is_closed_too() -> None:
    text = "x" * 150 + "\u202e" + "y" * 150 + "z"
    beside = restyled(text, (Span(Style.SPOILER, 301, 302),)).beside
    assert f"{'y' * 48}…\u202c</spoiler>" in beside


def test_req_732_a_text_of_nothing_else_takes_no_longer() -> None:
    """Not as its length squared."""
    begun = perf_counter()
    assert len(closed("\u202e" * 30_000 + "\u2069" * 30_000)) == 90_000
    assert perf_counter() - begun < 1
