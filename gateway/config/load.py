# SPDX-License-Identifier: Apache-2.0
"""Reading the configuration file, with every problem of it at once."""

from __future__ import annotations

import re
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode
from yaml.reader import ReaderError

from gateway.config.checks import check
from gateway.config.problems import Place, Problems, Rejected, line_of, suggestion, tag_of
from gateway.config.reader import Reader
from gateway.config.secrets import SecretSource
from gateway.config.tree import Config, Network
from gateway.ids import NetworkName
from gateway.registry import Adapters, BrokenAdapter, UnknownAdapter, adapter_class, installed

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import msgspec

_NETWORK_NAME = re.compile(r"[a-z][a-z0-9-]*")
_QUOTED = re.compile(r"'(?!<)[^']{2,}'|\"[^\"]{2,}\"")


def load_config(
    path: Path, environ: Mapping[str, str], *, adapters: Adapters | None = None
) -> Config:
    """Read ``path``; secrets may also come from ``environ``. Imports the adapters it names.

    ``adapters`` are by default the installed ones. All paths of the result are absolute. Raises
    `ConfigError` with all problems of the file, by line.
    """
    problems = Problems(path)
    known = installed() if adapters is None else adapters
    loader = _Loader(problems, path.absolute().parent, environ, known)
    config = None
    try:
        root = _compose(_read(path, problems), problems)
        config = loader.load(root)
    except Rejected:
        pass
    problems.raise_any()
    if config is None:
        raise AssertionError("a configuration was rejected without a problem")
    return config


def _read(path: Path, problems: Problems) -> str:
    try:
        return path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        problems.reject(Place(), f"cannot be read: {error.strerror}")
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        problems.reject(Place(line=line), "is not UTF-8 text")


def _compose(text: str, problems: Problems) -> Node | None:
    """The nodes of the document. A message never quotes what stands in the file."""
    try:
        return yaml.compose(text, Loader=yaml.SafeLoader)
    except ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        problems.reject(Place(line=line), "is not valid YAML: a control character")
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        what = _QUOTED.sub("…", error.problem or "")
        problems.reject(Place(line=mark.line + 1 if mark else None), f"is not valid YAML: {what}")
    except RecursionError:
        problems.reject(Place(), "is nested too deeply")
    except (ValueError, OverflowError):
        problems.reject(Place(), "is not valid YAML: an escape or a number is out of range")


class _Loader:
    """One run of `load_config`."""

    def __init__(
        self, problems: Problems, directory: Path, environ: Mapping[str, str], adapters: Adapters
    ) -> None:
        self._problems = problems
        self._adapters = adapters
        self._reader = Reader(problems, directory, SecretSource(problems, directory, environ))

    def load(self, root: Node | None) -> Config:
        """The tree. Raises `Rejected`; mistakes between keys are reported without it."""
        try:
            return self._reader.section(root, Config, Place(), {"networks": self._networks})
        finally:
            check(self._reader.values, self._problems)

    def _networks(self, node: Node | None, place: Place) -> dict[NetworkName, Network]:
        entries = self._reader.entries(node, place)
        if not entries:
            self._problems.reject(place, "missing; expected at least one network")
        networks = {}
        for name, entry in entries.items():
            child = place.child(name, entry.line)
            if not _NETWORK_NAME.fullmatch(name):
                self._problems.add(
                    child, "a network's name has only a-z, 0-9 and -, and begins with a letter"
                )
            with suppress(Rejected):
                networks[NetworkName(name)] = self._network(entry.node, child)
        if len(networks) < len(entries):
            raise Rejected(place.where)
        return networks

    def _network(self, node: Node, place: Place) -> Network:
        settings_type = self._settings_type(node, place.child("adapter"))
        return self._reader.section(
            node, Network, place, {"settings": partial(self._settings, settings_type)}
        )

    def _settings(
        self, cls: type[msgspec.Struct] | None, node: Node | None, place: Place
    ) -> msgspec.Struct:
        if cls is None:
            raise Rejected(place.where)
        return self._reader.section(node, cls, place)

    def _settings_type(self, network: Node, place: Place) -> type[msgspec.Struct] | None:
        """Of the adapter that a network names; None if there is no such adapter."""
        node = _value_of(network, "adapter")
        if node is None:
            return None
        place = Place(place.where, line_of(node))
        try:
            return adapter_class(node.value, self._adapters).settings_type
        except UnknownAdapter as error:
            hint = suggestion(node.value, self._adapters, "installed are")
            self._problems.add(place, f"{error}{hint}")
        except BrokenAdapter as error:
            self._problems.add(place, str(error))
        return None


def _value_of(section: Node, key: str) -> ScalarNode | None:
    """The text of a key, if it is there and is text; anything else is reported elsewhere."""
    if isinstance(section, MappingNode):
        for key_node, value in section.value:
            if key_node.value == key and isinstance(value, ScalarNode):
                return value if tag_of(value) == "str" else None
    return None
