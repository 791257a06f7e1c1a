# SPDX-License-Identifier: Apache-2.0
"""How the bytes of files begin on their way to the upload service."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator

from gateway.media.put import OTHER_LENGTH, PutRefused
from gateway.media.types import HEAD_BYTES


async def whole(chunks: AsyncIterable[bytes], size: int) -> bytes:
    """All of a small file. Raises `PutRefused` if it has another length than was said."""
    data = bytearray()
    async for chunk in chunks:
        data += chunk
        if len(data) > size:
            break
    if len(data) != size:
        raise PutRefused(OTHER_LENGTH, is_final=False)
    return bytes(data)


async def begun(chunks: AsyncIterator[bytes]) -> tuple[bytes, AsyncIterator[bytes]]:
    """How a file begins, and the whole of it."""
    head = b""
    while len(head) < HEAD_BYTES and (chunk := await anext(chunks, b"")):
        head += chunk
    return head, after(head, chunks)


async def after(head: bytes, rest: AsyncIterator[bytes] | None = None) -> AsyncIterator[bytes]:
    """Both, one after the other."""
    if head:
        yield head
    if rest is not None:
        async for chunk in rest:
            yield chunk
