# SPDX-License-Identifier: Apache-2.0
"""What the client of one user says to the clients of others beside a text, and no network gets."""

from __future__ import annotations

from gateway.events.record import Record


class Enclosed(Record, frozen=True, kw_only=True):
    """One such thing. The core looks at none but its places in the text."""

    written: tuple[str | int, ...]
    """As the XMPP side writes it. The numbers are places in the text, in code points; they move
    with it."""
