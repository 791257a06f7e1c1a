# SPDX-License-Identifier: Apache-2.0
"""What the gateway's own bot says for people without an account: their name is before it, in bold.
No I/O.

One name is before each message, so also before each part of a long text and in each edit: other
messages may stand between, and people see who speaks by nothing else.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from msgspec import structs

from gateway.adapter import AUTHOR_BYTES
from gateway.events import Author, SendRoomText
from gateway.ids import user_of
from gateway.text import Span, Style, clean, moved, tree, within

_LONGEST = 48
"""Characters of a name. They are far fewer bytes than are left for it, whatever they are."""
assert 4 * _LONGEST + len("…:\n".encode()) <= AUTHOR_BYTES
_ME: Final = "/me "
_BLOCKS = frozenset({Style.QUOTE, Style.CODE_BLOCK})
_BREAKS = frozenset({"Cc", "Cs", "Co", "Zl", "Zp"})
"""Unicode categories of what ends a line, or is none."""
_BLANK = frozenset("\u115f\u1160\u2800\u3164\uffa0")
"""Letters that nobody sees."""
_JOINER = "\u200d"
"""Holds emoji together. All else of its category (Cf) turns a line, or hides in it."""
_NO_MENTION = "@\u2060"
"""An at sign that calls nobody: Telegram looks for names right behind it."""
_COMMAND: Final = re.compile(r"(?<!\w)/(?=\w)")
_NO_COMMAND = "/\u2060"
"""Nor is what stands behind this a command, which people send by a tap on it."""


def shown_name(author: Author) -> str:
    """What somebody is called in a group: one line without anything that makes it look like
    something else."""
    name = _one_line(author.name) or _one_line(user_of(author.user))
    if len(name) > _LONGEST:
        name = f"{name[: _LONGEST - 1].rstrip()}…"
    return _COMMAND.sub(_NO_COMMAND, name.replace("@", _NO_MENTION))


def _one_line(text: str) -> str:
    return " ".join("".join(map(_shown, clean(text))).split()).strip(_JOINER)


def _shown(char: str) -> str:
    kind = unicodedata.category(char)
    if kind == "Cf" and char != _JOINER:
        return ""
    return " " if kind in _BREAKS or char in _BLANK else char


def as_said(command: SendRoomText) -> SendRoomText:
    """What the bot says for the author of a command; the command itself if it has none, or if
    nothing is said, which a name does not make a message."""
    is_nothing = command.file is None and not command.body.strip()
    if command.author is None or is_nothing:
        return command
    name, body = shown_name(command.author), command.body
    is_action = body.startswith(_ME) and body.removeprefix(_ME).strip() and not command.is_further
    begin = len(_ME) if is_action else len(body) - len(body.lstrip("\n"))
    rest = body[begin:]
    spans = within(command.spans, begin, len(body))
    mark = " " if is_action else _mark(rest, spans)
    shift = len(name) + len(mark) - begin
    said = f"{name}{mark}{rest}"
    styles = [Span(Style.BOLD, 0, len(name)), *moved(spans, len(name) + len(mark))]
    if is_action:
        styles.insert(0, Span(Style.ITALIC, 0, len(said)))
    return structs.replace(
        command,
        body=said,
        spans=tree(styles, len(said)),
        mentions=tuple(
            structs.replace(each, begin=max(each.begin + shift, 0), end=max(each.end + shift, 0))
            for each in command.mentions
        ),
        author=None,
    )


def _mark(words: str, spans: tuple[Span, ...]) -> str:
    """What is between a name and what is said: a file alone has nothing, and lines that belong
    together begin below the name."""
    if not words:
        return ""
    has_block = any(span.begin == 0 and span.style in _BLOCKS for span in spans)
    return ":\n" if has_block or "\n" in words.strip() else ": "
