# SPDX-License-Identifier: Apache-2.0
"""Calls in direct rooms (REQ-473)."""

from typing import Any

import pytest

from adapters.matrix.chat_events import said_to
from gateway.events import CallStage, RemoteCall, RemoteMessage
from tests.unit.matrix.samples import ALICE, BOB, CAROL, NOW, ROOM, message

_RING = "org.matrix.msc4075.rtc.notification"
_MEMBER = "org.matrix.msc3401.call.member"


def _told(kind: str, content: Any, sender: str = BOB, **more: Any) -> Any:
    event = {**message(content, sender=sender, kind=kind), **more}
    return said_to(ROOM, event, contact=BOB, account=ALICE, name_of=lambda _: "Carol", now=NOW)


@pytest.mark.parametrize(
    ("kind", "content", "more", "call", "stage"),
    [
        ("m.call.invite", {"call_id": "c"}, {}, "voip c", "rings"),
        ("m.call.answer", {"call_id": "c"}, {}, "voip c", "answered"),
        ("m.call.reject", {"call_id": "c"}, {}, "voip c", "declined"),
        ("m.call.hangup", {"call_id": "c"}, {}, "voip c", "over"),
        (_RING, {"notification_type": "ring"}, {}, "rtc", "rings"),
        ("m.rtc.notification", {}, {}, "rtc", "rings"),
        ("org.matrix.msc4310.rtc.decline", {}, {}, "rtc", "declined"),
        (_MEMBER, {"application": "m.call"}, {"state_key": "_a"}, "rtc", "answered"),
        (_MEMBER, {}, {"state_key": "_a"}, "rtc", "over"),
        (_MEMBER, {"memberships": [{}]}, {"state_key": "_a"}, "rtc", "answered"),
        (_MEMBER, {"memberships": []}, {"state_key": "_a"}, "rtc", "over"),
    ],
)
@pytest.mark.parametrize("sender", [BOB, ALICE])
def test_req_473_what_becomes_of_a_call(
    kind: str, content: Any, more: Any, call: str, stage: str, sender: str
) -> None:
    told = _told(kind, content, sender, **more)
    assert isinstance(told, RemoteCall)
    assert (told.call, told.stage, told.own) == (call, CallStage(stage), sender == ALICE)
    assert (told.contact, told.sent_at) == (BOB, 1_000.0)
    assert bool(told.link) is (stage == "rings")


@pytest.mark.parametrize(
    ("content", "is_video"),
    [
        ({"offer": {"sdp": "v=0\r\nm=audio 9\r\nm=video 9"}}, True),
        ({"offer": {"sdp": "v=0\r\nm=audio 9"}}, False),
        ({"offer": {"sdp": ["m=video"]}}, False),
        ({"offer": "m=video"}, False),
        ({"m.call.intent": "video"}, True),
    ],
)
def test_req_473_with_pictures_or_without(content: Any, is_video: bool) -> None:
    assert _told("m.call.invite", {"call_id": "c", **content}).is_video is is_video


@pytest.mark.parametrize(
    ("kind", "content", "more"),
    [
        ("m.call.candidates", {"call_id": "c"}, {}),
        ("m.call.hangup", {}, {}),
        ("m.call.hangup", {"call_id": ["c"]}, {}),
        ("m.call.hangup", {"call_id": "c\x00"}, {}),
        ("m.call.hangup", {"call_id": "c" * 300}, {}),
        (_MEMBER, {"application": "m.call"}, {}),
        (_RING, {}, {"unsigned": {"redacted_because": {}}}),
        ("m.call.invite", {"call_id": "c"}, {"event_id": ""}),
    ],
)
def test_what_says_nothing_of_a_call(kind: str, content: Any, more: Any) -> None:
    assert _told(kind, content, **more) is None


def test_a_call_of_a_third_person_is_their_message() -> None:
    told = _told("m.call.invite", {"call_id": "c"}, CAROL)
    assert isinstance(told, RemoteMessage)
    assert told.body.startswith("Carol: [📞 call]")
