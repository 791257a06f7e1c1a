# SPDX-License-Identifier: Apache-2.0
"""What is kept of messages of chats, and what is not."""

from __future__ import annotations

import pytest

from gateway.ids import ConversationId, RemoteMessageId, StanzaId
from gateway.store import Transaction, chat_texts, conversations
from gateway.store.chat_texts import MOST_CHARS, MOST_EXCERPTS, digest
from gateway.store.conversations import Origin
from gateway.store.database import Store
from gateway.text import Span, Style
from tests.unit.store import rows


def _chat(db: Transaction) -> ConversationId:
    return rows.chat(db, "alice@example.org")[1]


def test_a_digest_tells_texts_and_styles_apart() -> None:
    bold, italic = (Span(style=style, begin=0, end=1) for style in (Style.BOLD, Style.ITALIC))
    said = [("a", ()), ("b", ()), ("a", (bold,)), ("a", (italic,)), ("a", (bold, italic))]
    assert len({digest(body, spans) for body, spans in said}) == len(said)
    assert digest("a", (bold,)) == digest("a", (Span(style=Style.BOLD, begin=0, end=1),))
    assert digest("\ud800") == digest("\ufffd"), "as it is said"


async def test_a_text_has_its_beginning_and_is_what_it_was_last(store: Store) -> None:
    def unit(db: Transaction) -> None:
        chat = _chat(db)
        message = rows.message(db, chat, "one")
        assert chat_texts.of(db, message) is None
        chat_texts.put(db, chat, message, "x" * 1000)
        assert [text for _, text in chat_texts.newest(db, chat)] == ["x" * MOST_CHARS]
        chat_texts.put(db, chat, message, "short", edit=RemoteMessageId("$2"))
        text = chat_texts.of(db, message)
        assert text is not None
        assert (text.digest, text.excerpt, text.is_gone) == (digest("short"), "short", False)
        assert (text.edit, text.edited_at) == ("$2", 0)
        chat_texts.edited(db, chat, message, 9)
        text = chat_texts.of(db, message)
        assert text is not None
        assert text.edited_at == 9
        chat_texts.unknown(db, message)
        text = chat_texts.of(db, message)
        assert text is not None
        assert (text.digest, text.excerpt, text.edit) == (b"", "", None)

    await store.write(unit)


async def test_of_an_unknown_text_is_known_when_it_was_edited(store: Store) -> None:
    def unit(db: Transaction) -> None:
        chat = _chat(db)
        message = rows.message(db, chat, "one")
        chat_texts.edited(db, chat, message, 9)
        text = chat_texts.of(db, message)
        assert text is not None
        assert (text.edited_at, text.digest, text.excerpt, text.is_gone) == (9, b"", "", False)
        assert chat_texts.newest(db, chat) == []

    await store.write(unit)


@pytest.mark.parametrize("was_known", [True, False])
async def test_of_what_was_taken_back_nothing_is_left(store: Store, was_known: bool) -> None:
    def unit(db: Transaction) -> None:
        chat = _chat(db)
        message = rows.message(db, chat, "one")
        if was_known:
            chat_texts.put(db, chat, message, "secret")
        assert not chat_texts.is_gone(db, message)
        assert chat_texts.take_back(db, chat, message)
        assert not chat_texts.take_back(db, chat, message), "once"
        chat_texts.put(db, chat, message, "a late edit")
        assert chat_texts.is_gone(db, message)
        assert chat_texts.newest(db, chat) == []
        assert db.execute("SELECT digest, excerpt FROM chat_text").fetchall() == [(b"", "")]

    await store.write(unit)


async def test_only_the_newest_have_an_excerpt(store: Store) -> None:
    """Those of another chat are not touched, and an edit of an old one makes none new."""

    def unit(db: Transaction) -> None:
        chat, other = _chat(db), rows.chat(db, "carol@example.org")[1]
        chat_texts.put(db, other, rows.message(db, other, "other"), "other")
        made = [rows.message(db, chat, f"m{n}") for n in range(MOST_EXCERPTS + 20)]
        for message in made:
            chat_texts.put(db, chat, message, f"text {message}")
        chat_texts.put(db, chat, made[0], "edited late")
        kept = [message for message, _ in chat_texts.newest(db, chat)]
        assert kept == made[:-201:-1]
        with_excerpt = "SELECT count(*) FROM chat_text WHERE conversation = ? AND excerpt <> ''"
        assert db.execute(with_excerpt, (chat,)).fetchone() == (MOST_EXCERPTS,)
        text = chat_texts.of(db, made[0])
        assert text is not None
        assert (text.digest, text.excerpt) == (digest("edited late"), "")
        assert len(chat_texts.newest(db, other)) == 1

    await store.write(unit)


async def test_whatever_is_named_the_first_part_of_the_message_is_meant(store: Store) -> None:
    """REQ-411; and what is about a message is not the newest one itself."""

    def unit(db: Transaction) -> None:
        chat = _chat(db)
        ids: dict[str, int | None] = {}
        for name, remote, part in (("a0", "$a", 0), ("a1", "$a", 1), ("b", "$b", 0)):
            ids[name] = conversations.add_message(
                db,
                chat,
                stanza_id=StanzaId(name),
                origin=Origin.CONTACT,
                sent_at=0,
                remote_id=RemoteMessageId(remote),
                part=part,
                about=ids["a0"] if name == "b" else None,
            )
        for alias in ("a0", "a1", "b"):
            row = conversations.by_alias(db, chat, alias)
            assert row is not None
            assert conversations.original(db, row).id == ids["a0"]
        last = conversations.newest_of_contact(db, chat, 100)
        assert last is not None
        assert last.id == ids["a1"]
        assert conversations.newest_from_network(db, chat) == last
        db.execute("DELETE FROM message WHERE id = ?", (ids["a0"],))
        assert conversations.by_alias(db, chat, "b") is None, "an edit goes with its message"

    await store.write(unit)
