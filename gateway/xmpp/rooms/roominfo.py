# SPDX-License-Identifier: Apache-2.0
"""What a room says of itself in the form of XEP-0045 §16.4.4 (REQ-541).

What may be done is what the asker may do (REQ-525). In which language people talk no network says,
so it is not said here.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from gateway.bridge.accounts import Account
from gateway.events import Affiliation, DescribeRoom, InviteToRoom, RoomRight
from gateway.store.member_lists import Listed
from gateway.store.rooms import RoomRow
from gateway.xmpp.codec.xml import text
from gateway.xmpp.rooms.stanzas import MUC

if TYPE_CHECKING:
    from gateway.xmpp.component import Component

_MOST_CONTACTS = 10


def form(component: Component, account: Account, room: RoomRow) -> str:
    """The form, for a member."""
    rooms, can = component.network.rooms, component.network.rooms.management.is_possible
    invites = rooms.may(account, room, RoomRight.INVITE) and can(InviteToRoom)
    topics = rooms.may(account, room, RoomRight.TOPIC) and can(DescribeRoom)
    fields: dict[str, Sequence[str]] = {
        "muc#roomconfig_allowinvites": [_yes_no(invites)],
        "muc#roomconfig_allowpm": ["anyone" if room.takes_private else "none"],
        "muc#roomconfig_roomname": [room.name],
        # Servers say the first of these, XEP-0045 the second.
        "muc#roominfo_changesubject": [_yes_no(topics)],
        "muc#roominfo_subjectmod": [_yes_no(topics)],
        "muc#roominfo_description": [room.topic],
        "muc#roominfo_subject": [room.topic],
        "muc#roominfo_occupants": [str(rooms.people(room))],
    }
    if contacts := list(_contacts(component, account, room)):
        fields["muc#roominfo_contactjid"] = contacts
    if room.slow_mode_s:
        fields["muc#roominfo_slow_mode_duration"] = [str(room.slow_mode_s)]
    if room.picture:  # XEP-0486 §3.3
        fields["muc#roominfo_avatarhash"] = [room.picture]
    listed = "".join(_field(name, values) for name, values in fields.items())
    return (
        "<x xmlns='jabber:x:data' type='result'><field var='FORM_TYPE' type='hidden'>"
        f"<value>{MUC}#roominfo</value></field>{listed}</x>"
    )


def _contacts(component: Component, account: Account, room: RoomRow) -> Iterable[str]:
    """Whom to ask about it: owners, else admins. In a channel by their place in it, for it tells
    no addresses (REQ-521)."""
    place = component.rooms.place(account, room)
    for affiliation in (Affiliation.OWNER, Affiliation.ADMIN):
        wanted = Listed(affiliations=(affiliation,), most=_MOST_CONTACTS)
        found = component.network.rooms.listed(room, wanted)
        if found:
            return [
                place.jid_of(member.user) if room.private else place.occupant(member.nick)
                for member in found
            ]
    return ()


def _field(name: str, values: Sequence[str]) -> str:
    written = "".join(f"<value>{text(value)}</value>" for value in values)
    return f"<field var='{name}'>{written}</field>"


def _yes_no(value: bool) -> str:
    return "1" if value else "0"
