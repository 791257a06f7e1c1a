# SPDX-License-Identifier: Apache-2.0
"""Accounts with encrypted chats. Run as a program it is a gateway of them."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from adapters.matrix import MatrixAdapter, MatrixSettings
from adapters.matrix.login import Credentials
from gateway.adapter import Linked
from gateway.app import Gateway
from gateway.bridge.accounts import Accounts
from gateway.config import Config, Domain, Host, Network, Secret, Server, Xmpp
from gateway.config import Store as StoreFiles
from gateway.ids import NetworkName, RemoteUserId, UserJid
from gateway.store import Store, Transaction, accounts, addresses, contacts, conversations
from gateway.store.contacts import ContactRow, Subscription
from gateway.tasks import SystemClock
from tests.bench import house, stanzas
from tests.bench.homeserver import friend, homeserver, room, user
from tests.bench.measure import Figure, Group
from tests.bench.peer_process import peers
from tests.bench.stall import stall_ms

NETWORK = NetworkName("matrix")
_ACCOUNTS = 100
_EACH = 10
_BURST = 1_000
_GOAL_MS = 50.0
_REPETITIONS = 3
_KIB = 1024


async def measure(directory: Path, repetitions: int) -> Group:
    """Start and memory of a process, then stalls and speed on this loop."""
    live: dict[bool, list[float]] = {True: [], False: []}
    resident: dict[bool, list[float]] = {True: [], False: []}
    for repetition in range(min(repetitions, _REPETITIONS)):
        for encrypted in (True, False):
            place = directory / f"{repetition}-{encrypted}"
            place.mkdir()
            seconds, mib = await _start(place, encrypted=encrypted)
            live[encrypted].append(seconds)
            resident[encrypted].append(mib)
    stalls, rates = await _burst(directory, repetitions)
    grown = [more - less for more, less in zip(resident[True], resident[False], strict=True)]
    return Group(
        title=f"{_ACCOUNTS} accounts with encrypted chats",
        note=(
            f"The whole gateway, with {_ACCOUNTS} devices made and their keys uploaded; then each "
            f"account gets a room key and {_EACH} messages. Growth: compared with the same "
            "accounts without encryption, who get nothing. Burst: one answer of the homeserver "
            f"with {_BURST:,} encrypted messages of a chat, and their key."
        ),
        figures=[
            Figure(
                what="start, until all keys are uploaded",
                unit="s",
                values=live[True],
                less_is_better=True,
            ),
            Figure(what="growth of memory", unit="MiB", values=grown, less_is_better=True),
            Figure(
                what="the whole process", unit="MiB", values=resident[True], less_is_better=True
            ),
            Figure(
                what="longest stall of the loop in a burst",
                unit="ms",
                values=stalls,
                goal=_GOAL_MS,
                less_is_better=True,
            ),
            Figure(what="messages of a burst, committed", unit="/s", values=rates),
        ],
    )


async def _start(directory: Path, *, encrypted: bool) -> tuple[float, float]:
    """Seconds until all accounts have their keys there, and MiB when they have been used."""
    async with homeserver() as remote, peers(_ACCOUNTS) as other:
        await _seed(directory, remote.url, _ACCOUNTS)
        began = time.monotonic()
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "tests.bench.encryption", str(directory), str(other.ports.xmpp)),
            str(int(encrypted)),
        )
        try:
            await other.up()
            seconds = 0.0
            if encrypted:
                seconds = await remote.uploaded(_ACCOUNTS) - began
                await remote.say(_ACCOUNTS, _EACH)
            else:
                await asyncio.sleep(5)
            status = Path(f"/proc/{process.pid}/status").read_text()  # noqa: ASYNC240
        finally:
            process.send_signal(signal.SIGTERM)
            await process.wait()
    found = re.search(r"^VmRSS:\s+(\d+) kB$", status, re.MULTILINE)
    assert found is not None
    return seconds, int(found[1]) / _KIB


async def _burst(directory: Path, repetitions: int) -> tuple[list[float], list[float]]:
    stalls, rates = [], []
    async with homeserver() as remote, peers(1) as other:
        await _seed(directory, remote.url, 1)
        async with _running(directory, other.ports.xmpp, encrypted=True):
            await other.up()
            await remote.uploaded(1)
            for _ in range(repetitions + 1):
                seconds: list[float] = []

                async def burst(into: list[float] = seconds) -> None:
                    into.append(await remote.say(1, _BURST))

                stalls.append(await stall_ms(burst()))
                rates.append(_BURST / seconds[0])
    store = await Store.open(house.database(directory))
    try:
        (told,) = store.reader.execute("SELECT count(*) FROM message").fetchone()
    finally:
        await store.close()
    assert told == _BURST * (repetitions + 1), f"{told} messages have arrived"
    return stalls[1:], rates[1:]


async def _seed(directory: Path, url: str, count: int) -> None:
    """Linked accounts that have one encrypted chat each."""
    store = await Store.open(house.database(directory))
    try:
        found = Accounts(NETWORK, store, house.secret_box(directory), SystemClock())
        for number in range(count):
            credentials = Credentials(
                homeserver=url,
                user_id=user(number),
                device_id=f"DEVICE{number}",
                access_token=str(number),
            )
            linked = Linked(
                realm=url, remote_id=RemoteUserId(user(number)), secret=credentials.encoded()
            )
            account = await found.link(UserJid(stanzas.user(number)), linked)
            contact = RemoteUserId(friend(number))
            book = {"contact": contact, "mine": "join", "theirs": "join", "encrypted": True}

            def unit(db: Transaction) -> None:
                granted = Subscription.GRANTED
                row = ContactRow(name="Friend", to_user=granted, from_user=granted)
                addresses.assign(db, NETWORK, contact, f"friend{number}%bench.example")  # noqa: B023
                contacts.put(db, account.id, contact, row)  # noqa: B023
                conversations.chat(db, account.id, contact)  # noqa: B023
                accounts.set_cursor(db, account.id, "s0", 0)  # noqa: B023
                entry = {f"room:{room(number)}": json.dumps(book)}  # noqa: B023
                accounts.change_state(db, account.id, entry)  # noqa: B023

            await store.write(unit)
    finally:
        await store.close()


@asynccontextmanager
async def _running(directory: Path, port: int, *, encrypted: bool) -> AsyncIterator[None]:
    server = Server(host=Host("127.0.0.1"), port=port, domain=Domain(house.SERVER))
    network = Network(
        adapter="matrix",
        domain=Domain(stanzas.COMPONENT),
        secret=Secret(stanzas.SECRET),
        settings=MatrixSettings(allow_private_homeservers=True, encryption=encrypted),
    )
    config = Config(
        xmpp=Xmpp(server=server),
        store=StoreFiles(database=house.database(directory)),
        networks={NETWORK: network},
    )
    async with house.started(Gateway(config, SystemClock(), {"matrix": lambda: MatrixAdapter})):
        yield


async def _run(directory: Path, port: int, encrypted: str) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    async with _running(directory, port, encrypted=encrypted == "1"):
        await stop.wait()


if __name__ == "__main__":
    from gateway.ops.logs import set_up_logs

    set_up_logs("warning", "console")
    asyncio.run(_run(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]))
