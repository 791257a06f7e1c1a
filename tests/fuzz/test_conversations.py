# SPDX-License-Identifier: Apache-2.0
"""Whole conversations: nothing raises, the stream stays open, all that was said has its answer.

A million inputs of all kinds in `make soak`, a tenth in `make test`; see `tests/fuzz/__init__.py`.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from tests.fuzz.arena import Arena
from tests.fuzz.choices import Choices
from tests.fuzz.operations import converse, event
from tests.fuzz.stanzas import USERS

_CORPUS = Path(__file__).parent / "corpus" / "talk"
_PROGRAM = 2_000
"""Inputs of one gateway's life."""
Record = Callable[[str, object], None]


def _talk(data: bytes, limit: int = _PROGRAM) -> int:
    """A gateway's life; returns how many inputs there were."""
    arena = Arena()
    try:
        arena.run(converse(arena, data, limit))
    except BaseException:
        arena.abandon()
        raise
    arena.close()
    return arena.inputs


def _talk_often(seed: str, wanted: int) -> int:
    inputs, number = 0, 0
    while inputs < wanted:
        number += 1
        name = f"{seed} {number}"
        try:
            inputs += _talk(random.Random(name).randbytes(40 * _PROGRAM))
        except AssertionError as error:
            raise AssertionError(f"with the bytes of random.Random({name!r}):\n{error}") from error
    return inputs


@pytest.mark.timeout(600)
@pytest.mark.parametrize("part", range(4))
def test_random_conversations(part: int, record_property: Record) -> None:
    """From fixed seeds, so that what fails once fails again."""
    record_property("inputs", _talk_often(f"part {part}", 2_500))


@pytest.mark.soak
def test_random_conversations_for_long(record_property: Record) -> None:
    """From seeds that the short run does not have."""
    record_property("inputs", _talk_often("soak", 100_000))


@pytest.mark.parametrize("path", sorted(_CORPUS.glob("*")), ids=lambda path: path.name)
def test_conversation_of_the_corpus(path: Path) -> None:
    """What was found before, and what the guided fuzzer begins with."""
    _talk(path.read_bytes())


class Conversation(RuleBasedStateMachine):
    """Hypothesis decides what happens, and makes a failing conversation as short as it can be."""

    inputs: ClassVar[int] = 0

    def __init__(self) -> None:
        super().__init__()
        self._arena = Arena()

    @rule(data=st.binary(min_size=20, max_size=600))
    def stanzas(self, data: bytes) -> None:
        """Some at once."""
        choices = Choices(data)
        while not choices.is_empty:
            self._arena.run(self._arena.stanza(choices))
        self._arena.run(self._arena.look())

    @rule(user=st.sampled_from(USERS[:3]), data=st.binary(min_size=4, max_size=60))
    def events(self, user: str, data: bytes) -> None:
        """Of the network, at once."""
        choices = Choices(data)
        events = [event(choices) for _ in range(1 + choices.below(4))]
        self._arena.run(self._arena.events(user, events))

    @rule(seconds=st.sampled_from([0.3, 2.0, 15.0, 70.0]))
    def time(self, seconds: float) -> None:
        """It passes."""
        self._arena.run(self._arena.wait(seconds))

    @rule(how=st.integers(0, 5))
    def network(self, how: int) -> None:
        """It fails."""
        self._arena.run(self._arena.break_network(how))

    @rule()
    def stream(self) -> None:
        """It breaks."""
        self._arena.run(self._arena.lose_stream())

    @rule(killed=st.booleans())
    def restart(self, killed: bool) -> None:
        """The gateway ends and starts."""
        self._arena.run(self._arena.restart(killed=killed))

    @invariant()
    def nothing_is_wrong(self) -> None:
        """No error in the log, no violation, no connection that was not ours to break."""
        assert not self._arena.trouble()

    def teardown(self) -> None:
        """All comes to rest, and each request and text has its answer."""
        type(self).inputs += self._arena.inputs
        self._arena.close()


def _explore(examples: int) -> int:
    Conversation.inputs = 0
    run_state_machine_as_test(
        Conversation,
        settings=settings(
            max_examples=examples,
            stateful_step_count=30,
            deadline=None,
            database=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
            phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink],
        ),
    )
    return Conversation.inputs


@pytest.mark.timeout(600)
def test_conversations_that_hypothesis_makes(record_property: Record) -> None:
    """Few, but it chooses what to try, and shrinks what fails."""
    record_property("inputs", _explore(10))


@pytest.mark.soak
def test_conversations_that_hypothesis_makes_for_long(record_property: Record) -> None:
    """Ten times as many."""
    record_property("inputs", _explore(100))
