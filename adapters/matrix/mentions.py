# SPDX-License-Identifier: Apache-2.0
"""Who is named in a message, both ways. No I/O.

Matrix spec, client-server API, "User and room mentions"; appendices, "matrix.to navigation",
"matrix: URI scheme". Apps name people by links in the formatted text, and tell those who are to be
notified; old ones have only an id in the text. As in `inbound`, nothing here raises for what
strangers have written, and no pattern runs long, whatever it is given.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import quote, unquote

from adapters.matrix.ids import is_user_id
from adapters.matrix.inbound import as_dict
from gateway.events import Mention
from gateway.ids import RemoteUserId
from gateway.text import Span, Style, find_word
from gateway.text.html import Styled

_MOST = 50
_LINKS = {"https://matrix.to/#/": "", "matrix:u/": "@"}
"""What comes before the id of a person, and what is left out of that."""
_LINK = r"(?:https://matrix\.to/#/|matrix:u/)"
_IN_MARKDOWN = re.compile(rf"\[[^\[\]\n]{{1,300}}\]\(<?({_LINK}[^()<>\s]{{1,400}})>?\)")
_ID = re.compile(r"(?<![\w/])@[!-9;-?A-~]{1,200}:[a-z0-9.\-]{0,200}[a-z0-9](?::\d{1,5})?")
"""Without a second ``@``, so that many of them are looked at once."""
_EVERYBODY = "@room"


# --- inbound ----------------------------------------------------------------------------------


def mentions_in(
    content: Mapping[str, Any], words: Styled, sent: Mapping[str, Any] | None = None
) -> tuple[Mention, ...]:
    """Whom a message names. ``words``: as they are told. ``sent``: the content of the event, if it
    is an edit; by that one only those are notified who were not before."""
    body = words.text
    told = as_dict((content if sent is None else sent).get("m.mentions"))
    listed = as_dict(content.get("m.mentions"))
    is_told = "m.mentions" in content or (sent is not None and "m.mentions" in sent)
    notified = set(_users(told))
    found = [
        Mention(user=user, begin=begin, end=end, notify=not is_told or user in notified)
        for user, begin, end in _places(words)
    ]
    named = {mention.user for mention in found}
    found += [
        Mention(user=user, notify=user in notified)
        for user in dict.fromkeys(_users(listed))
        if user not in named
    ]
    if listed.get("room") is True:
        begin = max(find_word(body, _EVERYBODY), 0)
        end = begin + len(_EVERYBODY) if body.startswith(_EVERYBODY, begin) else begin
        found.append(Mention(user=None, begin=begin, end=end, notify=told.get("room") is True))
    return tuple(found[:_MOST])


def _users(mentions: Mapping[str, Any]) -> list[RemoteUserId]:
    listed = mentions.get("user_ids")
    users = listed[:_MOST] if isinstance(listed, list) else ()
    return [RemoteUserId(user) for user in users if is_user_id(user)]


def without_people(spans: Iterable[Span]) -> tuple[Span, ...]:
    """Those that name nobody: mentions say that."""
    return tuple(span for span in spans if _of_link(span) is None)


def _places(words: Styled) -> Iterator[tuple[RemoteUserId, int, int]]:
    body = words.text
    yield from list(_in_links(words)) or list(_in_markdown(body))
    if "@" in body:
        for found in _ID.finditer(body):
            if is_user_id(found[0]):
                yield RemoteUserId(found[0]), found.start(), found.end()


def _of_link(span: Span) -> RemoteUserId | None:
    is_link = span.style is Style.LINK and span.value.startswith(tuple(_LINKS))
    return _person(span.value) if is_link else None


def _in_links(words: Styled) -> Iterator[tuple[RemoteUserId, int, int]]:
    for span in words.spans:
        user = _of_link(span)
        if user is not None:
            name = words.text[span.begin : span.end]
            begin = span.begin + (name.startswith("@") and name != user and len(name) > 1)
            yield user, begin, span.end


def _in_markdown(body: str) -> Iterator[tuple[RemoteUserId, int, int]]:
    """Some apps write the text as it was typed, with the whole link."""
    if any(link in body for link in _LINKS):
        for found in _IN_MARKDOWN.finditer(body):
            if (user := _person(found[1])) is not None:
                yield user, found.start(), found.end()


def _person(link: str) -> RemoteUserId | None:
    start, sign = next(found for found in _LINKS.items() if link.startswith(found[0]))
    user = sign + unquote(link.removeprefix(start).partition("?")[0])
    return RemoteUserId(user) if is_user_id(user) else None


# --- outbound ---------------------------------------------------------------------------------


def listed(mentions: Iterable[Mention]) -> dict[str, Any]:
    """The content of ``m.mentions``: who is notified."""
    users = list(dict.fromkeys(each.user for each in mentions if each.user is not None))
    everybody = any(each.user is None for each in mentions)
    return ({"user_ids": users} if users else {}) | ({"room": True} if everybody else {})


def links(mentions: Iterable[Mention]) -> list[Span]:
    """The parts of the text that lead to those who are named there."""
    return [
        Span(Style.LINK, each.begin, each.end, f"https://matrix.to/#/{_quoted(each.user)}")
        for each in mentions
        if each.user is not None and 0 <= each.begin < each.end
    ]


def _quoted(user: RemoteUserId) -> str:
    return quote(user, safe="@:.-_~!$*+=")
