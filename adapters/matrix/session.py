# SPDX-License-Identifier: Apache-2.0
"""The live connection of one account: the /sync loop.

Matrix spec, client-server API, "Syncing". No request before the whole of the last answer is
committed: the next ``since`` tells the homeserver that it may forget. A large answer takes several
commits, since others wait for the same writer; only the last one has the cursor, so after a crash
in between it comes again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

import aiohttp
import msgspec

from adapters.matrix import history
from adapters.matrix.coming import Coming
from adapters.matrix.destroying import Destroying
from adapters.matrix.errors import code_of, status_of
from adapters.matrix.filters import Filters, Mode
from adapters.matrix.gaps import gaps
from adapters.matrix.garbage import Pause
from adapters.matrix.group_sync import to_be_listed
from adapters.matrix.http import LARGE, MIB, Answer, Api, beside, dismantle
from adapters.matrix.inbound import Event, display_name
from adapters.matrix.ledger import Ledger
from adapters.matrix.login import Credentials
from adapters.matrix.managing import COMING, ENDING, RULING, Action, done_by
from adapters.matrix.media import Media
from adapters.matrix.members import Members
from adapters.matrix.opening import Opening
from adapters.matrix.outbound import Outbound
from adapters.matrix.pace import Pace
from adapters.matrix.parts import MAX_EVENTS, Outcome, Tally
from adapters.matrix.past import Past
from adapters.matrix.presences import Contacts, Own
from adapters.matrix.rooms import RoomId
from adapters.matrix.ruling import Ruling
from adapters.matrix.searching import search
from adapters.matrix.settings import MatrixSettings
from adapters.matrix.sync import NOTHING, translate
from adapters.matrix.typists import GroupTypists, Typists
from gateway.adapter import (
    AccountContext,
    Contact,
    EncryptionFlow,
    HistoryPage,
    Sent,
    Session,
)
from gateway.errors import AdapterError, AuthExpired, Transient, Unsupported
from gateway.events import Command, FoundRooms, Presence, RoomAction, SearchRooms
from gateway.ids import RemoteMessageId, RemoteRoomId, RemoteUserId

if TYPE_CHECKING:
    from adapters.matrix.e2e.encryption import Encryption

_SYNC_LIMIT = 32 * MIB
_PATIENCE_S = 30
"""How much longer than agreed a homeserver may take for an answer."""
_FIRST_PATIENCE_S = 300
_FIND_S = 4.5
_BELIEVED_S = 10.0
"""After which a room that was not encrypted is asked about again, before something is sent."""
_STATE_S = 3_600.0
"""How often the whole state of all rooms is asked for because something of one was not told."""


class MatrixSession(Session):
    """One account of one homeserver."""

    def __init__(
        self, account: AccountContext, http: aiohttp.ClientSession, settings: MatrixSettings
    ) -> None:
        self._account = account
        self._http = http
        self._settings = settings
        self._ledger = Ledger(account)
        self._typists = Typists(account.typing)
        self._group_typists = GroupTypists(account.room_typing)
        self._presences = Contacts(account)
        self._own_presence = Own(account, lambda: self._api)
        self._filters = Filters(account.remote_id, lambda: self._api)
        self._members = Members(account, lambda: self._api)
        self._wants_state = not self._ledger.book.knows_state
        """The next answer shall have the whole state of all rooms."""
        self._state_not_before = 0.0
        """Monotonic; in which it is not wanted once more."""
        self._is_hurried = False
        """The next request shall not wait for something to happen."""
        self._waiting: asyncio.Timeout | None = None
        """Of the request that does."""
        self._answered_at: float | None = None
        """Monotonic; when the homeserver last answered. None while it is not being asked."""

    @cached_property
    def _credentials(self) -> Credentials:
        """Raises `AuthExpired` if the secret is none of ours."""
        try:
            return Credentials.decoded(self._account.secret)
        except msgspec.MsgspecError as error:
            raise AuthExpired("The stored login cannot be read.") from error

    @cached_property
    def _api(self) -> Api:
        credentials = self._credentials
        return Api(self._http, credentials.homeserver, credentials.access_token)

    @cached_property
    def _encryption(self) -> Encryption | None:
        """None where it is switched off, or the library is not installed."""
        if not self._settings.encrypts:
            return None
        from adapters.matrix.e2e.encryption import Encryption

        return Encryption(self._account, self._api, self._ledger, self._credentials.device_id)

    @cached_property
    def _outbound(self) -> Outbound:
        encryption = self._encryption
        opening = Opening(self._account, self._api, self._ledger, self._is_live, encryption)
        return Outbound(self._account, self._api, self._ledger, opening, encryption)

    @cached_property
    def _ruling(self) -> Ruling:
        return Ruling(self._api, self._ledger, self._account.remote_id, self._media)

    @cached_property
    def _media(self) -> Media:
        return Media(self._api)

    @cached_property
    def _managing(self) -> dict[type[RoomAction], Action]:
        of = Coming(
            self._account, lambda: self._api, encrypts=lambda: self._encryption is not None
        )
        ending = Destroying(self._api, self._ruling, self._account.remote_id)
        return {
            **done_by(of, COMING),
            **done_by(self._ruling, RULING),
            **done_by(ending, ENDING),
        }

    async def search_rooms(self, wanted: SearchRooms) -> FoundRooms:
        """In the directory of a server."""
        return await search(self._api, wanted)

    @cached_property
    def _past(self) -> Past:
        return Past(self._account, lambda: self._api, self._ledger, lambda: self._encryption)

    async def run(self) -> None:
        """Poll until cancelled. See `gateway.adapter.Session.run`."""
        since = self._account.cursor
        mode = Mode.FIRST if since is None else Mode.NEXT
        timeout_s, is_connected = 0, False
        pace = Pace(self._account.clock)
        if mode is Mode.NEXT:
            self._presences.begin(self._ledger.book.contacts())
        awake = asyncio.create_task(self._own_presence.keep())
        keys = asyncio.create_task(self._encryption.run()) if self._encryption else None
        try:
            while True:
                if keys is not None and keys.done():
                    keys.result()
                    keys = None
                if is_connected:
                    await self._account.ready()
                await pace.keep()
                with Pause() as pause:
                    try:
                        answer = await self._poll(since, mode, timeout_s, pause.begin)
                    except AdapterError as error:
                        if mode is not Mode.NEXT or not _is_cursor_refused(error):
                            raise
                        self._account.log.warning("cursor_refused")
                        since, mode, timeout_s = None, Mode.AGAIN, 0
                        continue
                    if answer is None:
                        continue
                    since = await self._take(answer, mode)
                if not is_connected:
                    self._account.connected()
                    is_connected = True
                mode, timeout_s = Mode.NEXT, self._settings.sync_timeout
        finally:
            awake.cancel()
            if keys is not None:
                keys.cancel()
            self._answered_at = None
            self._typists.forget()
            self._group_typists.forget()

    async def _poll(
        self, since: str | None, mode: Mode, timeout_s: int, on_large: Callable[[], None]
    ) -> Answer | None:
        """The next answer; None if it was given up, to be asked for at once."""
        timeout_s, self._is_hurried = 0 if self._is_hurried else timeout_s, False
        query = {
            "timeout": str(timeout_s * 1000),
            "filter": await self._filters.of(mode, self._ledger.book.contacts()),
            "set_presence": self._own_presence.of_sync,
        }
        if since is not None:
            query["since"] = since
            if self._wants_state:
                query["full_state"] = "true"
        self._wants_state = False
        patience_s = _PATIENCE_S if mode is Mode.NEXT and timeout_s else _FIRST_PATIENCE_S
        self._answered_at = self._account.clock.monotonic() if timeout_s else None
        try:
            async with asyncio.timeout(None) as waiting:
                self._waiting = waiting if timeout_s else None
                return await self._api.get_answer(
                    "sync",
                    query=query,
                    timeout_s=timeout_s + patience_s,
                    limit=_SYNC_LIMIT,
                    on_large=on_large,
                )
        except TimeoutError:
            return None
        finally:
            self._answered_at = self._waiting = None

    def _is_live(self) -> bool:
        """Whether a change of a room would already have reached the book. A poll that is open for
        long may be one that the homeserver has forgotten."""
        at = self._answered_at
        return at is not None and self._account.clock.monotonic() - at < _BELIEVED_S

    async def _take(self, answer: Answer, mode: Mode) -> str:
        """Make an answer durable; returns the cursor after it."""
        content, account = answer.content, self._account.remote_id
        cursor = content.get("next_batch")
        if not isinstance(cursor, str) or not cursor.isprintable() or not cursor:
            raise Transient("The homeserver's answer is not one of Matrix.")
        found = await beside(answer.is_large, gaps, content, self._ledger.book, mode, account)
        fills = await history.fill_all(self._api, found, account, self._settings.max_gap)
        missed = [fill.events for fill in fills.values()]
        lists, listed = await self._list(answer, mode, cursor)
        opened = NOTHING
        if self._encryption is not None:
            opened = await self._encryption.take(content, fills, mode)
        is_large = answer.is_large or sum(map(len, missed)) > MAX_EVENTS or listed > LARGE
        tally = Tally()
        async with self._ledger.writing() as book:
            parts = translate(
                content,
                book,
                mode=mode,
                account=account,
                instance=self._account.instance,
                fills=fills,
                now=self._account.clock.now(),
                opened=opened,
                lists=lists,
            )
            while (part := await beside(is_large, next, parts, None)) is not None:
                await self._ledger.commit(
                    part.draft, part.events, cursor if part.is_last else None
                )
                self._after(part)
                tally.add(part.tally)
        if self._encryption is not None:
            await self._encryption.settle(opened)
        self._presences.take(content, mode, self._ledger.book.contacts())
        tally.log(self._account.log)
        now = self._account.clock.monotonic()
        if tally.unknown and now >= self._state_not_before:
            self._wants_state, self._state_not_before = True, now + _STATE_S
        await beside(is_large, dismantle, [content, *missed, *lists.values()])
        return cursor

    async def _list(
        self, answer: Answer, mode: Mode, cursor: str
    ) -> tuple[dict[RoomId, Sequence[Event]], int]:
        """The members of groups, where the answer does not say enough of them; and the size."""
        book, account = self._ledger.book, self._account

        def wanted() -> list[RoomId]:
            content, own = answer.content, account.remote_id
            return list(to_be_listed(content, book, mode, own, account.instance))

        rooms = await beside(answer.is_large, wanted)
        found = await self._members.of(rooms, cursor, lambda room_id: book.group(room_id) is None)
        self._is_hurried |= self._members.has_more
        return found

    def _after(self, part: Outcome) -> None:
        self._ledger.remember(part.rooms)
        for room_id, contact, active in part.typing:
            self._typists.note(room_id, contact, active)
        for room_id, typists in part.typists.items():
            self._group_typists.note(room_id, typists)

    async def send(self, command: Command, key: str) -> Sent:
        """See `gateway.adapter.Session.send`."""
        return await self._outbound.send(command, key)

    async def manage(self, action: RoomAction) -> RemoteRoomId | None:
        """See `gateway.adapter.Session.manage`."""
        return await self._managing[type(action)](action)

    async def banned(self, room: RemoteRoomId) -> Sequence[RemoteUserId]:
        """See `gateway.adapter.Session.banned`."""
        return await self._ruling.banned(room)

    async def avatar(self, reference: str) -> bytes:
        """See `gateway.adapter.Session.avatar`."""
        return await self._media.thumbnail(reference)

    async def history(
        self, room: RemoteRoomId, before: str | None, known: RemoteMessageId | None, limit: int
    ) -> HistoryPage:
        """See `gateway.adapter.Session.history`."""
        return await self._past.page(room, before, known, limit)

    async def tell_rooms(self, rooms: Sequence[RemoteRoomId] | None) -> None:
        """See `gateway.adapter.Session.tell_rooms`."""
        await self._ledger.tell_anew(None if rooms is None else map(RoomId, rooms))
        self._is_hurried = True
        if self._waiting is not None:
            self._waiting.reschedule(asyncio.get_running_loop().time())
            self._waiting = None  # once is enough

    async def set_typing(self, contact: RemoteUserId, active: bool) -> None:
        """See `gateway.adapter.Session.set_typing`."""
        await self._outbound.set_typing(contact, active)

    async def set_room_typing(self, room: RemoteRoomId, active: bool) -> None:
        """See `gateway.adapter.Session.set_room_typing`."""
        await self._outbound.set_room_typing(room, active)

    async def set_presence(self, presence: Presence) -> None:
        """See `gateway.adapter.Session.set_presence`."""
        await self._own_presence.set(presence)

    def encryption(self) -> EncryptionFlow:
        """See `gateway.adapter.Session.encryption`."""
        if self._encryption is None:
            raise Unsupported("End-to-end encryption is switched off in this gateway.")
        return self._encryption.flow()

    async def find(self, contact: RemoteUserId) -> Contact:
        """Spec, "GET /profile/{userId}"."""
        try:
            async with asyncio.timeout(_FIND_S):
                return Contact(name=display_name(await self._api.get("profile", contact)))
        except TimeoutError as error:
            raise Transient("The homeserver did not answer in time.") from error

    async def log_out(self) -> None:
        """Spec, "POST /logout". A login that is gone already is what was wanted."""
        try:
            await self._api.post("logout")
        except AuthExpired:
            self._account.log.debug("already_logged_out")


def _is_cursor_refused(error: AdapterError) -> bool:
    return code_of(error) == "M_UNKNOWN_POS" or status_of(error) == 400
