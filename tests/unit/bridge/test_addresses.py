# SPDX-License-Identifier: Apache-2.0
"""Addresses of contacts: a bijection, whatever people are called on their networks (REQ-260)."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import cache
from types import SimpleNamespace
from typing import Any, cast

import aiohttp
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from slixmpp import JID
from slixmpp.stringprep import nodeprep

from adapters.matrix import MatrixAdapter
from gateway.adapter import Adapter
from gateway.bridge.addresses import Addresses, escape, unescape
from gateway.ids import NetworkName, RemoteRoomId, RemoteUserId
from gateway.store import Store, addresses
from gateway.store.database import migrate
from gateway.xmpp import jid
from tests.scripted.adapter import ScriptedAdapter, ScriptedSettings
from tests.unit.matrix.memory import MemoryNetwork

NETWORK = NetworkName("net")
_DOMAIN = "net.example.org"
_SURROGATE = re.compile("[\ud800-\udfff]")

# What unequal people may be called who must not become one.
_TROUBLE = [
    "bob", "Bob", "BOB", "straße", "strasse", "STRASSE", "\uff42\uff4f\uff42",
    "caf\u00e9", "cafe\u0301", "\u03c3\u03b1\u03c2", "\u03c3\u03b1\u03c3", "\u03a3\u0391\u03a3",
    "i", "I", "\u0130", "\u0131", "\ufb01sh", "fish", "b ob", "b\\20ob", "b\\5c20ob",
    "\\20bob", "bob\\20", "\\", "\\5c", "\\5c5c", "#room", "\\23room", ".bob", "a/b", "a\\2fb",
    "@a:b", "\\40a\\3ab", "a&b", "a'b", 'a"b', "a<b>", "%", "a%b", "\u200b", "a\u00adb",
    "a\u200db", "\u202eevil", "\ud800", "\x00", "\n", "🙂", "x" * 120, "x" * 121, "x" * 3000,
    "-", ".", "..", "a" * 119 + "A",
]  # fmt: skip
_NAMES = st.one_of(
    st.sampled_from(_TROUBLE),
    st.text(min_size=1, max_size=12),
    st.text(
        min_size=1,
        max_size=12,
        alphabet="aAbB\\2045c40fe%.# ß\u017f\u0130\u0131\u03c3\u03c2\u0301",
    ),
    st.lists(st.sampled_from(_TROUBLE), min_size=1, max_size=3).map("".join),
)
_MATRIX_IDS = st.builds("@{}:{}".format, _NAMES, st.sampled_from(["example.org", "Ex.org:8448"]))


def _adapter(kind: str) -> Adapter:
    http = cast("aiohttp.ClientSession", None)
    if kind == "matrix":
        return MatrixAdapter(MemoryNetwork(http))
    context: Any = SimpleNamespace(name=NETWORK, settings=ScriptedSettings(port=1))
    return ScriptedAdapter(context)


@cache
def _empty() -> bytes:
    """A new database. To make one for each example would take longer than all the rest."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as db:
        migrate(db)
        return db.serialize()


@contextmanager
def _addresses(kind: str) -> Iterator[tuple[Addresses, sqlite3.Connection]]:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as db:
        db.deserialize(_empty())
        store = cast("Store", SimpleNamespace(reader=db))
        yield Addresses(NETWORK, "net.example", _adapter(kind), store), db


def _contacts(kind: str) -> st.SearchStrategy[list[RemoteUserId]]:
    ids = _MATRIX_IDS if kind == "matrix" else _NAMES
    # The store cannot hold a lone surrogate, and events are cleaned before.
    whole = ids.filter(lambda name: not _SURROGATE.search(name))
    return st.lists(whole, min_size=1, max_size=8, unique=True).map(
        lambda names: [RemoteUserId(name) for name in names]
    )


@pytest.mark.parametrize("kind", ["scripted", "matrix"])
@given(data=st.data())
def test_every_contact_has_an_address_of_its_own(kind: str, data: st.DataObject) -> None:
    contacts = data.draw(_contacts(kind))
    with _addresses(kind) as (book, db):
        for contact in contacts:
            book.assign(db, contact)
        localparts = [book.localpart(contact) for contact in contacts]
        assert len(set(localparts)) == len(contacts)
        for contact, localpart in zip(contacts, localparts, strict=True):
            assert book.contact(localpart) == contact
            # A server that has folded it, or a client that has typed it, means the same one.
            assert book.contact(localpart.upper()) == contact
            assert not localpart.startswith("#")
            assert len(localpart.encode()) <= 120


@pytest.mark.parametrize("kind", ["scripted", "matrix"])
@given(data=st.data())
def test_every_address_survives_what_servers_do_to_it(kind: str, data: st.DataObject) -> None:
    with _addresses(kind) as (book, _):
        for contact in data.draw(_contacts(kind)):
            localpart = book.localpart(contact)
            assert nodeprep(localpart) == localpart
            assert JID(f"{localpart}@{_DOMAIN}").local == localpart
            assert jid.make(localpart, _DOMAIN, "matrix") == f"{localpart}@{_DOMAIN}/matrix"
            assert jid.split(f"{localpart}@{_DOMAIN}/matrix").local == localpart


@given(_contacts("scripted"))
def test_an_address_is_the_same_in_every_process(contacts: list[RemoteUserId]) -> None:
    with _addresses("scripted") as (one, _), _addresses("scripted") as (other, _):
        for contact in contacts:
            assert one.localpart(contact) == other.localpart(contact)


@given(_contacts("matrix"))
def test_what_is_assigned_stays_whatever_the_adapter_says_later(
    contacts: list[RemoteUserId],
) -> None:
    with _addresses("matrix") as (book, db):
        for contact in contacts:
            addresses.assign(db, NETWORK, contact, f"kept-{contacts.index(contact)}")
        for number, contact in enumerate(contacts):
            book.assign(db, contact)
            assert book.localpart(contact) == f"kept-{number}"
            assert book.contact(f"kept-{number}") == contact


@given(st.text(max_size=30))
def test_any_localpart_is_somebody_or_nobody(localpart: str) -> None:
    """Whatever a stanza is addressed to; a second spelling never reaches the same contact."""
    if _SURROGATE.search(localpart):
        return  # no XML parser hands one over
    with _addresses("scripted") as (book, _):
        contact = book.contact(localpart)
        if contact is not None:
            assert book.localpart(contact) == localpart.lower()


@given(st.text(max_size=30))
def test_rooms_are_never_contacts(name: str) -> None:
    with _addresses("scripted") as (book, _):
        assert book.contact(f"#{name}") is None
        if not _SURROGATE.search(name):
            assert not book.localpart(RemoteUserId(f"#{name}")).startswith("#")


@given(st.lists(st.tuples(_NAMES, _NAMES), min_size=1, max_size=5))
def test_req_260_every_room_has_an_address_that_servers_take(
    rooms: list[tuple[str, str]],
) -> None:
    """Whatever its id and its name are."""
    with _addresses("scripted") as (book, db):
        ids = {RemoteRoomId(f"!{id}{number}") for number, (id, _) in enumerate(rooms)}
        assume(not any(_SURROGATE.search(id) for id in ids))
        for room, (_, name) in zip(sorted(ids), rooms, strict=True):
            book.assign_room(db, room, name)
        found = {room: addresses.localpart_of(db, NETWORK, RemoteUserId(room)) for room in ids}
        assert len(set(found.values())) == len(ids)
        for room, localpart in found.items():
            assert localpart is not None
            assert re.fullmatch(r"#[a-z0-9._+=~!#$*-]+", localpart)
            assert nodeprep(localpart) == localpart
            assert jid.make(localpart, _DOMAIN, "A nick") == f"{localpart}@{_DOMAIN}/A nick"
            assert book.room(localpart.upper()) == room


def test_the_gateway_itself_has_no_localpart() -> None:
    with _addresses("matrix") as (book, db):
        assert book.localpart(RemoteUserId("")) == ""
        book.assign(db, RemoteUserId(""))
        assert book.contact("") is None


@pytest.mark.parametrize(
    ("contact", "localpart"),
    [
        ("@bob:example.org", "bob%example.org"),
        ("@b.o_b=c-d:example.org", "b.o_b=c-d%example.org"),
        ("@bob:example.org:8448", r"bob%example.org\3a8448"),
        ("@a/b:example.org", r"a\2fb%example.org"),
    ],
)
def test_readable_addresses(contact: str, localpart: str) -> None:
    with _addresses("matrix") as (book, _):
        assert book.localpart(RemoteUserId(contact)) == localpart
        assert book.contact(localpart) == contact


@pytest.mark.parametrize(
    "contact", ["@Bob:example.org", "@" + "x" * 200 + ":example.org", "@ß:a.b"]
)
def test_what_cannot_be_read_back_becomes_a_slug_with_a_hash(contact: str) -> None:
    with _addresses("matrix") as (book, db):
        localpart = book.localpart(RemoteUserId(contact))
        assert localpart.startswith(".")
        assert book.contact(localpart) is None, "unknown before it is assigned"
        book.assign(db, RemoteUserId(contact))
        assert book.contact(localpart) == contact


# --- XEP-0106 ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        # The examples of XEP-0106 §5 and §6.
        ("space cadet", r"space\20cadet"),
        ('call me "ishmael"', r"call\20me\20\22ishmael\22"),
        ("at&t guy", r"at\26t\20guy"),
        ("d'artagnan", r"d\27artagnan"),
        ("/.fanboy", r"\2f.fanboy"),
        ("::foo::", r"\3a\3afoo\3a\3a"),
        ("<foo>", r"\3cfoo\3e"),
        ("user@host", r"user\40host"),
        (r"c:\net", r"c\3a\net"),
        (r"c:\cool stuff", r"c\3a\cool\20stuff"),
        (r"c:\5commas", r"c\3a\5c5commas"),
        (r"foo\bar", r"foo\bar"),
        (r"\2plus\2is\4", r"\2plus\2is\4"),
    ],
)
def test_escapes_of_the_standard(text: str, escaped: str) -> None:
    assert escape(text) == escaped
    assert unescape(escaped) == text


@given(st.text())
@example("\\5c20")
@example("\\\\20")
def test_what_is_escaped_can_be_read_back(text: str) -> None:
    escaped = escape(text)
    assert unescape(escaped) == text
    assert not set(escaped) & set(" \"&'/:<>@")
