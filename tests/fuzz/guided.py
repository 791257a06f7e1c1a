# SPDX-License-Identifier: Apache-2.0
"""The coverage-guided fuzzer (atheris): ``python -m tests.fuzz.guided TARGET INPUTS``.

Targets: ``stream`` feeds bytes to the XML parser of a live component, ``talk`` makes conversations
out of them, ``sync`` answers of a homeserver, ``bare`` files of users. A failure
leaves its bytes in the working directory, to go into ``corpus/`` with a test by name.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["gateway", "adapters"], enable_loader_override=False):
    from tests.fuzz.arena import Arena
    from tests.fuzz.bared import bare_all
    from tests.fuzz.choices import Choices
    from tests.fuzz.operations import converse
    from tests.fuzz.syncs import translate_all

_CORPUS = Path(__file__).parent / "corpus"
_PER_ARENA = 2_000
"""Inputs after which a fresh gateway takes over, as what is stored makes the old one slower."""


class Targets:
    """What bytes may be thrown at. An arena lasts for many runs."""

    def __init__(self) -> None:
        self.inputs = 0
        self._arena: Arena | None = None

    def sync(self, data: bytes) -> None:
        """Translate one answer."""
        self.inputs += 1
        translate_all(Choices(data))

    def bare(self, data: bytes) -> None:
        """Send one file."""
        self.inputs += 1
        bare_all(data.ljust(2, b"\0"))

    def talk(self, data: bytes) -> None:
        """Go on with a conversation."""
        arena = self._fresh()
        before = arena.inputs
        arena.run(converse(arena, data, 50))
        arena.run(arena.look())
        self.inputs += arena.inputs - before

    def stream(self, data: bytes) -> None:
        """Bytes on the wire. What is not XML ends the stream, and another one must come."""
        arena = self._fresh()
        arena.inputs += 1
        self.inputs += 1
        arena.run(arena.raw(data))

    def _fresh(self) -> Arena:
        if self._arena is not None and self._arena.inputs >= _PER_ARENA:
            self.end()
        if self._arena is None:
            self._arena = Arena()
        return self._arena

    def end(self) -> None:
        """Judge what there was."""
        arena, self._arena = self._arena, None
        if arena is not None:
            asyncio.set_event_loop(arena.loop)
            arena.close()


def main(target: str, wanted: int, more: list[str]) -> None:
    """Fuzz until so many inputs were made."""
    targets = Targets()
    work: Callable[[bytes], None] = getattr(targets, target)

    def once(data: bytes) -> None:
        work(data)
        if targets.inputs >= wanted:
            targets.end()
            sys.stdout.write(f"inputs {targets.inputs}\n")
            sys.stdout.flush()
            os._exit(0)  # libFuzzer would go on for ever, and returns to nobody

    arguments = ["-max_len=2000", "-seed=1", "-rss_limit_mb=2048", *more]
    with tempfile.TemporaryDirectory() as found:  # the first directory is written to
        atheris.Setup([sys.argv[0], *arguments, found, str(_CORPUS / target)], once)
        atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3:])
