# SPDX-License-Identifier: Apache-2.0
"""Styles of texts as the Bot API has them: UTF-16 there, code points here (REQ-437, REQ-438)."""

from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from telegram import MessageEntity

from adapters.telegram import entities as styles
from adapters.telegram.entities import MOST_ENTITIES, written
from adapters.telegram.naming import Usernames
from gateway.text import Span, Style, tree
from gateway.xmpp.codec.styling import styled

_WORDS = st.text(st.sampled_from("ab 🙂é\n"), max_size=30)
_INLINE = (Style.BOLD, Style.ITALIC, Style.STRIKE, Style.UNDERLINE, Style.SPOILER)


def told(text: str, entities: Iterable[MessageEntity]) -> tuple[str, tuple[Span, ...]]:
    """By somebody who has heard of nobody."""
    return styles.told(text, entities, Usernames())


def _utf16(text: str, begin: int, length: int) -> str:
    return text.encode("utf-16-le")[2 * begin : 2 * (begin + length)].decode("utf-16-le")


def _entity(kind: str, offset: int, length: int, **more: Any) -> MessageEntity:
    return MessageEntity(type=kind, offset=offset, length=length, **more)


@pytest.mark.parametrize(
    ("text", "entity", "said"),
    [
        ("🙂 bold", _entity("bold", 3, 4), "bold"),
        ("🙂🙂", _entity("italic", 2, 2), "🙂"),
        ("a🙂b", _entity("code", 2, 1), "🙂"),  # of half a pair, all of it
        ("ab", _entity("underline", 1, 50), "b"),
        ("see", _entity("text_link", 0, 3, url="https://x.example/"), "see"),
        ("x = 1", _entity("pre", 0, 5, language="python"), "x = 1"),
    ],
)
def test_places_are_code_points(text: str, entity: MessageEntity, said: str) -> None:
    body, (span,) = told(text, [entity])
    assert (body, body[span.begin : span.end]) == (text, said)
    assert span.value == (entity.url or entity.language or "")


def test_what_has_no_style_here_is_text() -> None:
    entities = [_entity(kind, 0, 4) for kind in ("mention", "url", "custom_emoji", "novelty")]
    assert told("@bob", entities) == ("@bob", ())


def test_blocks_get_lines_of_their_own() -> None:
    body, spans = told("he said: hello\nyes", [_entity("blockquote", 9, 6), _entity("bold", 3, 4)])
    assert body == "he said: \nhello\nyes"
    assert [(s.style, body[s.begin : s.end]) for s in spans] == [
        (Style.BOLD, "said"),
        (Style.QUOTE, "hello"),
    ]


def test_marks_of_what_is_shown_are_left_out() -> None:
    body = "🙂 *bold* and `code` and > no"
    text, entities = written(body, styled(body))
    assert text == "🙂 bold and code and > no"
    assert [(e.type, _utf16(text, e.offset, e.length)) for e in entities] == [
        ("bold", "bold"),
        ("code", "code"),
    ]


def test_a_block_of_code_and_a_quote() -> None:
    body = "> so they say\n> twice\n```python\nx = 1\n```\nend"
    text, entities = written(body, styled(body))
    assert text == "so they say\ntwice\nx = 1\nend"
    assert [(e.type, _utf16(text, e.offset, e.length), e.language) for e in entities] == [
        ("blockquote", "so they say\ntwice", None),
        ("pre", "x = 1", "python"),
    ]


def test_what_telegram_does_not_nest() -> None:
    """Code in bold cuts it; a quote in a quote keeps its marks, since nothing shows it."""
    spans = (Span(Style.BOLD, 0, 9), Span(Style.CODE, 3, 6), Span(Style.ITALIC, 4, 5))
    _, entities = written("abcdefghi", spans)
    assert [(e.type, e.offset, e.length) for e in entities] == [
        ("bold", 0, 3),
        ("code", 3, 3),
        ("bold", 6, 3),
    ]
    body = ">> deeper\n> less"
    text, entities = written(body, styled(body))
    assert text == "> deeper\nless"
    assert [(e.type, e.length) for e in entities] == [("blockquote", len(text))]


def test_only_links_that_telegram_takes() -> None:
    spans = (Span(Style.LINK, 0, 1, "javascript:x"), Span(Style.LINK, 2, 3, "https://x.example"))
    _, entities = written("a b", spans)
    assert [(e.offset, e.url) for e in entities] == [(2, "https://x.example")]


def test_no_more_than_telegram_takes() -> None:
    spans = tuple(Span(Style.BOLD, 2 * n, 2 * n + 1) for n in range(MOST_ENTITIES + 20))
    assert len(written("x " * len(spans), spans)[1]) == MOST_ENTITIES


@st.composite
def _styled(draw: st.DrawFn) -> tuple[str, tuple[Span, ...]]:
    text = draw(_WORDS)
    places = st.integers(0, len(text))
    spans = draw(st.lists(st.tuples(st.sampled_from(_INLINE), places, places), max_size=8))
    return text, tree((Span(style, begin, end) for style, begin, end in spans), len(text))


@given(_styled())
def test_there_and_back(said: tuple[str, tuple[Span, ...]]) -> None:
    """What has no blocks and no style within itself comes back as it was."""
    text, spans = said
    body, entities = written(text, spans)
    assert body == text
    back, found = told(body, entities)
    assert back == text
    nested = {
        span
        for outer in spans
        for span in spans
        if span is not outer
        and span.style is outer.style
        and outer.begin <= span.begin
        and span.end <= outer.end
    }
    if not nested:
        assert found == spans


@given(
    _WORDS,
    st.lists(
        st.tuples(
            st.sampled_from(["bold", "code", "pre", "blockquote", "text_link", "spoiler"]),
            st.integers(0, 40),
            st.integers(0, 40),
        ),
        max_size=8,
    ),
)
def test_whatever_comes_is_a_tree_of_whole_lines(
    text: str, entities: list[tuple[str, int, int]]
) -> None:
    body, spans = told(text, [_entity(*each) for each in entities])
    assert spans == tree(spans, len(body))
    assert body.replace("\n", "") == text.replace("\n", "")
    for span in spans:
        if span.style in (Style.QUOTE, Style.CODE_BLOCK):
            assert span.begin == 0 or body[span.begin - 1] == "\n"
            assert span.end == len(body) or body[span.end] == "\n"


@given(st.text(st.sampled_from("a🙂 *_~`>\n"), max_size=40))
def test_whatever_is_sent_fits_its_text(body: str) -> None:
    """Telegram refuses a message with an entity outside of it, or in the middle of a pair."""
    text, entities = written(body, styled(body))
    for entity in entities:
        assert entity.length > 0
        assert _utf16(text, entity.offset, entity.length)
    codes = [e for e in entities if e.type in ("code", "pre")]
    for code in codes:
        inside = [
            e
            for e in entities
            if e is not code
            and e.offset < code.offset + code.length
            and code.offset < e.offset + e.length
        ]
        assert all(e.type == "blockquote" for e in inside)
