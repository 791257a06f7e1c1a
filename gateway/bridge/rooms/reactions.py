# SPDX-License-Identifier: Apache-2.0
"""What people in rooms react with. Whenever that changes, all their reactions to the message are
told (XEP-0444 §3.2).

Runs inside the writer's transaction, as `gateway.bridge.rooms.intake`.
"""

from __future__ import annotations

from dataclasses import dataclass

import structlog

from gateway.adapter import Sent
from gateway.bridge.emoji import MOST, each_once, is_emoji
from gateway.bridge.inbound.rows import Committed
from gateway.bridge.inbound.wellformed import honest_time
from gateway.bridge.rooms.references import References
from gateway.bridge.rooms.room_rows import RoomRows
from gateway.events import ReactInRoom, RemoteRoomReaction, RemoteRoomRetraction, RoomMessage
from gateway.ids import RemoteMessageId, RemoteUserId, StanzaId
from gateway.store import Transaction, conversations, held, journal, reactions, texts
from gateway.store.conversations import Origin
from gateway.store.journal import OutboundRow
from gateway.store.rooms import RoomRow

log = structlog.get_logger("rooms")


@dataclass(frozen=True, slots=True)
class Reactions:
    """In the rooms of one account."""

    room_rows: RoomRows
    references: References

    def reacted(
        self,
        db: Transaction,
        room: RoomRow,
        event: RemoteRoomReaction,
        now: float,
        out: Committed,
    ) -> None:
        """One emoji more."""
        target = self.references.find(db, room, event.message)
        if target is None and is_emoji(event.emoji) and not self.room_rows.is_past:
            held.react(db, room.conversation, event, event.message)
        if target is None or not is_emoji(event.emoji):
            return
        is_coming = journal.is_undecided(db, target.id)  # and has arrived in part
        if not (is_coming or self._is_there(db, room, target.id)):
            return
        if len(reactions.emoji_of(db, target.id, event.sender)) >= MOST:
            log.debug("reaction_ignored", room=room.id)
            return
        is_new = conversations.add_message(
            db,
            room.conversation,
            stanza_id=StanzaId(""),  # nobody refers to it
            origin=self.room_rows.origin(event.sender),
            sent_at=honest_time(event.sent_at, now),
            remote_id=event.id,
            now=now,
            number=self.room_rows.place(),
        )
        if is_new is None or not reactions.add(db, target.id, event.sender, event.emoji, event.id):
            return
        self._tell(db, room, target.id, event.sender, event.id, event.sent_at, now, out)

    def came_before(
        self, db: Transaction, room: RoomRow, message: int, now: float, out: Committed
    ) -> None:
        """A message is reflected to which people have reacted before all of it was there."""
        for sender in reactions.senders(db, message):
            self._tell(db, room, message, sender, f"before {message} {sender}", now, now, out)

    def withdrawn(
        self,
        db: Transaction,
        room: RoomRow,
        event: RemoteRoomRetraction,
        now: float,
        out: Committed,
    ) -> bool:
        """One emoji less. False if what was taken back is none."""
        reaction = reactions.find(db, room.conversation, event.message)
        if reaction is None:
            held.take_back_reaction(db, room.conversation, event.message)
            return False
        reactions.remove(db, reaction)
        scope = f"without {event.message}"
        self._tell(db, room, reaction.message, reaction.sender, scope, event.sent_at, now, out)
        return True

    def _tell(
        self,
        db: Transaction,
        room: RoomRow,
        message: int,
        sender: RemoteUserId,
        scope: str,
        sent_at: float,
        now: float,
        out: Committed,
    ) -> None:
        if self._is_under_way(db, message, sender):
            return  # told with what the user's client wants, when that is done
        sid = self.room_rows.id(room, "reaction", scope)
        archive_id = self.room_rows.id(room, "archive", "reaction", scope)
        at = honest_time(sent_at, now)
        said = self._said(db, room, message, sender, sid, archive_id, at)
        if said is not None:
            self.room_rows.say(db, room, sender, said, now, out)

    def _is_under_way(self, db: Transaction, message: int, sender: RemoteUserId) -> bool:
        waiting = journal.open_about(db, message, sender)
        return any(isinstance(command, ReactInRoom) for _, command in waiting)

    def _is_there(self, db: Transaction, room: RoomRow, message: int) -> bool:
        first = texts.first(db, room.id, message)
        return first is not None and not texts.is_gone(first)

    def _said(
        self,
        db: Transaction,
        room: RoomRow,
        message: int,
        sender: RemoteUserId,
        sid: StanzaId,
        archive_id: StanzaId,
        at: float,
    ) -> RoomMessage | None:
        first = texts.first(db, room.id, message)
        if first is None or texts.is_gone(first):
            return None
        return RoomMessage(
            id=sid,
            archive_id=archive_id,
            **self.room_rows.speaker(db, room, sender),
            body="",
            sent_at=at,
            reacts_to=first.message.archive_id,
            reactions=each_once(reactions.emoji_of(db, message, sender)),
        )

    # --- by the user ----------------------------------------------------------------------------

    def accepted(
        self,
        db: Transaction,
        room: RoomRow,
        row: OutboundRow,
        sent: Sent,
        now: float,
        out: Committed,
    ) -> None:
        """The network has what the user reacts with now: it is reflected."""
        stored = None if row.message is None else conversations.message(db, row.message)
        if row.target is None or stored is None:
            return
        made = {**self._made_elsewhere(db, room, row, sent), **sent.reactions}
        reactions.put(db, row.target, self.room_rows.own, made)
        for remote_id in sent.reactions.values():  # what comes back is known
            conversations.add_message(
                db,
                room.conversation,
                stanza_id=StanzaId(""),
                origin=Origin.USER,
                sent_at=now,
                remote_id=remote_id,
            )
        sid = stored.stanza_id or self.room_rows.id(room, "own", stored.id)
        archive_id = self.references.archive_id(room, stored)
        own = self.room_rows.own
        said = self._said(db, room, row.target, own, sid, archive_id, now)
        if said is not None:
            self.room_rows.say(db, room, own, said, now, out)

    def _made_elsewhere(
        self, db: Transaction, room: RoomRow, row: OutboundRow, sent: Sent
    ) -> dict[str, RemoteMessageId]:
        """What is wanted, and was made by another app of the user while this was under way."""
        target = None if row.target is None else conversations.message(db, row.target)
        if not isinstance(row.command, ReactInRoom) or target is None or target.remote_id is None:
            return {}
        own, wanted = self.room_rows.own, set(row.command.emoji) - set(sent.reactions)
        known = reactions.of_sender(db, room.conversation, target.remote_id, own)
        return {emoji: id for emoji, id in known.items() if emoji in wanted}

    def failed(
        self, db: Transaction, room: RoomRow, row: OutboundRow, now: float, out: Committed
    ) -> None:
        """The user's clients are told how it is (REQ-432): something may have come meanwhile."""
        if row.target is not None:
            own, scope = self.room_rows.own, f"still {row.id}"
            self._tell(db, room, row.target, own, scope, now, now, out)
