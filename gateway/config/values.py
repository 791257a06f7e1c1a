# SPDX-License-Identifier: Apache-2.0
"""Values that a configuration file writes as text: durations, addresses.

Each type has ``expected``, what an error says is wanted there, and ``parse``, which raises
`ValueError` for any other text. Settings of adapters may use these types, and their own of the
same shape.
"""

from __future__ import annotations

import ipaddress
import re
import unicodedata
from typing import ClassVar, Protocol, Self, runtime_checkable
from urllib.parse import urlsplit

from gateway.locale import languages

_NUMBER_AND_UNIT = re.compile(r"([0-9]{1,9}) ?([A-Za-z]{1,3})")
_LABEL = re.compile(r"(?!-)(?:[^\W_]|-){1,63}(?<!-)")
_HOST_NAME = re.compile(r"[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*")
_NOT_IN_LOCALPART = re.compile(r"[\x00-\x20\x7f\"&'/:<>@\s]")
_WEB_ADDRESS = re.compile(
    r"https://([A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*\.?|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?(/[A-Za-z0-9._~-]+)*/?"
)
_CONTACT_URI = re.compile(r"(?:(?:mailto|xmpp):[^\s/]|https?://[^\s/])[!-~]*")
_HTTPS = 443
_MAX_PORT = 65535
_MAX_PART_BYTES = 1023
_MOST_OF_A_RATE = 1_000_000_000


@runtime_checkable
class FromText(Protocol):
    """A type that the configuration writes as text."""

    expected: ClassVar[str]

    @classmethod
    def parse(cls, text: str) -> Self:
        """The value that ``text`` stands for. Raises `ValueError`."""


class Duration(float):
    """A length of time in seconds, more than zero, written with its unit."""

    __slots__ = ()
    expected: ClassVar[str] = "a duration with its unit, such as 90s, 10m, 2h or 400d"
    _UNITS: ClassVar = {"s": 1, "m": 60, "h": 3600, "d": 86400}

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``90s``, ``10m``, ``2h`` or ``400d``. Raises `ValueError`."""
        number = _scaled(text, cls._UNITS)
        if number == 0:
            raise ValueError(text)
        return cls(number)


class Size(int):
    """A number of bytes, more than zero, written with its unit."""

    __slots__ = ()
    expected: ClassVar[str] = "a size with its unit, such as 500kB, 256MB or 1GB"
    _UNITS: ClassVar = {"kB": 10**3, "MB": 10**6, "GB": 10**9}

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``500kB``, ``256MB`` or ``1GB``. Raises `ValueError`."""
        number = _scaled(text, cls._UNITS)
        if number == 0:
            raise ValueError(text)
        return cls(number)


class SizeOrNone(Size):
    """A number of bytes; or 0, which is written without a unit."""

    __slots__ = ()
    expected: ClassVar[str] = "a size with its unit, such as 500MB or 2GB, or 0 for none"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``500MB``, ``2GB`` or ``0``. Raises `ValueError`."""
        return cls(0) if text == "0" else super().parse(text)


class Rate(tuple[int, float]):
    """How much of something is taken in how many seconds, and at once after a pause."""

    __slots__ = ()
    expected: ClassVar[str] = "a number in a time, such as 600/5m"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``600/5m``. Raises `ValueError`."""
        count, slash, time = text.partition("/")
        if not slash or not count.strip().isascii() or not count.strip().isdigit():
            raise ValueError(text)
        if not 1 <= int(count) <= _MOST_OF_A_RATE:
            raise ValueError(text)
        return cls((int(count), Duration.parse(time)))


def _scaled(text: str, units: dict[str, int]) -> int:
    match = _NUMBER_AND_UNIT.fullmatch(text.strip())
    if match is None or match[2] not in units:
        raise ValueError(text)
    return int(match[1]) * units[match[2]]


class Domain(str):
    """The name of an XMPP domain, in lower case."""

    __slots__ = ()
    expected: ClassVar[str] = "a domain such as example.org"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Check and normalise. Raises `ValueError`."""
        domain = unicodedata.normalize("NFC", text.lower())
        labels = domain.split(".")
        if len(domain.encode()) > _MAX_PART_BYTES or not all(map(_LABEL.fullmatch, labels)):
            raise ValueError(text)
        return cls(domain)


class Service(str):
    """The domain of a service of the server; or empty."""

    __slots__ = ()
    expected: ClassVar[str] = "the domain of a service, such as upload.example.org"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Check and normalise. Raises `ValueError`."""
        return cls(Domain.parse(text) if text else "")


class Program(str):
    """A program of the machine: ``auto`` for that which is found on PATH, ``off``, or a path."""

    __slots__ = ()
    expected: ClassVar[str] = "auto, off, or an absolute path such as /usr/bin/ffmpeg"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Check. Raises `ValueError`."""
        if text not in ("auto", "off") and not text.startswith("/"):
            raise ValueError(text)
        return cls(text)


class BareJid(str):
    """The address of a person, ``user@example.org``, in lower case and without a resource."""

    __slots__ = ()
    expected: ClassVar[str] = "an address such as user@example.org, without a resource"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Check and normalise. Raises `ValueError`."""
        local, _, domain = text.partition("@")
        local = unicodedata.normalize("NFC", local.lower())
        too_long = len(local.encode()) > _MAX_PART_BYTES
        if not local or too_long or _NOT_IN_LOCALPART.search(local):
            raise ValueError(text)
        return cls(f"{local}@{Domain.parse(domain)}")


class AccessEntry(str):
    """Whom an access list means: one domain, one bare JID, or ``*`` for everybody."""

    __slots__ = ()
    expected: ClassVar[str] = (
        'an exact domain, an address such as user@example.org, or "*" for everybody'
    )

    @classmethod
    def parse(cls, text: str) -> Self:
        """Check and normalise. Raises `ValueError`."""
        if text == "*":
            return cls(text)
        if "*" in text:
            raise ValueError(text)
        return cls(BareJid.parse(text) if "@" in text else Domain.parse(text))


class Host(str):
    """Where to connect: a name or an IP address."""

    __slots__ = ()
    expected: ClassVar[str] = "a host name or an IP address"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Check. Raises `ValueError`."""
        if not _HOST_NAME.fullmatch(text):
            ipaddress.ip_address(text)
        return cls(text)

    @property
    def is_loopback(self) -> bool:
        """Whether a connection stays on this machine. Names are not looked up."""
        try:
            return ipaddress.ip_address(self).is_loopback
        except ValueError:
            return self.lower() == "localhost"


class Listen(str):
    """Where to listen: an IP address of this machine and a port."""

    __slots__ = ()
    expected: ClassVar[str] = "an IP address and a port, such as 127.0.0.1:8087 or [::1]:8087"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Check. Raises `ValueError`."""
        host, port = _host_and_port(text)
        if not 1 <= port <= _MAX_PORT or text.startswith("[") != (":" in host):
            raise ValueError(text)
        ipaddress.ip_address(host)
        return cls(text)

    @property
    def host(self) -> Host:
        """The IP address."""
        return Host(_host_and_port(self)[0])

    @property
    def port(self) -> int:
        """The port."""
        return _host_and_port(self)[1]


def _host_and_port(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not (port.isascii() and port.isdigit() and len(port) <= len(str(_MAX_PORT))):
        raise ValueError(text)
    return host.removeprefix("[").removesuffix("]"), int(port)


class Language(str):
    """A language that the gateway speaks, as its tag (RFC 5646)."""

    __slots__ = ()
    expected: ClassVar[str] = f"one of {', '.join(languages())}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Check. Raises `ValueError`."""
        if text not in languages():
            raise ValueError(text)
        return cls(text)


class WebAddress(str):
    """Where people reach the gateway with a browser, without a slash at its end; or empty."""

    __slots__ = ()
    expected: ClassVar[str] = (
        "an address such as https://chat.example.org or https://example.org/chat"
    )

    @classmethod
    def parse(cls, text: str) -> Self:
        """Check. Raises `ValueError`."""
        if not text:
            return cls()
        parts = urlsplit(text)
        if parts.scheme != "https" or not _WEB_ADDRESS.fullmatch(text) or parts.port == 0:
            raise ValueError(text)
        return cls(text.rstrip("/"))

    @property
    def path(self) -> str:
        """Of all that is there; empty if that is the whole host."""
        return urlsplit(self).path

    @property
    def host(self) -> str:
        """Without its port, which cookies do not mind."""
        return urlsplit(self).hostname or ""

    @property
    def origin(self) -> str:
        """As browsers name it (RFC 6454 §6.2)."""
        parts = urlsplit(self)
        port = "" if parts.port in (None, _HTTPS) else f":{parts.port}"
        host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
        return f"https://{host}{port}"


class Reachable(str):
    """A host, or a network, that is reached although its addresses are private."""

    __slots__ = ()
    expected: ClassVar[str] = "a host name, an IP address, or a network such as 192.168.0.0/24"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Check and normalise. Raises `ValueError`."""
        if "/" in text or ":" in text or text.replace(".", "").isdigit():
            return cls(ipaddress.ip_network(text))
        return cls(Host.parse(text).lower())

    @property
    def network(self) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
        """None for a name."""
        return ipaddress.ip_network(self) if "/" in self else None


class Proxy(str):
    """An HTTP proxy; or empty."""

    __slots__ = ()
    expected: ClassVar[str] = "the address of an HTTP proxy, such as http://127.0.0.1:3128"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Check. Raises `ValueError`."""
        if not text:
            return cls()
        parts = urlsplit(text)
        Host.parse(parts.hostname or "")
        if text.rstrip("/") != f"http://{parts.netloc}" or "@" in text or not parts.port:
            raise ValueError(text)
        return cls(text.rstrip("/"))


class ContactUri(str):
    """Where people are reached (RFC 3986): by mail, by XMPP, or on a page."""

    __slots__ = ()
    expected: ClassVar[str] = (
        "an address such as mailto:help@example.org, xmpp:help@example.org or"
        " https://example.org/help"
    )

    @classmethod
    def parse(cls, text: str) -> Self:
        """Check. Raises `ValueError`."""
        if not _CONTACT_URI.fullmatch(text):
            raise ValueError(text)
        return cls(text)
