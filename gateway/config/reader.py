# SPDX-License-Identifier: Apache-2.0
"""From the YAML nodes of a file to the types of the settings tree, reporting every problem.

msgspec's own conversion stops at the first error and knows no lines, so the walk is ours: it goes
along the types, and therefore neither deep nor recursive YAML can lead it astray.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias, TypeVar, cast

import msgspec
from msgspec import inspect
from yaml.constructor import SafeConstructor
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from gateway.config.problems import (
    Place,
    Problems,
    Rejected,
    found,
    key_text,
    kind,
    line_of,
    suggestion,
    tag_of,
)
from gateway.config.values import FromText, SizeOrNone
from gateway.secret import Secret

if TYPE_CHECKING:
    from gateway.config.secrets import SecretSource

S = TypeVar("S", bound=msgspec.Struct)

FieldReader: TypeAlias = Callable[[Node | None, Place], object]
"""Reads one field in place of the ordinary way. Raises `Rejected`."""

_INTEGER = re.compile(r"[-+]?[0-9]{1,18}")
_DECIMAL = re.compile(r"[-+]?[0-9]+(\.[0-9]*)?([eE][-+]?[0-9]{1,3})?")
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_COLLECTIONS: Mapping[type, type] = {
    inspect.VarTupleType: tuple,
    inspect.ListType: list,
    inspect.FrozenSetType: frozenset,
}


@dataclass(frozen=True, slots=True)
class Entry:
    """The value of one key, and the line of the key."""

    node: Node
    line: int


@dataclass(frozen=True, slots=True)
class Absent:
    """A key that is not there."""

    node: None = None
    line: None = None


class Reader:
    """Reads sections of one file into their types.

    ``values`` has all that was good, by path, so that checks across sections can go on beside
    other mistakes: path → (value, place).
    """

    def __init__(self, problems: Problems, directory: Path, secrets: SecretSource) -> None:
        self.values: dict[str, tuple[Any, Place]] = {}
        self._problems = problems
        self._directory = directory
        self._secrets = secrets

    def entries(self, node: Node | None, place: Place) -> dict[str, Entry]:
        """The keys of a section; none for an absent or empty one. Raises `Rejected`.

        Keys given twice, and those that are no names, are reported and left out.
        """
        if node is None or tag_of(node) == "null":
            return {}
        if not isinstance(node, MappingNode):
            hint = ""
            if isinstance(node, ScalarNode) and re.match(r"\w+:\S", node.value):
                hint = " (is a space missing after the colon?)"
            self._problems.reject(place, f"expected a section, found {kind(node)}{hint}")
        result: dict[str, Entry] = {}
        for key_node, value in node.value:
            line = line_of(key_node)
            key = key_text(key_node)
            if key is None:
                self._problems.add(Place(place.where, line), "a key here is not a name")
            elif node.flow_style and value.start_mark.index == value.end_mark.index:
                # {secret: ,x} makes a key of a secret, so this key is not repeated
                self._problems.add(Place(place.where, line), "a key here has no value")
            elif key in result:
                first = result[key].line
                self._problems.add(place.child(key, line), f"given twice; first on line {first}")
            else:
                result[key] = Entry(value, line)
        return result

    def section(
        self,
        node: Node | None,
        cls: type[S],
        place: Place,
        readers: Mapping[str, FieldReader] | None = None,
    ) -> S:
        """A section as an object of ``cls``; ``readers`` handle the fields they name.

        Sections that are absent are read as empty ones. Raises `Rejected` if it cannot be made.
        """
        entries = self.entries(node, place)
        fields = cast("inspect.StructType", inspect.type_info(cls)).fields
        self._report_unknown(entries, fields, place)
        values: dict[str, object] = {}
        complete = True
        for field in fields:
            try:
                if readers and field.name in readers:
                    entry = entries.get(field.encode_name, Absent())
                    child = place.child(field.encode_name, entry.line)
                    value = readers[field.name](entry.node, child)
                else:
                    value = self._field(field, entries, place)
            except Rejected:
                complete = False
            else:
                if value is not msgspec.UNSET:
                    values[field.name] = value
        if not complete:
            raise Rejected(place.where)
        try:
            result = cls(**values)
        except ValueError as error:
            self._problems.reject(place, str(error))
        self.values[place.where] = (result, place)
        return result

    def value(self, node: Node, info: inspect.Type, place: Place) -> Any:
        """A value of the type that ``info`` describes. Raises `Rejected`."""
        match info:
            case inspect.StructType():
                return self.section(node, info.cls, place)
            case inspect.DictType():
                return self._mapping(node, info, place)
            case inspect.UnionType():
                if tag_of(node) == "null" and info.includes_none:
                    return None
                return self.value(node, _without_none(info), place)
            case inspect.VarTupleType() | inspect.ListType() | inspect.FrozenSetType():
                return self._collection(node, info, place)
        result = self._scalar(node, info, place)
        self.values[place.where] = (result, place)
        return result

    def _report_unknown(
        self, entries: Mapping[str, Entry], fields: tuple[inspect.Field, ...], place: Place
    ) -> None:
        known = {field.encode_name for field in fields}
        known |= {f"{field.encode_name}_file" for field in fields if _is_secret(field.type)}
        for key, entry in entries.items():
            if key not in known:
                hint = suggestion(key, known, "the keys here are")
                self._problems.add(place.child(key, entry.line), f"unknown key{hint}")

    def _field(self, field: inspect.Field, entries: Mapping[str, Entry], place: Place) -> object:
        key = field.encode_name
        if _is_secret(field.type):
            nodes = {name: (e.node, e.line) for name, e in entries.items()}
            secret = self._secrets.read(key, nodes, place, required=field.required)
            return msgspec.UNSET if secret is None else secret
        if key in entries:
            entry = entries[key]
            return self.value(entry.node, field.type, place.child(key, entry.line))
        if isinstance(field.type, inspect.StructType):
            return self.section(None, field.type.cls, place.child(key))
        if field.required:
            self._problems.reject(place.child(key), f"missing; expected {_expected(field.type)}")
        if isinstance(field.default, Path) and field.default != Path():
            return self._directory / field.default
        return msgspec.UNSET

    def _mapping(self, node: Node, info: inspect.DictType, place: Place) -> dict[str, Any]:
        entries = self.entries(node, place)
        result = {}
        for key, entry in entries.items():
            with suppress(Rejected):
                child = place.child(key, entry.line)
                result[key] = self.value(entry.node, info.value_type, child)
        if len(result) < len(entries):
            raise Rejected(place.where)
        return result

    def _collection(
        self,
        node: Node,
        info: inspect.VarTupleType | inspect.ListType | inspect.FrozenSetType,
        place: Place,
    ) -> Any:
        if tag_of(node) == "null":
            items: list[Node] = []
        elif isinstance(node, SequenceNode):
            items = node.value
        else:
            self._problems.reject(place, f"expected a list, found {kind(node)}")
        result = []
        for index, item in enumerate(items):
            with suppress(Rejected):
                result.append(self.value(item, info.item_type, place.item(index, line_of(item))))
        if len(result) < len(items):
            raise Rejected(place.where)
        return _COLLECTIONS[type(info)](result)

    def _scalar(self, node: Node, info: inspect.Type, place: Place) -> Any:
        wrong = f"expected {_expected(info)}, found {found(node)}"
        if not isinstance(node, ScalarNode):
            self._problems.reject(place, wrong)
        try:
            match info:
                case inspect.BoolType():
                    return _boolean(node)
                case inspect.IntType() | inspect.FloatType():
                    return _number(node, info)
        except ValueError:
            self._problems.reject(place, wrong)
        if tag_of(node) != "str" and not _is_no_size(node, info):
            hint = "; put it in quotes" if isinstance(info, inspect.StrType) else ""
            self._problems.reject(place, wrong + hint)
        if _NOT_XML.search(node.value):
            self._problems.reject(place, f"characters that XMPP cannot carry: {found(node)}")
        try:
            return self._text(node.value, info)
        except msgspec.ValidationError as error:
            self._problems.reject(place, f"{error}, found {found(node)}")
        except ValueError:
            self._problems.reject(place, wrong)

    def _text(self, text: str, info: inspect.Type) -> object:
        match info:
            case inspect.StrType():
                limits = msgspec.Meta(
                    min_length=info.min_length, max_length=info.max_length, pattern=info.pattern
                )
                return msgspec.convert(text, Annotated[str, limits])
            case inspect.LiteralType():
                if text not in info.values:
                    raise ValueError(text)
                return text
            case inspect.CustomType(cls=cls) if issubclass(cls, Path):
                if not text:
                    raise ValueError(text)
                return self._directory / text
            case inspect.CustomType(cls=cls) if isinstance(cls, FromText):
                return cls.parse(text)
        raise TypeError(f"settings cannot have a field of this type: {info}")


def _is_secret(info: inspect.Type) -> bool:
    if isinstance(info, inspect.UnionType):
        info = _without_none(info)
    return isinstance(info, inspect.CustomType) and issubclass(info.cls, Secret)


def _is_no_size(node: ScalarNode, info: inspect.Type) -> bool:
    """Whether it is a size of 0, which has no unit and so is no text for YAML."""
    return (
        isinstance(info, inspect.CustomType)
        and issubclass(info.cls, SizeOrNone)
        and node.value == "0"
    )


def _without_none(info: inspect.UnionType) -> inspect.Type:
    (only,) = (member for member in info.types if not isinstance(member, inspect.NoneType))
    return only


def _boolean(node: ScalarNode) -> bool:
    words = SafeConstructor.bool_values
    if tag_of(node) != "bool" or node.value.lower() not in words:
        raise ValueError(node.value)
    return bool(words[node.value.lower()])


def _number(node: ScalarNode, info: inspect.IntType | inspect.FloatType) -> int | float:
    """A number in plain decimal digits, without the octal and base-60 surprises of YAML."""
    number: int | float
    if isinstance(info, inspect.IntType):
        if tag_of(node) != "int" or not _INTEGER.fullmatch(node.value):
            raise ValueError(node.value)
        if node.value.lstrip("+-").startswith("0") and int(node.value) != 0:
            raise ValueError(node.value)
        number = int(node.value)
    else:
        if tag_of(node) not in {"int", "float"} or not _DECIMAL.fullmatch(node.value):
            raise ValueError(node.value)
        number = float(node.value)
    if not math.isfinite(number) or not _is_within(number, info):
        raise ValueError(node.value)
    return number


def _is_within(number: float, info: inspect.IntType | inspect.FloatType) -> bool:
    return (
        (info.ge is None or number >= info.ge)
        and (info.gt is None or number > info.gt)
        and (info.le is None or number <= info.le)
        and (info.lt is None or number < info.lt)
    )


def _expected(info: inspect.Type) -> str:
    match info:
        case inspect.UnionType():
            return _expected(_without_none(info))
        case inspect.BoolType():
            return "true or false"
        case inspect.IntType():
            return "a whole number in plain digits" + _bounds(info)
        case inspect.FloatType():
            return "a number in plain digits" + _bounds(info)
        case inspect.LiteralType():
            return "one of " + ", ".join(str(value) for value in info.values)
        case inspect.StructType() | inspect.DictType():
            return "a section"
        case inspect.VarTupleType() | inspect.ListType() | inspect.FrozenSetType():
            return "a list"
        case inspect.CustomType(cls=cls) if issubclass(cls, Path):
            return "a path"
        case inspect.CustomType(cls=cls) if isinstance(cls, FromText):
            return cls.expected
    return "text"


def _bounds(info: inspect.IntType | inspect.FloatType) -> str:
    limits = {
        "at least": info.ge,
        "more than": info.gt,
        "at most": info.le,
        "less than": info.lt,
    }
    words = [f"{word} {limit:g}" for word, limit in limits.items() if limit is not None]
    return ", " + " and ".join(words) if words else ""
