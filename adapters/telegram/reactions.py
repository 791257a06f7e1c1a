# SPDX-License-Identifier: Apache-2.0
"""What people react with. No I/O.

Bot API, "MessageReactionUpdated": all that somebody reacts with before and after. A reaction has
no id there, so it is given one that is kept until it is taken back.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping

from telegram import (
    MessageReactionUpdated,
    ReactionType,
    ReactionTypeCustomEmoji,
    ReactionTypeEmoji,
)

from adapters.telegram import ids
from gateway.events import RemoteEvent, RemoteReaction, RemoteRetraction
from gateway.ids import RemoteMessageId, RemoteUserId

_KEY = "reactions "
_MOST = 500
"""Messages of which it is remembered what they have; of older ones nothing is taken back."""
_PICTURE = "\N{FRAME WITH PICTURE}\ufe0f"
"""Stands for a picture of somebody's own making: clients show only what is an emoji (XEP-0444)."""


class Reactions:
    """Of the people of one account, as its state has them."""

    def __init__(self, state: Mapping[str, str]) -> None:
        self._known = {key: value for key, value in state.items() if key.startswith(_KEY)}
        self._changes: dict[str, str | None] = {}

    def changes(self) -> dict[str, str | None]:
        """Of the state, since this was asked last."""
        changes, self._changes = self._changes, {}
        return changes

    def events(self, update: MessageReactionUpdated, number: int) -> Iterator[RemoteEvent]:
        """What is new. ``number``: of the update."""
        message = ids.message_id(update.chat.id, update.message_id)
        contact, sent_at = RemoteUserId(str(update.chat.id)), update.date.timestamp()
        before = self._of(message)
        now = dict.fromkeys(_emoji(update.new_reaction))
        made = {each: ids.about(message, f"{int(sent_at)}.{number} {each}") for each in now}
        for emoji, id in before.items():
            if emoji not in now:
                gone = ids.about(message, f"{int(sent_at)}.{number} without {emoji}")
                yield RemoteRetraction(contact=contact, id=gone, message=id, sent_at=sent_at)
        for emoji in now:
            if emoji not in before:
                yield RemoteReaction(
                    contact=contact,
                    id=made[emoji],
                    message=message,
                    emoji=emoji,
                    sent_at=sent_at,
                )
        self._keep(message, {emoji: before.get(emoji, made[emoji]) for emoji in now})

    def _of(self, message: RemoteMessageId) -> dict[str, RemoteMessageId]:
        stored = self._known.get(_KEY + message)
        return json.loads(stored) if stored else {}

    def _keep(self, message: RemoteMessageId, made: Mapping[str, RemoteMessageId]) -> None:
        key = _KEY + message
        self._known.pop(key, None)
        if not made:
            self._changes[key] = None
            return
        self._known[key] = self._changes[key] = json.dumps(made, ensure_ascii=False)
        while len(self._known) > _MOST:
            oldest = min(self._known, key=_age)
            del self._known[oldest]
            self._changes[oldest] = None


def _age(key: str) -> int:
    """Numbers of messages grow, in private chats over all of them."""
    return int(key.rpartition(":")[2])


def _emoji(reactions: Iterable[ReactionType]) -> Iterator[str]:
    for each in reactions:
        match each:
            case ReactionTypeEmoji(emoji=emoji):
                yield str(emoji)
            case ReactionTypeCustomEmoji():
                yield _PICTURE
