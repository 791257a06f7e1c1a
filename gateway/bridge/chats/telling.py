# SPDX-License-Identifier: Apache-2.0
"""How what is said in a chat reaches the user: by the contact's puppet, by an occupant, or in the
user's own name. Runs inside the writer's transaction."""

from __future__ import annotations

from dataclasses import dataclass

from msgspec import structs

from gateway.bridge.inbound.rows import Committed, Rows
from gateway.bridge.inbound.wellformed import honest_time
from gateway.bridge.rooms.ways import way_by
from gateway.events import (
    ChatMention,
    ChatMessage,
    ChatReactions,
    ChatReply,
    ChatRetraction,
    LinkPreview,
    Mention,
    OwnMessage,
    RemoteMessage,
    RemoteReaction,
    RemoteRetraction,
    RemoteUndecryptable,
    SharedFile,
)
from gateway.ids import ConversationId, RemoteUserId, RoomId, StanzaId
from gateway.store import Transaction, chat_texts, journal
from gateway.store.conversations import MessageRow, Origin, Speaker
from gateway.store.writer import Connection
from gateway.text import Span
from gateway.text.direction import closed

_MOST_LINES = 3
_MOST_CHARS = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One stanza of a text."""

    id: StanzaId
    body: str
    spans: tuple[Span, ...] = ()
    replaces: MessageRow | None = None
    reply: ChatReply | None = None
    nick: str = ""
    through: RoomId | None = None
    """As in `MessageRow`: the same for all that is said about a message."""
    thread: str = ""
    file: SharedFile | None = None
    attention: bool = False
    """As in `ChatMessage`."""
    mentions: tuple[Mention, ...] = ()
    previews: tuple[LinkPreview, ...] = ()


def origin_of(event: RemoteMessage | RemoteReaction | RemoteRetraction) -> Origin:
    """Of what comes by the network."""
    return Origin.ELSEWHERE if event.own else Origin.CONTACT


def name_of(db: Connection, row: MessageRow) -> StanzaId:
    """What clients call a message that something is said about (REQ-411); empty if a client has
    given it no name."""
    own = journal.origin_id(db, row.id) if row.origin is Origin.USER else ""
    return StanzaId(own) or row.stanza_id


def quote(text: str) -> str:
    """How a message begins, to stand above an answer (REQ-434)."""
    lines = text[: _MOST_CHARS + 1].split("\n") if text else []
    shown = "\n".join(lines[:_MOST_LINES])
    if len(lines) > _MOST_LINES or len(shown) > _MOST_CHARS:
        shown = f"{shown[: _MOST_CHARS - 1]}…"
    return "".join(f"> {line}\n" for line in closed(shown).split("\n")) if shown else ""


@dataclass(frozen=True, slots=True)
class Telling:
    """In the chats of one account."""

    rows: Rows
    own: RemoteUserId
    """The account itself."""

    def text(
        self,
        db: Transaction,
        chat: ConversationId,
        event: RemoteMessage | RemoteUndecryptable,
        part: Part,
        now: float,
        out: Committed,
    ) -> None:
        """A part of what somebody has said."""
        sent_at = honest_time(event.sent_at, now)
        replaces = None if part.replaces is None else part.replaces.stanza_id or None
        through = way_by(db, part.through, chat, event.contact, own=event.own)
        # Who is named nowhere is only to be notified, as by each answer on Matrix.
        named = (each for each in part.mentions if each.begin < each.end)
        mentions = tuple(self._named(db, each) for each in named)
        told: ChatMessage | OwnMessage
        if event.own:
            told = OwnMessage(
                id=part.id,
                body=part.body,
                sent_at=sent_at,
                replaces=replaces,
                spans=part.spans,
                reply=part.reply,
                thread=part.thread,
                file=part.file,
                of_client=part.replaces is not None and part.replaces.origin is Origin.USER,
                through=through,
                mentions=mentions,
                previews=part.previews,
            )
        else:
            told = ChatMessage(
                id=part.id,
                body=part.body,
                sent_at=sent_at,
                nick=part.nick,
                replaces=replaces,
                through=through,
                spans=part.spans,
                reply=part.reply,
                thread=part.thread,
                file=part.file,
                attention=part.attention,
                mentions=mentions,
                previews=part.previews,
            )
        self.rows.add(db, event.contact, part.id, told, now, out)

    def _named(self, db: Transaction, mention: Mention) -> ChatMention:
        """By the address that stands for them (REQ-439). Everybody in a chat is the user."""
        user = mention.user or self.own
        return ChatMention(
            jid=self.rows.user if user == self.own else self.rows.addresses.bare(db, user),
            begin=mention.begin,
            end=mention.end,
            notify=mention.notify,
        )

    def reply(
        self, db: Transaction, target: MessageRow | None, *, quotes: bool = True
    ) -> ChatReply | None:
        """What is answered; None if that is not known, or cannot be named. ``quotes``: unless it
        is a file right above the words, which all clients show (REQ-443)."""
        name = "" if target is None else name_of(db, target)
        if target is None or not name:
            return None
        text = chat_texts.of(db, target.id)
        return ChatReply(
            message=StanzaId(name),
            is_own=not (target.origin is Origin.CONTACT or target.speaker is Speaker.PUPPET),
            quote=quote(text.excerpt) if text is not None and quotes else "",
        )

    def about(
        self,
        db: Transaction,
        chat: ConversationId,
        contact: RemoteUserId,
        target: MessageRow,
        told: ChatReactions | ChatRetraction,
        now: float,
        out: Committed,
    ) -> None:
        """Something about a message of the chat, by the way by which that came."""
        through = way_by(db, target.through, chat, contact, own=told.own)
        self.rows.add(db, contact, told.id, structs.replace(told, through=through), now, out)
