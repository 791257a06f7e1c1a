# SPDX-License-Identifier: Apache-2.0
"""``dragoman dead-letters``."""

import asyncio
import os
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn, TypeVar

import typer
from rich.console import Console
from rich.text import Text

from gateway.cli.options import DEFAULT_CONFIG, ConfigPath, load_or_exit
from gateway.config import Config
from gateway.errors import StoreError
from gateway.ids import RowId
from gateway.text import clean

if TYPE_CHECKING:  # slow to import; other commands do without it
    from gateway.store import Transaction

T = TypeVar("T")
_DIGITS = 18
"""No database gets that far."""

app = typer.Typer(help="Messages that never reached their users.", no_args_is_help=True)

Ids = Annotated[list[str], typer.Argument(help="Numbers, as the list has them.")]
Id = Annotated[str, typer.Argument(help="A number of an event, as the list has it: e17.")]


@app.command("list")
def show(config: ConfigPath = DEFAULT_CONFIG) -> None:
    """List them, without their contents. The gateway may run meanwhile."""
    from gateway.store.dead_events import dead_events
    from gateway.store.dead_letters import dead_letters

    letters, events = _read(config, lambda db: (dead_letters(db), dead_events(db)))
    console = Console(highlight=False, soft_wrap=True)
    for letter in letters:
        way = f"{letter.contact or 'the gateway'} -> {letter.user}"
        when = _time(letter.committed_at)
        console.print(Text(f"{letter.id}  {when}  {letter.network}  {way}  {letter.kind}"))
    for event in events:
        when = _time(event.stored_at)
        console.print(Text(f"e{event.id}  {when}  {event.network}  {event.user}  {event.kind}"))
    if not letters and not events:
        console.print("There are none.")


@app.command("show")
def show_one(event: Id, config: ConfigPath = DEFAULT_CONFIG) -> None:
    """Show the content of an event (e17) and what was wrong with it: words of people."""
    from gateway.store.dead_events import content_of

    _, (number, *_) = _sorted([event], events_only=True)
    found = _read(config, lambda db: content_of(db, number))
    if found is None:
        _fail("There is no such event.")
    Console(highlight=False, soft_wrap=True).print(Text("\n".join(map(clean, found))))


@app.command("retry")
def retry_them(ids: Ids, config: ConfigPath = DEFAULT_CONFIG) -> None:
    """Send them again when the gateway starts. It must not run now."""
    from gateway.store import dead_events, dead_letters

    settings = load_or_exit(config, code=os.EX_CONFIG)
    rows, events = _sorted(ids)
    count = _change(
        settings,
        lambda db: dead_letters.retry(db, rows, time.time()) + dead_events.retry(db, events),
    )
    _tell(f"Tried again at the next start: {count}.", count, len(ids))


@app.command("drop")
def drop_them(ids: Ids, config: ConfigPath = DEFAULT_CONFIG) -> None:
    """Delete them. The gateway must not run now."""
    from gateway.store import dead_events, dead_letters

    settings = load_or_exit(config, code=os.EX_CONFIG)
    rows, events = _sorted(ids)
    count = _change(
        settings, lambda db: dead_letters.drop(db, rows) + dead_events.drop(db, events)
    )
    _tell(f"Deleted: {count}.", count, len(ids))


def _sorted(ids: list[str], *, events_only: bool = False) -> tuple[list[RowId], list[int]]:
    """Numbers of rows, and of events, which have an ``e`` in front."""
    rows: list[RowId] = []
    events: list[int] = []
    for name in ids:
        number = name.removeprefix("e")
        if not (number.isascii() and number.isdigit() and len(number) <= _DIGITS) or (
            events_only and number == name
        ):
            _fail(f"{name} is no number of the list.")
        if number == name:
            rows.append(RowId(int(number)))
        else:
            events.append(int(number))
    return rows, events


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _read(config: Path, look: Callable[[sqlite3.Connection], T]) -> T:
    database = load_or_exit(config, code=os.EX_CONFIG).store.database
    uri = f"{database.absolute().as_uri()}?mode=ro"
    try:
        with closing(sqlite3.connect(uri, uri=True)) as db:
            return look(db)
    except sqlite3.Error as error:
        _fail(f"{database}: {error}")


def _change(config: Config, unit: Callable[["Transaction"], int]) -> int:
    from gateway.store import Store

    async def change() -> int:
        opened = await Store.open(config.store.database)
        try:
            return await opened.write(unit)
        finally:
            await opened.close()

    if not config.store.database.exists():
        _fail(f"{config.store.database} does not exist")
    try:
        return asyncio.run(change())
    except StoreError as error:
        _fail(str(error))


def _tell(text: str, count: int, wanted: int) -> None:
    Console(highlight=False, soft_wrap=True).print(Text(text))
    if count < wanted:
        _fail("The others are no dead letters, or cannot be tried again.")


def _fail(text: str) -> NoReturn:
    Console(stderr=True, highlight=False, soft_wrap=True).print(Text(text))
    raise typer.Exit(1)
