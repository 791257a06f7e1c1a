# SPDX-License-Identifier: Apache-2.0
"""What users are shown of their contacts' presence.

State, in memory: the latest counts, and no row of a journal is ever made of it. A user is told
what changed, at most once in 30 s for each contact (REQ-314), not counting answers. What there is
when a device comes online is told by the answers to the probes of its server (REQ-315), and nobody
who is not there is told anything (REQ-316). A contact of whom the network says nothing is
available (REQ-310), unless the account has been without its network for five minutes (REQ-223).
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections.abc import Collection, Iterator
from functools import partial

from gateway.bridge.accounts import Account
from gateway.bridge.attendance.devices import Reach
from gateway.bridge.attendance.shown import Shown, ShownContact, is_same
from gateway.bridge.attendance.snapshot import Snapshot
from gateway.bridge.attendance.waves import Item, Waves
from gateway.bridge.ground import Ground
from gateway.bridge.links.link import LinkState
from gateway.bridge.ports import XmppPort
from gateway.bridge.splitting import brief
from gateway.events import AVAILABLE, UNAVAILABLE, Availability, Presence
from gateway.ids import AccountId, RemoteUserId
from gateway.store import contacts
from gateway.store.accounts import AccountStatus
from gateway.store.contacts import Subscription
from gateway.store.conversations import GATEWAY

_PACE_S = 30.0
"""Between two presences of one contact for one user."""
_TICK_S = 1.0
_HIDDEN_AFTER_S = 300.0
"""How long contacts keep their presence without a link."""
_PROBES_COME_S = 10.0
"""A server that has not asked for anything by then has what it knows from somewhere else."""
_STATUS_CHARS = 1000
_MAX_CONTACTS = 50_000
"""Of one account, whose presence is remembered."""
_FIRST, _LAST = float("-inf"), float("inf")


class Presences:
    """The presence of all contacts of one network."""

    def __init__(self, ground: Ground, waves: Waves, snapshot: Snapshot) -> None:
        self._store = ground.store
        self._clock = ground.clock
        self._tasks = ground.tasks
        self._waves = waves
        self._snapshot = snapshot
        self._port: XmppPort
        self._shown: dict[AccountId, Shown] = {}
        self._recent = itertools.count(1)
        self._later: list[tuple[float, int, Account, RemoteUserId]] = []
        self._numbers = itertools.count()
        self._timer: asyncio.Task[None] | None = None

    def attach(self, port: XmppPort) -> None:
        """Connect to the XMPP side."""
        self._port = port

    def load(self) -> None:
        """What was last known, and last shown: a restart is not to be seen (REQ-143)."""
        for account, contact, presence in self._snapshot.load():
            shown = self._shown.setdefault(account, Shown())
            if contact == GATEWAY:
                shown.hidden = presence.availability is Availability.UNAVAILABLE
            else:
                shown.contacts.setdefault(contact, ShownContact()).state = presence
        newest = 0
        for account, contact, recent in self._snapshot.recent_chats():
            shown = self._shown.setdefault(account, Shown())
            shown.contacts.setdefault(contact, ShownContact()).recent = recent
            newest = max(newest, recent)
        self._recent = itertools.count(newest + 1)
        for shown in self._shown.values():
            for one in shown.contacts.values():
                one.shown = UNAVAILABLE if shown.hidden else one.state

    def forget(self, account: Account) -> None:
        """The account was removed."""
        shown = self._shown.pop(account.id, None)
        for task in (shown.hiding, shown.waiting) if shown is not None else ():
            if task is not None:
                task.cancel()
        self._snapshot.forget(account.id)
        self._waves.forget(account.user)

    # --- what is true ----------------------------------------------------------------------------

    def of(self, account: Account, contact: RemoteUserId) -> Presence:
        """What the user is to see of a contact now. The gateway itself is always there."""
        if contact == GATEWAY:
            return AVAILABLE
        shown = self._of(account)
        if shown.hidden or account.status is not AccountStatus.LINKED:
            return UNAVAILABLE
        if contact in account.blocked:
            return UNAVAILABLE
        one = shown.contacts.get(contact)
        return AVAILABLE if one is None or one.state is None else one.state

    def online(self, account: Account) -> Iterator[RemoteUserId]:
        """The contacts of whom the network says that they are there."""
        shown = self._shown.get(account.id)
        if shown is not None and not shown.hidden:
            for contact, one in shown.contacts.items():
                state = None if one.state is None else one.state.availability
                if state not in (None, Availability.UNAVAILABLE):
                    yield contact

    def told(self, account: Account, contact: RemoteUserId, presence: Presence) -> None:
        """The network says how a contact can be reached."""
        if contact in (GATEWAY, account.remote_id):
            return
        shown = self._of(account)
        one = shown.contacts.get(contact)
        if one is None:
            if len(shown.contacts) >= _MAX_CONTACTS:
                return
            one = shown.contacts[contact] = ShownContact()
        presence = Presence(
            availability=presence.availability,
            status=brief(presence.status, _STATUS_CHARS),
            idle_since=presence.idle_since,
        )
        if one.state is not None and is_same(one.state, presence):
            return
        if one.state is None:
            if one.shown is None:
                one.shown = AVAILABLE  # what nobody has told is shown so
            # … but for devices that have shown themselves to a stranger: it is their first news.
            one.forced |= bool(account.devices.shown_to(contact))
        one.state = presence
        self._snapshot.changed(account.id, contact, presence)
        self._offer(account, contact, one)

    def pictured(self, account: Account, contact: RemoteUserId) -> None:
        """A contact has another picture, which presence tells (XEP-0153)."""
        one = self._one(account, contact)
        if account.devices.reach is not Reach.OFFLINE:
            one.pictured = True
            self._offer(account, contact, one)

    def talked(self, account: Account, contact: RemoteUserId) -> None:
        """Something was said in the chat: it is the most recent one now."""
        if contact != GATEWAY:
            self._one(account, contact).recent = next(self._recent)

    # --- telling the user ------------------------------------------------------------------------

    def show(self, account: Account, contact: RemoteUserId) -> None:
        """Tell the user at once, whatever they were told before."""
        self._one(account, contact).forced = True
        self._waves.now(account.user, self._item(account, contact))

    def show_in_turn(self, account: Account, contact: RemoteUserId) -> None:
        """The user sees the contact from now on. One of many, so each has its turn; nothing is
        told to somebody who is not there."""
        if account.devices.reach is not Reach.OFFLINE:
            self._force(account, contact)

    def show_some(self, account: Account, among: Collection[RemoteUserId]) -> None:
        """Tell the user of those whom they see, in turn. Of ``among`` most may be strangers."""
        if among:
            self._waves.feed(account.user, self._some(account, among))

    def show_directly(self, account: Account, contact: RemoteUserId, resource: str) -> None:
        """A device has shown itself to somebody without a subscription: it is told in turn."""
        write = partial(self._write_directly, account, contact, resource)
        self._waves.add(account.user, Item((contact, resource), write), _FIRST)

    def _write_directly(
        self, account: Account, contact: RemoteUserId, resource: str, _: bool
    ) -> int:
        shown = self._shown.get(account.id)
        one = shown.contacts.get(contact) if shown is not None else None
        if shown is None or one is None or one.state is None:
            return 0  # the network has said nothing of them, and so we do not
        if resource not in account.devices.shown_to(contact):
            return 0
        presence = self.of(account, contact)
        told = one.shown if one.generation == shown.generation else None
        if told is None or not is_same(told, presence):
            return self._write(account, contact, True)  # other devices do not know it either
        self._port.presence(account.user, contact, presence, resource)
        return 1

    def probed(self, account: Account, contact: RemoteUserId) -> None:
        """The user's server asks, because a device came online (REQ-315)."""
        self._of(account).probed_at = self._clock.monotonic()
        self._force(account, contact)

    def show_all(self, account: Account) -> None:
        """The user did something that changes all contacts: a wave of it, the gateway last."""
        if account.devices.reach is not Reach.OFFLINE:
            self._waves.begin(account.user, self._all(account, says_gateway=True))

    def _force(self, account: Account, contact: RemoteUserId) -> None:
        one = self._one(account, contact)
        one.forced = True
        rank = _FIRST if contact == GATEWAY else -one.recent
        self._waves.add(account.user, self._item(account, contact), rank)

    def _offer(self, account: Account, contact: RemoteUserId, one: ShownContact) -> None:
        if one.waits or account.devices.reach is Reach.OFFLINE:
            return
        one.waits = True
        due = one.shown_at + _PACE_S
        if due <= self._clock.monotonic():
            self._waves.add(account.user, self._item(account, contact), -one.recent)
        else:
            heapq.heappush(self._later, (due, next(self._numbers), account, contact))
            if self._timer is None:
                self._timer = self._tasks.spawn(self._when_due(), "presence pace")

    async def _when_due(self) -> None:
        try:
            while self._later:
                await self._clock.sleep(_TICK_S)
                now = self._clock.monotonic()
                while self._later and self._later[0][0] <= now:
                    _, _, account, contact = heapq.heappop(self._later)
                    if account.id in self._shown:  # it may have been removed meanwhile
                        rank = -self._one(account, contact).recent
                        self._waves.add(account.user, self._item(account, contact), rank)
        finally:
            self._timer = None

    def _item(self, account: Account, contact: RemoteUserId) -> Item:
        return Item(contact, partial(self._write, account, contact))

    def _write(self, account: Account, contact: RemoteUserId, again: bool) -> int:
        """Tell what is true now. Returns how many stanzas that took."""
        shown = self._shown.get(account.id)
        if shown is None:
            return 0
        one = self._one(account, contact)
        one.waits = False
        forced, one.forced = one.forced or again, False
        pictured, one.pictured = one.pictured, False
        presence = self.of(account, contact)
        if not forced:
            if account.devices.reach is Reach.OFFLINE:
                return 0
            before = one.shown if one.generation == shown.generation else UNAVAILABLE
            if before is not None and is_same(before, presence) and not pictured:
                return 0
        # The bare address for all devices, or those that have shown themselves to the contact.
        row = contacts.get(self._store.reader, account.id, contact)
        told = [""] if row.to_user is Subscription.GRANTED else []
        if not told and one.state is not None:
            told = account.devices.shown_to(contact)
        if not told:
            return 0
        one.shown, one.generation = presence, shown.generation
        if pictured or not forced:  # nobody waits for a change because of an answer to themselves
            one.shown_at = self._clock.monotonic()
        picture = contacts.picture(self._store.reader, account.id, contact)
        for resource in told:
            self._port.presence(account.user, contact, presence, resource, picture)
        return len(told)

    # --- waves -----------------------------------------------------------------------------------

    def _all(
        self, account: Account, *, again: bool = False, says_gateway: bool = False
    ) -> Iterator[tuple[Item, float]]:
        """All whom the user sees, most recent chats first, as long as the user is there.

        ``again`` tells of those who are available what was told before, ``says_gateway`` of the
        gateway.
        """
        self._of(account)
        directed = set() if again else account.devices.all_shown_to()
        for contact in self.by_rank(account, directed):
            if account.id not in self._shown or account.devices.reach is Reach.OFFLINE:
                return
            one = self._one(account, contact)
            is_there = self.of(account, contact).availability is not Availability.UNAVAILABLE
            one.forced |= (again and is_there) or (says_gateway and contact == GATEWAY)
            yield self._item(account, contact), self._rank(account, contact)

    def _some(
        self, account: Account, among: Collection[RemoteUserId]
    ) -> Iterator[tuple[Item, float]]:
        for contact in self.by_rank(account, account.devices.all_shown_to()):
            if account.id not in self._shown or account.devices.reach is Reach.OFFLINE:
                return
            if contact in among:
                self._one(account, contact).forced = True
                yield self._item(account, contact), self._rank(account, contact)

    def by_rank(
        self, account: Account, directed: Collection[RemoteUserId] = ()
    ) -> list[RemoteUserId]:
        """Whom the user sees, most recent chats first, the gateway last."""
        found = {*contacts.subscribed(self._store.reader, account.id), *directed}
        return sorted(found, key=lambda contact: self._rank(account, contact))

    def _rank(self, account: Account, contact: RemoteUserId) -> float:
        if contact == GATEWAY:
            return _LAST
        one = self._of(account).contacts.get(contact)
        return -one.recent if one is not None else 0

    # --- the link --------------------------------------------------------------------------------

    def link_changed(self, account: Account) -> None:
        """The link went up or down, or has just begun (REQ-223)."""
        shown, phase = self._of(account), account.link.phase if account.link is not None else None
        if phase is LinkState.LIVE:
            if shown.hiding is not None:
                shown.hiding.cancel()
                shown.hiding = None
            if shown.hidden:
                self._hide(account, shown, False)
        elif (
            phase in (LinkState.CONNECTING, LinkState.RETRYING)
            and shown.hiding is None
            and not shown.hidden
        ):
            shown.hiding = self._tasks.spawn(self._hide_later(account, shown), "presence hidden")

    async def _hide_later(self, account: Account, shown: Shown) -> None:
        await self._clock.sleep(_HIDDEN_AFTER_S)
        shown.hiding = None
        phase = account.link.phase if account.link is not None else None
        if phase in (LinkState.CONNECTING, LinkState.RETRYING):
            self._hide(account, shown, True)

    def _hide(self, account: Account, shown: Shown, hidden: bool) -> None:
        shown.hidden = hidden
        self._snapshot.changed(account.id, GATEWAY, UNAVAILABLE if hidden else AVAILABLE)
        self._waves.feed(account.user, self._all(account))

    # --- the user --------------------------------------------------------------------------------

    def device_came(self, account: Account) -> None:
        """Their server will ask for all it wants; if it asks for nothing, it is told (REQ-315)."""
        shown = self._of(account)
        shown.came_at = self._clock.monotonic()
        if shown.waiting is None:
            shown.waiting = self._tasks.spawn(self._await_probes(account, shown), "probes")

    async def _await_probes(self, account: Account, shown: Shown) -> None:
        while (left := shown.came_at + _PROBES_COME_S - self._clock.monotonic()) > 0:
            await self._clock.sleep(left)
        shown.waiting = None
        # Some servers ask a moment before they tell who came.
        if shown.probed_at < shown.came_at - 1 and account.devices.reach is Reach.ONLINE:
            self._waves.feed(account.user, self._all(account, again=True))

    def left(self, account: Account) -> None:
        """The last device is gone: nobody is told anything (REQ-316)."""
        self._of(account).generation += 1
        for item in self._waves.clear(account.user):
            if isinstance(item.key, str):  # others are answers to one device
                one = self._one(account, RemoteUserId(item.key))
                one.waits = one.forced = False

    # --- inside ----------------------------------------------------------------------------------

    def _of(self, account: Account) -> Shown:
        shown = self._shown.get(account.id)
        if shown is None:
            shown = self._shown[account.id] = Shown()
        return shown

    def _one(self, account: Account, contact: RemoteUserId) -> ShownContact:
        shown = self._of(account)
        one = shown.contacts.get(contact)
        if one is None:
            one = shown.contacts[contact] = ShownContact()
        return one
