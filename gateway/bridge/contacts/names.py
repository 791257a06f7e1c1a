# SPDX-License-Identifier: Apache-2.0
"""What a contact is called. The one place that says which name is better than another one.

Networks tell names from several sides: a member of a chat, a look-up, an invitation. Some of them
know no name at that moment, and say the id in its place, or a phone number, or nothing. Clients
keep the last name that they are told, so what was learnt is never taken back for something worse.
"""

from __future__ import annotations

import enum

from gateway.bridge.contacts.reserved import Reserved
from gateway.ids import RemoteUserId


class Rank(enum.IntEnum):
    """How much a name is worth."""

    NONE = 0
    ID = 1
    """It only says the id, or how they are called up."""
    NAME = 2
    """People chose it."""


def rank(name: str, contact: RemoteUserId) -> Rank:
    """Of a name of this contact."""
    if not name:
        return Rank.NONE
    letters = _letters(name)
    is_number = bool(letters) and letters.isdigit() and not any(map(str.isalpha, name))
    return Rank.ID if is_number or letters in ("", _letters(contact)) else Rank.NAME


def better(known: str, told: str, contact: RemoteUserId, reserved: Reserved) -> str:
    """The name to go by: what was told last, unless it is worth less than what is known. One that
    looks like the gateway's has the id behind it."""
    if reserved.is_gateways(told):
        told = f"{told} ({contact})"
    return told if rank(told, contact) >= rank(known, contact) else known


def _letters(name: str) -> str:
    """Without what only parts an id: ``@bob:example.org`` and ``bob@example.org`` say the same."""
    return "".join(filter(str.isalnum, name)).casefold()
