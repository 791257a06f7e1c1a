# SPDX-License-Identifier: Apache-2.0
"""Files on their way to the upload service of the server, before users are told of them (REQ-445).

Their bytes flow in lanes of their own. The row of a file waits at its queue for a second; then the
rest of the conversation goes on, and the file is told when it is there (REQ-446), however long
that takes as long as enough moves. What cannot be put there is told by the gateway's own
address, which streams it from the network, or in words if there is none. What was under way when
the gateway ended is done again; the service forgets the other copy with time.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterable, AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from itertools import count
from typing import cast

import structlog
from msgspec import structs

from gateway.adapter import Download
from gateway.bridge.files.beginnings import after, begun, whole
from gateway.bridge.files.downloads import Downloads
from gateway.bridge.files.slots import Slots
from gateway.bridge.files.told import at, in_words, mark, on_its_way, with_ending
from gateway.bridge.ground import Ground
from gateway.bridge.inbound.aside import WithFile
from gateway.bridge.inbound.queues import Queue
from gateway.bridge.ports import SlotRefused, WantedSlot, XmppPort
from gateway.bridge.rooms import awaiting
from gateway.bridge.rooms.awaiting import Moved
from gateway.errors import AdapterError, Transient
from gateway.events import Delivery, RoomMessage, SharedFile
from gateway.ids import FileId, RowId
from gateway.media.names import harmless_name
from gateway.media.put import PutRefused, is_good, is_there, put
from gateway.media.turns import Turns
from gateway.media.types import uploadable
from gateway.store import Transaction, avatars, conversations, files, journal, rooms
from gateway.store.files import FileRow, Uploaded
from gateway.store.journal import InboundRow
from gateway.store.writer import Connection
from gateway.tasks import forget, within

log = structlog.get_logger("uploads")

_SLOW_S = 1.0
"""After this the conversation goes on without it."""
_PATIENCE_S, _PATIENCE_WITHOUT_S = 60.0, 600.0
"""How long another try is made after the first one, where the gateway has an address of its own,
and where it has none."""
_STILL_S = 30.0
"""A try in which no byte moves for so long has failed."""
_STARTS_S, _LEAST_RATE = 60.0, 16_000
"""So is one in which fewer bytes than this come in a second, once it has had this time: who takes
for ever would keep the turns of all others."""
_LOOK_S = 5.0
_AGAIN_S = (0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0)
_REST_S = 60.0
"""After a file that stood still, those of the same user are told at once by the gateway's own
address: each would."""
_AT_ONCE, _AT_ONCE_OF_ONE = 16, 4
_LOOKED_AT = 1 << 20
"""Bytes of a file that is read before it is uploaded: the same may be there already."""
_REUSED_S = 86_400.0
"""How long the address of an uploaded file is told again. Prosody keeps files for a week, unless
its admin says something else."""


@dataclass(slots=True)
class _Flow:
    """One file on its way."""

    began_at: float
    moved_at: float
    """Monotonic, both."""
    received: int = 0
    """Bytes, in this try."""
    may_be_passed: bool = False
    is_asked: bool = False
    """Whether it may be passed."""


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
        self._downloads = downloads
        self._look = look
        self._decided = decided
        self._slots = Slots(ground)
        self._turns = Turns(_AT_ONCE, _AT_ONCE_OF_ONE)
        self._under_way: dict[RowId, _Flow] = {}
        self._rests: dict[str, float] = {}
        """Until when."""

    def attach(self, port: XmppPort) -> None:
        """Connect to the XMPP side."""
        self._slots.attach(port)

    def holds(self, row: InboundRow) -> bool:
        """Whether it is not known yet what a row says: its file is on its way from now on."""
        said = row.delivery
        if not isinstance(said, WithFile) or said.file is None:
            return False
        if said.file.upload is None:
            shared = self._outdated(row, said.file)
            if shared is None:
                return False
            said = row.delivery = structs.replace(said, file=shared)
        if row.id not in self._under_way:
            now = self._ground.clock.monotonic()
            flow = self._under_way[row.id] = _Flow(now, now)
            run = self._run(row, said, cast("SharedFile", said.file), flow)
            self._ground.tasks.spawn(run, f"upload of {row.id}")
            self._ground.tasks.spawn(self._wake(row), f"conversation of {row.id}")
        return True

    def _outdated(self, row: InboundRow, shared: SharedFile) -> SharedFile | None:
        """A file that was put there long before the row is told: it may be gone since."""
        since = self._ground.clock.now() - _REUSED_S
        if not shared.sha256 or row.committed_at > since:
            return None
        store = self._ground.store.reader
        file = files.put_before(store, row.conversation, shared.sha256, shared.url, since)
        if file is None:
            return None
        return on_its_way(shared, file, self._ground.settings.file_links)

    def keep_waiting(self, queue: Queue, row: InboundRow) -> bool:
        """Whether it is not known yet what a row says, or what it is about is not told yet. For a
        second its queue waits for that; then it is put aside."""
        is_held = self.holds(row)
        if not is_held and not queue.aside:
            return False
        message = conversations.by_alias(
            self._ground.store.reader, row.conversation, row.stanza_id
        )
        is_part = message is not None and message.about is None
        remote_id = message.remote_id if message is not None and is_part else None
        if not is_held and not queue.aside.concerns(row, remote_id):
            return False
        if (is_held and not self._may_pass(row)) or queue.aside.is_full(row):
            queue.blocked = True
        else:
            queue.pending.popleft()
            queue.aside.put(row, remote_id)
        return True

    def _may_pass(self, row: InboundRow) -> bool:
        flow = self._under_way[row.id]
        is_slow = self._ground.clock.monotonic() - flow.began_at >= _SLOW_S
        if is_slow and not flow.is_asked:
            flow.is_asked = True
            self._let_pass(row, flow)
        return flow.may_be_passed

    async def _wake(self, row: InboundRow) -> None:
        await self._ground.clock.sleep(_SLOW_S)
        if row.id in self._under_way:
            self._look(row)

    def _let_pass(self, row: InboundRow, flow: _Flow) -> None:
        """In a room the archive knows it first."""
        said = row.delivery
        if not isinstance(said, RoomMessage):
            flow.may_be_passed = True
            return

        def unit(db: Transaction) -> None:
            room = rooms.of_conversation(db, row.conversation)
            if room is not None and said.file is not None and said.file.upload is not None:
                awaiting.release(db, room, said.file.upload)

        def passed(_: None) -> None:
            flow.may_be_passed = True
            self._look(row)

        self._ground.persist.write(unit, passed)

    async def _run(self, row: InboundRow, said: WithFile, shared: SharedFile, flow: _Flow) -> None:
        upload = shared.upload
        assert upload is not None
        file = files.get(self._ground.store.reader, upload)
        there = None
        try:
            if file is not None and self._may_try(row, shared):
                there = await self._tried(row, file, shared, flow)
        except Exception:  # the row waits for it, and others for the row
            log.exception("file_not_uploaded", file=upload)
        is_there = files.get(self._ground.store.reader, upload) is not None
        told = _told(said, shared, file if is_there else None, there)
        if flow.may_be_passed:
            told = structs.replace(told, sent_at=self._ground.clock.now())
        kept = self._ground.persist.write(
            lambda db: self._keep(db, row, told, upload, file, there),
            # In the order of the commits: a queue takes nothing that is older than what it has.
            lambda moved: self._done(row, told, moved),
        )
        try:
            await kept
        except Exception:  # the writer has logged it
            log.warning("upload_not_stored", row=row.id)
            self._done(row, told, Moved())

    def _done(self, row: InboundRow, told: WithFile, moved: Moved) -> None:
        self._under_way.pop(row.id, None)
        self._decided(row, told, moved)

    def _may_try(self, row: InboundRow, shared: SharedFile) -> bool:
        if not self._ground.settings.uploaders:
            return False  # it was configured when the message came
        rests = self._rests.get(_whose(row), 0.0) > self._ground.clock.monotonic()
        if not rests:
            self._rests.pop(_whose(row), None)
        return not (rests and shared.url)

    async def _tried(
        self, row: InboundRow, file: FileRow, shared: SharedFile, flow: _Flow
    ) -> Uploaded | None:
        """As often as there is time for. None if it is in vain."""
        clock = self._ground.clock
        await self._slots.ready(file)
        patience_s = _PATIENCE_S if shared.url else _PATIENCE_WITHOUT_S
        async with AsyncExitStack() as mine:
            turn = mine.enter_async_context(self._turns.turn(_whose(row)))
            try:
                await within(clock, patience_s, turn)
            except TimeoutError:
                log.warning("file_not_uploaded", file=file.id, reason="others take too long")
                return None
            if not self._may_try(row, shared):
                return None  # one before it stood still
            until = clock.monotonic() + patience_s
            for tries in count():
                wait_s = _AGAIN_S[min(tries, len(_AGAIN_S) - 1)]
                try:
                    return await self._moving(file, flow)
                except _Gone:
                    return None
                except (SlotRefused, PutRefused, AdapterError, TimeoutError) as error:
                    again_s = self._again_s(error, wait_s)
                    is_late = again_s is not None and clock.monotonic() + again_s > until
                    if again_s is None or is_late:
                        if is_late:
                            self._rests[_whose(row)] = clock.monotonic() + _REST_S
                        log.warning("file_not_uploaded", file=file.id, reason=str(error))
                        return None
                await clock.sleep(again_s)
        return None

    def _again_s(self, error: Exception, wait_s: float) -> float | None:
        """How long to wait after an error. None if there is nothing to wait for."""
        match error:
            case SlotRefused(again_at=None) | PutRefused(is_final=True):
                return None
            case SlotRefused(again_at=float(at)):
                left_s = at - self._ground.clock.now()
                return max(wait_s, left_s) if left_s < _PATIENCE_S else None
            case PutRefused() | Transient() | TimeoutError():
                return wait_s
        return None

    async def _moving(self, file: FileRow, flow: _Flow) -> Uploaded:
        """As `_uploaded`. Raises `TimeoutError` if nothing moves any more, and `_Gone`."""
        clock, store = self._ground.clock, self._ground.store
        began_at = flow.moved_at = clock.monotonic()
        flow.received = 0
        work = asyncio.ensure_future(self._uploaded(file, flow))
        try:
            while True:
                try:
                    return await within(clock, _LOOK_S, asyncio.shield(work))
                except TimeoutError:
                    if work.done():
                        return work.result()
                if clock.monotonic() - flow.moved_at >= _STILL_S:
                    raise TimeoutError("it does not move")
                if clock.monotonic() - began_at > _STARTS_S + flow.received / _LEAST_RATE:
                    raise TimeoutError("it hardly moves")
                if files.get(store.reader, file.id) is None:
                    raise _Gone
        finally:
            if not work.done():
                forget(work)
                work.cancel()

    async def _uploaded(self, file: FileRow, flow: _Flow) -> Uploaded:
        """Raises `SlotRefused`, `PutRefused`, any `AdapterError`."""
        source = self._source(self._ground.store.reader, file)
        if source is not None and (known := await self._known(file, source=source)) is not None:
            return known
        self._slots.count(file)
        download = await self._downloads.open(file)
        chunks = self._noted(cast("AsyncIterable[bytes]", download.chunks), flow)
        try:
            return await self._put(file, replace(download, chunks=chunks))
        finally:
            await download.close()

    async def _put(self, file: FileRow, download: Download) -> Uploaded:
        size, chunks = download.size, cast("AsyncIterable[bytes]", download.chunks)
        if size is None:
            raise SlotRefused("the network does not say how long it is", None)
        if size <= _LOOKED_AT:
            head = await whole(chunks, size)
            known = await self._known(file, sha256=hashlib.sha256(head).digest())
            if known is not None:
                return known
            chunks = after(head)
        else:
            head, chunks = await begun(aiter(chunks))
        media_type = uploadable(head, file.file.media_type or download.media_type)
        name = harmless_name(with_ending(file.file))
        wanted = WantedSlot(name=name, size=size, media_type=media_type)
        slot, uploader = await self._slots.slot(file, wanted)
        if not is_good(slot.put) or not is_good(slot.get):
            raise SlotRefused("its address is not one of https", None)
        http = self._ground.adapter.context.http
        sha256 = await put(http, slot.put, slot.headers, chunks, size, media_type)
        now = self._ground.clock.now()
        return Uploaded(url=slot.get, sha256=sha256, size=size, at=now, uploader=uploader)

    def _source(self, db: Connection, file: FileRow) -> bytes | None:
        """None if nobody is left whose server would say what is there."""
        realm = "" if file.account is None else avatars.realm_of_account(db, file.account)
        return files.source(self._ground.network, realm, file.file.reference) if realm else None

    async def _known(
        self, file: FileRow, *, source: bytes | None = None, sha256: bytes | None = None
    ) -> Uploaded | None:
        """The same file, if it was put there not long ago in a name in which this one may be, and
        is there still."""
        since = self._ground.clock.now() - _REUSED_S
        account, reader = self._slots.in_whose_name(file), self._ground.store.reader
        uploader = None if account is None else account.id
        known = files.uploaded(reader, since, uploader, source=source, sha256=sha256)
        http = self._ground.adapter.context.http
        is_known = known is not None and await is_there(http, known.url, known.size)
        return known if is_known else None

    async def _noted(self, chunks: AsyncIterable[bytes], flow: _Flow) -> AsyncIterator[bytes]:
        async for chunk in chunks:
            flow.moved_at = self._ground.clock.monotonic()
            flow.received += len(chunk)
            yield chunk
            flow.moved_at = self._ground.clock.monotonic()

    def _keep(
        self,
        db: Transaction,
        row: InboundRow,
        told: WithFile,
        upload: FileId,
        file: FileRow | None,
        there: Uploaded | None,
    ) -> Moved:
        """What is told from now on, whenever that is."""
        now = self._ground.clock.now()
        if file is not None and there is not None:
            files.set_uploaded(db, file.id, self._source(db, file), there)
        room = rooms.of_conversation(db, row.conversation)
        if room is not None and isinstance(told, RoomMessage):
            return awaiting.decide(db, room, row, told, upload, now)
        journal.reword(db, row.id, told)
        return Moved()


class _Gone(Exception):
    """It was taken back."""


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
