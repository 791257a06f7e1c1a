# SPDX-License-Identifier: Apache-2.0
"""The gateway dies at each I/O of an encrypted exchange, on a real Synapse.

An I/O is a commit or a request. At the one that is chosen the session hangs for ever, before it is
done or after, and is left behind with all that it had in memory; another one goes on with what was
committed. (That the process dies with its commits is shown by `tests.crash`.)
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import vodozemac

from adapters.matrix import MatrixAdapter
from gateway.adapter import Linked, Session
from gateway.errors import AdapterError
from gateway.events import AcceptInvite, RemoteEvent, RemoteInvite, SendText
from gateway.ids import RemoteUserId
from tests.peers.element import Element
from tests.peers.synapse import Synapse
from tests.unit.matrix.memory import MemoryAccount, MemoryNetwork

pytestmark = pytest.mark.timeout(300)

_MOST = 60
"""I/Os of an exchange; it has fewer."""


class Death:
    """Counts I/Os, and hangs at one of them."""

    def __init__(self, at: int, moment: str) -> None:
        self._at = at
        self._moment = moment
        self.count = 0
        self.came = asyncio.Event()

    async def io(self, work: Callable[[], Any]) -> Any:
        """Do it, unless it is the one."""
        self.count += 1
        is_the_one = self.count == self._at
        if is_the_one and self._moment == "before":
            await self._die()
        done = await work()
        if is_the_one:
            await self._die()
        if self.came.is_set():
            await self._die()  # nothing is done by the dead
        return done

    async def _die(self) -> None:
        self.came.set()
        await asyncio.Event().wait()


class MortalHttp:
    """An `aiohttp.ClientSession`, as far as the adapter uses it."""

    def __init__(self, http: aiohttp.ClientSession, death: Death) -> None:
        self._http = http
        self._death = death

    @asynccontextmanager
    async def request(self, *args: Any, **options: Any) -> AsyncIterator[aiohttp.ClientResponse]:
        """One request, until its answer begins."""

        async def ask() -> aiohttp.ClientResponse:
            return await self._http.request(*args, **options)

        # Polls come and go as they like: they would move the place of everything else.
        is_poll = "/sync" in str(args[1]) and "since" in str(args[1])
        answer = await (ask() if is_poll else self._death.io(ask))
        try:
            yield answer
        finally:
            answer.release()


class MortalAccount(MemoryAccount):
    """What is committed is shared by all lives."""

    death: Death

    async def commit(
        self,
        events: Sequence[RemoteEvent],
        *,
        cursor: str | None = None,
        state: Mapping[str, str | None] | None = None,
        sealed: Mapping[str, bytes | None] | None = None,
    ) -> None:
        """See `MemoryAccount`. Empty polls do not count."""
        if not (events or state or sealed):
            await super().commit(events, cursor=cursor)
            return

        async def store() -> None:
            await MemoryAccount.commit(self, events, cursor=cursor, state=state, sealed=sealed)

        await self.death.io(store)


class World:
    """Alice's account in its lives, and bob."""

    def __init__(
        self, adapter: MatrixAdapter, linked: Linked, http: aiohttp.ClientSession
    ) -> None:
        self._adapter = adapter
        self._http = http
        self.account = MortalAccount(linked, http)
        self.bob: Element
        self.room = ""

    @property
    def contact(self) -> RemoteUserId:
        return RemoteUserId(self.bob.user_id)

    async def live(self, death: Death, work: Callable[[Session], Any]) -> bool:
        """One life. Returns whether the work was done before its end."""
        account = self.account
        account.death = death
        account.http = MortalHttp(self._http, death)  # type: ignore[assignment]
        account.live.clear()
        session = self._adapter.session(account)
        running = asyncio.create_task(session.run())
        dead = asyncio.create_task(death.came.wait())
        working = asyncio.create_task(self._work(session, work))
        await asyncio.wait({running, dead, working}, return_when=asyncio.FIRST_COMPLETED)
        is_done = working.done() and not working.cancelled() and not death.came.is_set()
        for task in (running, dead, working):
            task.cancel()
        await asyncio.wait({running, dead, working})
        if not running.cancelled() and (error := running.exception()) is not None:
            raise error
        if is_done:
            working.result()
        return is_done

    async def _work(self, session: Session, work: Callable[[Session], Any]) -> None:
        await self.account.live.wait()
        await work(session)

    async def exchange(self, number: int, moment: str) -> tuple[int, bool]:
        """Both say something, with a death at that I/O. Returns the I/Os, and whether it died."""
        await self.bob.rotate(self.room)
        await self.bob.send_text(self.room, f"bob {moment} {number}")
        said = SendText(contact=self.contact, body=f"alice {moment} {number}")

        async def work(session: Session) -> None:
            while True:
                with suppress(AdapterError):
                    await session.send(said, f"{moment}-{number}")
                    break
                await asyncio.sleep(0.05)
            await self.account.wait_text(f"bob {moment} {number}")

        death = Death(number, moment)
        if await self.live(death, work):
            return death.count, False
        assert death.came.is_set()
        assert await self.live(Death(0, ""), work)
        return death.count, True


@pytest.fixture
async def world(synapse: Synapse, tmp_path: Path) -> AsyncIterator[World]:
    for user in ("mortal-alice", "mortal-bob"):
        await synapse.add_user(user, "secret")
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as http:
        adapter = MatrixAdapter(MemoryNetwork(http))
        linked = await adapter.login().submit(
            {"homeserver": synapse.url, "username": "mortal-alice", "password": "secret"}
        )
        assert isinstance(linked, Linked)
        made = World(adapter, linked, http)
        async with Element(synapse.url, "mortal-bob", "secret", directory=tmp_path) as made.bob:
            yield made


async def test_a_death_at_each_io_loses_and_doubles_nothing(
    world: World, record_property: Callable[[str, object], None]
) -> None:
    account, bob = world.account, world.bob

    async def begin(session: Session) -> None:
        world.room = await bob.create_direct(account.remote_id)
        await account.wait(RemoteInvite)
        await session.send(AcceptInvite(contact=world.contact), "accept")
        await bob.wait_member(world.room, account.remote_id)

    assert await world.live(Death(0, ""), begin)
    deaths = 0
    for moment in ("before", "after"):
        for number in range(1, _MOST):
            count, died = await world.exchange(number, moment)
            await bob.wait_text(f"alice {moment} {number}")
            if not died:
                assert count < number
                break
            deaths += 1
        else:
            raise AssertionError("an exchange has more I/Os than expected")
    record_property("deaths", deaths)
    assert deaths >= 16

    heard = [event for event in bob.inbox.items if (event.body or "").startswith("alice ")]
    by_id = {event.event_id: event.body for event in heard}
    assert len(by_id) == len(set(by_id.values())) == deaths + 2
    told = {message.id: message.body for message in account.messages() if not message.own}
    assert len(told) == len(set(told.values())) == deaths + 2
    assert not account.held
    path = f"rooms/{world.room}/messages?dir=b&limit=1000"
    chunk = (await bob.request("GET", path))["chunk"]
    wire = [event for event in chunk if event["type"].startswith("m.room.")]
    assert not [event for event in wire if event["type"] == "m.room.message"]
    places = [
        (event["content"]["session_id"], _index(event["content"]["ciphertext"]))
        for event in wire
        if event["type"] == "m.room.encrypted"
    ]
    assert len(places) == len(set(places)) == 2 * (deaths + 2)


def _index(ciphertext: str) -> int:
    index: Any = vodozemac.MegolmMessage.from_base64(ciphertext).message_index
    return int(index())
