# SPDX-License-Identifier: Apache-2.0
"""Pictures of rooms and of the people in them: fetched in the background, for those who are seen.

Nothing waits for a picture. It is fetched when a session is in the room: first the room's own,
then those of the occupants who have spoken last. When it is there, the sessions are told.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from itertools import islice

import structlog

from gateway.adapter import Adapter, Session
from gateway.bridge.accounts import Account
from gateway.bridge.persist import Persist
from gateway.bridge.rooms import occupants
from gateway.bridge.rooms.room_rows import RoomRows
from gateway.bridge.rooms.rooms import Rooms
from gateway.bridge.rows import Committed
from gateway.errors import AdapterError, RateLimited
from gateway.events import RoomChanged
from gateway.ids import AccountId, RemoteUserId, RoomId
from gateway.media.images import BadPicture, Images, Picture
from gateway.store import Store, Transaction, avatars, members, rooms
from gateway.store.avatars import PictureRow
from gateway.store.journal import InboundRow
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


class Avatars:
    """Those of one network."""

    def __init__(
        self,
        adapter: Adapter,
        store: Store,
        tasks: Tasks,
        persist: Persist,
        images: Images,
        deliver: Callable[[list[InboundRow]], None],
    ) -> None:
        self.is_offered = adapter.capabilities.avatars
        self.images = images
        self._clock = adapter.context.clock
        self._log = log.bind(network=adapter.context.name)
        self._store = store
        self._tasks = tasks
        self._persist = persist
        self._deliver = deliver
        self._turns = asyncio.Semaphore(_AT_ONCE_OF_ALL)
        self._waiting: dict[AccountId, dict[RoomId, None]] = {}
        """Rooms to be looked through, of the accounts for which that is under way."""
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
        if account.id in self._waiting:
            self._waiting[account.id].update(wanted)
        else:
            self._waiting[account.id] = wanted
            self._tasks.spawn(self._work(account), "avatars")

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
        waiting = self._waiting[account.id]
        try:
            while waiting:
                room = next(iter(waiting))
                wanted = iter(self._wanted(room))
                if not (some := list(islice(wanted, _AT_ONCE))):
                    self._done(account, room)
                while some:
                    session = _session(account)
                    if session is None:
                        return
                    fetched = (self._fetch(account, session, room, one) for one in some)
                    await self._clock.sleep(max(await asyncio.gather(*fetched)))
                    some = list(islice(wanted, _AT_ONCE))
        finally:
            del self._waiting[account.id]

    def _wanted(self, room: RoomId) -> list[str]:
        reader = self._store.reader
        if not self._is_seen(room) or avatars.count(reader, room) >= _MOST:
            return []
        return avatars.wanted(reader, room, self._clock.now(), _BATCH)

    def _done(self, account: Account, room: RoomId) -> None:
        """For now."""
        del self._waiting[account.id][room]
        if self._is_seen(room) and avatars.is_put_off(self._store.reader, room):
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

        def unit(db: Transaction) -> list[InboundRow]:
            hash = picture.hash if picture is not None else ""
            if room_rows is None or not avatars.know(db, room, reference, hash, now):
                return []  # the account is gone
            if picture is not None:
                avatars.keep(db, _row(picture))
            return _tell(db, room_rows, room, reference, hash, now)

        await self._persist.write(unit, self._deliver)


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
) -> list[InboundRow]:
    out = Committed()
    for conversation, user in avatars.seen_in(db, room, reference):
        place = rooms.of_conversation(db, conversation)
        if place is None:
            continue
        to = rooms.occupants(db, place.id)
        if user is None:
            sid = room_rows.id(place, "picture", hash, str(now))
            room_rows.tell(db, place, sid, RoomChanged(id=sid, picture=hash, to=to), now, out)
        elif (member := members.find(db, place.id, user)) is not None:
            occupants.present(room_rows, db, place, member, now, out, to=to)
    return out.inbound
