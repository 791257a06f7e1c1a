# SPDX-License-Identifier: Apache-2.0
"""Places that people share, both ways (REQ-453)."""

from typing import Any

import pytest

from adapters.matrix.contents import content_of
from adapters.matrix.places import is_place, place_in, place_named_in
from gateway.events import (
    RemoteMessage,
    RemoteNotice,
    RemoteRoomMessage,
    RemoteRoomNotice,
    SendText,
)
from gateway.ids import RemoteMessageId
from tests.unit.matrix.samples import BOB, group_book, joined, message, outcome


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("geo:52.5,13.4", True), ("geo:-52,-13", True), ("geo:1.5,2,3", True), ("GEO:1,2", True),
        ("geo:1,2;u=35.5", True), ("geo:1,2;crs=wgs84;u=5", True), ("geo:1,2 ", False),
        ("geo:1", False), ("geo:1,2\n", False), (" geo:1,2", False), ("geo:1,2;u=<b>", False),
        ("geo:" + "1" * 400 + ",2", False), ("geo:1,2" + ";a=b" * 9, False), ("geo:٣,2", False),
        ("see geo:1,2", False), (None, False), (5, False), ("", False),
    ],
)  # fmt: skip
def test_what_is_a_place(text: Any, expected: bool) -> None:
    assert is_place(text) is expected


DETAILS = "org.matrix.msc3488.location"


def _place(**content: Any) -> dict[str, Any]:
    return {"msgtype": "m.location", **content}


@pytest.mark.parametrize(
    ("content", "uri", "name"),
    [
        (_place(body="Big Ben, London", geo_uri="geo:1,2"), "geo:1,2", "Big Ben, London"),
        (_place(body="Location geo:1,2 as of today", geo_uri="geo:1,2"), "geo:1,2", None),
        (_place(body="x", geo_uri="geo:1,2", **{DETAILS: {"description": "A\nB"}}), "geo:1,2",
         "A B"),
        (_place(body="x", **{DETAILS: {"uri": "geo:3,4"}}), "geo:3,4", "x"),
        (_place(body="x", **{"m.location": {"uri": "geo:3,4", "description": " "}}), "geo:3,4",
         "x"),
        (_place(body="x", geo_uri="https://evil.example"), "", None),
        (_place(body="x", geo_uri=["geo:1,2"], **{DETAILS: 5}), "", None),
        (_place(body=5, geo_uri="geo:1,2"), "geo:1,2", None),
        ({"msgtype": "m.text", "body": "x", "geo_uri": "geo:1,2"}, "geo:1,2", None),
    ],
)  # fmt: skip
def test_a_place_and_its_name(content: Any, uri: str, name: str | None) -> None:
    assert place_in(content) == uri
    named = place_named_in(message(content))
    assert named == (None if name is None else ("$1 place", f"The place is called “{name}”."))


def test_the_text_is_the_place_alone_and_its_name_comes_after_it() -> None:
    answer = joined(message(_place(body="Big Ben", geo_uri="geo:1,2")))
    place, name = outcome(answer).events
    assert isinstance(place, RemoteMessage)
    assert isinstance(name, RemoteNotice)
    assert (place.body, name.text) == ("geo:1,2", "The place is called “Big Ben”.")
    said, named = outcome(answer, group_book()).events
    assert isinstance(said, RemoteRoomMessage)
    assert isinstance(named, RemoteRoomNotice)
    assert (said.body, named.text) == (place.body, name.text)


def test_a_place_that_the_user_shares_is_one() -> None:
    for edits in (None, RemoteMessageId("$first")):
        command = SendText(contact=BOB, body="geo:1,2;u=5", edits=edits)
        content = content_of(command, "k")
        whole = content.get("m.new_content", content)
        assert (whole["msgtype"], whole["geo_uri"]) == ("m.location", "geo:1,2;u=5")
    assert content_of(SendText(contact=BOB, body="geo:1,2?"), "k")["msgtype"] == "m.text"
