# SPDX-License-Identifier: Apache-2.0
"""Whom a message of a group names, both ways, whatever strangers may write (REQ-574)."""

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from adapters.matrix.contents import content_of
from adapters.matrix.group_events import said_in
from adapters.matrix.groups import levels_in
from adapters.matrix.mentions import mentions_in
from adapters.matrix.rooms import Group
from adapters.matrix.words import told_by
from gateway.bridge.inbound.wellformed import must_be_whole
from gateway.events import Mention, RemoteMessage, RemoteRoomMessage, SendRoomText, SendText
from gateway.ids import RemoteMessageId, RemoteRoomId
from gateway.text.html import Styled
from tests.unit.matrix.samples import ALICE, BOB, CAROL, NOW, ROOM, joined, message, outcome
from tests.unit.matrix.test_group_events import TEA, _said

KEY = "org.dragoman.key"


def _link(user: str, words: str) -> str:
    return f'<a href="https://matrix.to/#/{user}">{words}</a>'


def _html(formatted: str, *told: str) -> dict[str, Any]:
    more = {"m.mentions": {"user_ids": list(told)}} if told else {}
    return {"format": "org.matrix.custom.html", "formatted_body": formatted, **more}


@pytest.mark.parametrize(
    ("body", "content", "found"),
    [
        ("hi Bob", {}, []),
        ("hi Bob", {"m.mentions": {}}, []),
        ("hi Bob!", _html(f"hi {_link(BOB, 'Bob')}!", BOB), [(BOB, "Bob", True)]),
        ("hi Bob!", _html(f"hi {_link(BOB, 'Bob')}!"), [(BOB, "Bob", True)]),
        ("hi Bob!", _html(f"hi {_link(BOB, 'Bob')}!", CAROL),
         [(BOB, "Bob", False), (CAROL, "", True)]),
        ("hi @Bob!", _html(f"hi {_link(BOB, '@Bob')}!", BOB), [(BOB, "Bob", True)]),
        ("hi Bob", _html(_link(BOB.replace(":", "%3A"), "Bob"), BOB), [(BOB, "Bob", True)]),
        ("hi Bob", _html(f'<a href="matrix:u/{BOB[1:]}">Bob</a>', BOB), [(BOB, "Bob", True)]),
        ("A & B, Bob", _html(_link(BOB, "A &amp; B")), [(BOB, "A & B", True)]),
        ("Ann Bob Ann", _html(f"{_link(BOB, 'Ann')} Bob {_link(CAROL, 'Ann')}"),
         [(BOB, "Ann", True), (CAROL, "Ann", True)]),
        ("Bobby and Bob", _html(_link(BOB, "Bob"), BOB), [(BOB, "Bob", True)]),
        ("hi Rob", _html("hi Rob", BOB), [(BOB, "", True)]),
        ("hi", _html(f"<mx-reply>{_link(CAROL, 'hi')}</mx-reply>hi"), []),
        (f"hi [Bob](https://matrix.to/#/{BOB})", _html(f"hi {_link(BOB, 'Bob')}", BOB),
         [(BOB, "Bob", True)]),
        (f"hi [Bob](https://matrix.to/#/{BOB})", {"m.mentions": {"user_ids": [BOB]}},
         [(BOB, f"[Bob](https://matrix.to/#/{BOB})", True)]),
        (f"ask {BOB}.", {}, [(BOB, BOB, True)]),
        (f"ask {BOB}.", {"m.mentions": {}}, [(BOB, BOB, False)]),
        (f"see https://matrix.to/#/{BOB}", {}, []),
        ("hi 🎉 Bob 🎉", _html(_link(BOB, "Bob 🎉"), BOB), [(BOB, "Bob 🎉", True)]),
        ("up, @room!", {"m.mentions": {"room": True}}, [(None, "@room", True)]),
        ("up!", {"m.mentions": {"room": True}}, [(None, "", True)]),
        ("up, @room!", {"m.mentions": {"room": "yes"}}, []),
        ("hi", {"m.mentions": {"user_ids": [BOB, BOB, 5, "bob", "@" + "x" * 300 + ":a"]}},
         [(BOB, "", True)]),
        ("hi", {"m.mentions": {"user_ids": "@bob:b.example"}}, []),
        ("hi", {"m.mentions": [BOB]}, []),
        ("hi", {"formatted_body": 5}, []),
        ("hi", _html('<a href="https://matrix.to/#/!room:a">hi</a>'), []),
    ],
)  # fmt: skip
def test_req_574_who_is_named_on_matrix(body: str, content: Any, found: Any) -> None:
    told = _said(message({"msgtype": "m.text", "body": body, **content}))
    assert isinstance(told, RemoteRoomMessage)
    must_be_whole(told)
    named = [(each.user, told.body[each.begin : each.end], each.notify) for each in told.mentions]
    assert list(dict.fromkeys(named)) == found


@pytest.mark.parametrize(
    ("levels", "calls"),
    [
        (None, True),  # nothing was set, and who has made the group rules it
        ({"users": {BOB: 50}}, True),
        ({"users": {BOB: 49}}, False),
        ({"users_default": 10, "notifications": {"room": 10}}, True),
        ({"users": {BOB: 99}, "notifications": {"room": 100}}, False),
    ],
)
def test_req_733_only_who_may_calls_everybody(levels: dict[str, Any] | None, calls: bool) -> None:
    """Matrix spec, "User and room mentions": homeservers let others say it all the same."""
    group = Group(founder=BOB, levels=None if levels is None else levels_in(levels))
    content = {"msgtype": "m.text", "body": f"up, @room and {CAROL}"}
    event = message({**content, "m.mentions": {"room": True, "user_ids": [CAROL]}}, sender=BOB)
    told = said_in(TEA, event, account=ALICE, now=NOW, group=group)
    assert isinstance(told, RemoteRoomMessage)
    assert told.body == content["body"]
    assert {each.user for each in told.mentions} == ({None, CAROL} if calls else {CAROL})


def test_req_574_of_an_edit_only_new_ones_are_notified() -> None:
    new = {
        "msgtype": "m.text",
        "body": "Bob and Carol",
        **_html(f"{_link(BOB, 'Bob')} and {_link(CAROL, 'Carol')}", BOB, CAROL),
    }
    relation = {"rel_type": "m.replace", "event_id": "$first"}
    told = _said(
        message(
            {
                "msgtype": "m.text",
                "body": "* Bob and Carol",
                "m.new_content": new,
                "m.relates_to": relation,
                "m.mentions": {"user_ids": [CAROL]},
            }
        )
    )
    assert told.mentions == (
        Mention(user=BOB, begin=0, end=3, notify=False),
        Mention(user=CAROL, begin=8, end=13),
    )


def test_req_439_in_a_chat_people_are_named_and_no_link_is_left() -> None:
    content = {
        "msgtype": "m.text",
        "body": "hi Alice",
        **_html(f"hi {_link(ALICE, 'Alice')}", ALICE),
    }
    [told] = outcome(joined(message(content))).events
    assert isinstance(told, RemoteMessage)
    assert told.mentions == (Mention(user=ALICE, begin=3, end=8),)
    assert told.spans == ()


def test_req_439_whom_the_user_names_in_a_chat_is_linked_and_notified() -> None:
    mentions = (
        Mention(user=BOB, begin=0, end=3),
        Mention(user=CAROL, begin=5, end=10, notify=False),
    )
    content = content_of(SendText(contact=BOB, body="Bob: Carol", mentions=mentions), "k")
    assert content["m.mentions"] == {"user_ids": [BOB]}
    assert content["formatted_body"] == f"{_link(BOB, 'Bob')}: {_link(CAROL, 'Carol')}"


def test_req_459_a_further_part_of_a_long_text_is_what_it_says() -> None:
    for body, kind in (("/me laughs", "m.emote"), ("geo:1,2", "m.location")):
        for command in (SendText(contact=BOB, body=body), SendRoomText(room=TEA, body=body)):
            assert content_of(command, "k")["msgtype"] == kind
            further = content_of(replace(command, is_further=True), "k")
            assert (further["msgtype"], further["body"]) == ("m.text", body)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda values: st.lists(values) | st.dictionaries(st.text(max_size=8), values),
    max_leaves=5,
)


@given(
    st.lists(st.sampled_from([*"@:[]()<>ab./# \n", "https://matrix.to/#/", BOB])).map("".join),
    st.dictionaries(st.sampled_from(["m.mentions", "formatted_body", "format"]), _JSON),
)
def test_places_are_within_the_text(body: str, content: Any) -> None:
    words = told_by("m.room.message", {"msgtype": "m.text", "body": body, **content}).words
    for mention in mentions_in(content, words):
        assert 0 <= mention.begin <= mention.end <= len(words.text)


@pytest.mark.parametrize(
    "piece",
    ["@", "@a:", "<a ", '<a href="', '<a href="https://matrix.to/#/', "[", "[a](", f"[a]({BOB}",
     "[a](https://matrix.to/#/", "@a.", "<a href=\"https://matrix.to/#/@a:b\">"],
)  # fmt: skip
def test_no_text_takes_long(piece: str) -> None:
    text = piece * (65_536 // len(piece))
    before = time.thread_time()
    content = {"msgtype": "m.text", "body": f"https://matrix.to/#/{text}", **_html(text)}
    mentions_in(content, told_by("m.room.message", content).words)
    mentions_in({}, Styled(f"https://matrix.to/#/{text}"))
    assert time.thread_time() - before < 0.3


# --- outbound -----------------------------------------------------------------------------------


def _content(body: str, *mentions: Mention, **about: Any) -> Any:
    command = SendRoomText(room=RemoteRoomId(ROOM), body=body, mentions=mentions, **about)
    return {name: value for name, value in content_of(command, "k").items() if name != KEY}


def test_req_439_a_mention_is_a_link_and_notifies() -> None:
    assert _content("<Bob>,\ntea?", Mention(user=BOB, begin=1, end=4)) == {
        "msgtype": "m.text",
        "body": "<Bob>,\ntea?",
        "m.mentions": {"user_ids": [BOB]},
        "format": "org.matrix.custom.html",
        "formatted_body": f"&lt;{_link(BOB, 'Bob')}&gt;,<br/>tea?",
    }


def test_req_439_places_of_an_emote_are_those_without_its_command() -> None:
    content = _content("/me hugs Bob", Mention(user=BOB, begin=9, end=12))
    assert content["formatted_body"] == f"hugs {_link(BOB, 'Bob')}"


@pytest.mark.parametrize(
    ("mention", "told"),
    [
        (Mention(user=BOB), {"user_ids": [BOB]}),
        (Mention(user=None, begin=0, end=5), {"room": True}),
        (Mention(user=BOB, notify=False), {}),
    ],
)
def test_req_439_who_is_notified(mention: Mention, told: Any) -> None:
    assert _content("@room", mention) == {"msgtype": "m.text", "body": "@room", "m.mentions": told}


def test_req_439_an_edit_notifies_only_new_ones() -> None:
    bob, carol = Mention(user=BOB, begin=0, end=3, notify=False), Mention(user=CAROL)
    content = _content("Bob!", bob, carol, edits=RemoteMessageId("$first"))
    assert content["m.mentions"] == {"user_ids": [CAROL]}
    assert content["m.new_content"]["m.mentions"] == {"user_ids": [BOB, CAROL]}
    assert content["m.new_content"]["formatted_body"] == f"{_link(BOB, 'Bob')}!"
    assert "formatted_body" not in content


def test_a_long_text_is_not_sent_twice() -> None:
    content = _content("Bob" + "x" * 17_000, Mention(user=BOB, begin=0, end=3))
    assert "formatted_body" not in content
    assert content["m.mentions"] == {"user_ids": [BOB]}


def test_a_name_of_a_user_cannot_leave_the_link() -> None:
    odd = '@a"><b:example.org'
    content = _content("odd", Mention(user=odd, begin=0, end=3))  # type: ignore[arg-type]
    assert content["formatted_body"].count("<") == 2
    assert ALICE not in content["formatted_body"]
