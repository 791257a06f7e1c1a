# SPDX-License-Identifier: Apache-2.0
"""Reading a script: one step a line; a line that ends with a colon has an indented block."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.scenario.play import Play

Action = Callable[..., Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a script."""

    line: int
    text: str
    block: str


class BadScript(Exception):
    """A line that means nothing."""


def read(path: Path) -> list[Step]:
    """The steps of a script. Lines that begin with ``#`` are comments, also within blocks."""
    steps: list[Step] = []
    block: list[str] = []
    for number, line in enumerate(path.read_text().splitlines(), start=1):
        if line.startswith("#") or not line.strip():
            continue
        if line[0].isspace():
            block.append(line)
            continue
        _close(steps, block)
        steps.append(Step(number, line.strip(), ""))
    _close(steps, block)
    return steps


def _close(steps: list[Step], block: list[str]) -> None:
    if block:
        last = steps.pop()
        steps.append(Step(last.line, last.text, textwrap.dedent("\n".join(block))))
        block.clear()


class Script:
    """The steps of a file, with what each of them does."""

    def __init__(self, path: Path, vocabulary: list[tuple[re.Pattern[str], str]]) -> None:
        self._path = path
        self._vocabulary = vocabulary
        self.steps = read(path)

    def options(self) -> dict[str, Any]:
        """What the script wants of the configuration: its first lines, ``with …``."""
        options: dict[str, Any] = {}
        while self.steps and self.steps[0].text.startswith("with "):
            key, _, value = self.steps.pop(0).text.removeprefix("with ").partition(" = ")
            options[key] = {"yes": True, "no": False}.get(value, value)
        for name in options.keys() & {"admins", "allow", "ask", "support"}:
            options[name] = tuple(options[name].split())
        return options

    async def run(self, play: Play) -> None:
        """Play all steps. What fails says in which line."""
        for step in self.steps:
            try:
                await self.play(step, play)
            except (AssertionError, TimeoutError, BadScript) as error:
                raise AssertionError(
                    f"{self._path.name}:{step.line}: {step.text}\n{error}\n{play.state()}"
                ) from None

    async def play(self, step: Step, play: Play) -> None:
        """Play one step."""
        for pattern, method in self._vocabulary:
            found = pattern.fullmatch(step.text)
            if found is not None:
                arguments = [*found.groups(), *([step.block] if step.text.endswith(":") else [])]
                await getattr(play, method)(*arguments)
                return
        raise BadScript("No such step.")
