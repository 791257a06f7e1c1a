# SPDX-License-Identifier: Apache-2.0
"""A file that is shared, as XML: in each of the forms by which clients find one.

All clients take the address for a file that is the whole body and in XEP-0066 (REQ-441); what is
known of it is in XEP-0447 and, for Movim and Cheogram, in XEP-0385 (REQ-442). A hash is said only
of what was uploaded; nobody has read the other files yet. Dino then leaves the first of these two
aside.

A small picture is named in the last one alone, where Movim looks for it: Dino takes every picture
of the other one for a PNG in a ``data:`` URI, and shows nothing in its place (0.5).
"""

from __future__ import annotations

import base64

from gateway.events import FileKind, SharedFile
from gateway.media.names import name_in
from gateway.xmpp.codec.enclosing import JINGLE_FILE, METADATA, OOB, REFERENCE, SFS, SIMS
from gateway.xmpp.codec.xml import attribute, text

STICKERS = "urn:xmpp:stickers:0"
"""XEP-0449 §4.1, of no pack."""


def shared(file: SharedFile, id: str) -> str:
    """What stands beside the body. ``id``: of this file among others (XEP-0447 §3).

    References are to the end of the body, since Converse.js takes all for mentions: one without a
    place would be at its beginning, and show the address twice.
    """
    url = attribute(file.url)
    end = len(file.url)
    place = f"begin='{end}' end='{end}'"
    disposition = "attachment" if file.kind is FileKind.FILE else "inline"
    small = "" if file.thumbnail is None else _thumbnail(file.thumbnail)
    spoiler = "<spoiler xmlns='urn:xmpp:spoiler:0'/>" if file.is_spoiler else ""
    sticker = f"<sticker xmlns='{STICKERS}'/>" if file.kind is FileKind.STICKER else ""
    return (
        f"<x xmlns='{OOB}'><url>{text(file.url)}</url></x>"
        f"<file-sharing xmlns='{SFS}' disposition='{disposition}' id='{attribute(id)}'>"
        f"<file xmlns='{METADATA}'>{_facts(file)}</file><sources>"
        f"<url-data xmlns='http://jabber.org/protocol/url-data' target='{url}'/>"
        "</sources></file-sharing>"
        f"<reference xmlns='{REFERENCE}' type='data' {place}><media-sharing xmlns='{SIMS}'>"
        f"<file xmlns='{JINGLE_FILE}'>{_facts(file, has_extent=False)}{small}</file>"
        f"<sources><reference xmlns='{REFERENCE}' type='data' {place} uri='{url}'/></sources>"
        f"</media-sharing></reference>{spoiler}{sticker}"
    )


def _facts(file: SharedFile, *, has_extent: bool = True) -> str:
    """XEP-0446 §2; without what XEP-0234 §8 does not have."""
    length = None if file.duration_s is None else round(file.duration_s * 1000)
    extent = (("width", file.width), ("height", file.height), ("length", length))
    facts = (
        ("media-type", file.media_type),
        ("name", file.name or name_in(file.url)),  # without one Movim shows no file
        ("size", file.size),
        *(extent if has_extent else ()),
        ("desc", file.description),
    )
    told = "".join(
        f"<{name}>{text(str(fact))}</{name}>" for name, fact in facts if fact not in (None, "")
    )
    if file.sha256:
        coded = base64.b64encode(file.sha256).decode()
        told += f"<hash xmlns='urn:xmpp:hashes:2' algo='sha-256'>{coded}</hash>"
    return told


def _thumbnail(small: SharedFile) -> str:
    """XEP-0264 §4."""
    facts = (
        ("uri", small.url),
        ("media-type", small.media_type),
        ("width", small.width),
        ("height", small.height),
    )
    said = "".join(
        f" {name}='{attribute(str(fact))}'" for name, fact in facts if fact not in (None, "")
    )
    return f"<thumbnail xmlns='urn:xmpp:thumbs:1'{said}/>"


def in_words(body: str, file: SharedFile | None) -> str:
    """A file in a message of words: alone it would look as if somebody else had sent it."""
    return body if file is None else f"{body}\n{file.url}"
