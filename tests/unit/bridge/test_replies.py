# SPDX-License-Identifier: Apache-2.0
"""What stands in for a reply: written, and cut out again (REQ-434, REQ-435)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from gateway.bridge.emoji import is_emoji
from gateway.bridge.quotes import without_fallback
from gateway.bridge.rooms.replies import quote
from gateway.events import RoomMessage
from gateway.ids import StanzaId
from gateway.text import Span, Style


def _said(body: str, nick: str = "Bob") -> RoomMessage:
    return RoomMessage(
        id=StanzaId("m1"),
        archive_id=StanzaId("s1"),
        nick=nick,
        occupant="o",
        body=body,
        sent_at=0.0,
    )


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("", ""),
        ("hi", "> Bob: hi\n"),
        ("a\nb\nc", "> Bob: a\n> b\n> c\n"),
        ("a\nb\nc\nd", "> Bob: a\n> b\n> c…\n"),
        ("x" * 300, f"> Bob: {'x' * 194}…\n"),
        ("> quoted\nanswer", "> Bob: > quoted\n> answer\n"),
        ("a\u202eb\nc", "> Bob: a\u202eb\u202c\n> c\n"),
        ("\u2067" + "x" * 300 + "\u2069", f"> Bob: \u2067{'x' * 193}…\u2069\n"),
    ],
)
def test_req_434_quotes_are_short(body: str, expected: str) -> None:
    assert quote(_said(body)) == expected


def test_req_440_quotes_do_not_say_what_spoilers_hide() -> None:
    hidden = (
        Span(Style.SPOILER, 5, 11, "who"),
        Span(Style.BOLD, 5, 8),
        Span(Style.SPOILER, 12, 14),
    )
    said = structs.replace(_said("It is\na cat 42."), spans=hidden)
    assert quote(said) == "> Bob: It is▒▒▒ ▒▒▒.\n"


def test_req_434_the_room_has_no_name() -> None:
    assert quote(_said("Bob pinned it.", nick="")) == "> Bob pinned it.\n"


@pytest.mark.parametrize(
    ("body", "parts", "expected"),
    [
        ("> a\nb", ((0, 4),), "b"),
        ("> 🎂\nb", ((0, 4),), "b"),
        ("b", (), "b"),
        ("abcdef", ((4, 5), (0, 2)), "cdf"),
        ("abc", ((0, 3),), "abc"),
        ("abc\n", ((0, 3),), "abc\n"),
        ("abc", ((0, 4),), "abc"),
        ("abc", ((2, 1),), "abc"),
        ("abc", ((0, 2), (1, 3)), "abc"),
        ("abc", ((3, 3),), "abc"),
    ],
)
def test_req_435_fallbacks_are_cut_out(
    body: str, parts: tuple[tuple[int, int], ...], expected: str
) -> None:
    assert without_fallback(body, parts) == expected


@given(answered=st.text(max_size=400), answer=st.text(max_size=50).filter(str.strip))
def test_req_435_what_we_write_we_cut_out(answered: str, answer: str) -> None:
    quoted = quote(_said(answered))
    assert without_fallback(quoted + answer, ((0, len(quoted)),)) == answer
    assert all(line.startswith("> ") for line in quoted.split("\n")[:-1])
    assert len(quoted) < 450


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("👍", True),
        ("❤️", True),
        ("👩‍❤️‍💋‍👨", True),
        ("🏴󠁧󠁢󠁳󠁣󠁴󠁿", True),
        ("+1", True),
        ("", False),
        ("a b", False),
        ("a\n", False),
        ("x" * 33, False),
        ("\x00", False),
        ("\ud800", False),
    ],
)
def test_req_430_what_may_be_an_emoji(text: str, expected: bool) -> None:
    assert is_emoji(text) is expected
