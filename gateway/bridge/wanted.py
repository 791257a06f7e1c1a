# SPDX-License-Identifier: Apache-2.0
"""What a stanza of a user wants, and what is made of it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

from gateway.events import Command, FailureReason, Through
from gateway.ids import StanzaId


@dataclass(frozen=True, slots=True, kw_only=True)
class Incoming(ABC):
    """What a user wants, as read from a stanza."""

    id: StanzaId
    origin_id: StanzaId | None
    sender: str
    """Full JID, as it came."""
    receipt: bool = False
    """The sender asks for one."""
    through: Through | None = None
    """It was sent to an occupant."""

    @property
    @abstractmethod
    def content(self) -> str:
        """What tells it from other stanzas under the same id (REQ-911)."""


@dataclass(frozen=True, slots=True)
class Planned:
    """What is to be done for a stanza."""

    command: Command
    target: int | None = None
    """The message that it is about,"""
    is_edit: bool = False
    """and that the stanza's ids mean from now on."""


@dataclass(frozen=True, slots=True)
class Declined:
    """It is not done, and why."""

    reason: FailureReason
    text: str
