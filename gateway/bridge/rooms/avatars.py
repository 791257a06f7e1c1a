# SPDX-License-Identifier: Apache-2.0
"""Pictures of rooms and of the people in them: fetched in the background, for those who are seen.

Nothing waits for a picture. It is fetched when a session is in the room: first the room's own,
then those of the occupants who have spoken last. When it is there, the sessions are told.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import structlog

from gateway.adapter import Adapter, Session
from gateway.bridge.accounts import Account
from gateway.bridge.persist import Persist
from gateway.bridge.rooms import crowd
from gateway.bridge.rooms.room_rows import RoomRows
from gateway.bridge.rooms.rooms import Rooms
from gateway.bridge.rows import Committed
from gateway.errors import AdapterError, RateLimited
from gateway.events import RoomChanged
from gateway.ids import AccountId, RemoteUserId, RoomId
from gateway.media.images import BadPicture, Images, Picture
from gateway.store import Store, Transaction, avatars, members, rooms
from gateway.store.avatars import PictureRow
from gateway.tasks import Tasks, contained, within

log = structlog.get_logger("avatars")

_AT_ONCE = 2
"""Of one account."""
_AT_ONCE_OF_ALL = 32
"""What was fetched is in memory until it is made small."""
_BATCH = 50
_LIMIT_S = 30.0
_MOST = 2_000
"""Of one account. Most are of 10 to 40 KiB, and none is of more than 96."""
_AGAIN_S = (60.0, 600.0, 3_600.0, 21_600.0, 86_400.0)
"""After so many failures; then it is left out."""
_PAUSE_S = 5.0
"""In which nothing is fetched after a failure, that may be one of all pictures."""
_LONGEST_PAUSE_S = 600.0
_EVERY_S = 60.0
_ASKED_S = 10.0
"""For so long who asks for a picture waits for it."""


@dataclass(slots=True)
class _Work:
    """What is to be done for one account."""

    places: dict[RoomId, None]
    """Rooms to be looked through."""
    asked: deque[tuple[RoomId, str]] = field(default_factory=deque)
    """Pictures for which somebody waits: they come first."""
    found: deque[tuple[RoomId, str]] = field(default_factory=deque)
    """Some of those of the first room."""


class Avatars:
    """Those of one network."""

    def __init__(
        self,
        adapter: Adapter,
        store: Store,
        tasks: Tasks,
        persist: Persist,
        images: Images,
        told: Callable[[Committed], None],
    ) -> None:
        self.is_offered = adapter.capabilities.avatars
        self.images = images
        self._clock = adapter.context.clock
        self._log = log.bind(network=adapter.context.name)
        self._store = store
        self._tasks = tasks
        self._persist = persist
        self._told = told
        self._turns = asyncio.Semaphore(_AT_ONCE_OF_ALL)
        self._work_of: dict[AccountId, _Work] = {}
        """Of the accounts for which something is under way."""
        self._fetching: set[tuple[str, str]] = set()
        """Realms and references: in shared rooms one account fetches for all."""
        self._came = asyncio.Event()
        """Set, and made anew, when it is known what has become of a picture."""
        self._later: dict[AccountId, tuple[Account, set[RoomId]]] = {}
        """Rooms in which something is to be fetched again."""

    def picture(self, hash: str | None) -> PictureRow | None:
        """A picture that is there."""
        return avatars.picture(self._store.reader, hash) if hash else None

    def of_person(self, account: Account, user: RemoteUserId) -> PictureRow | None:
        """The picture of somebody with whom the account is in a room: in private rooms clients ask
        the person for it, and not the occupant."""
        return avatars.of_person(self._store.reader, account.id, user)

    def wake(self, account: Account, places: Iterable[RoomId]) -> None:
        """Something in these rooms may be to be fetched."""
        wanted = dict.fromkeys(places)
        if not self.is_offered or not wanted or _session(account) is None:
            return
        if account.id in self._work_of:
            self._work_of[account.id].places.update(wanted)
        else:
            self._work_of[account.id] = _Work(wanted)
            self._tasks.spawn(self._work(account), "avatars")

    def is_coming(self, account: Account, room: RoomId, reference: str) -> bool:
        """A picture that is to be fetched now, and can be."""
        return (
            bool(reference)
            and _session(account) is not None
            and avatars.is_due(self._store.reader, room, reference, self._clock.now())
            and self._is_looked_after(room)
        )

    def coming_of_person(self, account: Account, user: RemoteUserId) -> tuple[RoomId, str] | None:
        """Where somebody is seen of whom a picture is to be fetched now, and what it is called."""
        if self.of_person(account, user) is not None:
            return None
        seen = avatars.seen_of_person(self._store.reader, account.id, user)
        return next((one for one in seen if self.is_coming(account, *one)), None)

    async def come(self, account: Account, room: RoomId, reference: str) -> None:
        """Wait until it is known what becomes of a picture, though not for long."""
        try:
            await within(self._clock, _ASKED_S, self._until_known(account, room, reference))
        except TimeoutError:
            self._log.debug("picture_not_there_in_time", account=account.id)

    async def _until_known(self, account: Account, room: RoomId, reference: str) -> None:
        self.wake(account, [room])
        work = self._work_of.get(account.id)
        if work is not None and (room, reference) not in work.asked:
            work.asked.append((room, reference))
        key = self._key(room, reference)
        while avatars.is_due(self._store.reader, room, reference, self._clock.now()) and (
            account.id in self._work_of or key in self._fetching
        ):
            await self._came.wait()

    def went_live(self, account: Account, of: Rooms) -> None:
        """Sessions outlive a restart, and what they see may have changed meanwhile."""
        if self.is_offered:
            self._later.pop(account.id, None)
            self.wake(account, [room.id for room in of.of(account) if self._is_seen(room.id)])

    async def watch(self) -> None:
        """Fetch again what could not be fetched, for ever."""
        while True:
            await self._clock.sleep(_EVERY_S)
            waiting, self._later = self._later, {}
            for account, places in waiting.values():
                self.wake(account, places)

    def _is_seen(self, room: RoomId) -> bool:
        return bool(rooms.occupants(self._store.reader, room))

    # --- fetching -------------------------------------------------------------------------------

    async def _work(self, account: Account) -> None:
        try:
            while some := self._next(account):
                session = _session(account)
                if session is None:
                    return
                await self._clock.sleep(await self._fetch_some(account, session, some))
        finally:
            del self._work_of[account.id]
            self._tell_waiting()

    def _next(self, account: Account) -> list[tuple[RoomId, str]]:
        work = self._work_of[account.id]
        while work.asked or work.places:
            queue = work.asked or work.found
            if not queue:
                self._look_through(account, next(iter(work.places)))
                continue
            some = [queue.popleft() for _ in range(min(_AT_ONCE, len(queue)))]
            if some := [one for one in dict.fromkeys(some) if self._is_free(*one)]:
                return some
        return []

    def _look_through(self, account: Account, room: RoomId) -> None:
        """Find what is to be fetched there."""
        found = [(room, reference) for reference in self._wanted(room)]
        free = [one for one in found if self._key(*one) not in self._fetching]
        self._work_of[account.id].found.extend(free)
        if not free:
            self._done(account, room, is_left=bool(found))

    def _is_free(self, room: RoomId, reference: str) -> bool:
        """It is still to be fetched, and nobody does."""
        reader, now = self._store.reader, self._clock.now()
        is_due = avatars.is_due(reader, room, reference, now)
        return is_due and self._key(room, reference) not in self._fetching

    def _key(self, room: RoomId, reference: str) -> tuple[str, str]:
        return rooms.realm(self._store.reader, room), reference

    async def _fetch_some(
        self, account: Account, session: Session, some: list[tuple[RoomId, str]]
    ) -> float:
        """Returns how long to wait then."""
        keys = {self._key(*one) for one in some}
        self._fetching |= keys
        try:
            return max(
                await asyncio.gather(*(self._fetch(account, session, *one) for one in some))
            )
        finally:
            self._fetching -= keys
            self._tell_waiting()

    def _tell_waiting(self) -> None:
        self._came.set()
        self._came = asyncio.Event()

    def _wanted(self, room: RoomId) -> list[str]:
        if not self._is_looked_after(room):
            return []
        return avatars.wanted(self._store.reader, room, self._clock.now(), _BATCH)

    def _is_looked_after(self, room: RoomId) -> bool:
        return self._is_seen(room) and avatars.count(self._store.reader, room) < _MOST

    def _done(self, account: Account, room: RoomId, *, is_left: bool) -> None:
        """For now. What others fetch is looked for again: they may go."""
        del self._work_of[account.id].places[room]
        is_left = is_left or avatars.is_put_off(self._store.reader, room)
        if is_left and self._is_seen(room):
            self._later.setdefault(account.id, (account, set()))[1].add(room)

    async def _fetch(
        self, account: Account, session: Session, room: RoomId, reference: str
    ) -> float:
        """Returns how long to wait then."""
        try:
            async with self._turns:
                fetching = contained(session.avatar, reference)
                data = await within(self._clock, _LIMIT_S, fetching)
                picture = await self.images.shrink(data)
        except BadPicture as error:
            self._log.info("picture_left_out", account=account.id, reason=str(error))
            await self._know(account, room, reference, None)
            return 0.0
        except (AdapterError, TimeoutError) as error:
            self._log.debug("picture_not_fetched", account=account.id, reason=type(error).__name__)
            wait_s = error.retry_after_s if isinstance(error, RateLimited) else 0.0
        except Exception:  # an adapter is not ours
            self._log.exception("picture_failed", account=account.id)
            wait_s = 0.0
        else:
            await self._know(account, room, reference, picture)
            return 0.0
        await self._put_off(account, room, reference, wait_s)
        return min(max(wait_s, _PAUSE_S), _LONGEST_PAUSE_S)

    # --- what has come of it --------------------------------------------------------------------

    async def _put_off(
        self, account: Account, room: RoomId, reference: str, wait_s: float
    ) -> None:
        failed, now = avatars.tries(self._store.reader, room, reference), self._clock.now()
        if failed >= len(_AGAIN_S):
            self._log.info("picture_left_out", account=account.id, reason="cannot be fetched")
            await self._know(account, room, reference, None)
            return
        due_at = now + max(wait_s, _AGAIN_S[failed])
        await self._persist.write(lambda db: avatars.put_off(db, room, reference, due_at, now))

    async def _know(
        self, account: Account, room: RoomId, reference: str, picture: Picture | None
    ) -> None:
        """Told to the sessions that see it, from the unit that stores it."""
        now = self._clock.now()
        room_rows = account.link.intake.rooms.room_rows if account.link is not None else None

        def unit(db: Transaction) -> Committed:
            hash = picture.hash if picture is not None else ""
            if room_rows is None or not avatars.know(db, room, reference, hash, now):
                return Committed()  # the account is gone
            if picture is not None:
                avatars.keep(db, _row(picture))
            return _tell(db, room_rows, room, reference, hash, now)

        await self._persist.write(unit, self._told)


def _session(account: Account) -> Session | None:
    return account.link.session if account.link is not None else None


def _row(picture: Picture) -> PictureRow:
    return PictureRow(
        hash=picture.hash,
        type=picture.type,
        width=picture.width,
        height=picture.height,
        data=picture.data,
    )


def _tell(
    db: Transaction, room_rows: RoomRows, room: RoomId, reference: str, hash: str, now: float
) -> Committed:
    out = Committed()
    for conversation, user in avatars.seen_in(db, room, reference):
        place = rooms.of_conversation(db, conversation)
        if place is None:
            continue
        to = rooms.occupants(db, place.id)
        if user is None:
            sid = room_rows.id(place, "picture", hash, str(now))
            room_rows.tell(db, place, sid, RoomChanged(id=sid, picture=hash, to=to), now, out)
        elif to and (member := members.find(db, place.id, user)) is not None:
            crowd.tell(room_rows, db, place, member, member, now, out)
    return out
