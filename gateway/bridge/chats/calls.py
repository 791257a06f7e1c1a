# SPDX-License-Identifier: Apache-2.0
"""Calls on the network, as text (REQ-473): a line while it rings, which is corrected to how it has
ended as long as nothing was said after it; else that is a line of its own.

Runs inside the writer's transaction, as `gateway.bridge.inbound`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from gateway.bridge.chats.speech import Speech
from gateway.bridge.inbound.rows import Committed, Rows
from gateway.bridge.inbound.wellformed import honest_time
from gateway.bridge.splitting import reference
from gateway.events import CallInvite, CallOver, CallStage, RemoteCall, RemoteMessage
from gateway.ids import ConversationId
from gateway.locale import in_language
from gateway.store import Transaction, calls, conversations, held
from gateway.store.calls import CallRow
from gateway.store.conversations import MessageRow
from gateway.text.wording import Words, joined, tr


@dataclass(frozen=True, slots=True)
class Calls:
    """In the chats of one account."""

    rows: Rows
    speech: Speech

    def happened(self, db: Transaction, event: RemoteCall, now: float, out: Committed) -> None:
        """One event of a call. What is about none that is known says nothing."""
        if event.stage is CallStage.RINGS:
            self._rings(db, event, now, out)
            return
        chat = self.rows.chat(db, event.contact)
        call = calls.get(db, chat, reference(event.call))
        line = None if call is None else conversations.message(db, call.message)
        if call is None or line is None:
            held.release(db, chat, event.id)
        elif event.stage is CallStage.ANSWERED:
            self._answered(db, chat, event, call, line, now, out)
        else:
            self._over(db, chat, event, call, line, now, out)

    def _rings(self, db: Transaction, event: RemoteCall, now: float, out: Committed) -> None:
        chat = self.rows.chat(db, event.contact)
        before = conversations.by_remote_id(db, chat, event.id)
        self._say(db, event, joined((_ringing(event), reference(event.link))), now, out)
        line = conversations.by_remote_id(db, chat, event.id)
        if before is not None or line is None:
            return  # it comes again, late, or is not told
        row = CallRow(message=line.id, is_own=event.own, is_video=event.is_video)
        if event.join.startswith("https://") and not event.own:
            sid = self.rows.id(event.contact, event.id, "invite")
            invite = CallInvite(id=sid, join=reference(event.join), is_video=event.is_video)
            self.rows.add(db, event.contact, sid, invite, now, out)
            row = replace(row, invite=sid)
        calls.put(db, chat, reference(event.call), row)

    def _answered(
        self,
        db: Transaction,
        chat: ConversationId,
        event: RemoteCall,
        call: CallRow,
        line: MessageRow,
        now: float,
        out: Committed,
    ) -> None:
        """By who was called. It is told as long as that is no line more."""
        if event.own is call.is_own or call.answered_at is not None:
            return
        answered_at = honest_time(event.sent_at, now)
        calls.put(db, chat, reference(event.call), replace(call, answered_at=answered_at))
        if self._is_latest(db, chat, line):
            self._correct(db, event, call, line, _taken(call), now, out)
        else:
            held.release(db, chat, event.id)

    def _over(
        self,
        db: Transaction,
        chat: ConversationId,
        event: RemoteCall,
        call: CallRow,
        line: MessageRow,
        now: float,
        out: Committed,
    ) -> None:
        calls.drop(db, chat, reference(event.call))
        text = _ended(event, call, now)
        if self._is_latest(db, chat, line):
            self._correct(db, event, call, line, text, now, out)
        else:
            self._say(db, event, text, now, out, own=call.is_own, line=line)
        if call.invite is not None:
            sid = self.rows.id(event.contact, event.id, "over")
            was_answered = call.answered_at is not None
            over = CallOver(id=sid, invite=call.invite, was_answered=was_answered)
            self.rows.add(db, event.contact, sid, over, now, out)

    def _is_latest(self, db: Transaction, chat: ConversationId, line: MessageRow) -> bool:
        """XEP-0308 §3: nothing was said since, by nobody."""
        newest = conversations.newest(db, chat)
        return newest is not None and newest.id == line.id

    def _correct(
        self,
        db: Transaction,
        event: RemoteCall,
        call: CallRow,
        line: MessageRow,
        text: Words,
        now: float,
        out: Committed,
    ) -> None:
        self._say(db, event, text, now, out, own=call.is_own, edits=line)

    def _say(
        self,
        db: Transaction,
        event: RemoteCall,
        text: Words,
        now: float,
        out: Committed,
        *,
        own: bool | None = None,
        edits: MessageRow | None = None,
        line: MessageRow | None = None,
    ) -> None:
        """As who has called, whoever has ended it: an edit is by who has said the text."""
        said = RemoteMessage(
            contact=event.contact,
            id=event.id,
            body=in_language(text, self.rows.language()),
            sent_at=event.sent_at,
            own=event.own if own is None else own,
            edits=None if edits is None else edits.remote_id,
            reply_to=None if line is None else line.remote_id,
        )
        self.speech.message(db, said, now, out)


def _ringing(event: RemoteCall) -> Words:
    if event.own:
        return tr("📹 Outgoing video call.") if event.is_video else tr("📞 Outgoing call.")
    if event.is_video:
        return tr("📹 Incoming video call. Answer it in an app of the network.")
    return tr("📞 Incoming call. Answer it in an app of the network.")


def _taken(call: CallRow) -> Words:
    return tr("📞 The call was answered.") if call.is_own else tr("📞 Answered in another app.")


def _ended(event: RemoteCall, call: CallRow, now: float) -> Words:
    """Whoever was called and hangs up without having answered does not want it."""
    if call.answered_at is not None:
        took = _duration(max(0.0, honest_time(event.sent_at, now) - call.answered_at))
        if call.is_video:
            return tr("📹 Video call, {duration}.", duration=took)
        return tr("📞 Call, {duration}.", duration=took)
    if event.stage is CallStage.DECLINED or event.own is not call.is_own:
        return tr("📞 The call was declined.") if call.is_own else tr("📞 Call declined.")
    return tr("📞 The call was not answered.") if call.is_own else tr("📞 Missed call.")


def _duration(seconds: float) -> str:
    """``3:07``, or ``1:02:03``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
