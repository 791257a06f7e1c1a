# SPDX-License-Identifier: Apache-2.0
"""Styled text as HTML: no word is lost, and nothing that people write becomes a tag (REQ-438)."""

from __future__ import annotations

import lxml.html
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.text import Span, Style, clean, tree
from gateway.text.html import read, write
from gateway.xmpp.codec.styling import styled

_SPOILER = "data-spoiler"


@pytest.mark.parametrize(
    ("html", "text", "expected"),
    [
        ("hello <b>bold</b>!", "hello bold!", [("bold", "bold", "")]),
        ("<p>a</p><p>b <em>c </em>d</p>", "a\n\nb c d", [("italic", "c", "")]),
        ("a<br>b<br/><br/>c", "a\nb\n\nc", []),
        ("<blockquote><p>q<br>r</p></blockquote><p>s</p>", "q\nr\n\ns", [("quote", "q\nr", "")]),
        (
            '<pre><code class="language-py">x\n  y\n</code></pre>z',
            "x\n  y\nz",
            [("code-block", "x\n  y", "py")],
        ),
        ("<ul><li>a</li><li>b<ul><li>c</li></ul></li></ul>", "- a\n- b\n  - c", []),
        ("<ol start=3><li>a</li><li>b</li></ol>", "3. a\n4. b", []),
        ("<ol start=-1><li>a</li></ol>", "1. a", []),
        ("<a href='https://e.example'>e</a>", "e", [("link", "e", "https://e.example")]),
        ("<span data-spoiler='w'>s</span>", "s", [("spoiler", "s", "w")]),
        ("<quote>no</quote><script>x</script>yes", "yes", []),
        ("<img alt=':smile:' src='mxc://a/b'>", ":smile:", []),
        ("a &lt;b&gt; &amp; c", "a <b> & c", []),
        ("<b>open <i>x", "open x", [("bold", "open x", ""), ("italic", "x", "")]),
        ("<h1>T</h1>x<hr>y", "T\n\nx\n———\ny", [("bold", "T", "")]),
        ("<table><tr><td>a</td><td>b</td></tr></table>", "a | b", []),
        ("<!-- c -->z<?x?>", "z", []),
        ("", "", []),
        ("  \n ", "", []),
        ("\x00\ud800ok", "\ufffd\ufffdok", []),
    ],
)
def test_what_is_seen(html: str, text: str, expected: list[tuple[str, str, str]]) -> None:
    found = read(html, without=("quote",), spoiler=_SPOILER)
    assert found.text == text
    said = [(s.style.value, found.text[s.begin : s.end], s.value) for s in found.spans]
    assert said == expected


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("a *b* <c>", "a <strong>b</strong> &lt;c&gt;"),
        ("> q\n> _r_\ns", "<blockquote>q<br/><em>r</em></blockquote>s"),
        (
            "a\n```py\nx<1\n  y\n```\nb",
            'a<pre><code class="language-py">x&lt;1\n  y</code></pre>b',
        ),
        ("> > a\n> b", "<blockquote><blockquote>a</blockquote>b</blockquote>"),
        ("plain <b>", ""),
    ],
)
def test_how_it_is_written(text: str, html: str) -> None:
    assert write(text, styled(text)) == html


def test_links_of_no_good_kind_are_words() -> None:
    spans = (Span(Style.LINK, 0, 4, "javascript:alert(1)"), Span(Style.BOLD, 0, 4))
    assert write("here", spans) == "<strong>here</strong>"
    linked = write("here", (Span(Style.LINK, 0, 4, 'https://e.example/"><script>'),))
    assert linked == '<a href="https://e.example/&quot;&gt;&lt;script&gt;">here</a>'


_STYLES = st.lists(
    st.tuples(
        st.sampled_from([style for style in Style if style is not Style.MARK]),
        st.integers(0, 30),
        st.integers(0, 30),
        st.sampled_from(["", "https://e.example", '"><b>', "py"]),
    ),
    max_size=6,
)
_TEXTS = st.text(st.sampled_from("ab <>&\"'\n\u00e9🎉") | st.characters(), max_size=30)


@given(_TEXTS, _STYLES)
def test_req_438_nothing_in_a_text_becomes_a_tag(
    text: str, spans: list[tuple[Style, int, int, str]]
) -> None:
    """Whatever people write: the words that are shown are theirs, and the tags are ours."""
    text = clean(text)
    told = tree([Span(*span) for span in spans], len(text))
    html = write(text, told, spoiler=_SPOILER)
    if not html:
        return
    shown = lxml.html.fragment_fromstring(html, create_parent="div")
    tags = {element.tag for element in shown.iter()}
    assert tags <= {
        "div", "strong", "em", "del", "u", "code", "pre", "blockquote", "a", "span", "br",
    }  # fmt: skip
    words = "".join(shown.itertext())
    assert _words(words) == _words(text)


@given(_TEXTS, _STYLES)
def test_req_438_what_was_written_is_read_again(
    text: str, spans: list[tuple[Style, int, int, str]]
) -> None:
    text = clean(text)
    told = tree([Span(*span) for span in spans], len(text))
    html = write(text, told, spoiler=_SPOILER)
    if html:
        assert _words(read(html, spoiler=_SPOILER).text) == _words(text)


@given(st.text(max_size=200) | st.text(st.sampled_from("<>/abipre= '\"&;-!"), max_size=200))
def test_whatever_strangers_write_is_read(html: str) -> None:
    found = read(html, spoiler=_SPOILER)
    assert found.spans == tree(found.spans, len(found.text))
    assert clean(found.text) == found.text


def test_too_many_elements_are_no_text() -> None:
    """Others have to wait for whoever reads them: then the plain text is taken."""
    assert read("<i>x</i>" * 3_001).text == ""
    assert read("<i>x</i>" * 2_999).text == "x" * 2_999


def _words(text: str) -> str:
    return "".join(text.replace("\ufeff", "").split())
