# SPDX-License-Identifier: Apache-2.0
"""Files of one network on their way to whoever was told their address."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from functools import partial

from gateway.adapter import Download
from gateway.bridge.accounts import Account
from gateway.bridge.ground import Ground
from gateway.errors import AdapterError, Forbidden, NotFound, Transient
from gateway.store import conversations, sharing
from gateway.store.files import FileRow
from gateway.tasks import contained, within
from gateway.text.wording import tr

_OPEN_LIMIT_S = 30.0
_MOST_ASKED = 3
"""Of the accounts of a room that are there: what so many cannot fetch nobody can, in all
likelihood, and who waits for a file does not wait for a hundred of them."""
_LIVE_LIMIT_S = 10.0
"""How long who asks for a file waits for a session: after a start it takes some seconds."""
_LOOK_EVERY_S = 0.5
_NOBODY = tr("The network cannot be reached now. Please try again later.")
_GONE = (NotFound, Forbidden)


class _Away(Transient):
    """A session that may have the file is not live now."""


class Downloads:
    """Of one network."""

    def __init__(self, ground: Ground) -> None:
        self._store = ground.store
        self._accounts = ground.accounts
        self._clock = ground.clock

    def is_ours(self, file: FileRow) -> bool:
        """Whether users of this network were told of it."""
        return any(True for _ in self._readers(file))

    async def open(self, file: FileRow, start: int = 0, *, in_part: bool = False) -> Download:
        """As `gateway.adapter.Session.download`, by a session of somebody who was told of it:
        what goes wrong with that of one costs the others of a room nothing.

        Raises any `AdapterError`: `NotFound` or `Forbidden` if all who are asked say so,
        `Transient` if one that may have it is not live now.
        """
        if file.file.content:
            return _kept(file.file.content, start)
        end = self._clock.monotonic() + _LIVE_LIMIT_S
        while True:
            errors: list[AdapterError] = []
            for account in self._readers(file):
                try:
                    return await self._opened(account, file.file.reference, start, in_part)
                except AdapterError as error:
                    errors.append(error)
                    if sum(not isinstance(each, _Away) for each in errors) == _MOST_ASKED:
                        break
            if any(not isinstance(error, _Away) for error in errors):
                break
            if self._clock.monotonic() >= end:
                raise _Away(_NOBODY)
            await self._clock.sleep(_LOOK_EVERY_S)
        raise next((each for each in errors if not isinstance(each, _GONE)), errors[-1])

    async def _opened(
        self, account: Account, reference: str, start: int, in_part: bool
    ) -> Download:
        session = None if account.link is None else account.link.session
        if session is None:
            raise _Away(_NOBODY)
        opening = contained(partial(session.download, reference, start, in_part=in_part))
        try:
            return await within(self._clock, _OPEN_LIMIT_S, opening)
        except TimeoutError:
            raise Transient(tr("The network did not answer in time.")) from None

    def _readers(self, file: FileRow) -> Iterator[Account]:
        """Accounts that may fetch it: that which was told of it first, then those in its room."""
        first = None if file.account is None else self._accounts.by_id(file.account)
        if first is not None:
            yield first
        if conversations.is_room(self._store.reader, file.conversation):
            for id in sharing.users_of(self._store.reader, file.conversation):
                account = self._accounts.by_id(id)
                if account is not None and account is not first:
                    yield account


def _kept(content: bytes, start: int) -> Download:
    """What came with its message."""

    async def chunks() -> AsyncIterator[bytes]:
        if start < len(content):
            yield content[start:]

    return Download(chunks=chunks(), size=len(content))
