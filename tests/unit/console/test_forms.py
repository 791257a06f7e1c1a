# SPDX-License-Identifier: Apache-2.0
"""Data forms: what is shown, and whatever may be submitted (REQ-216, REQ-712, REQ-741)."""

from __future__ import annotations

from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.xmpp.console import forms
from gateway.xmpp.console.model import BadAnswer, Field, Form, Kind, Option, Table

_X = "{jabber:x:data}"

EVERYTHING = Form(
    title="Everything",
    instructions="Of each kind one.",
    fields=(
        Field(name="text", label="A text", hint="any"),
        Field(name="extra", label="Another", required=False),
        Field(name="secret", label="A secret", kind=Kind.SECRET),
        Field(
            name="choice",
            label="A choice",
            kind=Kind.CHOICE,
            options=(Option("a", "The first"), Option("b", "The second")),
            default="b",
        ),
        Field(name="sure", label="Are you sure", kind=Kind.YES_NO, default="0"),
        Field(name="people", label="People", kind=Kind.JIDS, required=False),
    ),
    form_type="urn:example",
)
GOOD = {"text": "hello", "secret": " pass word ", "choice": "a", "sure": "true"}

names = st.one_of(st.sampled_from([field.name for field in EVERYTHING.fields]), st.text())
values = st.one_of(
    st.text(), st.sampled_from(["a", "1", "true", "a@b.c", "x@y z@w", "\n", " ", "A@B/c"])
)


def submit(fields: list[tuple[str | None, list[str | None]]], kind: str = "submit") -> Element:
    """A submitted form, however odd."""
    x = Element(f"{_X}x", type=kind)
    for name, said in fields:
        field = SubElement(x, f"{_X}field", {} if name is None else {"var": name})
        for value in said:
            SubElement(field, f"{_X}value").text = value
    return x


@given(
    st.lists(st.tuples(st.none() | names, st.lists(st.none() | values, max_size=4)), max_size=12),
    st.text(),
)
def test_req_216_whatever_is_submitted_is_read(
    fields: list[tuple[str | None, list[str | None]]], kind: str
) -> None:
    read = forms.read(submit(fields, kind))
    assert read.type == kind
    try:
        answers = forms.checked(EVERYTHING, read.values)
    except BadAnswer:
        pass
    else:
        assert answers.keys() == {field.name for field in EVERYTHING.fields}
        assert answers["choice"] in ("a", "b")
        assert answers["sure"] in ("0", "1")
        assert answers["text"] == answers["text"].strip() != ""
        assert answers["secret"]
        assert all("@" in one for one in answers["people"].splitlines())
        # What was taken is taken again, as it stands.
        assert forms.checked(EVERYTHING, answers) == answers
    kept = forms.worth_keeping(EVERYTHING, read.values)
    assert "secret" not in kept
    assert ElementTree.fromstring(forms.form(EVERYTHING, kept)).tag == f"{_X}x"


@given(st.text(), st.text(), st.text())
def test_req_216_a_form_is_well_formed_whatever_it_says(
    title: str, label: str, value: str
) -> None:
    asked = Form(title=title, instructions=label, fields=(Field(name="n", label=label),))
    shown = ElementTree.fromstring(forms.form(asked, {"n": value}))
    assert shown.get("type") == "form"
    table = Table(title=title, columns=(("n", label),), rows=((value,), (title,)))
    result = ElementTree.fromstring(forms.result(table))
    assert len(result.findall(f"{_X}item")) == 2
    assert result.find(f"{_X}reported/{_X}field[@var='n']") is not None


def test_req_216_each_kind_is_shown_as_clients_know_it() -> None:
    shown = ElementTree.fromstring(forms.form(EVERYTHING, {"text": "x", "secret": "y"}))
    fields = {field.get("var"): field for field in shown.findall(f"{_X}field")}
    assert {name: field.get("type") for name, field in fields.items()} == {
        "FORM_TYPE": "hidden",
        "text": "text-single",
        "extra": "text-single",
        "secret": "text-private",
        "choice": "list-single",
        "sure": "boolean",
        "people": "jid-multi",
    }
    assert all(field.get("label") for name, field in fields.items() if name != "FORM_TYPE")
    required = {name for name, field in fields.items() if field.find(f"{_X}required") is not None}
    assert required == {"text", "secret", "choice"}
    assert [value.text for value in fields["FORM_TYPE"]] == ["urn:example"]
    assert fields["text"].findtext(f"{_X}value") == "x"
    assert fields["choice"].findtext(f"{_X}value") == "b"


def test_req_741_a_secret_is_never_shown() -> None:
    assert "sesame" not in forms.form(EVERYTHING, {"secret": "sesame"})
    assert "sesame" not in repr(forms.read(submit([("secret", ["sesame"])])))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"text": "   "}, "“A text” is needed"),
        ({"secret": ""}, "“A secret” is needed"),
        ({"choice": "c"}, "That is none of the possible answers to “A choice”"),
        ({"sure": "perhaps"}, "“Are you sure” with yes or no"),
        ({"people": "a@b.example no-address"}, "“no-address” is not the address of an XMPP user"),
        ({"people": "b.example"}, "“b.example” is not the address"),
        ({"text": "x" * 10_000}, "“A text” is too long"),
    ],
)
def test_req_216_what_cannot_be_taken_is_named(changes: dict[str, str], said: str) -> None:
    with pytest.raises(BadAnswer, match=said):
        forms.checked(EVERYTHING, {**GOOD, **changes})


def test_req_216_everything_that_is_wrong_is_said_at_once() -> None:
    with pytest.raises(BadAnswer, match=r"A text.*A secret"):
        forms.checked(EVERYTHING, {})


def test_answers_are_taken_as_they_are_meant() -> None:
    answers = forms.checked(
        EVERYTHING, {**GOOD, "people": "A@B.example, c@d.example\na@b.example"}
    )
    assert answers == {
        "text": "hello",
        "extra": "",
        "secret": " pass word ",
        "choice": "a",
        "sure": "1",
        "people": "a@b.example\nc@d.example",
    }


def test_req_712_a_form_of_endless_fields_and_values() -> None:
    many = forms.read(submit([(f"f{number}", ["x"] * 1000) for number in range(1000)]))
    assert len(many.values) == 100
    assert max(map(len, many.values.values())) < 300
