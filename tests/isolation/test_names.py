# SPDX-License-Identifier: Apache-2.0
"""A hundred homeservers whose name servers are silent: other names are looked up all the same."""

from __future__ import annotations

import asyncio
import time

import aiohttp
import pytest

from adapters.matrix.guard import guarded_http
from gateway.adapter.addresses import GuardedResolver, PrivateAddress, is_private


async def test_look_ups_that_hang_hold_up_no_others() -> None:
    loop = asyncio.get_running_loop()
    asked: list[bytes] = []
    all_asked = asyncio.Event()

    class Silent(asyncio.DatagramProtocol):
        def datagram_received(self, data: bytes, addr: object) -> None:
            asked.append(data)
            if len(asked) == 100:
                all_asked.set()

    transport, _ = await loop.create_datagram_endpoint(Silent, ("127.0.0.1", 0))
    port = transport.get_extra_info("sockname")[1]
    inner = aiohttp.AsyncResolver(nameservers=["127.0.0.1"], udp_port=port)
    resolver = GuardedResolver(lambda address: not is_private(address), inner)
    hanging = [
        asyncio.create_task(resolver.resolve(f"silent{number}.example")) for number in range(100)
    ]
    try:
        async with asyncio.timeout(10):
            await all_asked.wait()
            start = time.perf_counter()
            with pytest.raises(PrivateAddress):
                await resolver.resolve("localhost")
            await asyncio.to_thread(int)  # nor are the threads taken
        assert time.perf_counter() - start < 2
        assert not any(task.done() for task in hanging)
    finally:
        for task in hanging:
            task.cancel()
        await asyncio.wait(hanging)
        await resolver.close()
        transport.close()


async def test_no_thread_is_used_for_names() -> None:
    async with guarded_http() as http:
        assert isinstance(http.connector, aiohttp.TCPConnector)
        guarded = http.connector._resolver
        assert isinstance(guarded, GuardedResolver)
        assert isinstance(guarded._inner, aiohttp.AsyncResolver)
    async with aiohttp.ClientSession() as http:  # as `gateway.app` makes it
        assert isinstance(http.connector, aiohttp.TCPConnector)
        assert isinstance(http.connector._resolver, aiohttp.AsyncResolver)
