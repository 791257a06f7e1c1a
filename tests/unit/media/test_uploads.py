# SPDX-License-Identifier: Apache-2.0
"""Files of users on their way to a network (REQ-448)."""

from __future__ import annotations

import hashlib
import io
import os
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from PIL import Image

from gateway.adapter import Upload
from gateway.errors import AdapterError, TooLarge, Unsupported
from gateway.events import FileFacts, FileKind, SentFile
from gateway.media.fetch import Guard
from gateway.media.images import Images
from gateway.media.pictures import Pictures
from gateway.media.sounds import Sounds
from gateway.media.turns import Turns
from gateway.media.uploads import Uploads
from gateway.media.work import Work
from tests.peers.certificates import CertificateFiles
from tests.recordings import recorded
from tests.unit.media.liar import Said, guarding, liar, names
from tests.unit.media.test_images import made

_KEY, _IV = bytes(range(32)), bytes(range(12))
_M4A = b"\0\0\0\x18ftypM4A \0\0\0\0"
_HEIC = b"\0\0\0\x10ftypheic\0\0\0\0"
_MP4 = b"\0\0\0\x18ftypisom\0\0\0\0"
_OPUS, _VORBIS = b"OggS\0\2" + bytes(22) + b"OpusHead", b"OggS\0\2" + bytes(22) + b"\1vorbis"
_TREE = {"files__example": [["127.0.0.1"]]}


def _picture(form: str, width: int = 40, height: int = 30, **more: Any) -> bytes:
    made = io.BytesIO()
    Image.new("RGB", (width, height), "red").save(made, form, **more)
    return made.getvalue()


def _giving(data: bytes, kind: str = "") -> Any:
    async def give(said: Said) -> None:
        await said.say(f"HTTP/1.1 200 OK\r\nContent-Length: {len(data)}\r\n")
        await said.say(f"Content-Type: {kind}\r\n\r\n" if kind else "\r\n")
        await said.say(data)

    return give


@asynccontextmanager
async def _open(
    data: bytes, path: str = "file", *, most: int | None = None, served: str = "", **said: Any
) -> AsyncIterator[Upload]:
    async with liar(_giving(data, served)) as server, guarding(server, size=10**8) as guard:
        file = SentFile(url=f"http://127.0.0.1:{server.port}/{path}", **said)
        async with _uploads(guard).open(file, lambda: None, user="alice", most=most) as upload:
            yield upload


def _uploads(guard: Guard) -> Uploads:
    images, work = Images(), Work()
    return Uploads(guard, images, Pictures(images, work), Sounds(None, work), Turns(9, 9))


async def _all(upload: Upload) -> bytes:
    return b"".join([chunk async for chunk in upload.chunks])


@pytest.mark.parametrize(
    ("data", "path", "said", "kind", "media_type"),
    [
        (_picture("PNG"), "a.png", {}, FileKind.IMAGE, "image/png"),
        (_picture("PNG"), "a.exe", {"media_type": "text/html"}, FileKind.IMAGE, "image/png"),
        (_picture("PNG"), "a", {"as_file": True}, FileKind.FILE, "image/png"),
        (_picture("WEBP"), "a", {"kind": FileKind.STICKER}, FileKind.STICKER, "image/webp"),
        (b"<svg onload='x()'/>", "a.svg", {"media_type": "image/svg+xml"}, FileKind.FILE,
         "text/html"),
        (_OPUS, "a.ogg", {}, FileKind.VOICE, "audio/ogg"),
        (_VORBIS, "song.ogg", {}, FileKind.AUDIO, "audio/ogg"),
        (_M4A, "a", {}, FileKind.VOICE, "audio/mp4"),
        # Android's recorder writes it as if it were a film.
        (_MP4, "rec.m4a", {}, FileKind.VOICE, "audio/mp4"),
        (_MP4, "rec", {"media_type": "audio/mp4"}, FileKind.VOICE, "audio/mp4"),
        (_MP4, "film.mp4", {}, FileKind.VIDEO, "video/mp4"),
        (b"ID3\3\0", "a.mp3", {}, FileKind.AUDIO, "audio/mpeg"),
        (b"%PDF-1.7", "photo.png", {"media_type": "image/png"}, FileKind.FILE, "application/pdf"),
        (b"", "empty.txt", {"kind": FileKind.STICKER}, FileKind.FILE, "application/octet-stream"),
    ],
    ids=range(14),
)  # fmt: skip
async def test_req_448_what_a_file_is_its_bytes_tell(
    data: bytes, path: str, said: dict[str, Any], kind: FileKind, media_type: str
) -> None:
    async with _open(data, path, **said) as upload:
        assert (upload.facts.kind, upload.facts.media_type) == (kind, media_type)
        assert upload.facts.size == len(data)
        assert await _all(upload) == data


async def test_how_large_a_picture_is_that_nobody_has_said() -> None:
    photo = _picture("JPEG", 400, 300) + bytes(3_000_000)
    async with _open(photo) as upload:
        assert (upload.facts.width, upload.facts.height) == (400, 300)
        assert await _all(upload) == photo
    film = _picture("GIF", 20, 10, save_all=True, append_images=[Image.new("RGB", (20, 10))])
    async with _open(film) as upload:
        assert upload.facts.kind is FileKind.ANIMATION
    async with _open(b"\x89PNG\r\n\x1a\n and then nonsense") as upload:
        assert (upload.facts.width, upload.facts.kind) == (None, FileKind.IMAGE)


@pytest.mark.parametrize(("form", "said"), [("JPEG", {}), ("PNG", {"width": 9, "height": 8})])
async def test_req_447_a_large_picture_has_a_small_one(form: str, said: dict[str, Any]) -> None:
    photo = made(form, size=(1280, 320))
    assert len(photo) > 100_000
    async with _open(photo, **said) as upload:
        known = (said.get("width", 1280), said.get("height", 320), len(photo))
        assert (upload.facts.width, upload.facts.height, upload.facts.size) == known
        assert upload.facts.kind is FileKind.IMAGE
        small = upload.thumbnail
        assert small is not None
        assert len(small.data) <= 96 * 1024
        assert (small.width / small.height, max(small.width, small.height) <= 640) == (4, True)
        with Image.open(io.BytesIO(small.data)) as shown:
            assert shown.size == (small.width, small.height)
            assert shown.get_format_mimetype() == small.media_type
        assert await _all(upload) == photo


@pytest.mark.parametrize("size", [(60, 40), (1280, 320)])
async def test_req_724_where_a_photo_was_taken_goes_along_only_with_a_file(
    size: tuple[int, int],
) -> None:
    exif = Image.Exif()
    exif[0x010F] = "secret camera"
    photo = made("JPEG", size=size, exif=exif)
    for as_file in (False, True):
        async with _open(photo, as_file=as_file) as upload:
            sent = await _all(upload)
            assert (b"secret" in sent, upload.facts.size, len(sent)) == (
                as_file, len(photo), len(photo)
            )  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        (FileKind.VIDEO, recorded("telephone")),
        (FileKind.FILE, _HEIC + b"\0\0\0\x10udtaloci:52."),
    ],
    ids=["film", "heic"],
)
async def test_req_724_nor_where_a_film_was_nor_what_apps_take_for_a_file(
    kind: FileKind, data: bytes
) -> None:
    for as_file in (False, True):
        async with _open(data, as_file=as_file) as upload:
            sent = await _all(upload)
            assert upload.facts.kind is (FileKind.FILE if as_file else kind)
            assert (b"loci" in sent, upload.facts.size) == (as_file, len(sent))
            assert (len(sent), sent == data) == (len(data), as_file)


async def test_req_447_which_files_have_no_small_picture() -> None:
    photo = made("PNG")
    nonsense = b"\x89PNG\r\n\x1a\n" + bytes(200_000)
    for data, as_file in ((_picture("PNG"), False), (photo, True), (nonsense, False)):
        async with _open(data, as_file=as_file) as upload:
            assert upload.thumbnail is None
            assert await _all(upload) == data


async def test_what_a_client_says_is_kept_where_bytes_do_not_tell() -> None:
    said: dict[str, Any] = {
        "description": "A cat",
        "is_spoiler": True,
        "duration_s": 3.5,
        "width": 9,
        "height": 8,
    }
    async with _open(_picture("PNG"), "b.png", name=f"../{'x' * 10_000}.png", **said) as upload:
        assert upload.facts == FileFacts(
            kind=FileKind.IMAGE, name=upload.facts.name, media_type="image/png",
            size=len(_picture("PNG")), **said,
        )  # fmt: skip
        assert upload.facts.name.startswith("xxx")
        assert upload.facts.name.endswith(".png")
        assert len(upload.facts.name) <= 120


async def test_nothing_is_read_that_nobody_takes() -> None:
    """A file of any size needs the memory of its pieces (REQ-720)."""
    asked: list[Any] = []

    async def much(said: Said) -> None:
        asked.append(said.server)
        await said.say("HTTP/1.1 200 OK\r\nContent-Length: 90000000\r\n\r\n")
        for _ in range(90):
            await said.say(bytes(1_000_000))

    moved = 0

    def move() -> None:
        nonlocal moved
        moved += 1

    async with liar(much) as server, guarding(server, size=10**8) as guard:
        file = SentFile(url=f"http://127.0.0.1:{server.port}/")
        async with _uploads(guard).open(file, move, user="alice") as upload:
            assert upload.facts.size == 90_000_000
            taken = [len(await anext(upload.chunks)) for _ in range(20)]
            assert max(taken) <= 65_536
            assert moved > 20
            assert server.sent < 20_000_000  # what sockets keep


async def test_what_is_too_large_is_not_carried() -> None:
    with pytest.raises(TooLarge, match=r"larger than 0\.001 MB"):
        async with _open(bytes(1001), most=1000):
            pass
    async with _open(bytes(1000), most=1000) as upload:
        assert len(await _all(upload)) == 1000


async def test_another_file_than_the_one_that_was_said() -> None:
    data = os.urandom(300_000)
    async with _open(data, sha256=hashlib.sha256(data).hexdigest()) as upload:
        assert await _all(upload) == data
    async with _open(data, sha256=hashlib.sha256(b"other").hexdigest()) as upload:
        with pytest.raises(Unsupported, match="checksum"):
            await _all(upload)


# --- links with a key (XEP-0454) -----------------------------------------------------------------


async def _unlocked(tmp_path: Path, kept: bytes, secret: str, most: int | None = None) -> bytes:
    files = CertificateFiles(tmp_path, "files.example")
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(files.certificate, files.key)
    trusted = ssl.create_default_context(cafile=files.ca)
    async with (
        liar(_giving(kept), tls=tls) as server,
        names(**_TREE) as (_, resolver),
        guarding(
            server, http=False, resolver=resolver, trusted=trusted, allow=("files.example",)
        ) as guard,
    ):
        url = f"aesgcm://files.example:{server.port}/photo.png#{secret}"
        file = SentFile(url=url)
        async with _uploads(guard).open(file, lambda: None, user="alice", most=most) as upload:
            assert upload.facts.name == "photo.png"
            data = await _all(upload)
            assert upload.facts.size == len(data)
        assert server.heads[0].startswith("GET /photo.png HTTP/1.1")
        return data


@pytest.mark.parametrize("iv", [_IV, bytes(range(16))], ids=["12", "16"])
async def test_req_448_an_encrypted_file_is_opened_on_its_way(tmp_path: Path, iv: bytes) -> None:
    data = os.urandom(300_000)
    kept = AESGCM(_KEY).encrypt(iv, data, None)
    assert await _unlocked(tmp_path, kept, iv.hex() + _KEY.hex(), most=300_000) == data


@pytest.mark.parametrize("where", [-1, 0, 150_000], ids=["tag", "begin", "middle"])
async def test_an_encrypted_file_that_is_another_one_breaks_off(
    tmp_path: Path, where: int
) -> None:
    kept = bytearray(AESGCM(_KEY).encrypt(_IV, os.urandom(300_000), None))
    kept[where] ^= 1
    with pytest.raises(Unsupported, match="broken"):
        await _unlocked(tmp_path, bytes(kept), (_IV + _KEY).hex())


@pytest.mark.parametrize(
    ("kept", "secret"),
    [
        (b"shorter", (_IV + _KEY).hex()),
        (b"", (_IV + _KEY).hex()),
        (bytes(100), (_IV + _KEY).hex()[:-1]),
        (bytes(100), ""),
    ],
)
async def test_what_cannot_be_opened_is_told(tmp_path: Path, kept: bytes, secret: str) -> None:
    with pytest.raises(AdapterError):
        await _unlocked(tmp_path, kept, secret)
