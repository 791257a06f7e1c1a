# SPDX-License-Identifier: Apache-2.0
"""Where in a text somebody is named, whatever clients and networks say (REQ-439, REQ-574)."""

from __future__ import annotations

from xml.etree.ElementTree import Element, fromstring

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.bridge.rooms.addressing import Addressing, Pointer, within
from gateway.bridge.rooms.mentions import placed
from gateway.events import Affiliation, Mention, RoomRight
from gateway.ids import ConversationId, RemoteRoomId, RemoteUserId, RoomId
from gateway.store import members
from gateway.store.members import MemberRow
from gateway.store.rooms import RoomRow
from gateway.text import find_word
from gateway.xmpp.codec.incoming import Reference, read_message

BOB = RemoteUserId("bob")


def _parse(inner: str) -> Element:
    return fromstring(f"<message xmlns='jabber:component:accept'>{inner}</message>")


@pytest.mark.parametrize(
    ("text", "word", "place"),
    [
        ("hi Bob", "Bob", 3),
        ("Bobby, Bob", "Bob", 7),
        ("aBob Bob", "Bob", 5),
        ("Bob's", "Bob", 0),
        ("@Bob", "Bob", 1),
        ("🎉Bob🎉", "Bob", 1),
        ("hi Bob 🎉", "Bob 🎉", 3),
        ("łBob", "Bob", -1),
        ("a(b", "(", 1),
        ("Bob", "", -1),
        ("", "Bob", -1),
    ],
)
def test_req_574_a_nick_is_a_word(text: str, word: str, place: int) -> None:
    assert find_word(text, word) == place


@given(st.text("ab @"), st.text("ab ", min_size=1))
def test_a_word_that_is_found_is_there(text: str, word: str) -> None:
    place = find_word(text, word)
    assert place == -1 or text[place : place + len(word)] == word


@given(st.lists(st.tuples(st.integers(-5, 25), st.integers(-5, 25))), st.integers(0, 20))
def test_places_are_in_order_within_the_text_and_apart(
    places: list[tuple[int, int]], length: int
) -> None:
    end = 0
    for mention in placed([Mention(user=BOB, begin=b, end=e) for b, e in places], length):
        assert end <= mention.begin < mention.end <= length
        end = mention.end


def test_req_435_places_follow_what_was_cut_off() -> None:
    there, nowhere = Pointer(nick="Bob", begin=7, end=10), Pointer(nick="Bob")
    assert list(within([there, nowhere], "> hm\nhi Bob", "hi Bob")) == [
        Pointer(nick="Bob", begin=2, end=5),
        nowhere,
    ]
    (cut,) = within([there], "hi Bob > hm", "hi Bob")
    assert cut.begin < 0


@pytest.mark.parametrize(
    ("xml", "found"),
    [
        ("<reference xmlns='urn:xmpp:reference:0' type='mention' begin='0' end='3' uri='xmpp:a'/>",
         [Reference(uri="xmpp:a", begin=0, end=3)]),
        ("<reference xmlns='urn:xmpp:reference:0' type='mention' uri='xmpp:a@b'/>",
         [Reference(uri="xmpp:a@b")]),
        ("<reference xmlns='urn:xmpp:reference:0' type='data' uri='xmpp:a@b'/>", []),
        ("<reference xmlns='urn:xmpp:reference:0' type='mention' begin='3' uri='xmpp:a@b'/>", []),
        ("<reference xmlns='urn:xmpp:reference:0' type='mention' begin='٣' end='4'/>", []),
        ("<reference xmlns='urn:xmpp:reference:0' type='mention' begin='4' end='4'/>", []),
        ("<mention xmlns='urn:xmpp:mentions:0' jid='a@b'/>", [Reference(uri="xmpp:a@b")]),
        ("<mention xmlns='urn:xmpp:mentions:0' occupantid='o'><noping/></mention>",
         [Reference(occupant="o", notify=False)]),
        ("<mention xmlns='urn:xmpp:mentions:0' mentions='urn:xmpp:mentions:0#channel'/>",
         [Reference(group="urn:xmpp:mentions:0#channel")]),
    ],
)  # fmt: skip
def test_req_439_what_clients_say(xml: str, found: list[Reference]) -> None:
    assert read_message(_parse(f"<body>hi</body>{xml}")).references == found


def test_there_is_an_end_to_references() -> None:
    one = "<mention xmlns='urn:xmpp:mentions:0' occupantid='o'/>"
    assert len(read_message(_parse(one * 5_000)).references) <= 100


_ROOM = RoomRow(
    id=RoomId(1),
    conversation=ConversationId(1),
    realm="account 1",
    remote_id=RemoteRoomId("!club"),
    name="",
    topic="",
    topic_by=None,
    topic_at=None,
    private=True,
    may=(RoomRight.MENTION_ALL,),
    secret=b"",
)
_NICKS = ("bob", "bob b", "b", "ann :", "@", "ł☺")


@given(
    st.lists(st.sampled_from([*_NICKS, "@", ":", ",", " ", "\n", "> ", "room", "x", "."])),
    st.lists(
        st.builds(
            Pointer,
            begin=st.integers(-9, 40),
            end=st.integers(-9, 40),
            nick=st.sampled_from([*_NICKS, "", "nobody"]),
            is_everybody=st.booleans(),
        ),
        max_size=5,
    ),
)
def test_req_439_whatever_is_said_places_are_in_the_text_and_apart(
    words: list[str], pointers: list[Pointer]
) -> None:
    """With the look-ups of a room in which these are."""
    body, people = "".join(words), {nick: _member(nick) for nick in _NICKS}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(members, "by_nick", lambda _db, _room, folded: people.get(folded))
        patch.setattr(members, "find", lambda _db, _room, user: people.get(user))
        found = Addressing(None, _ROOM, BOB).mentioned(body, pointers)  # type: ignore[arg-type]
    end = 0
    for mention in found:
        if mention.begin != mention.end:
            assert end <= mention.begin < mention.end <= len(body)
            end = mention.end
    nowhere = [mention.user for mention in found if mention.begin == mention.end]
    assert len(set(nowhere)) == len(nowhere)


def _member(nick: str) -> MemberRow:
    return MemberRow(
        user=RemoteUserId(nick),
        name=nick,
        nick=nick,
        affiliation=Affiliation.MEMBER,
        may_speak=True,
    )
