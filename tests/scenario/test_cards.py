# SPDX-License-Identifier: Apache-2.0
"""Files for address books that the gateway makes of what networks tell (REQ-454)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.scenario.test_files import files_in
from tests.scenario.test_stream import bodies

_EVIL = "Carol\\; née,\nTEL:1\u2028EMAIL:x\ud800 " + "ü" * 80


async def _file_of(folder: Path, card: dict[str, Any], **asked: str) -> tuple[int, str]:
    async with files_in(folder) as scene:
        scene.house.network.says("alice", "bob", "", cards=[card])
        (url,) = [body for body in await bodies(scene.house) if body.startswith("https://")]
        await scene.house.network.stop()
        answer = await scene.fetch(url, **asked)
        assert answer.headers["Content-Disposition"].startswith("attachment;")
        return answer.status, answer.data.decode()


async def test_req_454_it_is_there_when_the_network_is_not(tmp_path: Path) -> None:
    card = {"name": "Carol", "phones": ["+49 1"], "mails": ["c@work.example"], "user": "carol"}
    lines = [
        *("BEGIN:VCARD", "VERSION:3.0", "FN:Carol", "N:Carol;;;;", "TEL:+49 1"),
        *("EMAIL:c@work.example", "IMPP:xmpp:carol@net.example", "END:VCARD", ""),
    ]
    assert await _file_of(tmp_path, card) == (200, "\r\n".join(lines))


async def test_req_454_a_part_of_it(tmp_path: Path) -> None:
    assert await _file_of(tmp_path, {"name": "Carol"}, Range="bytes=6-10") == (206, "VCARD")


@pytest.mark.parametrize(
    ("card", "said"),
    [
        ({"name": _EVIL}, []),
        ({"phones": [_EVIL]}, ["TEL"]),
        ({"mails": [_EVIL] * 60}, ["EMAIL"] * 50),
    ],
    ids=["name", "phones", "mails"],
)
async def test_req_454_what_is_said_of_somebody_makes_no_line(
    tmp_path: Path, card: dict[str, Any], said: list[str]
) -> None:
    _, content = await _file_of(tmp_path, card)
    assert all(len(line.encode()) <= 75 for line in content.split("\r\n"))
    lines = content.replace("\r\n ", "").split("\r\n")
    kinds = [line.partition(":")[0] for line in lines]
    assert kinds == ["BEGIN", "VERSION", "FN", "N", *said, "END", ""]
    assert r"Carol\\\; née\, TEL:1 EMAIL:x" in lines[2]
