# SPDX-License-Identifier: Apache-2.0
"""All that a network offers of its people: the parts of this package put together."""

from __future__ import annotations

from collections.abc import Iterable

from gateway.bridge.accounts import Account
from gateway.bridge.attendance.attendance import Attendance
from gateway.bridge.contacts.asking import Asking
from gateway.bridge.contacts.own_people import OwnPeople
from gateway.bridge.contacts.people import People
from gateway.bridge.contacts.profiles import Profiles
from gateway.bridge.contacts.roster import Rosters
from gateway.bridge.contacts.subscriptions import Subscriptions
from gateway.bridge.ground import Ground
from gateway.bridge.inbound.rows import Committed
from gateway.bridge.ports import XmppPort
from gateway.bridge.rooms.avatars import Avatars
from gateway.bridge.traffic import Traffic
from gateway.events import ChatMessage, OwnMessage
from gateway.store.journal import InboundRow


class NetworkContacts:
    """The people of one network, with all that users do with them."""

    def __init__(
        self,
        ground: Ground,
        traffic: Traffic,
        attendance: Attendance,
        avatars: Avatars,
    ) -> None:
        self._tasks = ground.tasks
        self._presences = attendance.presences
        self.profiles = Profiles(ground, avatars, attendance)
        self.subscriptions = Subscriptions(ground, traffic, attendance, seen=self.profiles.seen)
        self.look_ups = self.subscriptions.look_ups
        self.roster = Rosters(
            ground,
            attendance.presences,
            Asking(ground, traffic.delivery.offer),
            seen=self.profiles.seen,
        )
        self.people = People(ground)
        self.own_people = OwnPeople(
            ground, attendance.presences, self.roster, seen=self.profiles.seen
        )

    def attach(self, port: XmppPort) -> None:
        """Connect to the XMPP side."""
        self.profiles.attach(port)
        self.subscriptions.attach(port)
        self.roster.attach(port)

    def start(self) -> None:
        """Begin to watch."""
        self._tasks.spawn(self.roster.watch(), "contact lists")

    def stream_up(self) -> None:
        """What had to wait for the stream."""
        self.roster.stream_up()

    def talked(self, account: Account, rows: Iterable[InboundRow]) -> None:
        """These are about to be told to the user."""
        for row in rows:
            self._presences.talked(account, row.contact)
            if isinstance(row.delivery, ChatMessage | OwnMessage):
                self.roster.met(account, row.contact)

    def committed(self, account: Account, committed: Committed) -> None:
        """What a session of the account has told is stored."""
        if committed.listed:
            self.roster.changed(account)
        if committed.blocked is not None:
            self.own_people.blocked(account, committed.blocked)
        self.profiles.changed(committed.profiled)
