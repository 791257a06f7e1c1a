# SPDX-License-Identifier: Apache-2.0
"""What a message says of where its links lead: "bundled URL previews" (MSC4095), by the names that
apps use until that is a part of the specification, and by the later ones. No I/O.

Homeservers make previews too, of links that they are shown: they would learn of links in encrypted
rooms, and are not asked (REQ-452). Pictures of previews are left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from adapters.matrix.inbound import as_dicts
from adapters.matrix.text import clean
from gateway.events import LinkPreview

_NAMES = (("m.url_previews", "matrix:matched_url"), ("com.beeper.linkpreviews", "matched_url"))
_MOST = 10
_MAX_BYTES = 4_000


def previews_in(content: Mapping[str, Any]) -> tuple[LinkPreview, ...]:
    """Of an event, or of the new content of an edit. What names no link is none; one that says
    nothing of it only asks to look it up."""
    for name, url in _NAMES:
        found = as_dicts(content.get(name))[:_MOST]
        told = [_preview(entry, entry[url]) for entry in found if _is_text(entry.get(url))]
        if told:
            return tuple(one for one in told if one.title or one.description)
    return ()


def bundled(previews: Sequence[LinkPreview]) -> dict[str, Any]:
    """The same of what the user says."""
    if not previews:
        return {}
    name, url = _NAMES[-1]
    return {name: [_bundled(preview, url) for preview in previews]}


def _bundled(preview: LinkPreview, url: str) -> dict[str, str]:
    facts = {
        url: preview.url,
        "og:title": preview.title,
        "og:description": preview.description,
        "og:site_name": preview.site,
    }
    return {name: fact for name, fact in facts.items() if fact}


def _is_text(value: object) -> bool:
    return isinstance(value, str) and clean(value, _MAX_BYTES) == value


def _preview(entry: Mapping[str, Any], url: str) -> LinkPreview:
    return LinkPreview(
        url=url,
        title=_text(entry.get("og:title")),
        description=_text(entry.get("og:description")),
        site=_text(entry.get("og:site_name")),
    )


def _text(value: object) -> str:
    return clean(value, _MAX_BYTES) if isinstance(value, str) else ""
