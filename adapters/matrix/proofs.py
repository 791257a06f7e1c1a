# SPDX-License-Identifier: Apache-2.0
"""That a part of an encrypted file is the one that was sent.

Who has sent a file tells one hash, of the whole (Matrix spec, "Sending encrypted attachments"),
and what the homeserver has can be changed bit by bit without the key. So before the first part of
it is given, the whole is read once, and forgotten but for the hashes of its pieces; each piece is
held against these when it is read again.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable
from weakref import WeakValueDictionary

from adapters.matrix.http import KIB, MIB
from adapters.matrix.sealed_files import CHANGED, Seal
from adapters.matrix.streams import Stream
from gateway.errors import TooLarge, Transient, Unsupported
from gateway.text.wording import tr

PIECE = 256 * KIB
MOST_BYTES = 128 * MIB
"""Of a file that is read twice for somebody who wants a part of it."""
_KEPT = 16
"""Files, of 16 kB at the most each."""
_ONLY_WHOLE = tr("Of so large an encrypted file only the whole can be given.")
Hashes = tuple[bytes, ...]


class Proofs:
    """Of the files of which one account was asked for parts."""

    def __init__(self) -> None:
        self._known: OrderedDict[Seal, Hashes] = OrderedDict()
        self._turns: WeakValueDictionary[Seal, asyncio.Lock] = WeakValueDictionary()

    async def of(self, seal: Seal, opened: Callable[[], Awaitable[Stream]]) -> Hashes:
        """The hashes of the pieces of a file that was found to be good.

        Raises `TooLarge`, `Unsupported` if it is another file, and what ``opened`` raises.
        """
        turn = self._turns.setdefault(seal, asyncio.Lock())
        async with turn:  # players ask for several parts at once
            if seal not in self._known:
                stream = await opened()
                try:
                    self._known[seal] = await _read(seal, stream)
                finally:
                    await stream.close()
                while len(self._known) > _KEPT:
                    self._known.popitem(last=False)
            self._known.move_to_end(seal)
            return self._known[seal]


async def _read(seal: Seal, stream: Stream) -> Hashes:
    if stream.size is not None and stream.size > MOST_BYTES:
        raise TooLarge(_ONLY_WHOLE)
    whole, hashes, length = hashlib.sha256(), [], 0
    async for piece in _pieces(stream.chunks()):
        length += len(piece)
        if length > MOST_BYTES:
            raise TooLarge(_ONLY_WHOLE)
        whole.update(piece)
        hashes.append(hashlib.sha256(piece).digest())
    if whole.digest() != seal.sha256:
        raise Unsupported(CHANGED)
    return tuple(hashes)


async def proven(chunks: AsyncIterator[bytes], hashes: Hashes, first: int) -> AsyncIterator[bytes]:
    """What the homeserver has from the beginning of that piece on, as far as it is good.

    Raises `Unsupported` in place of the first piece that is not, and `Transient` if some are
    missing.
    """
    number = first
    async for piece in _pieces(chunks):
        if number >= len(hashes) or hashlib.sha256(piece).digest() != hashes[number]:
            raise Unsupported(CHANGED)
        number += 1
        yield piece
    if number < len(hashes):
        raise Transient(tr("The homeserver sent less of the file than there is."))


async def _pieces(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """All of one length, but for the last."""
    held = bytearray()
    async for chunk in chunks:
        held += chunk
        while len(held) >= PIECE:
            yield bytes(held[:PIECE])
            del held[:PIECE]
    if held:
        yield bytes(held)
