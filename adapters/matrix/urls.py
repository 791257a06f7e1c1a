# SPDX-License-Identifier: Apache-2.0
"""The URL of a homeserver in its one spelling. No I/O."""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import urlsplit

from yarl import URL

from gateway.errors import BadLogin
from gateway.text.wording import tr

_DEFAULT_PORTS = {"http": 80, "https": 443}
_PATH = re.compile(r"[A-Za-z0-9/._~-]*")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")


def normal_url(typed: str) -> str:
    """A homeserver's base URL in its one spelling. Raises `BadLogin`."""
    scheme, host, port, path = parts_of(typed)
    name = f"[{host}]" if ":" in host else host
    netloc = name if port in (None, _DEFAULT_PORTS[scheme]) else f"{name}:{port}"
    return f"{scheme}://{netloc}{path.rstrip('/')}"


def parts_of(typed: str) -> tuple[str, str, int | None, str]:
    """Scheme, host, port and path. Raises `BadLogin`."""
    try:
        url = urlsplit(typed.strip())
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
            tr(
                "This is not the address of a homeserver. An example: https://matrix.example.org",
            ),
            field="homeserver",
        )
    return url.scheme, host, port, url.path


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
