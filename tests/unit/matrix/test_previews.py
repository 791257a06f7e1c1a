# SPDX-License-Identifier: Apache-2.0
"""What a message says of where its links lead (MSC4095, REQ-452)."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from adapters.matrix.contents import content_of
from adapters.matrix.previews import previews_in
from gateway.bridge.inbound.wellformed import must_be_whole
from gateway.events import LinkPreview, RemoteRoomMessage, SendText
from gateway.text import is_clean
from tests.unit.matrix.samples import BOB, message
from tests.unit.matrix.test_chat_events import EDIT, FIRST, _said
from tests.unit.matrix.test_group_events import _said as _said_in_group

_URL = "https://example.org/tea"
_TEA = LinkPreview(url=_URL, title="Tea", description="All about it", site="An example")
_TOLD = {"og:title": "Tea", "og:description": "All about it", "og:site_name": "An example"}
_OLD = {"com.beeper.linkpreviews": [{"matched_url": _URL, **_TOLD}]}


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (_OLD, (_TEA,)),
        ({"m.url_previews": [{"matrix:matched_url": _URL, **_TOLD}]}, (_TEA,)),
        ({**_OLD, "m.url_previews": [{"matrix:matched_url": _URL, "og:title": "New"}]}, ("New",)),
        ({**_OLD, "m.url_previews": []}, (_TEA,)),
        ({"com.beeper.linkpreviews": [{"matched_url": _URL}]}, ()),  # to be looked up
        ({"com.beeper.linkpreviews": [{"matched_url": _URL, "og:site_name": "x"}]}, ()),
        ({"com.beeper.linkpreviews": [_TOLD]}, ()),  # of no link
        ({"com.beeper.linkpreviews": [{**_TOLD, "matched_url": 7}]}, ()),
        ({"com.beeper.linkpreviews": [{"matched_url": _URL, "og:title": "a\x07b"}]}, ("ab",)),
        ({"com.beeper.linkpreviews": [{"matched_url": _URL + "x" * 5_000, **_TOLD}]}, ()),
        ({"com.beeper.linkpreviews": {"matched_url": _URL, **_TOLD}}, ()),
        ({}, ()),
    ],
)
def test_req_452_what_apps_write(content: dict[str, Any], expected: tuple[Any, ...]) -> None:
    found = previews_in(content)
    assert found == expected or tuple(one.title for one in found) == expected


def test_req_452_there_are_no_more_than_anybody_looks_at() -> None:
    entry = _OLD["com.beeper.linkpreviews"][0]
    assert len(previews_in({"com.beeper.linkpreviews": [entry] * 1_000})) == 10


def test_req_452_in_chats_and_groups_and_edits() -> None:
    new = {"msgtype": "m.text", "body": _URL, **_OLD}
    assert _said(message(new)).previews == (_TEA,)
    assert _said_in_group(message(new)).previews == (_TEA,)
    content = {"msgtype": "m.text", "body": "* x", "m.relates_to": EDIT, "m.new_content": new}
    edit = _said(message(content))
    assert (edit.previews, edit.edits) == ((_TEA,), EDIT["event_id"])


_ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["matched_url", "matrix:matched_url", "og:title", "og:description"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from(["m.url_previews", "com.beeper.linkpreviews"]), _ANY))
def test_req_452_no_content_raises_and_what_comes_out_can_be_stored(content: Any) -> None:
    event = message({"msgtype": "m.text", "body": "hi", **content})
    told = _said_in_group(event)
    assert isinstance(told, RemoteRoomMessage)
    must_be_whole(told)
    for preview in told.previews:
        assert all(is_clean(getattr(preview, name)) for name in preview.__struct_fields__)


def test_req_452_what_users_say_of_links_is_bundled() -> None:
    command = SendText(contact=BOB, body=_URL, previews=(_TEA, LinkPreview(url=_URL, title="x")))
    content = content_of(command, "k")
    assert previews_in(content) == command.previews
    assert content["com.beeper.linkpreviews"][1] == {"matched_url": _URL, "og:title": "x"}
    edit = content_of(replace(command, edits=FIRST), "k")
    assert previews_in(edit) == ()
    assert previews_in(edit["m.new_content"]) == command.previews
    assert "com.beeper.linkpreviews" not in content_of(SendText(contact=BOB, body=_URL), "k")
