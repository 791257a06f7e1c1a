# SPDX-License-Identifier: Apache-2.0
"""Files of users on their way to one network. While their bytes flow, the time of the attempt that
carries them is not counted: an adapter that opens one does so within that attempt."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace

from gateway.adapter import Adapter, Upload
from gateway.bridge.accounts import Account
from gateway.bridge.outbound.actors import Actor
from gateway.bridge.outbound.watchdog import Watchdog
from gateway.events import Command, SendRoomText, SendText, SentFile
from gateway.media.uploads import Uploads


def carries_file(command: Command | None) -> bool:
    """Whether a command may take long because of a file."""
    return isinstance(command, SendText | SendRoomText) and command.file is not None


@dataclass(frozen=True, slots=True)
class _Attempt:
    """That runs, and what is to be done whenever some bytes were taken."""

    actor: Actor
    moved: Callable[[], None]


_running: ContextVar[_Attempt | None] = ContextVar("attempt", default=None)
"""In the task of the attempt, and in those that the adapter makes for it."""


class Transfers:
    """Opens the files of one network's users."""

    def __init__(self, adapter: Adapter, uploads: Uploads, watchdog: Watchdog) -> None:
        self._adapter = adapter
        self._uploads = uploads
        self._watchdog = watchdog

    def lane(self, account: Account) -> AbstractAsyncContextManager[None]:
        """As `Uploads.lane`."""
        return self._uploads.lane(account.user)

    @contextmanager
    def during(self, actor: Actor, moved: Callable[[], None]) -> Iterator[None]:
        """What is opened in the block belongs to the attempt of this actor."""
        token = _running.set(_Attempt(actor, moved))
        try:
            yield
        finally:
            _running.reset(token)

    @asynccontextmanager
    async def open(self, account: Account, file: SentFile) -> AsyncIterator[Upload]:
        """See `gateway.adapter.AccountContext.open`."""
        capabilities, attempt = self._adapter.capabilities, _running.get()
        moved = attempt.moved if attempt is not None else lambda: None
        async with self._uploads.open(
            file,
            moved,
            user=account.user,
            most=capabilities.max_file_bytes,
            voice_types=capabilities.voice_types,
        ) as upload:
            if attempt is not None:
                upload = replace(upload, chunks=_unheard(upload.chunks, attempt.actor))
            yield upload


async def _unheard(chunks: AsyncIterator[bytes], actor: Actor) -> AsyncIterator[bytes]:
    """The same. Nothing can come back before the last of them is taken, so nobody waits for it."""
    actor.quiet.set()
    async for chunk in chunks:
        yield chunk
    actor.quiet.clear()
