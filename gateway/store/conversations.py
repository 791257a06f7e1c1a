# SPDX-License-Identifier: Apache-2.0
"""Conversations, the messages in them, and the aliases by which XMPP clients refer to those."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass

from gateway.ids import AccountId, ConversationId, RemoteMessageId, RemoteUserId, RoomId, StanzaId
from gateway.store.writer import Connection, Transaction

GATEWAY = RemoteUserId("")
"""The contact of the conversation between a user and the gateway itself."""


CONTACT = (
    "coalesce(conversation.contact, (SELECT room_link.remote_id FROM room_link"
    " WHERE room_link.room = conversation.room AND room_link.home))"
)
"""SQL: the remote id of what a conversation is with, be it a person or a room."""


OF_NETWORK = (
    " LEFT JOIN account ON account.id = conversation.account"
    " LEFT JOIN room ON room.id = conversation.room"
)
"""SQL: what has the network of a conversation. That of a shared room belongs to no account."""


class Origin(enum.IntEnum):
    """Who wrote a message."""

    CONTACT = 0
    USER = 1
    """The user, with an XMPP client."""
    ELSEWHERE = 2
    """The user, with another client of the network."""


class Speaker(enum.IntEnum):
    """By whom the user's clients were told what the user has said in another app (REQ-475)."""

    NOBODY = 0
    PUPPET = 1
    """In words that say whose it is,"""
    USER = 2
    """or in their own name."""


@dataclass(frozen=True, slots=True)
class MessageRow:
    """A part of a message, as far as it is needed to refer to it."""

    id: int
    stanza_id: StanzaId
    remote_id: RemoteMessageId | None
    origin: Origin
    part: int
    about: int | None = None
    """In a chat, the message that this one edits, reacts to or takes back; in rooms too, the one
    of a user of which it is a further piece, or the edit of one."""
    through: RoomId | None = None
    """In a chat, the room by an occupant of which it was told, or wanted; None if that was the
    contact's puppet (REQ-575)."""
    speaker: Speaker | None = None
    """In a chat, of what the user has said in another app; None if that is not certain yet."""


def chat(db: Transaction, account: AccountId, contact: RemoteUserId) -> ConversationId:
    """The chat of an account with a contact, made if it is new."""
    found = find_chat(db, account, contact)
    if found is not None:
        return found
    made = db.execute(
        "INSERT INTO conversation (account, contact) VALUES (?, ?)", (account, contact)
    )
    assert made.lastrowid is not None
    return ConversationId(made.lastrowid)


def find_chat(db: Connection, account: AccountId, contact: RemoteUserId) -> ConversationId | None:
    """The chat of an account with a contact, if there is one."""
    found = db.execute(
        "SELECT id FROM conversation WHERE account = ? AND contact = ?", (account, contact)
    ).fetchone()
    return ConversationId(found[0]) if found else None


def account_of(db: Connection, conversation: ConversationId) -> AccountId | None:
    """Whose conversation it is; None for that of a room which several share."""
    (account,) = db.execute(
        "SELECT account FROM conversation WHERE id = ?", (conversation,)
    ).fetchone()
    return None if account is None else AccountId(account)


def is_room(db: Connection, conversation: ConversationId) -> bool:
    """Whether it is with a room, and not with a person."""
    found = db.execute(
        "SELECT 1 FROM conversation WHERE id = ? AND room IS NOT NULL", (conversation,)
    )
    return found.fetchone() is not None


def has_messages(db: Connection, account: AccountId, contact: RemoteUserId) -> bool:
    """Whether the network has a message of this chat, so that the contact exists."""
    found = db.execute(
        "SELECT 1 FROM conversation JOIN message ON message.conversation = conversation.id"
        " WHERE account = ? AND contact = ? AND message.remote_id IS NOT NULL LIMIT 1",
        (account, contact),
    ).fetchone()
    return found is not None


def tell_once(
    db: Transaction,
    conversation: ConversationId,
    notice: str,
    *,
    until_pruned_at: float = 0.0,
) -> bool:
    """Whether a notice of this kind was not given here yet; from now on it was.

    ``until_pruned_at``: the time now, for notices of which a conversation may have any number:
    they are forgotten with the messages of that time. All others are told once for ever.
    """
    made = db.execute(
        "INSERT INTO told (conversation, notice, told_at) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
        (conversation, notice, until_pruned_at),
    )
    return made.rowcount == 1


def tell_seldom(
    db: Transaction, conversation: ConversationId, notice: str, now: float, every_s: float
) -> bool:
    """Whether a notice of this kind was not given here for so long; now it is. One that was given
    later than now shows a clock that was set."""
    made = db.execute(
        "INSERT INTO told (conversation, notice, told_at) VALUES (?, ?, ?)"
        " ON CONFLICT (conversation, notice) DO UPDATE SET told_at = excluded.told_at"
        " WHERE told_at <= ? OR told_at > excluded.told_at",
        (conversation, notice, now, now - every_s),
    )
    return made.rowcount == 1


def add_message(
    db: Transaction,
    conversation: ConversationId,
    *,
    stanza_id: StanzaId,
    origin: Origin,
    sent_at: float,
    now: float | None = None,
    remote_id: RemoteMessageId | None = None,
    part: int = 0,
    aliases: Iterable[str] = (),
    number: int | None = None,
    about: int | None = None,
    through: RoomId | None = None,
) -> int | None:
    """Store a part with its aliases. None if the network's id is known already.

    ``sent_at`` is what the sender says; how long the message is kept counts from ``now``.
    ``number``: which it is, if it is not the newest (see `gateway.store.places`). ``about`` and
    ``through``: as in `MessageRow`.
    """
    made = db.execute(
        "INSERT INTO message"
        " (id, conversation, stanza_id, remote_id, part, origin, sent_at, stored_at, about,"
        " through)"
        " VALUES (coalesce(?, (SELECT max(coalesce(max(id), 0), 0) + 1 FROM message)),"
        " ?, ?, ?, ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (conversation, remote_id, part) WHERE remote_id IS NOT NULL DO NOTHING",
        (
            number,
            conversation,
            stanza_id,
            remote_id,
            part,
            origin,
            sent_at,
            sent_at if now is None else now,
            about,
            through,
        ),
    )
    if made.rowcount == 0:
        return None
    assert made.lastrowid is not None
    for alias in {stanza_id, *aliases} - {""}:
        add_alias(db, conversation, StanzaId(alias), made.lastrowid)
    return made.lastrowid


def set_remote_id(db: Transaction, message: int, remote_id: RemoteMessageId) -> None:
    """The network has taken a message. If its echo was stored before, that one is it."""
    db.execute("UPDATE OR IGNORE message SET remote_id = ? WHERE id = ?", (remote_id, message))


def remote_id_of(db: Connection, message: int) -> RemoteMessageId | None:
    """By which id the network has a message; None if it is not known to have it."""
    found = db.execute("SELECT remote_id FROM message WHERE id = ?", (message,)).fetchone()
    return None if found is None or found[0] is None else RemoteMessageId(found[0])


def sent_at(
    db: Connection, conversation: ConversationId, remote_id: RemoteMessageId
) -> float | None:
    """When the sender said what the network means by this id; None if it is not known."""
    found = db.execute(
        "SELECT sent_at FROM message WHERE conversation = ? AND remote_id = ? LIMIT 1",
        (conversation, remote_id),
    ).fetchone()
    return None if found is None else float(found[0])


_MESSAGE = (
    "message.id, message.stanza_id, message.remote_id, message.origin, message.part,"
    " message.about, message.through, message.speaker"
)


def message(db: Connection, message: int) -> MessageRow | None:
    """A part of a message, if it is kept."""
    found = db.execute(f"SELECT {_MESSAGE} FROM message WHERE id = ?", (message,)).fetchone()
    return _message(found)


def of_message(db: Connection, message: int) -> ConversationId | None:
    """In which conversation a message is, if it is kept."""
    found = db.execute("SELECT conversation FROM message WHERE id = ?", (message,)).fetchone()
    return None if found is None else ConversationId(found[0])


def by_alias(db: Connection, conversation: ConversationId, alias: str) -> MessageRow | None:
    """The message that an XMPP client means by this id."""
    found = db.execute(
        f"SELECT {_MESSAGE} FROM alias JOIN message ON message.id = alias.message"
        " WHERE alias.conversation = ? AND alias.value = ?",
        (conversation, alias),
    ).fetchone()
    return _message(found)


def by_remote_id(
    db: Connection, conversation: ConversationId, remote_id: RemoteMessageId
) -> MessageRow | None:
    """The last part of the message that the network means by this id."""
    found = db.execute(
        f"SELECT {_MESSAGE} FROM message WHERE conversation = ? AND remote_id = ?"
        " ORDER BY part DESC LIMIT 1",
        (conversation, remote_id),
    ).fetchone()
    return _message(found)


def parts(
    db: Connection, conversation: ConversationId, remote_id: RemoteMessageId
) -> list[MessageRow]:
    """All parts of the message that the network means by this id, in order."""
    found = db.execute(
        f"SELECT {_MESSAGE} FROM message WHERE conversation = ? AND remote_id = ? ORDER BY part",
        (conversation, remote_id),
    )
    return [row for values in found if (row := _message(values)) is not None]


_MOST_STEPS = 10


def original(db: Connection, row: MessageRow) -> MessageRow:
    """In a chat, the first part of the message itself, if this is another part, or is about it
    (REQ-411)."""
    for _ in range(_MOST_STEPS):  # more than one where a correction was said anew
        found = None if row.about is None else message(db, row.about)
        if found is None:
            break
        row = found
    if row.part == 0 or row.remote_id is None:
        return row
    first = db.execute(
        f"SELECT {_MESSAGE} FROM message WHERE conversation ="
        " (SELECT conversation FROM message WHERE id = ?) AND remote_id = ? AND part = 0",
        (row.id, row.remote_id),
    ).fetchone()
    return _message(first) or row


def newest_of_user(db: Connection, conversation: ConversationId, up_to: int) -> MessageRow | None:
    """The user's newest message that is not newer than message ``up_to``, of those that their
    clients show as theirs."""
    found = db.execute(
        f"SELECT {_MESSAGE} FROM message WHERE conversation = ? AND origin <> ? AND id <= ?"
        " AND about IS NULL AND coalesce(speaker, ?) = ? ORDER BY id DESC LIMIT 1",
        (conversation, Origin.CONTACT, up_to, Speaker.USER, Speaker.USER),
    ).fetchone()
    return _message(found)


def newest_of_contact(
    db: Connection, conversation: ConversationId, up_to: int
) -> MessageRow | None:
    """The contact's newest message that is not newer than message ``up_to``."""
    found = db.execute(
        f"SELECT {_MESSAGE} FROM message WHERE conversation = ? AND origin = ? AND id <= ?"
        " AND about IS NULL ORDER BY id DESC LIMIT 1",
        (conversation, Origin.CONTACT, up_to),
    ).fetchone()
    return _message(found)


def newest(db: Connection, conversation: ConversationId) -> MessageRow | None:
    """The newest message of anybody."""
    found = db.execute(
        f"SELECT {_MESSAGE} FROM message WHERE conversation = ?"
        " AND about IS NULL ORDER BY id DESC LIMIT 1",
        (conversation,),
    ).fetchone()
    return _message(found)


def newest_from_network(db: Connection, conversation: ConversationId) -> MessageRow | None:
    """The newest message that came by the network: of the contact, or of the user's other
    clients there."""
    found = db.execute(
        f"SELECT {_MESSAGE} FROM message WHERE conversation = ? AND origin <> ?"
        " AND about IS NULL ORDER BY id DESC LIMIT 1",
        (conversation, Origin.USER),
    ).fetchone()
    return _message(found)


def add_alias(
    db: Transaction, conversation: ConversationId, alias: StanzaId, message: int
) -> None:
    """Another id by which XMPP clients may refer to a message. One that uses an id twice means the
    newer message by it."""
    db.execute("INSERT OR REPLACE INTO alias VALUES (?, ?, ?)", (conversation, alias, message))


def add_hint(db: Transaction, conversation: ConversationId, alias: StanzaId, message: int) -> None:
    """An id that nobody has verified: it never takes the place of another message's."""
    db.execute("INSERT OR IGNORE INTO alias VALUES (?, ?, ?)", (conversation, alias, message))


def set_through(db: Transaction, message: int, through: RoomId | None) -> None:
    """By which way a message was told, as in `MessageRow`."""
    db.execute("UPDATE message SET through = ? WHERE id = ?", (through, message))


def set_speaker(
    db: Transaction, conversation: ConversationId, alias: StanzaId, speaker: Speaker | None
) -> None:
    """By whom the message that has this id was told, as in `MessageRow`."""
    db.execute(
        "UPDATE message SET speaker = ? WHERE id ="
        " (SELECT message FROM alias WHERE conversation = ? AND value = ?)",
        (speaker, conversation, alias),
    )


def set_about(db: Transaction, message: int, about: int | None) -> None:
    """What a message of a chat is about, as in `MessageRow`."""
    db.execute("UPDATE message SET about = ? WHERE id = ?", (about, message))


def set_stanza_id(db: Transaction, message: int, stanza_id: StanzaId) -> None:
    """From now on clients are told of a message by this id."""
    db.execute("UPDATE message SET stanza_id = ? WHERE id = ?", (stanza_id, message))


def advance_read(
    db: Transaction, conversation: ConversationId, message: int, *, by_user: bool
) -> bool:
    """Move a read mark forward. False if it was there or further already."""
    column = "read_by_user" if by_user else "read_by_contact"
    changed = db.execute(
        f"UPDATE conversation SET {column} = ? WHERE id = ? AND {column} < ?",
        (message, conversation, message),
    )
    return changed.rowcount == 1


def _message(values: tuple[object, ...] | None) -> MessageRow | None:
    if values is None:
        return None
    id, stanza_id, remote_id, origin, part, about, through, speaker = values
    who = Origin(origin)  # type: ignore[arg-type]
    told_by = None if speaker is None else Speaker(speaker)  # type: ignore[arg-type]
    return MessageRow(id, stanza_id, remote_id, who, part, about, through, told_by)  # type: ignore[arg-type]
