# SPDX-License-Identifier: Apache-2.0
"""Many bots of Telegram. Run as a program it is a gateway of them."""

from __future__ import annotations

import asyncio
import re
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from adapters.telegram import TelegramAdapter, TelegramSettings
from adapters.telegram.settings import ServerUrl
from gateway.adapter import Linked
from gateway.app import Gateway
from gateway.bridge.accounts import Accounts
from gateway.config import Config, Domain, Host, Network, Secret, Server, Xmpp
from gateway.config import Store as StoreFiles
from gateway.ids import NetworkName, RemoteUserId, UserJid
from gateway.store import Store
from gateway.tasks import SystemClock
from tests.bench import house, stanzas
from tests.bench.bot_api import others
from tests.bench.house import Ports
from tests.bench.measure import Figure, Group
from tests.bench.stall import stall_ms

_NETWORK = NetworkName("telegram")
_BOTS = 200
_EACH = 10
_PER_S, _COUNT = 500.0, 2_000
_GOAL_MIB, _GOAL_MS = 20.0, 50.0
_REPETITIONS = 3
_KIB = 1024


async def measure(directory: Path, repetitions: int) -> Group:
    """Memory of a process, then stalls and speed on this loop."""
    grown, whole = [], []
    for repetition in range(min(repetitions, _REPETITIONS)):
        one = await _resident_mib(directory / f"one-{repetition}", 1)
        many = await _resident_mib(directory / f"many-{repetition}", _BOTS)
        grown.append(many - one)
        whole.append(many)
    stalls, rates = await _traffic(directory / "traffic", repetitions)
    return Group(
        title=f"{_BOTS} bots of Telegram",
        note=(
            f"The whole gateway, with {_BOTS} bots that wait for updates, each told {_EACH} "
            "messages before; growth: compared with one bot. Speed: people write to all bots in "
            f"turns, {_PER_S:.0f} times a second, or {_COUNT:,} times at once, until the last "
            "message is at the XMPP server. Telegram and that server are another process."
        ),
        figures=[
            Figure(
                what="growth of memory",
                unit="MiB",
                values=grown,
                goal=_GOAL_MIB,
                less_is_better=True,
            ),
            Figure(what="the whole process", unit="MiB", values=whole, less_is_better=True),
            Figure(
                what=f"longest stall of the loop at {_PER_S:.0f} updates/s",
                unit="ms",
                values=stalls,
                goal=_GOAL_MS,
                less_is_better=True,
            ),
            Figure(what="updates told, when many come", unit="/s", values=rates, goal=_PER_S),
        ],
    )


async def _resident_mib(directory: Path, bots: int) -> float:
    directory.mkdir()  # noqa: ASYNC240 - nothing else runs here
    async with others(bots) as both:
        await _seed(directory, both.tokens)
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "tests.bench.telegram", str(directory)),
            *(str(both.ports.xmpp), str(both.ports.network)),
        )
        try:
            await both.polled()
            await both.say(bots * _EACH, _PER_S)
            await both.polled()
            status = Path(f"/proc/{process.pid}/status").read_text()  # noqa: ASYNC240
        finally:
            process.send_signal(signal.SIGTERM)
            await process.wait()
    found = re.search(r"^VmRSS:\s+(\d+) kB$", status, re.MULTILINE)
    assert found is not None
    return int(found[1]) / _KIB


async def _traffic(directory: Path, repetitions: int) -> tuple[list[float], list[float]]:
    directory.mkdir()  # noqa: ASYNC240 - nothing else runs here
    stalls, rates = [], []
    async with others(_BOTS) as both:
        await _seed(directory, both.tokens)
        async with _running(directory, both.ports):
            await both.polled()
            for _ in range(repetitions + 1):
                stalls.append(await stall_ms(both.say(_COUNT, _PER_S)))
                rates.append(_COUNT / await both.say(_COUNT, _COUNT * 1_000))
    return stalls[1:], rates[1:]


async def _seed(directory: Path, tokens: Sequence[str]) -> None:
    """Linked bots."""
    store = await Store.open(house.database(directory))
    try:
        found = Accounts(_NETWORK, store, house.secret_box(directory), SystemClock())
        for number, token in enumerate(tokens):
            linked = Linked(
                realm="telegram",
                remote_id=RemoteUserId(token.partition(":")[0]),
                secret=token.encode(),
            )
            await found.link(UserJid(stanzas.user(number)), linked)
    finally:
        await store.close()


@asynccontextmanager
async def _running(directory: Path, ports: Ports) -> AsyncIterator[None]:
    server = Server(host=Host("127.0.0.1"), port=ports.xmpp, domain=Domain(house.SERVER))
    network = Network(
        adapter="telegram",
        domain=Domain(stanzas.COMPONENT),
        secret=Secret(stanzas.SECRET),
        settings=TelegramSettings(api_url=ServerUrl(f"http://127.0.0.1:{ports.network}")),
    )
    config = Config(
        xmpp=Xmpp(server=server),
        store=StoreFiles(database=house.database(directory)),
        networks={_NETWORK: network},
    )
    async with house.started(
        Gateway(config, SystemClock(), {"telegram": lambda: TelegramAdapter})
    ):
        yield


async def _run(directory: Path, ports: Ports) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    async with _running(directory, ports):
        await stop.wait()


if __name__ == "__main__":
    from gateway.ops.logs import set_up_logs

    set_up_logs("warning", "console")
    asyncio.run(_run(Path(sys.argv[1]), Ports(int(sys.argv[2]), int(sys.argv[3]))))
