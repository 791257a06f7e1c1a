# SPDX-License-Identifier: Apache-2.0
"""The verdict on a soak, as JSON and as a table."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tests.soak.people import Ledger
from tests.soak.samples import Sample, slope_per_h

_WARM_UP = 1 / 3
"""Of the time: the allocator's arenas and the caches have their size then."""
MAX_SLOPE_MIB_H = 4.0
"""For runs of half an hour and more."""
MAX_GROWTH_MIB = 6.0
"""For shorter runs, in which a slope says nothing: between first and last idle point."""
_LONG_S = 1800.0
_ROWS = 40
_TIMERS = 4
"""Of one kind may run at an idle point, beside one for each account."""


@dataclass(slots=True, kw_only=True)
class Report:
    """All that a run has found."""

    seconds: float
    samples: list[Sample]
    idle: list[Sample]
    """At points where nobody did anything."""
    ledger: Ledger
    faults: Mapping[str, int]
    errors: Sequence[Mapping[str, Any]]
    """What the gateway has logged as an error."""
    notes: dict[str, str] = field(default_factory=dict)

    @property
    def slope_mib_h(self) -> float:
        """Of resident memory, after the warm-up."""
        start = self.seconds * _WARM_UP
        return slope_per_h([(s.at_s, s.rss_mib) for s in self.samples if s.at_s >= start])

    @property
    def growth_mib(self) -> float:
        """Of resident memory, from the first idle point to the last."""
        return self.idle[-1].rss_mib - self.idle[0].rss_mib

    def problems(self) -> list[str]:
        """Why the run is not good; nothing if it is."""
        found = []
        first, ledger = self.idle[0], self.ledger
        if self.seconds >= _LONG_S:
            if self.slope_mib_h > MAX_SLOPE_MIB_H:
                found.append(f"memory grows by {self.slope_mib_h:.1f} MiB/h")
        elif self.growth_mib > MAX_GROWTH_MIB:
            found.append(f"memory has grown by {self.growth_mib:.1f} MiB")
        for point in self.idle[1:]:
            allowed = first.names["links scripted:account #"] + _TIMERS
            found += [
                f"at {point.at_s:.0f} s there are {count} of the timer {name}"
                for name, count in point.timers_by_name().items()
                if count > allowed
            ]
            if point.held != first.held:
                more = {k: n for k, n in point.names.items() if n != first.names.get(k)}
                found.append(
                    f"at {point.at_s:.0f} s there are {point.held} tasks, descriptors, threads;"
                    f" at first {first.held}; different tasks: {more}"
                )
        for what, cases in (
            ("lost", ledger.lost),
            ("doubled", ledger.doubled),
            ("failed", ledger.failed),
            ("errors in the log", self.errors),
        ):
            if cases:
                found.append(f"{len(cases)} {what}: {list(cases)[:3]}")
        return found

    def figures(self) -> dict[str, Any]:
        """The short form."""
        ledger = self.ledger
        return {
            "minutes": round(self.seconds / 60, 1),
            "texts": ledger.said,
            "lost": len(ledger.lost),
            "doubled": len(ledger.doubled),
            "repeated": ledger.repeated,
            "said again": ledger.said_again,
            "longest way s": round(ledger.longest_s, 1),
            "deeds": sum(ledger.done.values()),
            "faults": sum(self.faults.values()),
            "RSS MiB at first": self.idle[0].rss_mib,
            "RSS MiB at last": self.idle[-1].rss_mib,
            "RSS MiB/h": round(self.slope_mib_h, 2),
            "tasks, fds, threads at first": self.idle[0].held,
            "tasks, fds, threads at last": self.idle[-1].held,
            "objects at first": self.idle[0].objects,
            "objects at last": self.idle[-1].objects,
            "blocks at first": self.idle[0].blocks,
            "blocks at last": self.idle[-1].blocks,
            "malloc MiB at first": self.idle[0].malloc_mib,
            "malloc MiB at last": self.idle[-1].malloc_mib,
            "database MiB": self.samples[-1].database_mib,
            "longest lag ms": max(sample.lag_ms for sample in self.samples),
            "CPU s": round(self.samples[-1].cpu_s, 1),
        }

    def write(self, directory: Path) -> None:
        """``soak.json`` and ``soak.txt``."""
        directory.mkdir(parents=True, exist_ok=True)
        everything = {
            "figures": self.figures(),
            "problems": self.problems(),
            "done": self.ledger.done,
            "faults": self.faults,
            "errors": self.errors,
            "idle": [asdict(sample) for sample in self.idle],
            "samples": [asdict(sample) for sample in self.samples],
        }
        (directory / "soak.json").write_text(json.dumps(everything, indent=1))
        (directory / "soak.txt").write_text(self.text())

    def text(self) -> str:
        """For people."""
        problems = self.problems()
        lines = [f"{name:32} {value}" for name, value in self.figures().items()]
        lines += ["", "done: " + _counts(self.ledger.done), "faults: " + _counts(self.faults)]
        lines += ["", "idle points", *_table(self.idle)]
        step = max(1, len(self.samples) // _ROWS)
        lines += ["", "samples", *_table(self.samples[::step])]
        verdict = [f"NOT GOOD: {problem}" for problem in problems] or ["GOOD"]
        return "\n".join([*lines, "", *verdict, ""])


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(counts.items()))


def _table(samples: Sequence[Sample]) -> list[str]:
    head = "     s    RSS MiB  tasks  fds  threads  rows  lag ms   db MiB   CPU s"
    head += "  objects  blocks  malloc MiB"
    return [head] + [
        f"{s.at_s:6.0f}  {s.rss_mib:9.2f}  {s.tasks:5}  {s.fds:3}  {s.threads:7}  {s.open_rows:4}"
        f"  {s.lag_ms:6.0f}  {s.database_mib:7.2f}  {s.cpu_s:6.1f}"
        + (f"  {s.objects:7}  {s.blocks:6}  {s.malloc_mib:10.2f}" if s.objects else "")
        for s in samples
    ]
