# SPDX-License-Identifier: Apache-2.0
"""Figures: several repetitions of one measurement, with what they are compared to."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

Values = Sequence[float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One line of the report."""

    what: str
    unit: str
    values: Values
    """One per repetition."""
    goal: float | None = None
    less_is_better: bool = False
    raw: Values = ()
    """The same work with as little code as can do it."""
    stock: Values = ()
    """The same work with slixmpp as it comes."""

    @property
    def median(self) -> float:
        """Of the repetitions."""
        return statistics.median(self.values)

    @property
    def is_met(self) -> bool | None:
        """Whether the median reaches the goal; None without a goal."""
        if self.goal is None:
            return None
        return self.median <= self.goal if self.less_is_better else self.median >= self.goal

    def ratio(self, other: Values) -> float | None:
        """How many times faster than ``other`` this is, if that was measured."""
        return self.median / statistics.median(other) if other else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Figures that belong together."""

    title: str
    note: str
    figures: Sequence[Figure]


async def rates(
    count: int, repetitions: int, prepare: Callable[[int], Callable[[], Awaitable[None]]]
) -> list[float]:
    """``count`` per second of this thread's CPU, for each repetition; one more warms up.

    ``prepare`` is not measured. It gets the number of the first stanza, so that no id comes twice
    and no cache is better than in life. CPU, not wall time: what else the machine does then costs
    less of the truth.
    """
    await prepare(0)()
    found = []
    for repetition in range(1, repetitions + 1):
        work = prepare(repetition * count)
        settle_garbage()
        before = time.thread_time()
        await work()
        found.append(count / (time.thread_time() - before))
    return found


def settle_garbage() -> None:
    """What was made so far is not looked at again by a collection, as after a start."""
    gc.collect()
    gc.freeze()
