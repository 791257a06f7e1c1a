# SPDX-License-Identifier: Apache-2.0
"""The fetch guard, against servers that lie."""

from __future__ import annotations

import asyncio
import gzip
import ssl
from pathlib import Path
from typing import Any

import pytest

from gateway.errors import (
    FetchBroken,
    FetchError,
    FetchFailed,
    FetchGone,
    FetchRefused,
    FetchTooLarge,
    Forbidden,
    NotFound,
    TooLarge,
    Transient,
    Unsupported,
)
from gateway.media.turns import Turns
from tests.peers.certificates import CertificateFiles
from tests.unit.media.liar import Liar, Said, fetched, guarding, liar, moved, names, ok

HERE = "http://127.0.0.1"


async def test_a_file_comes_as_it_is_and_our_side_says_nothing_of_itself() -> None:
    async with (
        liar(ok("x" * 300_000, "Content-Type: Image/PNG; a=b")) as server,
        guarding(server) as guard,
    ):
        url = f"{HERE}:{server.port}/a%2fb/Bild%20%7e.png?X-Sig=a%2Bb%2F#part"
        async with guard.open(url, user="alice") as download:
            assert (download.media_type, download.size) == ("image/png", 300_000)
            assert b"".join([chunk async for chunk in download.chunks]) == b"x" * 300_000
    asked, *headers = server.heads[0].strip().split("\r\n")
    assert asked == "GET /a%2fb/Bild%20%7e.png?X-Sig=a%2Bb%2F HTTP/1.1"
    assert sorted(headers) == sorted(
        [f"Host: 127.0.0.1:{server.port}", "Accept: */*", "Accept-Encoding: identity",
         "User-Agent: Dragoman", "Connection: close"]
    )  # fmt: skip


async def test_a_name_beyond_ascii_is_written_as_urls_are() -> None:
    async with liar(ok("")) as server, guarding(server) as guard:
        assert await fetched(guard, f"{HERE}:{server.port}/Bücher und mehr") == b""
    assert server.heads[0].startswith("GET /B%C3%BCcher%20und%20mehr HTTP")


@pytest.mark.parametrize(
    ("url", "error"),
    [
        ("https://10.0.0.1/x", FetchRefused),
        ("https://[::1]/x", FetchRefused),
        ("https://[::ffff:127.0.0.2]/x", FetchRefused),
        ("https://[64:ff9b::a00:1]/x", FetchRefused),
        ("https://169.254.169.254/latest/meta-data", FetchRefused),
        ("https://168.63.129.16/", FetchRefused),
        ("https://100.100.100.200/", FetchRefused),
        ("https://localhost/x", FetchRefused),
        ("https://a.LOCALHOST./x", FetchRefused),
        ("https://example.org:22/x", FetchRefused),
        ("https://example.org:8087/x", FetchRefused),
        ("https://user:pw@example.org/x", FetchRefused),
        ("https://user@example.org/x", FetchRefused),
        ("https://example.org\\@127.0.0.1/", FetchError),
        ("https://127.1/", FetchError),
        ("https://2130706433/", FetchError),
        ("https://0x7f000001/", FetchError),
        ("https://127.0.0.1.:1/", FetchError),
        ("http://example.org/x", FetchRefused),
        ("ftp://example.org/x", FetchError),
        ("file:///etc/passwd", FetchError),
        ("gopher://127.0.0.1:70/x", FetchError),
        ("data:text/plain,x", FetchError),
        ("//example.org/x", FetchError),
        ("example.org", FetchBroken),
        ("", FetchBroken),
        ("https://", FetchBroken),
        ("https://[", FetchBroken),
        ("https://example.org:99999/", FetchBroken),
        ("https://example.org/" + "x" * 5000, FetchBroken),
    ],
)  # fmt: skip
async def test_req_720_addresses_that_are_refused(url: str, error: type[FetchError]) -> None:
    """With the settings as they are: not one packet goes out."""
    async with (
        names() as (asked, resolver),
        guarding(http=False, allow=(), resolver=resolver) as guard,
    ):
        with pytest.raises(error):
            await fetched(guard, url)
        assert asked.asked in ([], ["2130706433"], ["0x7f000001"])


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (204, FetchBroken), (206, FetchBroken), (304, FetchBroken), (400, FetchGone),
        (401, FetchGone), (403, FetchGone), (404, FetchGone), (410, FetchGone),
        (408, FetchFailed), (429, FetchFailed), (500, FetchFailed), (503, FetchFailed),
        (999, FetchFailed),
    ],
)  # fmt: skip
async def test_what_a_server_says_instead(status: int, error: type[FetchError]) -> None:
    async with (
        liar(f"HTTP/1.1 {status} X\r\nContent-Length: 0\r\n\r\n") as server,
        guarding(server) as guard,
    ):
        with pytest.raises(error):
            await fetched(guard, f"{HERE}:{server.port}/")


def test_errors_say_whether_another_attempt_may_help() -> None:
    assert issubclass(FetchFailed, Transient)
    assert FetchFailed("x").is_certain
    for kind, other in (
        (FetchRefused, Forbidden),
        (FetchGone, NotFound),
        (FetchTooLarge, TooLarge),
        (FetchBroken, Unsupported),
    ):
        assert issubclass(kind, other)
        assert not issubclass(kind, Transient)


# --- where it leads -----------------------------------------------------------------------------


async def test_req_720_redirections_are_followed_three_times_and_carry_nothing() -> None:
    async def talk(said: Said) -> None:
        steps = {"/0": "/1", "/1": "//127.0.0.1:{port}/2", "/2": "{here}/3", "/3": "/4"}
        if said.path == "/3" and said.server.sent == 0:
            return
        if said.path in steps:
            to = steps[said.path].format(port=said.server.port, here=f"{HERE}:{said.server.port}")
            await said.say(moved(to))
        else:
            await said.say(ok("here"))

    async with liar(talk) as server, guarding(server) as guard:
        assert await fetched(guard, f"{HERE}:{server.port}/1") == b"here"
        assert len(server.heads) == 4
        text = "".join(server.heads).lower()
        assert not any(word in text for word in ("cookie", "referer", "authorization"))
        with pytest.raises(FetchRefused, match="without an end"):
            await fetched(guard, f"{HERE}:{server.port}/0")
        assert len(server.heads) == 8


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize(
    "to", ["http://127.0.0.2:{port}/", "http://files.example:{port}/", "http://127.0.0.1:1/"]
)
async def test_req_720_a_redirection_into_a_private_network_is_refused(
    to: str, status: int
) -> None:
    async with (
        liar(lambda said: said.say(moved(to.format(port=said.server.port), status))) as server,
        liar(ok("secret"), "127.0.0.2", port=server.port) as inner,
        names(files__example=[["127.0.0.2"]]) as (_, resolver),
        guarding(server, resolver=resolver) as guard,
    ):
        with pytest.raises(FetchRefused):
            await fetched(guard, f"{HERE}:{server.port}/")
        assert inner.heads == []


@pytest.mark.parametrize("to", ["", "https://[", "http://a:b@127.0.0.1/", "file:///etc/passwd"])
async def test_a_redirection_to_nowhere_is_refused(to: str) -> None:
    async with liar(moved(to)) as server, guarding(server) as guard:
        with pytest.raises(FetchError):
            await fetched(guard, f"{HERE}:{server.port}/")


@pytest.mark.parametrize(
    "addresses", [["127.0.0.2"], ["127.0.0.1", "127.0.0.2"], ["127.0.0.2", "127.0.0.1"]]
)
async def test_req_720_a_name_of_a_private_address_is_refused(addresses: list[str]) -> None:
    async with (
        liar(ok("secret"), "127.0.0.2") as inner,
        names(files__example=[addresses]) as (_, resolver),
        guarding(inner, resolver=resolver) as guard,
    ):
        with pytest.raises(FetchRefused, match="private network"):
            await fetched(guard, f"http://files.example:{inner.port}/")
        assert inner.heads == []


async def test_req_720_a_name_that_changes_is_judged_by_where_the_connection_goes() -> None:
    """DNS rebinding: a good address when it is looked at, another one when it is used."""
    async with (
        liar(ok("good")) as server,
        liar(ok("secret"), "127.0.0.2", port=server.port) as inner,
        names(files__example=[["127.0.0.1"], ["127.0.0.2"]]) as (asked, resolver),
        guarding(server, resolver=resolver) as guard,
    ):
        url = f"http://files.example:{server.port}/"
        assert await fetched(guard, url) == b"good"
        assert asked.asked == ["files.example"]
        with pytest.raises(FetchRefused, match="private network"):
            await fetched(guard, url)
        assert inner.heads == []


async def test_req_720_what_the_admin_names_is_reached() -> None:
    async with (
        liar(ok("a"), "127.0.0.2") as server,
        names(files__example=[["127.0.0.2"]], other__example=[["127.0.0.2"]]) as (_, resolver),
        guarding(server, allow=("Files.example",), resolver=resolver) as guard,
    ):
        assert await fetched(guard, f"http://FILES.example:{server.port}/") == b"a"
        for host in ("other.example", "127.0.0.2"):
            with pytest.raises(FetchRefused, match="private network"):
                await fetched(guard, f"http://{host}:{server.port}/")


async def test_req_720_what_the_admin_names_is_no_way_to_all_ports_of_this_machine() -> None:
    async with (
        liar(ok("secret"), "127.0.1.1") as inner,
        liar(ok("a"), "127.0.1.1") as server,
        names(files__example=[["127.0.1.1"]]) as (_, resolver),
        guarding(server, allow=("files.example",), resolver=resolver) as guard,
    ):
        assert await fetched(guard, f"http://files.example:{server.port}/") == b"a"
        with pytest.raises(FetchRefused):
            await fetched(guard, f"http://files.example:{inner.port}/")
        assert inner.heads == []


async def test_a_name_that_nobody_knows_and_a_port_where_nobody_is() -> None:
    async with (
        liar("") as server,
        names() as (_, resolver),
        guarding(server, resolver=resolver) as guard,
    ):
        with pytest.raises(FetchFailed, match=r"files\.example cannot be reached"):
            await fetched(guard, f"http://files.example:{server.port}/")
    async with guarding(server) as guard:
        with pytest.raises(FetchFailed, match="cannot be reached"):
            await fetched(guard, f"{HERE}:{server.port}/")


# --- certificates -------------------------------------------------------------------------------


def _tls(files: CertificateFiles) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """For the server, and for those who trust it."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(files.certificate, files.key)
    return server, ssl.create_default_context(cafile=files.ca)


async def test_certificates_are_of_the_name_and_not_of_the_address(tmp_path: Path) -> None:
    tls, trusted = _tls(CertificateFiles(tmp_path, "files.example"))
    asked: list[str | None] = []
    tls.sni_callback = lambda _, name, __: asked.append(name)
    here = [["127.0.0.1"]]
    async with (
        liar(ok("good"), tls=tls) as server,
        names(files__example=here, other__example=here) as (_, resolver),
        guarding(server, http=False, resolver=resolver, trusted=trusted) as guard,
    ):
        assert await fetched(guard, f"https://files.example:{server.port}/") == b"good"
        assert asked == ["files.example"]
        with pytest.raises(FetchRefused, match="certificate"):
            await fetched(guard, f"https://other.example:{server.port}/")
        async with guarding(server, http=False, resolver=resolver) as strict:
            with pytest.raises(FetchRefused, match="certificate"):
                await fetched(strict, f"https://files.example:{server.port}/")
        assert len(server.heads) == 1


async def test_https_does_not_become_http(tmp_path: Path) -> None:
    tls, trusted = _tls(CertificateFiles(tmp_path, "files.example"))
    async with (
        liar(ok("in clear")) as clear,
        liar(moved(f"{HERE}:{clear.port}/"), tls=tls) as server,
        guarding(server, clear, http=False, trusted=trusted) as guard,
    ):
        with pytest.raises(FetchRefused, match="https://"):
            await fetched(guard, f"https://127.0.0.1:{server.port}/")
        assert clear.heads == []


async def test_a_server_without_https_is_not_asked_for_it() -> None:
    async def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(ok("in clear").encode())
        writer.close()

    clear = await asyncio.start_server(greet, "127.0.0.1", 0)
    port = clear.sockets[0].getsockname()[1]
    async with clear, guarding(ports=(port,), http=False) as guard:
        with pytest.raises(FetchRefused, match="certificate"):
            await fetched(guard, f"https://127.0.0.1:{port}/")


# --- how much, and how fast ---------------------------------------------------------------------


async def _has(order: list[str], number: int) -> None:
    async with asyncio.timeout(5):
        while len(order) < number:  # noqa: ASYNC110 - a list tells nobody
            await asyncio.sleep(0.01)


async def _endless(said: Said, head: str, piece: bytes = b"x" * 65536, pause_s: float = 0) -> None:
    await said.say(head)
    while not said.reader.at_eof():
        await said.say(piece)
        await asyncio.sleep(pause_s)


@pytest.mark.parametrize(
    "head",
    [
        "HTTP/1.1 200 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 900000\r\nContent-Length: 900000\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
    ],
)
async def test_req_720_a_body_without_end_has_one(head: str) -> None:
    piece = b"10000\r\n" + b"x" * 65536 + b"\r\n" if "chunked" in head else b"x" * 65536

    async with liar(lambda said: _endless(said, head, piece)) as server, guarding(server) as guard:
        taken = 0

        async def take() -> None:
            nonlocal taken
            async with guard.open(f"{HERE}:{server.port}/", user="a", most=500_000) as download:
                async for chunk in download.chunks:
                    taken += len(chunk)

        with pytest.raises((FetchTooLarge, FetchBroken)):
            await take()
        assert taken <= 500_000
        await asyncio.wait_for(server.gone.wait(), 5)


async def test_req_720_what_says_that_it_is_too_large_is_not_fetched() -> None:
    head = "HTTP/1.1 200 OK\r\nContent-Length: 1000001\r\n\r\n"
    async with liar(head) as server, guarding(server) as guard:
        with pytest.raises(FetchTooLarge, match="larger than 1 MB"):
            await fetched(guard, f"{HERE}:{server.port}/")
        with pytest.raises(FetchTooLarge, match=r"larger than 0\.5 MB"):
            await fetched(guard, f"{HERE}:{server.port}/", most=500_000)


async def test_a_length_that_is_a_lie_gives_no_file() -> None:
    async with liar(ok("abcdef", length=3)) as server, guarding(server) as guard:
        with pytest.raises(FetchBroken):
            await fetched(guard, f"{HERE}:{server.port}/")
    async with liar(ok("abc", length=6)) as server, guarding(server) as guard:
        with pytest.raises(FetchFailed, match="broke off"):
            await fetched(guard, f"{HERE}:{server.port}/")


@pytest.mark.parametrize(
    "length", ["-1", "1e3", "99999999999999999999999", "3\r\nContent-Length: 4"]
)
async def test_a_length_that_is_none_is_no_answer(length: str) -> None:
    answer = f"HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\nabc"
    async with liar(answer) as server, guarding(server) as guard:
        with pytest.raises((FetchBroken, FetchTooLarge, FetchFailed)):
            await fetched(guard, f"{HERE}:{server.port}/")


@pytest.mark.parametrize("coding", ["gzip", "br", "identity, gzip", "deflate"])
async def test_req_720_nothing_is_unpacked(coding: str) -> None:
    bomb = gzip.compress(bytes(900_000)).decode("latin-1")

    async def talk(said: Said) -> None:
        await said.say(ok(bomb, f"Content-Encoding: {coding}").encode("latin-1"))

    async with liar(talk) as server, guarding(server) as guard:
        with pytest.raises(FetchBroken):
            await fetched(guard, f"{HERE}:{server.port}/")


async def test_req_720_a_byte_now_and_then_is_too_slow() -> None:
    head = ok("", length=1000)
    async with (
        liar(lambda said: _endless(said, head, b"x", 0.05)) as server,
        guarding(server, silence_s=5, time_s=0.5) as guard,
    ):
        with pytest.raises(FetchFailed, match="too slow"):
            await fetched(guard, f"{HERE}:{server.port}/")
        await asyncio.wait_for(server.gone.wait(), 5)


@pytest.mark.parametrize("said_first", ["", "HTTP/1.1 200 OK\r\n", ok("abc", length=6)])
async def test_req_720_silence_is_given_up(said_first: str) -> None:
    async def talk(said: Said) -> None:
        await said.say(said_first)
        await said.reader.read()

    async with liar(talk) as server, guarding(server, silence_s=0.3, time_s=600) as guard:
        async with asyncio.timeout(10):
            with pytest.raises(FetchFailed, match="too slow"):
                await fetched(guard, f"{HERE}:{server.port}/")
        await asyncio.wait_for(server.gone.wait(), 5)


async def test_the_time_that_our_side_takes_does_not_count() -> None:
    async with (
        liar(lambda said: said.say(ok("x" * 900_000))) as server,
        guarding(server, silence_s=0.4, time_s=0.4) as guard,
        guard.open(f"{HERE}:{server.port}/", user="a") as download,
    ):
        size = 0
        async for chunk in download.chunks:
            size += len(chunk)
            if size == len(chunk):
                await asyncio.sleep(0.6)
        assert size == 900_000


async def test_a_slow_reader_slows_the_sender() -> None:
    """Nothing is kept but what fits into the buffers of the two sockets."""
    size = 64_000_000

    async def talk(said: Said) -> None:
        await said.say(ok("", length=size))
        for _ in range(size // 64_000):
            await said.say(b"x" * 64_000)

    async with (
        liar(talk) as server,
        guarding(server, size=size) as guard,
        guard.open(f"{HERE}:{server.port}/", user="a") as download,
    ):
        chunks = download.chunks
        taken = len(await anext(chunks))
        before = -1
        while server.sent != before:
            before = server.sent
            await asyncio.sleep(0.2)
        assert server.sent < 16_000_000
        async for chunk in chunks:
            assert 0 < len(chunk) <= 256 * 1024
            taken += len(chunk)
        assert taken == size


async def test_who_leaves_before_the_end_ends_it() -> None:
    async with (
        liar(lambda said: _endless(said, "HTTP/1.1 200 OK\r\n\r\n")) as server,
        guarding(server, at_once=1) as guard,
    ):
        async with guard.open(f"{HERE}:{server.port}/", user="a") as download:
            await anext(download.chunks)
        await asyncio.wait_for(server.gone.wait(), 5)
        with pytest.raises(FetchTooLarge):
            await fetched(guard, f"{HERE}:{server.port}/", most=1)


@pytest.mark.parametrize(
    ("head", "piece"),
    [
        ("HTTP/1.1 200 OK\r\n", b"X-A: %s\r\n" % (b"x" * 4000)),
        ("HTTP/1.1 200 OK\r\n", b"X: y\r\n"),
        ("HTTP/1.1 200 OK\r\nX-A: ", b"x" * 65536),
        ("", b"HTTP/1.1 100 Continue\r\n\r\n"),
        ("", b"x" * 65536),
    ],
)
async def test_an_answer_that_does_not_begin_is_none(head: str, piece: bytes) -> None:
    async with (
        liar(lambda said: _endless(said, head, piece)) as server,
        guarding(server, silence_s=1) as guard,
    ):
        with pytest.raises((FetchBroken, FetchFailed)):
            await fetched(guard, f"{HERE}:{server.port}/")
        assert server.sent < 64_000_000


# --- through a proxy ----------------------------------------------------------------------------


async def _lead(said: Said, to: Liar) -> None:
    """CONNECT to what is called files.example, wherever that is (RFC 9110 §9.3.6)."""
    if not said.head.startswith("CONNECT files.example:"):
        await said.say("HTTP/1.1 403 Forbidden\r\n\r\n")
        return
    reader, writer = await asyncio.open_connection("127.0.0.1", to.port)
    await said.say("HTTP/1.1 200 OK\r\n\r\n")

    async def pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        while data := await source.read(65536):
            sink.write(data)
        sink.close()

    await asyncio.gather(pump(said.reader, writer), pump(reader, said.writer))


async def test_req_721_a_proxy_finds_and_reaches_the_servers_of_strangers(tmp_path: Path) -> None:
    tls, trusted = _tls(CertificateFiles(tmp_path, "files.example"))
    async with (
        liar(ok("file"), tls=tls) as server,
        liar(lambda said: _lead(said, server)) as proxy,
        liar(ok("own")) as own,
        names() as (asked, resolver),
        guarding(
            server, own, resolver=resolver, trusted=trusted, proxy=f"http://127.0.0.1:{proxy.port}"
        ) as guard,
    ):
        assert await fetched(guard, f"https://files.example:{server.port}/") == b"file"
        with pytest.raises(FetchRefused, match="proxy"):
            await fetched(guard, f"https://other.example:{server.port}/")
        with pytest.raises(FetchRefused, match="private"):
            await fetched(guard, f"https://127.0.0.2:{server.port}/")
        assert asked.asked == []
        assert len(proxy.heads) == 2
        assert await fetched(guard, f"{HERE}:{own.port}/") == b"own"
        assert len(proxy.heads) == 2


async def test_req_721_without_the_proxy_nothing_is_fetched() -> None:
    async with liar("") as proxy:
        pass
    address = f"http://127.0.0.1:{proxy.port}"
    async with liar(ok("x")) as server, guarding(server, allow=(), proxy=address) as guard:
        with pytest.raises(FetchFailed, match="cannot be reached"):
            await fetched(guard, f"http://files.example:{server.port}/")
        assert server.heads == []


# --- turns --------------------------------------------------------------------------------------


async def test_req_720_one_user_takes_no_turn_from_the_others() -> None:
    let_go = asyncio.Event()
    order: list[str] = []

    async def talk(said: Said) -> None:
        order.append(said.path)
        await let_go.wait()
        await said.say(ok("x"))

    async with liar(talk) as server, guarding(server, at_once=3, each=2) as guard:

        async def fetch(user: str, number: int) -> Any:
            return await fetched(guard, f"{HERE}:{server.port}/{user}{number}", user=user)

        many = [asyncio.create_task(fetch("a", number)) for number in range(5)]
        await asyncio.sleep(0)
        others = [asyncio.create_task(fetch(user, 0)) for user in "bc"]
        await _has(order, 3)
        await asyncio.sleep(0.05)
        assert sorted(order) == ["/a0", "/a1", "/b0"]
        let_go.set()
        await asyncio.gather(*many, *others)
        assert order.index("/c0") < order.index("/a3")


async def test_who_leaves_while_they_wait_takes_no_turn() -> None:
    turns, had = Turns(1, 1), []

    async def wait(user: str) -> None:
        async with turns.turn(user):
            had.append(user)

    async with turns.turn("a"):
        waiting = {user: asyncio.create_task(wait(user)) for user in "bcd"}
        await asyncio.sleep(0)
        waiting["c"].cancel()
        await asyncio.wait({waiting["c"]})
        waiting["b"].cancel()  # and has not noticed it when its turn would come
    await asyncio.wait(set(waiting.values()))
    async with turns.turn("e"):
        pass
    assert had == ["d"]
    assert not turns._running
    assert not turns._waiting
