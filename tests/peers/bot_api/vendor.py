# SPDX-License-Identifier: Apache-2.0
"""What the vendor's documents say of arguments, answers and updates, by the types of others.

The types are `@grammyjs/types`, which are written by hand from core.telegram.org/bots/api and have
nothing to do with the library that our adapter stands on. `scripts/bootstrap` makes a JSON schema
of them, in which objects have no fields but theirs.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, cast

from jsonschema import Draft7Validator
from jsonschema.exceptions import best_match

Schema = Mapping[str, Any]

_FLOATS = {"latitude", "longitude", "horizontal_accuracy", "scale", "x_shift", "y_shift"}
"""TypeScript has one kind of number. All the others in what we do are of type Integer."""


class Vendor:
    """Says what is wrong with something, in words for who reads a failed test."""

    def __init__(self, schema: dict[str, Any]) -> None:
        """Take the schema; see `vendor()`."""
        _make_integers(schema)
        definitions = schema["definitions"]
        definitions["ReplyMessage"] = _without_reply(definitions["Message"])
        self._definitions: Schema = definitions
        self._root = Draft7Validator(schema)
        parts = schema["properties"]
        self._arguments = self._resolved(parts["arguments"])["properties"]
        self._results = self._resolved(parts["results"])["properties"]
        self._update = parts["update"]

    def parameters(self, method: str) -> dict[str, Schema] | None:
        """The parameters of a method by name, None if there is no such method."""
        if method not in self._arguments:
            return None
        return dict(self._resolved(self._arguments[method]).get("properties", {}))

    def required(self, method: str) -> list[str]:
        """The names of parameters that may not be left out."""
        return list(self._resolved(self._arguments[method]).get("required", ()))

    def kinds(self, schema: Schema) -> set[str]:
        """Of which types of JSON a value may be."""
        schema = self._resolved(schema)
        if "anyOf" in schema:
            return {kind for each in schema["anyOf"] for kind in self.kinds(each)}
        kind = schema.get("type", "object")
        return set(kind) if isinstance(kind, list) else {kind}

    def argument_error(self, method: str, name: str, value: object) -> str | None:
        """What is wrong with one argument."""
        parameters = self.parameters(method)
        assert parameters is not None
        return self._error(parameters[name], value)

    def result_error(self, method: str, result: object) -> str | None:
        """What is wrong with a result."""
        return self._error(self._results[method], result)

    def update_error(self, update: object) -> str | None:
        """What is wrong with an update."""
        return self._error(self._update, update)

    def _error(self, schema: Schema, value: object) -> str | None:
        errors = cast("Iterator[Any]", self._root.evolve(schema=schema).iter_errors(value))
        found = best_match(errors)
        return found and f"{found.json_path}: {found.message[:400]}"

    def _resolved(self, schema: Schema) -> Schema:
        while "$ref" in schema:
            schema = self._definitions[schema["$ref"].removeprefix("#/definitions/")]
        return schema


@cache
def vendor() -> Vendor:
    """The schema that scripts/bootstrap has made."""
    return Vendor(json.loads((Path(sys.prefix) / "bot-api.json").read_text()))


def _without_reply(message: Schema) -> Schema:
    """Messages are not nested any deeper. The generator makes nothing of how that is written."""
    fields = {k: v for k, v in message["properties"].items() if k != "reply_to_message"}
    return {**message, "properties": fields}


def _make_integers(schema: object, name: str = "") -> None:
    if isinstance(schema, list):
        for each in schema:
            _make_integers(each, name)
    if not isinstance(schema, dict):
        return
    kind = schema.get("type")
    if kind == "number" and name not in _FLOATS:
        schema["type"] = "integer"
    elif isinstance(kind, list) and name not in _FLOATS:
        schema["type"] = ["integer" if each == "number" else each for each in kind]
    for key, part in schema.items():
        if key in ("properties", "definitions"):
            for inner, each in part.items():
                _make_integers(each, inner)
        elif key in ("items", "anyOf", "allOf", "additionalProperties"):
            _make_integers(part, name)
