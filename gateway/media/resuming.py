# SPDX-License-Identifier: Apache-2.0
"""The rest of a file whose server broke off: asked for where it can only be the same file."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from email.utils import parsedate_to_datetime
from typing import Self

from aiohttp import ClientResponse

_STRONG = re.compile(r'"[\x21\x23-\x7e\x80-\xff]*"')
"""An ETag of a file that is the same byte by byte (RFC 9110 §8.8.3)."""
_APART = timedelta(seconds=1)
"""A file that is newer may have been changed within that second (RFC 9110 §8.8.2.2)."""


@dataclass(frozen=True, slots=True)
class Mark:
    """By what a file is known again."""

    header: str
    value: str
    size: int

    @classmethod
    def of(cls, answer: ClientResponse) -> Self | None:
        """None if its server says nothing by which that could be seen."""
        size, tag = answer.content_length, answer.headers.get("ETag", "")
        if size is None:
            return None
        if _STRONG.fullmatch(tag):
            return cls("ETag", tag, size)
        changed = answer.headers.get("Last-Modified", "")
        try:
            age = parsedate_to_datetime(answer.headers["Date"]) - parsedate_to_datetime(changed)
        except (KeyError, TypeError, ValueError):
            return None
        return cls("Last-Modified", changed, size) if age >= _APART else None

    def asking(self, first: int) -> dict[str, str]:
        """Headers for what begins there: a server that has another file gives that from its
        beginning (RFC 9110 §13.1.5)."""
        return {"Range": f"bytes={first}-", "If-Range": self.value}

    def is_rest(self, answer: ClientResponse, first: int) -> bool:
        """Whether that is what was asked for. Some servers do not look at ``If-Range``."""
        place = f"bytes {first}-{self.size - 1}/{self.size}"
        return (
            answer.status == 206
            and answer.headers.get("Content-Range") == place
            and answer.headers.get(self.header) == self.value
            and answer.headers.get("Content-Encoding", "identity") == "identity"
        )
