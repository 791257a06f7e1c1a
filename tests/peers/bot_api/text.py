# SPDX-License-Identifier: Apache-2.0
"""Text with entities, counted in UTF-16 code units as everything in the Bot API is."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from .errors import Misuse, bad

Entity = dict[str, Any]

_MOST_ENTITIES = 100
_IN_ALL = {"bold", "italic", "underline", "strikethrough", "spoiler"}
_IN_QUOTES = _IN_ALL | {"custom_emoji"}
_QUOTES = {"blockquote", "expandable_blockquote"}
_FOUND = (
    ("url", re.compile(r"https?://[^\s<>\"]*[^\s<>\".,;:!?)]")),
    ("email", re.compile(r"(?<![\w.@/])[\w.+-]+@[\w-]+(?:\.[\w-]+)+")),
    ("mention", re.compile(r"(?<![\w@/.])@[A-Za-z][A-Za-z0-9_]{3,31}\b")),
    ("bot_command", re.compile(r"(?<![\w/@])/[A-Za-z0-9_]{1,64}(?:@\w+)?\b(?!/)")),
    ("hashtag", re.compile(r"(?<![\w#])#\w*[^\W\d]\w*")),
)


def units(text: str) -> int:
    """Length in UTF-16 code units."""
    return len(text.encode("utf-16-le")) // 2


def part(text: str, offset: int, length: int) -> str:
    """What an entity covers."""
    coded = text.encode("utf-16-le")
    return coded[2 * offset : 2 * (offset + length)].decode("utf-16-le")


def styles_of_part(entities: Iterable[Entity], begin: int, length: int) -> list[Entity]:
    """Those that a quote of a part keeps, as they are in that."""
    found = []
    for each in entities:
        first = max(each["offset"], begin)
        last = min(each["offset"] + each["length"], begin + length)
        if each["type"] in _IN_QUOTES and first < last:
            found.append({**each, "offset": first - begin, "length": last - first})
    return found


def put_right(
    text: str, entities: Iterable[Entity] = (), *, limit: int, too_long: str
) -> tuple[str, list[Entity]]:
    """The text as it is stored: trimmed, with entities that are found in it too.

    Raises ApiError for entities that do not fit it, and for more than `limit` code units.
    """
    given = sorted(entities, key=_order)
    _check(text, given)
    _check_nesting(given)
    skipped = units(text) - units(text.lstrip())
    text = text.strip()
    if units(text) > limit:
        raise bad(too_long)
    moved = [_moved(each, skipped, units(text)) for each in given[:_MOST_ENTITIES]]
    kept = [each for each in moved if each["length"] > 0]
    return text, sorted([*kept, *_found(text, kept)], key=_order)


def _order(entity: Entity) -> tuple[int, int, bool]:
    """What is outside comes first."""
    return entity["offset"], -entity["length"], entity["type"] not in _QUOTES


def _check(text: str, entities: list[Entity]) -> None:
    at: dict[int, int] = {}
    offset = place = 0
    for character in text:
        at[offset] = place
        offset += units(character)
        place += len(character.encode())
    at[offset] = place
    for entity in entities:
        first, length = entity["offset"], entity["length"]
        if first < 0:
            raise bad(f"receive an entity with incorrect offset {first}")
        if length < 0:
            raise bad(f"receive an entity with incorrect length {length}")
        last = first + length
        if first > offset:
            raise bad(f"entity begins after the end of the text at UTF-16 offset {first}")
        if last > offset:
            raise bad(
                f"entity beginning at UTF-16 offset {first} ends after the end of the text"
                f" at UTF-16 offset {last}"
            )
        if first not in at:
            raise bad(
                f"entity begins in a middle of a UTF-16 symbol at byte offset {at[first + 1]}"
            )
        if last not in at:
            raise bad(
                f"entity beginning at UTF-16 offset {first} ends in a middle of a UTF-16 symbol"
                f" at byte offset {at[last + 1]}"
            )


def _check_nesting(entities: list[Entity]) -> None:
    """What may be in what: core.telegram.org/bots/api#formatting-options.

    Telegram makes something of all that, without a word.
    """
    around: list[Entity] = []
    for entity in entities:
        first, last = entity["offset"], entity["offset"] + entity["length"]
        around = [each for each in around if each["offset"] + each["length"] > first]
        for outer in around:
            if last > outer["offset"] + outer["length"]:
                raise Misuse(f"{entity} begins in {outer} and ends outside of it")
            if not _may_be_in(entity["type"], outer["type"]):
                raise Misuse(f"a {entity['type']} can't be in a {outer['type']}")
        around.append(entity)


def _may_be_in(inner: str, outer: str) -> bool:
    if outer in ("pre", "code"):
        return False
    if outer in _QUOTES:
        return inner not in _QUOTES
    if inner in ("pre", "code"):
        return False
    return inner in _IN_ALL or outer in _IN_ALL


def _moved(entity: Entity, skipped: int, end: int) -> Entity:
    first = min(max(entity["offset"] - skipped, 0), end)
    last = min(max(entity["offset"] + entity["length"] - skipped, 0), end)
    return {**entity, "offset": first, "length": last - first}


def _found(text: str, given: list[Entity]) -> list[Entity]:
    taken = [(each["offset"], each["offset"] + each["length"]) for each in given]
    found = []
    for kind, pattern in _FOUND:
        for match in pattern.finditer(text):
            first = units(text[: match.start()])
            last = first + units(match[0])
            if all(last <= start or end <= first for start, end in taken):
                taken.append((first, last))
                found.append({"type": kind, "offset": first, "length": last - first})
    return found
