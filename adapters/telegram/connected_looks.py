# SPDX-License-Identifier: Apache-2.0
"""What a connection is of which nothing was told: it may be older than the link.

Bot API, getBusinessConnection. Not by the library, which takes no answer of a server that is older
than itself.
"""

from __future__ import annotations

import asyncio

from telegram import Bot
from telegram.error import BadRequest, Forbidden, TelegramError

from adapters.telegram.connected import Connected, Raw
from adapters.telegram.connected_events import connection_in
from adapters.telegram.errors import error_of
from adapters.telegram.request import SharedRequest, TooMany
from gateway.adapter import Clock
from gateway.errors import Transient
from gateway.text.wording import tr

_LOOK_S = 5.0
_LONGEST_PAUSE_S = 10.0
"""A longer one, or several that are, ends the session: nothing else can be told meanwhile."""


class ConnectionLooks:
    """Of one bot."""

    def __init__(
        self, bot: Bot, request: SharedRequest, clock: Clock, connected: Connected
    ) -> None:
        self._url = f"{bot.base_url}/getBusinessConnection"
        self._request = request
        self._clock = clock
        self._connected = connected

    async def before(self, update: Raw) -> None:
        """Ask, if an update has come by such a one. What is said there is not passed over because
        nobody answers: raises any `AdapterError`, and it comes again."""
        connection = connection_in(update)
        if connection is None or not self._connected.is_unknown(connection):
            return
        self._connected.learn(connection, _readable(await self._patiently(connection)))

    async def _patiently(self, connection: str) -> object:
        """What the user sends need not wait for a short pause."""
        paused_s = 0.0
        while True:
            try:
                return await self._asked(connection)
            except TooMany as error:
                paused_s += error.seconds
                if paused_s > _LONGEST_PAUSE_S:
                    raise error_of(error) from None
                await self._clock.sleep(error.seconds)

    async def _asked(self, connection: str) -> object:
        """None if Telegram does not know it. Raises `TooMany`, and any `AdapterError`."""
        values = {"business_connection_id": connection}
        try:
            async with asyncio.timeout(_LOOK_S):
                return await self._request.call(self._url, values, _LOOK_S)
        except (BadRequest, Forbidden):
            return None
        except TimeoutError:
            raise Transient(tr("Telegram did not answer in time. Please try again.")) from None
        except TooMany:
            raise
        except TelegramError as error:
            raise error_of(error) from None


def _readable(about: object) -> Raw | None:
    """None of an answer that nobody understands."""
    user = about.get("user") if isinstance(about, dict) else None
    is_known = isinstance(user, dict) and isinstance(user.get("id"), int)
    return about if isinstance(about, dict) and is_known else None
