# SPDX-License-Identifier: Apache-2.0
"""One user sends a thousand stanzas a second; one adapter is slow for each event."""

from __future__ import annotations

import asyncio

import pytest

from tests.isolation.town import NET, Town, user

pytestmark = pytest.mark.asyncio(loop_scope="module")

_NOISE_S = 0.25
"""Server and network are played in the same process, and have their own work with the flood."""
_PER_TICK = 20
_TICK_S = 0.02
_DISCO = "<query xmlns='http://jabber.org/protocol/disco#info'/>"
_FLOODS = {
    "messages": "<message from='{user}/x' to='bob@{net}' type='chat' id='{n}'><body>{n}</body>"
    "<request xmlns='urn:xmpp:receipts'/></message>",
    "messages to many": "<message from='{user}/x' to='c{n}@{net}' type='chat' id='{n}'>"
    "<body>{n}</body></message>",
    "presence": "<presence from='{user}/x' to='bob@{net}'><status>{n}</status></presence>",
    "disco": "<iq from='{user}/x' to='{net}' type='get' id='{n}'>{disco}</iq>",
    "disco of many": "<iq from='{user}/x' to='c{n}@{net}/scripted' type='get' id='{n}'>"
    "{disco}</iq>",
    "subscriptions": "<presence from='{user}' to='c{n}@{net}' type='subscribe'/>",
    "commands": "<message from='{user}/x' to='{net}' type='chat'><body>status</body></message>",
}


@pytest.mark.parametrize("seconds", [1, pytest.param(10, marks=pytest.mark.soak)])
@pytest.mark.parametrize("what", _FLOODS)
async def test_a_user_who_sends_a_thousand_stanzas_a_second(
    town: Town, what: str, seconds: int
) -> None:
    name, _ = town.newcomer("", "")
    await town.link(name)
    before = await town.probe()
    stop = asyncio.Event()

    async def flood() -> None:
        number = 0
        while not stop.is_set() or number < 1000 * seconds:
            town.servers[NET].send(
                "".join(
                    _FLOODS[what].format(user=user(name), net=NET, n=number + more, disco=_DISCO)
                    for more in range(_PER_TICK)
                )
            )
            number += _PER_TICK
            await asyncio.sleep(_TICK_S)

    flooding = town.beside(flood())
    await town.unharmed(before, _NOISE_S)
    stop.set()
    await flooding
    await town.unharmed(before)
    town.check_order()
