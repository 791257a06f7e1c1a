# SPDX-License-Identifier: Apache-2.0
"""Previews of links that networks hand over with a text: what of them users are told (REQ-452).

Whoever has sent the text may have written them too. So they are short, and of a link that the
reader sees: else they would be words that nobody can tell from a page of the web.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from msgspec import structs

from gateway.bridge.splitting import one_line
from gateway.events import LinkPreview
from gateway.text import Span, Style

_MOST = 5
"""In one text. Apps of networks make one."""
_LONGEST_URL = 2_000
_TITLE_CHARS = 200
_DESCRIPTION_CHARS = 500
_LINK = re.compile(r"https?://[^\s<>\"]+", re.IGNORECASE)
_AFTER = ".,:;!?)]}'*_~`"
"""What stands after a link and may be no part of it."""


def shown(
    previews: Sequence[LinkPreview], text: str, spans: Iterable[Span]
) -> tuple[LinkPreview, ...]:
    """Those of the links in a text, one of each, and as they can be told. None of a text of which
    something is hidden: clients would show beside it what it hides."""
    spans = tuple(spans)
    if not previews or any(span.style is Style.SPOILER for span in spans):
        return ()
    there, told = set(_links(text, spans)), dict[str, LinkPreview]()
    for preview in previews:
        if preview.url in there and preview.url not in told and len(told) < _MOST:
            legible = _legible(preview)
            if legible.title or legible.description:
                told[preview.url] = legible
    return tuple(told.values())


def _links(text: str, spans: Iterable[Span]) -> Iterator[str]:
    found = [link[0] for link in _LINK.finditer(text)]
    found += [
        span.value for span in spans if span.style is Style.LINK and _LINK.fullmatch(span.value)
    ]
    for link in found:
        if len(link) <= _LONGEST_URL:
            yield link
            yield link.rstrip(_AFTER)


def _legible(preview: LinkPreview) -> LinkPreview:
    return structs.replace(
        preview,
        title=one_line(preview.title, _TITLE_CHARS),
        description=one_line(preview.description, _DESCRIPTION_CHARS),
        site=one_line(preview.site, _TITLE_CHARS),
    )
