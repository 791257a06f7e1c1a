# SPDX-License-Identifier: Apache-2.0
"""What an admin can set for a Telegram network."""

from __future__ import annotations

from typing import Annotated, ClassVar, Self
from urllib.parse import urlsplit

import msgspec


class ServerUrl(str):
    """Where a Bot API server is: https, or http for one on a machine of the admin's own."""

    __slots__ = ()
    expected: ClassVar[str] = "the URL of a Bot API server, such as http://127.0.0.1:8081"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Check and normalise. Raises `ValueError`."""
        parts = urlsplit(text)
        is_server = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
        if not is_server or parts.username or parts.query or parts.fragment:
            raise ValueError(text)
        return cls(text.rstrip("/"))


class TelegramSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``networks.<name>.settings`` of the configuration."""

    api_url: ServerUrl = ServerUrl("https://api.telegram.org")
    """The Bot API server; one of your own (``telegram-bot-api``) if you run it."""
    poll_timeout: Annotated[int, msgspec.Meta(ge=1, le=50)] = 30
    """Seconds for which the server may hold a request while nothing happens."""
