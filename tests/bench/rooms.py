# SPDX-License-Identifier: Apache-2.0
"""Rooms: what is said there, coming in, and a page of the archive."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from gateway.events import Affiliation, Member, RemoteRoom, RoomMessage
from gateway.ids import RemoteRoomId, RemoteUserId, StanzaId
from gateway.store import Transaction, archive, avatars, rooms
from gateway.store.avatars import Named
from tests.bench import house, relay, sink, stanzas
from tests.bench.measure import Figure, Group, settle_garbage
from tests.bench.peer_process import peers
from tests.scripted.adapter import TrustedAdapter

_MEMBERS = 1_000
_SAID = 50_000
_PAGE = 50
_CROWD = 10_000
_ROOM, _CROWDED = RemoteRoomId("!room"), RemoteRoomId("!crowded")
_COUNT = 500
_SESSIONS = 100
_GOAL_ONE_MS, _GOAL_MANY_MS = 0.3, 10.0
_GOAL_FIRST_S, _GOAL_AGAIN_S = 0.3, 0.1
_GOAL_PAGE_MS = 5.0
_LIMIT_S = 30.0


async def measure(directory: Path, repetitions: int) -> Group:
    """Without a server where the answer is one; else as chats are measured."""
    figures = await _spoken(directory / "spoken", repetitions)
    figures.append(await _shared(directory / "shared", repetitions))
    figures += await _joined_and_read(directory / "joined", repetitions)
    figures += await relay.measure(directory, repetitions)
    return Group(
        title="Rooms",
        note=(
            "Inbound: the loop's CPU per message, the whole gateway, journal and archive on disk; "
            f"the {_SESSIONS} sessions are of one user, or of {_SESSIONS} users with an account "
            "each, all of which are told each message. Join: wall time from the presence to the "
            f"last byte of the sequence; {_MEMBERS:,} members who moderate, so that all of them "
            f"are sent, and {_CROWD:,} of whom most are not shown. Archive: wall time from the "
            f"query to the end of its answer, out of {_SAID:,} messages."
        ),
        figures=figures,
    )


# --- what is said -------------------------------------------------------------------------------


async def _spoken(directory: Path, repetitions: int) -> list[Figure]:
    directory.mkdir()  # noqa: ASYNC240 - nothing else runs here
    await house.seed(directory, 1)
    found: dict[int, list[float]] = {1: [], _SESSIONS: []}
    async with peers(1) as other, house.running(directory, other.ports):
        await other.up()
        await other.live(1)
        for sessions, values in found.items():
            await other.enter(sessions)
            await other.speak(_COUNT // 5, sessions)
            settle_garbage()
            for _ in range(repetitions):
                loop = time.thread_time()
                await other.speak(_COUNT, sessions)
                values.append((time.thread_time() - loop) / _COUNT * 1e3)
    return [
        Figure(
            what=f"inbound message, {sessions} session{'s' * (sessions > 1)}: loop",
            unit="ms",
            values=values,
            goal=_GOAL_ONE_MS if sessions == 1 else _GOAL_MANY_MS,
            less_is_better=True,
        )
        for sessions, values in found.items()
    ]


async def _shared(directory: Path, repetitions: int) -> Figure:
    """As many accounts as sessions, in a room that they share."""
    directory.mkdir()  # noqa: ASYNC240 - nothing else runs here
    await house.seed(directory, _SESSIONS)
    values: list[float] = []
    async with (
        peers(_SESSIONS) as other,
        house.running(directory, other.ports, TrustedAdapter),
    ):
        await other.up()
        await other.live(_SESSIONS)
        await other.enter(_SESSIONS, accounts=_SESSIONS)
        await other.speak(_COUNT // 20, _SESSIONS)
        settle_garbage()
        for _ in range(repetitions):
            loop = time.thread_time()
            await other.speak(_COUNT // 5, _SESSIONS)
            values.append((time.thread_time() - loop) / (_COUNT // 5) * 1e3)
    return Figure(
        what=f"inbound message, {_SESSIONS} accounts that share the room: loop",
        unit="ms",
        values=values,
        goal=_GOAL_MANY_MS,
        less_is_better=True,
    )


# --- coming in, and reading ---------------------------------------------------------------------


async def _joined_and_read(directory: Path, repetitions: int) -> list[Figure]:
    directory.mkdir()  # noqa: ASYNC240 - nothing else runs here
    first, again, large = [], [], []
    async with sink.component(directory, 1) as bench:
        bench.component.stream._has_answered = True  # there is nobody who would
        room = await _fill(bench, _ROOM, _MEMBERS, Affiliation.ADMIN, _SAID)
        crowded = await _fill(bench, _CROWDED, _CROWD, Affiliation.MEMBER, 0)
        for repetition in range(repetitions):
            settle_garbage()
            session = f"{stanzas.user(0)}/phone{repetition}"
            first.append(await _join(bench, session, room))
            again.append(await _join(bench, session, room))
            large.append(await _join(bench, session, crowded))
        pages = [await _page(bench, room, f"p{each}") * 1e3 for each in range(repetitions)]
    return [
        Figure(
            what=f"join of {_MEMBERS:,} members, first",
            unit="s",
            values=first,
            goal=_GOAL_FIRST_S,
            less_is_better=True,
        ),
        Figure(what="again", unit="s", values=again, goal=_GOAL_AGAIN_S, less_is_better=True),
        Figure(
            what=f"join of {_CROWD:,} members",
            unit="s",
            values=large,
            goal=_GOAL_AGAIN_S,
            less_is_better=True,
        ),
        Figure(
            what=f"page of {_PAGE} of the archive",
            unit="ms",
            values=pages,
            goal=_GOAL_PAGE_MS,
            less_is_better=True,
        ),
    ]


async def _fill(
    bench: sink.Bench, room_id: RemoteRoomId, count: int, affiliation: Affiliation, said: int
) -> str:
    """A room with its members and what they have said. Returns its address."""
    (account,) = bench.accounts
    link = bench.network._links.prepare(account)
    people = [account.remote_id, *(RemoteUserId(f"member{n}") for n in range(count - 1))]
    members = tuple(
        Member(user=user, name=f"Member {user}", affiliation=affiliation, avatar=user)
        for user in people
    )

    def unit(db: Transaction) -> None:
        now = time.time()
        event = RemoteRoom(room=room_id, name="Room", members=members)
        link.intake.unit(db, [event], now)
        room = rooms.find(db, account.id, room_id)
        assert room is not None
        for number, user in enumerate(people):
            named = Named(bench.network.name, room.realm, user)
            avatars.know(db, account.id, named, f"{number:040x}", now)
        for number in range(said):
            message = RoomMessage(
                id=StanzaId(f"id-{number}"),
                archive_id=StanzaId(f"archive-{number}"),
                nick="Member",
                occupant="o" * 43,
                body=f"{stanzas.BODY} {number}",
                sent_at=now,
            )
            archive.keep(db, room.id, people[-1], message, now)

    await bench.store.write(unit)
    return bench.component.puppet(RemoteUserId(room_id))


async def _join(bench: sink.Bench, session: str, room: str) -> float:
    """Without history, as clients that read the archive join."""
    data = (
        f"<presence from='{session}' to='{room}/Me'><x xmlns='http://jabber.org/protocol/muc'>"
        "<history maxstanzas='0'/></x></presence>"
    )
    return await _until(bench, data.encode(), b"<subject>")


async def _page(bench: sink.Bench, room: str, query: str) -> float:
    data = (
        f"<iq type='set' id='{query}' from='{stanzas.user(0)}/phone0' to='{room}'>"
        f"<query xmlns='urn:xmpp:mam:2' queryid='{query}'>"
        f"<set xmlns='http://jabber.org/protocol/rsm'><max>{_PAGE}</max><before/></set>"
        "</query></iq>"
    )
    return await _until(bench, data.encode(), b"</fin>")


async def _until(bench: sink.Bench, data: bytes, end: bytes) -> float:
    """Seconds until bytes that end the answer are written."""
    written = asyncio.Event()

    def note(chunk: bytes) -> None:
        if end in chunk:
            written.set()

    bench.sink.on_write = note
    began = time.monotonic()
    bench.connection.data_received(data)
    async with asyncio.timeout(_LIMIT_S):
        await written.wait()
    return time.monotonic() - began
