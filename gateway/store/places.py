# SPDX-License-Identifier: Apache-2.0
"""Places in the archive for what is fetched later than what comes after it was stored.

Places are the numbers of rows. What was said before all that is kept has numbers below zero, and
for what is missing in the middle some were reserved when that was found. There is space between
any two that are fetched, so that what one account may see, and another one may not, has a place
between them too. So the order of all that is there never changes.
"""

from __future__ import annotations

from gateway.ids import RoomId
from gateway.store.writer import Transaction

RESERVED = 2**38
"""Numbers for what is missing in the middle. Never to be changed: it says where these begin."""
_STEP = 2**14
_STEP_AT_THE_BEGINNING = 2**18
"""From one place to the next; there is more space before all that is kept."""
_PER_EVENT = 1024
"""Places that it may need: each part of a long text needs two, and whatever else it means."""
_FEWEST = 64
_LOOKS = 200
"""At spaces that are too small, before what is fetched comes before all that is there."""
_FIRST = -(2**62)
_KEYS = (("archived", "id"), ("message", "id"), ("early", "place"))


class Places:
    """Of one page. Messages are numbered with them too, so that the older one of two always has
    the smaller number. ``top``: of the gap, as in `gateway.store.gaps.Gap`."""

    def __init__(self, db: Transaction, room: RoomId, top: int) -> None:
        self._db = db
        self._room = room
        self._top = top
        self._bottom = top - RESERVED if top else _FIRST
        self._step = self._end = 0
        self.first: int | None = None
        """The first that was given."""
        self.last = 0
        """The one that was given last."""

    def between(self, low: int | None, high: int, count: int) -> None:
        """What comes next are so many events after ``low``, if anything is known there, and before
        ``high``. Raises `OverflowError` if they cannot have places."""
        high = min(high, self._top)
        low = self._bottom if low is None or low >= high else max(low, self._bottom)
        needed = count * _FEWEST
        for _ in range(_LOOKS):
            if not self._is_anything_before(high):
                break
            used = max(self._last_before(high), low)
            size = high - used - 1
            if size >= needed:  # others may be told more that belongs there
                self._take(high, max(needed, size // 4), count)
                return
            high = used
            low = min(low, self._last_before(high))
        self._before_all(high, count)

    def _before_all(self, high: int, count: int) -> None:
        first = [
            number
            for table, key in _KEYS
            for (number,) in self._db.execute(
                f"SELECT min({key}) FROM {table} WHERE {key} > ?", (self._bottom,)
            )
            if number is not None
        ]
        high = min(high, self._top, *first)
        step = _STEP if self._top else _STEP_AT_THE_BEGINNING
        self._take(high, min(high - self._bottom - 1, count * _PER_EVENT * step), count)

    def _take(self, high: int, length: int, count: int) -> None:
        if length < count * _FEWEST:
            raise OverflowError("there is no place for a page of history")
        self._step = max(1, length // (count * _PER_EVENT))
        self.last, self._end = high - length - self._step, high

    def _is_anything_before(self, place: int) -> bool:
        """In the same room."""
        found = self._db.execute(
            "SELECT 1 FROM archived WHERE room = ? AND id > ? AND id < ? LIMIT 1",
            (self._room, self._bottom, place),
        )
        return found.fetchone() is not None

    def _last_before(self, place: int) -> int:
        """In any room."""
        found: list[int] = [
            number
            for table, key in _KEYS
            for (number,) in self._db.execute(
                f"SELECT max({key}) FROM {table} WHERE {key} < ?", (place,)
            )
            if number is not None
        ]
        return max(self._bottom, *found, _FIRST)

    def next(self) -> int:
        """The next one. Raises `OverflowError` if an event has more than any can have."""
        self.last += self._step
        if not self._step or self.last >= self._end:
            raise OverflowError("too much for one page of history")
        self.first = self.last if self.first is None else self.first
        return self.last
