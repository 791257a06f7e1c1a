# SPDX-License-Identifier: Apache-2.0
"""With what users may react, in the chats and rooms of one network (REQ-124, REQ-432)."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.adapter import Capabilities
from gateway.bridge.emoji import MOST, is_emoji
from gateway.events import React, ReactInRoom
from gateway.ids import RemoteUserId
from gateway.store import journal, reactions
from gateway.store.writer import Connection
from gateway.text.wording import tr

_NO_REACTIONS = tr("Nobody can react to messages of this network.")
_NO_EMOJI = tr("One of these is too long for an emoji.")
_TOO_MANY = tr("At most {most} emoji of one person can be at a message.", most=MOST)
_NOT_ALLOWED = tr("On this network one can react with these alone: {allowed}")
_SHOWN = 40


@dataclass(frozen=True, slots=True)
class Reacting:
    """What the network allows."""

    capabilities: Capabilities

    def refused(self, emoji: tuple[str, ...]) -> str:
        """Why this cannot be; empty if it can."""
        allowed = self.capabilities.reactions_allowed
        if not self.capabilities.reactions:
            return _NO_REACTIONS
        if not all(map(is_emoji, emoji)):
            return _NO_EMOJI
        if len(emoji) > MOST:
            return _TOO_MANY
        if allowed and not set(emoji) <= set(allowed):
            return _NOT_ALLOWED.format(allowed=" ".join(allowed[:_SHOWN]))
        return ""

    def newest(
        self, db: Connection, target: int, user: RemoteUserId, emoji: tuple[str, ...]
    ) -> tuple[str, ...]:
        """As many as one person may have at a message: what was there longest goes first."""
        most = self.capabilities.reactions_per_message
        if most is None or len(emoji) <= most:
            return emoji
        before = _before(db, target, user)
        old = [each for each in emoji if each in before]
        new = [each for each in emoji if each not in before]
        return tuple([*old, *new][-most:])


def _before(db: Connection, target: int, user: RemoteUserId) -> tuple[str, ...]:
    """What they react with already, or will."""
    for _, command in reversed(journal.open_about(db, target, user)):
        if isinstance(command, React | ReactInRoom):
            return command.emoji
    return reactions.emoji_of(db, target, user)
