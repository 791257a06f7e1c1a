# SPDX-License-Identifier: Apache-2.0
"""Writing the styles of a text: as people do (XEP-0393), for clients that know how to show that,
and for all that do not; and beside it (XEP-0394, XEP-0382).

What would not be read as a style again is not written as one (REQ-437): then the text is all that
is said. Places are code points.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, islice, pairwise

from gateway.text import HIDDEN, MOST_SPANS, Span, Style, concealed
from gateway.text.direction import closed, unclosed
from gateway.xmpp.codec.styling import DIRECTIVE_OF, FENCE, styled
from gateway.xmpp.codec.xml import attribute, text

UNSTYLED = "<unstyled xmlns='urn:xmpp:styling:0'/>"
"""XEP-0393 §7: what looks like a style is none."""
_MARKUP = "urn:xmpp:markup:0"
_MOST_MARKUP = 100
"""Spans beside a text: each takes more place than a word."""
_MOST_INSERTED = 16_000
"""Characters. A text has its limit, as one stanza (REQ-105)."""
_MOST_LINES = 4_000
"""Of a text in which lines are quoted."""
_LONGEST_HINT = 200
_QUOTE_MARK = "> "
_LINE = re.compile(r"[^\n]+")
_LANGUAGE = re.compile(r"[\w+#.\-]{1,40}")
_IN_MARKUP = {
    Style.BOLD: "strong",
    Style.ITALIC: "emphasis",
    Style.STRIKE: "deleted",
    Style.CODE: "code",
}


@dataclass(frozen=True, slots=True)
class _Insertion:
    """What is put into the text, before the character at ``place``."""

    place: int
    words: str
    span: Span | None = None
    """Of which it is a directive, if it is one that may be read otherwise."""


@dataclass(frozen=True, slots=True)
class Written:
    """A text with its styles."""

    body: str
    beside: str = ""
    """XML."""
    places: tuple[int, ...] = ()
    """Where something was put into the text,"""
    sizes: tuple[int, ...] = ()
    """and how much it is up to there."""

    def begin(self, place: int) -> int:
        """Where in the body something begins that begins there in the text."""
        return place + self._before(bisect_right(self.places, place))

    def end(self, place: int) -> int:
        """Where in the body something ends that ends there in the text."""
        return place + self._before(bisect_left(self.places, place))

    def _before(self, number: int) -> int:
        return self.sizes[number - 1] if number else 0


def restyled(plain: str, spans: Sequence[Span], offset: int = 0) -> Written:
    """``offset``: what will stand before the body."""
    missing = unclosed(plain)
    if not spans and not missing:
        return Written(plain, UNSTYLED if styled(plain) else "")
    written = _with_directives(plain, spans, [_Insertion(*each) for each in missing])
    if spans:
        beside = _markup(plain, spans, written, offset) + _spoiler(plain, spans)
    else:
        beside = UNSTYLED if styled(written.body) else ""
    return replace(written, beside=beside)


# --- within the text ------------------------------------------------------------------------


def _with_directives(plain: str, spans: Sequence[Span], closing: Sequence[_Insertion]) -> Written:
    """``closing``: what has to be put into it in any case."""
    blocks, inline = list(_blocks(plain, spans)), list(_inline(plain, spans))
    if sum(len(one.words) for one in [*blocks, *inline]) > _MOST_INSERTED:
        return _inserted(plain, closing)[0]
    blocks = [*closing, *blocks]
    for _ in range(2):
        written, at = _inserted(plain, [*blocks, *inline])
        read = {span.begin for span in styled(written.body) if span.style is Style.MARK}
        unread = {one.span for one, place in at if one.span is not None and place not in read}
        if not unread:
            return written
        inline = [one for one in inline if one.span not in unread]
    return _inserted(plain, blocks)[0]


def _inserted(
    plain: str, insertions: Sequence[_Insertion]
) -> tuple[Written, list[tuple[_Insertion, int]]]:
    """The text with all that, and where each of these is in it."""
    ordered = sorted(insertions, key=lambda one: one.place)
    sizes = tuple(accumulate(len(one.words) for one in ordered))
    parts, done, at = [], 0, []
    for one, size in zip(ordered, sizes, strict=True):
        parts += [plain[done : one.place], one.words]
        done = one.place
        at.append((one, one.place + size - len(one.words)))
    body = "".join([*parts, plain[done:]])
    return Written(body, "", tuple(one.place for one in ordered), sizes), at


def _blocks(plain: str, spans: Sequence[Span]) -> Iterator[_Insertion]:
    """Of those that are at one place the outer one comes first, as the spans do; what closes
    comes before what opens. ``sorted`` keeps that order."""
    marks = _quote_marks(plain, spans)
    for place, mark in marks.items():
        yield _Insertion(place, mark)
    for span in spans:
        if span.style is Style.CODE_BLOCK and _is_fenceable(plain, span):
            mark = marks.get(span.begin, "")
            language = span.value if _LANGUAGE.fullmatch(span.value) else ""
            yield _Insertion(span.begin, f"{FENCE}{language}\n{mark}")
            yield _Insertion(span.end, f"\n{mark}{FENCE}")


def _quote_marks(plain: str, spans: Sequence[Span]) -> dict[int, str]:
    """What stands before each line that is quoted."""
    quotes = [span for span in spans if span.style is Style.QUOTE and _is_lines(plain, span)]
    marks: dict[int, str] = {}
    if not quotes or plain.count("\n") > _MOST_LINES:
        return marks
    within: list[int] = []
    for line in re.finditer("^", plain, re.MULTILINE):
        while within and within[-1] <= line.start():
            within.pop()
        while quotes and quotes[0].begin <= line.start():
            within.append(quotes.pop(0).end)
        if within:
            marks[line.start()] = _QUOTE_MARK * len(within)
    return marks


def _is_lines(plain: str, span: Span) -> bool:
    begins = span.begin == 0 or plain[span.begin - 1] == "\n"
    return begins and (span.end == len(plain) or plain[span.end] == "\n")


def _is_fenceable(plain: str, span: Span) -> bool:
    return _is_lines(plain, span) and FENCE not in plain[span.begin : span.end]


def _inline(plain: str, spans: Sequence[Span]) -> Iterator[_Insertion]:
    """Line by line: no style goes on in the next one. What closes at a place was opened last."""
    closing: list[_Insertion] = []
    opening: list[_Insertion] = []
    code = 0
    for span in spans:
        if span.style is Style.LINK and _is_named(plain, span):
            closing.append(_Insertion(span.end, f" ({span.value})"))
        directive, is_in_code = DIRECTIVE_OF.get(span.style), span.begin < code
        if span.style in (Style.CODE, Style.CODE_BLOCK):
            code = max(code, span.end)
        if directive is None or is_in_code:
            continue
        for begin, end in islice(_parts(plain, span), MOST_SPANS - len(opening)):
            part = Span(span.style, begin, end)
            if directive not in plain[begin:end] and _may_open(plain, begin, opening, directive):
                opening.append(_Insertion(begin, directive, part))
                closing.append(_Insertion(end, directive, part))
    yield from reversed(closing)
    yield from opening


def _parts(plain: str, span: Span) -> Iterator[tuple[int, int]]:
    for line in _LINE.finditer(plain, span.begin, span.end):
        words = line[0].strip()
        if words:
            begin = line.start() + line[0].index(words)
            yield begin, begin + len(words)


def _may_open(plain: str, begin: int, opened: Sequence[_Insertion], directive: str) -> bool:
    if begin == 0 or plain[begin - 1].isspace():
        return True
    return bool(opened) and opened[-1].place == begin and opened[-1].words != directive


def _is_named(plain: str, link: Span) -> bool:
    """Its words are not its address."""
    words = plain[link.begin : link.end]
    return bool(link.value) and words not in (
        link.value,
        link.value.removeprefix("mailto:"),
        link.value.removeprefix("https://").removeprefix("http://").rstrip("/"),
    )


# --- beside the text ------------------------------------------------------------------------


def _markup(plain: str, spans: Sequence[Span], written: Written, offset: int) -> str:
    """XEP-0394 §3. Spans do not overlap there; several styles of one part are in one."""
    parts = []
    for span in spans:
        if span.style is Style.CODE_BLOCK:
            place = _place(written.begin(span.begin), written.end(span.end), offset)
            language = f" language='{attribute(span.value)}'" if span.value else ""
            parts.append(f"<bcode{place}{language}/>")
        elif span.style is Style.QUOTE:
            place = _place(written.end(span.begin), written.end(span.end), offset)
            parts.append(f"<bquote{place}/>")  # with its first mark (XEP-0394 §3.4)
    for begin, end, styles in _flat(spans, len(plain)):
        names = "".join(f"<{name}/>" for name in sorted(_IN_MARKUP[each] for each in styles))
        place = _place(written.begin(begin), written.end(end), offset)
        parts.append(f"<span{place}>{names}</span>")
    if not parts:
        return ""
    return f"<markup xmlns='{_MARKUP}'>{''.join(parts[:_MOST_MARKUP])}</markup>"


def _place(begin: int, end: int, offset: int) -> str:
    return f" start='{begin + offset}' end='{end + offset}'"


def _flat(spans: Sequence[Span], length: int) -> Iterator[tuple[int, int, set[Style]]]:
    """The parts of the text that are of the same styles, within the same block."""
    spans = spans[:_MOST_MARKUP]
    inline = [span for span in spans if span.style in _IN_MARKUP]
    if not inline:
        return
    cuts = sorted({0, length, *(at for span in spans for at in (span.begin, span.end))})
    for begin, end in pairwise(cuts):
        styles = {span.style for span in inline if span.begin <= begin and end <= span.end}
        if styles:
            yield begin, end, styles


def _spoiler(plain: str, spans: Sequence[Span]) -> str:
    """XEP-0382: the message as a whole is one. The hint is what is not hidden, if something is
    not."""
    if not any(span.style is Style.SPOILER for span in spans):
        return ""
    hint = concealed(plain, spans, hinted=True).strip()
    hint = hint if len(hint) <= _LONGEST_HINT else f"{hint[: _LONGEST_HINT - 1]}…"
    hint = "" if hint == HIDDEN else closed(hint)
    return f"<spoiler xmlns='urn:xmpp:spoiler:0'>{text(hint)}</spoiler>"
