# SPDX-License-Identifier: Apache-2.0
"""What a message in a room says, and about which other one, as XML."""

from __future__ import annotations

from gateway.events import Moderation, Reply, RoomMention, RoomMessage, Tombstone
from gateway.xmpp.codec.enclosing import REFERENCE
from gateway.xmpp.codec.incoming import (
    CHANNEL,
    MENTIONS,
    REACTIONS,
    REPLY,
    RETRACT,
)
from gateway.xmpp.codec.outgoing import STORE, replacing, timestamp
from gateway.xmpp.codec.xml import attribute, text
from gateway.xmpp.rooms.place import Place, occupant_id

MODERATE = "urn:xmpp:message-moderate:1"


def content(place: Place, said: RoomMessage) -> str:
    """Live and in the archive the same (REQ-582)."""
    if said.body:
        about = replacing(said.replaces) + _mentions(place, said)
        if said.thread:
            about += f"<thread>{text(said.thread)}</thread>"
        if said.enclosed:
            about += _enclosed(said)
        if said.reply is None:
            return f"<body>{text(said.body)}</body>{about}"
        return _reply(place, said.reply, said.body) + about
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


def subject_of(topic: str) -> str:
    """XEP-0045 §8.1."""
    return f"<subject>{text(topic)}</subject>"


def _reply(place: Place, reply: Reply, body: str) -> str:
    """REQ-434: the quote is for clients that know no replies; all others cut it off."""
    quote = ""
    if reply.quote:
        part = f"<body start='0' end='{len(reply.quote)}'/>"
        quote = f"<fallback xmlns='urn:xmpp:fallback:0' for='{REPLY}'>{part}</fallback>"
    to = attribute(place.occupant(reply.nick))
    return (
        f"<body>{text(reply.quote + body)}</body>"
        f"<reply xmlns='{REPLY}' to='{to}' id='{attribute(reply.message)}'/>{quote}"
    )


def _mentions(place: Place, said: RoomMessage) -> str:
    """XEP-0372 §3.2 for clients of today, XEP-0513 §3 for those to come (REQ-574). Places are
    those in the body as it is sent, with what it quotes."""
    if not said.mentions:
        return ""
    before = 0 if said.reply is None else len(said.reply.quote)
    return "".join(_mention(place, each, before) for each in said.mentions)


def _enclosed(said: RoomMessage) -> str:
    before = 0 if said.reply is None else len(said.reply.quote)
    parts = (part for each in said.enclosed for part in each.written)
    return "".join(part if isinstance(part, str) else str(part + before) for part in parts)


def _mention(place: Place, mention: RoomMention, before: int) -> str:
    where = ""
    if mention.begin != mention.end:
        where = f" begin='{mention.begin + before}' end='{mention.end + before}'"
    noping = "" if mention.notify else "<noping/>"
    if not mention.nick:
        return f"<mention xmlns='{MENTIONS}' mentions='{CHANNEL}'{where}>{noping}</mention>"
    uri = attribute(place.uri(mention.nick))
    return (
        f"<reference xmlns='{REFERENCE}' type='mention'{where} uri='{uri}'/>"
        f"<mention xmlns='{MENTIONS}' occupantid='{attribute(mention.occupant)}'{where}>"
        f"{noping}</mention>"
    )


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
