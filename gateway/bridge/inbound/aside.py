# SPDX-License-Identifier: Apache-2.0
"""What waits for files that are on their way, while the rest of a conversation goes on: the files,
the other parts of their messages, and what refers to any of these."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from gateway.events import (
    ChatMessage,
    ChatReactions,
    ChatRetraction,
    Delivery,
    OwnDisplayed,
    OwnMessage,
    RoomDisplayed,
    RoomMessage,
)
from gateway.ids import RemoteMessageId, RowId
from gateway.store.journal import InboundRow

MOST_FILES, MOST = 100, 1_000
"""Of one conversation, and what waits for them. What comes then makes that files are decided at
once, since nothing waits for room here."""
WithFile = ChatMessage | OwnMessage | RoomMessage


def is_on_its_way(told: Delivery | None) -> bool:
    """Whether its file is, so that it is not known yet what is told."""
    return isinstance(told, WithFile) and told.file is not None and told.file.upload is not None


def refers(told: Delivery | None) -> bool:
    """Whether it is about anything else."""
    return any(True for _ in _about(told))


def _names(told: Delivery | None) -> Iterator[str]:
    """By which others refer to it."""
    if isinstance(told, RoomMessage):
        yield told.archive_id
    name = getattr(told, "id", None)
    if name:
        yield name


def _about(told: Delivery | None) -> Iterator[str]:
    """To what it refers."""
    found: tuple[str | None, ...] = ()
    match told:
        case ChatMessage() | OwnMessage():
            found = (told.replaces, told.reply.message if told.reply else None)
        case RoomMessage():
            reply = told.reply.message if told.reply else None
            found = (told.replaces, reply, told.reacts_to, told.retracts)
        case ChatReactions() | ChatRetraction() | OwnDisplayed() | RoomDisplayed():
            found = (told.message,)
    yield from filter(None, found)


class Waiting:
    """What is not told yet, by the names that it has."""

    def __init__(self) -> None:
        self._names: set[str] = set()
        self._messages: set[RemoteMessageId] = set()

    def add(self, told: Delivery | None, message: RemoteMessageId | None) -> None:
        """``message``: whose text it is, if it is one."""
        self._names.update(_names(told))
        if message is not None:
            self._messages.add(message)

    def has(self, told: Delivery | None, message: RemoteMessageId | None) -> bool:
        """Whether this is of one of these messages, or refers to one."""
        return message in self._messages or any(name in self._names for name in _about(told))


class Aside:
    """The rows of one conversation that were put aside."""

    __slots__ = ("_rows", "_waiting")

    def __init__(self) -> None:
        self._rows: dict[RowId, tuple[InboundRow, RemoteMessageId | None]] = {}
        self._waiting = Waiting()

    def __bool__(self) -> bool:
        return bool(self._rows)

    def in_the_way(self, row: InboundRow) -> RowId | None:
        """Of which file it has to be decided at once what is told, since there is no room for this
        row: its own, or else the one that has waited longest."""
        is_full, is_file = len(self._rows) >= MOST, is_on_its_way(row.delivery)
        if not (is_full or is_file):
            return None
        files = [id for id, (each, _) in self._rows.items() if is_on_its_way(each.delivery)]
        if is_file:
            return row.id if is_full or len(files) >= MOST_FILES else None
        return files[0] if files else None

    def put(self, row: InboundRow, message: RemoteMessageId | None) -> None:
        """The row waits here. ``message``: of which it is a part, if it is of one."""
        self._rows[row.id] = row, message
        self._waiting.add(row.delivery, message)

    def concerns(self, row: InboundRow, message: RemoteMessageId | None) -> bool:
        """Whether a row has to wait for one of these."""
        return self._waiting.has(row.delivery, message)

    def take(self) -> list[InboundRow]:
        """Those that wait for nothing any longer, in their order."""
        rows, self._rows, self._waiting = self._rows, {}, Waiting()
        ready = []
        for row, message in rows.values():
            if is_on_its_way(row.delivery) or self.concerns(row, message):
                self.put(row, message)
            else:
                ready.append(row)
        return ready

    def reword(self, row: RowId, delivery: Delivery) -> None:
        """It is known what a row says."""
        if row in self._rows:
            self._rows[row][0].delivery = delivery

    def drop(self, rows: Collection[RowId]) -> None:
        """They have their turn in another place. `take` comes next."""
        for row in rows:
            self._rows.pop(row, None)

    def clear(self) -> None:
        """The conversation is gone."""
        self._rows.clear()
