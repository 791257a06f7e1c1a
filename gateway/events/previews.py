# SPDX-License-Identifier: Apache-2.0
"""What links in a text lead to, as somebody else says: the gateway looks at no link itself."""

from __future__ import annotations

from gateway.events.record import Record


class LinkPreview(Record, frozen=True, kw_only=True):
    """Of one link. It may all be wrong."""

    url: str
    """As it stands in the text."""
    title: str = ""
    description: str = ""
    site: str = ""
    """What the place calls itself at which the page is."""
