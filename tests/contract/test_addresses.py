# SPDX-License-Identifier: Apache-2.0
"""``address_of`` and ``contact_at`` are each other's inverse. No network is asked."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.matrix import MatrixAdapter, MatrixSettings
from adapters.telegram import TelegramAdapter, TelegramSettings
from gateway.adapter import Adapter
from gateway.ids import RemoteUserId
from tests.scripted.adapter import ForgetfulAdapter, ScriptedAdapter, ScriptedSettings

_LOCAL = st.one_of(
    st.from_regex(r"[a-z0-9._=/+-]{1,20}", fullmatch=True), st.text(min_size=1, max_size=20)
)
_SERVER = st.one_of(
    st.sampled_from(["example.org", "example.org:8448", "[::1]:8448", "1.2.3.4", "EXAMPLE.org"]),
    st.from_regex(r"[a-z0-9.-]{1,20}(:[0-9]{1,5})?", fullmatch=True),
)
_NUMBER = st.integers(-(10**13), 10**17).map(str)
_IDS: dict[type[Adapter], tuple[Any, st.SearchStrategy[str]]] = {
    ScriptedAdapter: (ScriptedSettings(port=1), st.text(min_size=1)),
    ForgetfulAdapter: (ScriptedSettings(port=1), st.text(min_size=1)),
    TelegramAdapter: (TelegramSettings(), st.one_of(_NUMBER, _NUMBER.map("me.{}".format))),
    MatrixAdapter: (MatrixSettings(), st.builds("@{}:{}".format, _LOCAL, _SERVER)),
}


@pytest.fixture(params=_IDS, ids=lambda kind: kind.display_name, scope="module")
def adapter(request: pytest.FixtureRequest) -> Adapter:
    """One that never connects."""
    kind: type[Adapter] = request.param
    context: Any = SimpleNamespace(settings=_IDS[kind][0], http=None)
    return kind(context)


@given(data=st.data())
def test_every_address_leads_back(adapter: Adapter, data: st.DataObject) -> None:
    contact = RemoteUserId(data.draw(_IDS[type(adapter)][1]))
    address = adapter.address_of(contact)
    if address is not None:
        # Blanks at the ends are taken off what people type.
        assert adapter.contact_at(address) == contact or address != address.strip()


@given(st.text(max_size=60))
def test_whatever_is_typed_is_one_contact_or_none(adapter: Adapter, typed: str) -> None:
    contact = adapter.contact_at(typed)
    if contact is not None:
        assert contact
        address = adapter.address_of(contact)
        assert address is None or adapter.contact_at(address) == contact
