# SPDX-License-Identifier: Apache-2.0
"""Any bytes as a picture, a film or a sound on its way to a network (REQ-724)."""

from __future__ import annotations

from collections.abc import AsyncIterator

from gateway.media.bare import BARED, bare

_TYPES = tuple(BARED)


def bare_all(data: bytes) -> None:
    """The first byte says what it is, the second one in which pieces it comes: neither may change
    how long it is, and the latter nothing at all."""
    kind, size, file = _TYPES[data[0] % len(_TYPES)], 1 + data[1], data[2:]
    whole = _bared(file, kind, len(file) or 1)
    assert len(whole) == len(file)
    assert _bared(file, kind, size) == whole


def _bared(file: bytes, kind: str, size: int) -> bytes:
    async def chunks() -> AsyncIterator[bytes]:
        for at in range(0, len(file), size):
            yield file[at : at + size]

    async def sent() -> bytes:
        return b"".join([piece async for piece in bare(chunks(), kind)])

    # There is nothing that it could wait for, so it needs no loop.
    try:
        sent().send(None)
    except StopIteration as end:
        done: bytes = end.value
        return done
    raise AssertionError("it waits")
