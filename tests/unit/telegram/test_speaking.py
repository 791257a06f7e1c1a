# SPDX-License-Identifier: Apache-2.0
"""What the gateway's own bot says for people without an account."""

from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.telegram.entities import units, written
from adapters.telegram.outbound import MAX_TEXT_BYTES
from adapters.telegram.speaking import as_said, shown_name
from gateway.adapter import AUTHOR_BYTES
from gateway.errors import Forbidden, TooLarge, Unsupported
from gateway.events import Author, FileKind, Mention, SendRoomText, SentFile
from gateway.ids import RemoteRoomId, RemoteUserId, UserJid, virtual_id
from gateway.text import Span, Style, tree
from tests.peers.bot_api import Message, forbidden
from tests.peers.bot_api.text import part
from tests.unit.telegram.relay import ALICE, BERND, House, house

_ROOM = RemoteRoomId("-4000000001")


@pytest.fixture
async def at() -> AsyncIterator[House]:
    async with house() as made:
        made.link()
        yield made


def _styled(message: Message) -> list[tuple[str, str]]:
    return [
        (each["type"], part(message.text, each["offset"], each["length"]))
        for each in message.entities
    ]


# --- names ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("nick", "shown"),
    [
        ("alice", "alice"),
        ("  Bernd   B. ", "Bernd B."),
        ("a\nb: c\r\n", "a b: c"),
        ("a\u2028b\x07c", "a b\ufffdc"),
        ("\u202eecila\u202c \u2066x\u2069", "ecila x"),
        ("al\u200bi\u00adce\ufeff", "alice"),
        ("👩\u200d👧 eve", "👩\u200d👧 eve"),
        ("\u3164\u2800", "alice@\u2060example.org"),
        ("", "alice@\u2060example.org"),
        ("@durov", "@\u2060durov"),
        ("/unlink", "/\u2060unlink"),
        ("bernd (/ban)", "bernd (/\u2060ban)"),
        ("he/him", "he/him"),
        ("x" * 60, "x" * 47 + "…"),
    ],
)
def test_a_nick_looks_like_nothing_else(nick: str, shown: str) -> None:
    author = Author(user=virtual_id(UserJid("alice@example.org")), name=nick)
    assert shown_name(author) == shown


@given(st.text(max_size=200), st.text(st.characters(codec="utf-8"), max_size=20))
def test_whatever_somebody_is_called_is_one_line_that_fits(nick: str, local: str) -> None:
    author = Author(user=virtual_id(UserJid(f"x{local}@example.org")), name=nick)
    command = SendRoomText(room=_ROOM, body="a", author=author)
    said = as_said(command)
    name = said.body.removesuffix(": a")
    assert name.strip()
    assert len(name.splitlines()) == 1
    assert len(said.body.encode()) - 1 <= AUTHOR_BYTES


# --- texts ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "spans", "said", "styles"),
    [
        ("hello", (), "alice: hello", [("bold", "alice")]),
        ("two\nlines", (), "alice:\ntwo\nlines", [("bold", "alice")]),
        ("\nbelow", (), "alice: below", [("bold", "alice")]),
        (
            "so 🙂 it is",
            (Span(Style.ITALIC, 3, 7),),
            "alice: so 🙂 it is",
            [("bold", "alice"), ("italic", "🙂 it")],
        ),
        (
            "cited",
            (Span(Style.QUOTE, 0, 5),),
            "alice:\ncited",
            [("bold", "alice"), ("blockquote", "cited")],
        ),
        (
            "/me waves 👋",
            (),
            "alice waves 👋",
            [("italic", "alice waves 👋"), ("bold", "alice")],
        ),
        (
            "/me says *so*",
            (Span(Style.BOLD, 9, 13), Span(Style.MARK, 9, 10), Span(Style.MARK, 12, 13)),
            "alice says so",
            [("italic", "alice says so"), ("bold", "alice"), ("bold", "so")],
        ),
        ("/me ", (), "alice: /me", [("bold", "alice")]),
        ("/meh", (), "alice: /meh", [("bold", "alice")]),
        ("**bob**: no", (), "alice: **bob**: no", [("bold", "alice")]),
    ],
)
async def test_whose_text_it_is(
    at: House, body: str, spans: tuple[Span, ...], said: str, styles: list[tuple[str, str]]
) -> None:
    async with at.running() as session:
        sent = await session.send(at.text(body, spans=spans), "k.1")
    (message,) = at.answers()
    assert message.text == said
    assert [one for one in _styled(message) if one[0] not in ("bot_command",)] == styles
    assert sent.remote_id == f"{at.group.id}:{message.id}"


@given(
    st.text(st.sampled_from("a🙂 *👩\u200d👧é\n/"), max_size=30),
    st.lists(
        st.tuples(st.sampled_from(list(Style)), st.integers(0, 30), st.integers(0, 30)), max_size=6
    ),
    st.text(st.sampled_from("a🙂 é@👋"), max_size=10),
)
def test_styles_stay_on_what_they_were_on(
    body: str, styles: list[tuple[Style, int, int]], nick: str
) -> None:
    """Places are right in UTF-16, whatever stands before."""
    spans = tree((Span(style, begin, end) for style, begin, end in styles), len(body))
    author = Author(user=ALICE.user, name=nick)
    body = f"x{body}"  # neither an action nor cut at its beginning
    spans = tuple(Span(one.style, one.begin + 1, one.end + 1) for one in spans)
    said = as_said(SendRoomText(room=_ROOM, body=body, spans=spans, author=author))
    text, entities = written(said.body, said.spans)
    alone, before = written(body, spans)
    assert text.endswith(alone)
    shift = units(text) - units(alone)
    name, *moved = entities
    assert (name.type, name.offset, name.length) == ("bold", 0, units(shown_name(author)))
    assert [(one.type, one.offset - shift, one.length) for one in moved] == [
        (one.type, one.offset, one.length) for one in before
    ]


def test_who_is_named_is_named_further_on() -> None:
    user = RemoteUserId("7000000014")
    command = SendRoomText(
        room=_ROOM, body="hi Anna", author=ALICE, mentions=(Mention(user=user, begin=3, end=7),)
    )
    for said in (as_said(command), as_said(SendRoomText(
        room=_ROOM, body="/me hugs Anna", author=ALICE,
        mentions=(Mention(user=user, begin=9, end=13),),
    ))):  # fmt: skip
        (mention,) = said.mentions
        assert said.body[mention.begin : mention.end] == "Anna"


async def test_several_people_and_the_parts_of_a_long_text(at: House) -> None:
    """Each part says whose it is, and how one begins says nothing of how it is meant."""
    longest = "x" * (MAX_TEXT_BYTES - AUTHOR_BYTES)
    async with at.running() as session:
        await session.send(at.text("one"), "k.1")
        await session.send(at.text("two", BERND), "k.2")
        await session.send(at.text(longest, BERND), "k.3")
        await session.send(at.text("/me too", BERND, is_further=True), "k.4")
        await session.send(at.text("by itself", None), "k.5")
    assert [each.text for each in at.answers()] == [
        "alice: one",
        "Bernd 🐻: two",
        f"Bernd 🐻: {longest}",
        "Bernd 🐻: /me too",
        "by itself",
    ]


async def test_an_edit_and_an_answer_say_whose_they_are(at: House) -> None:
    async with at.running() as session:
        asked = at.anna.say(at.group, "tea?")
        heard = await at.heard("tea?")
        sent = await session.send(at.text("yse", reply_to=heard.id), "k.1")
        await session.send(at.text("yes", edits=sent.remote_id), "k.2")
        await session.send(at.text("yes", edits=sent.remote_id), "k.2")
    (message,) = at.answers()
    assert (message.text, message.reply_to) == ("alice: yes", asked)
    assert _styled(message) == [("bold", "alice")]


async def test_files_say_whose_they_are(at: House) -> None:
    """Each of them, what is said about one is edited, and what is too long is refused."""
    url = "https://files.example/1"
    at.account.files[url] = b"not much"
    file = SentFile(url=url, name="x.txt", kind=FileKind.FILE, media_type="text/plain")
    async with at.running() as session:
        sent = await session.send(at.text("", file=file), "k.1")
        await session.send(at.text("look", BERND, file=file), "k.2")
        await session.send(at.text("no longer so", edits=sent.remote_id), "k.3")
        with pytest.raises(TooLarge, match="1,024"):
            await session.send(at.text("x" * 1020, file=file), "k.4")
    first, second = at.answers()
    assert (first.text, second.text) == ("alice: no longer so", "Bernd 🐻: look")
    assert [_styled(each) for each in (first, second)] == [
        [("bold", "alice")],
        [("bold", "Bernd 🐻")],
    ]


async def test_a_file_alone_has_a_name_alone(at: House) -> None:
    url = "https://files.example/1"
    at.account.files[url] = b"not much"
    file = SentFile(url=url, name="x.txt", kind=FileKind.FILE, media_type="text/plain")
    async with at.running() as session:
        await session.send(at.text("", file=file), "k.1")
    (message,) = at.answers()
    assert (message.text, _styled(message)) == ("alice", [("bold", "alice")])


async def test_a_name_alone_is_no_message(at: House) -> None:
    async with at.running() as session:
        with pytest.raises(Unsupported, match="without words"):
            await session.send(at.text(" \n"), "k.1")
    assert at.answers() == []


async def test_errors_do_not_speak_of_a_bot_of_the_user(at: House) -> None:
    async with at.running() as session:
        kicked = forbidden("bot was kicked from the group chat")
        at.telegram.faults.refuse(kicked, method="sendMessage")
        with pytest.raises(Forbidden) as caught:
            await session.send(at.text("hello"), "k.1")
    assert caught.value.text == "The bot is not in this group any more."
