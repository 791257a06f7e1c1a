# SPDX-License-Identifier: Apache-2.0
"""Telegram, by the official Bot API: a user links a bot of their own. Whoever writes to it is a
contact, and a group in which it is is a room. A user who lets the bot into chats of their own
Telegram account has these here, too.

====================  ==========================================================================
``login``             linking a bot by its token
``session``           fetches updates and commits them; ``polling`` is one request for them
``inbound``           updates as events: ``spoken`` is what somebody says, ``described`` has
                      words for what is no text, ``reactions`` what people react with,
                      ``unseen`` edits that change nothing, ``reading`` is the library's part
``groups``            which ones there are and who is there; ``group_events`` what happens there,
                      ``looking`` asks what they are, ``lacking`` says what is not told,
                      ``service_messages`` what nobody has said
``topics``            topics of groups, and of chats, as threads; ``polls`` are told once more when
                      they are closed
``connected``         whose own chats the bot was let into; ``connected_events`` what happens
                      there, ``connected_outbound`` what the user does there,
                      ``connected_looks`` asks what a connection is
``pictures``          who has which picture, and its bytes; ``profiles`` what contacts show
``ruling``            what users do with groups; ``rights`` who may do what
``known``             what is remembered of all these
``outbound``          commands as requests; ``buckets`` says when, ``changing`` is an edit,
                      ``answering`` an answer to a part of a message
``files``             what is shared, and its bytes: ``downloads``, and ``local_files`` from a
                      server's own disk; ``uploads`` sends some
``entities``          styles of texts, both ways; ``naming`` is who is named in them
``request``           requests of python-telegram-bot over the gateway's own connections
``errors``            what Telegram refuses, in words for users
``relay``             what the gateway's own bot hears of people, and their ``commands``;
                      ``administrators`` are obeyed; ``speaking`` says what others
                      say, ``votes`` shows what they react with
``ids``               how people and messages are called
====================  ==========================================================================
"""

from __future__ import annotations

import logging
import os
from dataclasses import replace
from functools import cached_property
from typing import ClassVar

from telegram import Bot

from adapters.telegram import ids
from adapters.telegram.emoji import ALLOWED
from adapters.telegram.login import REALM, TelegramLogin
from adapters.telegram.outbound import MAX_TEXT_BYTES
from adapters.telegram.request import SharedRequest
from adapters.telegram.ruling import ACTIONS
from adapters.telegram.session import TelegramSession, bot_with
from adapters.telegram.settings import TelegramSettings
from adapters.telegram.uploads import LARGEST, LARGEST_LOCAL, VOICE_TYPE
from gateway.adapter import (
    AccountContext,
    Adapter,
    Capabilities,
    Linked,
    LoginFlow,
    NetworkContext,
    Relogin,
    Session,
)
from gateway.ids import RemoteUserId
from gateway.text.wording import tr

__all__ = ["TelegramAdapter", "TelegramSettings"]

# Times of the library are what they will be in its next version, without a warning for each.
os.environ.setdefault("PTB_TIMEDELTA", "true")
# What the library says has tokens and texts in it.
logging.getLogger("telegram").setLevel(logging.WARNING)


class TelegramAdapter(Adapter):
    """Telegram."""

    display_name: ClassVar[str] = "Telegram"
    settings_type: ClassVar[type[TelegramSettings]] = TelegramSettings
    capabilities: Capabilities = Capabilities(
        idempotent_send=False,
        rooms=True,
        relay=True,
        room_actions=ACTIONS,
        edits=True,
        replies=True,
        quotes=True,
        threads=True,
        mentions=True,
        reactions=True,
        reactions_per_message=1,
        reactions_allowed=ALLOWED,
        retractions=True,
        avatars=True,
        files=True,
        sends_files=True,
        max_file_bytes=LARGEST,
        voice_types=(VOICE_TYPE,),
        cards=True,
        max_text_bytes=MAX_TEXT_BYTES,
    )

    def __init__(self, context: NetworkContext) -> None:
        super().__init__(context)
        if context.settings.local_files is not None:
            self.capabilities = replace(self.capabilities, max_file_bytes=LARGEST_LOCAL)
        self._house_name = ""
        """The user name of the gateway's own bot, once it is known."""

    def address_of(self, remote_id: RemoteUserId) -> str | None:
        """Their number, and ``me.`` before it if they write to the user and not to the bot."""
        return ids.address_of(remote_id)

    def contact_at(self, address: str) -> RemoteUserId | None:
        """Numbers alone: bots cannot find people by their names."""
        return ids.contact_at(address)

    def takes_read_marks(self, contact: RemoteUserId) -> bool:
        """Only in the user's own chats, and only the user's: nobody tells bots what was read."""
        return ids.person_of(contact) is not None

    def login(self, again: Relogin | None = None) -> LoginFlow:
        """By the token of a bot."""
        return TelegramLogin(self._bot, again)

    def house(self) -> Linked | None:
        """The bot of the settings."""
        if self.context.settings.relay_token is None:
            return None
        token = self.context.settings.relay_token.reveal()
        bot = ids.bot_of(token)
        if bot is None:
            return None
        return Linked(realm=REALM, remote_id=bot, secret=token.encode(), ours=False)

    def how_to_link(self, code: str) -> str:
        """By a link that puts the bot into a group and sends the code there, once it is known how
        the bot is called (https://core.telegram.org/api/links#groupchannel-bot-links)."""
        if not self._house_name:
            return super().how_to_link(code)
        return tr(
            "In Telegram, open https://t.me/{name}?startgroup={code} and choose the group: the "
            "bot comes into it, and the code with it. If it is in the group already, send there: "
            "/link@{name} {code}\n"
            "Make the bot an administrator of the group, with whatever rights: else it is not "
            "told of reactions, nor of all who come and go, and in privacy mode of hardly "
            "anything.",
            name=self._house_name,
            code=code,
        )

    def session(self, account: AccountContext) -> Session:
        """One bot."""
        return TelegramSession(account, self._request, self.context.settings, self._is_called)

    def _is_called(self, name: str) -> None:
        self._house_name = name

    @cached_property
    def _request(self) -> SharedRequest:
        return SharedRequest(self.context.http)

    def _bot(self, token: str) -> Bot:
        return bot_with(token, self._request, self.context.settings)
