# SPDX-License-Identifier: Apache-2.0
"""Matrix user ids, and their readable addresses: ``@bob:example.org`` ↔ ``bob%example.org``.

Matrix spec, appendices, "User Identifiers" and "Server Name".
"""

from __future__ import annotations

import re
from typing import TypeGuard

from gateway.ids import RemoteUserId

_MAX_BYTES = 255
_LOCALPART = re.compile(r"[a-z0-9._=\-/+]+")
_HISTORICAL_LOCALPART = re.compile(r"[!-9;-~]+")
"""Printable ASCII without the colon: what servers accepted before the present grammar."""
_SERVER_NAME = re.compile(r"(?:[a-z0-9.\-]+|\[[0-9a-f:.]{2,45}\])(?::[0-9]{1,5})?")


def is_server_name(name: str) -> bool:
    """Whether a homeserver can have this name, in the lower-case form that we use."""
    return len(name) <= _MAX_BYTES and _SERVER_NAME.fullmatch(name) is not None


def split_user_id(user_id: str) -> tuple[str, str] | None:
    """Localpart and server name, or None for what is not a user id. Takes historical ones too."""
    local, colon, server = user_id.removeprefix("@").partition(":")
    if (
        user_id.startswith("@")
        and colon
        and len(user_id.encode("utf-8", "replace")) <= _MAX_BYTES
        and _HISTORICAL_LOCALPART.fullmatch(local)
        and is_server_name(server.lower())
    ):
        return local, server
    return None


def is_user_id(value: object) -> TypeGuard[str]:
    """Whether this is the id of a person, as a contact may have it."""
    return isinstance(value, str) and split_user_id(value) is not None


def address_of(remote_id: RemoteUserId) -> str | None:
    """``bob%example.org``, or None unless it can be read back."""
    parts = split_user_id(remote_id)
    if parts is None:
        return None
    local, server = parts
    if not _LOCALPART.fullmatch(local) or server != server.lower():
        return None
    return f"{local}%{server}"


def contact_at(address: str) -> RemoteUserId | None:
    """The user id of ``bob%example.org`` in any case, or of ``@bob:example.org`` as typed. Clients
    without a prompt may make an address of ``bob@example.org`` (XEP-0106)."""
    if address.startswith("@"):
        parts = split_user_id(address)
        return None if parts is None else RemoteUserId(f"@{parts[0]}:{parts[1].lower()}")
    local, sign, server = address.lower().partition("%" if "%" in address else "@")
    if not sign or not _LOCALPART.fullmatch(local) or not is_server_name(server):
        return None
    user_id = f"@{local}:{server}"
    return RemoteUserId(user_id) if len(user_id) <= _MAX_BYTES else None
