# SPDX-License-Identifier: Apache-2.0
"""Collecting the problems of a file, and the words to describe what is in it.

No value of a key that may hold a secret is ever put into a message, nor text that stands where a
section belongs: it may be a secret whose key lost its colon.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from gateway.errors import ConfigError, Problem

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

_TAG = "tag:yaml.org,2002:"
_KEY_LIKE = re.compile(r"[\w.*-]{1,64}")
_LONGEST_QUOTE = 80


class Rejected(Exception):
    """A value cannot be used; its problem has been reported."""


@dataclass(frozen=True, slots=True)
class Place:
    """A key of the file: its path and its line."""

    where: str = ""
    line: int | None = None

    def child(self, key: str, line: int | None = None) -> Place:
        """A key of this section; on the section's own line if the key is not there."""
        return Place(f"{self.where}.{key}" if self.where else key, line or self.line)

    def item(self, index: int, line: int) -> Place:
        """An entry of this list."""
        return Place(f"{self.where}[{index}]", line)


class Problems:
    """The problems found so far in one file."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._found: list[Problem] = []

    def add(self, place: Place, message: str) -> None:
        """Report a problem and go on."""
        self._found.append(
            Problem(file=self._file, where=place.where, message=message, line=place.line)
        )

    def reject(self, place: Place, message: str) -> NoReturn:
        """Report a problem of a value that is thereby unusable. Raises `Rejected`."""
        self.add(place, message)
        raise Rejected(message)

    def raise_any(self) -> None:
        """Raise `ConfigError` with everything reported, by line, if anything was."""
        if self._found:
            raise ConfigError(sorted(self._found, key=lambda problem: problem.line or 0))


def tag_of(node: Node) -> str:
    """The short name of a node's YAML type: ``str``, ``int``, ``null``, …"""
    return node.tag.removeprefix(_TAG)


def line_of(node: Node) -> int:
    """The line on which a node begins, counted from 1."""
    return node.start_mark.line + 1


def quoted(text: str) -> str:
    """Text of the file in quotes, shortened, and safe to print on a terminal."""
    if len(text) > _LONGEST_QUOTE:
        text = text[:_LONGEST_QUOTE] + "…"
    printable = "".join(c if c.isprintable() else f"\\u{{{ord(c):x}}}" for c in text)
    return f'"{printable}"'


def key_text(node: Node) -> str | None:
    """A key as written, or None if it does not look like one and must not be repeated."""
    if isinstance(node, ScalarNode) and _KEY_LIKE.fullmatch(node.value):
        return str(node.value)
    return None


def kind(node: Node) -> str:
    """What a node is, without its value."""
    match node:
        case MappingNode():
            return "a section"
        case SequenceNode():
            return "a list"
    words = {"null": "nothing", "int": "a number", "float": "a number", "bool": "true or false"}
    return words.get(tag_of(node), "text")


def found(node: Node) -> str:
    """What a node is, with its value. Not for anything that may be a secret."""
    if not isinstance(node, ScalarNode):
        return kind(node)
    text = quoted(node.value)
    match tag_of(node):
        case "null":
            return "nothing"
        case "int" | "float":
            return f"the number {text[1:-1]}"
        case "bool":
            return f"{text[1:-1]}, which YAML takes for true or false"
    return text


def nearest(word: str, words: Iterable[str]) -> str | None:
    """The one of ``words`` that was probably meant."""
    return next(iter(difflib.get_close_matches(word, words, n=1, cutoff=0.6)), None)


def suggestion(word: str, words: Iterable[str], all_of_them: str) -> str:
    """``; did you mean "secret"?``, or else all that there are, introduced by ``all_of_them``."""
    choice = sorted(words)
    if meant := nearest(word, choice):
        return f'; did you mean "{meant}"?'
    return f"; {all_of_them}: {', '.join(choice) or 'none'}"
