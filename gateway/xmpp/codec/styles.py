# SPDX-License-Identifier: Apache-2.0
"""The styles of a text that a client has sent: written in it (XEP-0393), and said beside it
(XEP-0394, XEP-0382, XEP-0071)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from xml.etree.ElementTree import Element

from gateway.text import Span, Style, html, tree
from gateway.xmpp.codec.enclosing import place
from gateway.xmpp.codec.styling import styled

MARKUP, SPOILER, UNSTYLED, XHTML = (
    "{urn:xmpp:markup:0}markup",
    "{urn:xmpp:spoiler:0}spoiler",
    "{urn:xmpp:styling:0}unstyled",
    "{http://jabber.org/protocol/xhtml-im}html",
)
_MARKUP = MARKUP.removesuffix("markup")
_IN_MARKUP = {
    "strong": Style.BOLD,
    "emphasis": Style.ITALIC,
    "deleted": Style.STRIKE,
    "code": Style.CODE,
}
_BLOCKS = {f"{_MARKUP}bcode": Style.CODE_BLOCK, f"{_MARKUP}bquote": Style.QUOTE}
_XHTML_BODY = "{http://www.w3.org/1999/xhtml}body"
_LONGEST = 100
_MOST_BESIDE = 100


@dataclass(slots=True)
class Said:
    """What a message says of the styles of its text, beside that."""

    is_unstyled: bool = False
    markup: Element | None = None
    spoiler: str | None = None
    """What it is about; None if it is none."""
    xhtml: Element | None = None

    def take(self, child: Element) -> None:
        """An element of the message; the first one of each kind counts."""
        match child.tag:
            case tag if tag == UNSTYLED:
                self.is_unstyled = True
            case tag if tag == MARKUP and self.markup is None:
                self.markup = child
            case tag if tag == SPOILER and self.spoiler is None:
                self.spoiler = " ".join((child.text or "").split())[:_LONGEST]
            case tag if tag == XHTML and self.xhtml is None:
                self.xhtml = child


def spans_of(body: str, said: Said | None) -> tuple[Span, ...]:
    """Places are those in the whole body."""
    written = styled(body) if said is None or not said.is_unstyled else ()
    if said is None:
        return written
    spans = [*written]
    for span in [*_marked(said.markup), *_in_xhtml(said.xhtml, body)][:_MOST_BESIDE]:
        if not any(_is_same(span, known) for known in spans):
            spans.append(span)
    if said.spoiler is not None:
        spans.append(Span(Style.SPOILER, 0, len(body), said.spoiler))
    return tree(spans, len(body))


def _is_same(one: Span, other: Span) -> bool:
    """Said twice: clients that say it beside the text may write it too."""
    overlap = one.begin < other.end and other.begin < one.end
    return one.style is other.style and overlap


def _marked(markup: Element | None) -> Iterator[Span]:
    """XEP-0394 §3."""
    for child in markup if markup is not None else ():
        begin, end = place(child.get("start")), place(child.get("end"))
        if begin is None or end is None:
            continue
        if child.tag == f"{_MARKUP}span":
            for name, style in _IN_MARKUP.items():
                if child.find(f"{_MARKUP}{name}") is not None:
                    yield Span(style, begin, end)
        elif child.tag in _BLOCKS:
            language = child.get("language", "")[:_LONGEST]
            style = _BLOCKS[child.tag]
            yield Span(style, begin, end, language if style is Style.CODE_BLOCK else "")


def _in_xhtml(xhtml: Element | None, body: str) -> Iterator[Span]:
    """XEP-0071 §5. Only where it says the words of the body: else it is another text."""
    root = xhtml.find(_XHTML_BODY) if xhtml is not None else None
    if root is None:
        return
    read = html.walk(root)
    if read.text == body.strip():
        by = len(body) - len(body.lstrip())
        for span in read.spans:
            yield Span(span.style, span.begin + by, span.end + by, span.value)
