"""The demo, as a test."""

import asyncio
import io
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from rich.console import Console

from tests.demo.__main__ import demo
from tests.demo.compare import differences
from tests.demo.lines import Line
from tests.demo.screen import Screen

pytestmark = pytest.mark.timeout(180)


async def test_the_demo_ends_well(tmp_path: Path) -> None:
    said = io.StringIO()
    code = await demo(tmp_path, Screen(Console(file=said, width=120)), once=True)
    assert code == 0, said.getvalue()
    shown = " ".join(said.getvalue().split())
    assert "Both sides saw every message once, in order, with its receipt, and each" in shown
    assert "alice 40 of 40" in said.getvalue()


def _line(text: str, *, receipt: bool = True, read: bool = True) -> Line:
    return Line(text, text, mine=True, receipt=receipt, read=read)


@pytest.mark.parametrize(
    ("written", "seen", "said"),
    [
        ("ab", "ab", []),
        ("ab", "a", ["bob never saw 'b' of alice."]),
        ("ab", "abb", ["bob saw 'b' of alice 2 times."]),
        ("ab", "abc", ["bob saw 'c', which alice never wrote."]),
        (
            "ab",
            "ba",
            ["bob saw alice's messages in another order: number 1 was 'b' instead of 'a'."],
        ),
    ],
)
def test_the_comparison_finds(written: str, seen: str, said: list[str]) -> None:
    lines = [_line(text) for text in written]
    assert list(differences("alice", lines, "bob", [_line(text) for text in seen])) == said


def test_the_comparison_wants_receipts() -> None:
    lines = [_line("a", receipt=False), _line("b", read=False)]
    assert list(differences("alice", lines, "bob", lines)) == [
        "alice got no receipt for 'a'.",
        "alice was not told that 'b' was read.",
    ]


async def test_the_demo_cleans_up_when_it_is_ended(tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.demo",
        env={**os.environ, "TMPDIR": str(tmp_path), "ONCE": "1"},
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    said = ""
    while "the users" not in said:
        said += (await process.stdout.readline()).decode()
    assert _processes_of(tmp_path)
    process.send_signal(signal.SIGTERM)
    assert await process.wait() == 128 + signal.SIGTERM
    assert os.listdir(tmp_path) == []  # noqa: PTH208
    assert not _processes_of(tmp_path)


def _processes_of(directory: Path) -> list[str]:
    """Command lines that name the directory."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            found.append(path.read_text(errors="replace").replace("\0", " "))
    return [line for line in found if str(directory) in line]
