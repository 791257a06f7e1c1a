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
from adapters.telegram.request import SharedRequest
from gateway.errors import Transient
from gateway.text.wording import tr

_LOOK_S = 5.0


class ConnectionLooks:
    """Of one bot."""

    def __init__(self, bot: Bot, request: SharedRequest, connected: Connected) -> None:
        self._url = f"{bot.base_url}/getBusinessConnection"
        self._request = request
        self._connected = connected

    async def before(self, update: Raw) -> None:
        """Ask, if an update has come by such a one. What is said there is not passed over because
        nobody answers: raises any `AdapterError`, and it comes again."""
        connection = connection_in(update)
        if connection is None or not self._connected.is_unknown(connection):
            return
        values = {"business_connection_id": connection}
        try:
            async with asyncio.timeout(_LOOK_S):
                about = await self._request.call(self._url, values, _LOOK_S)
        except (BadRequest, Forbidden):
            about = None
        except TimeoutError:
            raise Transient(tr("Telegram did not answer in time. Please try again.")) from None
        except TelegramError as error:
            raise error_of(error) from None
        self._connected.learn(connection, _readable(about))


def _readable(about: object) -> Raw | None:
    """None of an answer that nobody understands."""
    user = about.get("user") if isinstance(about, dict) else None
    is_known = isinstance(user, dict) and isinstance(user.get("id"), int)
    return about if isinstance(about, dict) and is_known else None
