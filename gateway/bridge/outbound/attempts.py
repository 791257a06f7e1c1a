# SPDX-License-Identifier: Apache-2.0
"""One command on its way to the network: attempted until its fate is known, or its time is over.

An attempt may be repeated, because the network knows the key, as far as it does: another login is
another device, and the contact may have another room by now. What has come back is not repeated.
That there is an attempt is noted first. After a crash in between nothing is said again on a
network without keys; on others, and of what is the same if it is done twice, nobody is told that
it has failed for certain.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from functools import partial

import structlog

from gateway.adapter import Adapter, Clock, Sent, Session
from gateway.bridge.chats.anew import instead, of_nothing
from gateway.bridge.links.link import Link
from gateway.bridge.outbound import pieces
from gateway.bridge.outbound.actors import Actor, Limits
from gateway.bridge.outbound.outcome import Incomplete, Unconfirmed, Unreachable, usable
from gateway.bridge.outbound.targets import aimed, is_done, is_too_late
from gateway.bridge.outbound.transfers import Transfers, carries_file
from gateway.bridge.outbound.watchdog import Watchdog
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
from gateway.events import (
    Command,
    React,
    ReactInRoom,
    Retract,
    RetractInRoom,
    SendRoomText,
    SendText,
)
from gateway.ids import NetworkName
from gateway.store import Store, conversations, journal
from gateway.store.accounts import AccountStatus
from gateway.store.journal import OutboundRow
from gateway.tasks import CutOff, contained, forget, within
from gateway.text.wording import ended, tr

_FIRST_RETRY_S = 1.0
_LONGEST_RETRY_S = 60.0
_NOTED_EVERY_S = 60.0
INTERNAL = tr("Internal error of the gateway; it may have arrived or not.")
_NOT_THERE = tr("The network does not have the message that this is about.")
_UNSTORED = tr("The gateway cannot store anything at the moment.")
_LEFT_UNCLEAR = tr(
    "You logged out of the network while this message was being sent. It may "
    "or may not have arrived; please check before you send it again.",
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
        transfers: Transfers,
        is_ending: Callable[[Actor], bool],
    ) -> None:
        """``is_ending`` says whether an actor that is cancelled shall end."""
        self._adapter = adapter
        self._store = store
        self._limits = limits
        self._watchdog = watchdog
        self._transfers = transfers
        self._is_ending = is_ending
        self._clock: Clock = adapter.context.clock
        self._log = structlog.get_logger("outbound").bind(network=network)

    async def carry_out(self, actor: Actor, row: OutboundRow) -> Sent | AdapterError:
        """What becomes of a command in the end."""
        command = row.command
        if command is None:
            return Unsupported(
                tr("The gateway can no longer read this message; please repeat it.")
            )
        has_keys = self._adapter.capabilities.idempotent_send
        keyed = has_keys or self._may_repeat(row, command)
        if not keyed and row.attempted_at is not None:
            return Uncertain(
                tr(
                    "The gateway was stopped while this message was being sent. "
                    "It may or may not have arrived; please check before you "
                    "send it again.",
                )
            )
        reader = self._store.reader
        if is_done(reader, row, command):
            return Sent()
        outcome: Sent | AdapterError = NotFound(_NOT_THERE)
        if is_too_late(reader, row, command):
            return outcome
        row.command = aimed(reader, row, command)
        if row.command is None:
            text = of_nothing(command)
        else:
            outcome = await self._all(actor, row, row.command, keyed=keyed)
            text = instead(actor.account, row.command, outcome)
        return outcome if text is None else await self._anew(actor, row, text, keyed=has_keys)

    def _may_repeat(self, row: OutboundRow, command: Command) -> bool:
        """Whether to do it twice is the same as once on networks without keys too: it says what
        something is to be, and nothing new. An edit of a text of several pieces may have more of
        them than are there."""
        match command:
            case SendText(edits=None) | SendRoomText(edits=None):
                return False
            case SendText() | SendRoomText():
                capabilities = self._adapter.capabilities
                return not pieces.plan(self._store.reader, row, command, capabilities)
        return isinstance(command, React | ReactInRoom | Retract | RetractInRoom)

    async def _anew(
        self, actor: Actor, row: OutboundRow, text: SendText, *, keyed: bool
    ) -> Sent | AdapterError:
        """Say a correction as a text of its own. That it is one is durable first: after a crash it
        would pass for the correction that the network does not have."""
        row.command = text
        try:
            await self._store.write(lambda db: journal.say_otherwise(db, row.id, text))
        except StoreUnavailable:
            return Transient(_UNSTORED, is_certain=True)
        return await self._all(actor, row, text, keyed=keyed)

    async def _all(
        self, actor: Actor, row: OutboundRow, command: Command, *, keyed: bool
    ) -> Sent | AdapterError:
        """What a command is on the network: one request, or several if it is about a text that is
        too long for one (REQ-459)."""
        reader = self._store.reader
        steps = pieces.plan(reader, row, command, self._adapter.capabilities)
        if not steps:
            return await self._try(actor, row, command, keyed=keyed)
        of = max(step.number for step in steps) + 1
        for done, step in enumerate(steps, of - len(steps)):
            one = pieces.beside(reader, row, step)
            outcome = await self._try(actor, row, one, keyed=keyed, step=step)
            if isinstance(outcome, AdapterError) and not pieces.is_done(
                reader, row, step, outcome
            ):
                return Incomplete(row.command, done, of, outcome) if done else outcome
            await self._noted(row, step, outcome if isinstance(outcome, Sent) else Sent())
        return Sent()

    async def _noted(self, row: OutboundRow, step: pieces.Step, sent: Sent) -> None:
        """What the network calls a piece is stored before the next one. Repeats until it is."""
        while True:
            now = self._clock.now()
            try:
                await self._store.write(lambda db: pieces.done(db, row, step, sent, now))  # noqa: B023
            except StoreUnavailable:
                await self._clock.sleep(_FIRST_RETRY_S)
            else:
                return

    async def _try(
        self,
        actor: Actor,
        row: OutboundRow,
        command: Command,
        *,
        keyed: bool,
        step: pieces.Step | None = None,
    ) -> Sent | AdapterError:
        """Attempt until it succeeds, fails for certain, or the time is over. ``step``: which one
        it is of several."""
        again = row.inherited
        retry_s, unclear = _FIRST_RETRY_S, again and row.attempted_at is not None
        while True:
            failed: Transient | AuthExpired
            try:
                return await self._attempt(
                    actor, row, command, keyed=keyed, again=again, step=step
                )
            except (Transient, AuthExpired) as error:
                failed = error
            except _LoggedOut as error:
                return Uncertain(_LEFT_UNCLEAR) if unclear else error
            except AdapterError as error:
                return error
            except StoreUnavailable:
                failed = Transient(_UNSTORED, is_certain=True)
            except Exception:
                self._log.exception("send_failed", **actor.where, row=row.id)
                if not keyed:
                    return Uncertain(INTERNAL)
                failed = Transient(tr("Internal error of the gateway."))
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
        self,
        actor: Actor,
        row: OutboundRow,
        command: Command,
        *,
        keyed: bool,
        again: bool,
        step: pieces.Step | None,
    ) -> Sent:
        """One attempt. Raises any `AdapterError`; `Unreachable` when the time is over."""
        link = await self._live_link(actor, row)
        send = partial(self._send, link, actor, row, command, keyed=keyed, again=again, step=step)
        if not carries_file(command):
            return await send()
        asked_at = self._clock.monotonic()
        try:
            async with self._transfers.lane(actor.account):
                row.deadline += self._clock.monotonic() - asked_at
                return await send()
        finally:
            actor.wait_longer(self._clock.monotonic() - asked_at)

    async def _send(
        self,
        link: Link,
        actor: Actor,
        row: OutboundRow,
        command: Command,
        *,
        keyed: bool,
        again: bool,
        step: pieces.Step | None,
    ) -> Sent:
        """Give it to the session, unless it has come back since the last attempt."""
        session = await self._turn(link, actor, command)
        if again and (there := self._came_back(row, step)) is not None:
            return there
        if row.attempted_at is None and (row.message is not None or not keyed):
            now = self._clock.now()
            await self._store.write(lambda db: journal.mark_attempted(db, row.id, now))
            row.attempted_at = now
        self._watchdog.began(actor)
        actor.quiet.clear()
        try:
            key = f"{self._store.instance}.{row.id}"
            if step is not None:
                key = f"{key}.{step.number}"
            with self._transfers.during(actor, lambda: self._moved(actor, row)):
                return usable(await contained(session.send, command, key))
        except AuthExpired as error:
            link.expire(error.text)
            raise
        except (asyncio.CancelledError, CutOff) as error:
            slow = self._why_cut(actor, error)
            if not keyed:
                raise Uncertain(
                    tr("{slow} The message may or may not have arrived.", slow=slow)
                ) from None
            raise Transient(slow) from None
        finally:
            self._over(actor)

    async def _turn(self, link: Link, actor: Actor, command: Command) -> Session:
        """Wait until the network may be asked. Nothing is on its way yet."""
        session = link.session
        if session is not None:
            self._watchdog.began(actor)
            try:
                await contained(session.turn, command)
            except (asyncio.CancelledError, CutOff) as error:
                raise Transient(self._why_cut(actor, error), is_certain=True) from None
            finally:
                self._over(actor)
        if session is None or link.session is not session:
            raise Transient(tr("The connection to the network was lost."), is_certain=True)
        return session

    def _over(self, actor: Actor) -> None:
        """The watchdog need not look any more."""
        if actor.overdue and actor.task is not None and not actor.gone:
            actor.task.uncancel()
        self._watchdog.ended(actor)
        if actor.gone:
            raise asyncio.CancelledError  # its successor has the rows, or nobody

    def _came_back(self, row: OutboundRow, step: pieces.Step | None) -> Sent | None:
        """What the network has already."""
        reader = self._store.reader
        if step is not None:
            return Sent() if pieces.is_done(reader, row, step) else None
        known = None if row.message is None else conversations.remote_id_of(reader, row.message)
        return None if known is None else Sent(remote_id=known)

    async def until_live(self, actor: Actor, row: OutboundRow) -> None:
        """Wait until the account is connected, or what waits is to be refused."""
        asked_at = self._clock.monotonic()
        with contextlib.suppress(AdapterError):
            await self._live_link(actor, row)
        if (now := self._clock.monotonic()) > asked_at:
            actor.live_at = now

    def _moved(self, actor: Actor, row: OutboundRow) -> None:
        """Bytes of its file flow. Now and then that is noted, for whoever takes it up after a
        crash."""
        self._watchdog.moved(actor)
        now = self._clock.now()
        if row.attempted_at is not None and now - row.attempted_at >= _NOTED_EVERY_S:
            row.attempted_at = now
            forget(self._store.write(lambda db: journal.mark_attempted(db, row.id, now)))

    async def _live_link(self, actor: Actor, row: OutboundRow) -> Link:
        while True:
            link = actor.account.link
            if link is not None and link.session is not None:
                return link
            if actor.account.status is AccountStatus.LOGGED_OUT:
                raise _LoggedOut(tr("You are logged out of the network."))
            if self._clock.monotonic() >= row.deadline:
                trouble = ended(link.trouble) if link is not None and link.trouble else ""
                raise Unreachable(
                    trouble or tr("There is no connection to the network."), is_certain=True
                )
            actor.wake.clear()
            self._watchdog.remind(actor, row.deadline)
            await actor.wake.wait()

    def _why_cut(self, actor: Actor, error: BaseException) -> str:
        """Why an attempt was cut short, in words for the user, unless we want the actor to end."""
        if actor.overdue:
            return tr(
                "The network did not answer within {attempt_s:.0f} seconds.",
                attempt_s=self._limits.attempt_s,
            )
        if isinstance(error, asyncio.CancelledError) and actor.task is not None:
            if self._is_ending(actor):
                raise error
            actor.task.uncancel()  # the adapter has cancelled the task that it runs in
        return tr("The connection to the network was cut off.")
