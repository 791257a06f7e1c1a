# SPDX-License-Identifier: Apache-2.0
"""People whom somebody tells of, as networks have it for what others call a business card."""

from __future__ import annotations

from gateway.events.record import Record
from gateway.ids import RemoteUserId


class ContactCard(Record, frozen=True, kw_only=True):
    """Of a person who need not be on the network. It may all be wrong."""

    name: str = ""
    phones: tuple[str, ...] = ()
    mails: tuple[str, ...] = ()
    user: RemoteUserId | None = None
    """Who that is on the network, if it says so."""
