# SPDX-License-Identifier: Apache-2.0
"""From a server name to its homeserver.

Matrix spec, client-server API, "Server Discovery", "Well-known URI". Its outcomes: IGNORE means
that the server name itself is tried; FAIL_PROMPT that the user is asked for the URL; FAIL_ERROR
that what the server name says is wrong.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urljoin

from adapters.matrix.http import Fetched
from gateway.errors import AdapterError, BadLogin
from gateway.text.wording import tr

Fetch = Callable[[str], Awaitable[Fetched]]
"""GET without redirections; raises `AdapterError` if nothing comes."""
CheckUrl = Callable[[str], str]
"""Normalise an URL, or raise `BadLogin` or `Forbidden`."""

_REDIRECTIONS = 5


def _prompt(server_name: str, why: str) -> BadLogin:
    return BadLogin(
        tr(
            "{server_name} does not say where its homeserver is ({why}). Please "
            "enter the homeserver's URL, such as https://matrix.example.org",
            server_name=server_name,
            why=why,
        ),
        field="homeserver",
    )


def _wrong(server_name: str) -> BadLogin:
    return BadLogin(
        tr(
            "{server_name} names a homeserver, but its address cannot be used. "
            "The admin of that server has to mend its /.well-known/matrix/client.",
            server_name=server_name,
        ),
        field="homeserver",
    )


async def base_url_of(server_name: str, fetch: Fetch, check_url: CheckUrl) -> str:
    """The base URL to try for a server name; the caller validates it by its versions."""
    host = _without_port(server_name)
    direct = check_url(f"https://{server_name}")
    try:
        answer = await _following(f"https://{host}/.well-known/matrix/client", fetch, check_url)
    except BadLogin:
        raise _prompt(server_name, tr("it redirects to an address that cannot be used")) from None
    except AdapterError:
        return direct
    if answer.status == 404:
        return direct
    if answer.status != 200:
        raise _prompt(server_name, f"HTTP {answer.status}")
    base = _named_base_url(answer.body)
    if base is None:
        raise _prompt(server_name, tr("its answer is not of the expected form"))
    try:
        return check_url(base)
    except BadLogin as error:
        raise _wrong(server_name) from error


async def _following(url: str, fetch: Fetch, check_url: CheckUrl) -> Fetched:
    """Every station is checked as if the user had typed it."""
    answer = await fetch(url)
    for _ in range(_REDIRECTIONS):
        target = answer.headers.get("Location", "")
        if answer.status not in (301, 302, 303, 307, 308) or not target:
            break
        url = urljoin(url, target)
        check_url(url)
        answer = await fetch(url)
    return answer


def _named_base_url(body: bytes) -> str | None:
    try:
        content: Any = json.loads(body)
    except (ValueError, RecursionError):
        return None
    homeserver = content.get("m.homeserver") if isinstance(content, dict) else None
    base = homeserver.get("base_url") if isinstance(homeserver, dict) else None
    return base if isinstance(base, str) and base.strip() else None


def _without_port(server_name: str) -> str:
    if server_name.startswith("["):
        return server_name.partition("]")[0] + "]"
    return server_name.partition(":")[0]


def is_homeserver(versions: dict[str, Any]) -> bool:
    """Whether the answer of ``GET /_matrix/client/versions`` is one of a homeserver."""
    listed = versions.get("versions")
    return isinstance(listed, list) and any(isinstance(version, str) for version in listed)
