# SPDX-License-Identifier: Apache-2.0
"""Subscriptions between a user and the puppets of one network (REQ-301 to REQ-305).

The user's server is the authority; our rows are a copy that heals itself, so every step is
idempotent. Nothing is ever revoked because of an error of ours (REQ-303).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

from gateway.bridge.accounts import Account
from gateway.bridge.attendance.attendance import Attendance
from gateway.bridge.attendance.devices import Reach
from gateway.bridge.attendance.waves import Item
from gateway.bridge.contacts import names
from gateway.bridge.contacts.look_ups import LookUps
from gateway.bridge.ground import Ground
from gateway.bridge.ports import XmppPort
from gateway.bridge.splitting import reference
from gateway.bridge.traffic import Traffic
from gateway.events import UNAVAILABLE, AcceptInvite, Command, DeclineInvite
from gateway.ids import RemoteUserId, UserJid
from gateway.store import Transaction, contacts, conversations, journal
from gateway.store.contacts import Subscription
from gateway.store.conversations import GATEWAY
from gateway.store.journal import OutboundRow


class Subscriptions:
    """The subscription machine of one network."""

    def __init__(
        self,
        ground: Ground,
        traffic: Traffic,
        attendance: Attendance,
        *,
        seen: Callable[[Account, RemoteUserId], None],
    ) -> None:
        """``seen``: a user sees somebody from now on."""
        self._store = ground.store
        self._accounts = ground.accounts
        self._addresses = ground.addresses
        self._reserved = ground.settings.reserved
        self._clock = ground.clock
        self._persist = ground.persist
        self._presences = attendance.presences
        self._waves = attendance.waves
        self._send = traffic.outbound.offer
        self._seen = seen
        self.look_ups = LookUps(ground, granted=self._grant, refused=self._refuse)
        self._port: XmppPort

    def attach(self, port: XmppPort) -> None:
        """Connect to the XMPP side."""
        self._port = port

    # --- stanzas from the user -------------------------------------------------------------------

    def subscribe(self, account: Account, contact: RemoteUserId) -> None:
        """The user wants to see the contact's presence."""
        if self.look_ups.is_known(account, contact):
            self._grant(account, contact)
        else:
            self._change(
                account,
                contact,
                to_user=Subscription.ASKED,
                then=lambda: self.look_ups.begin(account, contact),
            )

    def subscribed(self, account: Account, contact: RemoteUserId) -> None:
        """The user lets the contact see their presence: that also accepts an invitation."""
        self._change(
            account,
            contact,
            from_user=Subscription.GRANTED,
            answer=AcceptInvite(contact=contact),
        )

    def unsubscribe(self, account: Account, contact: RemoteUserId) -> None:
        """The user no longer wants to see the contact's presence."""

        def then() -> None:
            self._port.subscription("unsubscribed", account.user, contact)
            self._port.presence(account.user, contact, UNAVAILABLE)

        self._change(account, contact, to_user=Subscription.REFUSED, then=then)

    def unsubscribed(self, account: Account, contact: RemoteUserId) -> None:
        """The user does not let the contact see their presence: that declines an invitation."""
        self._change(
            account,
            contact,
            from_user=Subscription.REFUSED,
            answer=DeclineInvite(contact=contact),
        )

    def probe(self, account: Account, contact: RemoteUserId) -> None:
        """The user's server asks for the contact's presence. Answered without I/O (REQ-304)."""
        row = contacts.get(self._store.reader, account.id, contact)
        if row.to_user is Subscription.GRANTED:
            self._presences.probed(account, contact)
        elif row.to_user is Subscription.REFUSED:
            self._port.subscription("unsubscribed", account.user, contact)
        elif row.to_user is Subscription.NONE:
            # Perhaps our database is older than their roster: nothing is revoked for that, be the
            # contact known by a name, a text or an invitation (REQ-303).
            self._port.presence(account.user, contact, UNAVAILABLE)

    # --- from our side ---------------------------------------------------------------------------

    async def invite_gateway(self, account: Account) -> None:
        """After the first login the gateway asks to be a contact, once (REQ-208).

        Most users have made it a contact before they had an account, so they are taken for
        subscribed: to those who are not, its presence does no harm (REQ-303).
        """
        row = contacts.get(self._store.reader, account.id, GATEWAY)
        if row.from_user is Subscription.NONE:
            changed = self._change(
                account,
                GATEWAY,
                to_user=Subscription.GRANTED,
                from_user=Subscription.ASKED,
                then=lambda: self._port.subscription("subscribe", account.user, GATEWAY),
            )
            await asyncio.wait([changed])

    def show_gateway(self, account: Account) -> None:
        """The state of the link changed: the gateway's presence says so (REQ-142)."""
        row = contacts.get(self._store.reader, account.id, GATEWAY)
        if row.to_user is Subscription.GRANTED and account.devices.reach is not Reach.OFFLINE:
            self._presences.show(account, GATEWAY)

    def went_live(self, account: Account) -> None:
        """Requests that could not be answered while the link was down."""
        for contact in contacts.asked(self._store.reader, account.id):
            self.look_ups.begin(account, contact)

    def known(self, account: Account) -> list[RemoteUserId]:
        """Contacts with a subscription in either direction, the gateway last."""
        known = contacts.known(self._store.reader, account.id)
        return sorted(known, key=lambda contact: contact == GATEWAY)

    def say_goodbye(self, account: Account, known: Sequence[RemoteUserId]) -> None:
        """The account is removed: end every subscription, the gateway's last (REQ-209)."""
        self.look_ups.forget(account)
        ends = [*account.devices.directed(), *((one, "") for one in known)]
        items = (
            # Whether or not the user is there: it ends what is in their roster.
            (Item(("goodbye", *end), partial(self._end, account, *end), is_state=False), rank)
            for rank, end in enumerate(ends)
        )
        self._waves.begin(account.user, items)

    def _end(self, account: Account, contact: RemoteUserId, resource: str, _: bool) -> int:
        if self._has_begun_again(account.user, contact):
            return 0
        return self._port.end(account.user, contact, resource)

    def _has_begun_again(self, user: UserJid, contact: RemoteUserId) -> bool:
        """Whether a new account of the user wants the contact: an old goodbye would end that."""
        account = self._accounts.of(user)
        if account is None:
            return False
        row = contacts.get(self._store.reader, account.id, contact)
        return contact == GATEWAY or row.is_subscribed or row.to_user is Subscription.ASKED

    # --- inside ----------------------------------------------------------------------------------

    def _refuse(self, account: Account, contact: RemoteUserId, text: str) -> None:
        def then() -> None:
            self._port.subscription("unsubscribed", account.user, contact)
            self._port.say(account.user, text)

        self._change(account, contact, to_user=Subscription.NONE, then=then)

    def _grant(
        self,
        account: Account,
        contact: RemoteUserId,
        name: str = "",
        avatar: str | None = None,
    ) -> None:
        before = contacts.get(self._store.reader, account.id, contact)
        ask = before.from_user is Subscription.NONE

        def then() -> None:
            self._port.subscription("subscribed", account.user, contact)
            self._presences.show(account, contact)
            if ask:
                known = names.better(before.name, name, contact, self._reserved)
                self._port.subscription("subscribe", account.user, contact, name=known)
            self._seen(account, contact)

        self._change(
            account,
            contact,
            to_user=Subscription.GRANTED,
            from_user=Subscription.ASKED if ask else None,
            name=name,
            avatar=avatar,
            then=then,
        )

    def _change(
        self,
        account: Account,
        contact: RemoteUserId,
        *,
        to_user: Subscription | None = None,
        from_user: Subscription | None = None,
        name: str = "",
        avatar: str | None = None,
        answer: Command | None = None,
        then: Callable[[], None] | None = None,
    ) -> asyncio.Future[OutboundRow | None]:
        """Store what changed; ``answer`` goes to the network if an invitation was waiting."""
        now = self._clock.now()

        def unit(db: Transaction) -> OutboundRow | None:
            row = contacts.get(db, account.id, contact)
            invited = row.invited and answer is None
            changed = replace(
                row,
                to_user=row.to_user if to_user is None else to_user,
                from_user=row.from_user if from_user is None else from_user,
                name=names.better(row.name, name, contact, self._reserved),
                avatar=row.avatar if avatar is None else reference(avatar),
                invited=invited,
            )
            if changed != row:
                self._addresses.assign(db, contact)
                contacts.put(db, account.id, contact, changed)
            if answer is None or not row.invited:
                return None
            return _append(db, account, contact, answer, now)

        def committed(answered: OutboundRow | None) -> None:
            if from_user is not None:
                account.devices.audience.discard(self._addresses.localpart(contact))
            if to_user is Subscription.GRANTED:
                account.devices.subscribed_to(contact)
            if answered is not None:
                self._send(account, answered)
            if then is not None:
                then()

        return self._persist.write(unit, committed)


def _append(
    db: Transaction, account: Account, contact: RemoteUserId, command: Command, now: float
) -> OutboundRow:
    return journal.add_outbound(
        db,
        account=account.id,
        conversation=conversations.chat(db, account.id, contact),
        contact=contact,
        command=command,
        now=now,
    )
