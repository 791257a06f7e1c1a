# SPDX-License-Identifier: Apache-2.0
"""Whether people come to this gateway by an address that the admin has set."""

from __future__ import annotations

import aiohttp
import structlog

from gateway.adapter import Clock
from gateway.tasks import within

log = structlog.get_logger("web")

_LIMIT_S = 10.0
_MOST_BYTES = 200
_AGAIN_S = (2.0, 30.0, 300.0)
"""The web server may be started after us."""


async def look(http: aiohttp.ClientSession, clock: Clock, address: str, nonce: str) -> None:
    """Fetch our own nonce by ``address``, and warn if that is not what comes."""
    trouble = ""
    for wait_s in _AGAIN_S:
        await clock.sleep(wait_s)
        trouble = await _trouble(http, clock, address, nonce)
        if not trouble:
            log.info("pages_reached", address=address)
            return
    log.warning("pages_not_reached", address=address, reason=trouble)


async def _trouble(http: aiohttp.ClientSession, clock: Clock, address: str, nonce: str) -> str:
    async def fetched() -> str:
        async with http.get(f"{address}/alive", allow_redirects=False) as answer:
            if answer.status != 200:
                return f"it answers with status {answer.status}"
            found = (await answer.content.read(_MOST_BYTES)).decode(errors="replace")
            return "" if found == nonce else "something else than this gateway answers there"

    try:
        return await within(clock, _LIMIT_S, fetched())
    except (TimeoutError, aiohttp.ClientError) as error:
        return str(error) or type(error).__name__
