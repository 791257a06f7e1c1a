# SPDX-License-Identifier: Apache-2.0
"""The groups of a user, as rooms to join."""

from __future__ import annotations

from gateway.adapter import Muted
from gateway.bridge.splitting import in_line
from gateway.ids import RemoteUserId
from gateway.store.invitations import Invitation
from gateway.text.wording import joined, tr
from gateway.xmpp.console.commands.muting import all_muted, marked
from gateway.xmpp.console.model import Dialogue, Table

_SHOWN = 200
"""Rows of a table: a stanza has to stay small (REQ-105)."""


def _waits(one: Invitation) -> str:
    name = in_line(one.name) or tr("without a name")
    return tr("{name} (you have asked)", name=name) if one.has_knocked else name


async def list_rooms(talk: Dialogue) -> None:
    """The command ``rooms``."""
    account = talk.account
    found = sorted(talk.network.rooms.of(account), key=lambda room: room.name.casefold())
    muted = await all_muted(talk) if found else Muted()
    rows = [
        (
            marked(in_line(room.name) or room.remote_id, is_muted=room.remote_id in muted.rooms),
            talk.room_uri(room),
        )
        for room in found[:_SHOWN]
    ]
    if rows:
        columns = (("name", tr("Group")), ("room", tr("To join it")))
        talk.show(Table(title=tr("Your groups"), columns=columns, rows=tuple(rows)))
    waiting = talk.network.rooms.coming.invitations(account)
    if waiting:
        rows = [(_waits(one), talk.address_of(RemoteUserId(one.room))) for one in waiting]
        columns = (("name", tr("Group")), ("room", tr("To accept, join it")))
        talk.show(Table(title=tr("Invitations"), columns=columns, rows=tuple(rows)))
    more = tr("The first {shown} are shown.", shown=_SHOWN) if len(found) > _SHOWN else ""
    talk.say(joined((tr("Groups: {count}.", count=len(found)), more)))
