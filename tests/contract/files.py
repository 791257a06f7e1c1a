# SPDX-License-Identifier: Apache-2.0
"""Files: `test_contract` tries them."""

from __future__ import annotations

import random

import pytest

from gateway.adapter import Session
from gateway.errors import AdapterError
from gateway.events import RemoteFile, RemoteMessage, RemoteRoomMessage
from tests.contract.group_speech import in_group
from tests.contract.peer import Peer

_DATA = random.Random(1).randbytes(300_000)


async def files(peer: Peer) -> None:
    """What bob shares is fetched as it was, from any place on, also twice at once."""
    account = await peer.account()
    async with peer.running(account) as session:
        shared = await peer.shares(None, _DATA, "bytes of bob.bin", "for you")
        said = await account.first(RemoteMessage, lambda event: event.id == shared)
        assert said.body == "for you"
        await _fetched(session, *said.files)
    if peer.adapter.capabilities.rooms:
        async with in_group(peer) as (account, session, group):
            shared = await peer.shares(group, _DATA, "bytes of bob.bin")
            in_room = await account.first(RemoteRoomMessage, lambda event: event.id == shared)
            assert in_room.body == ""
            await _fetched(session, *in_room.files)


async def _fetched(session: Session, file: RemoteFile) -> None:
    assert (file.name, file.size) == ("bytes of bob.bin", len(_DATA))
    first = await session.download(file.reference)
    assert first.size in (len(_DATA), None)
    begun = await anext(first.chunks)
    for start in (0, 1, 65_537, len(_DATA) - 1):
        assert await _read(session, file.reference, start) == _DATA[start:]
    rest = b"".join([chunk async for chunk in first.chunks])
    assert begun + rest == _DATA
    await first.close()
    left = await session.download(file.reference)
    await left.close()
    with pytest.raises(AdapterError):
        await _read(session, "nothing that anybody has said", 0)


async def _read(session: Session, reference: str, start: int) -> bytes:
    opened = await session.download(reference, start)
    try:
        return b"".join([chunk async for chunk in opened.chunks])
    finally:
        await opened.close()
