# SPDX-License-Identifier: Apache-2.0
"""Bytes as a source of decisions: whoever makes the bytes decides what happens."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")

ODD = (
    *(
        "",
        " ",
        "\t\n",
        "a",
        "é",
        "e\u0301",
        "ß",
        "ﬁ",
        "İ",
        "\u200b",
        "\u202e",
        "\ufeff",
        "\U0001f468",
    ),
    *(
        "\u200d\U0001f469",
        "\U0010ffff",
        "\ufffd",
        "\ud7ff",
        "\ue000",
        "\x85",
        "\u2028",
        "\U0001d49c",
        "%n",
    ),
    *(
        "&amp;",
        "]]>",
        "<!--",
        "'",
        '"',
        "@",
        "/",
        "#",
        "..",
        "{}",
        "\\",
        "NULL",
        "-1",
        "0",
        "cancel",
    ),
)
_LENGTHS = (0, 1, 2, 3, 7, 40, 130, 1_100, 20_000)


class Choices:
    """Takes decisions from bytes; when they are used up, always the first possibility."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def is_empty(self) -> bool:
        """All bytes are used up."""
        return self._at >= len(self._data)

    def below(self, count: int) -> int:
        """A number from 0 to ``count`` - 1."""
        size = 1 if count <= 256 else 2
        taken = self._data[self._at : self._at + size]
        self._at += size
        return int.from_bytes(taken, "big") % count

    def one_in(self, count: int) -> bool:
        """Rarely true."""
        return self.below(count) == count - 1

    def pick(self, items: Sequence[T]) -> T:
        """One of these."""
        return items[self.below(len(items))]

    def text(self) -> str:
        """Any text, mostly short; some is long, some is odd, none is empty of surprises."""
        how = self.below(8)
        if how < 4:
            return f"t{self.below(65_536)}"
        if how < 7:
            return "".join(self.pick(ODD) for _ in range(1 + self.below(4)))
        length = self.pick(_LENGTHS) if self.one_in(4) else self.below(40)
        return (self.pick(ODD) or "x") * length
