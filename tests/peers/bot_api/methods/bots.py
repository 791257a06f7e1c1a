# SPDX-License-Identifier: Apache-2.0
"""What a bot is, and its updates."""

from __future__ import annotations

import json
from typing import Any

from tests.peers.bot_api.calls import Call, method

Json = dict[str, Any]


@method
def get_me(call: Call) -> Json:
    """Who the bot is."""
    return call.bot.me()


@method
def log_out(call: Call) -> bool:
    """It wants to be used on another server, and for 10 minutes no more on this one."""
    call.bot.logged_out = True
    return True


@method
def close(call: Call) -> bool:
    """It wants to be moved."""
    return True


@method
async def get_updates(call: Call) -> list[Json]:
    """What has happened."""
    call.bot.updates.allow(call.arguments.get("allowed_updates"))
    return await call.bot.updates.get(
        call.arguments.get("offset", 0),
        max(1, min(call.arguments.get("limit", 100), 100)),
        max(0, min(call.arguments.get("timeout", 0), 50)),
    )


@method
def delete_webhook(call: Call) -> bool:
    """It wants to ask for updates."""
    call.bot.updates.webhook = ""
    if call.arguments.get("drop_pending_updates"):
        call.bot.updates.expire()
    return True


@method
def get_webhook_info(call: Call) -> Json:
    """Where its updates go."""
    updates = call.bot.updates
    return {
        "url": updates.webhook,
        "has_custom_certificate": False,
        "pending_update_count": len(updates.waiting),
    }


@method
def set_my_commands(call: Call) -> bool:
    """What people are offered when they type a slash."""
    call.bot.commands[_key(call)] = call.arguments["commands"]
    return True


@method
def get_my_commands(call: Call) -> list[Json]:
    """What it has set."""
    return call.bot.commands.get(_key(call), [])


@method
def delete_my_commands(call: Call) -> bool:
    """Nothing is offered."""
    call.bot.commands.pop(_key(call), None)
    return True


def _key(call: Call) -> str:
    scope = call.arguments.get("scope", {"type": "default"})
    return json.dumps([scope, call.arguments.get("language_code", "")])
