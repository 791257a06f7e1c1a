# SPDX-License-Identifier: Apache-2.0
"""What was said in the rooms of one network, as an account may read it, and wants to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice

from gateway.bridge.accounts import Account
from gateway.bridge.rooms import enclosures, references, replies
from gateway.events import RoomJoined, RoomMessage
from gateway.ids import StanzaId
from gateway.store import Store, archive, texts
from gateway.store.archive import Archived, Wanted
from gateway.store.conversations import MessageRow
from gateway.store.rooms import RoomRow

MOST_HISTORY = 100
"""Messages that a session gets when it joins; the archive has the others."""
MOST_HISTORY_BYTES = 1_000_000
_HISTORY_PAGES = 10


class Archive:
    """Its reader."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def shown(self, account: Account, room: RoomRow, said: RoomMessage) -> RoomMessage:
        """What the archive has, as it is written for an account."""
        return replies.quoted(self._store.reader, room, said, account.id)

    def get(self, account: Account, room: RoomRow, archive_id: StanzaId) -> Archived | None:
        """Something that was said, by the room's own id of it, if the account may read it."""
        reader = account.id if room.is_shared else None
        level = account.settings.room_lines.level
        return archive.get(self._store.reader, room.id, archive_id, reader, level)

    def read(self, account: Account, room: RoomRow, wanted: Wanted) -> list[Archived]:
        """A part of the archive, as far as the account may read it, and wants to."""
        return archive.read(self._store.reader, room.id, self._readable(account, room, wanted))

    def count(self, account: Account, room: RoomRow, wanted: Wanted) -> int:
        """How much that is, up to what is wanted."""
        return archive.count(self._store.reader, room.id, self._readable(account, room, wanted))

    def _readable(self, account: Account, room: RoomRow, wanted: Wanted) -> Wanted:
        reader = account.id if room.is_shared else None
        return replace(wanted, reader=reader, up_to=account.settings.room_lines.level)

    def meant(self, room: RoomRow, id: StanzaId) -> MessageRow | None:
        """The message that a client means by an id."""
        return references.meant(self._store.reader, room, id)

    def is_gone(self, room: RoomRow, message: MessageRow) -> bool:
        """Whether it was taken back."""
        return texts.is_gone(texts.first(self._store.reader, room.id, message.id))

    def is_after(self, room: RoomRow, message: StanzaId, other: StanzaId) -> bool:
        """Whether a message of the archive came after another, which may be in none."""
        found = archive.get(self._store.reader, room.id, message)
        before = archive.get(self._store.reader, room.id, other)
        return found is not None and (before is None or found.id > before.id)

    def history(
        self, account: Account, room: RoomRow, wanted: RoomJoined
    ) -> Sequence[RoomMessage]:
        """What a session gets that joins: texts alone (REQ-509). How many characters that are, is
        seen when they are written."""
        most = min(wanted.most, MOST_HISTORY)
        octets = MOST_HISTORY_BYTES
        if wanted.most_chars == 0:
            return ()
        kept: list[RoomMessage] = []
        for said in islice(self._texts_back(account, room, wanted, most), max(0, most)):
            octets -= len(said.body.encode()) + enclosures.size(said.enclosed)
            if octets < 0:
                break
            kept.append(self.shown(account, room, said))
        return kept[::-1]

    def latest(self, account: Account, room: RoomRow, most: int) -> Sequence[RoomMessage]:
        """The last texts that the account may read, the oldest first."""
        newest = archive.newest(self._store.reader, room.id)
        wanted = RoomJoined(id="", nick="", newest=newest, most=most)
        return self.history(account, room, wanted)

    def _texts_back(
        self, account: Account, room: RoomRow, wanted: RoomJoined, most: int
    ) -> Iterator[RoomMessage]:
        """The newest first. Not for ever: people may have reacted a thousand times since."""
        before = wanted.newest + 1
        for _ in range(_HISTORY_PAGES):
            part = Wanted(before=before, start=wanted.since, most=most, newest=True)
            found = self.read(account, room, part)
            yield from (said.message for said in reversed(found) if said.message.body)
            if len(found) < most:
                return
            before = found[0].id
