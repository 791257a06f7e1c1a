# SPDX-License-Identifier: Apache-2.0
"""Files that come slowly, and what goes on meanwhile (REQ-446)."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.adapter import Sent
from gateway.events import Command
from gateway.ids import UserJid
from tests.scenario.house import House, Options
from tests.scenario.web import Hosted

ALICE, CAROL = "alice@home.example", "carol@home.example"


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    """Where alice and carol are linked."""
    async with House(tmp_path, Options(adapter="files")) as house:
        await house.start()
        await house.connected()
        await house.link(ALICE, "alice")
        await house.link(CAROL, "carol")
        yield house


def _says(house: House, user: str, contact: str, body: str) -> None:
    house.server.send(
        f"<message from='{user}/phone' to='{contact}@net.example' type='chat' id='{body[:20]}'>"
        f"<body>{body}</body></message>"
    )


def _sends(house: House, user: str, contact: str, path: str) -> None:
    url = house.web.base + path
    house.server.send(
        f"<message from='{user}/phone' to='{contact}@net.example' type='chat' id='{path}'>"
        f"<body>{url}</body><x xmlns='jabber:x:oob'><url>{url}</url></x></message>"
    )


def _slow(house: House, *paths: str) -> None:
    for path in paths:
        house.web.files[path] = Hosted(path.encode() * 50, allowed=0)


def _errors(house: House) -> list[str | None]:
    """What came back since this was asked."""
    errors = []
    while not house.server.received.empty():
        stanza = house.server.received.get_nowait()
        if stanza.get("type") == "error":
            errors.append(stanza.get("id"))
    return errors


async def test_req_446_a_hundred_texts_a_second_while_a_file_trickles(house: House) -> None:
    """In its own chat too; bytes of the file come one by one."""
    _slow(house, "/large")
    _sends(house, ALICE, "bob", "/large")
    await house.clock.advance(1)
    waited = []
    for second in range(2):
        for number in range(50):
            began = house.clock.monotonic()
            body = f"text {second}-{number}"
            _says(house, ALICE, "bob" if number % 2 else "eve", body)
            await house.clock.advance(0.01)
            assert house.network.sent[-1].body == body
            waited.append(house.clock.monotonic() - began)
        house.web.let("/large", 1)
    assert max(waited) < 0.02
    assert [sent.file for sent in house.network.sent] == [None] * 100
    house.web.let("/large", None)
    await house.clock.settle()
    got = house.network.sent[-1]
    assert got.file is not None
    assert house.network.got[got.file["sha256"]] == house.web.files["/large"].data


async def test_slow_files_take_turns_and_are_bounded(house: House) -> None:
    """Three of a user are under way (`fetch.at_once_per_user`); another user's need not wait."""
    paths = [f"/{number}" for number in range(6)]
    _slow(house, *paths, "/other")
    for path in paths:
        _sends(house, ALICE, "bob", path)
    _sends(house, CAROL, "bob", "/other")
    await house.clock.advance(5)
    assert sorted(house.web.asked) == ["/0", "/1", "/2", "/other"]
    _says(house, ALICE, "bob", "meanwhile")
    await house.clock.settle()
    assert [sent.body for sent in house.network.sent] == ["meanwhile"]
    # The time of those that wait has not begun: what fails at first is tried again.
    house.web.files["/5"].status = 503
    for now in (["/0", "/1", "/2", "/other"], ["/3", "/4", "/5"]):
        for _ in range(8):
            for path in now:
                house.web.let(path, 1)
            await house.clock.advance(100)
            if now[-1] == "/5":
                house.web.files["/5"].status = 200
        for path in now:
            house.web.let(path, None)
        await house.clock.settle()
    names = [sent.file["name"] for sent in house.network.sent if sent.file is not None]
    assert sorted(names) == ["0", "1", "2", "3", "4", "5", "other"]


async def test_req_446_what_is_about_a_file_that_waits_for_others_comes_after_it(
    house: House,
) -> None:
    """Of so many only some are carried out beside the chat. The others lose neither what is about
    them, nor their place when somebody else takes over."""
    paths = [f"/{number}" for number in range(30)]
    _slow(house, *paths)
    for path in paths:
        _sends(house, ALICE, "bob", path)
    house.server.send(
        f"<message from='{ALICE}/phone' to='bob@net.example' type='chat' id='about'>"
        "<body>the last one</body>"
        f"<reply xmlns='urn:xmpp:reply:0' to='{ALICE}/phone' id='/29'/></message>"
    )
    _says(house, ALICE, "bob", "meanwhile")
    await house.clock.advance(2)
    assert [sent.body for sent in house.network.sent] == ["meanwhile"]
    (actor,) = house.bridge._outbound._actors._actors.values()
    assert len(actor.aside) < 30
    for path in paths:
        house.web.let(path, None)
    await house.clock.advance(5)
    sent = house.network.sent
    assert sorted(each.body for each in sent) == ["", *[""] * 29, "meanwhile", "the last one"]
    (about,) = [each for each in sent if each.body == "the last one"]
    answered = [each.id for each in sent].index(about.about["reply_to"])
    assert (sent[answered].file or {})["name"] == "29"
    assert answered < sent.index(about)


async def test_req_446_files_beyond_those_beside_the_chat_lose_no_time_and_hold_up_nothing_else(
    house: House,
) -> None:
    """The last one waits for the first, and then comes slowly itself."""
    paths = [f"/{number}" for number in range(21)]
    _slow(house, *paths)
    for path in paths:
        _sends(house, ALICE, "bob", path)
    await house.clock.advance(5)
    for _ in range(8):
        for path in paths[:3]:
            house.web.let(path, 1)
        await house.clock.advance(100)
    # What fails at first is tried again.
    house.web.files["/20"].status = 503
    for path in paths[:20]:
        house.web.let(path, None)
    await house.clock.advance(5)
    assert len(house.network.sent) == 20
    house.web.files["/20"].status = 200
    await house.clock.advance(60)
    assert len(house.network.sent) == 20
    house.server.send(
        f"<message from='{ALICE}/phone' to='bob@net.example' type='chat' id='about'>"
        "<body>the first one</body>"
        f"<reply xmlns='urn:xmpp:reply:0' to='{ALICE}/phone' id='/0'/></message>"
    )
    await house.clock.advance(2)
    assert house.network.sent[-1].body == "the first one"
    house.web.let("/20", None)
    await house.clock.advance(2)
    assert (house.network.sent[-1].file or {})["name"] == "20"


async def test_req_446_files_that_wait_for_others_lose_no_time_by_a_restart(house: House) -> None:
    """In another chat too: only some of a user's are under way."""
    paths = [f"/{number}" for number in range(22)]
    _slow(house, *paths)
    for path in paths:
        _sends(house, ALICE, "eve" if path == "/21" else "bob", path)
    await house.clock.advance(5)
    for _ in range(8):
        for path in paths[:3]:
            house.web.let(path, 1)
        await house.clock.advance(100)
    await house.kill()
    # What fails at first is tried again.
    for path in ("/20", "/21"):
        house.web.files[path].status = 503
    await house.start()
    await house.connected()
    for path in paths[:20]:
        house.web.let(path, None)
    await house.clock.advance(5)
    assert len(house.network.sent) == 20
    for path in ("/20", "/21"):
        house.web.files[path].status = 200
        house.web.let(path, None)
    await house.clock.advance(60)
    names = {(sent.file or {})["name"] for sent in house.network.sent}
    assert names == {path[1:] for path in paths}


async def test_req_224_a_file_that_waits_for_the_network_does_so_no_longer_after_a_restart(
    house: House,
) -> None:
    _slow(house, "/file")
    await house.network.stop()
    await house.clock.settle()
    _sends(house, ALICE, "bob", "/file")
    await house.clock.advance(500)
    await house.kill()
    await house.start()
    await house.connected()
    await house.clock.advance(99)
    assert not _errors(house)
    await house.clock.advance(5)
    assert _errors(house) == ["/file"]


async def test_what_follows_a_quick_file_does_not_overtake_it(house: House) -> None:
    """Also after the network was away, when much goes at once."""
    for number in range(5):
        house.web.files[f"/{number}"] = Hosted(b"quick")
    await house.network.stop()
    await house.clock.settle()
    for number in range(5):
        _sends(house, ALICE, "bob", f"/{number}")
        _says(house, ALICE, "bob", f"text {number}")
        await house.clock.advance(10)
    await house.network.start()
    await house.clock.advance(500)
    said = [sent.body or (sent.file or {})["name"] for sent in house.network.sent]
    assert said == [word for number in range(5) for word in (f"{number}", f"text {number}")]


async def test_a_file_that_stands_still_is_told_and_others_go_on(house: House) -> None:
    _slow(house, "/still")
    _sends(house, ALICE, "bob", "/still")
    await house.clock.advance(900)
    assert _errors(house) == ["/still"]
    _sends(house, ALICE, "bob", "/gone")
    await house.clock.settle()
    assert len(house.bridge._outbound._actors._actors) == 0  # nothing is kept of them


@pytest.mark.parametrize("hangs", ["text", "file"])
async def test_who_takes_the_place_of_what_hangs_sends_nothing_twice(
    house: House, hangs: str
) -> None:
    """What has a file is with somebody else, and stays there."""
    _slow(house, "/slow")
    link = house.bridge.accounts.of(UserJid(ALICE)).link  # type: ignore[union-attr]
    assert link is not None
    assert link.session is not None
    send, free = link.session.send, asyncio.Event()

    async def deaf(command: Command, key: str) -> Sent:
        is_file = getattr(command, "file", None) is not None
        while is_file == (hangs == "file") and not free.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await free.wait()
        return await send(command, key)

    vars(link.session)["send"] = deaf
    _sends(house, ALICE, "bob", "/slow")
    await house.clock.advance(2)
    _says(house, ALICE, "bob", "text")
    await house.clock.advance(60)
    house.web.let("/slow", 1)
    await house.clock.advance(75)
    assert "send_left_behind" in [log["event"] for log in house.logs]
    free.set()
    del vars(link.session)["send"]
    house.web.let("/slow", None)
    await house.clock.advance(5)
    assert sorted(sent.body for sent in house.network.sent) == ["", "text"]
    assert set(house.web.asked) == {"/slow"}
    assert len(house.web.asked) == (1 if hangs == "text" else 2)  # the one that hung, let go
    await house.clock.settle()


async def test_a_file_outlives_whoever_cancels_its_task(house: House) -> None:
    paths = [f"/{number}" for number in range(4)]
    _slow(house, *paths)
    for path in paths:
        _sends(house, ALICE, "bob", path)
    await house.clock.advance(2)
    (actor,) = house.bridge._outbound._actors._actors.values()
    waiting = actor.aside[-1].task
    assert waiting is not None
    waiting.cancel()
    await house.clock.settle()
    for path in paths:
        house.web.let(path, None)
    await house.clock.advance(2)
    names = [sent.file["name"] for sent in house.network.sent if sent.file is not None]
    assert sorted(names) == ["0", "1", "2", "3"]
