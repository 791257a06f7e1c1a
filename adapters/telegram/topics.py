# SPDX-License-Identifier: Apache-2.0
"""Topics of forums, and of chats with bots that have them, as threads (REQ-578). No I/O.

Bot API, "Message", ``message_thread_id``: the number of the message with which a topic began. Of
answers elsewhere it is set too, so only ``is_topic_message`` says that there is one. What is said
in the general topic is in none.

Most clients know no threads. So each topic has a line with its name, and what answers nothing in
it is shown as an answer to that.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
from telegram import Message

from adapters.telegram import ids
from gateway.events import RemoteEvent, RemoteRoomNotice
from gateway.ids import RemoteMessageId, RemoteRoomId
from gateway.text import clean
from gateway.text.wording import tr

_KEY = "topic "
_MOST = 1_000
"""Topics of one account whose names are known: those that were named last."""


class _Topic(msgspec.Struct, frozen=True):
    name: str
    line: RemoteMessageId
    """What tells that it is called so."""


def root_of(message: Message) -> RemoteMessageId | None:
    """With what the topic began in which something is said."""
    if not message.is_topic_message or message.message_thread_id is None:
        return None
    return ids.message_id(message.chat.id, message.message_thread_id)


class Topics:
    """Of one bot."""

    def __init__(self, state: Mapping[str, str]) -> None:
        self._topics = {
            RemoteMessageId(key.removeprefix(_KEY)): msgspec.json.decode(value, type=_Topic)
            for key, value in state.items()
            if key.startswith(_KEY)
        }
        self._changes: dict[str, str | None] = {}

    def changes(self) -> dict[str, str | None]:
        """Of the state, since this was asked last."""
        changes, self._changes = self._changes, {}
        return changes

    def place(self, message: Message) -> dict[str, Any]:
        """Fields of an event: the thread of what is said, and what it is shown after there."""
        root = root_of(message)
        if root is None:
            return {}
        known = self._topics.get(root)
        return {"thread": root, "thread_after": None if known is None else known.line}

    def lines(self, room: RemoteRoomId, message: Message, by: str) -> Iterator[RemoteEvent]:
        """What has happened to a topic of a group; or its name, where something is said in it that
        was not named yet. ``by``: who has done it."""
        root = root_of(message)
        id = ids.message_id(message.chat.id, message.message_id)
        text = self.told(message, by)
        if text:
            yield RemoteRoomNotice(room=room, id=id, text=text, thread=root)
        elif root is not None and root not in self._topics and (name := _opened(message)):
            self._keep(root, name, root)
            text = tr("Topic “{topic}”.", topic=name)
            yield RemoteRoomNotice(room=room, id=root, text=text, thread=root)

    def told(self, message: Message, by: str) -> str:
        """What has happened to a topic, in words; empty if nothing has, or nothing to see."""
        root = root_of(message)
        if root is None:
            return _of_general(message, by)
        known, name = self._topics.get(root), _opened(message)
        before = name if known is None else known.name
        line = ids.message_id(message.chat.id, message.message_id)
        if message.forum_topic_created is not None:
            self._keep(root, name, line)
            return tr("Topic “{topic}”, opened by {name}.", topic=name, name=by)
        if message.forum_topic_edited is not None and message.forum_topic_edited.name:
            name = _one_line(message.forum_topic_edited.name)
            self._keep(root, name, line)
            return tr("Topic “{topic}”, until now “{before}”.", topic=name, before=before)
        if message.forum_topic_closed is not None:
            return tr("{name} has closed the topic “{topic}”.", name=by, topic=before)
        if message.forum_topic_reopened is not None:
            return tr("{name} has opened the topic “{topic}” again.", name=by, topic=before)
        return ""

    def _keep(self, root: RemoteMessageId, name: str, line: RemoteMessageId) -> None:
        self._topics.pop(root, None)
        topic = self._topics[root] = _Topic(name, line)
        self._changes[_KEY + root] = msgspec.json.encode(topic).decode()
        if len(self._topics) > _MOST:
            oldest = next(iter(self._topics))
            del self._topics[oldest]
            self._changes[_KEY + oldest] = None


def _of_general(message: Message, by: str) -> str:
    """It has no thread."""
    if message.forum_topic_closed is not None:
        return tr("{name} has closed the general topic.", name=by)
    if message.forum_topic_reopened is not None:
        return tr("{name} has opened the general topic again.", name=by)
    if message.general_forum_topic_hidden is not None:
        return tr("{name} has hidden the general topic.", name=by)
    if message.general_forum_topic_unhidden is not None:
        return tr("{name} shows the general topic again.", name=by)
    edited = message.forum_topic_edited
    if edited is not None and edited.name:
        return tr("The general topic is called “{topic}” now.", topic=_one_line(edited.name))
    return ""


def _opened(message: Message) -> str:
    """What a topic was called when it began. All that answers nothing in it answers that."""
    for each in (message, message.reply_to_message):
        if each is not None and each.forum_topic_created is not None:
            return _one_line(each.forum_topic_created.name)
    return ""


def _one_line(name: str) -> str:
    return " ".join(clean(name).split())
