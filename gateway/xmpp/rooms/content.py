# SPDX-License-Identifier: Apache-2.0
"""What a message in a room says, and about which other one, as XML."""

from __future__ import annotations

from gateway.events import Moderation, Reply, RoomMention, RoomMessage, SharedFile, Tombstone
from gateway.xmpp.codec import files, mentions, previews
from gateway.xmpp.codec.incoming import (
    CHANNEL,
    MENTIONS,
    REACTIONS,
    REPLY,
    RETRACT,
)
from gateway.xmpp.codec.outgoing import STORE, replacing, timestamp
from gateway.xmpp.codec.restyling import Written, restyled
from gateway.xmpp.codec.xml import attribute, text
from gateway.xmpp.rooms.place import Place, occupant_id

MODERATE = "urn:xmpp:message-moderate:1"


def content(place: Place, said: RoomMessage) -> str:
    """Live and in the archive the same (REQ-582)."""
    if said.file is not None and said.file.url:
        return _file(place, said, said.file)
    if said.body:
        before = 0 if said.reply is None else len(said.reply.quote)
        written = _written(said, before)
        about = written.beside + replacing(said.replaces) + _mentions(place, said, written, before)
        about += previews.described(said.previews)
        if said.thread:
            about += f"<thread>{text(said.thread)}</thread>"
        if said.enclosed:
            about += _enclosed(said, before)
        if said.reply is None:
            return f"<body>{text(written.body)}</body>{about}"
        return _reply(place, said.reply, written.body) + about
    if said.subject is not None:
        return subject_of(said.subject)
    if said.tombstone is not None:
        # Monal and Gajim show each tombstone as a message of its own: edits have none.
        return _tombstone(place, said.tombstone) if said.replaces is None else ""
    if said.reacts_to is not None:
        emoji = "".join(f"<reaction>{text(each)}</reaction>" for each in said.reactions)
        target = attribute(said.reacts_to)
        return f"<reactions xmlns='{REACTIONS}' id='{target}'>{emoji}</reactions>{STORE}"
    if said.retracts is not None:
        by = "" if said.moderation is None else _moderated(place, said.moderation)
        return f"<retract xmlns='{RETRACT}' id='{attribute(said.retracts)}'>{by}</retract>{STORE}"
    return f"<body/>{replacing(said.replaces)}"


def _file(place: Place, said: RoomMessage, file: SharedFile) -> str:
    """Whoever answers with a file quotes nothing: the body is an address and no more."""
    answers = "" if said.reply is None else _answers(place, said.reply)
    thread = f"<thread>{text(said.thread)}</thread>" if said.thread else ""
    body = f"<body>{text(file.url)}</body>"
    return f"{body}{files.shared(file, said.id)}{answers}{thread}"


def _written(said: RoomMessage, before: int) -> Written:
    return Written(said.body) if said.as_written else restyled(said.body, said.spans, before)


def subject_of(topic: str) -> str:
    """XEP-0045 §8.1."""
    return f"<subject>{text(topic)}</subject>"


def _reply(place: Place, reply: Reply, body: str) -> str:
    """REQ-434: the quote is for clients that know no replies; all others cut it off."""
    quote = ""
    if reply.quote:
        part = f"<body start='0' end='{len(reply.quote)}'/>"
        quote = f"<fallback xmlns='urn:xmpp:fallback:0' for='{REPLY}'>{part}</fallback>"
    return f"<body>{text(reply.quote + body)}</body>{_answers(place, reply)}{quote}"


def _answers(place: Place, reply: Reply) -> str:
    to = attribute(place.occupant(reply.nick))
    return f"<reply xmlns='{REPLY}' to='{to}' id='{attribute(reply.message)}'/>"


def _mentions(place: Place, said: RoomMessage, written: Written, before: int) -> str:
    """XEP-0372 §3.2 for clients of today, XEP-0513 §3 for those to come (REQ-574). Places are
    those in the body as it is sent, with what it quotes."""
    return "".join(_mention(place, each, written, before) for each in said.mentions)


def _enclosed(said: RoomMessage, before: int) -> str:
    parts = (part for each in said.enclosed for part in each.written)
    return "".join(part if isinstance(part, str) else str(part + before) for part in parts)


def _mention(place: Place, mention: RoomMention, written: Written, before: int) -> str:
    where = mentions.where(mention, written, before)
    if not mention.nick:
        noping = "" if mention.notify else "<noping/>"
        return f"<mention xmlns='{MENTIONS}' mentions='{CHANNEL}'{where}>{noping}</mention>"
    who = f"occupantid='{attribute(mention.occupant)}'"
    return mentions.named(place.uri(mention.nick), who, mention, where)


def _moderated(place: Place, by: Moderation) -> str:
    """XEP-0425 §3.1."""
    who, id = attribute(place.occupant(by.nick)), occupant_id(by.occupant)
    reason = f"<reason>{text(by.reason)}</reason>" if by.reason else ""
    return f"<moderated xmlns='{MODERATE}' by='{who}'>{id}</moderated>{reason}"


def _tombstone(place: Place, stone: Tombstone) -> str:
    """XEP-0424 §4, XEP-0425 §4."""
    return (
        f"<retracted xmlns='{RETRACT}' id='{attribute(stone.retraction)}'"
        f" stamp='{timestamp(stone.at)}'>{_moderated(place, stone.moderation)}</retracted>"
    )
