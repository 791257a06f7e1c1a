# SPDX-License-Identifier: Apache-2.0
"""What clients say of files (REQ-448)."""

from __future__ import annotations

import base64
from xml.etree.ElementTree import fromstring

import pytest

from gateway.events import FileKind, SentFile
from gateway.xmpp.codec.incoming import read_message
from gateway.xmpp.codec.sent_files import Sharing

_A, _B = "https://a.example/1.png", "https://b.example/2.png"
_AES = f"aesgcm://a.example/x.png#{'0f' * 44}"
_DATA = "http://jabber.org/protocol/url-data"


def _sfs(url: str, facts: str = "", more: str = "") -> str:
    return (
        f"<file-sharing xmlns='urn:xmpp:sfs:0'{more}>"
        f"<file xmlns='urn:xmpp:file:metadata:0'>{facts}</file>"
        f"<sources><url-data xmlns='{_DATA}' target='{url}'/></sources></file-sharing>"
    )


def _sims(url: str, facts: str = "") -> str:
    return (
        "<reference xmlns='urn:xmpp:reference:0' type='data'>"
        "<media-sharing xmlns='urn:xmpp:sims:1'>"
        f"<file xmlns='urn:xmpp:jingle:apps:file-transfer:5'>{facts}</file>"
        f"<sources><reference xmlns='urn:xmpp:reference:0' type='data' uri='{url}'/></sources>"
        "</media-sharing></reference>"
    )


def _oob(url: str) -> str:
    return f"<x xmlns='jabber:x:oob'><url>{url}</url></x>"


def _fallback(part: str, to: str = "jabber:x:oob") -> str:
    return f"<fallback xmlns='urn:xmpp:fallback:0' for='{to}'><body {part}/></fallback>"


def _sharing(body: str, beside: str) -> Sharing:
    text = f"<body>{body}</body>" if body else ""
    return read_message(
        fromstring(f"<message xmlns='jabber:component:accept'>{text}{beside}</message>")
    ).sharing


def _urls(body: str, beside: str) -> list[str]:
    return [file.url for file in _sharing(body, beside).files]


@pytest.mark.parametrize(
    ("body", "beside", "urls"),
    [
        (_B, _oob(_B), [_B]),
        ("", _oob(_B), [_B]),
        (f" {_B}\n", _oob(_B), [_B]),
        (f"so {_B}", _oob(_B), []),
        (f"so {_B}", _oob(_B) + _fallback("start='3'"), [_B]),
        (_B, "", []),
        (_A, _oob(_B), []),
        # The order: what says most of it.
        (_B, _oob(_B) + _sims(_B) + _sfs(_A), [_A]),
        (_B, _oob(_B) + _sims(_A), [_A]),
        ("", _sfs(_A), [_A]),
        ("", _sims(_A), [_A]),
        ("", _oob(_AES), [_AES]),
        ("both", _sfs(_A) + _sfs(_B) + _sfs(_A), [_A, _B]),
        # Nothing that is nowhere, nor what only its sender could fetch.
        (_B, _oob(_B) + _sfs("xmpp:alice@home.example"), [_B]),
        ("x", _sfs("file:///etc/passwd") + _sims("cid:1@bob.xmpp.org"), []),
        # Links with a key, alone.
        (_AES, "", [_AES]),
        (f"{_AES} see", "", []),
        (_AES, _oob(_AES), [_AES]),
    ],
)
def test_req_448_where_a_file_is(body: str, beside: str, urls: list[str]) -> None:
    assert _urls(body, beside) == urls


@pytest.mark.parametrize("beside", [_oob(_A), _sfs(_A), _sims(_A), _sims(_A) + _oob(_B)])
def test_a_file_without_a_word_is_something_that_is_said(beside: str) -> None:
    read = read_message(fromstring(f"<message xmlns='jabber:component:accept'>{beside}</message>"))
    assert (read.body, read.has_content) == (_A, True)


def test_what_is_said_of_it() -> None:
    digest = bytes(range(32))
    facts = (
        "<media-type>Image/PNG</media-type><name>cat.png</name><size>123</size><width>4</width>"
        "<height>3</height><length>1500</length><desc> A cat </desc>"
        "<hash xmlns='urn:xmpp:hashes:2' algo='sha-1'>AAAA</hash>"
        "<hash xmlns='urn:xmpp:hashes:2' algo='sha-256'>"
        f"{base64.b64encode(digest).decode()}</hash>"
    )
    known = SentFile(
        url=_A, name="cat.png", media_type="image/png", size=123, width=4, height=3,
        duration_s=1.5, description="A cat", sha256=digest.hex(),
    )  # fmt: skip
    assert _sharing("", _sfs(_A, facts)).files == (known,)
    assert _sharing("", _sims(_A, facts)).files == (known,)
    (as_file,) = _sharing("", _sfs(_A, more=" disposition='attachment'")).files
    assert as_file.as_file
    sticker = (
        "<sticker xmlns='urn:xmpp:stickers:0' pack='x'/><spoiler xmlns='urn:xmpp:spoiler:0'/>"
    )
    (file,) = _sharing(_A, _oob(_A) + sticker).files
    assert (file.kind, file.is_spoiler) == (FileKind.STICKER, True)


@pytest.mark.parametrize("number", ["-1", "1e3", "", "٣", "9" * 16, "0x10"])
def test_what_is_no_number_is_not_said(number: str) -> None:
    facts = f"<size>{number}</size><width>{number}</width><length>{number}</length>"
    (file,) = _sharing("", _sfs(_A, facts)).files
    assert file == SentFile(url=_A)


def test_a_key_beside_the_address() -> None:
    """XEP-0448."""
    key, iv = bytes(32), bytes(range(12))
    source = f"<sources xmlns='urn:xmpp:sfs:0'><url-data xmlns='{_DATA}' target='{_A}'/></sources>"
    beside = (
        "<file-sharing xmlns='urn:xmpp:sfs:0'><sources>"
        "<encrypted xmlns='urn:xmpp:esfs:0' cipher='urn:xmpp:ciphers:{cipher}:0'>"
        f"<key>{base64.b64encode(key).decode()}</key><iv>{base64.b64encode(iv).decode()}</iv>"
        f"{source}</encrypted></sources></file-sharing>"
    )
    found = _urls("", beside.replace("{cipher}", "aes-256-gcm-nopadding"))
    assert found == [f"aesgcm://a.example/1.png#{iv.hex()}{key.hex()}"]
    assert _urls("", beside.replace("{cipher}", "aes-128-gcm-nopadding")) == []


@pytest.mark.parametrize(
    ("body", "beside", "stand_ins"),
    [
        (_B, _oob(_B), (_B,)),
        (f"look {_B}", _oob(_B) + _fallback("start='5'"), (_B,)),
        (f"look {_B}", _oob(_B) + _fallback("start='6'"), (_B, _B[1:])),
        (f"look {_B}", _sims(_B), (_B,)),
        (f"{_A}\n{_B}\nboth", _sfs(_A) + _sfs(_B), (_A, _B)),
        ("a photo", _sfs(_A) + _fallback("", "urn:xmpp:sfs:0"), ("a photo",)),
        ("a photo", _sfs(_A), ()),
        ("", _sfs(_A), (_A,)),
    ],
)
def test_what_of_the_body_is_about_nothing_else(
    body: str, beside: str, stand_ins: tuple[str, ...]
) -> None:
    assert sorted(_sharing(body, beside).stand_ins) == sorted(stand_ins)
    lengths = list(map(len, _sharing(body, beside).stand_ins))
    assert lengths == sorted(lengths, reverse=True)
