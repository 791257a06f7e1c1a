# SPDX-License-Identifier: Apache-2.0
"""When the queue of a conversation learns what is told of a file."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from gateway.bridge.files.uploads import Uploads
from gateway.bridge.persist import Persist
from gateway.events import ChatMessage, SharedFile
from gateway.ids import AccountId, ConversationId, FileId, RemoteUserId, RowId, StanzaId, UserJid
from gateway.store import Store, Transaction
from gateway.store.journal import InboundRow
from gateway.tasks import Tasks
from tests.clock import VirtualClock


def _row(number: int, conversation: int = 1) -> InboundRow:
    file = SharedFile(url="", upload=FileId(number))
    return InboundRow(
        id=RowId(number),
        account=AccountId(1),
        conversation=ConversationId(conversation),
        user=UserJid("alice@example.org"),
        contact=RemoteUserId("bob"),
        stanza_id=StanzaId(f"s{number}"),
        delivery=ChatMessage(id=StanzaId(f"s{number}"), body="", sent_at=0.0, file=file),
        committed_at=0.0,
    )


class _Followed(Persist):
    """After each unit another one is written at once, in the same commit."""

    then: Callable[[], None]

    def write(self, unit: Callable[[Transaction], Any], then: Any = None) -> Any:
        written = super().write(unit, then)
        super().write(lambda _: None, lambda _: self.then())
        return written


async def test_req_446_what_is_decided_of_a_file_is_told_in_the_order_of_the_commits(
    tmp_path: Path,
) -> None:
    """A queue takes no row that is older than one that it has: this one would be lost."""
    store = await Store.open(tmp_path / "dragoman.db")
    clock, tasks = VirtualClock(), Tasks("test")
    persist = _Followed(store, clock, tasks)
    heard: list[str] = []
    both = asyncio.Event()

    def hear(what: str) -> None:
        heard.append(what)
        if len(heard) == 2:
            both.set()

    persist.then = lambda: hear("next")
    ground = SimpleNamespace(store=store, clock=clock, tasks=tasks, persist=persist)
    uploads = Uploads(
        cast("Any", ground),
        cast("Any", None),
        look=lambda _: None,
        decided=lambda row, told, moved: hear("decided"),
    )
    assert uploads.holds(_row(1))
    async with asyncio.timeout(10):
        await both.wait()
    assert heard == ["decided", "next"]
    await tasks.cancel()
    await store.close()
