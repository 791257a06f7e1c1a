# SPDX-License-Identifier: Apache-2.0
"""Polls of others: bots may neither vote nor see who does. No I/O.

Bot API, "Poll", "Update": of a poll bots are told what it asks, and once more when somebody closes
it. Then it does not say where it is, so that is kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
from telegram import Message, Poll

from adapters.telegram import ids
from adapters.telegram.topics import root_of
from gateway.events import RemoteEvent, RemoteNotice, RemoteRoomNotice
from gateway.ids import RemoteMessageId, RemoteRoomId, RemoteUserId
from gateway.text import clean
from gateway.text.wording import joined, tr

_KEY = "poll "
_MOST = 200
"""Polls of one account, those that were begun last."""


class _Place(msgspec.Struct, frozen=True, omit_defaults=True):
    message: RemoteMessageId
    contact: RemoteUserId | None = None
    room: RemoteRoomId | None = None
    thread: RemoteMessageId | None = None


class Polls:
    """Those of one bot's chats and groups that are not closed."""

    def __init__(self, state: Mapping[str, str]) -> None:
        self._places = {
            key.removeprefix(_KEY): msgspec.json.decode(value, type=_Place)
            for key, value in state.items()
            if key.startswith(_KEY)
        }
        self._changes: dict[str, str | None] = {}

    def changes(self) -> dict[str, str | None]:
        """Of the state, since this was asked last."""
        changes, self._changes = self._changes, {}
        return changes

    def learn_of(self, message: Message, room: RemoteRoomId | None = None) -> None:
        """Where it is, if a message is one. ``room``: that of a group."""
        poll = message.poll
        if poll is None or poll.is_closed:
            return
        contact = None if room else RemoteUserId(str(message.chat.id))
        id = ids.message_id(message.chat.id, message.message_id)
        self._places.pop(poll.id, None)
        place = self._places[poll.id] = _Place(id, contact, room, root_of(message))
        self._changes[_KEY + poll.id] = msgspec.json.encode(place).decode()
        if len(self._places) > _MOST:
            self._forget(next(iter(self._places)))

    def changed(self, poll: Poll) -> Iterator[RemoteEvent]:
        """It may be closed now."""
        place = self._places.get(poll.id)
        if place is None or not poll.is_closed:
            return
        self._forget(poll.id)
        about: dict[str, Any] = {"id": ids.about(place.message, "closed"), "text": words(poll)}
        if place.room is not None:
            yield RemoteRoomNotice(room=place.room, thread=place.thread, **about)
        else:
            yield RemoteNotice(contact=place.contact, **about)

    def _forget(self, poll: str) -> None:
        del self._places[poll]
        self._changes[_KEY + poll] = None


def words(poll: Poll) -> str:
    """What it asks, with as many as have chosen each answer, if any have."""
    lines = [f"\N{BAR CHART} {clean(poll.question)}"]
    for option in poll.options:
        votes = f": {option.voter_count}" if poll.total_voter_count else ""
        lines.append(f"• {clean(option.text)}{votes}")
    if poll.is_closed:
        lines.append(tr("This poll is closed."))
    return joined(lines, "\n")
