# SPDX-License-Identifier: Apache-2.0
"""Which homeservers users may make us connect to.

Whoever links an account chooses the URL that the gateway fetches from then on. So a name is judged
by the address to which each connection really goes, at the moment it is made: a name that changes
its address later is caught as well.
"""

from __future__ import annotations

import ipaddress
import socket

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from adapters.matrix.errors import PrivateAddress
from adapters.matrix.settings import MatrixSettings
from adapters.matrix.urls import normal_url, parts_of
from gateway.errors import BadLogin, Forbidden

_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_LOCAL_NAT64 = ipaddress.ip_network("64:ff9b:1::/48")


def is_private(address: str) -> bool:
    """Whether an IP address is anything but a host of the public internet."""
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
    return not ip.is_global or ip.is_multicast or ip.is_reserved


def is_local(host: str) -> bool:
    """Whether a host of a URL is this machine or a private address. Names are not looked up."""
    return host == "localhost" or host.endswith(".localhost") or is_private(host)


def checked_url(typed: str, settings: MatrixSettings) -> str:
    """A homeserver's base URL in its one spelling. Raises `BadLogin` or `Forbidden`."""
    scheme, host, _, _ = parts_of(typed)
    local = is_local(host)
    if local and not settings.allow_private_homeservers:
        raise Forbidden(
            f"{host} is an address of a private network. "
            "The admin of this gateway does not allow homeservers there."
        )
    if scheme == "http" and not local and not settings.allow_insecure_homeservers:
        raise BadLogin(
            "An address that begins with http:// would send the password in clear. "
            "Use https:// instead.",
            field="homeserver",
        )
    return normal_url(typed)


class GuardedResolver(AbstractResolver):
    """Resolves names, and refuses private addresses.

    Without threads: the system's resolver waits half a minute for a name server that is silent,
    and some such names, which any user may choose, would take all threads of the process.
    """

    def __init__(self, inner: AbstractResolver | None = None) -> None:
        self._inner = inner or aiohttp.AsyncResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Look up. Raises `PrivateAddress` if any of the addresses is private."""
        found = await self._inner.resolve(host, port, family)
        if any(is_private(entry["host"]) for entry in found):
            raise PrivateAddress(f"{host} has a private address")
        return found

    async def close(self) -> None:
        """Release the resolver."""
        await self._inner.close()


def guarded_http() -> aiohttp.ClientSession:
    """A client session that connects to public addresses only. Literal ones: `checked_url`."""
    connector = aiohttp.TCPConnector(resolver=GuardedResolver(), limit=0)
    return aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar())
