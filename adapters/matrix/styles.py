# SPDX-License-Identifier: Apache-2.0
"""The words of a message with their styles, both ways. No I/O.

Matrix spec, client-server API, "m.room.message msgtypes" (``formatted_body``), "Spoiler messages",
"Rich replies" (``mx-reply`` of older apps).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from gateway.text import Span, html
from gateway.text.html import Styled

_HTML = "org.matrix.custom.html"
_SPOILER = "data-mx-spoiler"
_REPLY = "mx-reply"
_MAX_READ_BYTES = 65_536
_MAX_WRITTEN_BYTES = 16_000
"""Of a text that is sent once more with its styles: an event has its limit."""


def formatted_words(content: Mapping[str, Any]) -> Styled | None:
    """As apps show them; None if there is no more than the plain text."""
    written = content.get("formatted_body")
    if content.get("format") != _HTML or not isinstance(written, str):
        return None
    if len(written) > _MAX_READ_BYTES:
        return None
    words = html.read(written, without=(_REPLY,), spoiler=_SPOILER)
    return words if words.text.strip() else None


def formatted(body: str, spans: Iterable[Span]) -> dict[str, str]:
    """What is said beside the plain text; nothing where that is enough. ``spans``: a tree."""
    written = html.write(body, spans, spoiler=_SPOILER)
    if not written or len(written.encode()) > _MAX_WRITTEN_BYTES:
        return {}
    return {"format": _HTML, "formatted_body": written}
