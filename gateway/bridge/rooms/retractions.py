# SPDX-License-Identifier: Apache-2.0
"""What was taken back, by who has said it or by a moderator (XEP-0424, XEP-0425).

Nothing of a text stays in the archive. That it was taken back is said once, by the room itself,
which is the only form that all clients act on (REQ-567). Runs inside the writer's transaction, as
`gateway.bridge.rooms.intake`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from msgspec import structs

from gateway.bridge.inbound.rows import Committed
from gateway.bridge.inbound.wellformed import honest_time
from gateway.bridge.outbound.pieces import is_of_pieces
from gateway.bridge.rooms import awaiting
from gateway.bridge.rooms.reactions import Reactions
from gateway.bridge.rooms.references import References
from gateway.bridge.rooms.room_rows import RoomRows
from gateway.bridge.splitting import brief
from gateway.events import (
    Moderation,
    RemoteRoomRetraction,
    RetractInRoom,
    RoomMessage,
    Tombstone,
)
from gateway.ids import RemoteUserId, StanzaId
from gateway.store import (
    Transaction,
    archive,
    conversations,
    files,
    held,
    journal,
    pieces,
    reactions,
    texts,
    waiting_edits,
)
from gateway.store.archive import Archived
from gateway.store.conversations import MessageRow, Origin
from gateway.store.journal import OutboundRow
from gateway.store.rooms import RoomRow


@dataclass(frozen=True, slots=True)
class Retractions:
    """In the rooms of one account."""

    room_rows: RoomRows
    references: References
    reactions: Reactions

    def retracted(
        self,
        db: Transaction,
        room: RoomRow,
        event: RemoteRoomRetraction,
        now: float,
        out: Committed,
    ) -> None:
        """A message, an edit or a reaction is no longer there. What is not known is nobody's."""
        if self.reactions.withdrawn(db, room, event, now, out):
            return
        waited = held.release(db, room.conversation, event.message)
        row = conversations.by_remote_id(db, room.conversation, event.message)
        if row is None:
            if waited is not None:
                self._never_said(db, room, event, now)
            return
        original = self.references.original(db, room, row)
        if pieces.remove(db, original.id, event.message) and original.id != row.id:
            self._piece_taken_back(db, room, original, event, now, out)
        elif original.remote_id == row.remote_id:
            self._came_back(db, room, original, event.by, now, out)
            for part in conversations.parts(db, room.conversation, event.message):
                self.take_back(db, room, part, event.by, event.reason, now, out)
        else:
            waiting_edits.take_back(db, original.id, event.message)
            for part in self._parts(db, room, original):
                edit = replace(row, part=part.part)
                self._undo(db, room, part, edit, event, now, out)

    def _piece_taken_back(
        self,
        db: Transaction,
        room: RoomRow,
        original: MessageRow,
        event: RemoteRoomRetraction,
        now: float,
        out: Committed,
    ) -> None:
        """Of a text that is several messages on the network: it is taken for the whole, unless who
        has done it is just taking that back, or making it shorter, by XMPP."""
        waiting = [command for _, command in journal.open_about(db, original.id, event.by)]
        if not any(is_of_pieces(command) for command in waiting):
            self.take_back(db, room, original, event.by, event.reason, now, out)

    def _never_said(
        self, db: Transaction, room: RoomRow, event: RemoteRoomRetraction, now: float
    ) -> None:
        """It could not be read until it was taken back: from now on its id is known, and nothing
        is said under it when its key comes."""
        nobodys = StanzaId("")  # nobody refers to it
        at, origin = honest_time(event.sent_at, now), Origin.CONTACT
        self.room_rows.add_part(db, room, nobodys, event.message, at, now, origin=origin)

    def take_back(
        self,
        db: Transaction,
        room: RoomRow,
        row: MessageRow,
        by: RemoteUserId,
        reason: str,
        now: float,
        out: Committed,
    ) -> None:
        """One part of a message, with its edits and all reactions to it. Once."""
        first = texts.first(db, room.id, row.id)
        if first is None or texts.is_gone(first):
            return
        if row.remote_id is not None:
            files.drop(db, room.conversation, row.remote_id)
        archive_id = first.message.archive_id
        moderation = self._moderation(db, room, by, reason)
        said = RoomMessage(
            id=self.room_rows.id(room, "retraction", archive_id),
            archive_id=self.room_rows.id(room, "archive", "retraction", archive_id),
            nick="",
            occupant="",
            body="",
            sent_at=now,
            retracts=archive_id,
            moderation=moderation,
        )
        tombstone = Tombstone(retraction=said.id, at=now, moderation=moderation)
        for text in texts.newest_first(db, room.id, row.id):
            if not texts.is_gone(text):
                self._bury(db, room, text, tombstone)
        reactions.drop(db, row.id)
        waiting_edits.take(db, row.id)
        self.room_rows.say(db, room, by, said, now, out)

    def _moderation(
        self, db: Transaction, room: RoomRow, by: RemoteUserId, reason: str
    ) -> Moderation:
        return Moderation(
            **self.room_rows.speaker(db, room, by),
            reason=brief(reason),
        )

    def _bury(self, db: Transaction, room: RoomRow, text: Archived, by: Tombstone) -> None:
        buried = structs.replace(
            text.message,
            body="",
            file=awaiting.stub(text.message),
            reply=None,
            tombstone=by,
            mentions=(),
            enclosed=(),
            spans=(),
            previews=(),
        )
        archive.rewrite(db, room.id, buried)

    def _undo(
        self,
        db: Transaction,
        room: RoomRow,
        original: MessageRow,
        edit: MessageRow,
        event: RemoteRoomRetraction,
        now: float,
        out: Committed,
    ) -> None:
        """One part of an edit was taken back: what was said before holds again. If there was
        nothing before, it is taken back itself."""
        found = (archive.get(db, room.id, id) for id in self.references.archive_ids(room, edit))
        gone = next((text for text in found if text is not None and not texts.is_gone(text)), None)
        first = texts.first(db, room.id, original.id)
        if gone is None or first is None:
            return
        if gone.id == first.id:
            self.take_back(db, room, original, event.by, event.reason, now, out)
            return
        left = (t for t in texts.newest_first(db, room.id, original.id) if not texts.is_gone(t))
        newest, before = next(left), next(left)
        said = structs.replace(
            before.message,
            id=self.room_rows.id(room, "undone", event.message, edit.part),
            archive_id=self.room_rows.id(room, "archive", "undone", event.message, edit.part),
            nick=self.room_rows.called(db, room, gone.sender),
            sent_at=honest_time(event.sent_at, now),
            origin_id="",
            replaces=first.message.id,
            reply=self.references.same_reply(db, room, before.message.reply),
        )
        moderation = self._moderation(db, room, event.by, event.reason)
        self._bury(db, room, gone, Tombstone(retraction=said.id, at=now, moderation=moderation))
        is_newest = gone.id == newest.id and waiting_edits.waiting(db, original.id) is None
        if is_newest:
            self.room_rows.say(db, room, gone.sender, said, now, out, original.id)

    # --- by the user ----------------------------------------------------------------------------

    def _came_back(
        self,
        db: Transaction,
        room: RoomRow,
        target: MessageRow,
        by: RemoteUserId,
        now: float,
        out: Committed,
    ) -> None:
        """Before the network has answered."""
        for message, command in journal.open_about(db, target.id, by):
            if message is not None and isinstance(command, RetractInRoom):
                self._reflect(db, room, message, target, by, now, out)
                return

    def accepted(
        self, db: Transaction, room: RoomRow, row: OutboundRow, now: float, out: Committed
    ) -> None:
        """The network has done it: what the user's client has said is reflected, then the room
        says it."""
        target = None if row.target is None else conversations.message(db, row.target)
        if target is None or row.message is None:
            return
        self._reflect(db, room, row.message, target, self.room_rows.own, now, out)
        for part in self._parts(db, room, target):
            self.take_back(db, room, part, self.room_rows.own, "", now, out)

    def _reflect(
        self,
        db: Transaction,
        room: RoomRow,
        message: int,
        target: MessageRow,
        by: RemoteUserId,
        now: float,
        out: Committed,
    ) -> None:
        stored = conversations.message(db, message)
        first = texts.first(db, room.id, target.id)
        if stored is None or first is None:
            return
        said = RoomMessage(
            id=stored.stanza_id or self.room_rows.id(room, "own", stored.id),
            archive_id=self.references.archive_id(room, stored),
            **self.room_rows.speaker(db, room, by),
            body="",
            sent_at=now,
            retracts=first.message.archive_id,
        )
        self.room_rows.say(db, room, by, said, now, out)

    def _parts(self, db: Transaction, room: RoomRow, row: MessageRow) -> list[MessageRow]:
        if row.remote_id is None:
            return [row]
        return conversations.parts(db, room.conversation, row.remote_id)
