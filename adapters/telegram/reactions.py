# SPDX-License-Identifier: Apache-2.0
"""What people react with. No I/O.

Bot API, "MessageReactionUpdated": all that somebody reacts with before and after. A reaction has
no id there, so it is given one that is kept until it is taken back. What was there before is what
the gateway was told, not what Telegram says of it: updates may be lost, and may come twice.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from telegram import (
    MessageReactionUpdated,
    ReactionType,
    ReactionTypeCustomEmoji,
    ReactionTypeEmoji,
)

from adapters.telegram import ids
from gateway.events import (
    RemoteEvent,
    RemoteReaction,
    RemoteRetraction,
    RemoteRoomReaction,
    RemoteRoomRetraction,
)
from gateway.ids import RemoteMessageId, RemoteRoomId, RemoteUserId

_KEY = "reactions "
_MOST = 1_000
"""So many times it is remembered what somebody has reacted to a message with. Of older ones in
chats the gateway is asked, and in groups nothing is taken back."""
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
        """``committed``: what somebody reacts to a message of their chat with, as the gateway has
        stored it."""
        self._known = {key: value for key, value in state.items() if key.startswith(_KEY)}
        self._committed = committed
        self._changes: dict[str, str | None] = {}

    def changes(self) -> dict[str, str | None]:
        """Of the state, since this was asked last; to be committed with the events."""
        if self._changes:
            for key, _ in sorted(self._known.items(), key=_age)[:-_MOST]:
                self._known[key], self._changes[key] = _NOTHING, None
            self._known = {key: made for key, made in self._known.items() if made != _NOTHING}
        changes, self._changes = self._changes, {}
        return changes

    def events(
        self,
        update: MessageReactionUpdated,
        number: int,
        room: RemoteRoomId | None = None,
        sender: RemoteUserId | None = None,
    ) -> Iterator[RemoteEvent]:
        """What is new, in a chat or, by ``sender``, in a room. ``number``: of the update."""
        message = ids.message_id(update.chat.id, update.message_id)
        contact, sent_at = RemoteUserId(str(update.chat.id)), update.date.timestamp()
        key = _KEY + message + (f" {sender}" if sender else "")
        before = self._of(key, None if room else contact, message)
        now = dict.fromkeys(_emoji(update.new_reaction))
        made = {each: ids.about(message, f"{int(sent_at)}.{number} {each}") for each in now}
        for emoji, id in before.items():
            if emoji in now:
                continue
            gone = ids.about(message, f"{int(sent_at)}.{number} without {emoji}")
            if room is None or sender is None:
                yield RemoteRetraction(contact=contact, id=gone, message=id, sent_at=sent_at)
            else:
                yield RemoteRoomRetraction(
                    room=room, id=gone, message=id, by=sender, sent_at=sent_at
                )
        for emoji in now:
            if emoji in before:
                continue
            about: dict[str, Any] = {"id": made[emoji], "message": message, "emoji": emoji}
            if room is None or sender is None:
                yield RemoteReaction(contact=contact, sent_at=sent_at, **about)
            else:
                yield RemoteRoomReaction(room=room, sender=sender, sent_at=sent_at, **about)
        self._keep(key, {emoji: before.get(emoji, made[emoji]) for emoji in now})

    def _of(
        self, key: str, contact: RemoteUserId | None, message: RemoteMessageId
    ) -> Mapping[str, RemoteMessageId]:
        if (known := self._known.get(key)) is None:
            return {} if contact is None else self._committed(contact, message)
        made: dict[str, RemoteMessageId] = json.loads(known)
        return made

    def _keep(self, key: str, made: Mapping[str, RemoteMessageId]) -> None:
        """That there is nothing is known as well, until the gateway has stored it."""
        self._known[key] = json.dumps(made, ensure_ascii=False)
        self._changes[key] = self._known[key] if made else None


def _age(item: tuple[str, str]) -> tuple[int, int]:
    """When somebody has reacted, which is in the ids of reactions; and to what. Numbers of
    messages alone say little: each group has its own."""
    key, made = item
    first: str = next(iter(json.loads(made).values()), "/0.")
    at = first.rpartition("/")[2].partition(".")[0]
    return int(at), int(key.rpartition(":")[2].partition(" ")[0])


def _emoji(reactions: Iterable[ReactionType]) -> Iterator[str]:
    for each in reactions:
        match each:
            case ReactionTypeEmoji(emoji=emoji):
                yield str(emoji)
            case ReactionTypeCustomEmoji():
                yield _PICTURE
