# SPDX-License-Identifier: Apache-2.0
"""Texts of users that are longer than the network takes (REQ-459), and messages with several
files (REQ-448). There they are several messages, the pieces; for XMPP they are one, and whatever
names one of the pieces means that.

What is to be done for a command is planned anew after a crash: the pieces that are done are known
by their number, and the key of each has that in it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from msgspec import structs

from gateway.adapter import AUTHOR_BYTES, Capabilities, Sent
from gateway.bridge import previews
from gateway.bridge.inbound.rows import SentKey
from gateway.bridge.rooms.mentions import of_part
from gateway.bridge.splitting import split_styled
from gateway.errors import AdapterError, NotFound
from gateway.events import (
    Command,
    RemoteMessage,
    RemoteRoomMessage,
    Retract,
    RetractInRoom,
    SendRoomText,
    SendText,
)
from gateway.ids import ConversationId, RemoteMessageId, RemoteUserId, StanzaId
from gateway.store import Transaction, conversations, journal, pieces
from gateway.store.conversations import Origin
from gateway.store.journal import OutboundRow
from gateway.store.writer import Connection

MOST = 10
"""Of one text."""
LONGEST_BYTES = 100_000
"""What a user says in a room comes back in one stanza (REQ-105)."""
_NOTHING_MORE = "…"
"""What a piece says that a shorter text has no more, and that cannot be taken back."""

Text = SendText | SendRoomText


def longest(capabilities: Capabilities) -> int:
    """How many bytes a text of a user may have."""
    limit = capabilities.max_text_bytes
    return max(limit, min(MOST * limit, LONGEST_BYTES))


@dataclass(frozen=True, slots=True)
class Step:
    """One request of several."""

    number: int
    """Which piece; it is a part of the key."""
    command: Command
    takes_back: RemoteMessageId | None = None
    """A piece."""


def plan(
    db: Connection, row: OutboundRow, command: Command, capabilities: Capabilities
) -> list[Step]:
    """What is left to do, one after the other. Empty: the command is one request, as most are."""
    match command:
        case SendText() | SendRoomText():
            there = [] if command.edits is None else _there(db, row)
            texts = list(_cut(command, _limit(command, capabilities)))
            if len(texts) == 1 and len(there) <= 1:
                return []
            done = journal.pieces_done(db, row.id)
            said = [
                Step(number, structs.replace(text, edits=_at(there, number)))
                for number, text in enumerate(texts)
            ]
            return [*said[done:], *_dropped(command, there, len(texts), capabilities)]
        case Retract() | RetractInRoom():
            there = _there(db, row)
            if there in ([], [command.message]):
                return []
            return [
                Step(number, structs.replace(command, message=piece), piece)
                for number, piece in reversed(list(enumerate(there)))
            ]
    return []


def _there(db: Connection, row: OutboundRow) -> list[RemoteMessageId]:
    target = None if row.target is None else conversations.message(db, row.target)
    return [] if target is None else pieces.of(db, conversations.original(db, target).id)


def _at(there: list[RemoteMessageId], number: int) -> RemoteMessageId | None:
    return there[number] if number < len(there) else None


def _limit(command: Text, capabilities: Capabilities) -> int:
    if isinstance(command, SendRoomText) and command.author is not None:
        return capabilities.max_text_bytes - AUTHOR_BYTES
    return capabilities.max_text_bytes


def _cut(command: Text, limit: int) -> Iterator[Text]:
    """What is about the whole text is in its first piece, and so is the first of its files."""
    files, command = command.files, structs.replace(command, files=())
    if len(command.body.encode()) <= limit:
        yield command
    else:
        yield from _cut_text(command, limit)
    for file in files:
        nothing = {"body": "", "spans": (), "mentions": (), "previews": (), "reply_to": None}
        yield structs.replace(command, **nothing, file=file)


def _cut_text(command: Text, limit: int) -> Iterator[Text]:
    begin = 0
    for body, spans in split_styled(command.body, command.spans, limit):
        end = begin + len(body)
        named = tuple(of_part(command.mentions, begin, end))
        of_links = previews.shown(command.previews, body, spans)
        piece = structs.replace(command, body=body, spans=spans, mentions=named, previews=of_links)
        if begin:
            piece = structs.replace(piece, reply_to=None, file=None, is_further=True)
        if begin and isinstance(piece, SendText):
            piece = structs.replace(piece, attention=False)
        yield piece
        begin = end


def _dropped(
    command: Text, there: list[RemoteMessageId], left: int, capabilities: Capabilities
) -> Iterator[Step]:
    """The last pieces of a message that is shorter now; from the end, unless they stay: what is
    done is counted from the beginning."""
    rest = range(left, len(there))
    for number in reversed(rest) if capabilities.retractions else rest:
        piece = there[number]
        if not capabilities.retractions:
            said = {"body": _NOTHING_MORE, "spans": (), "mentions": ()}
            gone = {**said, "previews": (), "reply_to": None}
            yield Step(number, structs.replace(command, edits=piece, **gone))
        elif isinstance(command, SendText):
            yield Step(number, Retract(contact=command.contact, message=piece), piece)
        else:
            yield Step(number, RetractInRoom(room=command.room, message=piece), piece)


def is_of_pieces(command: Command) -> bool:
    """Whether a command of a user may take back some of a message's pieces."""
    return isinstance(command, Retract | RetractInRoom) or _edits(command)


def beside(db: Connection, row: OutboundRow, step: Step) -> Command:
    """The command of a step, when its turn comes: a further piece belongs where the one before it
    is."""
    command = step.command
    if not isinstance(command, SendText) or command.edits is not None or step.number == 0:
        return command
    there = (
        []
        if row.message is None
        else pieces.of(db, _whole(db, row.message, row.target, row.command))
    )
    return structs.replace(command, continues=there[-1] if there else None)


def is_done(
    db: Connection, row: OutboundRow, step: Step, failed: AdapterError | None = None
) -> bool:
    """Whatever became of the attempts: a piece has come back, or what is to go is not there."""
    if step.takes_back is not None:
        return isinstance(failed, NotFound)
    return journal.pieces_done(db, row.id) > step.number


def done(db: Transaction, row: OutboundRow, step: Step, sent: Sent, now: float) -> None:
    """The network has done it."""
    if step.takes_back is not None:
        if (whole := _target(db, row.target)) is not None:
            pieces.remove(db, whole, step.takes_back)
        return
    if sent.remote_id is not None and row.message is not None:
        whole = _whole(db, row.message, row.target, row.command)
        is_edit = _edits(step.command)
        _note(db, row.message, whole, step.number, sent.remote_id, now, is_edit=is_edit)
    journal.set_pieces_done(db, row.id, step.number + 1)


def came_back(
    db: Transaction,
    conversation: ConversationId,
    key: SentKey,
    sender: RemoteUserId,
    event: RemoteMessage | RemoteRoomMessage,
    now: float,
) -> bool:
    """Whether this is the echo of a piece, whoever is told of it first. A forwarded copy may carry
    the key as well: it has another id. A piece that comes back after its text was given up has
    arrived all the same: it is a part of that, and can be taken back with it."""
    sent = journal.sent_by(db, key.row, conversation, sender)
    if key.piece is None or sent is None:
        return False
    if conversations.by_remote_id(db, conversation, event.id) is not None:
        return True
    if journal.pieces_done(db, key.row) > key.piece:
        return False
    message, target = sent
    command = journal.command_of(db, key.row)
    is_edit = event.edits is not None if command is None else _edits(command)
    edited = _target(db, target) if is_edit else None
    whole = message if edited is None else edited
    _note(db, message, whole, key.piece, event.id, now, is_edit=event.edits is not None)
    journal.set_pieces_done(db, key.row, key.piece + 1)
    return True


def _whole(db: Connection, message: int, target: int | None, command: Command | None) -> int:
    """The message that a piece belongs to: what an edit changes, or what is said."""
    edited = _target(db, target) if _edits(command) else None
    return message if edited is None else edited


def _edits(command: Command | None) -> bool:
    return isinstance(command, SendText | SendRoomText) and command.edits is not None


def _target(db: Connection, target: int | None) -> int | None:
    found = None if target is None else conversations.message(db, target)
    return None if found is None else conversations.original(db, found).id


def _note(
    db: Transaction,
    message: int,
    whole: int,
    number: int,
    remote_id: RemoteMessageId,
    now: float,
    *,
    is_edit: bool,
) -> None:
    """From now on what the network says about it is about the whole."""
    conversation = conversations.of_message(db, message)
    if number == 0:
        conversations.set_remote_id(db, message, remote_id)
    elif conversation is not None:
        conversations.add_message(
            db,
            conversation,
            stanza_id=StanzaId(""),  # no client refers to it
            origin=Origin.USER,
            sent_at=now,
            remote_id=remote_id,
            about=whole,
        )
    if number and not is_edit:
        pieces.add(db, whole, remote_id)
