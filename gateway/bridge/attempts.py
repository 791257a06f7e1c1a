# SPDX-License-Identifier: Apache-2.0
"""One command on its way to the network: attempted until its fate is known, or its time is over.

An attempt may be repeated, because the network knows the key, as far as it does: another login is
another device, and the contact may have another room by now. What has come back is not repeated.
That there is an attempt is noted first. After a crash in between nothing is sent again on a
network without keys; on others nobody is told that it has failed for certain.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

import structlog

from gateway.adapter import Adapter, Clock, Sent
from gateway.bridge.actors import Actor, Limits
from gateway.bridge.link import Link
from gateway.bridge.outcome import Unconfirmed, Unreachable, usable
from gateway.bridge.rooms.targets import aimed
from gateway.bridge.watchdog import Watchdog
from gateway.errors import (
    AdapterError,
    AuthExpired,
    Forbidden,
    NotFound,
    StoreUnavailable,
    Transient,
    Uncertain,
    Unsupported,
)
from gateway.events import Command
from gateway.ids import NetworkName
from gateway.store import Store, conversations, journal
from gateway.store.accounts import AccountStatus
from gateway.store.journal import OutboundRow
from gateway.tasks import CutOff, contained, within

_FIRST_RETRY_S = 1.0
_LONGEST_RETRY_S = 60.0
INTERNAL = "Internal error of the gateway; it may have arrived or not."
_LEFT_UNCLEAR = (
    "You logged out of the network while this message was being sent. "
    "It may or may not have arrived; please check before you send it again."
)


class _LoggedOut(Forbidden):
    """There is no account on the network any more to send anything from."""


class Attempts:
    """Carries out the commands of one network."""

    def __init__(
        self,
        network: NetworkName,
        adapter: Adapter,
        store: Store,
        limits: Limits,
        watchdog: Watchdog,
        is_ending: Callable[[Actor], bool],
    ) -> None:
        """``is_ending`` says whether an actor that is cancelled shall end."""
        self._adapter = adapter
        self._store = store
        self._limits = limits
        self._watchdog = watchdog
        self._is_ending = is_ending
        self._clock: Clock = adapter.context.clock
        self._log = structlog.get_logger("outbound").bind(network=network)

    async def carry_out(self, actor: Actor, row: OutboundRow) -> Sent | AdapterError:
        """What becomes of a command in the end."""
        keyed = self._adapter.capabilities.idempotent_send
        command = row.command
        if command is None:
            return Unsupported("The gateway can no longer read this message; please repeat it.")
        if not keyed and row.attempted_at is not None:
            return Uncertain(
                "The gateway was stopped while this message was being sent. "
                "It may or may not have arrived; please check before you send it again."
            )
        target = aimed(self._store.reader, row, command)
        if target is None:
            return NotFound("The network does not have the message that this is about.")
        row.command = target
        return await self._try(actor, row, target, keyed=keyed)

    async def _try(
        self, actor: Actor, row: OutboundRow, command: Command, *, keyed: bool
    ) -> Sent | AdapterError:
        """Attempt until it succeeds, fails for certain, or the time is over."""
        again = row.inherited
        retry_s, unclear = _FIRST_RETRY_S, again and row.attempted_at is not None
        while True:
            failed: Transient | AuthExpired
            try:
                return await self._attempt(actor, row, command, keyed=keyed, again=again)
            except (Transient, AuthExpired) as error:
                failed = error
            except _LoggedOut as error:
                return Uncertain(_LEFT_UNCLEAR) if unclear else error
            except AdapterError as error:
                return error
            except StoreUnavailable:
                failed = Transient(
                    "The gateway cannot store anything at the moment.", is_certain=True
                )
            except Exception:
                self._log.exception("send_failed", **actor.where, row=row.id)
                if not keyed:
                    return Uncertain(INTERNAL)
                failed = Transient("Internal error of the gateway.")
            actor.quiet.set()
            again = True
            # Without keys the adapter vouches for it that the network has nothing.
            unclear |= keyed and not getattr(failed, "is_certain", True)
            await self._not_sent(row, certainly=not unclear)
            left_s = row.deadline - self._clock.monotonic()
            wait_s = max(retry_s, getattr(failed, "retry_after_s", 0.0))
            if left_s <= 0 or wait_s >= left_s:
                await self._back_off(actor, left_s)
                return Unconfirmed(failed) if unclear else failed
            if not isinstance(failed, AuthExpired):
                await self._back_off(actor, wait_s)
            retry_s = min(retry_s * 2, _LONGEST_RETRY_S)

    async def _back_off(self, actor: Actor, seconds: float) -> None:
        """Wait, but not for a network that the user has left: what waits is refused then."""
        until = self._clock.monotonic() + seconds
        with contextlib.suppress(TimeoutError):
            while actor.account.status is not AccountStatus.LOGGED_OUT:
                actor.wake.clear()
                await within(self._clock, until - self._clock.monotonic(), actor.wake.wait())

    async def _not_sent(self, row: OutboundRow, *, certainly: bool) -> None:
        """If so, a crash from here on leaves nothing unclear."""
        if not certainly or row.attempted_at is None:
            return
        row.attempted_at = None
        try:
            await self._store.write(lambda db: journal.mark_attempted(db, row.id, None))
        except StoreUnavailable:
            return  # a crash now is told as uncertain, which is only too careful

    async def _attempt(
        self, actor: Actor, row: OutboundRow, command: Command, *, keyed: bool, again: bool
    ) -> Sent:
        """One attempt, unless the command has come back since the last one.

        Raises any `AdapterError`; `Unreachable` when the time is over.
        """
        link = await self._live_link(actor, row)
        session = link.session
        if session is None:
            raise Transient("The connection to the network was lost.", is_certain=True)
        if again and row.message is not None:
            remote_id = conversations.remote_id_of(self._store.reader, row.message)
            if remote_id is not None:
                return Sent(remote_id=remote_id)
        if row.attempted_at is None and (row.message is not None or not keyed):
            now = self._clock.now()
            await self._store.write(lambda db: journal.mark_attempted(db, row.id, now))
            row.attempted_at = now
        self._watchdog.began(actor)
        actor.quiet.clear()
        try:
            sent = await contained(session.send, command, f"{self._store.instance}.{row.id}")
            return usable(sent)
        except AuthExpired as error:
            link.expire(error.text)
            raise
        except (asyncio.CancelledError, CutOff) as error:
            slow = self._why_cut(actor, error)
            if not keyed:
                raise Uncertain(f"{slow} The message may or may not have arrived.") from None
            raise Transient(slow) from None
        finally:
            if actor.overdue and actor.task is not None and not actor.gone:
                actor.task.uncancel()
            self._watchdog.ended(actor)
            if actor.gone:
                raise asyncio.CancelledError  # its successor has the rows, or nobody

    async def _live_link(self, actor: Actor, row: OutboundRow) -> Link:
        while True:
            link = actor.account.link
            if link is not None and link.session is not None:
                return link
            if actor.account.status is AccountStatus.LOGGED_OUT:
                raise _LoggedOut("You are logged out of the network.")
            if self._clock.monotonic() >= row.deadline:
                trouble = (link.trouble if link is not None else "").rstrip(".")
                raise Unreachable(
                    f"{trouble or 'There is no connection to the network'}.", is_certain=True
                )
            actor.wake.clear()
            self._watchdog.remind(actor, row.deadline)
            await actor.wake.wait()

    def _why_cut(self, actor: Actor, error: BaseException) -> str:
        """Why an attempt was cut short, in words for the user, unless we want the actor to end."""
        if actor.overdue:
            return f"The network did not answer within {self._limits.attempt_s:.0f} seconds."
        if isinstance(error, asyncio.CancelledError) and actor.task is not None:
            if self._is_ending(actor):
                raise error
            actor.task.uncancel()  # the adapter has cancelled the task that it runs in
        return "The connection to the network was cut off."
