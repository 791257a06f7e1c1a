# SPDX-License-Identifier: Apache-2.0
"""Linking a bot: its token is all there is to know.

Bot API, "Authorizing your bot", getMe.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from telegram import Bot, User
from telegram.error import InvalidToken, TelegramError

from adapters.telegram.errors import error_of
from adapters.telegram.ids import bot_of
from gateway.adapter import Linked, LoginField, LoginFlow, LoginStep, Relogin
from gateway.errors import BadLogin, Transient
from gateway.ids import RemoteUserId
from gateway.text.wording import tr

REALM = "telegram"
"""All bots are of one Telegram."""
_LOGIN_S = 25.0
_TOKEN = LoginField(
    name="password",
    label=tr("Token of the bot"),
    hint=tr("@BotFather gives it to you in Telegram, after /newbot; it has a colon in it."),
    secret=True,
)


class TelegramLogin(LoginFlow):
    """One question."""

    def __init__(self, bot: Callable[[str], Bot], again: Relogin | None = None) -> None:
        """``bot`` makes one of its token."""
        self._bot = bot
        self._again = again

    def first(self) -> LoginStep:
        if self._again is None:
            said = tr(
                "Link a Telegram bot of your own: whoever writes to it becomes a contact of yours."
            )
        else:
            said = tr("Log in to the bot {remote_id} again.", remote_id=self._again.remote_id)
        return LoginStep(instructions=said, fields=(_TOKEN,))

    async def submit(self, answers: Mapping[str, str]) -> LoginStep | Linked:
        """Ask Telegram whose token it is."""
        token = answers.get("password", "").strip()
        named = bot_of(token)
        if named is None:
            raise BadLogin(
                tr("This is no token of a bot. It looks like 123456:ABC-DEF and is longer."),
                field="password",
            )
        if self._again is not None and named != self._again.remote_id:
            raise BadLogin(tr("This is the token of another bot."), field="password")
        user = await self._ask(token)
        return Linked(
            realm=REALM,
            remote_id=RemoteUserId(str(user.id)),
            secret=token.encode(),
            note=tr(
                "Whoever writes to @{name} in Telegram is your contact now. People there see what "
                "you write as the bot's.",
                name=user.username or user.first_name,
            ),
            ours=False,
        )

    async def _ask(self, token: str) -> User:
        try:
            async with asyncio.timeout(_LOGIN_S):
                return await self._bot(token).get_me()
        except TimeoutError:
            raise Transient(tr("Telegram did not answer in time. Please try again.")) from None
        except InvalidToken:
            refused = tr("Telegram does not accept this token.")
            raise BadLogin(refused, field="password") from None
        except TelegramError as error:
            raise error_of(error) from None
