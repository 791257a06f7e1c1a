# SPDX-License-Identifier: Apache-2.0
"""Where a secret may come from: the configuration, a file of its own, the environment.

No message of this module contains a secret, nor the name of a file: whoever mistakes
``secret_file`` for ``secret`` has written the secret there.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from yaml.nodes import Node, ScalarNode

from gateway.config.problems import Place, Problems, kind, tag_of
from gateway.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_UNUSABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


@dataclass(frozen=True, slots=True)
class _Way:
    """One way in which a secret was given."""

    name: str
    place: Place
    text: str = field(repr=False)
    is_path: bool


class SecretSource:
    """Finds secrets for one file; relative paths start at ``directory``."""

    def __init__(self, problems: Problems, directory: Path, environ: Mapping[str, str]) -> None:
        self._problems = problems
        self._directory = directory
        self._environ = environ
        self._owner_of_variable: dict[str, str] = {}

    def read(
        self,
        key: str,
        nodes: Mapping[str, tuple[Node, int]],
        section: Place,
        *,
        required: bool,
    ) -> Secret | None:
        """The secret called ``key`` of a section whose keys are ``nodes`` (node, line).

        None if it is absent and not required. Raises `Rejected`. An empty environment variable
        counts as absent.
        """
        place = section.child(key)
        ways = self._in_file(key, nodes, section) + self._in_environment(place)
        if len(ways) > 1:
            names = " and by ".join(way.name for way in ways)
            self._problems.reject(ways[0].place, f"given by {names}; keep one of them")
        if ways:
            (way,) = ways
            return self._file(way) if way.is_path else self._checked(way.text, way.place)
        if required:
            variable = variable_of(place)
            self._problems.reject(
                place,
                f'missing; give it as "{key}", as "{key}_file" (a path), '
                f"or by the environment variable {variable} or {variable}_FILE",
            )
        return None

    def _in_file(
        self, key: str, nodes: Mapping[str, tuple[Node, int]], section: Place
    ) -> list[_Way]:
        ways = []
        for name, is_path in ((key, False), (f"{key}_file", True)):
            if name in nodes:
                node, line = nodes[name]
                place = section.child(name, line)
                ways.append(_Way(f'"{name}"', place, self._text(node, place), is_path))
        return ways

    def _in_environment(self, place: Place) -> list[_Way]:
        variable = variable_of(place)
        ways = []
        for name, is_path in ((variable, False), (f"{variable}_FILE", True)):
            owner = self._owner_of_variable.setdefault(name, place.where)
            if value := self._environ.get(name):
                if owner != place.where:
                    self._problems.reject(
                        place, f"{name} means {owner} as well; write it into the file"
                    )
                ways.append(_Way(name, place, value, is_path))
        return ways

    def _text(self, node: Node, place: Place) -> str:
        if not isinstance(node, ScalarNode) or tag_of(node) != "str":
            hint = "; put it in quotes" if kind(node) in {"a number", "true or false"} else ""
            self._problems.reject(place, f"expected text, found {kind(node)}{hint}")
        return str(node.value)

    def _file(self, way: _Way) -> Secret:
        place = way.place
        try:
            content = (self._directory / way.text).read_text(encoding="utf-8")
        except UnicodeDecodeError:
            self._problems.reject(place, "the secret's file is not UTF-8 text")
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or "its name is not usable"
            self._problems.reject(
                place,
                f"the secret's file cannot be read: {reason} "
                f"(relative paths start at {self._directory})",
            )
        return self._checked(content.rstrip("\r\n"), place)

    def _checked(self, text: str, place: Place) -> Secret:
        if not text:
            self._problems.reject(place, "the secret is empty")
        if _UNUSABLE.search(text):
            self._problems.reject(place, "the secret has characters that are not text")
        return Secret(text)


def variable_of(place: Place) -> str:
    """The environment variable of a key: ``DRAGOMAN_NETWORKS_MATRIX_SECRET``."""
    return "DRAGOMAN_" + re.sub(r"[.-]", "_", place.where).upper()
