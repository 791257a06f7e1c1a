# SPDX-License-Identifier: Apache-2.0
"""Files in rooms that are on their way to the server's upload service (REQ-446): when they and
what is said about them are told, and where the archive has them. Its order is that in which they
are told, so what is told later than what came after it has its place then, and nobody may read it
before: a client that knows it already would take it for a repetition when it is told.

Runs inside the writer's transaction.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import takewhile

import structlog
from msgspec import structs

from gateway.bridge.inbound.aside import Waiting, is_on_its_way, refers
from gateway.events import RoomMessage, SharedFile
from gateway.ids import FileId, NetworkName, RemoteMessageId, RowId
from gateway.store import Transaction, archive, awaited, conversations, journal, rooms, texts
from gateway.store.archive import Level
from gateway.store.awaited import Awaited
from gateway.store.journal import InboundRow
from gateway.store.rooms import RoomRow

log = structlog.get_logger("uploads")

_ALL = -1


@dataclass(slots=True)
class Moved:
    """Rows that have their turn later than they would have had."""

    old: list[RowId] = field(default_factory=list)
    new: list[InboundRow] = field(default_factory=list)
    more: list[InboundRow] = field(default_factory=list)
    """Those of them that take no other one's place."""


class _Levels:
    """How long each of those waits that are asked about, in their order: the archive's side of the
    rule by which `Aside` lets rows wait."""

    def __init__(self) -> None:
        self._waiting = {Level.LATE: Waiting(), Level.AWAITED: Waiting()}

    def of(self, said: RoomMessage, message: RemoteMessageId | None, own: Level) -> Level:
        """``message``: as in `Awaited`. ``own``: as long as its own file is on its way."""
        about = (level for level, these in self._waiting.items() if these.has(said, message))
        level = own if is_on_its_way(said) else next(about, Level.SAID)
        if level in self._waiting:
            self._waiting[level].add(said, message)
        return level


def level_of(
    db: Transaction, room: RoomRow, said: RoomMessage, text_of: int | None, level: Level
) -> Level:
    """Who may read what is said now: nobody, as long as its file, or what it refers to, is on its
    way."""
    if is_on_its_way(said):
        return Level.AWAITED
    if level is not Level.SAID or not awaited.are_any(db, room.id):
        return level
    if not refers(said) and not awaited.is_part(db, room.id, text_of):
        return level
    levels = _Levels()
    for each in awaited.of(db, room.id):
        levels.of(each.message, each.remote_id, each.level)
    message = None if text_of is None else conversations.message(db, text_of)
    remote_id = None if message is None or message.about is not None else message.remote_id
    return levels.of(said, remote_id, level)


def release(db: Transaction, room: RoomRow, file: FileId) -> None:
    """What comes after a file goes ahead of it."""
    for each, level in _changes(awaited.of(db, room.id), file):
        awaited.set_level(db, each.place, level)


def decide(
    db: Transaction, room: RoomRow, row: InboundRow, told: RoomMessage, file: FileId, now: float
) -> Moved:
    """It is known what is told of a file. What waited for nothing else is told: in its place, or
    after all that is there if others went ahead."""
    was_passed = awaited.is_late(db, room.id, told.archive_id)
    _write(db, room, told, file)
    journal.reword(db, row.id, told)
    moved, waiting = Moved(), awaited.of(db, room.id)
    # There may be thousands. Nobody is told nor reads what comes after the next file before that
    # is looked at itself; but what is about one that others have passed has to follow it.
    for each, level in _changes(waiting if was_passed else takewhile(_goes_on, waiting)):
        if level is Level.SAID and each.level is Level.LATE:
            _move(db, room, row, each, now, moved)
        else:
            awaited.set_level(db, each.place, level)
    return moved


def _changes(
    waiting: Iterable[Awaited], passed: FileId | None = None
) -> list[tuple[Awaited, Level]]:
    """How long they wait from now on, of those for which that is another time. ``passed``: the
    file that what comes after it goes ahead of."""
    levels, changes = _Levels(), []
    for each in waiting:
        is_passed = passed is not None and _is_of(each.message, passed)
        own = Level.LATE if is_passed else each.level
        level = levels.of(each.message, each.remote_id, own)
        if level is not each.level:
            changes.append((each, level))
    return changes


def _goes_on(each: Awaited) -> bool:
    """Whether what comes after this has not to wait for it."""
    return each.level is Level.LATE or not is_on_its_way(each.message)


def show_forgotten(db: Transaction, network: NetworkName) -> None:
    """What an earlier process could not decide, and tells nobody any more, hides nothing."""
    for room, conversation in awaited.rooms(db, network):
        waiting = journal.open_inbound(db, conversation, RowId(0), _ALL)
        if not any(is_on_its_way(row.delivery) for row in waiting):
            log.warning("files_never_decided", room=room)
            awaited.show(db, room)


def _is_of(said: RoomMessage, file: FileId) -> bool:
    return said.file is not None and said.file.upload == file


def stub(said: RoomMessage) -> SharedFile | None:
    """What stays of the file of a message that is taken back: which one is on its way."""
    if not is_on_its_way(said) or said.file is None:
        return None
    return SharedFile(url="", upload=said.file.upload)


def _write(db: Transaction, room: RoomRow, told: RoomMessage, file: FileId) -> None:
    """In the archive, wherever it has that file."""
    message = texts.message_of(db, room.id, told.archive_id)
    for text in () if message is None else texts.newest_first(db, room.id, message):
        said = text.message
        if said.tombstone is not None and _is_of(said, file):
            archive.rewrite(db, room.id, structs.replace(said, file=None))
        elif _is_of(said, file):
            archive.rewrite(db, room.id, structs.replace(said, file=told.file, body=told.body))


def _move(
    db: Transaction, room: RoomRow, row: InboundRow, each: Awaited, now: float, moved: Moved
) -> None:
    said = structs.replace(each.message, sent_at=now)
    awaited.move(db, room.id, each, said, now)
    there = rooms.occupants(db, room.id)
    if room.is_shared:
        there = awaited.readers(db, room.id, said.archive_id)
    waiting = [
        (waits, waits.delivery)
        for waits in journal.open_named(db, row.conversation, said.id)
        if isinstance(waits.delivery, RoomMessage)
    ]
    # Who has joined meanwhile was not told of it by the past that they got.
    told = {jid for _, one in waiting for jid in one.to}
    is_gone = said.tombstone is not None
    late = () if is_gone else tuple(jid for jid in there if jid not in told)
    if room.is_shared and said.reply is not None:
        others, late = late, ()
    else:
        others = () if waiting else late
    for waits, one in waiting:
        to = tuple(jid for jid in one.to if jid in there) + late
        later, late = structs.replace(one, sent_at=now, to=to), ()
        moved.old.append(waits.id)
        moved.new.append(journal.put_last(db, waits, later, now))
    if others:
        moved.more.append(_one_more(db, row, structs.replace(said, to=others), now))
        moved.new.append(moved.more[-1])


def _one_more(db: Transaction, row: InboundRow, said: RoomMessage, now: float) -> InboundRow:
    """Without a quote: these may perhaps not read what it answers."""
    return journal.add_inbound(
        db,
        account=row.account,
        conversation=row.conversation,
        user=row.user,
        contact=row.contact,
        stanza_id=said.id,
        delivery=said,
        now=now,
    )
