# SPDX-License-Identifier: Apache-2.0
"""Files as strangers name them: on the network, and in what clients send."""

from __future__ import annotations

from xml.sax.saxutils import escape

from gateway.events import FileKind, RemoteFile
from gateway.text import clean
from tests.fuzz.choices import Choices

HERE = "{web}"
"""Stands for the address of the web server that there is."""
HOSTED = {"/file.pdf": b"%PDF-1.7\n...", "/nothing": b"", "/page.png": b"<html><script>"}
_URLS = (
    *(HERE + path for path in (*HOSTED, "/gone", "/file.pdf?a=b#part", "/..%2f..%2fetc/passwd")),
    *("http://127.0.0.1:1/", "https://10.0.0.1/x", "https://[::1]/x", "https://169.254.169.254/"),
    *("file:///etc/passwd", "javascript:alert(1)", "data:text/html,x", "//x", "https://[", ""),
    *("https://user:pw@127.0.0.1/", "https://127.1/", "https://0x7f000001/", "http://localhost/"),
    *(
        "aesgcm://127.0.0.1/x#00",
        f"aesgcm://10.0.0.1/x#{'0' * 88}",
        "https://10.0.0.1/" + "x" * 5_000,
    ),
    *("https://10.0.0.1:99999/", "https://10.0.0.1/\u202egpj.exe", "cid:a@b", "xmpp:a@b?x"),
)
_NAMES = (
    *("cat.jpg", "../../etc/passwd", "..", "CON.txt", "a\u202egpj.exe", "x" * 10_000 + ".png"),
    *("\U0001f4a9" * 200, "a\r\nX: y", 'a";b', "&#0;", "%2e%2e%2f", "\ud800.png", "a\0b", " . "),
)
_MEDIA_TYPES = (
    *("image/png", "text/html", "image/svg+xml", "", "a/b\r\nX: y", "/", "x" * 5_000, "\ud800"),
)
_NUMBERS = (None, 0, 7, -1, 2**31, 2**63, 10**30)
_DURATIONS = (None, 0.0, 2.5, -1.0, float("nan"), float("inf"), 1e300)
_NS, _JINGLE = "urn:xmpp", "urn:xmpp:jingle"


def shared(choices: Choices, odd: str) -> tuple[RemoteFile, ...]:
    """Those of a message of the network; ``odd`` is in some of what is said of them."""
    return tuple(
        _file(choices, odd, _file(choices, odd, None) if choices.one_in(3) else None)
        for _ in range(1 + choices.below(2) * choices.below(3))
    )


def _file(choices: Choices, odd: str, thumbnail: RemoteFile | None) -> RemoteFile:
    return RemoteFile(
        reference=f"r{choices.below(5)}" + (odd if choices.one_in(4) else ""),
        page=choices.pick(_URLS) + (odd if choices.one_in(4) else ""),
        kind=choices.pick(tuple(FileKind)),
        name=choices.pick(_NAMES) if choices.below(2) else choices.text(),
        media_type=choices.pick(_MEDIA_TYPES),
        size=choices.pick(_NUMBERS),
        width=choices.pick(_NUMBERS),
        height=choices.pick(_NUMBERS),
        duration_s=choices.pick(_DURATIONS),
        description=choices.text() + odd,
        is_spoiler=choices.one_in(2),
        thumbnail=thumbnail,
    )


def address(choices: Choices) -> str:
    """Of a file, as it stands in XML."""
    return _in_xml(choices.text() if choices.one_in(6) else choices.pick(_URLS))


def element(choices: Choices) -> str:
    """What a client adds to a message with a file: XEP-0066, XEP-0447, XEP-0385."""
    url, name = address(choices), _in_xml(choices.pick(_NAMES))
    size = choices.pick(_NUMBERS)
    facts = f"<name>{name}</name><size>{size}</size><width>{size}</width><length>{size}</length>"
    facts += f"<media-type>{_in_xml(choices.pick(_MEDIA_TYPES))}</media-type>"
    if choices.one_in(4):
        facts += f"<hash xmlns='{_NS}:hashes:2' algo='sha-256'>{_in_xml(choices.text())}</hash>"
    match choices.below(3):
        case 0:
            return f"<x xmlns='jabber:x:oob'><url>{url}</url><desc>{name}</desc></x>"
        case 1:
            return (
                f"<file-sharing xmlns='{_NS}:sfs:0' disposition='{choices.pick(('inline', 'x'))}'>"
                f"<file xmlns='{_NS}:file:metadata:0'>{facts}</file><sources><url-data"
                f" xmlns='http://jabber.org/protocol/url-data' target='{url}'/></sources>"
                "</file-sharing>"
            )
    return (
        f"<reference xmlns='{_NS}:reference:0' type='data'><media-sharing xmlns='{_NS}:sims:1'>"
        f"<file xmlns='{_JINGLE}:apps:file-transfer:5'>{facts}</file><sources>"
        f"<reference xmlns='{_NS}:reference:0' type='data' uri='{url}'/></sources>"
        "</media-sharing></reference>"
    )


def alone(choices: Choices) -> str:
    """A message that is a file: its body is the address."""
    url = address(choices)
    return f"<body>{url}</body><x xmlns='jabber:x:oob'><url>{url}</url></x>"


def _in_xml(text: str) -> str:
    return escape(clean(text), {"'": "&apos;", '"': "&quot;"})
