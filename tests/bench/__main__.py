# SPDX-License-Identifier: Apache-2.0
"""``make bench``."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Callable, Coroutine
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from gateway.ops.logs import set_up_logs
from tests.bench import (
    codec_in,
    codec_out,
    encryption,
    files,
    loop,
    machine,
    memory,
    presence,
    report,
    rooms,
    stall,
    starting,
    store,
    telegram,
)
from tests.bench.measure import Group

Section = Callable[[Path, int], Coroutine[Any, Any, Group]]

_MESSAGES = 100_000
_MESSAGES_FULL = 1_000_000


def _sections(full: bool) -> dict[str, Section]:
    messages = _MESSAGES_FULL if full else _MESSAGES
    return {
        "in": codec_in.measure,
        "out": codec_out.measure,
        "loop": loop.measure,
        "store": partial(store.measure, messages=messages),
        "start": starting.measure,
        "memory": memory.measure,
        "presence": presence.measure,
        "stall": stall.measure,
        "rooms": rooms.measure,
        "encryption": encryption.measure,
        "files": files.measure,
        "telegram": telegram.measure,
    }


def main(
    out: Annotated[Path, typer.Option(help="Where the report goes.")] = Path(".bench"),
    only: Annotated[
        list[str] | None,
        typer.Option(
            help=(
                "in, out, loop, store, start, memory, presence, stall, rooms, encryption, files, "
                "telegram."
            )
        ),
    ] = None,
    repetitions: Annotated[int, typer.Option(min=1, help="Of each measurement.")] = 5,
    full: Annotated[bool, typer.Option(help="A million messages in the store.")] = False,
) -> None:
    """Measure, print a table, and write it to a Markdown and a JSON file."""
    set_up_logs("warning", "console")
    console = Console()
    console.width = max(console.width, 100)
    out.mkdir(parents=True, exist_ok=True)
    described = machine.describe(out)
    for name, value in described.items():
        console.print(f"[bold]{name}[/bold]: {value}", highlight=False)
    began = time.monotonic()
    groups = []
    for name, section in _sections(full).items():
        if only and name not in only:
            continue
        # On the disk of the report, not in /tmp, which may be memory.
        with tempfile.TemporaryDirectory(dir=out, prefix="run-") as directory:
            group = asyncio.run(section(Path(directory), repetitions))
        report.show(console, group)
        groups.append(group)
    described["Load after"] = machine.load()
    written = report.write(out, described, groups)
    console.print(f"{time.monotonic() - began:.0f} s. Written to {written}", highlight=False)


if __name__ == "__main__":
    typer.run(main)
