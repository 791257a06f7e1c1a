# SPDX-License-Identifier: Apache-2.0
"""Files that users send: `test_contract` tries them."""

from __future__ import annotations

import pytest

from gateway.errors import NotFound, Unsupported
from gateway.events import FileKind, RemoteRoom, SendRoomText, SendText, SentFile
from tests.contract.peer import Peer

_URL = "https://files.example/"
_PDF = b"%PDF-1.7\n" + bytes(range(256)) * 1000
"""More than one piece."""


def _file(name: str) -> SentFile:
    return SentFile(
        url=_URL + name, name=name, kind=FileKind.FILE, media_type="application/pdf", size=1
    )


async def sends_files(peer: Peer) -> None:
    """Byte for byte, with what is said about it, once for a key; and not at all what breaks."""
    account = await peer.account()
    account.files = {f"{_URL}one.pdf": _PDF, f"{_URL}two.pdf": b"", f"{_URL}three.pdf": b"3"}
    async with peer.running(account) as session:
        gone = SendText(contact=peer.bob, body="", file=_file("gone.pdf"))
        with pytest.raises(NotFound):
            await session.send(gone, "contract.0")
        one = SendText(contact=peer.bob, body="Read this", file=_file("one.pdf"))
        sent = await session.send(one, "contract.1")
        assert await peer.sees_file(None, "one.pdf") == (sent.remote_id, _PDF, "Read this")
        if peer.adapter.capabilities.idempotent_send:
            assert await session.send(one, "contract.1") == sent
        if not peer.takes_empty_files:
            empty = SendText(contact=peer.bob, body="", file=_file("two.pdf"))
            with pytest.raises(Unsupported):
                await session.send(empty, "contract.2")
        else:
            two = SendText(contact=peer.bob, body="", file=_file("two.pdf"))
            sent = await session.send(two, "contract.2")
            assert await peer.sees_file(None, "two.pdf") == (sent.remote_id, b"", "")
        if peer.adapter.capabilities.rooms:
            group = await peer.makes_group("Where files are")
            await account.first(RemoteRoom, lambda event: event.room == group)
            three = SendRoomText(room=group, body="for all", file=_file("three.pdf"))
            sent = await session.send(three, "contract.3")
            assert await peer.sees_file(group, "three.pdf") == (sent.remote_id, b"3", "for all")


async def voice_types(peer: Peer) -> None:
    """A voice message of each of these is taken as it is."""
    account = await peer.account()
    async with peer.running(account) as session:
        for number, media_type in enumerate(peer.adapter.capabilities.voice_types):
            account.files[url := f"{_URL}{number}"] = b"OggS"
            voice = SentFile(url=url, name=url, kind=FileKind.VOICE, media_type=media_type)
            said = SendText(contact=peer.bob, body="", file=voice)
            sent = await session.send(said, f"contract.{number}")
            assert await peer.sees_file(None, url) == (sent.remote_id, b"OggS", "")


async def max_file_bytes(peer: Peer) -> None:
    """One of that size is taken."""
    account = await peer.account()
    limit = peer.adapter.capabilities.max_file_bytes
    account.files = {f"{_URL}large.pdf": large} if (large := b"." * (limit or 0)) else {}
    async with peer.running(account) as session:
        file = SendText(contact=peer.bob, body="", file=_file("large.pdf"))
        sent = await session.send(file, "contract.1")
        assert await peer.sees_file(None, "large.pdf") == (sent.remote_id, large, "")


EXERCISES = {
    "sends_files": sends_files,
    "max_file_bytes": max_file_bytes,
    "voice_types": voice_types,
}
