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

import structlog

from gateway.adapter import Clock, Contact
from gateway.bridge.accounts import Account, Accounts
from gateway.bridge.addresses import Addresses
from gateway.bridge.attendance.devices import Reach
from gateway.bridge.attendance.presence import Presences
from gateway.bridge.attendance.waves import Item, Waves
from gateway.bridge.persist import Persist
from gateway.bridge.ports import XmppPort
from gateway.bridge.splitting import one_line
from gateway.errors import AdapterError, Forbidden, NotFound, RateLimited, Transient
from gateway.events import UNAVAILABLE, AcceptInvite, Command, DeclineInvite
from gateway.ids import AccountId, NetworkName, RemoteUserId, UserJid
from gateway.store import Store, Transaction, contacts, conversations, journal
from gateway.store.contacts import ContactRow, Subscription
from gateway.store.conversations import GATEWAY
from gateway.store.journal import OutboundRow
from gateway.tasks import Tasks, contained, within

log = structlog.get_logger("contacts")

_FIND_LIMIT_S = 5.0
_FIRST_RETRY_S = 2.0
_LONGEST_RETRY_S = 60.0


class Contacts:
    """The subscription machine of one network."""

    def __init__(
        self,
        network: NetworkName,
        store: Store,
        accounts: Accounts,
        addresses: Addresses,
        clock: Clock,
        tasks: Tasks,
        persist: Persist,
        send: Callable[[Account, OutboundRow], None],
        presences: Presences,
        waves: Waves,
    ) -> None:
        self._network = network
        self._store = store
        self._accounts = accounts
        self._addresses = addresses
        self._clock = clock
        self._tasks = tasks
        self._send = send
        self._persist = persist
        self._presences = presences
        self._waves = waves
        self._lookups: dict[AccountId, dict[RemoteUserId, None]] = {}
        """Ordered, and each contact once."""
        self._port: XmppPort

    def attach(self, port: XmppPort) -> None:
        """Connect to the XMPP side."""
        self._port = port

    def name(self, account: Account, contact: RemoteUserId) -> str:
        """The contact's name, or nothing."""
        return contacts.get(self._store.reader, account.id, contact).name

    def is_known(self, account: Account, contact: RemoteUserId) -> bool:
        """Whether the contact was seen before, so that nobody has to be asked."""
        row = contacts.get(self._store.reader, account.id, contact)
        return self._is_known(account, contact, row)

    async def find(self, account: Account, contact: RemoteUserId) -> Contact:
        """Look a contact up, within 5 s (REQ-119). Raises `NotFound` or `Transient`."""
        row = contacts.get(self._store.reader, account.id, contact)
        if row is not contacts.UNKNOWN:
            return Contact(name=row.name)
        session = account.link.session if account.link is not None else None
        if session is None:
            raise Transient("The network cannot be asked now.")
        try:
            return await within(self._clock, _FIND_LIMIT_S, contained(session.find, contact))
        except TimeoutError:
            raise Transient("The network did not answer in time.") from None
        except Forbidden:  # people may hide their profile
            return Contact()

    # --- stanzas from the user -------------------------------------------------------------------

    def subscribe(self, account: Account, contact: RemoteUserId) -> None:
        """The user wants to see the contact's presence."""
        row = contacts.get(self._store.reader, account.id, contact)
        if self._is_known(account, contact, row):
            self._grant(account, contact)
        else:
            self._change(
                account,
                contact,
                to_user=Subscription.ASKED,
                then=lambda: self._look_up(account, contact),
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
            self._look_up(account, contact)

    def known(self, account: Account) -> list[RemoteUserId]:
        """Contacts with a subscription in either direction, the gateway last."""
        known = contacts.known(self._store.reader, account.id)
        return sorted(known, key=lambda contact: contact == GATEWAY)

    def say_goodbye(self, account: Account, known: Sequence[RemoteUserId]) -> None:
        """The account is removed: end every subscription, the gateway's last (REQ-209)."""
        self._lookups.pop(account.id, None)
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

    def _is_known(self, account: Account, contact: RemoteUserId, row: ContactRow) -> bool:
        return (
            contact == GATEWAY
            or row.to_user is Subscription.GRANTED
            or row.invited
            or bool(row.name)
            or conversations.has_messages(self._store.reader, account.id, contact)
        )

    def _look_up(self, account: Account, contact: RemoteUserId) -> None:
        """Ask the network, one contact of an account after the other: rosters have hundreds."""
        waiting = self._lookups.get(account.id)
        if waiting is None:
            waiting = self._lookups[account.id] = {}
            self._tasks.spawn(self._look_up_all(account, waiting), "look-ups")
        waiting.setdefault(contact)

    async def _look_up_all(self, account: Account, waiting: dict[RemoteUserId, None]) -> None:
        wait_s = _FIRST_RETRY_S
        try:
            while waiting and self._lookups.get(account.id) is waiting:
                contact = next(iter(waiting))
                again_s = await self._resolve(account, contact)
                del waiting[contact]
                if again_s is None:
                    wait_s = _FIRST_RETRY_S
                    continue
                if account.link is None or account.link.session is None:
                    break  # all of them are asked for again when the link is live
                waiting[contact] = None  # after the others
                await self._clock.sleep(max(again_s, wait_s))
                wait_s = min(wait_s * 2, _LONGEST_RETRY_S)
        finally:
            if self._lookups.get(account.id) is waiting:
                del self._lookups[account.id]

    def _is_asked(self, account: Account, contact: RemoteUserId) -> bool:
        """Whether the user still waits; they may have removed the contact meanwhile."""
        row = contacts.get(self._store.reader, account.id, contact)
        return row.to_user is Subscription.ASKED

    async def _resolve(self, account: Account, contact: RemoteUserId) -> float | None:
        """Answer one request. Returns after how many seconds to ask again, if that is needed."""
        session = account.link.session if account.link is not None else None
        if session is None:
            return 0.0
        answer: Callable[[], None]
        try:
            found = await within(self._clock, _FIND_LIMIT_S, contained(session.find, contact))
            answer = partial(self._grant, account, contact, one_line(found.name))
        except NotFound as error:
            answer = partial(self._refuse, account, contact, error.text)
        except Forbidden:  # people may hide their profile; that is no reason not to write to them
            answer = partial(self._grant, account, contact)
        except RateLimited as error:
            return error.retry_after_s
        except (AdapterError, TimeoutError) as error:
            log.info(
                "contact_not_resolved",
                network=self._network,
                account=account.id,
                reason=str(error),
            )
            return 0.0
        except Exception:
            log.exception("look_up_failed", network=self._network, account=account.id)
            return _LONGEST_RETRY_S
        if self._is_asked(account, contact):
            answer()
        return None

    def _refuse(self, account: Account, contact: RemoteUserId, text: str) -> None:
        def then() -> None:
            self._port.subscription("unsubscribed", account.user, contact)
            self._port.say(account.user, text)

        self._change(account, contact, to_user=Subscription.NONE, then=then)

    def _grant(self, account: Account, contact: RemoteUserId, name: str = "") -> None:
        before = contacts.get(self._store.reader, account.id, contact)
        ask = before.from_user is Subscription.NONE

        def then() -> None:
            self._port.subscription("subscribed", account.user, contact)
            self._presences.show(account, contact)
            if ask:
                self._port.subscription(
                    "subscribe", account.user, contact, name=name or before.name
                )

        self._change(
            account,
            contact,
            to_user=Subscription.GRANTED,
            from_user=Subscription.ASKED if ask else None,
            name=name,
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
                name=name or row.name,
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
