# SPDX-License-Identifier: Apache-2.0
"""Logins that were asked for in one form (XEP-0077) and are carried out after the answer.

What was typed is stored, sealed, and answered for; then it is tried. Until the network has proved
it there is no account, so nobody takes an identity by asking for it (REQ-207, REQ-225).
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

import msgspec
import structlog

from gateway.adapter import Linked, LoginStep
from gateway.bridge.accounts.logins import NOT_ADMITTED, Logins
from gateway.bridge.ground import Ground
from gateway.bridge.ports import XmppPort
from gateway.bridge.splitting import brief
from gateway.errors import (
    AccountGone,
    AdapterError,
    GatewayError,
    RateLimited,
    SecretUnreadable,
    Transient,
)
from gateway.events import AVAILABLE
from gateway.ids import UserJid
from gateway.store import Transaction, registrations
from gateway.store.conversations import GATEWAY
from gateway.store.secrets import SecretBox
from gateway.tasks import forget
from gateway.text.wording import joined, tr

log = structlog.get_logger("registrations")

T = TypeVar("T")

_ATTEMPT_S = 60.0
_GIVEN_UP_S = 600.0
_FIRST_RETRY_S = 2.0
_LONGEST_RETRY_S = 60.0
_TROUBLES_KEPT = 1000
_TOO_OLD = tr("The gateway was away for too long to log you in.")
_AGAIN = tr("Register again, or send “login” to log in here.")
_MORE = tr("The network asks for more than the form could. Send “login” to go on.")


@dataclass(frozen=True, slots=True, eq=False)
class Registration:
    """One login that is to be carried out."""

    answers: Mapping[str, str] = field(repr=False)
    sealed: bytes = field(repr=False)
    """The same as stored: no two are alike."""
    asked_at: float
    """By the clock on the wall: it counts across restarts."""
    dropped: asyncio.Future[None] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future(), repr=False
    )
    """Done when it is withdrawn or another one comes."""

    async def unless_dropped(self, work: Awaitable[T]) -> T:
        """The result of ``work``, which is cancelled and raises `AccountGone` if it is dropped."""
        task = asyncio.ensure_future(work)
        try:
            await asyncio.wait((task, self.dropped), return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                raise AccountGone(tr("It was withdrawn, or another one came."))
            return task.result()
        finally:
            if not task.done():
                forget(task)
                task.cancel()


class Registrations:
    """Those of one network. At most one for each user; a later one takes its place."""

    def __init__(self, ground: Ground, box: SecretBox, logins: Logins) -> None:
        self._network = ground.network
        self._store = ground.store
        self._box = box
        self._clock = ground.clock
        self._tasks = ground.tasks
        self._persist = ground.persist
        self._logins = logins
        self._pending: dict[UserJid, Registration] = {}
        self._troubles: dict[UserJid, str] = {}
        """Why the last one came to nothing."""
        self._telling: Counter[UserJid] = Counter()
        self._port: XmppPort

    def attach(self, port: XmppPort) -> None:
        """Connect to the XMPP side."""
        self._port = port

    def of(self, user: UserJid) -> Registration | None:
        """The login of this user that is still to be carried out."""
        return self._pending.get(user)

    def __len__(self) -> int:
        """How many logins are still to be carried out."""
        return len(self._pending)

    def trouble(self, user: UserJid) -> str:
        """Why the user's last one came to nothing, or nothing."""
        return self._troubles.get(user, "")

    def tells(self, user: UserJid) -> bool:
        """Whether the user is being told what became of it, which they may not know yet."""
        return user in self._telling

    def load(self) -> None:
        """Take up what was not carried out before the process ended."""
        for row in registrations.of_network(self._store.reader, self._network):
            try:
                typed = self._box.open(row.secret, self._context(row.user))
                answers = msgspec.json.decode(typed, type=dict[str, str])
            except (SecretUnreadable, msgspec.MsgspecError):
                log.warning("registration_unreadable", network=self._network)
                self._forget(row.user, row.secret)
                continue
            self._pending[row.user] = Registration(answers, row.secret, row.asked_at)

    def start(self) -> None:
        """Begin to carry them out, for those who may have an account then."""
        for user, registration in self._pending.items():
            self._tasks.spawn(self._resume(user, registration), "registration")

    async def add(self, user: UserJid, answers: Mapping[str, str]) -> None:
        """Store a login; it is carried out after this returns.

        Raises `SecretUnreadable` without a key to seal it with, and `StoreUnavailable`.
        """
        sealed = self._box.seal(msgspec.json.encode(answers), self._context(user))
        registration = Registration(answers, sealed, self._clock.now())
        await self._store.write(
            lambda db: registrations.put(db, self._network, user, sealed, registration.asked_at)
        )
        before = self._pending.get(user)
        self._pending[user] = registration
        if before is not None:
            before.dropped.set_result(None)
        self._troubles.pop(user, None)
        self._tasks.spawn(self._carry_out(user, registration), "registration")

    async def withdraw(self, user: UserJid) -> bool:
        """The user does not want it any more. False if there was none, or it is an account now.

        Raises `StoreUnavailable`: then it is carried out all the same.
        """
        async with self._logins.turn(user):
            return await self.drop(user)

    async def drop(self, user: UserJid) -> bool:
        """The same, for who has the user's turn."""
        registration = self._pending.get(user)
        if registration is None:
            return False
        await self._store.write(lambda db: self._remove(db, user, registration.sealed))
        if self._pending.get(user) is registration:
            del self._pending[user]
            registration.dropped.set_result(None)
        return True

    def _context(self, user: UserJid) -> str:
        return f"registration {self._network} {user}"

    def _remove(self, db: Transaction, user: UserJid, sealed: bytes) -> None:
        registrations.remove(db, self._network, user, sealed)

    def _forget(self, user: UserJid, sealed: bytes) -> asyncio.Future[None]:
        return self._persist.write(lambda db: self._remove(db, user, sealed))

    async def _resume(self, user: UserJid, registration: Registration) -> None:
        """Days may have passed since it was asked for, and another configuration may hold."""
        if self._clock.now() > registration.asked_at + _GIVEN_UP_S:
            await self._give_up(user, registration, _TOO_OLD)
        elif not self._logins.permits(user):
            await self._give_up(user, registration, NOT_ADMITTED)
        else:
            await self._carry_out(user, registration)

    async def _carry_out(self, user: UserJid, registration: Registration) -> None:
        def check() -> None:
            if self._pending.get(user) is not registration:
                raise AccountGone(tr("It was withdrawn, or another one came."))

        try:
            linked = await self._log_in(user, registration)
            account = await self._logins.link(
                user, linked, check, lambda db: self._remove(db, user, registration.sealed)
            )
        except GatewayError as error:
            await self._give_up(user, registration, brief(str(error)))
        except Exception:
            await self._give_up(user, registration, tr("Something went wrong in the gateway."))
            raise
        else:
            if self._pending.get(user) is registration:
                del self._pending[user]
            said = tr("You are logged in as {remote_id}.", remote_id=account.remote_id)
            await self._tell(user, joined((said, linked.note)))

    async def _log_in(self, user: UserJid, registration: Registration) -> Linked:
        """Try it, for some minutes while the network is away.

        Raises `AdapterError`, and `AccountGone` as soon as it is dropped.
        """
        wait_s = _FIRST_RETRY_S
        while True:
            trouble: AdapterError
            try:
                flow = self._logins.login(user)
                answers = dict(registration.answers)
                attempt = self._logins.submit(user, flow, answers, _ATTEMPT_S)
                result = await registration.unless_dropped(attempt)
                if isinstance(result, LoginStep):
                    raise AdapterError(_MORE)
                return result
            except Transient as error:
                trouble = error
            except TimeoutError:
                trouble = Transient(tr("The network does not answer."))
            again_s = trouble.retry_after_s if isinstance(trouble, RateLimited) else wait_s
            if self._clock.now() + again_s > registration.asked_at + _GIVEN_UP_S:
                raise trouble
            await registration.unless_dropped(self._clock.sleep(again_s))
            wait_s = min(wait_s * 2, _LONGEST_RETRY_S)

    async def _give_up(self, user: UserJid, registration: Registration, trouble: str) -> None:
        if self._pending.get(user) is registration:
            del self._pending[user]
            await asyncio.wait([self._forget(user, registration.sealed)])
            await self._failed(user, trouble)

    async def _failed(self, user: UserJid, trouble: str) -> None:
        self._troubles[user] = trouble
        while len(self._troubles) > _TROUBLES_KEPT:
            del self._troubles[next(iter(self._troubles))]
        again = trouble != NOT_ADMITTED
        await self._tell(user, joined((trouble, _AGAIN)) if again else trouble)

    async def _tell(self, user: UserJid, said: str) -> None:
        """A line, once the stream can carry it."""
        self._telling[user] += 1
        try:
            while not self._port.is_up():
                await self._clock.sleep(1)
            self._port.say(user, said)
            if self._logins.account_of(user) is None:
                self._port.presence(user, GATEWAY, AVAILABLE)  # its status says the same
        finally:
            self._telling -= Counter((user,))
