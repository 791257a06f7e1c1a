# SPDX-License-Identifier: Apache-2.0
"""``dragoman dead-letters``."""

import asyncio
import os
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer
from rich.console import Console
from rich.text import Text

from gateway.cli.options import DEFAULT_CONFIG, ConfigPath, load_or_exit
from gateway.config import Config
from gateway.errors import StoreError
from gateway.ids import RowId

if TYPE_CHECKING:  # slow to import; other commands do without it
    from gateway.store import Transaction

app = typer.Typer(help="Messages that never reached their users.", no_args_is_help=True)

Ids = Annotated[list[int], typer.Argument(help="Numbers, as the list has them.")]


@app.command("list")
def show(config: ConfigPath = DEFAULT_CONFIG) -> None:
    """List them, without their contents. The gateway may run meanwhile."""
    from gateway.store.dead_letters import dead_letters

    database = load_or_exit(config, code=os.EX_CONFIG).store.database
    console = Console(highlight=False, soft_wrap=True)
    uri = f"{database.absolute().as_uri()}?mode=ro"
    try:
        with closing(sqlite3.connect(uri, uri=True)) as db:
            found = dead_letters(db)
    except sqlite3.Error as error:
        _fail(f"{database}: {error}")
    for letter in found:
        when = datetime.fromtimestamp(letter.committed_at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        way = f"{letter.contact or 'the gateway'} -> {letter.user}"
        console.print(Text(f"{letter.id}  {when}  {letter.network}  {way}  {letter.kind}"))
    if not found:
        console.print("There are none.")


@app.command("retry")
def retry_them(ids: Ids, config: ConfigPath = DEFAULT_CONFIG) -> None:
    """Send them again when the gateway starts. It must not run now."""
    from gateway.store.dead_letters import retry

    settings = load_or_exit(config, code=os.EX_CONFIG)
    rows = [RowId(row) for row in ids]
    count = _change(settings, lambda db: retry(db, rows, time.time()))
    _tell(f"Tried again at the next start: {count}.", count, len(rows))


@app.command("drop")
def drop_them(ids: Ids, config: ConfigPath = DEFAULT_CONFIG) -> None:
    """Delete them. The gateway must not run now."""
    from gateway.store.dead_letters import drop

    settings = load_or_exit(config, code=os.EX_CONFIG)
    rows = [RowId(row) for row in ids]
    count = _change(settings, lambda db: drop(db, rows))
    _tell(f"Deleted: {count}.", count, len(rows))


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
        _fail("The others are no dead letters.")


def _fail(text: str) -> NoReturn:
    Console(stderr=True, highlight=False, soft_wrap=True).print(Text(text))
    raise typer.Exit(1)
