"""Files of messages: what strangers may write, and how encrypted ones are read."""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.ciphers.modes import CTR
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.matrix.chat_events import said_to
from adapters.matrix.group_events import said_in
from adapters.matrix.sealed_files import Seal, found, reference_in
from gateway.bridge.inbound.wellformed import must_be_whole
from gateway.errors import Unsupported
from gateway.events import FileKind, RemoteMessage, RemoteRoomMessage
from gateway.ids import RemoteMessageId, RemoteRoomId
from gateway.text import Span, Style
from tests.unit.matrix.samples import ALICE, BOB, CAROL, NOW, ROOM, message

URL = "mxc://example.org/aZ_9-x"
PAGE = "https://matrix.to/#/%21room%3Aexample.org/%241?via=example.org"
_HTML = "org.matrix.custom.html"
KEY, IV = bytes(range(32)), bytes(range(8)) + bytes(8)


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode().rstrip("=")


def sealed(data: bytes, **more: Any) -> tuple[bytes, dict[str, Any]]:
    """What the homeserver gets, and ``file`` of the event."""
    encryptor = Cipher(AES256(KEY), CTR(IV)).encryptor()
    stored = encryptor.update(data)
    k = base64.urlsafe_b64encode(KEY).decode().rstrip("=")
    key = {"kty": "oct", "alg": "A256CTR", "ext": True, "k": k, "key_ops": ["decrypt"]}
    hashes = {"sha256": _base64(hashlib.sha256(stored).digest())}
    return stored, {
        "url": URL, "v": "v2", "key": key, "iv": _base64(IV), "hashes": hashes, **more
    }  # fmt: skip


_, FILE = sealed(b"a file")


def _told(content: Any, sender: str = BOB, kind: str = "m.room.message") -> RemoteMessage:
    event = message(content, sender=sender, kind=kind)
    told = said_to(
        ROOM, event, contact=BOB, account=ALICE, name_of=lambda _: "Carol", now=NOW, guests=True
    )
    assert isinstance(told, RemoteMessage)
    must_be_whole(told)
    return told


def _facts(told: RemoteMessage) -> list[dict[str, Any]]:
    """What is said of the files beyond what all of these have."""
    same = {"reference": URL, "page": PAGE, "kind": "file", "type": "RemoteFile"}
    return [
        {k: v for k, v in msgspec.to_builtins(file).items() if same.get(k) != v}
        for file in told.files
    ]


_OTHER = "mxc://example.org/small"
_LARGE = {"mimetype": "image/jpeg", "w": 4000, "h": 3000, "size": 3_000_000}
_SMALL = {"mimetype": "image/jpeg", "w": 800, "h": 600, "size": 40_000}


def _small(content: Any) -> dict[str, Any] | None:
    """What is said of the small picture beyond what all of these have."""
    (facts,) = _facts(_told({"msgtype": "m.image", "body": "a", **content}))
    small = facts.get("thumbnail")
    return small and {k: v for k, v in small.items() if k not in ("kind", "type")}


@pytest.mark.parametrize(
    ("content", "small"),
    [
        ({"url": URL, "info": {**_LARGE, "thumbnail_url": _OTHER, "thumbnail_info": _SMALL}},
         {"reference": _OTHER, "media_type": "image/jpeg", "width": 800, "height": 600,
          "size": 40_000}),
        ({"url": URL, "info": {"thumbnail_url": _OTHER, "thumbnail_info": [7]}},
         {"reference": _OTHER}),
        ({"file": FILE, "info": {"thumbnail_file": {**FILE, "url": _OTHER}}},
         {"reference": reference_in({"file": {**FILE, "url": _OTHER}})}),
        ({"msgtype": "m.video", "url": URL, "info": {"thumbnail_url": _OTHER}},
         {"reference": _OTHER}),
        # The homeserver makes one of what it can read, if that is worth it.
        ({"url": URL, "info": _LARGE}, {"reference": f"{URL}?small", "width": 640, "height": 480}),
        ({"url": URL, "info": {**_LARGE, "w": 10, "h": 9000}},
         {"reference": f"{URL}?small", "width": 1, "height": 480}),
        ({"url": URL, "info": {"mimetype": "image/png", "size": 3_000_000}},
         {"reference": f"{URL}?small"}),
        ({"url": URL, "info": _SMALL}, None),
        ({"url": URL, "info": {**_LARGE, "mimetype": "image/gif"}}, None),
        ({"file": FILE, "info": _LARGE}, None),
        ({"file": FILE, "info": {**_LARGE, "thumbnail_file": {"url": _OTHER}}}, None),
        ({"url": URL, "info": {"thumbnail_url": "https://example.org/a.png"}}, None),
    ],
)  # fmt: skip
def test_req_447_small_pictures(content: Any, small: Any) -> None:
    assert _small(content) == small


@pytest.mark.parametrize(
    ("content", "facts", "body"),
    [
        ({"msgtype": "m.image", "body": "cat.jpg", "info": {"mimetype": "image/jpeg", "w": 640,
          "h": 480, "size": 2048}},
         {"kind": "image", "name": "cat.jpg", "media_type": "image/jpeg", "size": 2048,
          "width": 640, "height": 480}, ""),
        ({"msgtype": "m.image", "body": "our cat", "filename": "cat.jpg"},
         {"kind": "image", "name": "cat.jpg"}, "our cat"),
        ({"msgtype": "m.image", "body": "cat.jpg", "filename": "cat.jpg"},
         {"kind": "image", "name": "cat.jpg"}, ""),
        ({"msgtype": "m.image", "body": " \n", "filename": "cat.jpg"},
         {"kind": "image", "name": "cat.jpg"}, ""),
        ({"msgtype": "m.image", "body": "cat.jpg", "filename": " "},
         {"kind": "image", "name": "cat.jpg"}, ""),
        ({"msgtype": "m.image", "body": "x", "format": _HTML, "formatted_body": "<b>y</b>"},
         {"kind": "image", "name": "x"}, ""),
        ({"msgtype": "m.image", "body": "a", "info": {"mimetype": "image/gif"}},
         {"kind": "animation", "name": "a", "media_type": "image/gif"}, ""),
        ({"msgtype": "m.image", "body": "a", "info": {"org.matrix.msc4230.is_animated": True}},
         {"kind": "animation", "name": "a"}, ""),
        ({"msgtype": "m.image", "body": "a", "info": {"org.matrix.msc4230.is_animated": "yes"}},
         {"kind": "image", "name": "a"}, ""),
        ({"msgtype": "m.video", "body": "a.mp4", "info": {"duration": 2500, "fi.mau.gif": True}},
         {"kind": "animation", "name": "a.mp4", "duration_s": 2.5}, ""),
        ({"msgtype": "m.video", "body": "a.mp4", "info": {"duration": 61_000}},
         {"kind": "video", "name": "a.mp4", "duration_s": 61.0}, ""),
        ({"msgtype": "m.audio", "body": "a.mp3"}, {"kind": "audio", "name": "a.mp3"}, ""),
        ({"msgtype": "m.audio", "body": "Voice message.ogg", "org.matrix.msc3245.voice": {},
          "info": {"mimetype": "audio/ogg", "duration": 1500}},
         {"kind": "voice", "name": "Voice message.ogg", "media_type": "audio/ogg",
          "duration_s": 1.5}, ""),
        ({"msgtype": "m.file", "body": "a.pdf", "org.matrix.msc3245.voice": {}},
         {"name": "a.pdf"}, ""),
        ({"msgtype": "m.image", "body": "a", "page.codeberg.everypizza.msc4193.spoiler": True},
         {"kind": "image", "name": "a", "is_spoiler": True}, ""),
        ({"msgtype": "m.image", "body": "a", "page.codeberg.everypizza.msc4193.spoiler": "no"},
         {"kind": "image", "name": "a"}, ""),
        ({"msgtype": "m.file"}, {}, ""),
        ({"msgtype": "m.file", "body": 5, "filename": ["x"], "info": "odd"}, {}, ""),
        ({"msgtype": "m.file", "body": "a\nb\x00\ud800"}, {"name": "a b\ufffd"}, ""),
        ({"msgtype": "m.file", "body": f"{'n' * 10_000}.pdf"},
         {"name": f"{'n' * 180}…{'n' * 16}.pdf"}, ""),
        ({"msgtype": "m.file", "body": "a", "info": {"size": -1, "w": True, "h": "5",
          "duration": -1, "mimetype": 7}}, {"name": "a"}, ""),
        ({"msgtype": "m.file", "body": "a", "info": {"size": 10**30, "w": 1e300, "h": 480.0,
          "duration": float("nan")}}, {"name": "a", "height": 480}, ""),
        ({"msgtype": "m.file", "body": "> <@a:b> old\n\nnew", "filename": "a",
          "m.relates_to": {"m.in_reply_to": {"event_id": "$0"}}}, {"name": "a"}, "new"),
        ({"msgtype": "m.file", "body": "a", "file": "odd"}, {"name": "a"}, ""),
        ({"msgtype": "m.file", "body": "a", "file": FILE, "url": "mxc://elsewhere/x"},
         {"name": "a", "reference": reference_in({"file": FILE})}, ""),
    ],
)  # fmt: skip
def test_files(content: Any, facts: dict[str, Any], body: str) -> None:
    told = _told({"url": URL, **content})
    assert _facts(told) == [facts]
    assert told.body == body


def test_a_sticker_is_described() -> None:
    for place in ({"url": URL}, {"file": FILE}):
        told = _told({"body": "a cat", **place}, kind="m.sticker")
        (facts,) = _facts(told)
        assert (facts["kind"], facts["description"]) == ("sticker", "a cat")
        assert "name" not in facts
        assert told.body == ""
    assert not _told({"msgtype": "m.sticker", "body": "a cat", "url": URL}).files


@pytest.mark.parametrize(
    "place",
    [
        {}, {"url": None}, {"url": 7}, {"url": ""}, {"url": "https://example.org/a"},
        {"url": "mxc://example.org"}, {"url": "mxc://example.org/"}, {"url": f"{URL}/../x"},
        {"url": "mxc://example.org/.."}, {"url": "mxc://../a"}, {"url": "mxc://example.org/."},
        {"url": f"{URL}?a=b"}, {"url": f"{URL}#x"}, {"url": f"{URL}\n"}, {"url": f" {URL}"},
        {"url": "mxc://example.org/%2e%2e"}, {"url": "mxc://e/" + "a" * 256}, {"url": [URL]},
        {"file": {}, "url": URL}, {"file": {**FILE, "url": "mxc://example.org/.."}},
        {"file": {**FILE, "v": "v1"}}, {"file": {**FILE, "v": None}},
        {"file": {**FILE, "iv": "AAAA"}}, {"file": {**FILE, "iv": None}},
        {"file": {**FILE, "iv": "ä" * 22}}, {"file": {**FILE, "key": "k"}},
        {"file": {**FILE, "key": {**FILE["key"], "k": "AAAA"}}},
        {"file": {**FILE, "key": {**FILE["key"], "alg": "A128CTR"}}},
        {"file": {**FILE, "hashes": {}}}, {"file": {**FILE, "hashes": {"sha256": 5}}},
        {"file": {**FILE, "hashes": {"sha256": "A" * 10_000}}},
    ],
)  # fmt: skip
def test_req_458_what_cannot_be_a_file_stays_words(place: Any) -> None:
    told = _told({"msgtype": "m.file", "body": "look", "filename": "a.pdf", **place})
    assert told.files == ()
    assert told.body == f"[file] a.pdf — {PAGE}\nlook"


def test_a_caption_has_its_styles_and_names_people() -> None:
    content = {
        "msgtype": "m.image", "url": URL, "filename": "a.png", "body": "for Alice",
        "format": _HTML,
        "formatted_body": f'<b>for</b> <a href="https://matrix.to/#/{ALICE}">Alice</a>',
        "m.mentions": {"user_ids": [ALICE]},
    }  # fmt: skip
    group = RemoteRoomId(ROOM)
    told = said_in(group, message(content), account=ALICE, now=NOW)
    assert isinstance(told, RemoteRoomMessage)
    must_be_whole(told)
    assert (told.body, told.spans) == ("for Alice", (Span(Style.BOLD, 0, 3),))
    (named,) = told.mentions
    assert (named.user, named.begin, named.end, named.notify) == (ALICE, 4, 9, True)
    assert [file.name for file in told.files] == ["a.png"]
    silent = {**content, "body": "a.png"}
    told = said_in(group, message(silent), account=ALICE, now=NOW)
    assert isinstance(told, RemoteRoomMessage)
    assert (told.body, told.spans) == ("", ())
    assert [mention.user for mention in told.mentions] == [ALICE]


def test_whose_file_it_is_and_what_it_is_about() -> None:
    content = {"msgtype": "m.image", "body": "a.png", "url": URL}
    own = _told(content, sender=ALICE)
    assert (own.own, own.body, len(own.files)) == (True, "", 1)
    assert _told(content, sender=CAROL).body == "Carol: 📎 a.png"
    said = {**content, "filename": "a.png", "body": "look"}
    assert _told(said, sender=CAROL).body == "Carol: look"
    edit = {
        "msgtype": "m.image", "body": "* new", "m.new_content": {**said, "body": "new"},
        "m.relates_to": {"rel_type": "m.replace", "event_id": "$0"},
    }  # fmt: skip
    again = _told(edit, sender=CAROL)
    assert (again.body, len(again.files), again.edits) == ("Carol: ✏ new", 1, None)
    mine = _told(edit, sender=ALICE)
    assert (mine.body, mine.edits, len(mine.files)) == ("new", RemoteMessageId("$0"), 1)
    assert mine.files[0].page == PAGE.replace("%241", "%240")
    thread = {"rel_type": "m.thread", "event_id": "$0"}
    within = said_in(
        RemoteRoomId(ROOM), message({**said, "m.relates_to": thread}), account=ALICE, now=NOW
    )
    assert isinstance(within, RemoteRoomMessage)
    assert (within.thread, len(within.files)) == ("$0", 1)


def test_a_gallery_is_all_of_its_files_or_words() -> None:
    items = [
        {"itemtype": "m.image", "body": "a.png", "url": URL},
        {"itemtype": "m.file", "body": "b.pdf", "file": FILE},
    ]
    content = {"msgtype": "dm.filament.gallery", "body": "both", "itemtypes": items}
    told = _told(content)
    assert [(file.kind, file.name) for file in told.files] == [
        (FileKind.IMAGE, "a.png"),
        (FileKind.FILE, "b.pdf"),
    ]
    assert told.body == "both"
    for odd in (None, [], [*items, {}], [*items, "x"], {"a": items}):
        told = _told({**content, "itemtypes": odd})
        assert told.files == ()
        assert told.body == f"[a kind of message that is not bridged yet] both — {PAGE}"


# --- encrypted files -----------------------------------------------------------------------------


def test_a_reference_is_short_and_always_the_same() -> None:
    reference = reference_in({"file": FILE})
    assert len(reference) < 200
    padded = {**FILE, "iv": FILE["iv"] + "==", "key": {**FILE["key"], "k": _base64(KEY) + "="}}
    assert reference_in({"file": padded}) == reference
    place = found(reference)
    assert place is not None
    assert place[:2] == ("example.org", "aZ_9-x")
    assert place[2] == Seal(KEY, IV, base64.b64decode(FILE["hashes"]["sha256"] + "="))
    assert found(URL) == ("example.org", "aZ_9-x", None)
    for odd in (
        "",
        "x",
        f"{URL}#",
        f"{URL}#AAAA",
        f"{URL}#{'A' * 500}",
        f"mxc://../x#{'A' * 107}",
    ):
        assert found(odd) is None


async def _chunks(data: bytes, size: int) -> AsyncIterator[bytes]:
    for at in range(0, len(data), size):
        yield data[at : at + size]


async def _read(stored: bytes, file: Any, start: int = 0, size: int = 7) -> list[bytes]:
    place = found(reference_in({"file": file}))
    assert place is not None
    assert place[2] is not None
    if not start:
        return [chunk async for chunk in place[2].opened(_chunks(stored, size))]
    begin = start - start % 16
    there = _chunks(stored[begin:], size)
    return [chunk async for chunk in place[2].part(there, begin, start)]


@given(
    data=st.binary(max_size=200),
    start=st.integers(0, 210),
    size=st.integers(1, 70),
    iv=st.binary(min_size=16, max_size=16) | st.just(b"\xff" * 16),
)
async def test_reading_from_any_place_is_a_slice(
    data: bytes, start: int, size: int, iv: bytes
) -> None:
    stored = Cipher(AES256(KEY), CTR(iv)).encryptor().update(data)
    hashes = {"sha256": _base64(hashlib.sha256(stored).digest())}
    file = {**FILE, "iv": _base64(iv), "hashes": hashes}
    chunks = await _read(stored, file, start, size)
    assert b"".join(chunks) == data[start:]
    assert all(chunks[1:])


@pytest.mark.parametrize("length", [1, 16, 1000])
async def test_what_was_changed_on_its_way_never_looks_whole(length: int) -> None:
    data = os.urandom(length)
    stored, file = sealed(data)
    assert b"".join(await _read(stored, file)) == data
    changed = stored[:-1] + bytes([stored[-1] ^ 1])
    place = found(reference_in({"file": file}))
    assert place is not None
    assert place[2] is not None
    chunks = place[2].opened(_chunks(changed, 100))
    given = [await anext(chunks) for _ in range((length - 1) // 100)]
    assert b"".join(given) == data[: 100 * len(given)]
    with pytest.raises(Unsupported):
        await anext(chunks)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=3,
)


@settings(max_examples=30)
@given(
    changes=st.dictionaries(
        st.sampled_from(["body", "filename", "info", "file", "url", "msgtype", "itemtypes"]), _JSON
    ),
    info=st.dictionaries(st.sampled_from(["w", "h", "size", "duration", "mimetype"]), _JSON),
    file=st.dictionaries(st.sampled_from(["url", "v", "key", "iv", "hashes"]), _JSON),
)
def test_no_content_raises(changes: Any, info: Any, file: Any) -> None:
    content = {"msgtype": "m.image", "body": "a", "info": info, "file": {**FILE, **file}}
    items = [{**content, "itemtype": "m.image"}]
    for one in (content, {**content, **changes}, {"msgtype": "m.gallery", "itemtypes": items}):
        _told(one)
