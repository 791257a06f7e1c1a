# SPDX-License-Identifier: Apache-2.0
"""What clients look at before they show a file as one: in the message, and at its address.

Each check is as the client makes it, established from its source (see "Sources read" in the
requirements). One that fails shows a naked link, or nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit
from xml.etree.ElementTree import Element

import pytest

from tests.scenario.test_files import PICTURE, Seen, files_in
from tests.scenario.test_stream import stanza

_NAMES = ["pic.png", "a cat #1 of 50%.png", "ø 猫?.png", "no ending", "", ".png", "x" * 300]
_OOB, _URL = "{jabber:x:oob}x", "{jabber:x:oob}url"
_FILE = "{urn:xmpp:file:metadata:0}"
_SIMS_FILE = "{urn:xmpp:jingle:apps:file-transfer:5}"


@dataclass
class Shown:
    """One message with a file, and what its address answered."""

    message: Element
    looked: Seen
    """HEAD."""

    @property
    def body(self) -> str:
        return self.message.findtext("{jabber:component:accept}body", "")

    @property
    def oob(self) -> str:
        return self.message.findtext(f"{_OOB}/{_URL}", "")

    def of_sfs(self, name: str) -> str:
        return self.message.findtext(
            f"{{urn:xmpp:sfs:0}}file-sharing/{_FILE}file/{_FILE}{name}", ""
        )

    def of_sims(self, name: str) -> str:
        at = f"{{urn:xmpp:reference:0}}reference/{{urn:xmpp:sims:1}}media-sharing/{_SIMS_FILE}file"
        return self.message.findtext(f"{at}/{_SIMS_FILE}{name}", "")

    def says(self, header: str) -> str:
        return self.looked.headers.get(header, "")


def _is_one_line(shown: Shown) -> bool:
    return shown.body == shown.oob and "\n" not in shown.body


def _conversations(shown: Shown) -> bool:
    """It asks for the size before it fetches by itself."""
    ending = PurePosixPath(urlsplit(shown.body).path).suffix
    return _is_one_line(shown) and ending == ".png" and shown.says("Content-Length") != ""


def _dino(shown: Shown) -> bool:
    """Neither spaces nor a fragment; HEAD says whether to fetch it."""
    is_address = re.fullmatch(r"https?://([^\s#]*)", shown.body) is not None
    is_whole = shown.says("Content-Length") == str(len(PICTURE))
    return is_address and is_whole and shown.says("Content-Type") == "image/png"


def _monal(shown: Shown) -> bool:
    return _is_one_line(shown) and shown.body.startswith("https://")


def _converse(shown: Shown) -> bool:
    """By the ending of the path; and a page of another origin has to be let read it."""
    is_picture = urlsplit(shown.body).path.lower().endswith((".png", ".jpg", ".jpeg"))
    return is_picture and shown.says("Access-Control-Allow-Origin") == "*"


def _movim(shown: Shown) -> bool:
    facts = [shown.of_sims(each) for each in ("name", "media-type", "size")]
    return all(facts) and 0 < len(shown.message.get("id", "")) <= 64


def _cheogram(shown: Shown) -> bool:
    return _is_one_line(shown) and shown.of_sims("media-type") == shown.of_sfs("media-type")


@pytest.mark.parametrize("name", _NAMES, ids=[name[:12] or "none" for name in _NAMES])
async def test_files_are_shown_as_files(tmp_path: Path, name: str) -> None:
    """REQ-807, 811, 815, 827, 830, 831: whatever their names are."""
    clients: list[Callable[[Shown], bool]] = [
        *(_conversations, _dino, _monal, _converse, _movim, _cheogram)
    ]
    async with files_in(tmp_path) as scene:
        scene.house.network.files["r"] = PICTURE
        file = {"reference": "r", "name": name, "media_type": "image/png", "size": len(PICTURE)}
        scene.house.network.says("alice", "bob", "", files=[file])
        while (message := await stanza(scene.house)).find(_OOB) is None:
            pass  # who Bob is
        shown = Shown(message, await scene.fetch(message.findtext(f"{_OOB}/{_URL}", ""), "HEAD"))
        assert [client.__name__ for client in clients if not client(shown)] == []
