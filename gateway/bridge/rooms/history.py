# SPDX-License-Identifier: Apache-2.0
"""What was said in rooms before the account was linked, or was in them: fetched page by page when
somebody asks for it (REQ-584).

A page and the cursor after it are committed together, so a crash loses and doubles nothing. All
who ask for the same room wait for the same page.
"""

from __future__ import annotations

import asyncio

import structlog

from gateway.adapter import Adapter, HistoryPage
from gateway.bridge.accounts import Account
from gateway.bridge.link import Link
from gateway.bridge.rooms.past import Past
from gateway.errors import AdapterError, StoreUnavailable
from gateway.ids import RoomId
from gateway.store import Store, Transaction, history
from gateway.store.history import Fetched
from gateway.store.rooms import RoomRow
from gateway.tasks import CutOff, Tasks, contained, within

log = structlog.get_logger("rooms")

_PAGE = 100
MOST = 10_000
"""Events of one room: what is further back than that is not fetched."""
_PAGE_LIMIT_S = 30.0
"""For one page. Whoever has asked may wait for less."""


class History:
    """Of the rooms of one network. ``keeps_s``: what is older is not kept, and not fetched."""

    def __init__(self, adapter: Adapter, store: Store, tasks: Tasks, keeps_s: float) -> None:
        self._is_offered = adapter.capabilities.history
        self._clock = adapter.context.clock
        self._store = store
        self._tasks = tasks
        self._keeps_s = keeps_s
        self._under_way: dict[RoomId, asyncio.Task[bool]] = {}

    def may_have_more(self, room: RoomRow) -> bool:
        """Whether something may be further back than what is kept. Of a shared room nothing is
        fetched: what one account may see of its past is not for the others."""
        if not self._is_offered or room.is_shared:
            return False
        return not history.of_room(self._store.reader, room.id).is_over

    async def more(self, account: Account, room: RoomRow, limit_s: float) -> bool:
        """Fetch the page before all that is kept. False if that did not succeed in this time."""
        if not self.may_have_more(room):
            return False
        fetching = self._under_way.get(room.id) or self._begin(account, room)
        try:
            return await within(self._clock, limit_s, asyncio.shield(fetching))
        except (TimeoutError, CutOff):
            return False

    def _begin(self, account: Account, room: RoomRow) -> asyncio.Task[bool]:
        def done() -> None:
            del self._under_way[room.id]

        name = f"history of room {room.id}"
        task = self._tasks.spawn(self._fetch(account, room), name, done=done)
        self._under_way[room.id] = task
        return task

    async def _fetch(self, account: Account, room: RoomRow) -> bool:
        try:
            return await self._page(account, room)
        except (AdapterError, StoreUnavailable, TimeoutError) as error:
            log.info("history_not_fetched", account=account.id, room=room.id, reason=str(error))
        except Exception:  # whatever it is, it costs this page only
            log.exception("history_not_fetched", account=account.id, room=room.id)
        return False

    async def _page(self, account: Account, room: RoomRow) -> bool:
        link = account.link
        session = None if link is None else link.session
        if link is None or session is None:
            return False
        reader = self._store.reader
        before = history.of_room(reader, room.id)
        known = history.oldest(reader, room.conversation)
        asked = contained(session.history, room.remote_id, before.cursor, known, _PAGE)
        page = await within(self._clock, _PAGE_LIMIT_S, asked)
        await self._store.write(lambda db: self._keep(db, link, room, before, page))
        return True

    def _keep(
        self, db: Transaction, link: Link, room: RoomRow, before: Fetched, page: HistoryPage
    ) -> None:
        rows = link.intake.rooms.room_rows
        found = rows.find(db, room.remote_id)
        if found is None or found.id != room.id or history.of_room(db, room.id) != before:
            return  # the account has come in anew meanwhile
        count = before.count + len(page.events)
        is_over = page.cursor is None or page.cursor == before.cursor
        past = Past.of(rows, db, found, self._clock.now(), self._keeps_s)
        if count >= MOST and not is_over:
            past.cut("history")
            is_over = True
        is_over |= not past.take(page.events, is_last=is_over)
        history.put(db, room.id, Fetched(cursor=page.cursor, count=count, is_over=is_over))
