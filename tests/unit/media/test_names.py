# SPDX-License-Identifier: Apache-2.0
"""Names of files as strangers give them."""

from __future__ import annotations

import email.message
import re
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.media.names import disposition, harmless_name, name_in, safe_name

RLO, PDF, ZWJ = (
    "\N{RIGHT-TO-LEFT OVERRIDE}",
    "\N{POP DIRECTIONAL FORMATTING}",
    "\N{ZERO WIDTH JOINER}",
)
DEVICES = ["CON", "prn", "Aux", "NUL", "com1", "LPT9", "COM¹", "CONIN$", "conout$", "clock$"]


@pytest.mark.parametrize(
    ("given_", "expected"),
    [
        ("photo.jpg", "photo.jpg"),
        ("Über uns.pdf", "Über uns.pdf"),
        ("U\u0308ber.pdf", "Über.pdf"),
        ("../../etc/passwd", "passwd"),
        ("..\\..\\windows\\system.ini", "system.ini"),
        ("C:\\x\\y.txt", "y.txt"),
        ("C:y.txt", "C_y.txt"),
        ("/", "file"),
        ("..", "file"),
        (".", "file"),
        ("", "file"),
        ("...", "file"),
        (" . ", "file"),
        ("a/..", "file"),
        (".htaccess", "htaccess"),
        (". .bashrc", "bashrc"),
        ("a\0b.txt", "ab.txt"),
        ("a\r\nSet-Cookie: x=y", "a Set-Cookie_ x=y"),
        ("a\u2028b\u2029c\x85d", "a b c d"),
        ("photo" + RLO + "gpj.exe", "photogpj.exe"),
        (f"a\u2066b{PDF}\u200e\u061c.png", "ab.png"),
        (f"\N{WOMAN}{ZWJ}\N{PERSONAL COMPUTER}.png", f"\N{WOMAN}{ZWJ}\N{PERSONAL COMPUTER}.png"),
        (ZWJ * 3, "file"),
        ("a\ufffe\uffff\ufdd0\ud800\ue000b", "ab"),
        ("a\N{FULLWIDTH SOLIDUS}b\N{DIVISION SLASH}c", "c"),
        ('<a>:"b"|?*', "_a___b____"),
        ("name.", "name"),
        ("name. . ", "name"),
        ("CON", "_CON"),
        ("con.txt", "_con.txt"),
        ("Com7 .tar.gz", "_Com7 .tar.gz"),
        ("console.txt", "console.txt"),
        ("com10.txt", "com10.txt"),
        ("x" * 10_000 + ".jpeg", "x" * 115 + ".jpeg"),
        ("ü" * 10_000 + ".jpeg", "ü" * 57 + ".jpeg"),
        ("x" * 10_000, "x" * 120),
        ("x" * 200 + "." + "y" * 200, "x" * 120),
        ("aux." + "x" * 200 + ".c", "_aux." + "x" * 113 + ".c"),
    ],
)  # fmt: skip
def test_req_722_names(given_: str, expected: str) -> None:
    assert safe_name(given_) == expected


_SIGNS = st.text(
    st.one_of(
        st.characters(exclude_categories=()),
        st.sampled_from('./\\ \r\n\0:"%;ü\N{ZERO WIDTH JOINER}\N{RIGHT-TO-LEFT OVERRIDE}'),
    ),
    max_size=300,
)
_NAMES = st.one_of(
    _SIGNS,
    st.builds("{}{}{}".format, st.sampled_from(DEVICES), st.sampled_from([".", " ", ""]), _SIGNS),
    st.builds("{}{}".format, _SIGNS, st.sampled_from([".jpg", ".tar.gz", ".p7m", "."])),
)


@given(_NAMES)
@example("a" * 119 + ZWJ + ".")
@example("COM1")
def test_req_722_whatever_comes_a_name_is_one(text: str) -> None:
    name = safe_name(text)
    assert name == safe_name(name)
    assert 0 < len(name.encode()) <= 120
    assert not set(name) & set('/\\<>:"|?*')
    assert name == name.strip(". ")
    assert unicodedata.is_normalized("NFC", name)
    seen = name.replace(ZWJ, "").replace("\N{ZERO WIDTH NON-JOINER}", "")
    unseen = {unicodedata.category(sign) for sign in seen} & {"Cc", "Cf", "Cs", "Zl", "Zp"}
    assert not unseen
    assert name.partition(".")[0].strip().upper() not in {device.upper() for device in DEVICES}


@given(st.text("abcü \N{SNOWMAN}", min_size=1, max_size=300), st.from_regex(r"\A[a-z0-9]{1,16}\Z"))
def test_req_722_the_extension_stays(stem: str, extension: str) -> None:
    assert safe_name(f"x{stem}.{extension}").endswith(f".{extension}")


@given(_NAMES, st.booleans())
@example('a"; filename=b.exe\r\nX: y', True)
@example("naïve.html", False)
def test_req_722_a_header_has_the_name_and_nothing_else(text: str, is_shown: bool) -> None:
    """Read back by a parser that is not ours (RFC 2231, which RFC 6266 is a part of)."""
    said = disposition(text, is_shown=is_shown)
    assert re.fullmatch("[ -~]+", said)
    message = email.message.Message()
    message["Content-Disposition"] = said
    assert message.get_content_disposition() == ("inline" if is_shown else "attachment")
    parameters = dict((message.get_params(header="Content-Disposition") or [])[1:])
    assert set(parameters) == {"filename"} or "filename*" in said
    assert re.fullmatch(
        r"""(inline|attachment); filename="[^"\\;%]*"(; filename\*=UTF-8''[A-Za-z0-9._~%-]+)?""",
        said,
    )
    extended = said.partition("filename*=UTF-8''")[2]
    plain = said.partition('"')[2].partition('"')[0]
    if extended:
        assert re.fullmatch(r"(?:[A-Za-z0-9._~-]|%[0-9A-F]{2})+", extended)
        assert name_in(f"https://a/{extended}") == safe_name(text)
    else:
        assert plain == safe_name(text)


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://a.example/x/y/B%C3%BCcher%20mehr.pdf?z=/q.exe#/r.exe", "Bücher mehr.pdf"),
        ("https://a.example/x/..%2f..%2fetc%2fpasswd", "passwd"),
        ("https://a.example/x/%e2%80%aegpj.exe", "gpj.exe"),
        ("https://a.example/x/", ""),
        ("https://a.example", ""),
        ("https://[", ""),
        ("https://a.example/%ff%fe.png", "\ufffd\ufffd.png"),
    ],
)
def test_what_a_url_says_that_the_file_is_called(url: str, name: str) -> None:
    assert name_in(url) == name


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("party.svg", "party.svg.bin"),
        ("a.PNG.HtMl", "a.PNG.HtMl.bin"),
        ("feed.xml", "feed.xml.bin"),
        ("svg.png", "svg.png"),
        ("notes", "notes"),
    ],
)
def test_req_723_nothing_is_called_what_a_browser_would_run(name: str, shown: str) -> None:
    assert harmless_name(name) == shown
