# SPDX-License-Identifier: Apache-2.0
"""Stanza errors (RFC 6120 §8.3), and which failure becomes which (REQ-460)."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.bridge.splitting import brief
from gateway.events import FailureReason
from gateway.locale import ENGLISH, said_in
from gateway.text.wording import tr
from gateway.xmpp.codec import xml

_STANZAS = "urn:ietf:params:xml:ns:xmpp-stanzas"


@dataclass(frozen=True, slots=True)
class StanzaError:
    """Type and condition."""

    type: str
    condition: str
    address: str = ""
    """Where it is now (RFC 6120 §8.3.3.5)."""

    def xml(self, text: str = "", detail: str = "", *, language: str = ENGLISH) -> str:
        """The ``<error/>`` element, with a text in this language; ``detail`` is a condition of the
        application, as XML."""
        text, spoken = said_in(text, language)
        # What was asked for may be in it, however long that is.
        text = xml.text(brief(text))
        said = f"<text xmlns='{_STANZAS}' xml:lang='{spoken}'>{text}</text>" if text else ""
        condition = f"<{self.condition} xmlns='{_STANZAS}'/>"
        if self.address:
            address = xml.text(self.address)
            condition = f"<{self.condition} xmlns='{_STANZAS}'>{address}</{self.condition}>"
        return f"<error type='{self.type}'>{condition}{said}{detail}</error>"


class Refused(Exception):
    """A request is answered with an error."""

    def __init__(self, error: StanzaError, said: str = "", detail: str = "") -> None:
        super().__init__(error.condition)
        self.error = error
        self.said = said
        self.detail = detail


BAD_REQUEST = StanzaError("modify", "bad-request")
CONFLICT = StanzaError("cancel", "conflict")
FORBIDDEN = StanzaError("auth", "forbidden")
INTERNAL = StanzaError("wait", "internal-server-error")
ITEM_NOT_FOUND = StanzaError("cancel", "item-not-found")
JID_MALFORMED = StanzaError("modify", "jid-malformed")
NOT_ACCEPTABLE = StanzaError("modify", "not-acceptable")
NOT_IN_ROOM = StanzaError("cancel", "not-acceptable")
"""XEP-0410 §3.3: exactly this makes clients join again."""
NOT_ALLOWED = StanzaError("cancel", "not-allowed")
NOT_IMPLEMENTED = StanzaError("cancel", "feature-not-implemented")
POLICY_VIOLATION = StanzaError("modify", "policy-violation")
REGISTRATION_REQUIRED = StanzaError("auth", "registration-required")
REMOTE_TIMEOUT = StanzaError("wait", "remote-server-timeout")
RESOURCE_CONSTRAINT = StanzaError("wait", "resource-constraint")
SERVICE_UNAVAILABLE = StanzaError("cancel", "service-unavailable")

UNAVAILABLE = StanzaError("wait", "recipient-unavailable")
STOPPING = tr(
    "The gateway is being stopped. This may have been done or not. Please try again later.",
)
"""Of who waits for an answer then."""


def gone(address: str = "") -> StanzaError:
    """It is at another address, a URI, for good; or nowhere."""
    return StanzaError("cancel", "gone", address)


OF_REASON = {
    FailureReason.NOT_FOUND: ITEM_NOT_FOUND,
    FailureReason.FORBIDDEN: FORBIDDEN,
    FailureReason.TOO_LARGE: NOT_ACCEPTABLE,
    FailureReason.RATE_LIMITED: RESOURCE_CONSTRAINT,
    FailureReason.UNREACHABLE: UNAVAILABLE,
    FailureReason.NETWORK_ERROR: REMOTE_TIMEOUT,
    FailureReason.ENCRYPTED: NOT_ACCEPTABLE,
    FailureReason.UNSUPPORTED: NOT_ACCEPTABLE,
    FailureReason.UNREGISTERED: REGISTRATION_REQUIRED,
    FailureReason.BUSY: RESOURCE_CONSTRAINT,
    FailureReason.UNCERTAIN: StanzaError("wait", "undefined-condition"),
}

TEMPORARY = frozenset(
    {
        "remote-server-not-found",
        "remote-server-timeout",
        "recipient-unavailable",
        "resource-constraint",
        "internal-server-error",
    }
)
"""Conditions of bounces that are worth another attempt, whatever their type (REQ-461).

A server that cannot reach another one says ``cancel/remote-server-not-found``, although that
passes.
"""

GONE = frozenset({"gone", "item-not-found"})
"""Conditions by which the server of a user says that they have no account on it (REQ-461)."""

SERVER_AWAY = frozenset(
    (kind, condition)
    for kind in ("cancel", "wait")
    for condition in ("remote-server-not-found", "remote-server-timeout")
) | {("cancel", "recipient-unavailable")}
"""What servers say when they cannot reach another one, or have lost the connection to it.

The last is Prosody's word for what was written and not acknowledged (XEP-0198).
"""
