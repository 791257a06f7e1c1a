# SPDX-License-Identifier: Apache-2.0
"""Who is named in a message of a group, both ways. No I/O.

Matrix spec, client-server API, "User and room mentions"; appendices, "matrix.to navigation",
"matrix: URI scheme". Apps name people by links in the formatted text, and tell those who are to be
notified; old ones have only an id in the text. As in `inbound`, nothing here raises for what
strangers have written, and no pattern runs long, whatever it is given.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import quote, unquote

from adapters.matrix.ids import is_user_id
from adapters.matrix.inbound import as_dict
from gateway.events import Mention
from gateway.ids import RemoteUserId
from gateway.text import find_word

_MOST = 50
_LINKS = {"https://matrix.to/#/": "", "matrix:u/": "@"}
"""What comes before the id of a person, and what is left out of that."""
_LINK = r"(?:https://matrix\.to/#/|matrix:u/)"
_IN_HTML = re.compile(
    rf"<a\s[^<>]{{0,100}}?href=[\"']({_LINK}[^\"'<>]{{1,400}})[\"'][^<>]{{0,200}}>([^<>]{{1,300}})</a>"
)
_IN_MARKDOWN = re.compile(rf"\[[^\[\]\n]{{1,300}}\]\(<?({_LINK}[^()<>\s]{{1,400}})>?\)")
_ID = re.compile(r"(?<![\w/])@[!-9;-?A-~]{1,200}:[a-z0-9.\-]{0,200}[a-z0-9](?::\d{1,5})?")
"""Without a second ``@``, so that many of them are looked at once."""
_EVERYBODY = "@room"
_MAX_FORMATTED_BYTES = 4_000
"""Of a text that is sent once more with links in it: an event has its limit."""


# --- inbound ----------------------------------------------------------------------------------


def mentions_in(
    content: Mapping[str, Any], body: str, sent: Mapping[str, Any] | None = None
) -> tuple[Mention, ...]:
    """Whom a message names. ``body``: its words as they are told. ``sent``: the content of the
    event, if it is an edit; by that one only those are notified who were not before."""
    told = as_dict((content if sent is None else sent).get("m.mentions"))
    listed = as_dict(content.get("m.mentions"))
    is_told = "m.mentions" in content or (sent is not None and "m.mentions" in sent)
    notified = set(_users(told))
    found = [
        Mention(user=user, begin=begin, end=end, notify=not is_told or user in notified)
        for user, begin, end in _places(content, body)
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


def _places(content: Mapping[str, Any], body: str) -> Iterator[tuple[RemoteUserId, int, int]]:
    linked = list(_in_markdown(body)) or list(_in_html(content.get("formatted_body"), body))
    yield from linked
    if "@" in body:
        for found in _ID.finditer(body):
            if is_user_id(found[0]):
                yield RemoteUserId(found[0]), found.start(), found.end()


def _in_markdown(body: str) -> Iterator[tuple[RemoteUserId, int, int]]:
    """Some apps write the text as it was typed, with the whole link."""
    if any(link in body for link in _LINKS):
        for found in _IN_MARKDOWN.finditer(body):
            if (user := _person(found[1])) is not None:
                yield user, found.start(), found.end()


def _in_html(formatted: object, body: str) -> Iterator[tuple[RemoteUserId, int, int]]:
    """Where the words of each link are in the text, one after the other."""
    if not isinstance(formatted, str) or not any(link in formatted for link in _LINKS):
        return
    own_words = formatted.rpartition("</mx-reply>")[2]
    begin = 0
    for _, found in zip(range(_MOST), _IN_HTML.finditer(own_words), strict=False):
        user, name = _person(html.unescape(found[1])), html.unescape(found[2])
        if user is None:
            continue
        if name.startswith("@") and name != user:
            name = name[1:]
        place = find_word(body, name, begin)
        if place >= 0:
            begin = place + len(name)
            yield user, place, begin


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


def formatted(body: str, mentions: Iterable[Mention]) -> dict[str, str]:
    """The text with links; places are those in it. Nothing where no link is."""
    links = [each for each in mentions if each.user is not None and 0 <= each.begin < each.end]
    if not links or len(body.encode()) > _MAX_FORMATTED_BYTES:
        return {}
    written, end = [], 0
    for link in links:
        words = body[link.begin : link.end]
        written += [_escaped(body[end : link.begin]), _linked(link.user, words)]
        end = link.end
    text = "".join([*written, _escaped(body[end:])])
    return {"format": "org.matrix.custom.html", "formatted_body": text}


def _linked(user: RemoteUserId | None, words: str) -> str:
    address = quote(user or "", safe="@:.-_~!$*+=")
    return f'<a href="https://matrix.to/#/{html.escape(address)}">{_escaped(words)}</a>'


def _escaped(text: str) -> str:
    return html.escape(text, quote=False).replace("\n", "<br/>")
