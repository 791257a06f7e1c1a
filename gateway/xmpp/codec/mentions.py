# SPDX-License-Identifier: Apache-2.0
"""Who is named in a text, as XML: XEP-0372 §3.2 for clients of today, XEP-0513 §3 for those to
come (REQ-439, REQ-574)."""

from __future__ import annotations

from urllib.parse import quote

from msgspec import structs

from gateway.events import ChatMention, RoomMention
from gateway.xmpp.codec.enclosing import REFERENCE
from gateway.xmpp.codec.incoming import MENTIONS
from gateway.xmpp.codec.restyling import Written
from gateway.xmpp.codec.xml import attribute


def where(mention: ChatMention | RoomMention, written: Written, before: int) -> str:
    """Its place in the body as it is sent, after so many characters of what that quotes."""
    if mention.begin == mention.end:
        return ""
    begin, end = written.begin(mention.begin) + before, written.end(mention.end) + before
    return f" begin='{begin}' end='{end}'"


def named(uri: str, who: str, mention: ChatMention | RoomMention, place: str) -> str:
    """``who``: an attribute that says it once more."""
    noping = "" if mention.notify else "<noping/>"
    return (
        f"<reference xmlns='{REFERENCE}' type='mention'{place} uri='{attribute(uri)}'/>"
        f"<mention xmlns='{MENTIONS}' {who}{place}>{noping}</mention>"
    )


def in_chat(mentions: tuple[ChatMention, ...], written: Written, before: int) -> str:
    """Those of a message of a chat: they have addresses there."""
    return "".join(_in_chat(each, where(each, written, before)) for each in mentions)


def _in_chat(mention: ChatMention, place: str) -> str:
    uri = f"xmpp:{quote(mention.jid, safe='@.-_~')}"
    return named(uri, f"jid='{attribute(mention.jid)}'", mention, place)


def after(mentions: tuple[ChatMention, ...], by: int) -> tuple[ChatMention, ...]:
    """The same in a text that has so much more before it."""
    return tuple(
        structs.replace(each, begin=each.begin + by, end=each.end + by)
        if each.begin < each.end
        else each
        for each in mentions
    )
