# SPDX-License-Identifier: Apache-2.0
"""The live connection of one account: the /sync loop.

Matrix spec, client-server API, "Syncing". No request before the whole of the last answer is
committed: the next ``since`` tells the homeserver that it may forget. A large answer takes several
commits, since others wait for the same writer; only the last one has the cursor, so after a crash
in between it comes again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING

import aiohttp
import msgspec

from adapters.matrix import history, people
from adapters.matrix.answers import LARGE, beside, dismantle
from adapters.matrix.chat_past import ChatPast
from adapters.matrix.coming import Coming
from adapters.matrix.destroying import Destroying
from adapters.matrix.errors import code_of, status_of
from adapters.matrix.filters import Mode
from adapters.matrix.gaps import gaps
from adapters.matrix.garbage import Pause
from adapters.matrix.group_sync import to_be_listed
from adapters.matrix.http import Answer, Api
from adapters.matrix.inbound import Event, display_name
from adapters.matrix.ledger import Ledger
from adapters.matrix.login import Credentials
from adapters.matrix.managing import COMING, ENDING, RULING, Action, done_by
from adapters.matrix.media import AVATAR_URL, Media, avatar_in
from adapters.matrix.members import Members
from adapters.matrix.muting import mute, muted
from adapters.matrix.opening import Opening
from adapters.matrix.outbound import Outbound
from adapters.matrix.own_people import Blocking, listed, report
from adapters.matrix.pace import Pace
from adapters.matrix.parts import MAX_EVENTS, Outcome, Tally
from adapters.matrix.past import Past
from adapters.matrix.polling import Polling
from adapters.matrix.presences import Contacts, Own
from adapters.matrix.rooms import RoomId
from adapters.matrix.ruling import Ruling
from adapters.matrix.searching import search
from adapters.matrix.settings import MatrixSettings
from adapters.matrix.sync import NOTHING, translate
from adapters.matrix.typists import GroupTypists, Typists
from adapters.matrix.unread_chats import fetch_unread
from gateway.adapter import (
    AccountContext,
    Contact,
    Download,
    EncryptionFlow,
    HistoryPage,
    ListedContact,
    Muted,
    OwnPicture,
    Poll,
    Sent,
    Session,
)
from gateway.errors import AdapterError, AuthExpired, Transient, Unsupported
from gateway.events import (
    Command,
    FoundPerson,
    FoundRooms,
    Presence,
    RemoteMessage,
    RoomAction,
    SearchPeople,
    SearchRooms,
)
from gateway.ids import RemoteMessageId, RemoteRoomId, RemoteUserId
from gateway.text.wording import tr

if TYPE_CHECKING:
    from adapters.matrix.e2e.encryption import Encryption

_FIND_S = 4.5


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
        self._presences = Contacts(account, lambda: self._api)
        self._own_presence = Own(account, lambda: self._api)
        self._members = Members(account, lambda: self._api)
        self._blocking = Blocking(account.remote_id, lambda: self._api)
        self._polling = Polling(
            account, lambda: self._api, self._ledger, self._own_presence, settings
        )

    @cached_property
    def _credentials(self) -> Credentials:
        """Raises `AuthExpired` if the secret is none of ours."""
        try:
            return Credentials.decoded(self._account.secret)
        except msgspec.MsgspecError as error:
            raise AuthExpired(tr("The stored login cannot be read.")) from error

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
        opening = Opening(
            self._account, self._api, self._ledger, self._polling.is_live, encryption
        )
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

    async def search_people(self, wanted: SearchPeople) -> Sequence[FoundPerson]:
        """In the directory of the homeserver."""
        return await people.search(self._api, wanted)

    @cached_property
    def _past(self) -> Past:
        return Past(self._account, lambda: self._api, self._ledger, lambda: self._encryption)

    @cached_property
    def _chat_past(self) -> ChatPast:
        return ChatPast(self._account, lambda: self._api, self._ledger, lambda: self._encryption)

    async def run(self) -> None:
        """Poll until cancelled. See `gateway.adapter.Session.run`."""
        since = self._account.cursor
        mode = Mode.FIRST if since is None else Mode.NEXT
        timeout_s, is_connected = 0, False
        pace = Pace(self._account.clock)
        if mode is Mode.NEXT:
            book = self._ledger.book
            self._presences.begin(book.contacts() - book.strangers())
        awake = asyncio.create_task(self._own_presence.keep())
        asking = asyncio.create_task(self._presences.ask())
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
                        answer = await self._polling.poll(since, mode, timeout_s, pause.begin)
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
            asking.cancel()
            if keys is not None:
                keys.cancel()
            self._polling.forget()
            self._typists.forget()
            self._group_typists.forget()

    async def _take(self, answer: Answer, mode: Mode) -> str:
        """Make an answer durable; returns the cursor after it."""
        content, account = answer.content, self._account.remote_id
        cursor = content.get("next_batch")
        if not isinstance(cursor, str) or not cursor.isprintable() or not cursor:
            raise Transient(tr("The homeserver's answer is not one of Matrix."))
        found = await beside(answer.is_large, gaps, content, self._ledger.book, mode, account)
        if mode is Mode.FIRST:
            fills = await fetch_unread(self._api, content, account, self._settings.unread)
        else:
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
        book = self._ledger.book
        self._presences.take(content, mode, book.contacts(), book.strangers())
        tally.log(self._account.log)
        if tally.unknown:
            self._polling.want_state()
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
        if self._members.has_more:
            self._polling.hurry()
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

    async def download(self, reference: str, start: int = 0, *, in_part: bool = False) -> Download:
        """See `gateway.adapter.Session.download`."""
        return await self._media.download(reference, start, in_part=in_part)

    async def history(
        self, room: RemoteRoomId, before: str | None, known: RemoteMessageId | None, limit: int
    ) -> HistoryPage:
        """See `gateway.adapter.Session.history`."""
        return await self._past.page(room, before, known, limit)

    async def tell_rooms(self, rooms: Sequence[RemoteRoomId] | None) -> None:
        """See `gateway.adapter.Session.tell_rooms`."""
        await self._ledger.tell_anew(None if rooms is None else map(RoomId, rooms))
        self._polling.wake()

    async def set_typing(self, contact: RemoteUserId, active: bool) -> None:
        """See `gateway.adapter.Session.set_typing`."""
        await self._outbound.set_typing(contact, active)

    async def set_room_typing(self, room: RemoteRoomId, active: bool) -> None:
        """See `gateway.adapter.Session.set_room_typing`."""
        await self._outbound.set_room_typing(room, active)

    async def set_presence(self, presence: Presence) -> None:
        """See `gateway.adapter.Session.set_presence`."""
        await self._own_presence.set(presence)

    async def set_profile(
        self, *, name: str | None = None, picture: OwnPicture | None = None
    ) -> None:
        """Spec, "PUT /profile/{userId}/displayname", "PUT /profile/{userId}/avatar_url"."""
        path = ("profile", self._account.remote_id)
        if name is not None:
            await self._api.put(*path, "displayname", body={"displayname": name})
        if picture is not None:
            data, kind = picture.data, picture.media_type
            uri = await self._media.upload(data, kind) if data else ""
            await self._api.put(*path, AVATAR_URL, body={AVATAR_URL: uri})

    def encryption(self) -> EncryptionFlow:
        """See `gateway.adapter.Session.encryption`."""
        if self._encryption is None:
            raise Unsupported(tr("End-to-end encryption is switched off in this gateway."))
        return self._encryption.flow()

    async def find(self, contact: RemoteUserId) -> Contact:
        """Spec, "GET /profile/{userId}"."""
        try:
            async with asyncio.timeout(_FIND_S):
                profile = await self._api.get("profile", contact)
                return Contact(name=display_name(profile), avatar=avatar_in(profile, AVATAR_URL))
        except TimeoutError as error:
            raise Transient(tr("The homeserver did not answer in time.")) from error

    async def contacts(self) -> Sequence[ListedContact]:
        """See `gateway.adapter.Session.contacts`."""
        return listed(self._ledger.book)

    async def block(self, contact: RemoteUserId, is_blocked: bool) -> None:
        """See `gateway.adapter.Session.block`."""
        await self._blocking.set(contact, is_blocked)

    async def report(self, contact: RemoteUserId, reason: str) -> None:
        """See `gateway.adapter.Session.report`."""
        await report(self._api, contact, reason)

    async def mute(
        self, contact: RemoteUserId | None, room: RemoteRoomId | None, is_muted: bool
    ) -> None:
        """See `gateway.adapter.Session.mute`."""
        await mute(self._api, self._ledger.book, contact, room, is_muted)

    async def muted(self) -> Muted:
        """See `gateway.adapter.Session.muted`."""
        return await muted(self._api, self._ledger.book)

    async def poll(self, contact: RemoteUserId | None, room: RemoteRoomId | None) -> Poll | None:
        """See `gateway.adapter.Session.poll`."""
        return self._outbound.voting.poll(contact, room)

    async def vote(self, poll: Poll, answers: Sequence[int]) -> None:
        """See `gateway.adapter.Session.vote`."""
        await self._outbound.voting.vote(poll, answers)

    async def last_said(self, contact: RemoteUserId, most: int) -> Sequence[RemoteMessage]:
        """See `gateway.adapter.Session.last_said`."""
        return await self._chat_past.last_said(contact, most)

    async def log_out(self) -> None:
        """Spec, "POST /logout". A login that is gone already is what was wanted."""
        try:
            await self._api.post("logout")
        except AuthExpired:
            self._account.log.debug("already_logged_out")


def _is_cursor_refused(error: AdapterError) -> bool:
    return code_of(error) == "M_UNKNOWN_POS" or status_of(error) == 400
