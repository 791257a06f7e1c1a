# SPDX-License-Identifier: Apache-2.0
"""Chats, and who is what in them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.peers.inbox import Inbox

from .accounts import Bot, User
from .errors import bad, forbidden
from .messages import Message

if TYPE_CHECKING:
    from .files import Stored

Json = dict[str, Any]

_RIGHTS = (
    "can_manage_chat",
    "can_delete_messages",
    "can_manage_video_chats",
    "can_restrict_members",
    "can_promote_members",
    "can_change_info",
    "can_invite_users",
    "can_post_stories",
    "can_edit_stories",
    "can_delete_stories",
    "can_send_welcome_messages",
    "can_pin_messages",
)
_IN_SUPERGROUPS = ("can_manage_topics",)
BASIC_RIGHTS = frozenset(
    {
        "can_manage_chat",
        "can_change_info",
        "can_delete_messages",
        "can_invite_users",
        "can_restrict_members",
        "can_pin_messages",
        "can_manage_video_chats",
    }
)
"""All administrators of a basic group have these, and no others."""
RIGHTS = frozenset((*_RIGHTS, *_IN_SUPERGROUPS))
"""Those of administrators of supergroups."""
PERMISSIONS = (
    "can_send_messages",
    "can_send_audios",
    "can_send_documents",
    "can_send_photos",
    "can_send_videos",
    "can_send_video_notes",
    "can_send_voice_notes",
    "can_send_polls",
    "can_send_other_messages",
    "can_add_web_page_previews",
    "can_react_to_messages",
    "can_edit_tag",
    "can_change_info",
    "can_invite_users",
    "can_pin_messages",
    "can_manage_topics",
)
_PRESENT = {"creator", "administrator", "member", "restricted"}


@dataclass(eq=False)
class Member:
    """Somebody in a group, or who was there."""

    user: User
    status: str = "member"
    title: str = ""
    """What is shown beside the name of an administrator."""
    rights: set[str] = field(default_factory=set)
    """Of an administrator."""
    reads_all: bool = True
    """Of a bot: privacy mode was off when it came."""
    promoted_by: User | None = None
    """Who has made them an administrator, and may change that."""
    permissions: frozenset[str] = frozenset()
    """Of who is restricted: what they still may do."""
    until: int = 0
    """When a ban ends; 0: never."""
    is_anonymous: bool = False
    """An administrator who does not want to be seen."""

    @property
    def is_present(self) -> bool:
        """Neither gone nor banned."""
        return self.status in _PRESENT

    @property
    def is_admin(self) -> bool:
        """The owner is one, too."""
        return self.status in ("creator", "administrator")

    def may(self, right: str) -> bool:
        """Whether an administrator has this right."""
        return self.status == "creator" or (self.is_admin and right in self.rights)

    def json(self) -> Json:
        """A ChatMember."""
        made: Json = {"user": self.user.json(), "status": self.status}
        if self.is_admin:
            made["is_anonymous"] = self.is_anonymous
        if self.status == "administrator":
            made["can_be_edited"] = False
            made |= {right: right in self.rights for right in _RIGHTS}
            made |= {right: True for right in _IN_SUPERGROUPS if right in self.rights}
        if self.is_admin and self.title:
            made["custom_title"] = self.title
        if self.status == "kicked":
            made["until_date"] = self.until
        if self.status == "restricted":
            made |= {each: each in self.permissions for each in PERMISSIONS}
            made |= {"is_member": True, "until_date": 0}
        return made


@dataclass(eq=False)
class Chat:
    """A conversation as bots see it. Ids of messages are those of this chat alone."""

    id: int
    messages: dict[int, Message] = field(default_factory=dict)
    """Those that are not deleted, by their id, the oldest first."""
    seen: Inbox[Message] = field(init=False)
    """What bots have sent here, in order."""
    next_message_id: int = 1
    photo: list[Stored] = field(default_factory=list)
    """Small and big."""
    reactions: set[str] | None = None
    """The emojis with which one may react here, None for all."""

    def __post_init__(self) -> None:
        self.seen = Inbox(f"chat {self.id}")

    def json(self) -> Json:
        """A Chat."""
        raise NotImplementedError

    def bots(self) -> Iterator[Bot]:
        """Those that are here."""
        raise NotImplementedError

    def member(self, user: User) -> Member:
        """What somebody is here."""
        raise NotImplementedError

    def check_open_to(self, bot: Bot) -> None:
        """Raise ApiError if this bot can't write here."""
        raise NotImplementedError

    def shown_to(self, bot: Bot, message: Message) -> bool:
        """Whether this bot is told of a message."""
        raise NotImplementedError

    def topic(self, bot: Bot, thread_id: int | None) -> int | None:
        """The thread in which a message of a bot goes that was meant for this one."""
        raise NotImplementedError

    @property
    def has_chains(self) -> bool:
        """Answers say with which message that which they answer began; that is no topic."""
        return False

    def speaker(self, bot: Bot) -> User:
        """In whose name a bot writes here."""
        return bot

    def may_edit(self, bot: Bot, message: Message, now: int) -> bool:
        """Whether a bot can change what this says."""
        return message.sender is bot

    def marks(self, message: Message) -> Json:
        """What messages of this kind of chat have besides."""
        return {}

    def kind(self, kind: str) -> str:
        """How updates about messages are called here."""
        return kind

    def tell_deleted(self, message_ids: list[int]) -> None:
        """People have taken these back; bots are not told."""

    @property
    def texts(self) -> list[str]:
        """Of all that is there now."""
        return [message.text for message in self.messages.values()]


def of_person(person: User) -> Json:
    """A Chat with somebody."""
    made: Json = {"id": person.id, "type": "private", "first_name": person.first_name}
    for name in ("last_name", "username"):
        if value := getattr(person, name):
            made[name] = value
    return made


@dataclass(eq=False)
class PrivateChat(Chat):
    """A person and a bot. Its id is the one of the person."""

    person: User = field(kw_only=True)
    bot: Bot = field(kw_only=True)
    is_begun: bool = True
    """The person has written first; before, a bot may only know of them."""
    topics: dict[int, str] = field(default_factory=dict)
    """Their names by their ids."""

    def json(self) -> Json:
        """A Chat."""
        return of_person(self.person)

    def bots(self) -> Iterator[Bot]:
        """The one that is here."""
        yield self.bot

    def member(self, user: User) -> Member:
        """Nobody is anything else here."""
        return Member(user)

    def check_open_to(self, bot: Bot) -> None:
        """Raise ApiError if the person does not want to hear of it, or is no more."""
        if self.person.is_deleted:
            raise forbidden("user is deactivated")
        if not self.is_begun:
            raise forbidden("bot can't initiate conversation with a user")
        if self.person.id in bot.blocked_by:
            raise forbidden("bot was blocked by the user")

    def shown_to(self, bot: Bot, message: Message) -> bool:
        """All but its own."""
        return bot is self.bot and message.sender is not bot

    def topic(self, bot: Bot, thread_id: int | None) -> int | None:
        """The topic, if there is such a one."""
        if thread_id is not None and thread_id not in self.topics:
            raise bad("message thread not found")
        return thread_id


@dataclass(eq=False)
class Group(Chat):
    """A basic group, or a supergroup if its id says so."""

    title: str = field(kw_only=True)
    is_super: bool = False
    is_forum: bool = False
    username: str = ""
    description: str = ""
    shows_past: bool = False
    """Who comes later sees what was said before."""
    members: dict[int, Member] = field(default_factory=dict)
    """By the id of the user; the owner comes first."""
    topics: dict[int, str] = field(default_factory=dict)
    """The names of topics by the ids of the messages that made them."""
    closed_topics: set[int | None] = field(default_factory=set)
    """None is the general one."""
    became: Group | None = None
    """The supergroup that it is now."""

    def json(self) -> Json:
        """A Chat."""
        kind = "supergroup" if self.is_super else "group"
        made: Json = {"id": self.id, "type": kind, "title": self.title}
        if self.username:
            made["username"] = self.username
        if self.is_forum:
            made["is_forum"] = True
        return made

    def bots(self) -> Iterator[Bot]:
        """Those that are here."""
        for member in list(self.members.values()):
            if isinstance(member.user, Bot) and member.is_present:
                yield member.user

    def member(self, user: User) -> Member:
        """What somebody is here."""
        return self.members.get(user.id) or Member(user, "left")

    def check_open_to(self, bot: Bot) -> None:
        """Raise ApiError if the bot is not in it, or may say nothing."""
        kind = "supergroup" if self.is_super else "group"
        member = self.member(bot)
        if self.became is not None:
            error = bad("group chat was upgraded to a supergroup chat")
            error.parameters["migrate_to_chat_id"] = self.became.id
            raise error
        if member.status == "kicked":
            raise forbidden(f"bot was kicked from the {kind} chat")
        if not member.is_present:
            raise forbidden(f"bot is not a member of the {kind} chat")
        if member.status == "restricted" and "can_send_messages" not in member.permissions:
            raise bad("not enough rights to send text messages to the chat")

    def shown_to(self, bot: Bot, message: Message) -> bool:
        """All but what bots say; in privacy mode only what concerns the bot."""
        member = self.member(bot)
        if not member.is_present or message.sender.is_bot:
            return False
        if member.reads_all or member.is_admin or message.is_service:
            return True
        if message.reply_to is not None and message.reply_to.sender is bot:
            return True
        words = message.text.split()
        return bool(words) and (
            f"@{bot.username}" in words
            or (words[0][0] == "/" and words[0].partition("@")[2] in ("", bot.username))
        )

    def topic(self, bot: Bot, thread_id: int | None) -> int | None:
        """The topic, if there are any; None is the general one. Administrators with the right to
        manage topics may write to those that are closed."""
        if thread_id is not None and thread_id not in self.topics:
            raise bad("message thread not found")
        if thread_id in self.closed_topics and not self.member(bot).may("can_manage_topics"):
            raise bad("TOPIC_CLOSED")
        return thread_id

    @property
    def has_chains(self) -> bool:
        """In supergroups; in forums too, where it is the general topic."""
        return self.is_super
