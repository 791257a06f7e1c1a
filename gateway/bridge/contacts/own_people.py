# SPDX-License-Identifier: Apache-2.0
"""What users do with the people of a network while they wait: take them over, block them.

Whom an account blocks, the network knows, and tells (REQ-137). Of these nothing is told: no
message, no presence, no typing, no picture; also not what waited. What is for them is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from gateway.adapter import ListedContact
from gateway.bridge.accounts import Account
from gateway.bridge.attendance.presence import Presences
from gateway.bridge.contacts.roster import Rosters, Way
from gateway.bridge.ground import Ground
from gateway.bridge.splitting import one_line
from gateway.bridge.waiting import answered, live
from gateway.ids import RemoteUserId
from gateway.store import Transaction, conversations, sharing
from gateway.tasks import contained

_MOST = 10_000
"""Contacts of one account that are taken over."""


class OwnPeople:
    """Those of one network."""

    def __init__(
        self,
        ground: Ground,
        presences: Presences,
        roster: Rosters,
        *,
        seen: Callable[[Account, RemoteUserId], None],
    ) -> None:
        self._clock = ground.clock
        self._store = ground.store
        self._addresses = ground.addresses
        self._persist = ground.persist
        self._presences = presences
        self._roster = roster
        self._seen = seen

    async def contacts(self, account: Account) -> list[ListedContact]:
        """The people of the account, by name. Raises any `AdapterError`."""
        work = contained(live(account).contacts)
        found = await answered(self._clock, account, "contacts", work)
        known = {
            each.id: ListedContact(
                id=each.id,
                name=one_line(each.name),
                was_talked_with=each.was_talked_with
                or conversations.has_messages(self._store.reader, account.id, each.id),
            )
            for each in found[:_MOST]
            if each.id and each.id != account.remote_id
        }
        return sorted(known.values(), key=lambda each: (each.name or each.id).casefold())

    async def take_over(
        self, account: Account, chosen: Sequence[ListedContact]
    ) -> tuple[int, Way]:
        """Put them into the user's contact list, in time. Returns how many of them were not in it
        before, as far as we have heard, and how they come there. Whom the user has removed from it
        stays out."""
        return await self._roster.want(account, {each.id: each.name for each in chosen})

    async def report(self, account: Account, contact: RemoteUserId, reason: str) -> None:
        """Tell those who run the network of somebody. Raises any `AdapterError`."""
        work = contained(live(account).report, contact, reason)
        await answered(self._clock, account, "report", work)

    async def block(self, account: Account, contact: RemoteUserId, is_blocked: bool) -> None:
        """Hear nothing more of somebody, or again. Raises any `AdapterError`."""
        work = contained(live(account).block, contact, is_blocked)
        await answered(self._clock, account, "block", work)

        def unit(db: Transaction) -> frozenset[RemoteUserId]:
            users = sharing.ignored(db, account.id) - {contact}
            if is_blocked:
                users |= {contact}
            sharing.ignore(db, account.id, users)
            return users

        await self._persist.write(unit, lambda users: self.blocked(account, users))

    def blocked(self, account: Account, users: Iterable[RemoteUserId]) -> None:
        """Whom the account blocks from now on: these alone."""
        before, account.blocked = account.blocked, frozenset(users)
        self._presences.show_some(account, before ^ account.blocked)
        if heard := before - account.blocked:
            for contact in sorted(heard.intersection(self._presences.by_rank(account))):
                self._seen(account, contact)
