# SPDX-License-Identifier: Apache-2.0
"""A real Prosody, the scripted network, a gateway between them, people, and faults."""

from __future__ import annotations

import asyncio
import json
import random
import secrets
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

from tests.contract.proxy import Proxy
from tests.peers.process import PeerError, Process
from tests.peers.prosody import Prosody
from tests.soak.people import Ledger, Network, Person, Place
from tests.soak.process import COMPONENT, Job, command
from tests.soak.report import Report
from tests.soak.samples import Observer, Sample

_START_LIMIT_S = 60.0
_COME_TO_REST_S = 900.0
"""Who waits for a text does so for eleven minutes."""
_IDLE_LIMIT_S = 90.0
"""Some work that nobody waits for is spread over a minute."""
_STEADY_S = 8.0
"""At first it is not known how much there is at rest: as much as stays so long."""
_KEPT = 500
"""Texts that the network knows by their key: enough for any repetition."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How long, how many, how fast."""

    seconds: float
    residents: int = 24
    """People who stay."""
    pause_s: float = 3.0
    """Between two things that a person does, on average."""
    visitor_every_s: float = 10.0
    fault_every_s: float = 45.0
    sample_every_s: float = 10.0
    idle_every_s: float = 600.0
    seed: int = 1


def plan_for(seconds: float) -> Plan:
    """An hour's plan, or one in which as much happens in less time.

    Not for more than some minutes: sessions that never live for long wait longer and longer.
    """
    if seconds >= 300:
        return Plan(seconds=seconds)
    return Plan(
        seconds=seconds,
        residents=8,
        pause_s=0.5,
        visitor_every_s=4,
        fault_every_s=6,
        sample_every_s=1,
        idle_every_s=max(20, seconds / 3),
    )


@dataclass(slots=True)
class Soak:
    """One run."""

    plan: Plan
    directory: Path
    network: Network = field(default_factory=Network)
    ledger: Ledger = field(default_factory=Ledger)
    faults: Counter[str] = field(default_factory=Counter)
    samples: list[Sample] = field(default_factory=list)
    idle: list[Sample] = field(default_factory=list)
    _rng: random.Random = field(init=False)
    _go: asyncio.Event = field(default_factory=asyncio.Event)
    _busy: int = 0
    _observer: Observer = field(init=False)
    _proxy: Proxy = field(init=False)
    _place: Place = field(init=False)
    _residents: list[Person] = field(default_factory=list)
    _log: Path = field(init=False)

    async def run(self) -> Report:
        """Set everything up, live for the planned time, and judge."""
        self._rng = random.Random(self.plan.seed)
        async with AsyncExitStack() as stack:
            await self._set_up(stack)
            await self._live(stack)
        return Report(
            seconds=self.plan.seconds,
            samples=self.samples,
            idle=self.idle,
            ledger=self.ledger,
            faults=self.faults,
            errors=self._errors(),
        )

    async def _set_up(self, stack: AsyncExitStack) -> None:
        secret = secrets.token_hex(16)
        await stack.enter_async_context(self.network)
        prosody = await stack.enter_async_context(
            Prosody(self.directory / "prosody", components={COMPONENT: secret})
        )
        self._proxy = await stack.enter_async_context(Proxy(prosody.component_port))
        job = Job(
            database=str(self.directory / "dragoman.db"),
            probe=str(self.directory / "probe"),
            secret=secret,
            component_port=self._proxy.port,
            network_port=self.network.port,
            prune_every_s=min(60.0, self.plan.seconds / 6),
            keep_s=min(300.0, self.plan.seconds / 3),
        )
        self._log = self.directory / "dragoman.log"
        process = Process(command(job), log=self._log, env={})
        stack.push_async_callback(process.stop)
        await self._until_up(process)
        self._observer = Observer(process.pid, Path(job.database), Path(job.probe))
        self._place = Place(
            network=self.network,
            ledger=self.ledger,
            port=prosody.c2s_port,
            ca_file=prosody.ca_file,
            add_user=prosody.add_user,
            trace=self._observer.trace,
        )

    async def _until_up(self, process: Process) -> None:
        deadline = time.monotonic() + _START_LIMIT_S
        while '"stream_up"' not in self._log.read_text():
            if not process.running or time.monotonic() > deadline:
                raise PeerError(f"the gateway did not start:\n{process.log_tail()}")
            await asyncio.sleep(0.05)

    # --- people ---------------------------------------------------------------------------------

    async def _live(self, stack: AsyncExitStack) -> None:
        self._residents = [self._person(f"resident{n}") for n in range(self.plan.residents)]
        for person in self._residents:
            await person.come()
            stack.push_async_callback(person.leave)
        await self._rest()
        works = [self._keep_sampling, self._receive_visitors, self._break_things, self._forget]
        tasks = [asyncio.create_task(work()) for work in works]
        tasks += [asyncio.create_task(self._reside(person)) for person in self._residents]
        try:
            await self._pass_time(tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)

    async def _pass_time(self, tasks: list[asyncio.Task[None]]) -> None:
        left = self.plan.seconds
        while left > 0:
            part = min(self.plan.idle_every_s, left)
            self._go.set()
            ended, _ = await asyncio.wait(tasks, timeout=part, return_when=asyncio.FIRST_COMPLETED)
            for task in ended:
                task.result()  # whoever plays here must not fail
            left -= part
            self._go.clear()
            await self._rest()

    def _person(self, name: str) -> Person:
        return Person(self._place, name, random.Random(f"{self.plan.seed} {name}"))

    async def _reside(self, person: Person) -> None:
        while True:
            await asyncio.sleep(self._rng.expovariate(1 / self.plan.pause_s))
            await self._go.wait()
            await self._do(person.act)

    async def _receive_visitors(self) -> None:
        visits: set[asyncio.Task[None]] = set()
        while True:
            await asyncio.sleep(self._rng.expovariate(1 / self.plan.visitor_every_s))
            await self._go.wait()
            visit = asyncio.create_task(self._do(self._visit))
            visits.add(visit)
            visit.add_done_callback(visits.discard)

    async def _visit(self) -> str:
        """Somebody new comes, and after a while leaves for ever."""
        person = self._person(f"visitor{next(self._place.numbers)}")
        try:
            await person.come()
            for _ in range(3):
                await person.act()
            await person.unregister()
        finally:
            await person.leave()
        return "visit"

    async def _do(self, work: Callable[[], Awaitable[str]]) -> None:
        self._busy += 1
        try:
            self.ledger.done[await work()] += 1
        except (AssertionError, PeerError, TimeoutError) as error:
            self.ledger.failed.append(repr(error)[:500])
        finally:
            self._busy -= 1
            self.ledger.wake()

    async def _forget(self) -> None:
        """Count what the network was sent; it looks for doubles in all that it keeps."""
        seen = 0
        while True:
            sent = self.network.sent
            self.ledger.sent.update(text.body for text in sent[seen:])
            del sent[:-_KEPT]
            seen = len(sent)
            self.network.commands.clear()
            await asyncio.sleep(0.2)

    # --- faults ---------------------------------------------------------------------------------

    async def _break_things(self) -> None:
        while True:
            await asyncio.sleep(self._rng.uniform(0.5, 1.5) * self.plan.fault_every_s)
            await self._go.wait()
            await self._do(self._rng.choice(self._breaks()))

    def _breaks(self) -> list[Callable[[], Awaitable[str]]]:
        return [self._lose_stream, self._lose_stream, self._lose_sessions, self._lose_network]

    async def _lose_stream(self) -> str:
        """Between the gateway and its server."""
        self.faults["streams lost"] += 1
        await self._proxy.stop()
        await asyncio.sleep(self._rng.uniform(0, 2))
        await self._proxy.start()
        return "stream lost"

    async def _lose_sessions(self) -> str:
        """All at once, and the next sends fail for a while."""
        self.faults["sessions lost"] += 1
        self.network.faults += [{"error": "transient", "text": "Busy."}, {"silent": "after"}, {}]
        self.network.cut()
        return "sessions lost"

    async def _lose_network(self) -> str:
        """It is away for some seconds."""
        self.faults["networks lost"] += 1
        await self.network.stop()
        await asyncio.sleep(self._rng.uniform(0, 3))
        await self.network.start()
        return "network lost"

    # --- looking --------------------------------------------------------------------------------

    async def _keep_sampling(self) -> None:
        while True:
            self.samples.append(await self._observer.sample())
            await asyncio.sleep(self.plan.sample_every_s)

    async def _rest(self) -> None:
        """Wait until nobody does anything and nothing waits, and look."""
        await self.ledger.until(lambda: self._busy == 0, _COME_TO_REST_S)
        assert self._busy == 0, "somebody does not come to an end"
        now = time.monotonic()
        deadline, steady_since, before = now + _IDLE_LIMIT_S, now, (0, 0, 0)
        while time.monotonic() < deadline:
            sample = await self._observer.sample()
            if sample.held != before:
                steady_since, before = time.monotonic(), sample.held
            steady = time.monotonic() - steady_since > _STEADY_S
            if sample.open_rows == 0 and (
                sample.held == self.idle[0].held if self.idle else steady
            ):
                break
            await asyncio.sleep(1)
        self.idle.append(await self._observer.sample(deep=True))

    def _errors(self) -> list[dict[str, object]]:
        """Lines of the log that are errors, or no log lines at all."""
        errors: list[dict[str, object]] = []
        for line in self._log.read_text(errors="replace").splitlines():
            try:
                entry = json.loads(line)
            except ValueError:
                entry = {"level": "error", "line": line}
            if entry.get("level") in ("error", "critical"):
                errors.append(entry)
        return errors
