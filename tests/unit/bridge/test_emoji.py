# SPDX-License-Identifier: Apache-2.0
"""What people react with is one emoji each, whatever the network calls it (REQ-430)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.bridge.emoji import CUSTOM, is_emoji, shown

_ONE = ["👍", "👍🏽", "❤️", "❤", "1️⃣", "#️⃣", "🇩🇪", "👨‍👩‍👧", "🏴󠁧󠁢󠁳󠁣󠁴󠁿", "☺"]
_NONE = ["", "a", "+1", "1", "👍👍", "👍 ", ":wave:", "mxc://example.org/x", "<b>", "👍\ufe0fx"]


@pytest.mark.parametrize("emoji", _ONE)
def test_one_emoji_is_shown_as_it_is(emoji: str) -> None:
    assert shown(emoji) == emoji


@pytest.mark.parametrize("other", _NONE)
def test_all_else_is_shown_as_the_same_one(other: str) -> None:
    assert shown(other) == CUSTOM


@given(st.text())
def test_whatever_it_is_it_can_be_shown(text: str) -> None:
    assert is_emoji(shown(text))
