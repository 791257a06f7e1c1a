# SPDX-License-Identifier: Apache-2.0
"""Names and pictures as clients ask for them: vCards of both kinds, and what is published of them.

XEP-0054, XEP-0084, XEP-0153, XEP-0292.
"""

from __future__ import annotations

import base64

from gateway.store.avatars import PictureRow
from gateway.xmpp.codec.xml import attribute, text

DATA, METADATA = "urn:xmpp:avatar:data", "urn:xmpp:avatar:metadata"
VCARD4, VCARD4_NODE = "urn:ietf:params:xml:ns:vcard-4.0", "urn:xmpp:vcard4"
_PUBSUB = "http://jabber.org/protocol/pubsub"


def update(hash: str | None) -> str:
    """XEP-0153 §4.1 (REQ-313): empty if there is none, and without a hash while it is not known:
    an empty one would take away what the client has."""
    if hash is None:
        return "<x xmlns='vcard-temp:x:update'/>"
    photo = f"<photo>{hash}</photo>" if hash else "<photo/>"
    return f"<x xmlns='vcard-temp:x:update'>{photo}</x>"


def card(name: str, picture: PictureRow | None = None) -> str:
    """XEP-0054 §3."""
    photo = ""
    if picture is not None:
        photo = f"<PHOTO><TYPE>{picture.type}</TYPE><BINVAL>{_coded(picture)}</BINVAL></PHOTO>"
    named = f"<FN>{text(name)}</FN>" if name else ""
    return f"<vCard xmlns='vcard-temp'>{named}{photo}</vCard>"


def card4(name: str, kind: str, picture: PictureRow | None = None) -> str:
    """XEP-0292 §3. ``kind``: RFC 6350 §6.1.4."""
    photo = ""
    if picture is not None:
        photo = f"<photo><uri>data:{picture.type};base64,{_coded(picture)}</uri></photo>"
    named = f"<fn><text>{text(name)}</text></fn><kind><text>{kind}</text></kind>"
    return f"<vcard xmlns='{VCARD4}'>{named}{photo}</vcard>"


def metadata(picture: PictureRow) -> str:
    """XEP-0084 §4.2: an item (REQ-341)."""
    info = (
        f"<info bytes='{len(picture.data)}' height='{picture.height}' id='{picture.hash}'"
        f" type='{picture.type}' width='{picture.width}'/>"
    )
    return _item(METADATA, picture.hash, f"<metadata xmlns='{METADATA}'>{info}</metadata>")


def data(picture: PictureRow) -> str:
    """XEP-0084 §4.1: likewise."""
    return _item(DATA, picture.hash, f"<data xmlns='{DATA}'>{_coded(picture)}</data>")


def card4_item(card: str) -> str:
    """XEP-0292 §3.2."""
    return _item(VCARD4_NODE, "current", card)


def _item(node: str, id: str, payload: str) -> str:
    return (
        f"<pubsub xmlns='{_PUBSUB}'><items node='{node}'>"
        f"<item id='{attribute(id)}'>{payload}</item></items></pubsub>"
    )


def _coded(picture: PictureRow) -> str:
    return base64.b64encode(picture.data).decode()
