# SPDX-License-Identifier: Apache-2.0
"""A gateway to Telegram on a real XMPP server, and alice's bot."""

from pathlib import Path

from tests.demo.login import MASK, Talk, befriend_gateway
from tests.e2e.house import OTHER_GATEWAY, PASSWORD
from tests.gateway_process import GatewayProcess
from tests.peers.bot_api import Bot, BotApi
from tests.peers.prosody import Prosody
from tests.peers.xmpp_client import XmppClient


def gateway_to(
    prosody: Prosody, directory: Path, telegram: BotApi, *, relay: Bot | None = None
) -> GatewayProcess:
    """One whose only network is Telegram. ``relay``: the gateway's own bot."""
    settings = {"api_url": telegram.url, "poll_timeout": 2}
    if relay is not None:
        settings["relay_token"] = relay.token
    network = {
        "adapter": "telegram",
        "domain": OTHER_GATEWAY,
        "secret": prosody.components[OTHER_GATEWAY],
        "settings": settings,
    }
    return GatewayProcess(
        directory,
        component_port=prosody.component_port,
        networks={"telegram": network},
        server_domain=prosody.domain,
    )


async def link(alice: XmppClient, bot: Bot) -> Talk:
    """She links a bot of hers, after a token that is none."""
    talk = Talk(alice, OTHER_GATEWAY)
    await talk.ask("login", "Token of the bot?")
    await talk.ask("123:secret", "no token")
    await talk.hear("Token of the bot?")
    talk.say(bot.token, shown=MASK)
    await talk.hear("You are logged in as")
    await befriend_gateway(alice, talk.gateway)
    return talk


def client_of(prosody: Prosody, user: str) -> XmppClient:
    """Of a new user."""
    prosody.add_user(user, PASSWORD)
    return XmppClient(
        user, PASSWORD, port=prosody.c2s_port, ca_file=prosody.ca_file, domain=prosody.domain
    )
