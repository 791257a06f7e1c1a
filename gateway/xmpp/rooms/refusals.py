# SPDX-License-Identifier: Apache-2.0
"""What the network refuses to somebody who waits, as a stanza error."""

from __future__ import annotations

from gateway.bridge.outbound.outcome import REASONS
from gateway.bridge.splitting import brief
from gateway.errors import AdapterError
from gateway.events import FailureReason
from gateway.xmpp.codec import errors
from gateway.xmpp.codec.errors import Refused


def refused(error: AdapterError) -> Refused:
    """With the sentence of the network (REQ-460)."""
    reasons = (reason for kind, reason in REASONS.items() if isinstance(error, kind))
    reason = next(reasons, FailureReason.NETWORK_ERROR)
    return Refused(errors.OF_REASON[reason], brief(error.text))
