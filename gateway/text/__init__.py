# SPDX-License-Identifier: Apache-2.0
"""Text, as all sides can carry it."""

from __future__ import annotations

import enum
import re
from collections.abc import Iterable, Iterator

import msgspec
from msgspec import structs


class Style(enum.StrEnum):
    """How a part of a text is meant."""

    BOLD = "bold"
    ITALIC = "italic"
    STRIKE = "strike"
    UNDERLINE = "underline"
    CODE = "code"
    CODE_BLOCK = "code-block"
    """``value``: the language, if it is said."""
    QUOTE = "quote"
    """Whole lines. The text has no mark before them."""
    SPOILER = "spoiler"
    """``value``: what it is about, if it is said."""
    LINK = "link"
    """``value``: the address."""
    MARK = "mark"
    """What stands in the text to say the style of the span around it, such as the asterisks of a
    bold word. It is left out where that style can be shown."""


class Span(msgspec.Struct, frozen=True, omit_defaults=True):
    """A part of a text that has a style. Spans of one text are a tree: of two, one is within the
    other, or they do not overlap. They are in the order of where they begin, outer ones first."""

    style: Style
    begin: int
    end: int
    """In code points; the end is not part of it."""
    value: str = ""


MOST_SPANS = 500
"""Of one text. Nobody needs more, and each costs."""


def tree(spans: Iterable[Span], length: int) -> tuple[Span, ...]:
    """Spans of a text of so many code points, in order, without what is empty, outside of it or
    crosses another one."""
    kept: list[Span] = []
    ends: list[int] = []
    for span in sorted(spans, key=lambda span: (span.begin, -span.end)):
        while ends and ends[-1] <= span.begin:
            ends.pop()
        inside = 0 <= span.begin < span.end <= (ends[-1] if ends else length)
        if inside and len(kept) < MOST_SPANS:
            kept.append(span)
            ends.append(span.end)
    return tuple(kept)


def moved(spans: Iterable[Span], by: int) -> tuple[Span, ...]:
    """The same in a text that has so much more, or less, before it."""
    return tuple(structs.replace(each, begin=each.begin + by, end=each.end + by) for each in spans)


def within(spans: Iterable[Span], begin: int, end: int) -> tuple[Span, ...]:
    """Those of a part of the text, as they are in that."""
    return moved(_cut(spans, begin, end), -begin)


def at_end(spans: Iterable[Span], whole: str, part: str) -> tuple[Span, ...]:
    """Those of the end of a text, if a part of it is that: what stood above it was cut off."""
    before = len(whole) - len(part)
    return within(spans, before, len(whole)) if part and whole.endswith(part) else ()


HIDDEN = "▒▒▒"
"""Stands for what a spoiler hides."""


def concealed(text: str, spans: Iterable[Span], *, hinted: bool = False) -> str:
    """The text without what its spoilers hide, to be shown where nothing can be hidden.

    ``hinted``: what they are about stands there, if it is said.
    """
    parts, end = [], 0
    for span in spans:
        if span.style is Style.SPOILER and span.begin >= end:
            hint = span.value if hinted else ""
            parts += [text[end : span.begin], hint or HIDDEN]
            end = span.end
    return "".join([*parts, text[end:]])


def _cut(spans: Iterable[Span], begin: int, end: int) -> Iterator[Span]:
    for span in spans:
        if span.begin < end and span.end > begin:
            yield structs.replace(span, begin=max(span.begin, begin), end=min(span.end, end))


# XML 1.0 §2.2. One such character ends a stream for everybody (REQ-106), and a lone surrogate can
# be neither encoded nor stored. Networks deliver both.
ILLEGAL = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def is_clean(text: str) -> bool:
    """Whether XML can carry all of it."""
    # What is printable is legal; most text is that, and it is known twice as fast.
    return text.isprintable() or ILLEGAL.search(text) is None


def clean(text: str) -> str:
    """Replace what XML cannot carry by U+FFFD."""
    return text if is_clean(text) else ILLEGAL.sub("\ufffd", text)


def find_word(text: str, word: str, start: int = 0) -> int:
    """Where a word, or several, is in a text and no part of another one; -1 if nowhere."""
    found = text.find(word, start) if word else -1
    while found >= 0 and _is_part(text, found, found + len(word)):
        found = text.find(word, found + 1)
    return found


def _is_part(text: str, begin: int, end: int) -> bool:
    is_begun = begin > 0 and text[begin - 1].isalnum() and text[begin].isalnum()
    return is_begun or (end < len(text) and text[end - 1].isalnum() and text[end].isalnum())
