# SPDX-License-Identifier: Apache-2.0
"""Who is on Telegram: people and bots."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .updates import Updates

if TYPE_CHECKING:
    from .files import Stored

Json = dict[str, Any]


@dataclass(eq=False)
class User:
    """Somebody, as everybody sees them."""

    id: int
    first_name: str
    last_name: str = ""
    username: str = ""
    language_code: str = ""
    bio: str = ""
    photos: list[list[Stored]] = field(default_factory=list)
    """Profile photos, the newest first, each in some sizes, the smallest first."""

    is_deleted: bool = False
    """They are on Telegram no more; what they said is still there, of nobody."""

    is_bot = False

    @property
    def name(self) -> str:
        """As shown in chats."""
        return f"{self.first_name} {self.last_name}".strip()

    def json(self) -> Json:
        """A User."""
        if self.is_deleted:
            return {"id": self.id, "is_bot": self.is_bot, "first_name": ""}
        made: Json = {"id": self.id, "is_bot": self.is_bot, "first_name": self.first_name}
        for name in ("last_name", "username", "language_code"):
            if value := getattr(self, name):
                made[name] = value
        return made


@dataclass(eq=False)
class Bot(User):
    """A bot of whoever runs the gateway."""

    token: str = ""
    can_join_groups: bool = True
    reads_all: bool = True
    """Privacy mode is off. A change counts in groups to which it is added afterwards."""
    has_topics: bool = False
    """It may have topics in private chats."""
    is_secretary: bool = False
    """People may let it into chats of their own."""
    updates: Updates = field(default_factory=Updates)
    commands: dict[str, list[Json]] = field(default_factory=dict)
    """By scope and language, as JSON."""
    blocked_by: set[int] = field(default_factory=set)
    logged_out: bool = False
    """From the cloud server, for 10 minutes, to be used on a local one."""

    is_bot = True

    def __post_init__(self) -> None:
        self.revoke()

    def revoke(self) -> None:
        """Its owner has asked for a new token; the old one is worth nothing."""
        self.token = f"{self.id}:{secrets.token_urlsafe(26)[:35]}"

    def me(self) -> Json:
        """What it is told of itself."""
        return {
            **self.json(),
            "can_join_groups": self.can_join_groups,
            "can_read_all_group_messages": self.reads_all,
            "supports_inline_queries": False,
            "supports_guest_queries": False,
            "can_connect_to_business": self.is_secretary,
            "has_main_web_app": False,
            "has_topics_enabled": self.has_topics,
            "allows_users_to_create_topics": False,
            "can_manage_bots": False,
            "supports_join_request_queries": False,
        }
