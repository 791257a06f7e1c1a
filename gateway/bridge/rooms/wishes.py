# SPDX-License-Identifier: Apache-2.0
"""What users want to say in rooms, and about what was said: from a stanza to a command.

The plans run inside the writer's transaction. They refuse what refers to nothing, or to what is
not the user's to change.
"""

from __future__ import annotations

from dataclasses import dataclass

from gateway.bridge import previews
from gateway.bridge.accounts import Account
from gateway.bridge.ground import Ground
from gateway.bridge.inbound.rows import Committed
from gateway.bridge.outbound.targets import LATER
from gateway.bridge.outbound.wanted import (
    NO_OTHER_FILE,
    Declined,
    IncomingReactions,
    IncomingRetraction,
    IncomingText,
    Planned,
)
from gateway.bridge.quotes import above, cited, leading
from gateway.bridge.reacting import Reacting
from gateway.bridge.rooms import enclosures, quotes, references, slow_mode, threads
from gateway.bridge.rooms.addressing import Addressing, Pointer, once, within
from gateway.bridge.traffic import Traffic
from gateway.events import (
    Author,
    Enclosed,
    FailureReason,
    MarkRoomRead,
    Mention,
    ReactInRoom,
    RetractInRoom,
    SendRoomText,
)
from gateway.ids import RemoteMessageId, RemoteUserId, StanzaId
from gateway.store import Transaction, conversations, journal, members, rooms, texts
from gateway.store.archive import Archived
from gateway.store.conversations import MessageRow, Origin
from gateway.store.kinds import AccountKind
from gateway.store.rooms import RoomRow
from gateway.text import at_end
from gateway.text.wording import tr

_NO_EDITS = tr(
    "What was said in groups of this network cannot be changed. Please say it anew.",
)
_NO_RETRACTIONS = tr("What was said in groups of this network cannot be taken back.")
_UNKNOWN = tr("There is no such message in this group, or it was taken back.")
_NOT_YOURS = tr("This can only be changed by who has said it.")
_NOT_YOURS_TO_TAKE = tr("You can take back only what you have said yourself, or as a moderator.")
_SLOW = tr("This group is slow: one message in {every} s. Please wait {left} s.")


@dataclass(frozen=True, slots=True, kw_only=True)
class IncomingSpeech(IncomingText):
    """A text for a room."""

    pointers: tuple[Pointer, ...] = ()
    """Whom it names, as the client says."""
    enclosed: tuple[Enclosed, ...] = ()
    """What is beside it for other clients. Places are those in the whole body."""


class RoomWishes:
    """Takes what users want to say in the rooms of one network."""

    def __init__(self, ground: Ground, traffic: Traffic) -> None:
        self._capabilities = ground.adapter.capabilities
        self._store = ground.store
        self._clock = ground.clock
        self._intents = traffic.intents
        self._send = traffic.outbound.offer
        self._deliver = traffic.delivery.offer
        self._reacting = Reacting(self._capabilities)

    def say(self, account: Account, room: RoomRow, text: IncomingSpeech) -> None:
        """A text, perhaps in place of another one or in answer to one."""

        def plan(db: Transaction) -> Planned | Declined:
            """A correction of what nobody knows is a text like any other (REQ-424)."""
            if text.replaces is not None and references.meant(db, room, text.replaces) is not None:
                return self._edit(db, account, room, text, text.replaces)
            return self._slowed(db, account, room, text) or self._speech(db, account, room, text)

        self._intents.in_room(account, room, text, plan)

    def react(self, account: Account, room: RoomRow, wanted: IncomingReactions) -> None:
        """Reactions to a message: these and no others."""
        self._intents.in_room(
            account, room, wanted, lambda db: self._reactions(db, account, room, wanted)
        )

    def retract(self, account: Account, room: RoomRow, wanted: IncomingRetraction) -> None:
        """A message is taken back."""
        self._intents.in_room(
            account, room, wanted, lambda db: self._retraction(db, account, room, wanted)
        )

    def _slowed(
        self, db: Transaction, account: Account, room: RoomRow, text: IncomingSpeech
    ) -> Declined | None:
        """REQ-576."""
        left = slow_mode.left_s(db, account, room, self._clock.now())
        if not left:
            return None
        said = _SLOW.format(every=room.slow_mode_s, left=left)
        return Declined(FailureReason.RATE_LIMITED, said)

    def _speech(
        self, db: Transaction, account: Account, room: RoomRow, text: IncomingSpeech
    ) -> Planned | Declined:
        reply, shown = self._answered(db, account, room, text)
        thread = self._thread(db, room, text, reply)
        files = text.files if self._capabilities.sends_files else ()
        body = text.caption(shown) if files else shown
        spans = text.spans_of(body)
        command = SendRoomText(
            room=room.remote_id,
            body=body,
            shown=shown if files else "",
            reply_to=None if reply is None else LATER,
            thread=thread,
            thread_after=None if thread is None else threads.last(db, room, thread),
            own_thread=text.thread if thread is None else "",
            quote=above(text.body, shown),
            cites=self._cited(db, room, reply, above(text.body, shown)),
            mentions=self._mentions(db, account, room, text, body),
            enclosed=enclosures.within(text.enclosed, text.body, shown),
            spans=spans,
            previews=previews.shown(text.previews, body, spans),
            file=next(iter(files), None),
            files=files[1:],
            author=_author(db, account, room),
        )
        return Planned(command, None if reply is None else reply.id)

    def _thread(
        self, db: Transaction, room: RoomRow, text: IncomingSpeech, reply: MessageRow | None
    ) -> RemoteMessageId | None:
        """The one of the network to which a text belongs: as the client says, or as what it
        answers does, since most clients know no threads. None is begun from here."""
        if not self._capabilities.threads:
            return None
        root = threads.root_of(room, text.thread) if text.thread else None
        answered = None if reply is None else texts.first(db, room.id, reply.id)
        if root is None and answered is not None:
            root = threads.root_of(room, answered.message.thread)
        return root

    def _edit(
        self,
        db: Transaction,
        account: Account,
        room: RoomRow,
        text: IncomingSpeech,
        replaces: StanzaId,
    ) -> Planned | Declined:
        if not self._capabilities.edits:
            return Declined(FailureReason.UNSUPPORTED, _NO_EDITS)
        if text.files and self._capabilities.sends_files:
            return Declined(FailureReason.UNSUPPORTED, NO_OTHER_FILE)
        target = _known(db, room, replaces)
        if target is None:
            return Declined(FailureReason.NOT_FOUND, _UNKNOWN)
        if not _is_by(db, account, room, target):
            return Declined(FailureReason.FORBIDDEN, _NOT_YOURS)
        before = texts.last(db, room.id, target.id)
        reply, body = self._answered(db, account, room, text)
        if text.reply_to is None and not _answers(db, room, before, reply):
            reply, body = None, text.body  # what was a quote stays one
        mentions = self._mentions(db, account, room, text, body)
        spans = at_end(text.spans, text.body, body)
        command = SendRoomText(
            room=room.remote_id,
            body=body,
            reply_to=None if reply is None else reply.remote_id,
            edits=LATER,
            quote=above(text.body, body),
            mentions=once(room, mentions, () if before is None else before.message.mentions),
            enclosed=enclosures.within(text.enclosed, text.body, body),
            spans=spans,
            previews=previews.shown(text.previews, body, spans),
            author=_author(db, account, room),
        )
        return Planned(command, target.id, is_edit=True)

    def _mentions(
        self, db: Transaction, account: Account, room: RoomRow, text: IncomingSpeech, body: str
    ) -> tuple[Mention, ...]:
        if not self._capabilities.mentions:
            return ()
        pointers = within(text.pointers, text.body, body)
        return Addressing(db, room, account.remote_id).mentioned(body, pointers)

    def _answered(
        self, db: Transaction, account: Account, room: RoomRow, text: IncomingSpeech
    ) -> tuple[MessageRow | None, str]:
        """What is answered, and the text without what it quotes of that. If it is not known, or
        the network has no replies, the quote stays in the text."""
        answered, rest = text.reply_to, text.unquoted
        if not self._capabilities.replies:
            return None, text.body
        if answered is None and account.settings.quotes_are_replies:
            quote = leading(text.body)
            if quote is not None:
                answered, rest = quotes.quoted(db, room, quote.words), quote.rest
        reply = None if answered is None else _known(db, room, answered)
        return (None, text.body) if reply is None else (reply, rest)

    def _cited(self, db: Transaction, room: RoomRow, reply: MessageRow | None, quote: str) -> str:
        said = None
        if self._capabilities.quotes and reply is not None and quote:
            said = texts.last(db, room.id, reply.id)
        return "" if said is None else cited(quote, said.message.body)

    def _reactions(
        self, db: Transaction, account: Account, room: RoomRow, wanted: IncomingReactions
    ) -> Planned | Declined:
        if why := self._reacting.refused(wanted.emoji):
            return Declined(FailureReason.UNSUPPORTED, why)
        target = _known(db, room, wanted.message)
        if target is None:
            return Declined(FailureReason.NOT_FOUND, _UNKNOWN)
        emoji = self._reacting.newest(db, target.id, account.remote_id, wanted.emoji)
        author = _author(db, account, room)
        command = ReactInRoom(room=room.remote_id, message=LATER, emoji=emoji, author=author)
        return Planned(command, target.id)

    def _retraction(
        self, db: Transaction, account: Account, room: RoomRow, wanted: IncomingRetraction
    ) -> Planned | Declined:
        if not self._capabilities.retractions:
            return Declined(FailureReason.UNSUPPORTED, _NO_RETRACTIONS)
        target = references.meant(db, room, wanted.message)  # also again: clients may repeat it
        if target is None:
            return Declined(FailureReason.NOT_FOUND, _UNKNOWN)
        if not _is_by(db, account, room, target):
            return Declined(FailureReason.FORBIDDEN, _NOT_YOURS_TO_TAKE)
        return Planned(RetractInRoom(room=room.remote_id, message=LATER), target.id)

    # --- read marks -----------------------------------------------------------------------------

    def displayed(self, account: Account, room: RoomRow, message: StanzaId, session: str) -> None:
        """A session shows everything up to a message (REQ-570). The user's others are told. The
        network is told only what an account of theirs has read: the house reads for nobody."""
        now = self._clock.now()
        is_sent = self._capabilities.read_marks and account.settings.send_read_marks
        is_sent = is_sent and account.kind is AccountKind.OWN

        def unit(db: Transaction) -> Committed:
            out = Committed()
            seen = references.meant(db, room, message)
            newest = None if seen is None else texts.last_message(db, room.id, seen.id)
            if newest is None or not rooms.advance_read(db, room.id, account.id, newest):
                return out
            if account.link is not None:
                own = rooms.sessions(db, room.id, account.id)
                others = tuple(jid for jid in own if jid != session)
                reading = account.link.intake.rooms.said.reading
                reading.tell(db, room, account.remote_id, newest, others, now, out)
            up_to = conversations.remote_id_of(db, newest)
            if is_sent and up_to is not None:
                out.outbound.append(
                    journal.add_outbound(
                        db,
                        account=account.id,
                        conversation=rooms.queue(db, room, account.id),
                        contact=RemoteUserId(room.remote_id),
                        command=MarkRoomRead(room=room.remote_id, up_to=up_to),
                        now=now,
                    )
                )
            return out

        def committed(out: Committed) -> None:
            self._deliver(out.inbound)
            for row in out.outbound:
                self._send(account, row)

        self._store.write(unit, committed)


def _author(db: Transaction, account: Account, room: RoomRow) -> Author | None:
    """For whom the house speaks, if it does."""
    if account.kind is not AccountKind.VIRTUAL:
        return None
    me = members.find(db, room.id, account.remote_id)
    return Author(user=account.remote_id, name="" if me is None else me.nick)


def _is_by(db: Transaction, account: Account, room: RoomRow, target: MessageRow) -> bool:
    """Whether the user of an account has said it. What is not in the archive yet is on its way."""
    said = texts.first(db, room.id, target.id)
    if said is not None:
        return said.sender == account.remote_id
    return journal.is_sent_by(db, target.id, account.id)


def _known(db: Transaction, room: RoomRow, id: StanzaId) -> MessageRow | None:
    """What is meant, if it is still there and somebody has said it. What the user says may not be
    in the archive yet."""
    found = references.meant(db, room, id)
    if found is None or (found.origin is Origin.CONTACT and found.remote_id is None):
        return None
    return None if texts.is_gone(texts.first(db, room.id, found.id)) else found


def _answers(
    db: Transaction, room: RoomRow, said: Archived | None, reply: MessageRow | None
) -> bool:
    """Whether something is a reply to this message."""
    answered = None if said is None else said.message.reply
    known = None if answered is None else texts.message_of(db, room.id, answered.message)
    return reply is not None and known == reply.id
