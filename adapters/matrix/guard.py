# SPDX-License-Identifier: Apache-2.0
"""Which homeservers users may make us connect to.

Whoever links an account chooses the URL that the gateway fetches from then on. So a name is judged
by the address to which each connection really goes, at the moment it is made: a name that changes
its address later is caught as well.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from urllib.parse import urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from adapters.matrix.errors import PrivateAddress
from adapters.matrix.settings import MatrixSettings
from gateway.errors import BadLogin, Forbidden

_DEFAULT_PORTS = {"http": 80, "https": 443}
_PATH = re.compile(r"[A-Za-z0-9/._~-]*")
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_LOCAL_NAT64 = ipaddress.ip_network("64:ff9b:1::/48")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")


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


def is_odd(host: str) -> bool:
    """Whether a host is neither a name nor an IP address in its usual form.

    ``127.1``, ``2130706433`` and ``0x7f.1`` are addresses for some and names for others; the same
    goes for a zone id and for a dot at the end. Nobody has a homeserver there.
    """
    if "%" in host or host.endswith("."):
        return True
    if ":" not in host and not _NUMBER.fullmatch(host.rpartition(".")[2].lower()):
        return False
    try:
        ip = ipaddress.ip_address(host)
    except ValueError:
        return True
    return ip.version == 4 and str(ip) != host


def checked_url(typed: str, settings: MatrixSettings) -> str:
    """A homeserver's base URL in its one spelling. Raises `BadLogin` or `Forbidden`."""
    scheme, host, port, path = _parts(typed.strip())
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
    name = f"[{host}]" if ":" in host else host
    netloc = name if port in (None, _DEFAULT_PORTS[scheme]) else f"{name}:{port}"
    return f"{scheme}://{netloc}{path.rstrip('/')}"


def _parts(typed: str) -> tuple[str, str, int | None, str]:
    try:
        url = urlsplit(typed)
        host, port = URL.build(scheme="https", host=url.hostname or "").raw_host, url.port
    except ValueError:
        host, port, url = None, None, urlsplit("")
    if (
        not host
        or is_odd(url.hostname or "")
        or is_odd(host)
        or url.scheme not in _DEFAULT_PORTS
        or url.username is not None
        or not _PATH.fullmatch(url.path)
    ):
        raise BadLogin(
            "This is not the address of a homeserver. An example: https://matrix.example.org",
            field="homeserver",
        )
    return url.scheme, host, port, url.path


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
