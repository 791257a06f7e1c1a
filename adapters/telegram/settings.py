# SPDX-License-Identifier: Apache-2.0
"""What an admin can set for a Telegram network."""

from __future__ import annotations

import ipaddress
import os
from pathlib import Path
from typing import Annotated, ClassVar, Self
from urllib.parse import urlsplit

import msgspec

from adapters.telegram import ids
from gateway.adapter import Secret


class ServerUrl(str):
    """Where a Bot API server is."""

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

    @property
    def is_exposed(self) -> bool:
        """Whether tokens may travel to it in clear, beyond this machine and the networks of its
        admin. Names are not looked up."""
        parts = urlsplit(self)
        host = parts.hostname or ""
        if parts.scheme == "https" or host == "localhost":
            return False
        try:
            return not ipaddress.ip_address(host).is_private
        except ValueError:
            return True


TELEGRAM = ServerUrl("https://api.telegram.org")


class TelegramSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``networks.<name>.settings`` of the configuration."""

    api_url: ServerUrl = TELEGRAM
    """The Bot API server; one of your own (``telegram-bot-api``) if you run it."""
    tunnelled: bool = False
    """The way to an ``api_url`` without encryption is protected otherwise."""
    local_files: Path | None = None
    """The directory of a Bot API server with ``--local`` (its ``--dir``), as it is called on the
    machine of the gateway: files are there, of any size."""
    poll_timeout: Annotated[int, msgspec.Meta(ge=1, le=50)] = 30
    """Seconds for which the server may hold a request while nothing happens."""
    relay_token: Secret | None = None
    """Of the bot that speaks in linked groups for people without an account."""

    def __post_init__(self) -> None:
        """Raises `ValueError`."""
        if self.api_url.is_exposed and not self.tunnelled:
            raise ValueError(
                f"api_url: tokens of bots would travel to {urlsplit(self.api_url).hostname} "
                "without encryption; expected https, or an IP address of this machine or of a "
                'private network; or protect the way yourself and set "tunnelled: true"'
            )
        if self.relay_token is not None and ids.bot_of(self.relay_token.reveal()) is None:
            raise ValueError(
                "relay_token: no token of a bot; expected what @BotFather gives, which looks like "
                "123456:ABC-DEF and is longer"
            )
        if self.local_files is None:
            return
        expected = "expected the directory in which telegram-bot-api --local keeps its files"
        if self.api_url == TELEGRAM:
            raise ValueError(
                f"local_files: {expected}, and api_url the address of that server; that of "
                "Telegram itself has no files here"
            )
        if not os.access(self.local_files, os.R_OK | os.X_OK) or not self.local_files.is_dir():
            raise ValueError(
                f"local_files: {self.local_files} is no directory that the gateway may read; "
                f"{expected} (its --dir), as it is called on this machine"
            )
