# SPDX-License-Identifier: Apache-2.0
"""Whom a user names in a chat (REQ-439): by a reference, or the contact by their name where people
address others. For rooms see `gateway.bridge.rooms.addressing`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from msgspec import structs

from gateway.bridge.rooms.mentions import MOST, placed
from gateway.events import Mention
from gateway.ids import RemoteUserId


def mentioned(
    people: Iterable[Mention], whole: str, body: str, contact: RemoteUserId, name: str
) -> tuple[Mention, ...]:
    """All who are named in ``body``. ``people``: whom the client names in the whole text, of which
    what stood above it was cut off. ``name``: of the contact."""
    cut = len(whole) - len(body) if whole.endswith(body) else len(whole)
    pointed = [
        each
        if each.begin == each.end
        else structs.replace(each, begin=each.begin - cut, end=each.end - cut)
        for each in people
    ]
    inside = [each for each in pointed if each.begin >= 0]
    named = placed(inside, len(body))
    by_words = [
        each
        for each in _called(body, contact, name)
        if all(each.end <= other.begin or other.end <= each.begin for other in named)
    ]
    named = placed([*named, *by_words], len(body))
    nowhere = [each for each in inside if each.begin == each.end]
    return tuple([*named, *nowhere][:MOST])


def _called(body: str, contact: RemoteUserId, name: str) -> Iterator[Mention]:
    """At the beginning with a colon or a comma, and with a sign anywhere; else it is a word. Not
    in a line that quotes somebody."""
    if name and name.lower() in body.lower():
        word = re.escape(name)
        pattern = rf"\A{word}(?=[:,])|(?<![\w@/.])@{word}(?!\w)"
        for found in re.finditer(pattern, body, re.IGNORECASE):
            begin = found.start() + (found[0][0] == "@" != name[0])
            if not body.startswith(">", body.rfind("\n", 0, begin) + 1):
                yield Mention(user=contact, begin=begin, end=found.end())
