# SPDX-License-Identifier: Apache-2.0
"""Previews of links, as XML (XEP-0511 §3.1): Cheogram and Gajim show them.

Without a picture, and without ``og:url``: clients might open that in place of the link that people
see. Converse.js wants messages of their own of a room (XEP-0422), which nobody else reads.
"""

from __future__ import annotations

from collections.abc import Iterable
from xml.etree.ElementTree import Element

from gateway.events import LinkPreview
from gateway.xmpp.codec.enclosing import OPEN_GRAPH, RDF
from gateway.xmpp.codec.xml import attribute, text

TAG = f"{{{RDF}}}Description"
_LONGEST = 2_000
_MOST = 5


def read(element: Element, to: list[LinkPreview]) -> None:
    """What a client says of a link; of what, and whether that is in the text, is for others to
    see."""

    def fact(name: str) -> str:
        return element.findtext(f"{{{OPEN_GRAPH}}}{name}", "")[:_LONGEST]

    url = element.get(f"{{{RDF}}}about", "")
    if len(url) <= _LONGEST and len(to) < _MOST:
        about = {"title": fact("title"), "description": fact("description")}
        to.append(LinkPreview(url=url, **about, site=fact("site_name")))


def described(previews: Iterable[LinkPreview]) -> str:
    """What stands beside the body."""
    return "".join(map(_described, previews))


def _described(preview: LinkPreview) -> str:
    facts = (
        ("title", preview.title),
        ("description", preview.description),
        ("site_name", preview.site),
    )
    told = "".join(
        f"<{name} xmlns='{OPEN_GRAPH}'>{text(fact)}</{name}>" for name, fact in facts if fact
    )
    about = f"xmlns:rdf='{RDF}' rdf:about='{attribute(preview.url)}'"
    return f"<Description xmlns='{RDF}' {about}>{told}</Description>"
