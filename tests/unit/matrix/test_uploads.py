# SPDX-License-Identifier: Apache-2.0
"""Files of users at homeservers that do not take them, or at the wrong moment."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.ciphers.modes import CTR
from hypothesis import given
from hypothesis import strategies as st

from adapters.matrix.http import Api
from adapters.matrix.sealing import Sealing
from adapters.matrix.uploads import Uploads
from gateway.adapter import Linked, Thumbnail, Upload
from gateway.errors import AdapterError, Forbidden, RateLimited, TooLarge, Transient, Unsupported
from gateway.events import FileFacts, SentFile
from tests.unit.matrix.homeserver import Answer, Homeserver, Request, misbehaving
from tests.unit.matrix.memory import MemoryAccount
from tests.unit.matrix.samples import ALICE

FILE = SentFile(url="https://files.example/a.pdf")
DATA = bytes(range(256)) * 1024
UPLOAD, CONFIG = "/_matrix/media/v3/upload", "/_matrix/client/v1/media/config"


class _Account(MemoryAccount):
    """One whose files are as a test wants them."""

    size: int | None = len(DATA)
    thumbnail: Thumbnail | None = None
    chunks: Sequence[bytes | AdapterError] = (DATA[:70_000], DATA[70_000:])

    @asynccontextmanager
    async def open(self, file: SentFile) -> AsyncIterator[Upload]:
        facts = FileFacts(name="ä b.pdf", media_type="application/pdf", size=self.size)
        yield Upload(facts=facts, chunks=self._read(), thumbnail=self.thumbnail)

    async def _read(self) -> AsyncIterator[bytes]:
        for chunk in self.chunks:
            if isinstance(chunk, AdapterError):
                raise chunk
            yield chunk


@asynccontextmanager
async def _uploads(
    answer: Callable[[], Answer], config: Answer, *, encrypts: bool = False
) -> AsyncIterator[tuple[Homeserver, _Account, Uploads]]:
    handlers = {UPLOAD: lambda _: answer(), CONFIG: lambda _: config}
    async with misbehaving(**handlers) as server, aiohttp.ClientSession() as http:
        account = _Account(Linked(realm=server.url, remote_id=ALICE, secret=b""), http)
        yield server, account, Uploads(account, Api(http, server.url, "T"), encrypts=encrypts)


def _encrypted(*each: bool) -> Callable[[], Any]:
    """What a room is, each time that somebody asks."""
    answers: Iterator[bool] = iter(each)

    async def asked() -> bool:
        return next(answers)

    return asked


def _taken() -> Answer:
    return 200, {"content_uri": "mxc://example.org/a"}


def _sent(server: Homeserver) -> list[Request]:
    return [asked for asked in server.requests if asked.path == UPLOAD]


NO_LIMIT: Answer = (200, {})


async def test_req_448_a_file_in_clear() -> None:
    async with _uploads(_taken, NO_LIMIT) as (server, _, uploads):
        content, is_sealed = await uploads.carried(FILE, _encrypted(False, False))
    assert content["url"] == "mxc://example.org/a"
    assert not is_sealed
    (sent,) = _sent(server)
    assert (sent.data, sent.kind, sent.token) == (DATA, "application/pdf", "Bearer T")
    assert sent.query == {"filename": "ä b.pdf"}
    assert sent.length == len(DATA)


def _opened(file: dict[str, Any], data: bytes) -> bytes:
    """As the specification says, "Sending encrypted attachments"."""

    def raw(text: str) -> bytes:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_")

    assert base64.b64decode(file["hashes"]["sha256"] + "=") == hashlib.sha256(data).digest()
    iv = base64.b64decode(file["iv"] + "==")
    assert iv[8:] == bytes(8)
    assert (file["v"], file["key"]["alg"], file["key"]["ext"]) == ("v2", "A256CTR", True)
    return Cipher(AES256(raw(file["key"]["k"])), CTR(iv)).decryptor().update(data)


async def test_an_encrypted_room_gets_it_encrypted_and_the_homeserver_learns_nothing() -> None:
    async with _uploads(_taken, NO_LIMIT, encrypts=True) as (server, _, uploads):
        content, is_sealed = await uploads.carried(FILE, _encrypted(True))
    assert is_sealed
    assert "url" not in content
    assert content["filename"] == "ä b.pdf"
    (sent,) = _sent(server)
    assert (sent.kind, sent.query) == ("application/octet-stream", {})
    assert len(sent.data) == len(DATA)
    assert DATA[:64] not in sent.data
    assert _opened(content["file"], sent.data) == DATA


async def test_a_room_that_is_encrypted_meanwhile_gets_it_encrypted() -> None:
    async with _uploads(_taken, NO_LIMIT, encrypts=True) as (server, _, uploads):
        content, is_sealed = await uploads.carried(FILE, _encrypted(False, True))
    assert is_sealed
    assert "url" not in content
    _, again = _sent(server)
    assert _opened(content["file"], again.data) == DATA


async def test_without_encryption_nothing_goes_to_an_encrypted_room() -> None:
    async with _uploads(_taken, NO_LIMIT) as (server, _, uploads):
        with pytest.raises(Unsupported, match="end-to-end encrypted"):
            await uploads.carried(FILE, _encrypted(True))
    assert server.requests == []


SMALL = Thumbnail(data=b"small" * 9, media_type="image/jpeg", width=64, height=48)


async def test_req_447_a_small_picture_goes_along_encrypted_as_its_file_is() -> None:
    about = {"mimetype": "image/jpeg", "size": 45, "w": 64, "h": 48}
    async with _uploads(_taken, NO_LIMIT, encrypts=True) as (server, account, uploads):
        account.thumbnail = SMALL
        content, _ = await uploads.carried(FILE, _encrypted(False, False))
        assert content["info"]["thumbnail_url"] == "mxc://example.org/a"
        assert content["info"]["thumbnail_info"] == about
        assert [sent.data for sent in _sent(server)] == [DATA, SMALL.data]
        assert [sent.kind for sent in _sent(server)] == ["application/pdf", "image/jpeg"]
        content, _ = await uploads.carried(FILE, _encrypted(True))
        *_, sealed = _sent(server)
        assert "thumbnail_url" not in content["info"]
        assert content["info"]["thumbnail_info"] == about
        assert (sealed.kind, sealed.query) == ("application/octet-stream", {})
        assert sealed.data != SMALL.data
        assert _opened(content["info"]["thumbnail_file"], sealed.data) == SMALL.data
        assert content["info"]["thumbnail_file"]["key"] != content["file"]["key"]


async def test_req_447_a_small_picture_that_is_refused_holds_nothing_up() -> None:
    answers = iter([_taken(), _refused(503, "M_UNKNOWN")])
    async with _uploads(lambda: next(answers), NO_LIMIT) as (_, account, uploads):
        account.thumbnail = SMALL
        content, _ = await uploads.carried(FILE, _encrypted(False, False))
    assert content["url"] == "mxc://example.org/a"
    assert not any("thumbnail" in name for name in content["info"])


def _refused(status: int, code: str, **more: Any) -> Answer:
    return status, {"errcode": code, "error": "No.", **more}


NGINX = web.Response(status=413, text="<html>Too large</html>", content_type="text/html")


@pytest.mark.parametrize(
    ("answer", "kind", "sentence"),
    [
        (_refused(413, "M_TOO_LARGE"), TooLarge, "The file is larger than the homeserver takes."),
        (NGINX, TooLarge, "The file is larger than the homeserver takes."),
        (_refused(403, "M_FORBIDDEN"), Forbidden, "does not take this file. .*It says: No"),
        (_refused(400, "M_UNKNOWN"), Forbidden, "does not take this file. .*It says: No"),
        (_refused(403, "M_RESOURCE_LIMIT_EXCEEDED"), Forbidden, "reached a limit. It says: No"),
        (_refused(400, "M_USER_LIMIT_EXCEEDED"), Forbidden, "does not take this file"),
        (_refused(429, "M_LIMIT_EXCEEDED", retry_after_ms=7000), RateLimited, "too many"),
        (_refused(503, "M_UNKNOWN"), Transient, "problem at the moment"),
        (web.Response(status=502, text="Bad gateway"), Transient, "something else"),
        ((200, {"content_uri": None}), Transient, "not one of Matrix"),
    ],
)
async def test_req_449_a_homeserver_that_refuses_a_file(
    answer: Answer, kind: type[AdapterError], sentence: str
) -> None:
    async with _uploads(lambda: answer, NO_LIMIT) as (_, _, uploads):
        with pytest.raises(kind, match=sentence) as caught:
            await uploads.carried(FILE, _encrypted(False, False))
    assert type(caught.value) is kind
    if isinstance(caught.value, Transient):
        assert caught.value.is_certain
    if isinstance(caught.value, RateLimited):
        assert caught.value.retry_after_s == 7


async def test_req_449_a_file_over_the_limit_is_not_sent_and_a_new_limit_counts() -> None:
    limit = {"m.upload.size": len(DATA) - 1}
    async with _uploads(_taken, (200, limit)) as (server, _, uploads):
        for _ in range(2):
            with pytest.raises(TooLarge, match=r"which is 0.262 MB"):
                await uploads.carried(FILE, _encrypted(False, False))
        assert _sent(server) == []
        limit["m.upload.size"] += 1
        for _ in range(2):
            await uploads.carried(FILE, _encrypted(False, False))
    assert server.paths("GET") == [CONFIG] * 3


@pytest.mark.parametrize(
    "config", [(404, {"errcode": "M_UNRECOGNIZED"}), (403, {}), (200, {"m.upload.size": "1"})]
)
async def test_a_homeserver_that_says_no_limit(config: Answer) -> None:
    async with _uploads(_taken, config) as (server, _, uploads):
        await uploads.carried(FILE, _encrypted(False, False))
    assert len(_sent(server)) == 1


async def test_a_small_file_of_which_nobody_says_how_large_it_is() -> None:
    async with _uploads(_taken, NO_LIMIT) as (server, account, uploads):
        account.size = None
        await uploads.carried(FILE, _encrypted(False, False))
        assert [sent.data for sent in _sent(server)] == [DATA]
        account.chunks = [DATA] * 5
        with pytest.raises(Unsupported, match="does not say how large"):
            await uploads.carried(FILE, _encrypted(False, False))
    assert len(_sent(server)) == 1


GONE = Transient("The server of the file broke off.")


@pytest.mark.parametrize("is_sealed", [False, True])
@pytest.mark.parametrize(
    ("chunks", "sentence"),
    [
        ([DATA[:70_000], GONE], "broke off"),
        ([DATA, Unsupported("Its checksum is another.")], "checksum"),
        ([DATA[:-1]], "not as long"),
        ([DATA, b"x"], "not as long"),
    ],
)
async def test_req_449_a_file_that_breaks_off_is_not_there(
    chunks: list[bytes | AdapterError], sentence: str, is_sealed: bool
) -> None:
    """The homeserver gets no request that it could take for whole."""
    async with _uploads(_taken, NO_LIMIT, encrypts=True) as (server, account, uploads):
        account.chunks = chunks
        with pytest.raises(AdapterError, match=sentence):
            await uploads.carried(FILE, _encrypted(is_sealed, is_sealed))
        assert _sent(server) == []
        account.chunks = [DATA]
        await uploads.carried(FILE, _encrypted(is_sealed, is_sealed))
    assert len(_sent(server)) == 1


async def _in(pieces: list[bytes]) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


@given(st.lists(st.binary(max_size=70)))
async def test_what_was_encrypted_is_decrypted(pieces: list[bytes]) -> None:
    sealing, other = Sealing(), Sealing()
    sealed = b"".join([piece async for piece in sealing.sealed(_in(pieces))])
    file = sealing.described("mxc://example.org/a")
    assert _opened(file, sealed) == b"".join(pieces)
    assert file["key"]["k"] != other.described("")["key"]["k"]
    assert file["iv"] != other.described("")["iv"]
