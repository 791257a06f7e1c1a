# SPDX-License-Identifier: Apache-2.0
"""Private messages (XEP-0045 §7.5): chats with people whom the user sees as occupants."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from gateway.bridge.accounts import Account
from gateway.events import Failure, Through
from gateway.ids import RemoteUserId
from gateway.store.conversations import Speaker
from gateway.store.journal import InboundRow
from gateway.text.wording import tr
from gateway.xmpp.codec import errors, outgoing
from gateway.xmpp.codec.errors import Refused
from gateway.xmpp.codec.outgoing import Route
from gateway.xmpp.codec.xml import Stanza
from gateway.xmpp.jid import Address
from gateway.xmpp.rooms.doors import NO_ROOM
from gateway.xmpp.rooms.place import occupant_id
from gateway.xmpp.rooms.service import NOT_IN
from gateway.xmpp.rooms.stanzas import MUC

if TYPE_CHECKING:
    from gateway.xmpp.component import Component


_PRIVATE = f"<x xmlns='{MUC}#user'/>"
_NOBODY = tr("People in this group cannot be written to alone. Please write to the group.")


def addressed(
    component: Component, session: str, sender: Address, to: Address
) -> tuple[Account, RemoteUserId, Through]:
    """To whom a user writes who writes to an occupant. Raises `Refused`."""
    rooms = component.network.rooms
    found = component.rooms.find(sender, to)
    if found is None:
        raise Refused(errors.ITEM_NOT_FOUND, NO_ROOM)
    account, room = found
    if not rooms.is_in(room, session):
        raise Refused(errors.NOT_IN_ROOM, NOT_IN)
    member = rooms.by_nick(room, to.resource)
    if member is None:
        raise Refused(errors.ITEM_NOT_FOUND, tr("There is nobody of this name in the room."))
    if member.user == account.remote_id:
        raise Refused(
            errors.NOT_ACCEPTABLE, tr("This is what you are called in the room yourself.")
        )
    if not room.takes_private:
        raise Refused(errors.NOT_ACCEPTABLE, _NOBODY)
    return account, member.user, Through(room=room.remote_id, nick=member.nick)


def marks(through: Through) -> str:
    """What all private messages have."""
    occupant = occupant_id(through.occupant) if through.occupant else ""
    return f"{_PRIVATE}{occupant}"


def stanzas_of(
    row: InboundRow, through: Through, route: Route, room: str, now: float
) -> list[Stanza]:
    """Those of a row of a chat. ``room``: its bare JID."""
    private = replace(route, puppet=room, resource=through.nick, marks=marks(through))
    if row.speaker is Speaker.USER:  # it goes to the occupant: all of the user's devices see it
        said = outgoing.stanza_of(row, replace(private, marks=_PRIVATE), now)
        return [] if said is None else [said]
    sessions = (row.delivery.to,) if isinstance(row.delivery, Failure) else through.to
    made = (outgoing.stanza_of(row, replace(private, user=to), now) for to in sessions)
    return [stanza for stanza in made if stanza is not None]
