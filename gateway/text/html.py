# SPDX-License-Identifier: Apache-2.0
"""Styled text as HTML, both ways.

What strangers have written is read by a parser and never passed on as it is; what is written has
no tag but those that are named here, and every character of the text is escaped.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from html import escape
from typing import Any

import lxml.etree
import lxml.html

from gateway.text import Span, Style, clean, tree

_SPACE = (" ", "\t", "\n", "\r", "\f")
_SPACES = re.compile(f"[{''.join(_SPACE)}]+")
_STYLES = {
    **dict.fromkeys(("b", "strong", "h1", "h2", "h3", "h4", "h5", "h6", "th"), Style.BOLD),
    **dict.fromkeys(("i", "em", "cite", "dfn", "var"), Style.ITALIC),
    **dict.fromkeys(("s", "del", "strike"), Style.STRIKE),
    **dict.fromkeys(("u", "ins"), Style.UNDERLINE),
    **dict.fromkeys(("code", "tt", "kbd", "samp"), Style.CODE),
    "pre": Style.CODE_BLOCK,
    "blockquote": Style.QUOTE,
    "a": Style.LINK,
}
_MARGINS = {
    **dict.fromkeys(("p", "h1", "h2", "h3", "h4", "h5", "h6"), 2),
    **dict.fromkeys(("div", "blockquote", "pre", "details", "summary", "section", "figure"), 1),
    **dict.fromkeys(("ul", "ol", "li", "dl", "dt", "dd", "table", "caption", "tr", "hr"), 1),
}
"""Newlines between such an element and what is beside it."""
_NO_WORDS = frozenset({"script", "style", "head", "title", "template"})
_RULE = "———"
_MOST_ELEMENTS = 3_000
_LONGEST_NUMBER = 7
_LANGUAGE = re.compile(r"\blanguage-([\w+#.\-]{1,40})")


@dataclass(frozen=True, slots=True)
class Styled:
    """A text with its styles."""

    text: str
    spans: tuple[Span, ...] = ()


def read(html: str, *, without: Collection[str] = (), spoiler: str = "") -> Styled:
    """The text that somebody sees who is shown this. Never raises: of what is no text, or has more
    elements than anybody writes, there is none.

    ``without``: elements that are left out, with all that is in them. ``spoiler``: the attribute
    of what is hidden at first.
    """
    if not html.strip():
        return Styled("")
    try:
        root = lxml.html.fragment_fromstring(clean(html), create_parent="div")
    except (lxml.etree.LxmlError, ValueError):
        return Styled("")
    return walk(root, without=without, spoiler=spoiler)


def walk(root: Any, *, without: Collection[str] = (), spoiler: str = "") -> Styled:
    """The same of a tree that was parsed already, of elements as in the standard library."""
    try:
        return _Reader(frozenset(without) | _NO_WORDS, spoiler).read(root)
    except _TooMany:
        return Styled("")


class _TooMany(Exception):
    """Elements: others have to wait for whoever reads them."""


@dataclass(slots=True)
class _Open:
    """An element that is being read."""

    tag: str
    style: Style | None
    value: str = ""
    begin: int | None = None
    """Where its first word is."""
    item: int | None = None
    """Of a list: the number of the next point, or None if they have none."""
    cells: int = 0
    """Of a row of a table."""


@dataclass(slots=True)
class _Reader:
    without: frozenset[str]
    spoiler: str
    _written: list[str] = field(default_factory=list)
    _length: int = 0
    _open: list[_Open] = field(default_factory=list)
    _spans: list[Span] = field(default_factory=list)
    _breaks: int = 0
    """Newlines that are said, since the last word;"""
    _margin: int = 0
    """or at least so many."""
    _is_spaced: bool = False
    _elements: int = 0
    _code_blocks: int = 0
    """In how many it is."""

    def read(self, root: Any) -> Styled:
        for step in _steps(root, self.without):
            match step:
                case str():
                    self._words(step)
                case (element, True):
                    self._enter(element)
                case (element, False):
                    self._leave()
        text = "".join(self._written)
        return Styled(text, tree(self._spans, len(text)))

    def _words(self, words: str) -> None:
        if self._code_blocks:
            last = self._open[-1]
            is_first = last.begin is None and words.startswith("\n")
            self._write(words[1:] if is_first else words)
            return
        shown = " ".join(filter(None, _SPACES.split(words)))
        self._is_spaced |= words.startswith(_SPACE)
        if shown:
            self._write(shown)
            self._is_spaced = words.endswith(_SPACE)

    def _write(self, words: str) -> None:
        if not words:
            return
        newlines = max(self._breaks, self._margin)
        if self._length and newlines:
            self._append("\n" * newlines)
        elif self._length and self._is_spaced and not self._written[-1].endswith((" ", "\n")):
            self._append(" ")
        self._breaks = self._margin = 0
        self._is_spaced = False
        for each in reversed(self._open):
            if each.begin is not None:
                break  # and so has whatever is around it
            each.begin = self._length
        self._append(words)

    def _append(self, words: str) -> None:
        self._written.append(words)
        self._length += len(words)

    def _enter(self, element: Any) -> None:
        self._elements += 1
        if self._elements > _MOST_ELEMENTS:
            raise _TooMany
        tag = _name(element.tag)
        style = _STYLES.get(tag)
        value = ""
        if self.spoiler and element.get(self.spoiler) is not None:
            style, value = Style.SPOILER, " ".join(element.get(self.spoiler, "").split())
        elif style is Style.LINK:
            value = element.get("href", "").strip()
            style = style if value else None
        elif style is Style.CODE and self._code_blocks:
            style = None
        elif style is Style.CODE_BLOCK:
            value = _language(element)
            self._code_blocks += 1
        self._margin = max(self._margin, _MARGINS.get(tag, 0))
        self._stand_alone(tag, element)
        opened = _Open(tag, style, value)
        if tag == "ol":
            opened.item = _number(element.get("start", ""))
        self._open.append(opened)

    def _stand_alone(self, tag: str, element: Any) -> None:
        if tag == "br":
            self._breaks += 1
        elif tag == "hr":
            self._write(_RULE)
        elif tag == "img":
            self._words(element.get("alt") or element.get("title") or "")
        elif tag == "li":
            self._point()
        elif tag in ("td", "th"):
            row = next((each for each in reversed(self._open) if each.tag == "tr"), None)
            if row is not None and row.cells:
                self._write(" | ")
            if row is not None:
                row.cells += 1

    def _point(self) -> None:
        lists = [each for each in self._open if each.tag in ("ul", "ol")]
        indent = "  " * (len(lists) - 1)
        if lists and lists[-1].item is not None:
            self._write(f"{indent}{lists[-1].item}. ")
            lists[-1].item += 1
        else:
            self._write(f"{indent}- ")

    def _leave(self) -> None:
        left = self._open.pop()
        if left.tag in ("br", "hr", "img"):
            self._margin = max(self._margin, _MARGINS.get(left.tag, 0))
            return
        if left.style is Style.CODE_BLOCK:
            self._code_blocks -= 1
            if left.begin is not None:
                self._trim()
        if left.style is not None and left.begin is not None and left.begin < self._length:
            self._spans.append(Span(left.style, left.begin, self._length, left.value))
        self._margin = max(self._margin, _MARGINS.get(left.tag, 0))

    def _trim(self) -> None:
        """The newline before the end of a block of code is not part of it."""
        last = self._written[-1] if self._written else ""
        kept = last.removesuffix("\n")
        self._written[-1:] = [kept]
        self._length -= len(last) - len(kept)


_Step = str | tuple[Any, bool]


def _steps(root: Any, without: frozenset[str]) -> Iterator[_Step]:
    """Words, and elements that begin (True) and end, in their order; without recursion, since
    strangers say how deep it is."""
    stack: list[tuple[Any, Iterator[Any]]] = [(root, iter(root))]
    yield root.text or ""
    while stack:
        element, children = stack[-1]
        child = next(children, None)
        if child is None:
            stack.pop()
            if stack:
                yield element, False
                yield element.tail or ""
        elif not isinstance(child.tag, str) or _name(child.tag) in without:
            yield child.tail or ""
        else:
            yield child, True
            yield child.text or ""
            stack.append((child, iter(child)))


def _name(tag: str) -> str:
    return tag.rpartition("}")[2].lower()


def _number(start: str) -> int:
    is_number = start.isascii() and start.isdigit() and len(start) < _LONGEST_NUMBER
    return int(start) if is_number else 1


def _language(pre: Any) -> str:
    for element in (pre, *pre):
        found = _LANGUAGE.search(element.get("class") or "")
        if found is not None:
            return found[1]
    return ""


# --- writing ----------------------------------------------------------------------------------

_TAGS = {
    Style.BOLD: "strong",
    Style.ITALIC: "em",
    Style.STRIKE: "del",
    Style.UNDERLINE: "u",
    Style.CODE: "code",
    Style.QUOTE: "blockquote",
}
_SAFE = ("https://", "http://", "mailto:", "ftp://", "magnet:", "matrix:", "xmpp:", "geo:")
_BREAK = "<br/>"
_RUN = re.compile(r"(?<=\n) |  +")


def write(text: str, spans: Iterable[Span], *, spoiler: str = "") -> str:
    """The text with its styles; empty if it has none. ``spoiler``: as for `read`."""
    writer = _Writer(text, spoiler)
    for span in spans:
        writer.begin(span)
    written = writer.end()
    return written if writer.has_style else ""


@dataclass(slots=True)
class _Writer:
    text: str
    spoiler: str
    has_style: bool = False
    _parts: list[str] = field(default_factory=list)
    _open: list[tuple[int, str, bool]] = field(default_factory=list)
    """Where each ends, how, and whether it is a block."""
    _at: int = 0
    _hidden: int = 0
    """The text up to there is not shown."""
    _code: int = 0
    """Up to there it is as it is."""
    _after_block: bool = False

    def begin(self, span: Span) -> None:
        """Spans come as in `tree`."""
        self._close(span.begin)
        self._words(span.begin)
        if span.style is Style.MARK:
            self._hidden = max(self._hidden, span.end)
            return
        opening, closing = _tags(span, self.spoiler)
        if not opening:
            return
        self.has_style = True
        is_block = span.style in (Style.CODE_BLOCK, Style.QUOTE)
        if is_block:
            if self._parts and self._parts[-1].endswith(_BREAK):
                self._parts[-1] = self._parts[-1].removesuffix(_BREAK)
            self._after_block = False
        if span.style is Style.CODE_BLOCK:
            self._code = span.end
        self._parts.append(opening)
        self._open.append((span.end, closing, is_block))

    def end(self) -> str:
        """What is left of the text."""
        self._close(len(self.text))
        self._words(len(self.text))
        while self._open:
            self._parts.append(self._open.pop()[1])
        return "".join(self._parts)

    def _close(self, place: int) -> None:
        while self._open and self._open[-1][0] <= place:
            end, closing, is_block = self._open.pop()
            self._words(end)
            self._parts.append(closing)
            self._after_block |= is_block

    def _words(self, end: int) -> None:
        begin, self._at = max(self._at, self._hidden), max(self._at, end)
        words = self.text[begin:end] if begin < end else ""
        if not words:
            return
        if self._after_block:
            words = words.removeprefix("\n")
            self._after_block = False
        if begin < self._code:
            self._parts.append(escape(words, quote=False))
        else:
            words = _RUN.sub(_kept, escape(words, quote=False))
            self._parts.append(words.replace("\n", _BREAK))


def _kept(spaces: re.Match[str]) -> str:
    """Of several spaces HTML shows one."""
    return "\xa0" * (len(spaces[0]) - 1) + " " if len(spaces[0]) > 1 else "\xa0"


def _tags(span: Span, spoiler: str) -> tuple[str, str]:
    if span.style is Style.LINK:
        if not span.value.lower().startswith(_SAFE):
            return "", ""
        return f'<a href="{escape(span.value)}">', "</a>"
    if span.style is Style.CODE_BLOCK:
        language = f' class="language-{escape(span.value)}"' if span.value else ""
        return f"<pre><code{language}>", "</code></pre>"
    if span.style is Style.SPOILER:
        if not spoiler:
            return "", ""
        return f'<span {spoiler}="{escape(span.value)}">', "</span>"
    tag = _TAGS[span.style]
    return f"<{tag}>", f"</{tag}>"
