# SPDX-License-Identifier: Apache-2.0
"""Which IP addresses may be connected to for somebody who chose the host, and connections that
keep to it.

A name is judged by the address to which each connection really goes, at the moment it is made: a
name that changes its address later is caught as well (REQ-720).
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable, Collection, Sequence
from typing import Any, TypeAlias

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_LOCAL_NAT64 = ipaddress.ip_network("64:ff9b:1::/48")
_NOT_PUBLIC = tuple(
    map(ipaddress.ip_network, ("192.0.0.0/24", "192.88.99.0/24", "168.63.129.16/32"))
)
"""What Python does not know, or not each version: for protocols, with the metadata service of
Oracle's machines among them, and what Azure's machines alone can reach."""


class PrivateAddress(OSError):
    """A host is this machine, or in a private network."""

    def __init__(self) -> None:
        super().__init__("a private address")


def is_private(address: str) -> bool:
    """Whether an IP address is anything but a host of the public internet; not so for names."""
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None)
        if inner is None and ip in _NAT64:
            inner = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        if inner is not None:
            return is_private(str(inner))
        if ip.is_site_local or ip in _LOCAL_NAT64:
            return True
    is_special = not ip.is_global or ip.is_multicast or ip.is_reserved
    return is_special or any(ip in network for network in _NOT_PUBLIC)


def is_local(host: str) -> bool:
    """Whether a host of a URL is this machine or a private address. Names are not looked up."""
    return host == "localhost" or host.endswith(".localhost") or is_private(host)


def is_loopback(host: str) -> bool:
    """Whether a host of a URL, or an address, is this machine itself. Names are not looked up."""
    try:
        ip = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
    inner = getattr(ip, "ipv4_mapped", None) or ip
    return inner.is_loopback or inner.is_unspecified  # to which Linux connects likewise


def public_connector(
    allowed: Sequence[Network] = (), resolver: AbstractResolver | None = None, **more: Any
) -> aiohttp.TCPConnector:
    """Connects to public addresses, and to those of the ``allowed`` networks.

    A connection to another one fails with an `aiohttp.ClientConnectorError` whose ``os_error`` is
    a `PrivateAddress`. ``more`` goes to the connector.
    """

    def permits(address: str) -> bool:
        return not is_private(address) or any(_is_in(address, network) for network in allowed)

    def make(info: Any) -> socket.socket:
        """The last step before a connection, and the only one that sees addresses in URLs."""
        family, kind, protocol, _, (address, *_) = info
        if not permits(address):
            raise PrivateAddress
        return socket.socket(family, kind, protocol)

    guarded = GuardedResolver(permits, resolver)
    return aiohttp.TCPConnector(resolver=guarded, socket_factory=make, limit=0, **more)


def named_connector(
    ports: Collection[int], resolver: AbstractResolver | None = None, **more: Any
) -> aiohttp.TCPConnector:
    """Connects to all addresses, and to those of this machine itself on ``ports`` alone: what else
    listens there is meant for nobody else. What it refuses fails as in `public_connector`.
    """

    def make(info: Any) -> socket.socket:
        family, kind, protocol, _, (address, port, *_) = info
        if is_loopback(address) and port not in ports:
            raise PrivateAddress
        return socket.socket(family, kind, protocol)

    return aiohttp.TCPConnector(resolver=resolver, socket_factory=make, limit=0, **more)


def _is_in(address: str, network: Network) -> bool:
    ip = ipaddress.ip_address(address.partition("%")[0])
    return ip in network


class GuardedResolver(AbstractResolver):
    """Resolves names, and refuses those of which any address is not permitted.

    Without threads: the system's resolver waits half a minute for a name server that is silent,
    and some such names, which any user may choose, would take all threads of the process.
    """

    def __init__(
        self, permits: Callable[[str], bool], inner: AbstractResolver | None = None
    ) -> None:
        self._permits = permits
        self._inner = inner or aiohttp.AsyncResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Look up. Raises `PrivateAddress`."""
        found = await self._inner.resolve(host, port, family)
        if not all(self._permits(entry["host"]) for entry in found):
            raise PrivateAddress
        return found

    async def close(self) -> None:
        """Release the resolver."""
        await self._inner.close()
