# SPDX-License-Identifier: Apache-2.0
"""User settings: a form can be made of them, and old records are read."""

from __future__ import annotations

import itertools

import msgspec
import pytest

from gateway.bridge.accounts.settings import FIELDS, Publish, Settings, changed, decoded, encoded
from gateway.errors import SettingRefused


def test_every_setting_has_a_label_an_explanation_and_its_values() -> None:
    names = [field.name for field in FIELDS]
    assert sorted(names) == sorted(f.name for f in msgspec.structs.fields(Settings))
    groups = [group for group, _ in itertools.groupby(FIELDS, key=lambda field: field.group)]
    assert len(groups) == len(set(groups)), "those of one group follow each other"
    assert all(groups)
    for field in FIELDS:
        assert field.label
        assert field.explanation.endswith(".")
        default = getattr(Settings(), field.name)
        assert field.is_switch is isinstance(default, bool)
        assert field.is_switch or default in [choice.value for choice in field.choices]
        assert all(choice.label for choice in field.choices)


def test_every_offered_value_is_taken() -> None:
    for field in FIELDS:
        values: list[object] = [choice.value for choice in field.choices]
        for value in values or ["true", "0", True, False]:
            before = Settings()
            after = changed(before, {field.name: value})
            assert decoded(encoded(after)) == after
            assert before == Settings()


def test_values_come_as_such_or_as_text_of_a_form() -> None:
    after = changed(Settings(), {"publish_presence": "never", "send_typing": "0"})
    assert (after.publish_presence, after.send_typing) == (Publish.NEVER, False)
    assert changed(after, {"send_typing": True}).publish_presence is Publish.NEVER


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("colour", "blue", "“colour”"),
        ("publish_presence", "sometimes", "“sometimes”.*Show on the network"),
        ("send_typing", "perhaps", "“perhaps”"),
        ("send_typing", None, "“None”"),
    ],
)
def test_what_is_not_offered_is_refused_with_a_sentence(
    name: str, value: object, said: str
) -> None:
    with pytest.raises(SettingRefused, match=said):
        changed(Settings(), {name: value})


@pytest.mark.parametrize(
    ("stored", "expected"),
    [
        ("", Settings()),
        ("{}", Settings()),
        ('{"send_typing": false, "of_a_later_version": 7}', Settings(send_typing=False)),
    ],
)
def test_records_of_other_versions(stored: str, expected: Settings) -> None:
    assert decoded(stored) == expected


@pytest.mark.parametrize("stored", ["[", '{"publish_presence": "later"}'])
def test_a_damaged_record(stored: str) -> None:
    with pytest.raises(SettingRefused):
        decoded(stored)
