# SPDX-License-Identifier: Apache-2.0
"""Puts files of one network at the upload service of the server (REQ-445), in turns, as long as
enough of them moves."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterable, AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from itertools import count
from typing import cast

import structlog

from gateway.adapter import Download
from gateway.bridge.files.beginnings import after, begun, whole
from gateway.bridge.files.downloads import Downloads
from gateway.bridge.files.slots import Slots
from gateway.bridge.files.told import with_ending
from gateway.bridge.ground import Ground
from gateway.bridge.ports import SlotRefused, WantedSlot, XmppPort
from gateway.errors import AdapterError, Transient
from gateway.media.names import harmless_name
from gateway.media.put import PutRefused, is_good, is_there, put
from gateway.media.turns import Turns
from gateway.media.types import uploadable
from gateway.store import avatars, files
from gateway.store.files import FileRow, Uploaded
from gateway.store.writer import Connection
from gateway.tasks import forget, within

log = structlog.get_logger("uploads")

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
REUSED_S = 86_400.0
"""How long the address of an uploaded file is told again. Prosody keeps files for a week, unless
its admin says something else."""


class _Gone(Exception):
    """It was taken back."""


@dataclass(slots=True)
class Flow:
    """The bytes of one file."""

    moved_at: float = 0.0
    """Monotonic."""
    received: int = 0
    """In this try."""


class Putting:
    """Of one network."""

    def __init__(self, ground: Ground, downloads: Downloads) -> None:
        self._ground = ground
        self._downloads = downloads
        self._slots = Slots(ground)
        self._turns = Turns(_AT_ONCE, _AT_ONCE_OF_ONE)
        self._rests: dict[str, float] = {}
        """Until when."""

    def attach(self, port: XmppPort) -> None:
        """Connect to the XMPP side."""
        self._slots.attach(port)

    async def put_there(self, file: FileRow, whose: str, *, has_address: bool) -> Uploaded | None:
        """As often as there is time for. None if it is in vain. ``whose``: who takes turns with
        others. ``has_address``: the gateway has one of its own for it."""
        if not self._may_try(whose, has_address):
            return None
        clock = self._ground.clock
        await self._slots.ready(file)
        patience_s = _PATIENCE_S if has_address else _PATIENCE_WITHOUT_S
        async with AsyncExitStack() as mine:
            turn = mine.enter_async_context(self._turns.turn(whose))
            try:
                await within(clock, patience_s, turn)
            except TimeoutError:
                log.warning("file_not_uploaded", file=file.id, reason="others take too long")
                return None
            if not self._may_try(whose, has_address):
                return None  # one before it stood still
            return await self._tried(file, whose, clock.monotonic() + patience_s)

    def _may_try(self, whose: str, has_address: bool) -> bool:
        if not self._ground.settings.uploaders:
            return False  # it was configured when the message came
        rests = self._rests.get(whose, 0.0) > self._ground.clock.monotonic()
        if not rests:
            self._rests.pop(whose, None)
        return not (rests and has_address)

    async def _tried(self, file: FileRow, whose: str, until: float) -> Uploaded | None:
        clock = self._ground.clock
        for tries in count():
            wait_s = _AGAIN_S[min(tries, len(_AGAIN_S) - 1)]
            try:
                return await self._moving(file)
            except _Gone:
                return None
            except (SlotRefused, PutRefused, AdapterError, TimeoutError) as error:
                again_s = self._again_s(error, wait_s)
                is_late = again_s is not None and clock.monotonic() + again_s > until
                if again_s is None or is_late:
                    if is_late:
                        self._rests[whose] = clock.monotonic() + _REST_S
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

    async def _moving(self, file: FileRow) -> Uploaded:
        """As `_uploaded`. Raises `TimeoutError` if nothing moves any more, and `_Gone`."""
        clock, store = self._ground.clock, self._ground.store
        began_at = clock.monotonic()
        flow = Flow(moved_at=began_at)
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

    async def _uploaded(self, file: FileRow, flow: Flow) -> Uploaded:
        """Raises `SlotRefused`, `PutRefused`, any `AdapterError`."""
        source = self.source(self._ground.store.reader, file)
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

    def source(self, db: Connection, file: FileRow) -> bytes | None:
        """Of `gateway.store.files.source`. None if nobody is left whose server would say what is
        there."""
        realm = "" if file.account is None else avatars.realm_of_account(db, file.account)
        return files.source(self._ground.network, realm, file.file.reference) if realm else None

    async def _known(
        self, file: FileRow, *, source: bytes | None = None, sha256: bytes | None = None
    ) -> Uploaded | None:
        """The same file, if it was put there not long ago in a name in which this one may be, and
        is there still."""
        since = self._ground.clock.now() - REUSED_S
        account, reader = self._slots.in_whose_name(file), self._ground.store.reader
        uploader = None if account is None else account.id
        known = files.uploaded(reader, since, uploader, source=source, sha256=sha256)
        http = self._ground.adapter.context.http
        is_known = known is not None and await is_there(http, known.url, known.size)
        return known if is_known else None

    async def _noted(self, chunks: AsyncIterable[bytes], flow: Flow) -> AsyncIterator[bytes]:
        async for chunk in chunks:
            flow.moved_at = self._ground.clock.monotonic()
            flow.received += len(chunk)
            yield chunk
            flow.moved_at = self._ground.clock.monotonic()
