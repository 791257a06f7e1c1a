# SPDX-License-Identifier: Apache-2.0
"""Styles of texts, as entities of the Bot API have them, both ways. No I/O.

Bot API, "MessageEntity". Places are in UTF-16 code units there, and in code points here. Entities
of one text lie within one another or apart, as spans do; which ones may lie in which is stricter.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Final

from msgspec import structs
from telegram import MessageEntity, User

from adapters.telegram.naming import Usernames, link_to, linked, with_people
from gateway.events import Mention
from gateway.text import Span, Style, clean, tree

_STYLES: Final = {
    MessageEntity.BOLD: Style.BOLD,
    MessageEntity.ITALIC: Style.ITALIC,
    MessageEntity.STRIKETHROUGH: Style.STRIKE,
    MessageEntity.UNDERLINE: Style.UNDERLINE,
    MessageEntity.SPOILER: Style.SPOILER,
    MessageEntity.CODE: Style.CODE,
    MessageEntity.PRE: Style.CODE_BLOCK,
    MessageEntity.BLOCKQUOTE: Style.QUOTE,
    MessageEntity.EXPANDABLE_BLOCKQUOTE: Style.QUOTE,
    MessageEntity.TEXT_LINK: Style.LINK,
}
_KINDS: Final = {style: str(kind) for kind, style in reversed(_STYLES.items())}
_BLOCKS = frozenset({Style.QUOTE, Style.CODE_BLOCK})
_CODE = frozenset({Style.CODE, Style.CODE_BLOCK})
_WHOLE = _CODE | {Style.LINK}
"""None of these lies in another one of them."""
_SCHEMES = ("https://", "http://", "tg://", "ton://")
"""Telegram makes no links of other addresses."""
MOST_ENTITIES = 100


def units(text: str) -> int:
    """How long it is in UTF-16."""
    return len(text) + sum(char > "\uffff" for char in text)


def _places(text: str) -> list[int]:
    """Where each code point begins in UTF-16, and where the last one ends."""
    return list(accumulate((1 + (char > "\uffff") for char in text), initial=0))


# --- from the network -------------------------------------------------------------------------


def told(
    text: str, entities: Iterable[MessageEntity], usernames: Usernames
) -> tuple[str, tuple[Span, ...]]:
    """The text with its styles; people whom it names are links, as in `adapters.telegram.naming`.
    Blocks get lines of their own, as apps show them."""
    text = clean(text)
    places = _places(text)
    spans = []
    for entity in entities:
        begin = max(bisect_right(places, entity.offset) - 1, 0)
        end = min(bisect_left(places, entity.offset + entity.length), len(text))
        style = _STYLES.get(entity.type)
        if style in _BLOCKS:
            begin, end = _lines(text, begin, end)
        if style is not None:
            spans.append(Span(style, begin, end, _value(entity, style)))
        elif (user := usernames.named(entity, text[begin:end])) is not None:
            begin += text.startswith("@", begin, end)
            spans.append(Span(Style.LINK, begin, end, link_to(user)))
    return _on_lines(text, tree(spans, len(text)))


def _value(entity: MessageEntity, style: Style) -> str:
    if style is Style.LINK:
        return clean(entity.url or "")
    return clean(entity.language or "") if style is Style.CODE_BLOCK else ""


def _lines(text: str, begin: int, end: int) -> tuple[int, int]:
    """A block without the newlines at its ends."""
    while begin < end and text[begin] == "\n":
        begin += 1
    while begin < end and text[end - 1] == "\n":
        end -= 1
    return begin, end


def _on_lines(text: str, spans: tuple[Span, ...]) -> tuple[str, tuple[Span, ...]]:
    blocks = [span for span in spans if span.style in _BLOCKS]
    edges = {place for block in blocks for place in (block.begin, block.end)}
    breaks = sorted(
        place
        for place in edges
        if 0 < place < len(text) and text[place - 1] != "\n" and text[place] != "\n"
    )
    if not breaks:
        return text, spans
    parts = [text[begin:end] for begin, end in zip([0, *breaks], [*breaks, None], strict=True)]
    moved = (
        structs.replace(
            span,
            begin=span.begin + bisect_right(breaks, span.begin),
            end=span.end + bisect_left(breaks, span.end),
        )
        for span in spans
    )
    broken = "\n".join(parts)
    return broken, tree(moved, len(broken))


# --- to the network ---------------------------------------------------------------------------


def written(
    text: str, spans: Sequence[Span], mentions: Iterable[Mention] = ()
) -> tuple[str, tuple[MessageEntity, ...]]:
    """The text without the marks of styles that Telegram shows, and its entities. ``spans``: a
    tree."""
    writer = _Writer(text)
    for span in with_people(text, spans, mentions):
        writer.take(span)
    plain, kept = writer.end()
    places = _places(plain)
    return plain, tuple(_entity(span, plain, places) for span in kept)


def _entity(span: Span, text: str, places: Sequence[int]) -> MessageEntity:
    offset = places[span.begin]
    length = places[span.end] - offset
    if span.style is Style.LINK and (user := linked(span.value)) is not None:
        person = User(int(user), text[span.begin : span.end], is_bot=False)
        return MessageEntity(MessageEntity.TEXT_MENTION, offset, length, user=person)
    return MessageEntity(
        type=_KINDS[span.style],
        offset=offset,
        length=length,
        url=span.value if span.style is Style.LINK else None,
        language=(span.value or None) if span.style is Style.CODE_BLOCK else None,
    )


@dataclass(slots=True)
class _Writer:
    text: str
    _open: list[tuple[Span, bool]] = field(default_factory=list)
    """What the next span may lie in, and whether that is kept."""
    _kept: list[Span] = field(default_factory=list)
    _marks: list[Span] = field(default_factory=list)

    def take(self, span: Span) -> None:
        """Spans come as in `tree`."""
        while self._open and self._open[-1][0].end <= span.begin:
            self._open.pop()
        if span.style is Style.MARK:
            is_new = not self._marks or self._marks[-1].end <= span.begin
            if self._open and self._open[-1][1] and is_new:
                self._marks.append(span)
            return
        is_kept = self._may_be(span)
        self._open.append((span, is_kept))
        if is_kept:
            self._kept.append(span)

    def _may_be(self, span: Span) -> bool:
        if span.style is Style.LINK and not span.value.lower().startswith(_SCHEMES):
            return False
        around = {outer.style for outer, is_kept in self._open if is_kept}
        if around & _CODE or span.style in around:
            return False
        return not (around & _WHOLE and span.style in _WHOLE | {Style.QUOTE})

    def end(self) -> tuple[str, list[Span]]:
        """The text without marks, and what is kept, in it."""
        places, parts, at, gone = [0] * (len(self.text) + 1), [], 0, 0
        for mark in [*self._marks, Span(Style.MARK, len(self.text), len(self.text) + 1)]:
            for place in range(at, mark.begin + 1):
                places[place] = place - gone
            parts.append(self.text[at : mark.begin])
            for place in range(max(mark.begin, at), min(mark.end, len(self.text) + 1)):
                places[place] = mark.begin - gone
            at, gone = mark.end, gone + mark.end - mark.begin
        plain = "".join(parts)
        inner = (
            structs.replace(span, begin=places[span.begin], end=places[span.end])
            for span in self._kept
        )
        whole = tree(inner, len(plain))
        return plain, list(tree(_split(whole), len(plain)))[:MOST_ENTITIES]


def _split(spans: Sequence[Span]) -> Iterable[Span]:
    """What lies around code is around all but that."""
    codes = [span for span in spans if span.style in _CODE]
    for span in spans:
        begin = span.begin
        if span.style not in _WHOLE | {Style.QUOTE}:
            for code in codes:
                if span.begin <= code.begin and code.end <= span.end:
                    yield structs.replace(span, begin=begin, end=code.begin)
                    begin = code.end
        yield structs.replace(span, begin=begin)
