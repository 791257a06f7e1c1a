# SPDX-License-Identifier: Apache-2.0
"""The comparison: slixmpp as it comes, with the plugins that a gateway would load."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

from slixmpp import ComponentXMPP

from tests.bench import stanzas
from tests.bench.sink import Sink, shake_hands

_NUMBERS = (
    *(4, 12, 30, 50, 54, 60, 77, 85, 92, 106, 115),
    *(163, 172, 184, 199, 202, 203, 297, 333, 334, 356, 359),
)
PLUGINS = [f"xep_{number:04}" for number in _NUMBERS]


class StockComponent(ComponentXMPP):
    """Reads and writes what the gateway reads and writes, by stanza objects."""

    def __init__(self) -> None:
        super().__init__(stanzas.COMPONENT, stanzas.SECRET, "127.0.0.1", 1)  # type: ignore[no-untyped-call]
        for plugin in PLUGINS:
            # A gateway's receipts are promises of the network: never automatic.
            options = {"auto_ack": False} if plugin == "xep_0184" else {}
            self.register_plugin(plugin, options)
        self.add_event_handler("message", self._message)
        self.taken: list[tuple[str, ...]] = []
        self._sending = asyncio.ensure_future(self.run_filters())
        self.sink: Sink = shake_hands(self)

    def close(self) -> None:
        """End its task."""
        self._sending.cancel()

    def _message(self, message: Any) -> None:
        self.taken = [
            (
                str(message["from"]),
                str(message["to"]),
                message["type"],
                message["id"],
                message["body"],
                message["origin_id"]["id"],
                message["request_receipt"],
                message["chat_state"],
            )
        ]

    async def take(self, reads: Iterable[bytes]) -> None:
        """Read a stream, and let everything happen that follows."""
        for data in reads:
            self.data_received(data)
            await asyncio.sleep(0)
        await self.idle()

    async def write_chat(self, sender: str, to: str, stanza_id: str, body: str) -> None:
        """A message as `gateway.xmpp.codec.outgoing` makes it."""
        message: Any = self.make_message(to, mbody=body, mtype="chat", mfrom=sender)
        message["id"] = stanza_id
        message["origin_id"]["id"] = stanza_id
        message.enable("markable")
        message["chat_state"] = "active"
        message.send()

    async def write_receipt(self, sender: str, to: str, stanza_id: str, message_id: str) -> None:
        """A receipt as `gateway.xmpp.codec.outgoing` makes it."""
        message: Any = self.make_message(to, mtype="chat", mfrom=sender)
        message["id"] = stanza_id
        message["receipt"] = message_id
        message.enable("store")
        message.send()

    async def idle(self) -> None:
        """Wait until its tasks have sent everything."""
        for _ in range(5):
            await asyncio.sleep(0)
        await self.waiting_queue.join()
