# SPDX-License-Identifier: Apache-2.0
"""What a user's client has put beside a text for other clients (REQ-563), and where in the text it
belongs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from gateway.events import Enclosed


def within(enclosed: Iterable[Enclosed], whole: str, body: str) -> tuple[Enclosed, ...]:
    """Of a text of which what stands above it was cut off: places in what is left. What is about
    a part that is not left is dropped."""
    if whole.endswith(body):
        return tuple(_moved(enclosed, len(whole) - len(body), len(body)))
    return tuple(_moved(enclosed, 0, -1))


def in_text(enclosed: Iterable[Enclosed], body: str) -> tuple[Enclosed, ...]:
    """What is about no more than there is of a text."""
    return tuple(_moved(enclosed, 0, len(body)))


def size(enclosed: Iterable[Enclosed]) -> int:
    """Roughly, in bytes."""
    parts = (part for each in enclosed for part in each.written)
    return sum(len(part.encode()) for part in parts if isinstance(part, str))


def _moved(enclosed: Iterable[Enclosed], by: int, length: int) -> Iterator[Enclosed]:
    for each in enclosed:
        places = [part - by for part in each.written if isinstance(part, int)]
        if all(0 <= place <= length for place in places):
            moved = (part - by if isinstance(part, int) else part for part in each.written)
            yield Enclosed(written=tuple(moved)) if by and places else each
