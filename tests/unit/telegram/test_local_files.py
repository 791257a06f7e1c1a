# SPDX-License-Identifier: Apache-2.0
"""A Bot API server of the admin's own, which has files on its disk (REQ-441, REQ-448)."""

import asyncio
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from adapters.telegram import TelegramAdapter, TelegramSettings, local_files
from adapters.telegram.local_files import place_of
from gateway.adapter import Session
from gateway.errors import Transient
from gateway.events import FileKind, RemoteMessage, RemoteRoomMessage, SentFile
from tests.contract.account import Context
from tests.memory_account import Log
from tests.peers.bot_api import LocalDisk
from tests.unit.telegram.world import World

_TOKEN = "123:abc"
_THERE = "/var/lib/telegram-bot-api"
_DATA = bytes(range(256)) * 4096


@pytest.fixture
async def local(world: World, tmp_path: Path) -> World:
    """The same bot, by such a server, whose directory has another name where the gateway is."""
    world.telegram.world.files.local = LocalDisk(tmp_path, _THERE)
    known = world.adapter.context.settings
    settings = TelegramSettings(api_url=known.api_url, poll_timeout=1, local_files=tmp_path)
    context: Any = Context(world.account.http, settings)
    world.adapter = TelegramAdapter(context)
    return world


@pytest.mark.parametrize(
    ("path", "place"),
    [
        (f"{_THERE}/123:abc/documents/file_0.pdf", ("123:abc", "documents", "file_0.pdf")),
        ("C:\\bots\\123~abc\\photos\\file_1.jpg", ("123~abc", "photos", "file_1.jpg")),
        (f"{_THERE}/123:abc/../456:def/documents/file_0.pdf", None),
        (f"{_THERE}/123:abc/./file_0.pdf", None),
        (f"{_THERE}/123:abc//etc/passwd", None),
        (f"{_THERE}/123:abc/a\0b", None),
        (f"{_THERE}/123:abc", None),
        (f"{_THERE}/456:def/documents/file_0.pdf", None),
        ("/etc/passwd", None),
    ],
)
def test_a_place_is_below_the_directory_of_the_bot(
    path: str, place: tuple[str, ...] | None
) -> None:
    assert place_of(path, _TOKEN) == place


async def _read(session: Session, reference: str, start: int = 0) -> tuple[bytes, int | None]:
    download = await session.download(reference, start)
    try:
        return b"".join([chunk async for chunk in download.chunks]), download.size
    finally:
        await download.close()


async def test_files_of_any_size_come_from_the_disk_from_any_place_on(local: World) -> None:
    group = local.telegram.groups.create("Friends", local.anna, local.bot)
    local.anna.send_file(local.bot, "document", _DATA, name="x.bin")
    local.anna.send_file(group, "video", b"film", name="y.mp4", size=3_000_000_000)
    before = _open_files()
    async with local.running() as session:
        in_chat = await local.account.first(RemoteMessage, lambda told: bool(told.files))
        in_room = await local.account.first(RemoteRoomMessage)
        for start in (0, 1, 300_000, len(_DATA) - 1, len(_DATA), len(_DATA) + 1):
            read = await _read(session, in_chat.files[0].reference, start)
            assert read == (_DATA[start:], len(_DATA))
        (film,) = in_room.files
        assert film.size == 3_000_000_000
        read = await _read(session, film.reference, 3_000_000_000 - 5)
        assert read == (bytes(5), film.size)
        with pytest.raises(Transient):
            await session.download("nothing")
    assert _open_files() == before


def _open_files() -> list[str]:
    found = (_target(each) for each in Path("/proc/self/fd").iterdir())
    return sorted(each for each in found if each.endswith((".bin", ".mp4")))


def _target(link: Path) -> str:
    try:
        return str(link.readlink())
    except OSError:
        return ""


def _link(file: Path) -> None:
    """To what the server itself may read."""
    secret = file.parents[3] / "secret"
    secret.write_bytes(b"secret")
    file.unlink()
    file.symlink_to(secret)


def _linked_folder(file: Path) -> None:
    elsewhere = file.parents[3] / "elsewhere"
    file.parent.rename(elsewhere)
    file.parent.symlink_to(elsewhere)


def _pipe(file: Path) -> None:
    """Which nobody writes to: to open it would wait for ever."""
    file.unlink()
    os.mkfifo(file)


def _folder(file: Path) -> None:
    file.unlink()
    file.mkdir()


@pytest.mark.parametrize("make", [_link, _linked_folder, _pipe, _folder, Path.unlink])
async def test_only_files_are_read_and_no_links_are_followed(
    local: World, tmp_path: Path, make: Callable[[Path], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    inner = tmp_path / "server"
    inner.mkdir()
    local.telegram.world.files.local = LocalDisk(inner, _THERE)
    opened = local_files._open

    def changed(root: Path, place: tuple[str, ...]) -> int:
        make(inner.joinpath(*place))
        return opened(inner, place)

    monkeypatch.setattr(local_files, "_open", changed)
    local.anna.send_file(local.bot, "document", b"bytes", name="x.bin")
    async with local.running() as session:
        told = await local.account.first(RemoteMessage, lambda each: bool(each.files))
        with pytest.raises(Transient, match="cannot read") as caught:
            await session.download(told.files[0].reference)
    assert local.bot.token not in f"{caught.value!r} {caught.value.__cause__!r}"
    ((event, about),) = _lines(local)
    assert event == "telegram_file_unreadable"
    assert about["reason"] in ("ELOOP", "ENOTDIR", "EINVAL", "ENOENT")


def _lines(world: World) -> list[tuple[str, dict[str, Any]]]:
    log = world.account.log
    assert isinstance(log, Log)
    return log.lines


async def test_what_is_elsewhere_on_the_disk_is_not_read(local: World, tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"secret")
    answer = b'{"ok": true, "result": {"file_id": "f", "file_unique_id": "u", "file_path": "%s"}}'
    async with local.running() as session:
        for path in (f"{tmp_path}/secret", f"{_THERE}/{local.bot.token}/../secret"):
            local.telegram.faults.garble(answer % path.encode(), method="getFile")
            with pytest.raises(Transient, match="cannot read"):
                await session.download("f")
    assert [about["reason"] for _, about in _lines(local)] == [
        "not in the directory of the bot"
    ] * 2


async def test_a_slow_disk_holds_up_nobody(local: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor who ends what is being read, which is closed when it is."""
    local.anna.send_file(local.bot, "document", _DATA, name="x.bin")
    pread, begun, goes_on = os.pread, threading.Event(), threading.Event()

    def slow(*about: int) -> bytes:
        begun.set()
        goes_on.wait(5)
        return pread(*about)

    before = _open_files()
    async with local.running() as session:
        told = await local.account.first(RemoteMessage, lambda each: bool(each.files))
        download = await session.download(told.files[0].reference)
        monkeypatch.setattr(os, "pread", slow)
        reading = asyncio.ensure_future(anext(download.chunks))
        while not begun.is_set():  # noqa: ASYNC110  of a thread
            await asyncio.sleep(0.01)
        await download.close()
        assert _open_files() != before
        goes_on.set()
        assert await reading == _DATA[: 256 * 1024]
        assert _open_files() == before
        assert [chunk async for chunk in download.chunks] == []


async def test_what_nobody_closes_is_closed(local: World) -> None:
    """Whoever has asked for it was ended."""
    local.anna.send_file(local.bot, "document", _DATA, name="x.bin")
    before = _open_files()
    async with local.running() as session:
        told = await local.account.first(RemoteMessage, lambda each: bool(each.files))
        download = await session.download(told.files[0].reference)
        assert _open_files() != before
        del download
        assert _open_files() == before


async def test_a_server_that_is_still_fetching_is_named(
    local: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It answers getFile when it has all of the file."""
    monkeypatch.setattr("adapters.telegram.downloads._GET_FILE_S", 0.2)
    local.anna.send_file(local.bot, "document", _DATA, name="x.bin")
    async with local.running() as session:
        told = await local.account.first(RemoteMessage, lambda each: bool(each.files))
        local.telegram.faults.hold(method="getFile")
        with pytest.raises(Transient, match="still fetching"):
            await session.download(told.files[0].reference)
        local.telegram.faults.end()
        assert (await _read(session, told.files[0].reference))[0] == _DATA


async def test_files_on_a_disk_that_the_gateway_was_not_given(
    world: World, tmp_path: Path
) -> None:
    world.telegram.world.files.local = LocalDisk(tmp_path)
    world.anna.send_file(world.bot, "document", b"bytes", name="x.bin")
    async with world.running() as session:
        told = await world.account.first(RemoteMessage, lambda each: bool(each.files))
        with pytest.raises(Transient, match="cannot read"):
            await session.download(told.files[0].reference)
    assert [about["reason"] for _, about in _lines(world)] == ["local_files is not set"]


async def test_larger_files_are_sent(local: World, world: World) -> None:
    """What is claimed is what the settings allow."""
    assert TelegramAdapter.capabilities.max_file_bytes == 50_000_000
    assert local.adapter.capabilities.max_file_bytes == 2_000_000_000
    url = "https://files.example/1"
    local.account.files[url] = bytes(60_000_000)
    file = SentFile(url=url, name="x.bin", kind=FileKind.FILE, media_type="a/b")
    async with local.running() as session:
        await session.send(local.text("", file=file), "k.1")
    assert local.chat.seen.items[0].content["document"]["file_size"] == 60_000_000


async def test_a_server_has_the_time_to_pass_a_file_on(
    local: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has taken all of it long before Telegram has it."""
    monkeypatch.setattr("adapters.telegram.uploads._ANSWER_S", 0.1)
    url = "https://files.example/1"
    local.account.files[url] = b"bytes"
    file = SentFile(url=url, name="x.bin", kind=FileKind.FILE, media_type="a/b")
    async with local.running() as session:
        fault = local.telegram.faults.hold(method="sendDocument", carried_out=True)
        sending = asyncio.ensure_future(session.send(local.text("", file=file), "k.1"))
        await fault.reached()
        await asyncio.sleep(0.5)
        fault.let_go()
        assert (await sending).remote_id is not None
