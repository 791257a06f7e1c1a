# SPDX-License-Identifier: Apache-2.0
"""What a network has beside the words of a message, and its users are told in words."""

from __future__ import annotations

from typing import TypeVar

from msgspec import structs

from gateway.events import Mention, RemoteMessage, RemoteRoomMessage
from gateway.text import moved

M = TypeVar("M", RemoteMessage, RemoteRoomMessage)


def put_before(event: M, words: str) -> M:
    """The message with these words on lines before its own."""
    by = len(words) + 1 if event.body else 0
    body = f"{words}\n{event.body}" if event.body else words
    mentions = tuple(_moved(mention, by) for mention in event.mentions)
    return structs.replace(event, body=body, spans=moved(event.spans, by), mentions=mentions)


def _moved(mention: Mention, by: int) -> Mention:
    if mention.begin == mention.end:  # no part of the text names them
        return mention
    return structs.replace(mention, begin=mention.begin + by, end=mention.end + by)
