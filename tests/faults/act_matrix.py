# SPDX-License-Identifier: Apache-2.0
"""What happens to the homeserver, and to the web server that stands before it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from tests.faults import web
from tests.faults.stage import Stage

Act = Callable[[Stage], Awaitable[None]]

_AWAY_S = 0.3
_LIMITED = {"errcode": "M_LIMIT_EXCEEDED", "error": "Too Many Requests"}
_PAGE = "<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>"


async def killed(stage: Stage) -> None:
    """SIGKILL, and started again."""
    stage.servers.synapse.kill()
    await asyncio.sleep(_AWAY_S)
    await stage.servers.synapse.start()


async def frozen(stage: Stage) -> None:
    """SIGSTOP for 5 s."""
    stage.servers.synapse.freeze()
    await asyncio.sleep(5.0)
    stage.servers.synapse.thaw()


def spoilt(fault: web.Fault, normal_s: float = 3.0, soak_s: float = 20.0) -> Act:
    """All requests of the account meet this fault for a while."""

    async def act(stage: Stage) -> None:
        stage.web.fault = fault
        await asyncio.sleep(stage.lasts(normal_s, soak_s))
        stage.web.heal()

    return act


LIMITED_HEADER = web.answering(429, _LIMITED, {"Retry-After": "1"})
LIMITED_BODY = web.answering(429, {**_LIMITED, "retry_after_ms": 700})
LIMITED_BARE = web.answering(429, _LIMITED)
BAD_GATEWAY = web.answering(502, _PAGE)
SERVER_ERROR = web.answering(500, {"errcode": "M_UNKNOWN", "error": "Internal server error"})
WRONG_OBJECT = web.answering(200, {"hello": "world"})
WRONG_PAGE = web.answering(200, "<html><body>Welcome to this WLAN</body></html>")
