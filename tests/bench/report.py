# SPDX-License-Identifier: Apache-2.0
"""The report: a table on the screen, the same as Markdown, and everything as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.bench.measure import Figure, Group

_HEAD = ("What", "Median", "Spread", "Goal", "")
_COMPARED = (*_HEAD, "÷ raw", "÷ stock")


def show(console: Console, group: Group) -> None:
    """One group on the screen."""
    table = Table(title=group.title, caption=group.note, title_justify="left")
    for number, head in enumerate(_head(group)):
        table.add_column(head, justify="right" if number else "left", no_wrap=True)
    for figure, cells in zip(group.figures, _rows(group), strict=True):
        table.add_row(*cells, style="red" if figure.is_met is False else None)
    console.print(table)


def write(directory: Path, machine: Mapping[str, str], groups: Sequence[Group]) -> Path:
    """Write ``benchmarks.md`` and ``benchmarks.json``. Returns the former."""
    (directory / "benchmarks.json").write_text(
        json.dumps(
            {"machine": machine, "groups": [asdict(group) for group in groups]},
            indent=1,
            ensure_ascii=False,
        )
        + "\n"
    )
    path = directory / "benchmarks.md"
    path.write_text("\n".join(_markdown(machine, groups)) + "\n")
    return path


def _markdown(machine: Mapping[str, str], groups: Sequence[Group]) -> Iterable[str]:
    yield from ("| Machine | |", "|---|---|")
    yield from (f"| {name} | {value} |" for name, value in machine.items())
    for group in groups:
        yield from ("", f"### {group.title}", "", group.note, "")
        head = _head(group)
        yield "| " + " | ".join(head) + " |"
        yield "|---|" + "---:|" * (len(head) - 1)
        yield from ("| " + " | ".join(cells) + " |" for cells in _rows(group))


def _head(group: Group) -> tuple[str, ...]:
    return _COMPARED if any(figure.raw for figure in group.figures) else _HEAD


def _rows(group: Group) -> list[tuple[str, ...]]:
    columns = len(_head(group))
    return [_cells(figure)[:columns] for figure in group.figures]


def _cells(figure: Figure) -> tuple[str, ...]:
    goal = ""
    if figure.goal is not None:
        goal = f"{'≤' if figure.less_is_better else '≥'} {_number(figure.goal)}"
    return (
        figure.what,
        f"{_number(figure.median)} {figure.unit}",
        f"{_number(min(figure.values))}…{_number(max(figure.values))}",
        goal,
        {True: "✓", False: "✗", None: ""}[figure.is_met],
        _ratio(figure.ratio(figure.raw)),
        _ratio(figure.ratio(figure.stock)),
    )


def _ratio(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}" if value < 10 else f"{value:.0f}"


def _number(value: float) -> str:
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"
