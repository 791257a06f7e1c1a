# SPDX-License-Identifier: Apache-2.0
"""Styles of messages on Matrix, both ways (REQ-437, REQ-438)."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.matrix.contents import content_of
from adapters.matrix.text import clean as matrix_clean
from adapters.matrix.words import told_by
from gateway.events import Mention, SendRoomText, SendText
from gateway.ids import RemoteMessageId, RemoteRoomId
from gateway.text import Span, Style, clean, tree
from gateway.xmpp.codec.styling import styled
from tests.unit.matrix.samples import BOB, ROOM

_HTML = "org.matrix.custom.html"


@pytest.mark.parametrize(
    ("content", "text", "said"),
    [
        ({"body": "**b**", "format": _HTML, "formatted_body": "<strong>b</strong>"},
         "b", [("bold", "b")]),
        ({"body": "b", "format": "other", "formatted_body": "<b>x</b>"}, "b", []),
        ({"body": "b", "formatted_body": "<b>x</b>"}, "b", []),
        ({"body": "b", "format": _HTML, "formatted_body": ["x"]}, "b", []),
        ({"body": "b", "format": _HTML, "formatted_body": "<img src='mxc://a/b'>"}, "b", []),
        ({"body": "b", "format": _HTML, "formatted_body": "<i>x</i>" * 4_000}, "b", []),
        ({"body": "b", "format": _HTML, "formatted_body": "x" * 70_000}, "b", []),
        ({"body": "> <@bob:b.example> q\n\nyes", "format": _HTML,
          "formatted_body": "<mx-reply><blockquote>q</blockquote></mx-reply><em>yes</em>",
          "m.relates_to": {"m.in_reply_to": {"event_id": "$1"}}}, "yes", [("italic", "yes")]),
        ({"body": "it was him", "format": _HTML,
          "formatted_body": 'it was <span data-mx-spoiler="who">him</span>'},
         "it was him", [("spoiler", "him")]),
        ({"msgtype": "m.emote", "body": "waves", "format": _HTML,
          "formatted_body": "<b>waves</b>"}, "/me waves", [("bold", "waves")]),
        ({"msgtype": "m.image", "body": "cat.png", "format": _HTML,
          "formatted_body": "<b>x</b>"}, "[image] cat.png", []),
    ],
)  # fmt: skip
def test_what_is_told(content: dict[str, Any], text: str, said: list[tuple[str, str]]) -> None:
    words = told_by("m.room.message", {"msgtype": "m.text", **content}).words
    assert words.text == text
    assert [(s.style.value, words.text[s.begin : s.end]) for s in words.spans] == said


def test_somebody_elses_words_are_named_and_keep_their_style() -> None:
    content = {"msgtype": "m.text", "body": "b", "format": _HTML, "formatted_body": "<b>b</b>"}
    words = told_by("m.room.message", content, "Carol").words
    assert words.text == "Carol: b"
    assert words.spans == (Span(Style.BOLD, 7, 8),)


def _content(body: str, **about: Any) -> dict[str, Any]:
    return content_of(SendText(contact=BOB, body=body, spans=styled(body), **about), "k")


def test_req_438_what_the_user_writes_is_html_for_apps_and_text_for_others() -> None:
    content = _content("a *bold* <i>word</i>")
    assert content["body"] == "a *bold* <i>word</i>"
    assert content["format"] == _HTML
    assert content["formatted_body"] == "a <strong>bold</strong> &lt;i&gt;word&lt;/i&gt;"
    assert "formatted_body" not in _content("nothing <b>here</b>")
    assert _content("/me *waves*")["formatted_body"] == "<strong>waves</strong>"


def test_req_438_an_edit_has_them_where_the_new_text_is() -> None:
    content = _content("*new*", edits=RemoteMessageId("$1"))
    assert content["m.new_content"]["formatted_body"] == "<strong>new</strong>"
    assert "formatted_body" not in content


def test_req_439_a_mention_within_a_style_is_both() -> None:
    command = SendRoomText(
        room=RemoteRoomId(ROOM),
        body="*Bob*: tea?",
        spans=styled("*Bob*: tea?"),
        mentions=(Mention(user=BOB, begin=1, end=4),),
    )
    link = f'<a href="https://matrix.to/#/{BOB}">Bob</a>'
    assert content_of(command, "k")["formatted_body"] == f"<strong>{link}</strong>: tea?"


_SPANS = st.lists(
    st.tuples(st.sampled_from(list(Style)), st.integers(0, 30), st.integers(0, 30)), max_size=6
)


@given(st.text(st.sampled_from("ab*_ \n<>&") | st.characters(), min_size=1, max_size=30), _SPANS)
def test_req_438_no_word_is_lost_on_the_way_there_and_back(
    body: str, told: list[tuple[Style, int, int]]
) -> None:
    """But for what says a style: that is said by the style itself."""
    body = matrix_clean(clean(body), 1_000).replace("/me ", "")
    spans = tree([Span(*each) for each in told], len(body))
    content = content_of(SendText(contact=BOB, body=body, spans=spans), "k")
    assert content["body"] == body
    if "formatted_body" not in content:
        return
    hidden = {at for s in spans if s.style is Style.MARK for at in range(s.begin, s.end)}
    kept = "".join(char for at, char in enumerate(body) if at not in hidden)
    read = told_by("m.room.message", content).words.text
    if kept.strip():
        assert "".join(read.split()) == "".join(kept.split())
