# SPDX-License-Identifier: Apache-2.0
"""Files on their way to the upload service of the server, before users are told of them (REQ-445).

Their bytes flow in lanes of their own (`putting`). The row of a file waits at its queue for a
second; then the rest of the conversation goes on, and the file is told when it is there (REQ-446),
however long that takes as long as enough moves. What cannot be put there is told by the gateway's
own address, which streams it from the network, or in words if there is none; so is what comes when
too many files of its conversation are on their way. What was under way when the gateway ended is
done again; the service forgets the other copy with time.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass

import structlog
from msgspec import structs

from gateway.bridge.files.downloads import Downloads
from gateway.bridge.files.putting import REUSED_S, Putting
from gateway.bridge.files.told import at, in_words, mark, on_its_way
from gateway.bridge.ground import Ground
from gateway.bridge.inbound.aside import WithFile
from gateway.bridge.inbound.queues import Queue
from gateway.bridge.ports import XmppPort
from gateway.bridge.rooms import awaiting
from gateway.bridge.rooms.awaiting import Moved
from gateway.events import Delivery, RoomDisplayed, RoomMessage, SharedFile
from gateway.ids import ConversationId, FileId, RemoteMessageId, RemoteRoomId, RowId
from gateway.store import Transaction, awaited, conversations, files, journal, rooms
from gateway.store.files import FileRow, Uploaded
from gateway.store.journal import InboundRow
from gateway.tasks import CutOff, contained

log = structlog.get_logger("uploads")

_SLOW_S = 1.0
"""After this the conversation goes on without it."""


@dataclass(slots=True)
class _Held:
    """A row of which it is not known yet what it says."""

    row: InboundRow
    said: WithFile
    shared: SharedFile
    file: FileId
    began_at: float
    """Monotonic."""
    may_be_passed: bool = False
    is_asked: bool = False
    """Whether it may be passed."""
    is_enough: bool = False
    """It is decided at once."""
    work: asyncio.Future[Uploaded | None] | None = None


class Uploads:
    """Of one network."""

    def __init__(
        self,
        ground: Ground,
        downloads: Downloads,
        look: Callable[[InboundRow], None],
        decided: Callable[[InboundRow, Delivery, Moved], None],
    ) -> None:
        """``look`` is called when the conversation of a row may go on, ``decided`` with what the
        row says, and with the rows that have their turn later because of it."""
        self._ground = ground
        self._look = look
        self._decided = decided
        self._putting = Putting(ground, downloads)
        self._under_way: dict[RowId, _Held] = {}
        self._marks: dict[ConversationId, dict[ConversationId, InboundRow]] = defaultdict(dict)
        """By the room: what is told when a file there is decided, to its user alone. One row of
        each of their conversations: when that goes on, all of it is looked at."""

    def attach(self, port: XmppPort) -> None:
        """Connect to the XMPP side."""
        self._putting.attach(port)

    def holds(self, row: InboundRow) -> bool:
        """Whether it is not known yet what a row says: its file is on its way from now on."""
        said = row.delivery
        if not isinstance(said, WithFile) or said.file is None:
            return False
        shared = said.file
        if shared.upload is None:
            outdated = self._outdated(row, shared)
            if outdated is None:
                return False
            shared = outdated
            said = row.delivery = structs.replace(said, file=shared)
        assert shared.upload is not None
        if row.id not in self._under_way:
            now = self._ground.clock.monotonic()
            held = self._under_way[row.id] = _Held(row, said, shared, shared.upload, now)
            self._ground.tasks.spawn(self._run(held), f"upload of {row.id}")
            self._ground.tasks.spawn(self._wake(row), f"conversation of {row.id}")
        return True

    def _outdated(self, row: InboundRow, shared: SharedFile) -> SharedFile | None:
        """A file that was put there long before the row is told: it may be gone since."""
        since = self._ground.clock.now() - REUSED_S
        if not shared.sha256 or row.committed_at > since:
            return None
        store = self._ground.store.reader
        file = files.put_before(store, row.conversation, shared.sha256, shared.url, since)
        if file is None:
            return None
        return on_its_way(shared, file, self._ground.settings.file_links)

    # --- what waits -----------------------------------------------------------------------------

    def keep_waiting(self, queue: Queue, row: InboundRow) -> bool:
        """Whether it is not known yet what a row says, or what it is about is not told yet. For a
        second its queue waits for that; then it is put aside."""
        is_held = self.holds(row)
        if not (is_held or queue.aside or isinstance(row.delivery, RoomDisplayed)):
            return False
        message = self._part_of(row)
        if not (is_held or queue.aside.concerns(row, message) or self._is_ahead(row)):
            return False
        if (file := queue.aside.in_the_way(row)) is not None:
            self._decide_now(file)
            queue.blocked = True
        elif is_held and not self._may_pass(row):
            queue.blocked = True
        else:
            queue.pending.popleft()
            queue.aside.put(row, message)
        return True

    def _part_of(self, row: InboundRow) -> RemoteMessageId | None:
        """The message of which it is a part, if it is of one."""
        store = self._ground.store.reader
        message = conversations.by_alias(store, row.conversation, row.stanza_id)
        return None if message is None or message.about is not None else message.remote_id

    def _is_ahead(self, row: InboundRow) -> bool:
        """Whether the user has read in another app what a room that several share tells later: it
        has another queue."""
        told, store = row.delivery, self._ground.store.reader
        if not isinstance(told, RoomDisplayed):
            return False
        room = rooms.find(store, row.account, RemoteRoomId(row.contact))
        if room is None or room.conversation == row.conversation:
            return False
        if not awaited.waits(store, room.id, told.message):
            return False
        self._marks[room.conversation][row.conversation] = row
        return True

    def _decide_now(self, file: RowId) -> None:
        held = self._under_way.get(file)
        if held is None or held.is_enough or (held.work is not None and held.work.done()):
            return
        held.is_enough = True
        log.warning("file_not_uploaded", file=held.file, reason="too many are on their way")
        if held.work is not None:
            held.work.cancel()

    def _may_pass(self, row: InboundRow) -> bool:
        held = self._under_way[row.id]
        is_slow = self._ground.clock.monotonic() - held.began_at >= _SLOW_S
        if is_slow and not held.is_asked:
            held.is_asked = True
            self._let_pass(held)
        return held.may_be_passed

    async def _wake(self, row: InboundRow) -> None:
        await self._ground.clock.sleep(_SLOW_S)
        if row.id in self._under_way:
            self._look(row)

    def _let_pass(self, held: _Held) -> None:
        """In a room the archive knows it first."""
        if not isinstance(held.said, RoomMessage):
            held.may_be_passed = True
            return

        def unit(db: Transaction) -> None:
            room = rooms.of_conversation(db, held.row.conversation)
            if room is not None:
                awaiting.release(db, room, held.file)

        def passed(_: None) -> None:
            held.may_be_passed = True
            self._look(held.row)
            self._look_at_marks(held)

        self._ground.persist.write(unit, passed)

    # --- what is told ---------------------------------------------------------------------------

    async def _run(self, held: _Held) -> None:
        file = files.get(self._ground.store.reader, held.file)
        there = None
        try:
            if file is not None and not held.is_enough:
                there = await self._put_there(held, file)
        except Exception:  # the row waits for it, and others for the row
            log.exception("file_not_uploaded", file=held.file)
        kept = self._ground.persist.write(
            lambda db: self._keep(db, held, there),
            # In the order of the commits: a queue takes nothing that is older than what it has.
            lambda kept: self._done(held, *kept),
        )
        try:
            await kept
        except Exception:  # the writer has logged it
            log.warning("upload_not_stored", row=held.row.id)
            self._done(held, _told(held.said, held.shared, file, there), Moved())

    async def _put_there(self, held: _Held, file: FileRow) -> Uploaded | None:
        whose, has_address = _whose(held.row), bool(held.shared.url)
        held.work = work = asyncio.ensure_future(
            self._putting.put_there(file, whose, has_address=has_address)
        )
        try:
            return await contained(lambda: work)
        except CutOff:
            if held.is_enough:
                return None
            raise

    def _keep(
        self, db: Transaction, held: _Held, there: Uploaded | None
    ) -> tuple[WithFile, Moved]:
        """What is told from now on, whenever that is: nothing of what was taken back by now."""
        row, file, now = held.row, files.get(db, held.file), self._ground.clock.now()
        if file is not None and there is not None:
            files.set_uploaded(db, file.id, self._putting.source(db, file), there)
        told = _told(held.said, held.shared, file, there)
        if held.may_be_passed:
            told = structs.replace(told, sent_at=now)
        room = rooms.of_conversation(db, row.conversation)
        if room is not None and isinstance(told, RoomMessage):
            return told, awaiting.decide(db, room, row, told, held.file, now)
        journal.reword(db, row.id, told)
        return told, Moved()

    def _done(self, held: _Held, told: WithFile, moved: Moved) -> None:
        self._under_way.pop(held.row.id, None)
        self._decided(held.row, told, moved)
        self._look_at_marks(held)

    def _look_at_marks(self, held: _Held) -> None:
        """More of the room may be told by now."""
        for read in self._marks.pop(held.row.conversation, {}).values():
            self._look(read)


def _whose(row: InboundRow) -> str:
    """Who takes turns with others: a user, or one of the rooms that several users share."""
    return str(row.account) if row.account else f"conversation {row.conversation}"


def _told(
    said: WithFile, shared: SharedFile, file: FileRow | None, there: Uploaded | None
) -> WithFile:
    """What a message says of its file when that is decided; None if that was taken back."""
    if file is None:
        return structs.replace(said, file=None, body=mark(shared))
    if there is not None:
        return structs.replace(said, file=at(shared, there))
    if shared.url:
        return structs.replace(said, file=structs.replace(shared, upload=None))
    return structs.replace(said, file=None, body=in_words(file.file))
