# SPDX-License-Identifier: Apache-2.0
"""What people call a room: its id, an alias, or a link to it. No I/O.

Matrix spec, appendices, "Room IDs", "Room Aliases", "matrix: URI scheme", "matrix.to navigation".
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import parse_qs, quote, unquote, urlsplit

from adapters.matrix.ids import is_server_name, split_user_id

_MAX_BYTES = 255
_MOST_SERVERS = 5
_KINDS = {"r": "#", "room": "#", "roomid": "!"}
_MATRIX_TO = ("matrix.to", "www.matrix.to")


@dataclass(frozen=True, slots=True)
class RoomLink:
    """A room, and the servers by which it may be reached."""

    name: str
    """Its id, or an alias."""
    via: tuple[str, ...] = ()


def is_alias(name: str) -> bool:
    """``#tea:example.org``."""
    local, colon, server = name[1:].partition(":")
    return (
        name.startswith("#")
        and bool(local and colon)
        and len(name.encode("utf-8", "replace")) <= _MAX_BYTES
        and name.isprintable()
        and is_server_name(server.lower())
    )


def _is_id(name: str) -> bool:
    """``!opaque:example.org``; since room version 12 without a server."""
    return name.startswith("!") and 1 < len(name) <= _MAX_BYTES and name.isprintable()


def room_at(address: str) -> str | None:
    """The alias of ``#tea%example.org``."""
    local, percent, server = address.rpartition("%")
    alias = f"{local}:{server}"
    return alias if percent and ":" not in local and is_alias(alias) else None


def room_address(alias: str) -> str | None:
    """The inverse."""
    local, _, server = alias.partition(":")
    return f"{local}%{server}" if is_alias(alias) else None


def page_of(user_id: str) -> str:
    """Spec, appendices, "matrix.to navigation"."""
    return f"https://matrix.to/#/{quote(user_id, safe='@:')}"


def parsed(typed: str) -> RoomLink | None:
    """What somebody has typed. None if it can be no room."""
    typed = typed.strip()
    scheme, _, rest = typed.partition(":")
    if scheme.lower() == "matrix":
        kind, _, name = rest.partition("?")[0].removeprefix("/").partition("/")
        name = _KINDS[kind] + unquote(name.partition("/")[0]) if kind in _KINDS else ""
        return _link(name, rest.partition("?")[2])
    if scheme.lower() in ("http", "https"):
        try:
            link = urlsplit(typed)
        except ValueError:
            return None
        if link.hostname not in _MATRIX_TO:
            return None
        path, _, query = link.fragment.removeprefix("/").partition("?")
        return _link(unquote(path.partition("/")[0]), query)
    return _link(typed, "")


def _link(name: str, query: str) -> RoomLink | None:
    if not (is_alias(name) or _is_id(name)):
        return None
    listed = parse_qs(query, max_num_fields=2 * _MOST_SERVERS) if query.count("&") < 10 else {}
    servers = [server for server in listed.get("via", []) if is_server_name(server.lower())]
    if name.startswith("!") and is_server_name(server := name.partition(":")[2].lower()):
        servers.append(server)
    return RoomLink(name, tuple(dict.fromkeys(servers))[:_MOST_SERVERS])


def link_to(room_id: str, server: str) -> str:
    """A link to a room that somebody of this server is in."""
    return f"https://matrix.to/#/{quote(room_id, safe='')}?via={quote(server, safe='')}"


def link_to_message(room_id: str, event_id: str, account: str) -> str:
    """A link to a message in a room that this account is in."""
    parts = split_user_id(account)
    via = f"?via={quote(parts[1], safe='')}" if parts else ""
    path = f"{quote(room_id, safe='')}/{quote(event_id, safe='')}"
    return f"https://matrix.to/#/{path}{via}"
