# SPDX-License-Identifier: Apache-2.0
"""Messages that cannot be read yet: kept, told of by a line in their place, read in the end."""

from __future__ import annotations

from dataclasses import dataclass

from msgspec import structs

from gateway.bridge.rooms.private import way_of
from gateway.bridge.rows import Committed, Rows
from gateway.bridge.splitting import split_text
from gateway.bridge.wellformed import honest_time
from gateway.events import ChatMessage, Notice, OwnMessage, RemoteMessage, RemoteUndecryptable
from gateway.ids import ConversationId, StanzaId
from gateway.store import Transaction, conversations, held
from gateway.store.conversations import MessageRow, Origin
from gateway.text import clean

ENCRYPTED = (
    "This conversation is end-to-end encrypted on the network, and the gateway cannot read "
    "encrypted messages yet. They are kept; please read them in another app."
)

PENDING = "Its key has not arrived yet."


def line(reason: str) -> str:
    """What stands in place of a message that cannot be read."""
    return f"[Encrypted message. {reason or PENDING}]"


def storable(event: RemoteUndecryptable, now: float) -> RemoteUndecryptable:
    """As it is kept."""
    return structs.replace(
        event,
        sent_at=honest_time(event.sent_at, now),
        content=clean(event.content),
        needs=clean(event.needs),
        reason=clean(event.reason),
    )


def _said(
    db: Transaction,
    chat: ConversationId,
    event: RemoteMessage | RemoteUndecryptable,
    sid: StanzaId,
    body: str,
    replaces: StanzaId | None,
    sent_at: float,
) -> ChatMessage | OwnMessage:
    if event.own:
        return OwnMessage(id=sid, body=body, sent_at=sent_at, replaces=replaces)
    through = way_of(db, chat, event.contact)
    return ChatMessage(id=sid, body=body, sent_at=sent_at, replaces=replaces, through=through)


@dataclass(frozen=True, slots=True)
class Unread:
    """Those of one account, inside the writer's transaction."""

    rows: Rows

    def keep(
        self,
        db: Transaction,
        conversation: ConversationId,
        event: RemoteUndecryptable,
        now: float,
        out: Committed,
    ) -> None:
        """One that cannot be read."""
        if conversations.by_remote_id(db, conversation, event.id) is not None:
            return  # it was readable before, or the user has a line in its place
        held.hold(db, conversation, storable(event, now), now)
        out.held |= bool(event.needs)
        if not event.needs and conversations.tell_once(db, conversation, "encrypted"):
            sid = self.rows.id(event.contact, event.id, "encrypted")
            self.rows.add(db, event.contact, sid, Notice(id=sid, text=ENCRYPTED), now, out)

    def replace(
        self,
        db: Transaction,
        conversation: ConversationId,
        event: RemoteMessage,
        line: MessageRow,
        now: float,
        out: Committed,
    ) -> None:
        """The user was given a line in its place. While nothing came after that line it is
        corrected (XEP-0308 §3); else the message comes as one that is late."""
        newest = conversations.newest_from_network(db, conversation)
        replaces = line.stanza_id if newest is None or newest.id == line.id else None
        sent_at = honest_time(event.sent_at, now)
        for part, body in enumerate(split_text(clean(event.body))):
            sid = self.rows.id(event.contact, event.id, "readable", part)
            if part:
                conversations.add_message(
                    db,
                    conversation,
                    stanza_id=sid,
                    origin=line.origin,
                    sent_at=sent_at,
                    remote_id=event.id,
                    part=part,
                    now=now,
                )
            else:
                conversations.add_alias(db, conversation, sid, line.id)
            told = _said(db, conversation, event, sid, body, None if part else replaces, sent_at)
            self.rows.add(db, event.contact, sid, told, now, out)

    def stand_in(
        self,
        db: Transaction,
        conversation: ConversationId,
        event: RemoteUndecryptable,
        reason: str,
        now: float,
        out: Committed,
    ) -> None:
        """One line in place of a message that still cannot be read."""
        sid = self.rows.id(event.contact, event.id, 0)
        made = conversations.add_message(
            db,
            conversation,
            stanza_id=sid,
            origin=Origin.ELSEWHERE if event.own else Origin.CONTACT,
            sent_at=event.sent_at,
            remote_id=event.id,
            now=now,
        )
        if made is not None:
            told = _said(db, conversation, event, sid, line(reason), None, event.sent_at)
            self.rows.add(db, event.contact, sid, told, now, out)
