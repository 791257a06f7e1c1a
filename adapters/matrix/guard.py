# SPDX-License-Identifier: Apache-2.0
"""Which homeservers users may make us connect to.

Whoever links an account chooses the URL that the gateway fetches from then on.
"""

from __future__ import annotations

import aiohttp

from adapters.matrix.settings import MatrixSettings
from adapters.matrix.urls import normal_url, parts_of
from gateway.adapter import is_local, public_connector
from gateway.errors import BadLogin, Forbidden
from gateway.text.wording import tr


def checked_url(typed: str, settings: MatrixSettings) -> str:
    """A homeserver's base URL in its one spelling. Raises `BadLogin` or `Forbidden`."""
    scheme, host, _, _ = parts_of(typed)
    local = is_local(host)
    if local and not settings.allow_private_homeservers:
        raise Forbidden(
            tr(
                "{host} is an address of a private network. The admin of this "
                "gateway does not allow homeservers there.",
                host=host,
            )
        )
    if scheme == "http" and not local and not settings.allow_insecure_homeservers:
        raise BadLogin(
            tr(
                "An address that begins with http:// would send the password in "
                "clear. Use https:// instead.",
            ),
            field="homeserver",
        )
    return normal_url(typed)


def guarded_http() -> aiohttp.ClientSession:
    """A client session that connects to public addresses only."""
    return aiohttp.ClientSession(connector=public_connector(), cookie_jar=aiohttp.DummyCookieJar())
