# SPDX-License-Identifier: Apache-2.0
"""What users want in chats, and of what was said there: from a stanza to a command.

The plans run inside the writer's transaction. They refuse what refers to nothing, or to what is
not the user's to change; only a correction of something unknown is a text like any other
(REQ-424).
"""

from __future__ import annotations

from msgspec import structs

from gateway.bridge import previews
from gateway.bridge.accounts import Account
from gateway.bridge.chats import attention, references, threads
from gateway.bridge.chats.addressing import mentioned
from gateway.bridge.chats.anew import anew
from gateway.bridge.ground import Ground
from gateway.bridge.outbound.targets import LATER
from gateway.bridge.outbound.wanted import (
    NO_OTHER_FILE,
    Declined,
    Incoming,
    IncomingReactions,
    IncomingRetraction,
    IncomingText,
    Planned,
)
from gateway.bridge.quotes import above, cited, leading, the_one
from gateway.bridge.reacting import Reacting
from gateway.bridge.traffic import Traffic
from gateway.events import FailureReason, MarkRead, Mention, React, Retract, SendText
from gateway.ids import ConversationId, RemoteUserId, StanzaId
from gateway.store import Transaction, chat_texts, contacts, conversations, journal
from gateway.store.conversations import MessageRow, Origin
from gateway.store.journal import OutboundRow
from gateway.store.writer import Connection
from gateway.text import at_end
from gateway.text.wording import tr

_NO_EDITS = tr("Messages of this network cannot be changed. Please say it anew.")
_NO_RETRACTIONS = tr("Messages of this network cannot be taken back.")
_UNKNOWN = tr("There is no such message in this chat, or it was taken back.")
_NOT_YOURS = tr("This can only be changed by who has said it.")
_NOT_YOURS_TO_TAKE = tr("You can take back only what you have said yourself.")
_TOO_LONG = tr(
    "This message is too long to be changed here. Please change it in another app.",
)


class ChatWishes:
    """Takes what users want in the chats of one network."""

    def __init__(self, ground: Ground, traffic: Traffic) -> None:
        self._capabilities = ground.adapter.capabilities
        self._takes_read_marks = ground.adapter.takes_read_marks
        self._store = ground.store
        self._clock = ground.clock
        self._intents = traffic.intents
        self._send = traffic.outbound.offer
        self._reacting = Reacting(self._capabilities)

    def is_own_copy(self, account: Account, contact: RemoteUserId, id: StanzaId) -> bool:
        """Whether the gateway itself has said what has this id, in the user's name: their server
        sends it on to the contact (REQ-1006)."""
        chat = conversations.find_chat(self._store.reader, account.id, contact) if id else None
        known = None if chat is None else conversations.by_alias(self._store.reader, chat, id)
        return known is not None and known.origin is Origin.ELSEWHERE

    def take(self, account: Account, contact: RemoteUserId, wanted: Incoming) -> None:
        """Commit it; the receipt or the error follows."""

        def plan(db: Transaction, chat: ConversationId) -> Planned | Declined:
            match wanted:
                case IncomingText():
                    return self._text(db, account, chat, contact, wanted)
                case IncomingReactions():
                    return self._reactions(db, account, chat, contact, wanted)
                case IncomingRetraction():
                    return self._retraction(db, chat, contact, wanted)
            raise TypeError(f"a {type(wanted).__name__} is nothing that is wanted in a chat")

        self._intents.in_chat(account, contact, wanted, plan)

    # --- texts ----------------------------------------------------------------------------------

    def _text(
        self,
        db: Transaction,
        account: Account,
        chat: ConversationId,
        contact: RemoteUserId,
        text: IncomingText,
    ) -> Planned | Declined:
        target = None if text.replaces is None else meant(db, chat, text.replaces)
        if target is not None:
            return self._edit(db, account, chat, contact, text, target)
        reply, body = self._answered(db, account, chat, text)
        root = None
        if self._capabilities.threads:
            root = threads.wanted(db, chat, text.thread, reply)
        files = text.files if self._capabilities.sends_files else ()
        quote, body = above(text.body, body), text.caption(body) if files else body
        spans = text.spans_of(body)
        command = SendText(
            contact=contact,
            body=body,
            through=text.through,
            reply_to=None if reply is None else LATER,
            cites=self._cited(db, reply, quote),
            thread=root,
            thread_after=threads.last(db, chat, root),
            spans=spans,
            previews=previews.shown(text.previews, body, spans),
            file=next(iter(files), None),
            files=files[1:],
            attention=text.attention,
            mentions=self._mentions(db, account, contact, text, body),
        )
        if text.attention:
            asked = attention.wanted(
                db,
                chat,
                command,
                self._clock.now(),
                language=account.language,
                has_network_it=self._capabilities.attention,
            )
            if isinstance(asked, Declined):
                return asked
            command = asked
        return Planned(command, None if reply is None else reply.id)

    def _edit(
        self,
        db: Transaction,
        account: Account,
        chat: ConversationId,
        contact: RemoteUserId,
        text: IncomingText,
        target: MessageRow,
    ) -> Planned | Declined:
        if target.origin is Origin.CONTACT:
            return Declined(FailureReason.FORBIDDEN, _NOT_YOURS)
        if _is_gone(db, target, account.remote_id):
            return Declined(FailureReason.NOT_FOUND, _UNKNOWN)
        if text.files and self._capabilities.sends_files:
            return Declined(FailureReason.UNSUPPORTED, NO_OTHER_FILE)
        if len(references.parts(db, chat, target)) > 1:  # of which this would be one
            return Declined(FailureReason.TOO_LARGE, _TOO_LONG)
        reply, body = self._answered(db, account, chat, text)
        if reply is not None and reply.id == target.id:
            reply, body = None, text.body  # nothing answers itself
        elif text.reply_to is None and (reply is None or reply.id != _answered_by(db, target)):
            reply, body = None, text.body  # what was a quote stays one
        spans = at_end(text.spans, text.body, body)
        command = SendText(
            contact=contact,
            body=body,
            through=text.through,
            reply_to=None if reply is None else reply.remote_id,
            edits=LATER,
            spans=spans,
            previews=previews.shown(text.previews, body, spans),
            mentions=tuple(
                # Who was named before is not to be told again, and nobody knows who was.
                structs.replace(each, notify=False)
                for each in self._mentions(db, account, contact, text, body)
            ),
        )
        if self._capabilities.edits:
            return Planned(command, target.id, about=target.id)
        if account.settings.edits_as_texts:
            return Planned(anew(command))
        return Declined(FailureReason.UNSUPPORTED, _NO_EDITS)

    def _mentions(
        self,
        db: Transaction,
        account: Account,
        contact: RemoteUserId,
        text: IncomingText,
        body: str,
    ) -> tuple[Mention, ...]:
        if not self._capabilities.mentions:
            return ()
        name = contacts.get(db, account.id, contact).name
        return mentioned(text.people, text.body, body, contact, name)

    def _answered(
        self, db: Transaction, account: Account, chat: ConversationId, text: IncomingText
    ) -> tuple[MessageRow | None, str]:
        """What is answered, and the text without what it quotes of that. If it is not known, or
        the network has no replies, the quote stays in the text."""
        if not self._capabilities.replies:
            return None, text.body
        if text.reply_to is not None:
            return _kept(db, meant(db, chat, text.reply_to), text.unquoted, text.body)
        quote = leading(text.body) if account.settings.quotes_are_replies else None
        if quote is None:
            return None, text.body
        said = the_one(quote.words, chat_texts.newest(db, chat), chat_texts.MOST_CHARS)
        found = None if said is None else conversations.message(db, said)
        original = None if found is None else conversations.original(db, found)
        return _kept(db, original, quote.rest, text.body)

    def _cited(self, db: Transaction, reply: MessageRow | None, quote: str) -> str:
        said = None
        if self._capabilities.quotes and reply is not None and quote:
            said = chat_texts.of(db, reply.id)
        return "" if said is None else cited(quote, said.excerpt)

    # --- what is said about them ----------------------------------------------------------------

    def _reactions(
        self,
        db: Transaction,
        account: Account,
        chat: ConversationId,
        contact: RemoteUserId,
        wanted: IncomingReactions,
    ) -> Planned | Declined:
        if why := self._reacting.refused(wanted.emoji):
            return Declined(FailureReason.UNSUPPORTED, why)
        target = meant(db, chat, wanted.message)
        if target is None or chat_texts.is_gone(db, target.id):
            return Declined(FailureReason.NOT_FOUND, _UNKNOWN)
        emoji = self._reacting.newest(db, target.id, account.remote_id, wanted.emoji)
        command = React(contact=contact, message=LATER, emoji=emoji, through=wanted.through)
        return Planned(command, target.id, about=target.id)

    def _retraction(
        self,
        db: Transaction,
        chat: ConversationId,
        contact: RemoteUserId,
        wanted: IncomingRetraction,
    ) -> Planned | Declined:
        """Also of what is gone already: some clients take each edit back, one by one."""
        if not self._capabilities.retractions:
            return Declined(FailureReason.FORBIDDEN, _NO_RETRACTIONS)
        target = meant(db, chat, wanted.message)
        if target is None:
            return Declined(FailureReason.NOT_FOUND, _UNKNOWN)
        if target.origin is Origin.CONTACT:
            return Declined(FailureReason.FORBIDDEN, _NOT_YOURS_TO_TAKE)
        command = Retract(contact=contact, message=LATER, through=wanted.through)
        return Planned(command, target.id, about=target.id)

    # --- read marks -----------------------------------------------------------------------------

    def displayed(self, account: Account, contact: RemoteUserId, message: StanzaId) -> None:
        """The user has read everything up to a message (REQ-414)."""
        if not self._takes_read_marks(contact) or not account.settings.send_read_marks:
            return
        now = self._clock.now()

        def unit(db: Transaction) -> OutboundRow | None:
            conversation = conversations.find_chat(db, account.id, contact)
            if conversation is None:
                return None
            seen = conversations.by_alias(db, conversation, message)
            if seen is None:
                return None
            newest = conversations.newest_of_contact(db, conversation, seen.id)
            if (
                newest is None
                or newest.remote_id is None
                or not conversations.advance_read(db, conversation, newest.id, by_user=True)
            ):
                return None
            return journal.add_outbound(
                db,
                account=account.id,
                conversation=conversation,
                contact=contact,
                command=MarkRead(contact=contact, up_to=newest.remote_id),
                now=now,
            )

        def committed(row: OutboundRow | None) -> None:
            if row is not None:
                self._send(account, row)

        self._store.write(unit, committed)


def meant(db: Connection, chat: ConversationId, id: StanzaId) -> MessageRow | None:
    """The message that a client means by any of the ids that it may use: the first part of the
    message itself, be the id that of another part, of an edit, or of what was said about it
    (REQ-409)."""
    found = conversations.by_alias(db, chat, id)
    return None if found is None else conversations.original(db, found)


def _kept(
    db: Connection, answered: MessageRow | None, rest: str, body: str
) -> tuple[MessageRow | None, str]:
    """The whole text, if what it answers is not there any more."""
    if answered is None or chat_texts.is_gone(db, answered.id):
        return None, body
    return answered, rest


def _is_gone(db: Connection, target: MessageRow, user: RemoteUserId) -> bool:
    """It was taken back, or will be."""
    waiting = journal.open_about(db, target.id, user)
    will_be = any(isinstance(command, Retract) for _, command in waiting)
    return will_be or chat_texts.is_gone(db, target.id)


def _answered_by(db: Connection, row: MessageRow) -> int | None:
    text = chat_texts.of(db, row.id)
    return None if text is None else text.answers
