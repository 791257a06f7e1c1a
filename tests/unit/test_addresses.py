# SPDX-License-Identifier: Apache-2.0
"""Which addresses are private, and connections that go to no such one."""

from __future__ import annotations

from ipaddress import ip_network

import aiohttp
import pytest

from gateway.adapter import PrivateAddress, public_connector
from gateway.adapter.addresses import is_private
from tests.unit.media.liar import liar, ok


@pytest.mark.parametrize(
    ("address", "private"),
    [
        ("127.0.0.1", True), ("10.1.2.3", True), ("169.254.169.254", True), ("0.0.0.0", True),
        ("100.64.0.1", True), ("224.0.0.1", True), ("::1", True), ("fe80::1%eth0", True),
        ("fd00::1", True), ("::ffff:127.0.0.1", True), ("64:ff9b::7f00:1", True),
        ("2002:7f00:1::", True), ("8.8.8.8", False), ("2a00:1450::1", False),
        ("::ffff:8.8.8.8", False), ("64:ff9b::808:808", False), ("example.org", False),
        ("::127.0.0.1", True), ("::ffff:0:127.0.0.1", True), ("fec0::1", True),
        ("64:ff9b:1::7f00:1", True), ("::", True), ("255.255.255.255", True),
        ("168.63.129.16", True), ("::ffff:168.63.129.16", True), ("100.100.100.200", True),
        ("fd00:ec2::254", True), ("192.0.0.192", True), ("192.88.99.1", True),
        ("192.0.1.1", False),
    ],
)  # fmt: skip
def test_req_720_private_addresses(address: str, private: bool) -> None:
    assert is_private(address) is private


async def test_req_720_an_address_in_a_url_is_seen_at_the_connection() -> None:
    connector = public_connector((ip_network("127.0.0.1"),))
    async with (
        liar(ok("here")) as server,
        liar(ok("secret"), "127.0.0.2", port=server.port) as inner,
        aiohttp.ClientSession(connector=connector) as http,
    ):
        async with http.get(f"http://127.0.0.1:{server.port}/") as answer:
            assert await answer.text() == "here"
        for host in ("127.0.0.2", "[::ffff:127.0.0.2]", "[::1]"):
            with pytest.raises(aiohttp.ClientConnectorError) as refused:
                await http.get(f"http://{host}:{server.port}/")
            assert isinstance(refused.value.os_error, PrivateAddress)
        assert inner.heads == []
