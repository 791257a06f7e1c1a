# SPDX-License-Identifier: Apache-2.0
"""Which URLs are fetched at all. What their hosts' names lead to is seen at the connection."""

from __future__ import annotations

import ipaddress
import re

from yarl import URL

from gateway.adapter import is_local, is_loopback
from gateway.config.tree import Fetch
from gateway.errors import FetchBroken, FetchRefused
from gateway.text.wording import tr

_PORTS = {"https": 443, "http": 80}
_LONGEST = 4000
_PLAIN = re.compile(r"[!-~]+")


class Destinations:
    """What the admin allows."""

    def __init__(self, settings: Fetch) -> None:
        self.networks = tuple(
            entry.network for entry in settings.allow if entry.network is not None
        )
        self._hosts = {entry for entry in settings.allow if entry.network is None}
        self._addresses = {
            each.network_address for each in self.networks if each.num_addresses == 1
        }
        self._has_http = settings.allow_http
        self._ports = frozenset(settings.ports)
        self.usual_ports = self._ports | {443} | ({80} if settings.allow_http else set())
        """On which this machine itself is reached, if the admin has named it."""

    def is_allowed(self, url: URL) -> bool:
        """Whether the admin has named this host, or the network of this address: then it may be
        anywhere."""
        host = (url.host or "").lower()
        if host in self._hosts:
            return True
        try:
            address = ipaddress.ip_address(host)
        except ValueError:
            return False
        return any(address in network for network in self.networks)

    def _is_named(self, url: URL) -> bool:
        """Whether the admin has named this very host, and not only a network that it is in: then
        they know what listens on all its ports. On this machine that is too much."""
        host = (url.host or "").lower()
        if is_loopback(host.rstrip(".")):
            return False
        try:
            return ipaddress.ip_address(host) in self._addresses
        except ValueError:
            return host in self._hosts

    def checked(self, given: str, base: URL | None = None) -> URL:
        """A URL as it is fetched, or the one that ``base`` leads to (RFC 9110 §10.2.2).

        Raises `FetchRefused`; `FetchBroken` if it is none.
        """
        url = _parsed(given, base)
        host = url.host or ""
        if url.scheme not in _PORTS or (url.scheme == "http" and not self._has_http):
            raise FetchRefused(
                tr("Files are only fetched from addresses that begin with https://.")
            )
        if url.user is not None or url.password is not None:
            raise FetchRefused(tr("An address with a name or password in it is not fetched."))
        is_usual = url.port == _PORTS[url.scheme] or url.port in self._ports
        if not (is_usual or self._is_named(url)):
            raise FetchRefused(
                tr(
                    "Files are not fetched from port {port}. The admin of this gateway can "
                    "allow it.",
                    port=url.port,
                )
            )
        if is_local(host.lower().rstrip(".")) and not self.is_allowed(url):
            raise FetchRefused(private(host))
        return url


def private(host: str) -> str:
    """Why nothing is fetched from a host."""
    return tr(
        "{host} is an address of a private network. The admin of this gateway does not allow "
        "files from there.",
        host=host,
    )


def _parsed(given: str, base: URL | None) -> URL:
    """Exactly as it is written where that is possible: there are signatures of URLs."""
    try:
        if len(given) > _LONGEST:
            raise ValueError("too long")
        url = URL(given, encoded=_PLAIN.fullmatch(given) is not None)
        url = base.join(url) if base is not None else url
        if not url.host or not url.port:
            raise ValueError("no host")
    except ValueError as error:
        raise FetchBroken(tr("This is not the address of a file.")) from error
    return url.with_fragment(None)
