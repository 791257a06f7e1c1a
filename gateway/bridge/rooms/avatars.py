# SPDX-License-Identifier: Apache-2.0
"""Pictures of contacts, of rooms and of the people in them: fetched in the background, for those
who are seen.

Nothing waits for a picture. That of a contact is fetched when the user receives their presence,
most recent chats first. In a room it is fetched when a session is there: first the room's own,
then those of the occupants who have spoken last. When it is there, devices and sessions are told.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import structlog

from gateway.adapter import Session
from gateway.bridge.accounts import Account
from gateway.bridge.ground import Ground
from gateway.bridge.inbound.rows import Committed, Profiled
from gateway.bridge.rooms import crowd
from gateway.bridge.rooms.room_rows import RoomRows
from gateway.bridge.rooms.rooms import Rooms
from gateway.errors import AdapterError, RateLimited
from gateway.events import RoomChanged
from gateway.ids import AccountId, RemoteUserId, RoomId
from gateway.media.images import BadPicture, Images, Picture
from gateway.store import Transaction, avatars, contacts, members, rooms
from gateway.store.avatars import Named, PictureRow
from gateway.tasks import contained, within

log = structlog.get_logger("avatars")

_AT_ONCE = 2
"""Of one account."""
_AT_ONCE_OF_ALL = 8
"""What was fetched is in memory until it is made small."""
_BATCH = 50
_BATCH_OF_CONTACTS = 500
"""Looking for these costs some milliseconds, however few are wanted."""
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


Place = RoomId | None
"""Where a picture is seen: a room, or the contacts of the account."""


@dataclass(slots=True)
class _Work:
    """What is to be done for one account."""

    places: dict[Place, None]
    """To be looked through."""
    asked: deque[tuple[Place, str]] = field(default_factory=deque)
    """Pictures for which somebody waits: they come first."""
    found: deque[tuple[Place, str]] = field(default_factory=deque)
    """Some of those of the first place."""


class Avatars:
    """Those of one network."""

    def __init__(self, ground: Ground, images: Images, told: Callable[[Committed], None]) -> None:
        self.is_offered = ground.adapter.capabilities.avatars
        self.images = images
        self._network = ground.network
        self._clock = ground.clock
        self._log = log.bind(network=ground.network)
        self._store = ground.store
        self._tasks = ground.tasks
        self._persist = ground.persist
        self._told = told
        self._turns = asyncio.Semaphore(_AT_ONCE_OF_ALL)
        self._work_of: dict[AccountId, _Work] = {}
        """Of the accounts for which something is under way."""
        self._fetching: set[Named] = set()
        """In shared rooms one account fetches for all."""
        self._came = asyncio.Event()
        """Set, and made anew, when it is known what has become of a picture."""
        self._later: dict[AccountId, tuple[Account, set[Place]]] = {}
        """Where something is to be fetched again."""

    def picture(self, hash: str | None) -> PictureRow | None:
        """A picture that is there."""
        return avatars.picture(self._store.reader, hash) if hash else None

    def of_person(self, account: Account, user: RemoteUserId) -> PictureRow | None:
        """The picture of a contact; or, of whom nobody has told one, that which they have in a
        room of the account: in private rooms clients ask the person for it, not the occupant."""
        contact = contacts.get(self._store.reader, account.id, user)
        if contact.avatar is not None:
            return self.picture(contacts.picture(self._store.reader, account.id, user))
        return avatars.of_person(self._store.reader, account.id, user)

    def wake(self, account: Account, places: Iterable[Place]) -> None:
        """Something there may be to be fetched."""
        wanted = dict.fromkeys(places)
        if not self.is_offered or not wanted or _session(account) is None:
            return
        if account.id in self._work_of:
            self._work_of[account.id].places.update(wanted)
        else:
            self._work_of[account.id] = _Work(wanted)
            self._tasks.spawn(self._work(account), "avatars")

    def is_coming(self, account: Account, place: Place, reference: str) -> bool:
        """A picture that is to be fetched now, and can be."""
        return (
            bool(reference)
            and _session(account) is not None
            and avatars.is_due(
                self._store.reader, self._named(account, place, reference), self._clock.now()
            )
            and (place is None or self._is_looked_after(account, place))
        )

    def coming_of_person(self, account: Account, user: RemoteUserId) -> tuple[Place, str] | None:
        """Where somebody is seen of whom a picture is to be fetched now, and what it is called."""
        avatar = contacts.get(self._store.reader, account.id, user).avatar
        if avatar is not None:
            return (None, avatar) if self.is_coming(account, None, avatar) else None
        if self.of_person(account, user) is not None:
            return None
        seen = avatars.seen_of_person(self._store.reader, account.id, user)
        return next((one for one in seen if self.is_coming(account, *one)), None)

    async def come(self, account: Account, place: Place, reference: str) -> None:
        """Wait until it is known what becomes of a picture, though not for long."""
        try:
            await within(self._clock, _ASKED_S, self._until_known(account, place, reference))
        except TimeoutError:
            self._log.debug("picture_not_there_in_time", account=account.id)

    async def _until_known(self, account: Account, place: Place, reference: str) -> None:
        self.wake(account, [place])
        work = self._work_of.get(account.id)
        if work is not None and (place, reference) not in work.asked:
            work.asked.append((place, reference))
        named = self._named(account, place, reference)
        while avatars.is_due(self._store.reader, named, self._clock.now()) and (
            account.id in self._work_of or named in self._fetching
        ):
            await self._came.wait()

    def went_live(self, account: Account, of: Rooms) -> None:
        """Sessions outlive a restart, and what they see may have changed meanwhile."""
        if self.is_offered:
            self._later.pop(account.id, None)
            seen = [room.id for room in of.of(account) if self._is_seen(room.id)]
            self.wake(account, [None, *seen])

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

    def _next(self, account: Account) -> list[tuple[Place, str]]:
        work = self._work_of[account.id]
        while work.asked or work.places:
            queue = work.asked or work.found
            if not queue:
                self._look_through(account, next(iter(work.places)))
                continue
            some = [queue.popleft() for _ in range(min(_AT_ONCE, len(queue)))]
            if some := [one for one in dict.fromkeys(some) if self._is_free(account, *one)]:
                return some
        return []

    def _look_through(self, account: Account, place: Place) -> None:
        """Find what is to be fetched there."""
        found = [(place, reference) for reference in self._wanted(account, place)]
        free = [one for one in found if self._named(account, *one) not in self._fetching]
        self._work_of[account.id].found.extend(free)
        if not free:
            self._done(account, place, is_left=bool(found))

    def _is_free(self, account: Account, place: Place, reference: str) -> bool:
        """It is still to be fetched, and nobody does."""
        named = self._named(account, place, reference)
        is_due = avatars.is_due(self._store.reader, named, self._clock.now())
        return is_due and named not in self._fetching

    def _named(self, account: Account, place: Place, reference: str) -> Named:
        return Named(self._network, self._realm(account, place), reference)

    def _realm(self, account: Account, place: Place) -> str:
        reader = self._store.reader
        if place is None:
            return avatars.realm_of_account(reader, account.id)
        return rooms.realm(reader, place)

    async def _fetch_some(
        self, account: Account, session: Session, some: list[tuple[Place, str]]
    ) -> float:
        """Returns how long to wait then."""
        named = dict.fromkeys(self._named(account, *one) for one in some)
        self._fetching.update(named)
        try:
            return max(
                await asyncio.gather(*(self._fetch(account, session, one) for one in named))
            )
        finally:
            self._fetching.difference_update(named)
            self._tell_waiting()

    def _tell_waiting(self) -> None:
        self._came.set()
        self._came = asyncio.Event()

    def _wanted(self, account: Account, place: Place) -> list[str]:
        reader, now = self._store.reader, self._clock.now()
        if not self._is_looked_after(account, place):
            return []
        if place is None:
            return avatars.wanted_of_contacts(reader, account.id, now, _BATCH_OF_CONTACTS)
        return avatars.wanted(reader, place, now, _BATCH)

    def _is_looked_after(self, account: Account, place: Place) -> bool:
        if place is not None and not self._is_seen(place):
            return False
        realm = self._realm(account, place)
        return avatars.count(self._store.reader, self._network, realm) < _MOST

    def _done(self, account: Account, place: Place, *, is_left: bool) -> None:
        """For now. What others fetch is looked for again: they may go."""
        del self._work_of[account.id].places[place]
        reader = self._store.reader
        if place is None:
            is_left = is_left or avatars.is_put_off_of_contacts(reader, account.id)
        else:
            is_left = (is_left or avatars.is_put_off(reader, place)) and self._is_seen(place)
        if is_left:
            self._later.setdefault(account.id, (account, set()))[1].add(place)

    async def _fetch(self, account: Account, session: Session, named: Named) -> float:
        """Returns how long to wait then."""
        try:
            async with self._turns:
                fetching = contained(session.avatar, named.reference)
                data = await within(self._clock, _LIMIT_S, fetching)
                picture = await self.images.shrink(data, user=account.user)
        except BadPicture as error:
            self._log.info("picture_left_out", account=account.id, reason=str(error))
            await self._know(account, named, None)
            return 0.0
        except (AdapterError, TimeoutError) as error:
            self._log.debug("picture_not_fetched", account=account.id, reason=type(error).__name__)
            wait_s = error.retry_after_s if isinstance(error, RateLimited) else 0.0
        except Exception:  # an adapter is not ours
            self._log.exception("picture_failed", account=account.id)
            wait_s = 0.0
        else:
            await self._know(account, named, picture)
            return 0.0
        await self._put_off(account, named, wait_s)
        return min(max(wait_s, _PAUSE_S), _LONGEST_PAUSE_S)

    # --- what has come of it --------------------------------------------------------------------

    async def _put_off(self, account: Account, named: Named, wait_s: float) -> None:
        failed, now = avatars.tries(self._store.reader, named), self._clock.now()
        if failed >= len(_AGAIN_S):
            self._log.info("picture_left_out", account=account.id, reason="cannot be fetched")
            await self._know(account, named, None)
            return
        due_at = now + max(wait_s, _AGAIN_S[failed])
        await self._persist.write(lambda db: avatars.put_off(db, account.id, named, due_at, now))

    async def _know(self, account: Account, named: Named, picture: Picture | None) -> None:
        """Told to the devices and sessions that see it, from the unit that stores it."""
        now = self._clock.now()
        room_rows = account.link.intake.rooms.room_rows if account.link is not None else None

        def unit(db: Transaction) -> Committed:
            hash = picture.hash if picture is not None else ""
            if room_rows is None or not avatars.know(db, account.id, named, hash, now):
                return Committed()  # the account is gone
            if picture is not None:
                avatars.keep(db, _row(picture))
            out = _tell(db, room_rows, named, hash, now)
            out.profiled += [
                Profiled(*one, picture=True) for one in avatars.contacts_with(db, named)
            ]
            return out

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


def _tell(db: Transaction, room_rows: RoomRows, named: Named, hash: str, now: float) -> Committed:
    out = Committed()
    for conversation, user in avatars.seen_in(db, named):
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
