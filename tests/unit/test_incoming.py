# SPDX-License-Identifier: Apache-2.0
"""Reading messages that are about other messages."""

from __future__ import annotations

from typing import Any
from xml.etree.ElementTree import fromstring

import pytest

from gateway.xmpp.codec.incoming import CONTENT, read_message

_FALLBACK = "<fallback xmlns='urn:xmpp:fallback:0' for='{}'>{}</fallback>"
_REACTIONS = "<reactions xmlns='urn:xmpp:reactions:0' id='m1'><reaction>👍</reaction>"
_APPLY = "<apply-to xmlns='urn:xmpp:fasten:0' id='m1'>"


@pytest.mark.parametrize(
    ("inner", "expected"),
    [
        (
            "<replace xmlns='urn:xmpp:message-correct:0' id='m1'/><body>x</body>",
            {"replaces": "m1", "body": "x"},
        ),
        ("<reply xmlns='urn:xmpp:reply:0' to='a@b/c' id='m1'/>", {"reply_to": "m1"}),
        (
            _FALLBACK.format("urn:xmpp:reply:0", "<body start='0' end='5'/><body end='x'/>"),
            {"reply_parts": [(0, 5)]},
        ),
        (
            _FALLBACK.format("urn:xmpp:reply:0", "<body start='-1' end='5'/><body/>"),
            {"reply_parts": []},
        ),
        (
            _FALLBACK.format("urn:xmpp:other:0", "<body start='0' end='5'/>"),
            {"reply_parts": []},
        ),
        (
            f"{_REACTIONS}<reaction> 👍 </reaction><reaction/><other>x</other></reactions>",
            {"reacts_to": "m1", "reactions": ("👍",)},
        ),
        ("<reactions xmlns='urn:xmpp:reactions:0'/>", {"reacts_to": "", "reactions": ()}),
        ("<retract xmlns='urn:xmpp:message-retract:1' id='m1'/>", {"retracts": "m1"}),
        ("<retract xmlns='urn:xmpp:message-retract:1'/>", {"retracts": ""}),
        (
            f"{_APPLY}<retract xmlns='urn:xmpp:message-retract:0'/></apply-to>",
            {"retracts": "m1"},
        ),
        (
            f"{_APPLY}<x xmlns='y'/></apply-to>",
            {"retracts": None},
        ),
    ],
)
def test_what_is_read(inner: str, expected: dict[str, Any]) -> None:
    element = fromstring(f"<message xmlns='jabber:component:accept'>{inner}</message>")
    message = read_message(element)
    assert {name: getattr(message, name) for name in expected} == expected
    if message.has_content:
        assert any(child.tag in CONTENT for child in element)
