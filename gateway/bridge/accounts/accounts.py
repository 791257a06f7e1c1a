# SPDX-License-Identifier: Apache-2.0
"""The accounts of one network: which there are, and what is stored of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

import structlog

from gateway.adapter import Clock, Linked
from gateway.bridge.accounts import settings
from gateway.bridge.accounts.settings import Settings
from gateway.bridge.attendance.devices import Devices
from gateway.errors import Forbidden, SecretUnreadable, SettingRefused
from gateway.ids import AccountId, NetworkName, RemoteUserId, UserJid
from gateway.locale import ENGLISH, chosen
from gateway.store import Store, Transaction, accounts, realms, sealed, sharing
from gateway.store.accounts import AccountRow, AccountStatus
from gateway.store.kinds import AccountKind
from gateway.store.secrets import SecretBox
from gateway.text.wording import tr

if TYPE_CHECKING:
    from gateway.bridge.links.link import Link

log = structlog.get_logger("accounts")

T = TypeVar("T")


@dataclass(slots=True)
class Published:
    """What a user publishes on XMPP; None as long as nobody has said it."""

    name: str | None = None
    picture: str | None = None
    """SHA-1 of it, in hex; empty if there is none."""

    def learn(self, *, name: str | None = None, picture: str | None = None) -> None:
        """An answer, which is older than what was said since."""
        self.name = name if self.name is None else self.name
        self.picture = picture if self.picture is None else self.picture


@dataclass(slots=True, eq=False)
class Account:
    """One linked account, in memory."""

    id: AccountId
    user: UserJid
    realm: str
    """In which the remote id was proved."""
    remote_id: RemoteUserId
    status: AccountStatus
    secret: bytes | None = field(repr=False)
    sealed: bytes | None = field(repr=False)
    """The secret as it is stored: no two are alike."""
    cursor: str | None
    state: dict[str, str]
    settings: Settings = field(default_factory=Settings)
    language: str = ENGLISH
    """In which its user is spoken to,"""
    stored_language: str = ""
    """and that which is stored."""
    devices: Devices = field(default_factory=Devices, repr=False)
    """Where the user is online."""
    link: Link | None = field(default=None, repr=False)
    """Its supervised connection, while the account may connect."""
    blocked: frozenset[RemoteUserId] = frozenset()
    """Of whom the user wants to hear nothing."""
    published: Published = field(default_factory=Published)
    knows_chat_states: bool = False
    """Their clients send them, so they are sent some (XEP-0085 §5.1)."""
    leaving: bool = False
    """It is being removed: a text that comes now would be removed too, before it is answered."""
    gone_since: float | None = None
    """Since when the user's server has said that they have no account there (REQ-461),"""
    is_suspended: bool = False
    """and for so long that this one rests until they are heard of."""
    kind: AccountKind = AccountKind.OWN


class Accounts:
    """All accounts of one network, by user."""

    def __init__(
        self,
        network: NetworkName,
        store: Store,
        box: SecretBox,
        clock: Clock,
        shares_rooms: Callable[[str], bool] = lambda _: False,
        language_of: Callable[[UserJid], str] = lambda _: ENGLISH,
    ) -> None:
        self._network = network
        self._store = store
        self._box = box
        self._clock = clock
        self._shares_rooms = shares_rooms
        self._language_of = language_of
        self._by_user: dict[UserJid, Account] = {}
        self._virtual: dict[UserJid, Account] = {}
        self._by_id: dict[AccountId, Account] = {}
        self.house: Account | None = None
        """The gateway's own, which speaks for those without one in linked groups."""

    async def settle_realms(self) -> None:
        """What the admin trusts may be another realm than before. Before `load`."""

        def unit(db: Transaction) -> None:
            for row in accounts.of_network(db, self._network):
                self._settle_realm(db, row.id, row.realm, row.kind)

        await self._store.write(unit)

    def _settle_realm(
        self, db: Transaction, account: AccountId, realm: str, kind: AccountKind
    ) -> None:
        """The house shares its rooms with those for whom it speaks."""
        is_shared = kind is not AccountKind.OWN or self._shares_rooms(realm)
        realms.settle(db, account, realm if is_shared else None)

    def load(self) -> list[Account]:
        """Read all accounts, most recently active first; returns those of users."""
        for row in accounts.of_network(self._store.reader, self._network):
            self._keep(self._open(row))
        return list(self._by_user.values())

    async def set_house(self, user: UserJid, linked: Linked | None) -> None:
        """The account of the house is this one from now on; None: it rests. Before `load`. Raises
        `Forbidden` if a user has linked that identity."""

        def unit(db: Transaction) -> None:
            before = accounts.house(db, self._network)
            if linked is None:
                if before is not None:
                    accounts.set_secret(db, before, None, AccountStatus.LOGGED_OUT)
                return
            owner = accounts.owner_of(db, self._network, linked.realm, linked.remote_id)
            if owner not in (None, user):
                raise Forbidden(
                    tr("{user} has linked the account of the house as their own.", user=owner)
                )
            accounts.set_realm_of_virtuals(db, self._network, linked.realm)
            if before is not None:
                accounts.replace_identity(db, before, user, linked.realm, linked.remote_id)
            account = before or accounts.add(
                db,
                network=self._network,
                user=user,
                realm=linked.realm,
                remote_id=linked.remote_id,
                now=self._clock.now(),
                kind=AccountKind.HOUSE,
            )
            sealed = self._box.seal(linked.secret, _context(account))
            accounts.set_secret(db, account, sealed, AccountStatus.LINKED)

        await self._store.write(unit)

    def virtual(self, user: UserJid) -> Account | None:
        """That by which the house speaks for a user in linked groups."""
        return self._virtual.get(user)

    @property
    def virtuals(self) -> list[Account]:
        """All of these."""
        return list(self._virtual.values())

    async def add_virtual(self, user: UserJid, remote_id: RemoteUserId, realm: str) -> Account:
        """Make that of a user, unless there is one. Raises `StoreUnavailable`."""
        if (known := self._virtual.get(user)) is not None:
            return known

        def unit(db: Transaction) -> AccountRow:
            account = accounts.add(
                db,
                network=self._network,
                user=user,
                realm=realm,
                remote_id=remote_id,
                now=self._clock.now(),
                kind=AccountKind.VIRTUAL,
            )
            accounts.set_status(db, account, AccountStatus.LINKED)
            self._settle_realm(db, account, realm, AccountKind.VIRTUAL)
            return accounts.get(db, account)

        row = await self._store.write(unit)
        return self._virtual.get(user) or self._keep(self._open(row))

    def of(self, user: UserJid) -> Account | None:
        """The user's account."""
        return self._by_user.get(user)

    def by_id(self, number: AccountId) -> Account | None:
        """The account with this number, unless it was removed."""
        return self._by_id.get(number)

    def is_live(self, number: AccountId) -> bool:
        """Whether the account with this number has a session that is live."""
        account = self.by_id(number)
        return account is not None and account.link is not None and bool(account.link.session)

    def _keep(self, account: Account) -> Account:
        self._by_id[account.id] = account
        if account.kind is AccountKind.HOUSE:
            self.house = account
        elif account.kind is AccountKind.VIRTUAL:
            self._virtual[account.user] = account
        else:
            self._by_user[account.user] = account
        return account

    def __iter__(self) -> Iterator[Account]:
        return iter(tuple(self._by_user.values()))

    def each(self, do: Callable[[Account], object]) -> None:
        """Do it for all of them. What goes wrong for one does not reach the others."""
        for account in self:
            self.apart(do, account)

    def apart(self, do: Callable[[Account], T], account: Account) -> T | None:
        """Do it for one of many. If it goes wrong that is logged, and None comes back."""
        try:
            return do(account)
        except Exception:
            log.exception("account_failed", network=self._network, account=account.id)
            return None

    async def link(
        self, user: UserJid, linked: Linked, also: Callable[[Transaction], object] = lambda _: None
    ) -> Account:
        """Store a login. One account per user, and one user per identity (REQ-225).

        ``also`` belongs to the same unit. Raises `Forbidden` for a second one, and
        `SecretUnreadable` when there is no key to seal with.
        """
        existing = self._by_user.get(user)
        if existing is not None and existing.remote_id != linked.remote_id:
            raise Forbidden(
                tr(
                    "You are linked as {remote_id} already. Send “unregister” "
                    "first to link another account.",
                    remote_id=existing.remote_id,
                )
            )
        now = self._clock.now()

        def unit(db: Transaction) -> AccountRow:
            self._must_be_free(db, user, linked)
            account = accounts.add(
                db,
                network=self._network,
                user=user,
                realm=linked.realm,
                remote_id=linked.remote_id,
                now=now,
            )
            sealed = self._box.seal(linked.secret, _context(account))
            accounts.set_secret(db, account, sealed, AccountStatus.LINKED)
            self._settle_realm(db, account, linked.realm, AccountKind.OWN)
            also(db)
            return accounts.get(db, account)

        row = await self._store.write(unit)
        if existing is not None:
            existing.secret, existing.status = linked.secret, AccountStatus.LINKED
            existing.sealed, existing.realm = row.secret, row.realm
            return existing
        return self._keep(self._open(row))

    def _must_be_free(self, db: Transaction, user: UserJid, linked: Linked) -> None:
        """Raises `Forbidden` if somebody else has linked this identity."""
        owner = accounts.owner_of(db, self._network, linked.realm, linked.remote_id)
        if owner not in (None, user):
            said = tr(
                "{remote_id} is linked by another user of this gateway.",
                remote_id=linked.remote_id,
            )
            raise Forbidden(said)

    async def set_status(self, account: Account, status: AccountStatus) -> None:
        """Remember that the account may or may not connect. A log-out forgets the secret."""
        if status is AccountStatus.LOGGED_OUT:
            await self._store.write(lambda db: _log_out(db, account.id))
            account.secret = account.sealed = None
        else:
            await self._store.write(lambda db: accounts.set_status(db, account.id, status))
        account.status = status

    async def change_settings(self, account: Account, changes: Mapping[str, Any]) -> Settings:
        """Change some settings. Two changes at once both count, also after the other.

        Raises `SettingRefused`, `StoreUnavailable`, or `LookupError` if the account is gone.
        """
        settings.changed(account.settings, changes)  # refused before anything is queued

        def unit(db: Transaction) -> Settings:
            before = _settings(accounts.settings(db, account.id), account.id)
            after = settings.changed(before, changes)
            accounts.set_settings(db, account.id, settings.encoded(after))
            return after

        def committed(after: Settings) -> None:
            account.settings = after

        return await self._store.write(unit, committed)

    async def remove(
        self, account: Account, before: Callable[[Transaction], T]
    ) -> tuple[tuple[int, int], T]:
        """Delete the account with everything that belongs to it. Returns how many rows waited in
        rooms that it alone has shared in the end, with their bytes; and what ``before`` returns,
        which is done first, in the same unit."""

        def unit(db: Transaction) -> tuple[tuple[int, int], T]:
            first = before(db)
            return accounts.remove(db, account.id), first

        swept = await self._store.write(unit)
        self.drop(account)
        return swept

    def drop(self, account: Account) -> None:
        """It is here no longer, whether it is still stored or not."""
        if self._by_id.get(account.id) is account:
            del self._by_id[account.id]
            of_its_kind = self._virtual if account.kind is AccountKind.VIRTUAL else self._by_user
            del of_its_kind[account.user]

    def take_back(self, virtual: Account) -> None:
        """It was dropped, and is stored: it is here again, unless its user has come meanwhile."""
        if virtual.user not in self._virtual:
            self._keep(virtual)

    def _open(self, row: AccountRow) -> Account:
        status, secret = row.status, None
        if row.secret is not None:
            try:
                secret = self._box.open(row.secret, _context(row.id))
            except SecretUnreadable:
                # The stored status stays: with the right key back, the account just works again.
                status = AccountStatus.EXPIRED
        return Account(
            id=row.id,
            user=row.user,
            realm=row.realm,
            remote_id=row.remote_id,
            status=status,
            secret=secret,
            sealed=row.secret,
            cursor=row.cursor,
            state=accounts.state(self._store.reader, row.id),
            settings=_settings(row.settings, row.id),
            language=chosen(row.language) or self._language_of(row.user),
            stored_language=row.language,
            blocked=sharing.ignored(self._store.reader, row.id),
            gone_since=row.gone_since,
            is_suspended=row.is_suspended,
            kind=row.kind,
        )


def _log_out(db: Transaction, account: AccountId) -> None:
    accounts.set_secret(db, account, None, AccountStatus.LOGGED_OUT)
    sealed.drop(db, account)


def _context(account: AccountId) -> str:
    return f"account {account}"


def _settings(stored: str, account: AccountId) -> Settings:
    try:
        return settings.decoded(stored)
    except SettingRefused:
        log.warning("settings_unreadable", account=account)
        return Settings()
