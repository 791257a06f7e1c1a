# SPDX-License-Identifier: Apache-2.0
"""All that is said in rooms, and about what was said; each kind has a file of its own.

Runs inside the writer's transaction, as `gateway.bridge.rooms.intake`.
"""

from __future__ import annotations

from dataclasses import dataclass

from gateway.adapter import Sent
from gateway.bridge.inbound.rows import Committed
from gateway.bridge.inbound.wellformed import honest_time
from gateway.bridge.rooms import topics
from gateway.bridge.rooms.edits import Edits
from gateway.bridge.rooms.lines import Lines
from gateway.bridge.rooms.reactions import Reactions
from gateway.bridge.rooms.reading import Reading
from gateway.bridge.rooms.references import References
from gateway.bridge.rooms.reflections import Reflections
from gateway.bridge.rooms.retractions import Retractions
from gateway.bridge.rooms.room_rows import RoomRows
from gateway.bridge.rooms.speech import Speech
from gateway.bridge.rooms.topics import Topics
from gateway.errors import AdapterError
from gateway.events import (
    ReactInRoom,
    RemoteRoomEvent,
    RemoteRoomMessage,
    RemoteRoomNotice,
    RemoteRoomReaction,
    RemoteRoomRead,
    RemoteRoomRetraction,
    RemoteRoomTopic,
    RetractInRoom,
    SendRoomText,
)
from gateway.store import Transaction
from gateway.store.archive import Level
from gateway.store.held import Reaction
from gateway.store.journal import OutboundRow
from gateway.store.rooms import RoomRow


def what_is_said(room_rows: RoomRows) -> Said:
    """In the rooms of one account."""
    references = References(room_rows)
    reactions = Reactions(room_rows, references)
    retractions = Retractions(room_rows, references, reactions)
    edits = Edits(room_rows, references, retractions)
    speech = Speech(room_rows, references, edits, Reflections(room_rows, references, edits))
    return Said(
        speech,
        reactions,
        retractions,
        Reading(room_rows),
        Lines(room_rows, references),
        Topics(room_rows),
    )


@dataclass(frozen=True, slots=True)
class Said:
    """In the rooms of one account."""

    speech: Speech
    reactions: Reactions
    retractions: Retractions
    reading: Reading
    lines: Lines
    topics: Topics

    def apply(
        self, db: Transaction, room: RoomRow, event: RemoteRoomEvent, now: float, out: Committed
    ) -> None:
        """One event of the network."""
        match event:
            case RemoteRoomMessage():
                for reaction in self.speech.message(db, room, event, now, out):
                    self.apply_waiting(db, room, reaction, now, out)
            case RemoteRoomReaction():
                self.speech.edits.tell_before(db, room, event.sender, event.message, now, out)
                self.reactions.reacted(db, room, event, now, out)
            case RemoteRoomRetraction():
                self.retractions.retracted(db, room, event, now, out)
            case RemoteRoomRead():
                self.reading.read(db, room, event, now, out)
            case RemoteRoomNotice():
                level = Level.IMPORTANT if event.is_important else Level.OTHER
                self.lines.notice(db, room, event, now, out, level)
            case RemoteRoomTopic():
                topic, at = topics.topic(event.topic), honest_time(event.sent_at, now)
                self.topics.changed(db, room, topic, event.by, at, now, out)

    def apply_waiting(
        self, db: Transaction, room: RoomRow, event: Reaction, now: float, out: Committed
    ) -> None:
        """What was to be done when a message can be read, or there is a line in its place."""
        if isinstance(event, RemoteRoomReaction):
            self.apply(db, room, event, now, out)

    def settled(
        self,
        db: Transaction,
        room: RoomRow,
        row: OutboundRow,
        outcome: Sent | AdapterError,
        now: float,
        out: Committed,
    ) -> None:
        """What a user wanted is done, and is reflected (REQ-560); or it is not."""
        match row.command:
            case SendRoomText() if row.message is not None and isinstance(outcome, Sent):
                own = self.speech.room_rows.own
                self.speech.reflections.reflect(db, room, row.message, own, row.command, now, out)
            case ReactInRoom() if isinstance(outcome, Sent):
                self.reactions.accepted(db, room, row, outcome, now, out)
            case ReactInRoom():
                self.reactions.failed(db, room, row, now, out)
            case RetractInRoom() if isinstance(outcome, Sent):
                self.retractions.accepted(db, room, row, now, out)
