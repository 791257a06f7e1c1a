# SPDX-License-Identifier: Apache-2.0
"""What contacts show of themselves, to each user apart (REQ-307): name, picture, a page."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.bridge.accounts import Account
from gateway.bridge.attendance.attendance import Attendance
from gateway.bridge.ground import Ground
from gateway.bridge.inbound.rows import Profiled
from gateway.bridge.ports import XmppPort
from gateway.bridge.rooms.avatars import Avatars
from gateway.ids import RemoteUserId
from gateway.store import contacts
from gateway.store.avatars import PictureRow
from gateway.store.contacts import Subscription
from gateway.tasks import contained_now


class Profiles:
    """Of the contacts of one network."""

    def __init__(self, ground: Ground, avatars: Avatars, attendance: Attendance) -> None:
        self._adapter = ground.adapter
        self._store = ground.store
        self._accounts = ground.accounts
        self._avatars = avatars
        self._presences = attendance.presences
        self.waves = attendance.waves
        """By which devices are told."""
        self._port: XmppPort

    def attach(self, port: XmppPort) -> None:
        """Connect to the XMPP side."""
        self._port = port

    # --- what there is ---------------------------------------------------------------------------

    def name(self, account: Account, contact: RemoteUserId) -> str:
        """Empty if none is known."""
        return self._row(account, contact).name

    def picture(self, account: Account, contact: RemoteUserId) -> PictureRow | None:
        """What is shown of a contact now."""
        return self._avatars.of_person(account, contact)

    def has_no_picture(self, account: Account, contact: RemoteUserId) -> bool:
        """Whether the network says so, or has one that cannot be shown."""
        return contacts.picture(self._store.reader, account.id, contact) == ""

    def page(self, contact: RemoteUserId) -> str:
        """Where the network shows a contact to anybody; empty if nowhere."""
        return contained_now(self._adapter.page_of, contact) or ""

    def is_seen(self, account: Account, contact: RemoteUserId) -> bool:
        """Whether the user receives the contact's presence."""
        return self._row(account, contact).to_user is Subscription.GRANTED

    def seen_by(self, account: Account) -> Sequence[RemoteUserId]:
        """Of whom the user does so, most recent chats first, the gateway last."""
        return self._presences.by_rank(account)

    def _row(self, account: Account, contact: RemoteUserId) -> contacts.ContactRow:
        return contacts.get(self._store.reader, account.id, contact)

    # --- what is new -----------------------------------------------------------------------------

    def changed(self, profiled: Sequence[Profiled]) -> None:
        """Something else is known of contacts: pictures are fetched, and devices told."""
        for one in profiled:
            account = self._accounts.by_id(one.account)
            if account is None:
                continue
            self._avatars.wake(account, [None])
            if one.picture:
                self._presences.pictured(account, one.contact)
            self._port.profiled(account.user, one.contact, name=one.name, picture=one.picture)

    def seen(self, account: Account, contact: RemoteUserId) -> None:
        """The user sees a contact from now on."""
        self._avatars.wake(account, [None])
        self._port.profiled(account.user, contact, name=True, picture=True)
