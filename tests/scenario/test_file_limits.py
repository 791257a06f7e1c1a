# SPDX-License-Identifier: Apache-2.0
"""Too many files, each way (REQ-711), and too many who ask for them (REQ-712)."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import pytest
from msgspec import structs

from gateway.config.tree import Limits as LimitsConfig
from gateway.config.values import Rate as RateConfig
from gateway.ids import UserJid
from gateway.web import files as web_files
from gateway.xmpp.limits import Kind, Limits, LimitSettings, Rate, Standing
from tests.scenario.house import House, Options
from tests.scenario.patterns import ACCEPT
from tests.scenario.test_files import PICTURE, files_in
from tests.scenario.test_limits import STANZAS, answers, conditions, message
from tests.scenario.test_shared_rooms import CAROL, Town
from tests.scenario.test_stream import ALICE, bodies, running
from tests.scenario.web import Hosted


def _file(house: House, number: int, to: str, sender: str = ALICE) -> str:
    """A message with a file that nobody else sends."""
    url = f"{house.web.base}/{number}"
    house.web.files[f"/{number}"] = Hosted(f"file {number}".encode())
    kind = "groupchat" if to.startswith("#") else "chat"
    return (
        f"<message type='{kind}' id='f{number}' from='{sender}/phone' to='{to}'>"
        f"<body>{url}</body><x xmlns='jabber:x:oob'><url>{url}</url></x></message>"
    )


def _of_network(house: House) -> list[str]:
    return sorted(sent.file["name"] for sent in house.network.sent if sent.file is not None)


async def test_req_711_more_files_than_that_are_refused_with_a_sentence(tmp_path: Path) -> None:
    """In chats and groups together; texts, and the files of others, go on."""
    limits = LimitsConfig(files=RateConfig((4, 600)))
    async with House(tmp_path, Options(adapter="files", limits=limits)) as house:
        town = await Town(house).begin()
        await town.both_join()
        bob = "bob@net.example"
        sent = [_file(house, n, bob) for n in range(3)]
        sent += [_file(house, n, town.room) for n in range(3, 6)]
        found = await answers(house, *sent, _file(house, 6, bob), message(ALICE, 7))
        refused = [each for each in found if each.get("type") == "error"]
        assert conditions(refused) == {"wait resource-constraint": 3}
        assert [each.get("id") for each in refused] == ["f4", "f5", "f6"]
        assert {each.findtext(f"{ACCEPT}error/{STANZAS}text") for each in refused} == {
            "You are sending too many files at once. Please try again in a few minutes."
        }
        await house.network.until(lambda: len(_of_network(house)) == 4, 30)
        assert "text 7" in [sent.body for sent in house.network.sent]
        found = await answers(house, _file(house, 7, bob, CAROL))
        assert conditions(found)["wait resource-constraint"] == 0
        await house.network.until(lambda: "7" in _of_network(house), 30)
        await house.clock.advance(151)
        found = await answers(house, _file(house, 8, bob), _file(house, 9, bob))
        assert conditions(found)["wait resource-constraint"] == 1
        await house.network.until(lambda: len(_of_network(house)) == 6, 30)
        assert _of_network(house) == ["0", "1", "2", "3", "7", "8"]


def _several(house: House, number: int) -> str:
    """So many files in one message (XEP-0447)."""
    shared = ""
    for each in range(number):
        house.web.files[f"/{each}"] = Hosted(f"file {each}".encode())
        shared += (
            "<file-sharing xmlns='urn:xmpp:sfs:0'><sources>"
            "<url-data xmlns='http://jabber.org/protocol/url-data'"
            f" target='{house.web.base}/{each}'/></sources></file-sharing>"
        )
    to = f"from='{ALICE}/phone' to='bob@net.example'"
    return f"<message type='chat' id='s{number}' {to}>{shared}</message>"


async def test_req_712_a_message_of_more_files_than_that_is_refused_as_a_whole(
    tmp_path: Path,
) -> None:
    async with House(tmp_path, Options(adapter="files")) as house:
        await running(house)
        (refused,) = await answers(house, _several(house, 21))
        assert conditions([refused]) == {"modify not-acceptable": 1}
        said = refused.findtext(f"{ACCEPT}error/{STANZAS}text")
        assert said == "One message takes at most 20 files."
        assert await answers(house, _several(house, 20)) == []
        await house.network.until(lambda: len(house.network.sent) == 20, 30)
        assert _of_network(house) == sorted(map(str, range(20)))


async def test_req_712_of_a_message_of_the_network_no_file_is_left_out(tmp_path: Path) -> None:
    """Fifty of it have an address, and the others are words."""
    async with House(tmp_path, Options(has_pages=True)) as house:
        await running(house)
        files = [{"reference": f"{n}", "name": f"{n}.bin"} for n in range(52)]
        house.network.says("alice", "bob", "all of them", files=files)
        told = await bodies(house)
        assert [url.rpartition("/")[2] for url in told[:50]] == [f"{n}.bin" for n in range(50)]
        assert told[50] == "📎 50.bin\n📎 51.bin\nall of them"
        assert len(told) == 51


@pytest.mark.parametrize("kind", [Kind.FILES, Kind.UPLOADS])
def test_req_711_files_are_measured_by_domain_and_all_together(kind: Kind) -> None:
    settings = LimitsConfig(**{kind.value: RateConfig((2, 600))})
    rates = {name: Rate(*rate) for name, rate in structs.asdict(settings).items()}
    limits = Limits(LimitSettings(**rates))

    def passed(domain: str) -> int:
        """Of three tries of each of its accounts."""
        users = [UserJid(f"u{number}@{domain}") for number in range(100)] * 3
        return sum(limits.takes(kind, user, Standing.LINKED, 0.0) for user in users)

    alone = UserJid("alone@home.example")
    assert [limits.takes(kind, alone, Standing.LINKED, 0.0) for _ in range(3)] == [1, 1, 0]
    assert passed("many.example") == 40
    assert [passed(f"{number}.example") for number in range(5)] == [40, 40, 40, 38, 0]
    assert limits.takes(Kind.MESSAGES, alone, Standing.LINKED, 0.0)


async def test_req_711_what_is_too_much_for_the_upload_service_is_told_all_the_same(
    tmp_path: Path,
) -> None:
    """Later, or at the gateway's own address; texts, and the files of others, go on."""
    limits = LimitsConfig(uploads=RateConfig((2, 60)))
    options = Options(uploads=True, has_pages=True, limits=limits)
    async with House(tmp_path, options) as house:
        await running(house)
        await house.link(CAROL, "carol")
        await bodies(house)
        assert house.server.uploads is not None
        wanted = house.server.uploads.wanted
        for number in range(8):
            house.network.files[f"{number}"] = f"file {number}".encode()
            file = {"reference": f"{number}", "name": f"{number}.bin"}
            house.network.says("alice", "bob", "", files=[file])
        house.network.says("alice", "eve", "meanwhile")
        await house.clock.settle()
        at_service = f"{house.web.base}/uploads/"
        at_once = {body for body in await bodies(house) if body}
        assert at_once == {f"{at_service}0.bin", f"{at_service}1.bin", "meanwhile"}
        house.network.files["hers"] = b"carol's"
        house.network.says("carol", "bob", "", files=[{"reference": "hers", "name": "hers.bin"}])
        await house.clock.settle()
        assert await bodies(house) == [f"{at_service}hers.bin"]
        await house.clock.advance(180)
        told = await bodies(house)
        assert sorted(url.rpartition("/")[2] for url in told) == [f"{n}.bin" for n in range(2, 8)]
        late = [url for url in told if url.startswith(at_service)]
        assert 1 <= len(late) == len(wanted) - 3 <= 3
        own = [url for url in told if url.startswith("https://127.0.0.1:1/chat/files/")]
        assert len(own) == 6 - len(late)
        assert "limits.uploads" in [log.get("reason") for log in house.logs]


async def test_req_712_so_many_wait_for_files_of_one_account_and_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever comes then is told at once to come again; those of others are there."""
    monkeypatch.setattr(web_files, "_AT_ONCE_OF_ACCOUNT", 1)
    monkeypatch.setattr(web_files, "_MOST_WAITING", 1)
    async with files_in(tmp_path) as scene:
        await scene.house.link(CAROL, "carol")
        large, small = await scene.told(random.Random(8).randbytes(8_000_000)), await scene.told()
        slow = await scene._open(large, "GET", {}).__aenter__()
        waits = asyncio.ensure_future(scene.fetch(small))
        await asyncio.wait((waits,), timeout=0.2)
        assert not waits.done()
        refused = await scene.fetch(small)
        assert (refused.status, refused.headers["Retry-After"]) == (503, "60")
        other = await scene.told(account="carol")
        assert (await scene.fetch(other)).data == PICTURE
        slow.close()
        assert (await waits).data == PICTURE
        assert (await scene.fetch(small)).data == PICTURE
