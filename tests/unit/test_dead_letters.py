# SPDX-License-Identifier: Apache-2.0
"""``dragoman dead-letters``: what never reached its user is listed, tried again, or deleted."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from gateway.events import RemoteMessage, RemoteUnreadable
from gateway.ids import RemoteMessageId, RemoteUserId
from gateway.store import Store, Transaction, dead_events, journal
from gateway.store.journal import InboundState
from tests.unit.store import rows
from tests.unit.test_cli import GOOD, directory, invoke

__all__ = ["directory"]

SECRET_TEXT = "meet me at noon"


@pytest.fixture
def database(directory: Path) -> Path:
    """Two dead letters, and a row that waits."""
    config = directory / "config.yaml"
    config.write_text(GOOD + "store: {database: dragoman.db}\n")
    config.chmod(0o600)

    async def fill() -> None:
        store = await Store.open(directory / "dragoman.db")

        def unit(db: Transaction) -> None:
            of, chat = rows.chat(db, "alice@example.org")
            made = [rows.inbound(db, of, chat, SECRET_TEXT, now=n) for n in range(3)]
            journal.close_inbound(db, made[:2], InboundState.DEAD, 5)
            db.execute("UPDATE inbound SET payload = x'00', bounces = 7 WHERE id = ?", (2,))

        await store.write(unit)
        await store.close()

    asyncio.run(fill())
    return directory / "dragoman.db"


def states(database: Path) -> list[tuple[int, int, int]]:
    """Id, state and bounces of all rows."""

    async def look() -> list[tuple[int, int, int]]:
        store = await Store.open(database)
        try:
            found = store.reader.execute("SELECT id, state, bounces FROM inbound ORDER BY id")
            return found.fetchall()
        finally:
            await store.close()

    return asyncio.run(look())


def test_they_are_listed_without_contents(database: Path) -> None:
    code, out, err = invoke("dead-letters", "list")
    assert (code, err) == (0, "")
    assert out.splitlines() == [
        "1  1970-01-01T00:00:00Z  net  bob -> alice@example.org  ChatMessage",
        "2  1970-01-01T00:00:01Z  net  bob -> alice@example.org  unreadable",
    ]
    assert SECRET_TEXT not in out


def test_retry_and_drop(database: Path) -> None:
    assert invoke("dead-letters", "retry", "2") == (0, "Tried again at the next start: 1.\n", "")
    assert states(database) == [(1, 3, 0), (2, 0, 0), (3, 0, 0)]
    assert invoke("dead-letters", "drop", "1") == (0, "Deleted: 1.\n", "")
    assert states(database) == [(2, 0, 0), (3, 0, 0)]
    assert invoke("dead-letters", "list") == (0, "There are none.\n", "")


@pytest.mark.parametrize("command", ["retry", "drop"])
def test_what_is_no_dead_letter_is_left_alone(database: Path, command: str) -> None:
    code, _, err = invoke("dead-letters", command, "3", "4")
    assert (code, err) == (1, "The others are no dead letters, or cannot be tried again.\n")
    assert states(database) == [(1, 3, 0), (2, 3, 7), (3, 0, 0)]


async def test_a_running_gateway_lets_them_be_listed_only(database: Path) -> None:
    store = await Store.open(database)
    try:
        found = await asyncio.gather(
            *(
                asyncio.to_thread(invoke, "dead-letters", *arguments)
                for arguments in (["retry", "1"],)
            )
        )
        assert found[0][0] == 1
        assert f"is in use by process {os.getpid()}" in found[0][2]
        assert (await asyncio.to_thread(invoke, "dead-letters", "list"))[0] == 0
    finally:
        await store.close()


def test_no_database_is_no_traceback(directory: Path) -> None:
    (directory / "config.yaml").write_text(GOOD)
    (directory / "config.yaml").chmod(0o600)
    for arguments in (["list"], ["drop", "1"]):
        code, _, err = invoke("dead-letters", *arguments)
        assert code == 1
        assert "dragoman.db" in err
    assert not (directory / "dragoman.db").exists()


@pytest.fixture
def events(database: Path) -> Path:
    """And two events: one that can be tried again, and one that cannot."""

    async def fill() -> None:
        store = await Store.open(database)

        def unit(db: Transaction) -> None:
            of = rows.account(db, "carol@example.org")
            bob, sent = RemoteUserId("bob"), RemoteMessageId("$1")
            message = RemoteMessage(contact=bob, id=sent, body=SECRET_TEXT, sent_at=1.0)
            dead_events.add(db, of, message, "the disk burns", 7)
            raw = RemoteUnreadable(contact=bob, id=sent, content="{}", reason="KeyError")
            dead_events.add(db, of, raw, "KeyError", 8, sent)

        await store.write(unit)
        await store.close()

    asyncio.run(fill())
    return database


def test_events_are_listed_shown_and_tried_again(events: Path) -> None:
    _, out, _ = invoke("dead-letters", "list")
    assert out.splitlines()[2:] == [
        "e1  1970-01-01T00:00:07Z  net  carol@example.org  RemoteMessage",
        "e2  1970-01-01T00:00:08Z  net  carol@example.org  RemoteUnreadable",
    ]
    assert SECRET_TEXT not in out
    _, out, _ = invoke("dead-letters", "show", "e1")
    assert out.startswith("the disk burns\n")
    assert SECRET_TEXT in out
    assert invoke("dead-letters", "retry", "e1", "1")[1] == "Tried again at the next start: 2.\n"
    code, _, err = invoke("dead-letters", "retry", "e2")
    assert (code, err) == (1, "The others are no dead letters, or cannot be tried again.\n")
    assert invoke("dead-letters", "drop", "e1", "e2") == (0, "Deleted: 2.\n", "")
    assert invoke("dead-letters", "show", "e1")[2] == "There is no such event.\n"


@pytest.mark.parametrize("name", ["x", "ee1", "1e", "e", "\u0663"])
def test_what_is_no_number_is_said_to_be_none(events: Path, name: str) -> None:
    for command in ("show", "retry", "drop"):
        code, _, err = invoke("dead-letters", command, name)
        assert (code, err) == (1, f"{name} is no number of the list.\n")
    assert invoke("dead-letters", "show", "1")[0] == 1
