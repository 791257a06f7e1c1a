# SPDX-License-Identifier: Apache-2.0
"""What people react with. No I/O.

Bot API, "MessageReactionUpdated": all that somebody reacts with before and after. A reaction has
no id there, so it is given one that is kept until it is taken back. What was there before is what
the gateway was told, not what Telegram says of it: updates may be lost, and may come twice.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping

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
"""Messages of which it is remembered what they have; of older ones the gateway is asked."""
_NOTHING = "{}"
_PICTURE = "\N{FRAME WITH PICTURE}\ufe0f"
"""Stands for a picture of somebody's own making: clients show only what is an emoji (XEP-0444)."""


class Reactions:
    """Of the people of one account, as its state has them."""

    def __init__(
        self,
        state: Mapping[str, str],
        committed: Callable[[RemoteUserId, RemoteMessageId], Mapping[str, RemoteMessageId]],
    ) -> None:
        """``committed``: what somebody reacts to a message with, as the gateway has stored it."""
        self._known = {key: value for key, value in state.items() if key.startswith(_KEY)}
        self._committed = committed
        self._changes: dict[str, str | None] = {}

    def changes(self) -> dict[str, str | None]:
        """Of the state, since this was asked last; to be committed with the events."""
        if self._changes:
            for key in sorted(self._known, key=_age)[:-_MOST]:
                self._known[key], self._changes[key] = _NOTHING, None
            self._known = {key: made for key, made in self._known.items() if made != _NOTHING}
        changes, self._changes = self._changes, {}
        return changes

    def events(self, update: MessageReactionUpdated, number: int) -> Iterator[RemoteEvent]:
        """What is new. ``number``: of the update."""
        message = ids.message_id(update.chat.id, update.message_id)
        contact, sent_at = RemoteUserId(str(update.chat.id)), update.date.timestamp()
        before = self._of(contact, message)
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

    def _of(
        self, contact: RemoteUserId, message: RemoteMessageId
    ) -> Mapping[str, RemoteMessageId]:
        if (known := self._known.get(_KEY + message)) is None:
            return self._committed(contact, message)
        made: dict[str, RemoteMessageId] = json.loads(known)
        return made

    def _keep(self, message: RemoteMessageId, made: Mapping[str, RemoteMessageId]) -> None:
        """That there is nothing is known as well, until the gateway has stored it."""
        key = _KEY + message
        self._known[key] = json.dumps(made, ensure_ascii=False)
        self._changes[key] = self._known[key] if made else None


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
