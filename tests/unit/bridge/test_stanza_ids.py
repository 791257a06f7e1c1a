# SPDX-License-Identifier: Apache-2.0
"""The ids of stanzas: the same today and after any restart (REQ-407, REQ-906)."""

from __future__ import annotations

import subprocess
import sys
import uuid

from hypothesis import example, given
from hypothesis import strategies as st

from gateway.ids import stanza_id

_SCOPE = st.lists(st.one_of(st.integers(), st.text(max_size=8)), min_size=1, max_size=6)


@given(_SCOPE)
def test_the_same_scope_has_the_same_id(scope: list[str | int]) -> None:
    made = stanza_id(*scope)
    assert made == stanza_id(*scope)
    assert uuid.UUID(made).version == 5


def test_ids_never_change_between_versions() -> None:
    """Rosters, archives and half-delivered rows out there carry them."""
    assert stanza_id("matrix", "alice@example.org", "@bob:example.org", "$1", 0) == (
        "8bfd7352-0867-5b4e-bbf5-ab8320276962"
    )


def test_another_process_makes_the_same_id() -> None:
    program = "from gateway.ids import stanza_id; print(stanza_id('net', 'a', '$é', 1))"
    printed = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONHASHSEED": "7"},
    ).stdout.strip()
    assert printed == stanza_id("net", "a", "$é", 1)


@given(_SCOPE, _SCOPE)
@example(["a", "b"], ["ab"])
@example(["a\x1fb"], ["a", "b"])
@example(["1:b"], ["", "b"])
@example(["a", 1, "b"], ["a", "1:b"])
def test_another_scope_has_another_id(one: list[str | int], other: list[str | int]) -> None:
    """Numbers and their text are one; parts are never confused with their neighbours."""
    if [str(part) for part in one] != [str(part) for part in other]:
        assert stanza_id(*one) != stanza_id(*other)
