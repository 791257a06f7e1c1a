# SPDX-License-Identifier: Apache-2.0
"""Answers of homeservers as JSON, however large: nobody else waits for them. No I/O."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

T = TypeVar("T")

_MIB = 1024 * 1024
LARGE = 256 * 1024
"""Work on an answer of more than this is done in a thread, beside the loop."""
_MOST = {b"{": 1_000_000, b"[": 500_000, b",": 2_500_000}
"""An answer has no more of these, texts included; one of 200,000 events has half as many.
32 MiB of nothing else take a gigabyte of memory, and the loop waits while a run of them is read.
"""

_BESIDE = ThreadPoolExecutor(1, thread_name_prefix="large answers")


async def beside(is_large: bool, work: Callable[..., T], *args: Any) -> T:
    """Do some computing: at once if it is small, in a thread beside the loop if it is large.

    One thread for all: each that computes takes its share of the interpreter from the loop.
    """
    if not is_large:
        return work(*args)
    return await asyncio.get_running_loop().run_in_executor(_BESIDE, work, *args)


def dismantle(content: object) -> None:
    """Free what nobody needs any more, piece by piece.

    Left to the interpreter, a large answer goes in one uninterruptible step, and all threads wait.
    """
    waiting = [content]
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            waiting.extend(item.values())
            item.clear()
        elif isinstance(item, list):
            waiting.extend(item)
            item.clear()


def parsed(body: bytes) -> dict[str, Any] | None:
    """A JSON object, or None for anything else. Python's own parser, since lone surrogates must
    not cost the whole answer.

    The parser holds the interpreter's lock from beginning to end; only a call into Python, as the
    hooks are, lets the loop's thread go on meanwhile.
    """
    is_large = len(body) > LARGE
    if is_large and _is_excessive(body):
        return None
    try:
        content = json.loads(body, **(_HOOKS if is_large else {}))
    except (ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) else None


def _is_excessive(body: bytes) -> bool:
    """Whether this is made to cost as much as possible. Piece by piece, for the same reason."""
    return any(
        sum(body.count(sign, at, at + _MIB) for at in range(0, len(body), _MIB)) > most
        for sign, most in _MOST.items()
    )


def _same(item: dict[str, Any]) -> dict[str, Any]:
    return item


def _integer(digits: str) -> int:
    return int(digits)


def _number(digits: str) -> float:
    return float(digits)


_HOOKS: dict[str, Any] = {
    "object_hook": _same,
    "parse_int": _integer,
    "parse_float": _number,
}
"""They do what the parser does itself, but in Python."""
