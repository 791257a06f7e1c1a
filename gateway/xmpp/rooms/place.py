# SPDX-License-Identifier: Apache-2.0
"""A room and those in it, as they are written into stanzas."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from urllib.parse import quote

from gateway.ids import RemoteUserId, is_virtual, user_of
from gateway.store.sessions import Shown
from gateway.xmpp import jid
from gateway.xmpp.codec.xml import attribute


@dataclass(frozen=True, slots=True)
class Place:
    """A room, as it is written into stanzas."""

    room: str
    """Bare JID."""
    puppet: Callable[[RemoteUserId], str]
    users: Mapping[RemoteUserId, str]
    """The members who are users of this gateway, with their bare JIDs: one, where the room is not
    shared."""
    is_private: bool
    caps: str = ""
    """Those of all occupants but the user (XEP-0115)."""
    is_read: bool = False
    """The network wants to know what its people have read."""
    has_avatars: bool = False
    """The network says who has a picture, and who has none."""
    rulers: Collection[str] = ()
    """Bare JIDs of users who moderate it, if it is a channel."""
    devices: Mapping[RemoteUserId, Shown] = field(default_factory=dict)
    """What those of the users show who are in with a client, if it is told now."""

    def is_of(self, member: RemoteUserId, session: str) -> bool:
        """Whether a session is that of a member."""
        user = self.users.get(member)
        return user is not None and (len(self.users) == 1 or user == jid.split(session).bare)

    def shown_to(self, session: str, member: RemoteUserId) -> str:
        """Who a session is told that a member is (REQ-521): where not everybody knows that, those
        who moderate the room are told whom they can ban, and not whose account that is."""
        if self.is_private:
            return self.jid_of(member)
        if self.rulers and jid.split(session).bare in self.rulers:
            return user_of(member) if is_virtual(member) else self.puppet(member)
        return ""

    def jid_of(self, member: RemoteUserId) -> str:
        """Who a member is, where everybody knows that (REQ-521)."""
        return self.users.get(member) or self.puppet(member)

    def occupant(self, nick: str) -> str:
        """The address of an occupant; that of the room for who is none."""
        local, _, domain = self.room.partition("@")
        return jid.make(local, domain, nick) if nick else self.room

    def uri(self, nick: str) -> str:
        """The same as a URI (RFC 5122 §2.2)."""
        return f"xmpp:{quote(self.room, safe='@.-_~')}/{quote(nick, safe='')}"


def occupant_id(value: str) -> str:
    """XEP-0421."""
    return f"<occupant-id xmlns='urn:xmpp:occupant-id:0' id='{attribute(value)}'/>"
