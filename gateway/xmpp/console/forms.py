# SPDX-License-Identifier: Apache-2.0
"""Data forms (XEP-0004): forms and results as XML, and what people submit.

Whatever is submitted can be read: what is unknown is left out, what is missing is empty.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from xml.etree.ElementTree import Element

from gateway.text.wording import joined
from gateway.xmpp.codec.xml import attribute, text
from gateway.xmpp.console.model import (
    LONGEST_ANSWER,
    Answers,
    BadAnswer,
    Field,
    Form,
    Kind,
    Table,
)

DATA = "jabber:x:data"
_X = "{jabber:x:data}"
_FORM_TYPE = "FORM_TYPE"
_MOST_FIELDS = 100
_MOST_VALUES = 100
"""Of one field; what is more is not looked at (REQ-712)."""
_LIST = {Kind.JIDS}

_TYPES = {
    Kind.TEXT: "text-single",
    Kind.SECRET: "text-private",
    Kind.CHOICE: "list-single",
    Kind.YES_NO: "boolean",
    Kind.JIDS: "jid-multi",
}


def form(asked: Form, values: Answers | None = None) -> str:
    """The form to fill in. Secrets are always empty (REQ-741)."""
    known = values or {}
    parts = [f"<x xmlns='{DATA}' type='form'><title>{text(asked.title)}</title>"]
    if asked.instructions:
        parts.append(f"<instructions>{text(asked.instructions)}</instructions>")
    if asked.form_type:
        parts.append(_hidden(asked.form_type))
    parts += [_field(question, known.get(question.name, "")) for question in asked.fields]
    return "".join([*parts, "</x>"])


def message(title: str, instructions: str) -> str:
    """A form that asks nothing."""
    return (
        f"<x xmlns='{DATA}' type='form'><title>{text(title)}</title>"
        f"<instructions>{text(instructions)}</instructions></x>"
    )


def result(table: Table) -> str:
    """A table (XEP-0004 §3.4)."""
    names = [name for name, _ in table.columns]
    reported = "".join(
        f"<field var='{attribute(name)}' label='{attribute(label)}' type='text-single'/>"
        for name, label in table.columns
    )
    items = "".join(
        "<item>"
        + "".join(
            f"<field var='{attribute(name)}'><value>{text(value)}</value></field>"
            for name, value in zip(names, row, strict=True)
        )
        + "</item>"
        for row in table.rows
    )
    return (
        f"<x xmlns='{DATA}' type='result'><title>{text(table.title)}</title>"
        f"<reported>{reported}</reported>{items}</x>"
    )


def _hidden(form_type: str) -> str:
    return f"<field var='{_FORM_TYPE}' type='hidden'><value>{attribute(form_type)}</value></field>"


def _field(asked: Field, value: str) -> str:
    if not value or (asked.options and value not in [option.value for option in asked.options]):
        value = asked.default
    values = value.splitlines() if asked.kind in _LIST else [value]
    kind, label = _TYPES[asked.kind], attribute(asked.label)
    parts = [f"<field var='{attribute(asked.name)}' type='{kind}' label='{label}'>"]
    if asked.hint:
        parts.append(f"<desc>{text(asked.hint)}</desc>")
    if asked.required and asked.kind is not Kind.YES_NO:
        parts.append("<required/>")
    if value and asked.kind is not Kind.SECRET:
        parts += [f"<value>{text(one)}</value>" for one in values]
    parts += [
        f"<option label='{attribute(option.label)}'><value>{text(option.value)}</value></option>"
        for option in asked.options
    ]
    return "".join([*parts, "</field>"])


@dataclass(frozen=True, slots=True)
class Submitted:
    """A form as it came."""

    type: str
    values: Mapping[str, str] = field(repr=False)
    """By the name of the field; several values stand on lines of theirs."""


def read(element: Element) -> Submitted:
    """Read an ``<x/>``. Never raises, whatever it holds."""
    values: dict[str, str] = {}
    for child in element.findall(f"{_X}field")[:_MOST_FIELDS]:
        name = child.get("var", "")
        if name and name not in values:
            found = child.findall(f"{_X}value")[:_MOST_VALUES]
            values[name] = "\n".join(value.text or "" for value in found)
    return Submitted(element.get("type", ""), values)


def find(parent: Element) -> list[Submitted]:
    """The forms in an element."""
    return [read(child) for child in parent.findall(f"{_X}x")]


def worth_keeping(asked: Form, submitted: Mapping[str, str]) -> dict[str, str]:
    """The answers to show again with what is wrong: no secrets, no choices there are not, and
    nothing so long that the form would be too large for a stanza (REQ-105)."""
    kept = {}
    for question in asked.fields:
        said = submitted.get(question.name)
        if said is None or question.kind is Kind.SECRET:
            continue
        try:
            kept[question.name] = question.checked(said)
        except BadAnswer:
            if question.kind in (Kind.TEXT, Kind.JIDS) and len(said) <= LONGEST_ANSWER:
                kept[question.name] = said
    return kept


def checked(asked: Form, submitted: Mapping[str, str]) -> dict[str, str]:
    """The answers to a form, by name. Raises `BadAnswer` with all that is wrong."""
    answers, wrong = {}, []
    for question in asked.fields:
        said = submitted.get(question.name, "")
        if question.kind not in _LIST:
            said = said.partition("\n")[0]
        try:
            answers[question.name] = question.checked(said)
        except BadAnswer as error:
            wrong.append(str(error))
    if wrong:
        raise BadAnswer(joined(wrong))
    return answers
