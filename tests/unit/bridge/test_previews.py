# SPDX-License-Identifier: Apache-2.0
"""Which previews of links users are told, and how clients read them (REQ-452, XEP-0511)."""

from __future__ import annotations

from xml.etree.ElementTree import fromstring

import pytest
from slixmpp import Message
from slixmpp.plugins.xep_0511 import stanza as link_metadata

from gateway.bridge.previews import shown
from gateway.events import LinkPreview
from gateway.text import Span, Style
from gateway.xmpp.codec.incoming import read_message
from gateway.xmpp.codec.previews import described


def _of(url: str, **about: str) -> LinkPreview:
    return LinkPreview(url=url, **({"title": "Tea"} | about))


@pytest.mark.parametrize(
    ("url", "text", "is_told"),
    [
        ("https://a.example/b", "see https://a.example/b", True),
        ("https://a.example/b", "(see https://a.example/b).", True),
        ("HTTP://a.example", "HTTP://a.example", True),
        ("https://a.example/b_(c)", "https://a.example/b_(c)", True),
        ("https://a.example", "https://a.example.evil.example", False),
        ("https://a.example", "https://a.example@evil.example", False),
        ("https://a.example/", "https://a.example", False),
        ("https://a.example", "a.example", False),
        ("a.example", "a.example", False),
        ("ftp://a.example", "ftp://a.example", False),
        ("javascript:alert(1)", "javascript:alert(1)", False),
        ("data:text/html,x", "data:text/html,x", False),
        ("https://" + "a" * 2_000, "https://" + "a" * 2_000, False),
        ("", "https://a.example", False),
    ],
)
def test_req_452_only_of_links_of_the_web_that_are_seen(
    url: str, text: str, is_told: bool
) -> None:
    assert bool(shown((_of(url),), text, ())) is is_told


def test_req_452_a_link_behind_a_word_is_seen_beside_it() -> None:
    link = Span(Style.LINK, 0, 3, "https://a.example")
    assert shown((_of("https://a.example"),), "tea", (link,)) == (_of("https://a.example"),)
    mail = Span(Style.LINK, 0, 3, "mailto:a@b.example")
    assert shown((_of("mailto:a@b.example"),), "tea", (mail,)) == ()


def test_req_452_nothing_is_said_of_what_is_hidden() -> None:
    text, hidden = "The end: https://a.example", Span(Style.SPOILER, 9, 26)
    assert shown((_of("https://a.example"),), text, ())
    assert shown((_of("https://a.example"),), text, (hidden,)) == ()


def test_req_452_they_are_few_and_short_and_of_one_line() -> None:
    urls = [f"https://a.example/{number}" for number in range(9)]
    about = {"description": "x" * 10_000, "title": "a\nb\u202ec", "site": "y" * 500}
    many = [_of(url, **about) for url in urls]
    told = shown([many[0], *many], " ".join(urls), ())
    assert [one.url for one in told] == urls[:5]
    assert {len(one.description) for one in told} == {500}
    assert {len(one.site) for one in told} == {200}
    assert {one.title for one in told} == {"a bc"}


def test_req_452_who_has_nothing_to_say_of_a_link_says_nothing() -> None:
    assert shown((_of("https://a.example", title=" ", site="A"),), "https://a.example", ()) == ()


def test_req_452_another_implementation_reads_what_is_written() -> None:
    url = "https://a.example/?a=1&b='2'"
    previews = (
        _of(url, title="<Tea> & more", description="All about it", site="An example"),
        _of("https://b.example"),
    )
    link_metadata.register_plugin()
    inner = described(previews)
    read = Message(xml=fromstring(f"<message xmlns='jabber:client'>{inner}</message>"))
    first, second = read["link_metadatas"]
    assert (first["about"], first["title"]) == (url, "<Tea> & more")
    assert (first["description"], first["site_name"]) == ("All about it", "An example")
    assert (second["about"], second["title"]) == ("https://b.example", "Tea")


def test_req_452_what_another_implementation_writes_is_read() -> None:
    link_metadata.register_plugin()
    said = Message()
    said["body"] = "https://a.example"
    written = link_metadata.LinkMetadata()
    written["about"], written["title"] = "https://a.example", "Tea"
    written["description"], written["site_name"] = "x" * 9_000, "An example"
    written["image"] = "data:image/png;base64,AAAA"
    said.append(written)
    for _ in range(9):
        said.append(link_metadata.LinkMetadata())
    read = read_message(fromstring(str(said)))
    assert len(read.previews) == 5
    expected = _of("https://a.example", description="x" * 2_000, site="An example")
    assert read.previews[0] == expected


def test_req_452_an_address_without_end_is_none() -> None:
    inner = described([_of("https://a.example/" + "x" * 2_000)])
    message = fromstring(f"<message xmlns='jabber:client'><body>x</body>{inner}</message>")
    assert read_message(message).previews == []
