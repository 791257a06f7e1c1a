# SPDX-License-Identifier: Apache-2.0
"""What of a file somebody wants who may have some of it already (RFC 9110 §13, §14)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from aiohttp import web

_RANGE = re.compile(r"bytes=(\d{1,18})?-(\d{1,18})?")
_TAG = re.compile(r'"[^"]*"')
Part = tuple[int, int]
"""First and last byte."""


@dataclass(frozen=True, slots=True)
class Range:
    """As it was asked for: without ``first`` it is the ``last`` bytes, however many there are."""

    first: int | None
    last: int | None

    def of(self, size: int) -> Part | None:
        """None for the whole, since nothing can be left out of an empty one.

        Raises `web.HTTPRequestRangeNotSatisfiable` (RFC 9110 §15.5.17).
        """
        if not size:
            return None
        if self.first is None:
            first, last = max(0, size - (self.last or 0)), size - 1
        else:
            first, last = self.first, size - 1 if self.last is None else self.last
        if first >= size or last < first:
            raise web.HTTPRequestRangeNotSatisfiable(headers={"Content-Range": f"bytes */{size}"})
        return first, min(last, size - 1)


def asked(request: web.Request, tag: str) -> Range | None:
    """None for all that is not one plain range, and for one of a file that is another one
    (``If-Range``, RFC 9110 §13.1.5): then the whole is wanted."""
    found = _RANGE.fullmatch(request.headers.get("Range", ""))
    if found is None or not (found[1] or found[2]):
        return None
    if request.headers.get("If-Range", tag).strip() != tag:
        return None
    first, last = (None if number is None else int(number) for number in found.groups())
    return Range(first, last)


def is_known(request: web.Request, tag: str) -> bool:
    """Whether who asks has it (``If-None-Match``, RFC 9110 §13.1.2): weak tags are as good."""
    said = request.headers.get("If-None-Match", "")
    return said.strip() == "*" or tag in _TAG.findall(said)
