# SPDX-License-Identifier: Apache-2.0
"""The ids of our own IQs, and what an answer under another id tells.

Prosody refuses a second connection of one component. ejabberd accepts it, and gives each stanza to
one of the two at random, answers to their pings included (REQ-904). So a second gateway on another
database shows by answers of our own server to what this process never asked.
"""

from __future__ import annotations

import secrets

import structlog

from gateway.adapter import Clock

log = structlog.get_logger("stream")

_FORMER_S = 60.0
"""So long after the start an answer may be meant for the process before this one."""
_AGAIN_S = 3600.0


class RequestIds:
    """Of one component."""

    def __init__(self, domain: str, clock: Clock) -> None:
        self._log = log.bind(domain=domain)
        self._clock = clock
        self._mark = secrets.token_hex(6)
        self._silent_until = clock.monotonic() + _FORMER_S

    def new(self) -> str:
        """Unguessable, and known as ours as long as this process lives."""
        return f"{self._mark}-{secrets.token_hex(12)}"

    def stray(self, request_id: str) -> None:
        """Our own server has answered something that nobody here waits for."""
        now = self._clock.monotonic()
        if request_id.startswith(f"{self._mark}-") or now < self._silent_until:
            return
        self._silent_until = now + _AGAIN_S
        self._log.error(
            "second_gateway",
            advice="another process is connected as this component and takes a part of its "
            "stanzas; stop it",
        )
