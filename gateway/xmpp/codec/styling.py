# SPDX-License-Identifier: Apache-2.0
"""Reading XEP-0393: the styles that people write into a text, with asterisks and the like.

The text stays as it is: what says a style is a span of its own in it (`gateway.text.Style.MARK`).
The time it takes grows with the length of the text alone, whatever that is.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import islice

from gateway.text import MOST_SPANS, Span, Style, tree

_OF_DIRECTIVE = {
    "*": Style.BOLD,
    "_": Style.ITALIC,
    "~": Style.STRIKE,
    "`": Style.CODE,
}
DIRECTIVE_OF = {style: directive for directive, style in _OF_DIRECTIVE.items()}
FENCE = "```"
_MAYBE = re.compile(r"[*_~`]|^>", re.MULTILINE)
_DEEPEST = 10
"""Quotes within quotes; what is deeper is their text."""
_LONGEST_LANGUAGE = 40

_Line = tuple[int, int]
"""Where it begins and ends in the text; the newline is not part of it."""


def styled(text: str) -> tuple[Span, ...]:
    """Which parts of a text have which style."""
    if _MAYBE.search(text) is None:
        return ()
    found = _Reader(text).blocks(list(_lines(text)), 0)
    return tree(islice(found, MOST_SPANS), len(text))


def _lines(text: str) -> Iterator[_Line]:
    begin = 0
    for line in text.split("\n"):
        yield begin, begin + len(line)
        begin += len(line) + 1


class _Reader:
    """Of one text."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._closing = {
            directive: [
                found.start() for found in re.finditer(rf"(?<=\S){re.escape(directive)}", text)
            ]
            for directive in _OF_DIRECTIVE
            if directive in text
        }
        """Where each directive may end a span (XEP-0393 §6.2)."""

    def blocks(self, lines: Sequence[_Line], depth: int) -> Iterator[Span]:
        """XEP-0393 §6.1."""
        at = 0
        while at < len(lines):
            begin, end = lines[at]
            if self._text.startswith(FENCE, begin, end):
                last = self._fence(lines, at)
                yield from self._code(lines[at : last + 1])
                at = last + 1
            elif depth < _DEEPEST and self._text.startswith(">", begin, end):
                last = at
                while last + 1 < len(lines) and self._is_quote(lines[last + 1]):
                    last += 1
                yield from self._quote(lines[at : last + 1], depth)
                at = last + 1
            else:
                yield from self._spans(begin, end)
                at += 1

    def _is_quote(self, line: _Line) -> bool:
        return self._text.startswith(">", *line)

    def _fence(self, lines: Sequence[_Line], first: int) -> int:
        """The line that ends a block of code: the last one, if none does."""
        for at in range(first + 1, len(lines)):
            begin, end = lines[at]
            if end - begin == len(FENCE) and self._text.startswith(FENCE, begin):
                return at
        return len(lines) - 1

    def _code(self, lines: Sequence[_Line]) -> Iterator[Span]:
        (begin, opened), (closing, end) = lines[0], lines[-1]
        is_closed = len(lines) > 1 and self._text[closing:end] == FENCE
        inner = lines[1:-1] if is_closed else lines[1:]
        if not inner:
            return
        language = self._text[begin + len(FENCE) : opened].strip()
        value = language if len(language) <= _LONGEST_LANGUAGE else ""
        yield Span(Style.CODE_BLOCK, begin, end, value)
        yield Span(Style.MARK, begin, inner[0][0])
        if is_closed:
            yield Span(Style.MARK, inner[-1][1], end)

    def _quote(self, lines: Sequence[_Line], depth: int) -> Iterator[Span]:
        yield Span(Style.QUOTE, lines[0][0], lines[-1][1])
        inner = []
        for begin, end in lines:
            is_spaced = begin + 1 < end and self._text[begin + 1].isspace()
            own = begin + 2 if is_spaced else begin + 1
            yield Span(Style.MARK, begin, own)
            inner.append((own, end))
        yield from self.blocks(inner, depth + 1)

    def _spans(self, begin: int, end: int) -> Iterator[Span]:
        """XEP-0393 §6.2."""
        text, at = self._text, begin
        while at < end:
            style = _OF_DIRECTIVE.get(text[at])
            if style is None or not (at == begin or text[at - 1].isspace()):
                at += 1
                continue
            closing = self._closes(at, end)
            if closing is None:
                at += 1
            elif closing == at + 1:
                at += 2  # nothing is between them
            else:
                yield Span(style, at, closing + 1)
                yield Span(Style.MARK, at, at + 1)
                yield Span(Style.MARK, closing, closing + 1)
                if style is not Style.CODE:
                    yield from self._spans(at + 1, closing)
                at = closing + 1

    def _closes(self, opening: int, end: int) -> int | None:
        text = self._text
        if opening + 1 >= end or text[opening + 1].isspace():
            return None
        places = self._closing[text[opening]]
        found = bisect_left(places, opening + 1)
        return places[found] if found < len(places) and places[found] < end else None
