# SPDX-License-Identifier: Apache-2.0
"""Files at the upload services of real servers (XEP-0363): those that alice's client puts there
for people on Matrix, and those that the gateway puts there for her."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote
from xml.sax.saxutils import escape, quoteattr

import aiohttp
import pytest

from tests.e2e.house import PASSWORD, House, Scene, at_services
from tests.e2e.shared_files import Shared, opened, three
from tests.peers.element import Element
from tests.peers.ports import LOOPBACK
from tests.peers.uploading import put
from tests.peers.xmpp_client import Stanza
from tests.recordings import recorded
from tests.unit.media.test_images import made

pytestmark = [pytest.mark.timeout(120), pytest.mark.waits]

_OOB = "jabber:x:oob"
_HASH = "{urn:xmpp:hashes:2}hash"


def _hers(called: str) -> list[Shared]:
    """Her photo is large, and her client records in another format than Matrix plays."""
    photo, voice, document = three(called)
    photo = replace(photo, data=made("JPEG", size=(640, 360), quality=95))
    name = voice.name.replace(".ogg", ".m4a")
    voice = replace(voice, name=name, media_type="audio/mp4", data=recorded("m4a"))
    return [photo, voice, document]


def _sent_as(file: Shared) -> str:
    """Its name there."""
    return file.name.replace(".m4a", ".ogg")


def _check(file: Shared, content: Mapping[str, Any], data: bytes) -> None:
    if not file.is_voice:
        file.check(content, data)
        if file.msgtype == "m.image":
            small = {name for name in content["info"] if name.startswith("thumbnail_")}
            place = "file" if "file" in content else "url"
            assert small == {"thumbnail_info", f"thumbnail_{place}"}
        return
    info, sound = content["info"], content["org.matrix.msc1767.audio"]
    assert (content["msgtype"], content["body"]) == (file.msgtype, _sent_as(file))
    assert "org.matrix.msc3245.voice" in content
    assert (info["mimetype"], info["duration"], sound["duration"]) == ("audio/ogg", 2000, 2000)
    assert info["size"] == len(data)
    assert len(sound["waveform"]) == 100
    assert data.startswith(b"OggS")
    assert b"OpusHead" in data[:64]


def _share(scene: Scene, to: str, url: str, caption: str = "") -> str:
    """Out of band (XEP-0066); with a caption, as stateless file sharing (XEP-0447) does it."""
    extra = f"<x xmlns='{_OOB}'><url>{escape(url)}</url></x>"
    body = f"{url}\n{caption}" if caption else url
    if caption:
        extra += (
            "<file-sharing xmlns='urn:xmpp:sfs:0'><sources><url-data"
            f" xmlns='http://jabber.org/protocol/url-data' target={quoteattr(url)}/></sources>"
            "</file-sharing><fallback xmlns='urn:xmpp:fallback:0' for='urn:xmpp:sfs:0'>"
            f"<body start='0' end='{len(url) + 1}'/></fallback>"
        )
    return scene.alice.send_message(to, body, extra=extra)


@dataclass
class _Chat:
    """Of alice with somebody on Matrix."""

    scene: Scene
    jid: str
    http: aiohttp.ClientSession

    async def is_told(self, file: Shared, since: int) -> None:
        """Alice finds it at her own server, as a file that clients can check."""
        told = await self.scene.alice.wait_for(
            lambda stanza: stanza.sender_bare == self.jid and bool(_address(stanza)), since=since
        )
        url = _address(told)
        assert url.startswith(f"http://{LOOPBACK}:{self.scene.house.xmpp.http_port}/")
        assert url.endswith(f"/{file.name}")
        shared = told.child("urn:xmpp:sfs:0", "file-sharing")
        assert shared is not None
        told_hash = next(shared.iter(_HASH)).text or ""
        assert base64.b64decode(told_hash) == hashlib.sha256(file.data).digest()
        async with self.http.get(url) as answer:
            assert answer.status == 200
            # ejabberd goes by the name, and knows ".ogg" by an older type.
            assert answer.content_type.split("/")[1] == file.media_type.split("/")[1]
            assert await answer.read() == file.data


def _address(stanza: Stanza) -> str:
    """That is all of the message (REQ-441); empty if it is something else."""
    x = stanza.child(_OOB, "x")
    url = "" if x is None else x.findtext(f"{{{_OOB}}}url") or ""
    return url if url == stanza.body else ""


async def _with_captions(scene: Scene, url: str) -> None:
    """What is said of a file, and said otherwise."""
    id = _share(scene, scene.bob_jid, url, "Look at this")
    shown = await scene.bob.wait_text("Look at this", room_id=scene.room)
    assert shown.content["filename"] == url.rpartition("/")[2]
    assert shown.content["msgtype"] == "m.file"
    await scene.alice.wait_receipt(id)
    scene.alice.send_message(scene.bob_jid, "Look at that", replaces=id)
    edit = await scene.bob.wait_text("* Look at that", room_id=scene.room)
    assert edit.content["m.relates_to"]["event_id"] == shown.event_id
    whole = edit.content["m.new_content"]
    assert whole["url"] == shown.content["url"]
    assert (whole["filename"], whole["body"]) == (shown.content["filename"], "Look at that")


async def _in_clear(chat: _Chat, urls: list[str], files: list[Shared]) -> None:
    scene, room = chat.scene, await chat.scene.chat()
    ids = [_share(scene, chat.jid, url) for url in urls]
    for id, file in zip(ids, files, strict=True):
        event = await scene.bob.wait_text(_sent_as(file), room_id=room)
        _check(file, event.content, await scene.bob.download(event.content["url"]))
        await scene.alice.wait_receipt(id)
    await _with_captions(scene, urls[2])
    for file in three(f"{scene.bob.user}-clear"):
        since = scene.alice.inbox.mark()
        await scene.bob.share(room, file.data, file.content(), file.media_type)
        await chat.is_told(file, since)


async def _encrypted(chat: _Chat, bob: Element, urls: list[str], files: list[Shared]) -> None:
    scene = chat.scene
    room = await bob.create_direct(scene.phone.user_id)
    await scene.alice.wait_presence("subscribe", sender=chat.jid)
    scene.alice.approve(chat.jid)
    await bob.wait_member(room, scene.phone.user_id)
    for url, file in zip(urls, files, strict=True):
        id = _share(scene, chat.jid, url)
        event = await bob.wait_text(_sent_as(file), room_id=room)
        assert event.decrypted
        assert "url" not in event.content
        await scene.alice.wait_receipt(id)
        sealed = await scene.bob.download(event.content["file"]["url"])
        assert file.data[:32] not in sealed
        _check(file, event.content, opened(event.content["file"], sealed))
    theirs = three(f"{bob.user}-sealed")
    for file in theirs:
        since = scene.alice.inbox.mark()
        await bob.share(room, file.data, file.content(), file.media_type)
        await chat.is_told(file, since)
    answer = await bob.request("GET", f"rooms/{quote(room)}/messages?dir=b&limit=100")
    said = [event["type"] for event in answer["chunk"]]
    assert said.count("m.room.encrypted") == len(files) + len(theirs)
    assert "m.room.message" not in said


async def test_req_445_448_files_each_way_by_the_servers_own_service(
    house: House, http: aiohttp.ClientSession
) -> None:
    """In a plain and in an encrypted room; of the latter the homeserver has nothing in clear."""
    service = house.xmpp.upload_domain
    async with house.linked(**at_services(house)) as scene:
        files = _hers(f"{scene.bob.user}-alice")
        urls = [
            await put(scene.alice, service, file.name, file.media_type, file.data)
            for file in files
        ]
        await _in_clear(_Chat(scene, scene.bob_jid, http), urls, files)
        user = f"{scene.bob.user}-element"
        await house.synapse.add_user(user, PASSWORD)
        chat = _Chat(scene, f"{user}%localhost@{house.domain}", http)
        async with Element(house.synapse.url, user, PASSWORD, directory=house.directory) as bob:
            await _encrypted(chat, bob, urls, files)
