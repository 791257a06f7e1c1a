# SPDX-License-Identifier: Apache-2.0
"""Styles of a text: read as people write them, written so that they are read again (REQ-437,
REQ-438)."""

from __future__ import annotations

from xml.etree.ElementTree import fromstring

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.text import Span, Style, tree
from gateway.xmpp.codec.incoming import read_message
from gateway.xmpp.codec.restyling import UNSTYLED, restyled
from gateway.xmpp.codec.styling import styled

_Told = tuple[str, int, int] | tuple[str, int, int, str]
"""A span, by the name of its style."""


def _spans(text: str, told: list[_Told]) -> tuple[Span, ...]:
    spans = [Span(Style(each[0]), each[1], each[2], *each[3:]) for each in told]
    return tree(spans, len(text))


def _said(text: str, spans: tuple[Span, ...]) -> list[tuple[str, str]]:
    return [
        (span.style.value, text[span.begin : span.end])
        for span in spans
        if span.style is not Style.MARK
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("*strong span*", [("bold", "*strong span*")]),
        ("plain _emphasis_ plain", [("italic", "_emphasis_")]),
        ("`pre` plain *strong*", [("code", "`pre`"), ("bold", "*strong*")]),
        ("*strong*plain*", [("bold", "*strong*")]),
        ("* plain *strong*", [("bold", "*strong*")]),
        ("Everyone ~dis~likes", [("strike", "~dis~")]),
        ("*`mono*space`*", [("bold", "*`mono*")]),
        ("This is `*monospace*`", [("code", "`*monospace*`")]),
        ("*_both_*", [("bold", "*_both_*"), ("italic", "_both_")]),
        ("not strong*", []),
        ("*not strong", []),
        ("*not \n strong*", []),
        ("*not *strong", []),
        ("**", []),
        ("***", []),
        ("****", []),
        ("2*3*4", []),
        ("snake_case_name", []),
        ("> one\n> *two*\nthree", [("quote", "> one\n> *two*"), ("bold", "*two*")]),
        (">> a\n> b\nc", [("quote", ">> a\n> b"), ("quote", "> a")]),
        ("> ```\n> x\nplain", [("quote", "> ```\n> x"), ("code-block", "```\n> x")]),
        ("```py\n*x*\n```\n*y*", [("code-block", "```py\n*x*\n```"), ("bold", "*y*")]),
        ("```\nnever ends", [("code-block", "```\nnever ends")]),
        ("``` and no more", []),
    ],
)
def test_req_438_what_is_a_style(text: str, expected: list[tuple[str, str]]) -> None:
    assert _said(text, styled(text)) == expected


@given(st.text(st.sampled_from("*_~`> \nab"), max_size=60))
def test_req_438_what_is_read_is_a_tree_and_its_marks_are_directives(text: str) -> None:
    spans = styled(text)
    assert spans == tree(spans, len(text))
    for span in spans:
        if span.style is Style.MARK:
            assert set(text[span.begin : span.end]) <= set("*_~`> \nab")
            assert any(one in text[span.begin : span.end] for one in "*_~`>")


@pytest.mark.parametrize(
    ("text", "spans", "body"),
    [
        ("a bold b", [("bold", 2, 6)], "a *bold* b"),
        ("a bold b", [("bold", 2, 6), ("italic", 2, 6)], "a *_bold_* b"),
        ("a bold b", [("bold", 1, 7)], "a *bold* b"),
        ("foobar", [("bold", 3, 6)], "foobar"),
        ("2*2 is 4", [("bold", 0, 8)], "2*2 is 4"),
        ("a\nb", [("bold", 0, 3)], "*a*\n*b*"),
        ("a\nq\nr\nb", [("quote", 2, 5)], "a\n> q\n> r\nb"),
        ("x = 1\ny", [("code-block", 0, 5, "py")], "```py\nx = 1\n```\ny"),
        ("x\ny", [("quote", 0, 3), ("code-block", 0, 3)], "> ```\n> x\n> y\n> ```"),
        ("a ``` b", [("code-block", 0, 7)], "a ``` b"),
        ("see here", [("link", 4, 8, "https://e.example/a_b_")], "see here (https://e.example/a_b_)"),
        ("https://e.example", [("link", 0, 17, "https://e.example")], "https://e.example"),
        ("e.example", [("link", 0, 9, "https://e.example/")], "e.example"),
        ("*a* b", [("italic", 4, 5)], "*a* _b_"),
        ("code *x*", [("code", 0, 8), ("bold", 5, 8)], "`code *x*`"),
    ],
)  # fmt: skip
def test_req_437_how_styles_are_written(text: str, spans: list[_Told], body: str) -> None:
    assert restyled(text, _spans(text, spans)).body == body


_SPANS = st.lists(
    st.tuples(
        st.sampled_from([style for style in Style if style is not Style.MARK]),
        st.integers(0, 40),
        st.integers(0, 40),
    ),
    max_size=6,
)


@given(st.text(st.sampled_from("*_`> \nabc\u0301🎉"), max_size=40), _SPANS)
def test_req_437_no_word_is_lost_and_each_mark_is_one(
    text: str, spans: list[tuple[Style, int, int]]
) -> None:
    """What was put in can be taken out again, and those who read it take it for what it is."""
    told = tree([Span(*span) for span in spans], len(text))
    written = restyled(text, told)
    assert written.begin(0) >= 0
    assert written.end(len(text)) <= len(written.body)
    kept, done = [], 0
    for place, size, before in zip(
        written.places, written.sizes, (0, *written.sizes), strict=False
    ):
        begin = place + before
        kept.append(written.body[done:begin])
        done = begin + size - before
    assert "".join([*kept, written.body[done:]]) == text
    fromstring(f"<x>{written.beside}</x>")


@given(st.text(st.sampled_from("ab c\n"), min_size=1, max_size=30), _SPANS)
def test_req_437_styles_of_a_text_without_marks_are_read_again(
    text: str, spans: list[tuple[Style, int, int]]
) -> None:
    inline = {Style.BOLD, Style.ITALIC, Style.STRIKE, Style.CODE}
    told = tree([Span(*span) for span in spans if span[0] in inline], len(text))
    written = restyled(text, told)
    read = styled(written.body)
    marks = {span.begin for span in read if span.style is Style.MARK}
    put_in = {
        place + before for place, before in zip(written.places, (0, *written.sizes), strict=False)
    }
    assert put_in <= marks


def test_req_437_what_only_looks_like_a_style_is_said_to_be_none() -> None:
    assert restyled("see *this*", ()).beside == UNSTYLED
    assert restyled("nothing here", ()).beside == ""


def test_req_437_styles_are_said_beside_the_text_too() -> None:
    """In code points, as they are in the body as it is sent."""
    text = "🎉 bold 🎉"
    written = restyled(text, (Span(Style.BOLD, 2, 6),), offset=3)
    assert written.body == "🎉 *bold* 🎉"
    span = fromstring(written.beside).find("{urn:xmpp:markup:0}span")
    assert span is not None
    assert (span.get("start"), span.get("end")) == ("6", "10")


@pytest.mark.parametrize(
    ("text", "spans", "hint"),
    [
        ("bob did it", [("spoiler", 0, 10, "the murder")], "the murder"),
        ("bob did it", [("spoiler", 0, 10)], ""),
        ("it was bob!", [("spoiler", 7, 10)], "it was ▒▒▒!"),
    ],
)
def test_req_440_spoilers(text: str, spans: list[_Told], hint: str) -> None:
    written = restyled(text, _spans(text, spans))
    assert written.body == text
    assert fromstring(written.beside).tag == "{urn:xmpp:spoiler:0}spoiler"
    assert (fromstring(written.beside).text or "") == hint


_MARKUP = "<markup xmlns='urn:xmpp:markup:0'>{}</markup>"
_XHTML = (
    "<html xmlns='http://jabber.org/protocol/xhtml-im'>"
    "<body xmlns='http://www.w3.org/1999/xhtml'>{}</body></html>"
)


@pytest.mark.parametrize(
    ("inner", "expected"),
    [
        ("<body>a *b*</body>", [("bold", "*b*")]),
        ("<body>a *b*</body><unstyled xmlns='urn:xmpp:styling:0'/>", []),
        (
            "<body>a b</body>" + _MARKUP.format("<span start='2' end='3'><strong/></span>"),
            [("bold", "b")],
        ),
        (
            "<body>a *b*</body>" + _MARKUP.format("<span start='3' end='4'><strong/></span>"),
            [("bold", "*b*")],
        ),
        (
            "<body>a b</body>" + _MARKUP.format("<span start='2' end='99'><strong/></span>"),
            [],
        ),
        (
            "<body>a b</body>" + _MARKUP.format("<bcode start='0' end='3' language='c'/>"),
            [("code-block", "a b")],
        ),
        ("<body>a b</body>" + _XHTML.format("a <strong>b</strong>"), [("bold", "b")]),
        ("<body>a b</body>" + _XHTML.format("other <strong>b</strong>"), []),
        (
            "<body>boo</body><spoiler xmlns='urn:xmpp:spoiler:0'>ghosts</spoiler>",
            [("spoiler", "boo")],
        ),
        ("<spoiler xmlns='urn:xmpp:spoiler:0'>ghosts</spoiler>", []),
    ],
)
def test_req_438_what_clients_say_of_styles(inner: str, expected: list[tuple[str, str]]) -> None:
    element = fromstring(f"<message xmlns='jabber:component:accept' type='chat'>{inner}</message>")
    message = read_message(element)
    assert _said(message.body or "", message.spans) == expected
