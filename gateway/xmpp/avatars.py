# SPDX-License-Identifier: Apache-2.0
"""Names and pictures as clients ask for them: vCards of both kinds, and what is published of them.

XEP-0054, XEP-0084, XEP-0153, XEP-0172, XEP-0292.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from xml.etree.ElementTree import Element

from gateway.store.avatars import PictureRow
from gateway.xmpp.codec.xml import attribute, text

DATA, METADATA = "urn:xmpp:avatar:data", "urn:xmpp:avatar:metadata"
NICK = "http://jabber.org/protocol/nick"
VCARD4, VCARD4_NODE = "urn:ietf:params:xml:ns:vcard-4.0", "urn:xmpp:vcard4"
_PUBSUB = "http://jabber.org/protocol/pubsub"


def update(hash: str | None) -> str:
    """XEP-0153 §4.1 (REQ-313): empty if there is none, and without a hash while it is not known:
    an empty one would take away what the client has."""
    if hash is None:
        return "<x xmlns='vcard-temp:x:update'/>"
    photo = f"<photo>{hash}</photo>" if hash else "<photo/>"
    return f"<x xmlns='vcard-temp:x:update'>{photo}</x>"


def card(
    name: str,
    picture: PictureRow | None = None,
    *,
    nick: str = "",
    jid: str = "",
    url: str = "",
) -> str:
    """XEP-0054 §3. ``jid``: where they are written to; ``url``: where the network shows them."""
    photo = ""
    if picture is not None:
        photo = f"<PHOTO><TYPE>{picture.type}</TYPE><BINVAL>{_coded(picture)}</BINVAL></PHOTO>"
    said = (("FN", name), ("NICKNAME", nick), ("URL", url), ("JABBERID", jid))
    words = "".join(f"<{tag}>{text(value)}</{tag}>" for tag, value in said if value)
    return f"<vCard xmlns='vcard-temp'>{words}{photo}</vCard>"


def card4(
    name: str,
    kind: str,
    picture: PictureRow | None = None,
    *,
    nick: str = "",
    jid: str = "",
    url: str = "",
) -> str:
    """XEP-0292 §3. ``kind``: RFC 6350 §6.1.4; the rest as in `card`."""
    photo = ""
    if picture is not None:
        photo = f"<photo><uri>data:{picture.type};base64,{_coded(picture)}</uri></photo>"
    named = f"<fn><text>{text(name)}</text></fn><kind><text>{kind}</text></kind>"
    nicks = f"<nickname><text>{text(nick)}</text></nickname>" if nick else ""
    impp = f"<impp><uri>xmpp:{text(jid)}</uri></impp>" if jid else ""
    page = f"<url><uri>{text(url)}</uri></url>" if url else ""
    return f"<vcard xmlns='{VCARD4}'>{named}{nicks}{page}{impp}{photo}</vcard>"


def metadata(picture: PictureRow) -> str:
    """XEP-0084 §4.2: the item of the node, as are those that follow (REQ-341)."""
    info = (
        f"<info bytes='{len(picture.data)}' height='{picture.height}' id='{picture.hash}'"
        f" type='{picture.type}' width='{picture.width}'/>"
    )
    return _items(METADATA, picture.hash, f"<metadata xmlns='{METADATA}'>{info}</metadata>")


def no_metadata() -> str:
    """XEP-0084 §3.5: there is no picture any more."""
    return _items(METADATA, "none", f"<metadata xmlns='{METADATA}'/>")


def data(picture: PictureRow) -> str:
    """XEP-0084 §4.1."""
    return _items(DATA, picture.hash, f"<data xmlns='{DATA}'>{_coded(picture)}</data>")


def name_item(name: str) -> str:
    """XEP-0172 §4.3."""
    return _items(NICK, "current", f"<nick xmlns='{NICK}'>{text(name)}</nick>")


def card4_item(card: str) -> str:
    """XEP-0292 §3.2."""
    return _items(VCARD4_NODE, "current", card)


def event(inner: str) -> str:
    """Told to who wants to hear of it (XEP-0060 §7.1.2.1)."""
    return f"<event xmlns='{_PUBSUB}#event'>{inner}</event>"


def asked(payload: Element) -> tuple[str, list[str]]:
    """Which node is asked for, and which of its items if not all (XEP-0060 §6.5). An empty node
    is none."""
    query = payload.find(f"{{{_PUBSUB}}}items")
    if query is None:
        return "", []
    return query.get("node", ""), [item.get("id", "") for item in query]


def published(
    payload: Element, name: str, picture: PictureRow | None, card: Callable[[], str]
) -> str | None:
    """The answer to who asks for a node; None if there is no such thing. Of a picture there is
    only the one of now. ``card`` makes that of `card4`."""
    node, ids = asked(payload)
    inner = None
    if node == NICK and name:
        inner = name_item(name)
    elif node == VCARD4_NODE:
        inner = card4_item(card())
    elif picture is not None and (not ids or picture.hash in ids):
        made = {METADATA: metadata, DATA: data}.get(node)
        inner = None if made is None else made(picture)
    return None if inner is None else f"<pubsub xmlns='{_PUBSUB}'>{inner}</pubsub>"


def _items(node: str, id: str, payload: str) -> str:
    return f"<items node='{node}'><item id='{attribute(id)}'>{payload}</item></items>"


def _coded(picture: PictureRow) -> str:
    return base64.b64encode(picture.data).decode()
