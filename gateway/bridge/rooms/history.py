# SPDX-License-Identifier: Apache-2.0
"""What was said in rooms and was not told: before the account was linked, while it was out of
them, or in a gap that was too large to be filled. It is fetched page by page when somebody asks
for it (REQ-584).

Each account fetches for itself, for the network knows what each may see. A page and the cursor
after it are committed together, so a crash loses and doubles nothing. All devices that ask for the
same wait for the same page.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace

import structlog

from gateway.adapter import HistoryPage
from gateway.bridge.accounts import Account
from gateway.bridge.ground import Ground
from gateway.bridge.links.link import Link
from gateway.bridge.rooms.past import Past
from gateway.errors import AdapterError, StoreUnavailable
from gateway.ids import AccountId, RoomId
from gateway.store import Transaction, gaps
from gateway.store.gaps import Gap
from gateway.store.rooms import RoomRow
from gateway.tasks import CutOff, contained, within

log = structlog.get_logger("rooms")

_PAGE = 100
MOST = 10_000
"""Events of one gap: what is further back than that is not fetched."""
_PAGE_LIMIT_S = 30.0
"""For one page. Whoever has asked may wait for less."""


class History:
    """Of the rooms of one network. ``keeps_s``: what is older is not kept, and not fetched."""

    def __init__(self, ground: Ground) -> None:
        self._is_offered = ground.adapter.capabilities.history
        self._clock = ground.clock
        self._store = ground.store
        self._tasks = ground.tasks
        self._keeps_s = ground.settings.keeps_s
        self._under_way: dict[tuple[RoomId, AccountId, int], asyncio.Task[bool]] = {}

    def missing(self, account: Account, room: RoomRow) -> list[Gap]:
        """What an account may be told more of a room, the newest first. The last one may be the
        beginning."""
        if not self._is_offered:
            return []
        return gaps.open_of(self._store.reader, room.id, account.id)

    def times(self, room: RoomRow, gap: Gap) -> tuple[float, float]:
        """Between when and when it was said."""
        return gaps.times(self._store.reader, room.id, gap)

    async def more(self, account: Account, room: RoomRow, gap: Gap, limit_s: float) -> bool:
        """Fetch the newest page that is missing there. False if that did not succeed in this
        time."""
        key = (room.id, account.id, gap.top)
        fetching = self._under_way.get(key) or self._begin(account, room, gap.top)
        try:
            return await within(self._clock, limit_s, asyncio.shield(fetching))
        except (TimeoutError, CutOff):
            return False

    def _begin(self, account: Account, room: RoomRow, top: int) -> asyncio.Task[bool]:
        key = (room.id, account.id, top)

        def done() -> None:
            del self._under_way[key]

        name = f"history of room {room.id} for account {account.id}"
        task = self._tasks.spawn(self._fetch(account, room, top), name, done=done)
        self._under_way[key] = task
        return task

    async def _fetch(self, account: Account, room: RoomRow, top: int) -> bool:
        try:
            return await self._page(account, room, top)
        except (AdapterError, StoreUnavailable, TimeoutError) as error:
            log.info("history_not_fetched", account=account.id, room=room.id, reason=str(error))
        except Exception:  # whatever it is, it costs this page only
            log.exception("history_not_fetched", account=account.id, room=room.id)
        return False

    async def _page(self, account: Account, room: RoomRow, top: int) -> bool:
        link = account.link
        session = None if link is None else link.session
        if link is None or session is None:
            return False
        reader = self._store.reader
        before = gaps.get(reader, room.id, account.id, top)
        known = before.known or gaps.known_after(
            reader, room.id, before, account.id if room.is_shared else None
        )
        asked = contained(session.history, room.remote_id, before.cursor, known, _PAGE)
        page = await within(self._clock, _PAGE_LIMIT_S, asked)
        await self._store.write(lambda db: self._keep(db, link, room, before, page))
        return True

    def _keep(
        self, db: Transaction, link: Link, room: RoomRow, before: Gap, page: HistoryPage
    ) -> None:
        rows, account = link.intake.rooms.room_rows, link.account.id
        found = rows.find(db, room.remote_id)
        if found is None or found.id != room.id:
            return  # the account has come in anew meanwhile
        if gaps.get(db, room.id, account, before.top) != before:
            return
        count = before.count + len(page.events)
        is_over = page.cursor is None or page.cursor == before.cursor
        past = Past.of(rows, db, found, before, self._clock.now(), self._keeps_s)
        is_cut = count >= MOST and not is_over
        is_over |= is_cut
        is_only = len(gaps.open_of(db, room.id, account)) == 1
        is_over |= not past.take(page.events, is_last=is_over, is_only=is_only)
        if is_cut and not past.has_reached:
            past.cut(f"history {before.top}" if before.top else "history")
        past.level()
        after = replace(
            before,
            low=past.low,
            cursor=page.cursor,
            count=count,
            is_over=is_over or past.has_reached,
        )
        gaps.put(db, room.id, account, after)
