# SPDX-License-Identifier: Apache-2.0
"""Contacts in their users' own contact lists (rosters).

Where the user's server lets us, whoever the user talks with is put there, with name and group
(REQ-230); elsewhere the contact asks once to be added (REQ-231), few in an hour (REQ-234). Servers
tell of no changes, so each list is looked at when the stream comes up, when something is to be
done, and once a day (REQ-1012).
"""

from __future__ import annotations

import asyncio
import enum
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import structlog

from gateway.bridge.accounts import Account
from gateway.bridge.attendance.presence import Presences
from gateway.bridge.contacts.asking import IN_AN_HOUR, Asking
from gateway.bridge.contacts.listing import is_deaf, judge, taken
from gateway.bridge.ground import Ground
from gateway.bridge.ports import RosterItem, RosterPort, RosterRefused, XmppPort
from gateway.ids import AccountId, RemoteUserId
from gateway.store import Transaction, accounts, contacts, roster
from gateway.store.contacts import Subscription
from gateway.store.roster import Row, State

log = structlog.get_logger("contact lists")

_PAUSE_S = 1.0
"""What comes close together is done at once."""
_EACH_S = 86_400.0
_CHANGES_EACH_S = 60.0
_AT_ONCE = 4
"""Accounts."""
BATCH = 50
"""Requests of one account at once (REQ-1008)."""
_SEEN_AT_ONCE = 100
_BATCH_EACH_S = 5.0
"""Each of them is told to all clients of the user."""

_NOT_BEGUN = (State.WANTED, State.INVITED)
_OPEN = (Subscription.NONE, Subscription.ASKED)


class Way(enum.Enum):
    """How contacts come into the user's list."""

    WRITTEN = enum.auto()
    """By us."""
    OFFERED = enum.auto()
    """A client of the user was told of them all, and asks the user."""
    ASKED = enum.auto()
    """Each asks to be added."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Write:
    contact: RemoteUserId
    item: RosterItem | None
    """None: it is removed."""


@dataclass(slots=True)
class _Plan:
    """What comes next for one account."""

    batch: list[_Write] = field(default_factory=list)
    has_more: bool = False
    """Something is left for another batch."""
    seen: list[RemoteUserId] = field(default_factory=list)
    """Whom the user sees, which we did not know."""


class Rosters:
    """The contact lists of the users of one network."""

    def __init__(
        self,
        ground: Ground,
        presences: Presences,
        asking: Asking,
        *,
        seen: Callable[[Account, RemoteUserId], None],
    ) -> None:
        """``seen``: a user sees somebody from now on."""
        self._network = ground.network
        self._store = ground.store
        self._accounts = ground.accounts
        self._addresses = ground.addresses
        self._clock = ground.clock
        self._tasks = ground.tasks
        self._persist = ground.persist
        self._presences = presences
        self._asking = asking
        self._tell_seen = seen
        self._port: RosterPort
        self._xmpp: XmppPort
        self._turns = asyncio.Semaphore(_AT_ONCE)
        self._again: dict[AccountId, bool] = {}
        """Accounts with a task that looks, and whether it is to look once more."""
        self._changed: dict[AccountId, bool] = {}
        """Accounts looked at for a change within a minute, and whether there is another."""
        self._met: dict[AccountId, dict[RemoteUserId, None]] = {}
        """With whom users have begun to talk."""

    def attach(self, port: XmppPort) -> None:
        """Connect to the XMPP side."""
        self._xmpp, self._port = port, port.rosters

    async def watch(self) -> None:
        """Look once a day."""
        while True:
            await self._clock.sleep(_EACH_S)
            self._accounts.each(self.look)

    def stream_up(self) -> None:
        """What had to wait for the stream."""
        for account in map(self._accounts.by_id, list(self._met)):
            if account is not None:
                self.look(account)

    def granted(self, domain: str) -> None:
        """A server has told what it grants."""
        for account in self._accounts:
            if account.user.rpartition("@")[2] == domain and self._port.is_open(account.user):
                self.look(account)

    def met(self, account: Account, contact: RemoteUserId) -> None:
        """Something was said in a chat: the first time, the contact becomes one of the user's."""
        if not account.settings.add_contacts:
            return
        row = roster.get(self._store.reader, account.id, contact)
        if row is None or row.state in _NOT_BEGUN:
            self._met.setdefault(account.id, {}).setdefault(contact)
            self.look(account)
        elif row.state is State.OURS and account.id not in self._again:
            known = contacts.get(self._store.reader, account.id, contact)
            if known.from_user is Subscription.NONE:
                self._asking.ask(account, contact)  # had to stand back

    async def want(self, account: Account, people: Mapping[RemoteUserId, str]) -> tuple[int, Way]:
        """The user wants these, by their names, in the list. Returns how many are new there, and
        how they come there."""

        def unit(db: Transaction) -> list[RemoteUserId]:
            new: list[RemoteUserId] = []
            if not accounts.exists(db, account.id):
                return new
            for contact, name in people.items():
                before = roster.get(db, account.id, contact)
                if before is not None and before.state not in _NOT_BEGUN:
                    continue
                new.append(contact)
                self._addresses.assign(db, contact)
                wanted = replace(before or Row(), state=State.WANTED)
                if wanted != before:
                    roster.put(db, account.id, contact, wanted)
                known = contacts.get(db, account.id, contact)
                if name and not known.name:
                    contacts.put(db, account.id, contact, replace(known, name=name))
            return new

        new = await self._persist.write(unit)
        if self.may_write(account):
            self.look(account)
            return len(new), Way.WRITTEN
        if new and self._port.offer(account.user, {each: people[each] for each in new}):
            return len(new), Way.OFFERED
        self._met.setdefault(account.id, {}).update(dict.fromkeys(new[:IN_AN_HOUR]))
        self.look(account)
        return len(new), Way.ASKED

    def may_write(self, account: Account) -> bool:
        """Whether the user's server, and the user, let us."""
        return self._port.is_open(account.user)

    def look(self, account: Account) -> None:
        """Something may have to be done."""
        if account.id in self._again:
            self._again[account.id] = True
        else:
            self._again[account.id] = True
            self._tasks.spawn(self._look(account), "contact list")

    def changed(self, account: Account) -> None:
        """Somebody in the list is called otherwise, or is to be there no longer. The whole list is
        read for that: at most once a minute, however often people change their names."""
        is_seen_to = account.id in self._changed
        self._changed[account.id] = True
        if not is_seen_to:
            self._tasks.spawn(self._look_slowly(account), "changed contacts")

    # --- inside ----------------------------------------------------------------------------------

    async def _look_slowly(self, account: Account) -> None:
        try:
            while self._changed[account.id] and self._is_there(account):
                self._changed[account.id] = False
                self.look(account)
                await self._clock.sleep(_CHANGES_EACH_S)
        finally:
            del self._changed[account.id]

    def _is_there(self, account: Account) -> bool:
        return self._accounts.by_id(account.id) is account and not account.leaving

    async def _look(self, account: Account) -> None:
        try:
            while self._again[account.id]:
                self._again[account.id] = False
                await self._clock.sleep(_PAUSE_S)
                await self._see_to(account)
        finally:
            del self._again[account.id]

    async def _see_to(self, account: Account) -> None:
        if not self._is_there(account):
            self._met.pop(account.id, None)
            return
        if not self._xmpp.is_up():
            return
        met = self._met.pop(account.id, {})
        if not self._port.is_open(account.user):
            for contact in met:
                self._asking.ask(account, contact)
            return
        try:
            await self._compare(account)
        except RosterRefused as refused:
            log.info(
                "contact_list_not_read",
                network=self._network,
                account=account.id,
                reason=str(refused),
            )

    async def _compare(self, account: Account) -> None:
        """Batch by batch, each by what was read just before it: what the user changes between two
        of them counts. The pauses are before the reads, and take no turn from other accounts."""
        there = await self._read(account)
        tried: set[RemoteUserId] = set()
        while True:
            plan = await self._persist.write(partial(self._plan, account, there, tried))
            await self._see(account, plan.seen)
            if not plan.batch:
                return
            await self._write_batch(account, plan.batch)
            tried.update(each.contact for each in plan.batch)
            if plan.has_more:
                await self._clock.sleep(_BATCH_EACH_S)
            if not self._is_there(account) or not self._port.is_open(account.user):
                return
            there = await self._approve(account, plan.batch, await self._read(account))

    async def _read(self, account: Account) -> Mapping[RemoteUserId, RosterItem]:
        async with self._turns:
            return await self._port.read(account.user)

    def _plan(
        self,
        account: Account,
        there: Mapping[RemoteUserId, RosterItem],
        tried: Collection[RemoteUserId],
        db: Transaction,
    ) -> _Plan:
        """In the unit that stores what is about to be written."""
        plan = _Plan()
        if not accounts.exists(db, account.id):  # removed meanwhile
            return plan
        rows = roster.all_of(db, account.id)
        for contact in roster.new_chats(db, account.id):
            rows[contact] = replace(rows.get(contact, Row()), state=State.WANTED)
        for contact, before in rows.items():
            known = contacts.get(db, account.id, contact)
            todo = judge(before, there.get(contact), known, self._port.label)
            if todo.write is not None or todo.removes:
                if contact in tried:
                    continue  # not taken: when we look again
                if len(plan.batch) == BATCH:
                    plan.has_more = True
                    break
                plan.batch.append(_Write(contact=contact, item=todo.write))
            if todo.row != before or before == Row():
                self._addresses.assign(db, contact)
                roster.put(db, account.id, contact, todo.row)
        plan.seen = self._heal(db, account, there)
        return plan

    def _heal(
        self, db: Transaction, account: Account, there: Mapping[RemoteUserId, RosterItem]
    ) -> list[RemoteUserId]:
        """The user's server is the authority: what it has is true (REQ-303), but for what was
        ended while it had not heard of that."""
        seen = []
        for contact, item in there.items():
            before = after = contacts.get(db, account.id, contact)
            if item.to_user and before.to_user in _OPEN:
                after = replace(after, to_user=Subscription.GRANTED)
                seen.append(contact)
            if item.from_user and before.from_user in _OPEN:
                after = replace(after, from_user=Subscription.GRANTED)
            if after != before:
                self._addresses.assign(db, contact)
                contacts.put(db, account.id, contact, after)
        return seen

    async def _see(self, account: Account, seen: Iterable[RemoteUserId]) -> None:
        for number, contact in enumerate(seen):
            if number % _SEEN_AT_ONCE == _SEEN_AT_ONCE - 1:
                await asyncio.sleep(0)  # others have their turn
            account.devices.audience.discard(self._addresses.localpart(contact))
            account.devices.subscribed_to(contact)
            self._presences.show_in_turn(account, contact)
            self._tell_seen(account, contact)

    async def _write_batch(self, account: Account, batch: Sequence[_Write]) -> None:
        async with self._turns:
            took = await self._write_all(account, batch)
        await self._persist.write(partial(self._taken, account, took))

    async def _write_all(self, account: Account, writes: Sequence[_Write]) -> list[_Write]:
        """Returns those that the server has taken."""
        took = await asyncio.gather(*(self._write(account, each) for each in writes))
        return [each for each, is_taken in zip(writes, took, strict=True) if is_taken]

    async def _write(self, account: Account, write: _Write) -> bool:
        try:
            if write.item is None:
                await self._port.remove(account.user, write.contact)
            else:
                await self._port.set(account.user, write.contact, write.item)
        except RosterRefused as refused:  # of one contact: the others go on
            log.info(
                "contact_list_not_written",
                network=self._network,
                account=account.id,
                reason=str(refused),
            )
            return False
        return True

    def _taken(self, account: Account, took: Iterable[_Write], db: Transaction) -> None:
        if not accounts.exists(db, account.id):
            return
        for each in took:
            row = roster.get(db, account.id, each.contact)
            if row is not None:
                after = taken(row, each.item, self._port.label)
                roster.put(db, account.id, each.contact, after)

    async def _approve(
        self,
        account: Account,
        batch: Iterable[_Write],
        there: Mapping[RemoteUserId, RosterItem],
    ) -> Mapping[RemoteUserId, RosterItem]:
        """ejabberd leaves out the subscription. Since 26.03 it takes a request that it was told to
        approve; before that the user is asked, so these are few in an hour (REQ-234). Returns what
        stands there then."""
        deaf = [
            _Write(contact=each.contact, item=replace(each.item, is_approved=True))
            for each in batch
            if each.item is not None and is_deaf(each.item, there.get(each.contact))
        ]
        if not deaf:
            return there
        async with self._turns:
            await self._write_all(account, deaf)
        there = await self._read(account)
        approved = []
        for contact in (each.contact for each in deaf if each.contact in there):
            if there[contact].is_approved:
                approved.append(contact)
            elif not there[contact].from_user:
                self._asking.ask(account, contact)
        await self._persist.write(partial(self._asked, account, approved))
        for contact in approved:
            self._xmpp.subscription("subscribe", account.user, contact, name=there[contact].name)
        return there

    def _asked(self, account: Account, approved: Iterable[RemoteUserId], db: Transaction) -> None:
        if not accounts.exists(db, account.id):
            return
        for contact in approved:
            known = contacts.get(db, account.id, contact)
            if known.from_user is Subscription.NONE:
                asked = replace(known, from_user=Subscription.ASKED)
                contacts.put(db, account.id, contact, asked)
