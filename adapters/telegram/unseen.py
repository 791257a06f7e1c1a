# SPDX-License-Identifier: Apache-2.0
"""Edits that nobody sees. Bots are told of each change of a message, such as of the preview of a
link in it (Bot API, "Update", ``edited_message``).
"""

from __future__ import annotations

from gateway.events import RemoteEvent, RemoteMessage, RemoteRoomMessage
from gateway.ids import RemoteMessageId

_MOST = 1_000
"""Messages of one account, those that were heard of last. Edits that nobody sees come soon."""


class Unseen:
    """What messages of one account say. It is not kept: an edit too much does no harm."""

    def __init__(self) -> None:
        self._said: dict[RemoteMessageId, int] = {}

    def is_news(self, event: RemoteEvent) -> bool:
        """Whether it says anything that was not said before."""
        if not isinstance(event, RemoteMessage | RemoteRoomMessage):
            return True
        message = event.edits or event.id
        named = tuple((each.user, each.begin, each.end) for each in event.mentions)
        said = hash((str.__str__(event.body), event.spans, event.files, event.cards, named))
        is_same = event.edits is not None and self._said.pop(message, None) == said
        self._said[message] = said
        if len(self._said) > _MOST:
            del self._said[next(iter(self._said))]
        return not is_same
