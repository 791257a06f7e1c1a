# SPDX-License-Identifier: Apache-2.0
"""Processes that look at what strangers have made, so that nothing happens to the gateway."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress

_PIECE = 64 * 1024
_LONGEST_REASON = 1000


async def run(
    command: Sequence[str],
    data: bytes | int,
    take: Callable[[bytes], Awaitable[None] | None],
    *,
    most: int,
    limit_s: float,
    fds: Sequence[int] = (),
) -> tuple[int | None, str]:
    """Without our environment and our files; returns its exit code, None if it was too slow or
    wrote too much, and what it says in standard error.

    ``data``: what it reads, or the descriptor of a file. ``take`` gets what it writes, at most so
    many bytes and one piece more: one that says more is killed, unless it has ended. ``limit_s``:
    real time, since the machine may be busy; what it computes it limits itself. ``fds``: further
    descriptors for it.
    """
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.PIPE if isinstance(data, bytes) else data,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        pass_fds=fds,
        cwd="/",
        env={},
    )
    assert process.stdout is not None
    assert process.stderr is not None
    why = bytearray()
    try:
        async with asyncio.timeout(limit_s):
            _, is_over, _ = await asyncio.gather(
                _feed(process.stdin, data),
                _bounded(process, process.stdout, take, most),
                _bounded(process, process.stderr, why.extend, _LONGEST_REASON),
            )
            await process.wait()
    except TimeoutError:
        return None, ""
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()  # it ends when nobody waits to write
    code = None if is_over and process.returncode == 0 else process.returncode
    return code, why.decode(errors="replace").strip()


async def _feed(stdin: asyncio.StreamWriter | None, data: bytes | int) -> None:
    if stdin is None or not isinstance(data, bytes):
        return
    with suppress(ConnectionError):  # it may end before it has read all
        stdin.write(data)
        await stdin.drain()
    stdin.close()


async def _bounded(
    process: asyncio.subprocess.Process,
    out: asyncio.StreamReader,
    take: Callable[[bytes], Awaitable[None] | None],
    most: int,
) -> bool:
    """What comes until its end. One that says more than ``most`` is no longer what it was: then
    True."""
    said = 0
    while said <= most and (piece := await out.read(_PIECE)):
        said += len(piece)
        taking = take(piece)
        if taking is not None:
            await taking
    if said > most and process.returncode is None:
        process.kill()
        while await out.read(_PIECE):
            pass
    return said > most
