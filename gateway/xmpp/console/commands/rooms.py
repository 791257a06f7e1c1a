# SPDX-License-Identifier: Apache-2.0
"""The groups of a user, as rooms to join."""

from __future__ import annotations

from gateway.ids import RemoteUserId
from gateway.store.invitations import Invitation
from gateway.xmpp.console.model import Dialogue, Table

_SHOWN = 200
"""Rows of a table: a stanza has to stay small (REQ-105)."""


def _waits(one: Invitation) -> str:
    return f"{one.name or 'without a name'}{' (you have asked)' if one.has_knocked else ''}"


async def list_rooms(talk: Dialogue) -> None:
    """The command ``rooms``."""
    account = talk.network.accounts.of(talk.user)
    assert account is not None
    found = sorted(talk.network.rooms.of(account), key=lambda room: room.name.casefold())
    rows = [(room.name or room.remote_id, talk.room_uri(room)) for room in found[:_SHOWN]]
    if rows:
        columns = (("name", "Group"), ("room", "To join it"))
        talk.show(Table(title="Your groups", columns=columns, rows=tuple(rows)))
    waiting = talk.network.rooms.coming.invitations(account)
    if waiting:
        rows = [(_waits(one), talk.address_of(RemoteUserId(one.room))) for one in waiting]
        columns = (("name", "Group"), ("room", "To accept, join it"))
        talk.show(Table(title="Invitations", columns=columns, rows=tuple(rows)))
    more = f" The first {_SHOWN} are shown." if len(found) > _SHOWN else ""
    talk.say(f"Groups: {len(found)}.{more}")
