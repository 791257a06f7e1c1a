# SPDX-License-Identifier: Apache-2.0
"""Answers of homeservers: nothing raises, and what comes out can be stored and sent."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.matrix.answers import parsed
from adapters.matrix.rooms import Book
from tests.fuzz.choices import Choices
from tests.fuzz.syncs import translate_all

_CORPUS = Path(__file__).parent / "corpus" / "sync"
Record = Callable[[str, object], None]


def _translate_often(seed: str, wanted: int) -> int:
    """Each answer is one input; ten of them go to the same account."""
    for number in range(wanted // 10):
        name = f"{seed} {number}"
        source, known = random.Random(name), None
        for turn in range(10):
            try:
                known = translate_all(Choices(source.randbytes(400)), known)
            except Exception as error:
                raise AssertionError(f"answer {turn} of random.Random({name!r})") from error
    return wanted


@pytest.mark.timeout(300)
def test_random_answers(record_property: Record) -> None:
    """From a fixed seed."""
    record_property("inputs", _translate_often("short", 57_000))


@pytest.mark.soak
def test_random_answers_for_long(record_property: Record) -> None:
    """From seeds that the short run does not have."""
    record_property("inputs", _translate_often("soak", 580_000))


@given(st.lists(st.binary(max_size=400), max_size=5))
@settings(max_examples=300, database=None)
def test_answers_that_hypothesis_makes(answers: list[bytes]) -> None:
    """One account's answers."""
    known: Book | None = None
    for data in answers:
        known = translate_all(Choices(data), known)


@given(st.binary(max_size=200))
@settings(max_examples=500, database=None)
def test_bytes_are_an_object_or_nothing(data: bytes) -> None:
    """Whatever a homeserver calls JSON."""
    assert isinstance(parsed(data), dict | None)


@pytest.mark.parametrize("path", sorted(_CORPUS.glob("*")), ids=lambda path: path.name)
def test_answer_of_the_corpus(path: Path) -> None:
    """What was found before, and what the guided fuzzer begins with."""
    translate_all(Choices(path.read_bytes()))
