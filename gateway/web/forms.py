# SPDX-License-Identifier: Apache-2.0
"""Forms of the console as markup."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from gateway.locale import ENGLISH, in_language, spoken
from gateway.text.wording import tr
from gateway.web.html import paragraphs, tag, text
from gateway.xmpp.console.model import Answers, Field, Kind
from gateway.xmpp.console.stages import Stage

STAGE, ACTION, ANSWER = "stage", "do", "answer-"
"""Names of what a form sends beside the answers, and what these begin with."""
_FEW = 6
"""So many choices are shown at once."""


def form(stage: Stage, language: str = ENGLISH) -> str:
    """A form to fill in. It sends itself to where it came from."""
    stage = spoken(stage, language)
    asked = stage.form
    parts = [
        tag("input", type="hidden", name=STAGE, value=str(stage.number)),
        *(_question(field, stage.values) for field in asked.fields),
        tag(
            "button", in_language(tr("Go on"), language), type="submit", name=ACTION, value="next"
        ),
    ]
    if stage.back:
        parts.append(_other("back", in_language(tr("Back"), language)))
    parts.append(_other("cancel", in_language(tr("Cancel"), language)))
    wrong = tag("p", text(stage.wrong), class_="wrong", role="alert") if stage.wrong else ""
    inside = "".join(parts)
    return f"{wrong}{paragraphs(asked.instructions)}{tag('form', inside, method='post')}"


def _other(action: str, label: str) -> str:
    """A button that does not want the form to be filled in."""
    attributes: dict[str, str | bool] = {"name": ACTION, "value": action, "formnovalidate": True}
    return tag("button", label, type="submit", class_="other", **attributes)


def _question(field: Field, known: Answers) -> str:
    value = known.get(field.name, "") or field.default
    return _INPUTS[field.kind](field, value)


def _described(field: Field) -> tuple[str, dict[str, str | bool]]:
    """Its label and hint, and what its input has in common with others."""
    name = f"{ANSWER}{field.name}"
    attributes: dict[str, str | bool] = {"id": name, "name": name}
    shown = tag("label", text(field.label), for_=name)
    if field.hint:
        attributes["aria_describedby"] = f"hint-{field.name}"
        shown += tag("p", text(field.hint), class_="hint", id=f"hint-{field.name}")
    if field.required:
        attributes["required"] = True
    return shown, attributes


def _text(field: Field, value: str) -> str:
    shown, attributes = _described(field)
    box = tag(
        "input",
        type="text",
        value=value,
        autocapitalize="none",
        autocomplete="off",
        spellcheck="false",
        **attributes,
    )
    return tag("div", shown + box, class_="question")


def _secret(field: Field, _: str) -> str:
    shown, attributes = _described(field)
    box = tag("input", type="password", autocomplete="off", **attributes)
    return tag("div", shown + box, class_="question")


def _jids(field: Field, value: str) -> str:
    shown, attributes = _described(field)
    return tag("div", shown + tag("textarea", text(value), **attributes), class_="question")


def _yes_no(field: Field, value: str) -> str:
    name = f"{ANSWER}{field.name}"
    box = tag("input", type="checkbox", name=name, value="1", checked=value == "1")
    hint = tag("p", text(field.hint), class_="hint") if field.hint else ""
    return tag("div", tag("label", box + text(field.label)) + hint, class_="question")


def _choice(field: Field, value: str) -> str:
    if len(field.options) > _FEW:
        shown, attributes = _described(field)
        options = "".join(
            tag("option", text(one.label), value=one.value, selected=one.value == value)
            for one in field.options
        )
        return tag("div", shown + tag("select", options, **attributes), class_="question")
    buttons = "".join(
        tag(
            "label",
            tag(
                "input",
                type="radio",
                name=f"{ANSWER}{field.name}",
                value=one.value,
                checked=one.value == value,
                required=field.required,
            )
            + text(one.label),
            class_="option",
        )
        for one in field.options
    )
    hint = tag("p", text(field.hint), class_="hint") if field.hint else ""
    return tag("fieldset", tag("legend", text(field.label)) + hint + buttons)


_INPUTS: Mapping[Kind, Callable[[Field, str], str]] = {
    Kind.TEXT: _text,
    Kind.SECRET: _secret,
    Kind.CHOICE: _choice,
    Kind.YES_NO: _yes_no,
    Kind.JIDS: _jids,
}


def submitted(stage: Stage | None, sent: Mapping[str, str]) -> dict[str, str]:
    """The answers in what a browser has sent: one that is not ticked is a no."""
    answers = {
        key.removeprefix(ANSWER): value for key, value in sent.items() if key.startswith(ANSWER)
    }
    for field in () if stage is None else stage.form.fields:
        if field.kind is Kind.YES_NO:
            answers.setdefault(field.name, "0")
    return answers
