# SPDX-License-Identifier: Apache-2.0
"""One message in one chat."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .accounts import User

if TYPE_CHECKING:
    from .chats import Chat

Json = dict[str, Any]

_SERVICE = {
    "new_chat_members",
    "left_chat_member",
    "new_chat_title",
    "new_chat_photo",
    "delete_chat_photo",
    "pinned_message",
    "migrate_to_chat_id",
    "migrate_from_chat_id",
    "group_chat_created",
    "forum_topic_created",
    "forum_topic_edited",
    "forum_topic_closed",
    "forum_topic_reopened",
    "general_forum_topic_hidden",
    "general_forum_topic_unhidden",
}
_ANONYMOUS = {
    "id": 1087968824,
    "is_bot": True,
    "first_name": "Group",
    "username": "GroupAnonymousBot",
}
"""Who speaks for administrators that do not want to be seen."""


@dataclass(eq=False)
class Message:
    """What is shown now, and what is needed to tell bots of it."""

    chat: Chat
    id: int
    sender: User
    date: int
    content: Json
    """The fields of a Message that say what it is: text and entities, or a medium, or an event."""
    reply_to: Message | None = None
    quote: Json | None = None
    thread_id: int | None = None
    album: str = ""
    edited: int = 0
    forward_origin: Json | None = None
    is_anonymous: bool = False
    """An administrator speaks in the name of the group."""
    written_by: User | None = None
    """The bot that has written it in the name of the sender."""
    reactions: dict[int, list[Json]] = field(default_factory=dict)
    """By the id of who reacted."""

    @property
    def text(self) -> str:
        """The text or the caption."""
        return str(self.content.get("text", self.content.get("caption", "")))

    @property
    def entities(self) -> list[Json]:
        """Those of the text or the caption."""
        found: list[Json] | None = self.content.get("entities")
        return found or self.content.get("caption_entities") or []

    @property
    def is_service(self) -> bool:
        """Whether it tells of an event."""
        return not _SERVICE.isdisjoint(self.content)

    @property
    def is_deleted(self) -> bool:
        """Whether nobody sees it any longer."""
        return self.chat.messages.get(self.id) is not self

    def json(self, *, with_reply: bool = True) -> Json:
        """A Message."""
        made: Json = {"message_id": self.id, "from": self.sender.json(), "date": self.date}
        made["chat"] = self.chat.json()
        if self.is_anonymous:
            made |= {"from": _ANONYMOUS, "sender_chat": self.chat.json()}
        made |= self.chat.marks(self)
        if self.edited:
            made["edit_date"] = self.edited
        if self.thread_id is not None:
            made["message_thread_id"] = self.thread_id
            made["is_topic_message"] = True
        elif self.reply_to is not None and self.chat.has_chains:
            made["message_thread_id"] = self._first_answered().id
        if self.forward_origin is not None:
            made["forward_origin"] = self.forward_origin
        answered = self.reply_to or self._root()
        if with_reply and answered is not None and not answered.is_deleted:
            made["reply_to_message"] = answered.json(with_reply=False)
        if self.quote is not None:
            made["quote"] = self.quote
        if self.album:
            made["media_group_id"] = self.album
        return {**made, **self.content}

    def _first_answered(self) -> Message:
        """The message with which the answers to answers began."""
        return self if self.reply_to is None else self.reply_to._first_answered()

    def _root(self) -> Message | None:
        """In a topic of a group what answers nothing answers the creation of the topic."""
        if self.thread_id in (None, self.id):
            return None
        return self.chat.messages.get(self.thread_id or 0)
