# SPDX-License-Identifier: Apache-2.0
"""What stands above an answer, as clients without replies write it (REQ-436)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.bridge.quotes import Quote, cited, folded, leading


@pytest.mark.parametrize(
    ("body", "quote"),
    [
        ("> a b\nc", Quote("a b", "c")),
        (">a\n>  b\nc\nd", Quote("a b", "c\nd")),
        ("> a\n\n\nc", Quote("a", "c")),
        ("> a\n>\n> b\nc", Quote("a b", "c")),
        (">> older\n> a\nc", Quote("a", "c")),
        ("> > older\n> a\nc", Quote("a", "c")),
        (">> older\nc", None),
        ("> a", None),
        ("> a\n \n", None),
        (">\nc", None),
        ("c\n> a\nd", None),
        (" > a\nc", None),
        ("", None),
        (f"> {'x' * 5_000}\nc", None),
    ],
)
def test_req_436_a_quote_and_the_own_words(body: str, quote: Quote | None) -> None:
    assert leading(body) == quote


@given(st.text("ab> \n"), st.text("ab> \n"))
def test_req_436_what_a_client_quotes_is_found_again(said: str, own: str) -> None:
    """As Conversations does: one sign more before what has one, else a sign and a space."""
    lines = (f">{line}" if line.startswith(">") else f"> {line}" for line in said.split("\n"))
    quote = leading("\n".join([*lines, f"x{own}"]))
    words = folded(said)
    assert quote == (Quote(words, f"x{own}") if words else None)


@given(st.text())
def test_req_436_nothing_of_the_own_words_is_lost(body: str) -> None:
    quote = leading(body)
    if quote is not None:
        assert body.endswith(quote.rest)
        assert not quote.rest.startswith(">")


@pytest.mark.parametrize(
    ("quote", "part"),
    [
        ("> or biscuits\n", "or   biscuits"),
        ("> cake\n> or biscuits\n\n", "cake\n  or   biscuits"),
        ("> (cake\n", ""),
        ("> A cake\n> or biscuits (soon)?\n", ""),  # all of it
        ("> Bob: A cake\n", ""),
        ("> biscuits (soon)\n", "biscuits (soon)"),
        ("", ""),
    ],
)
def test_req_436_a_part_of_what_is_answered(quote: str, part: str) -> None:
    """As it stands there, however clients lay it out."""
    assert cited(quote, "A cake\n  or   biscuits (soon)?") == part
