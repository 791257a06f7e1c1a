# SPDX-License-Identifier: Apache-2.0
"""The live connection of one account: a bot that fetches its updates.

No request before all of the last answer is committed: what is asked for next tells Telegram what
it may forget.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property

from telegram import Bot
from telegram.error import Conflict, TelegramError

from adapters.telegram import ids
from adapters.telegram.connected_events import ConnectedEvents
from adapters.telegram.connected_looks import ConnectionLooks
from adapters.telegram.downloads import Downloads
from adapters.telegram.errors import STRANGER, error_of, spoken
from adapters.telegram.inbound import Inbound
from adapters.telegram.known import Known
from adapters.telegram.looking import Looks, group_in, named
from adapters.telegram.outbound import Outbound
from adapters.telegram.pictures import Asking, Pictures, picture_of
from adapters.telegram.polling import Cursor, Polling, Raw
from adapters.telegram.profiles import Profiles
from adapters.telegram.relay import Heard, Relay
from adapters.telegram.request import SharedRequest, TooMany
from adapters.telegram.ruling import Ruling
from adapters.telegram.settings import TelegramSettings
from adapters.telegram.unseen import Unseen
from gateway.adapter import AccountContext, Contact, Download, Sent, Session
from gateway.errors import AuthExpired, NotFound, Transient, Unsupported
from gateway.events import Command, RemoteEvent, RemoteNotice, RoomAction
from gateway.ids import RemoteMessageId, RemoteRoomId, RemoteUserId
from gateway.text import clean
from gateway.text.wording import tr

_FIND_S = 4.5
_LONGEST_PAUSE_S = 60.0
"""After a longer one, or several that are, the user is told why nothing comes."""
_DAY_S = 86_400
_NOTED_EVERY_S = 600.0


def bot_with(token: str, request: SharedRequest, settings: TelegramSettings) -> Bot:
    """The library's object for a bot, which has no connection of its own."""
    url = f"{settings.api_url}/bot"
    files = f"{settings.api_url}/file/bot"
    return Bot(
        token,
        base_url=url,
        base_file_url=files,
        request=request,
        get_updates_request=request,
        local_mode=settings.local_files is not None,
    )


class TelegramSession(Session):
    """One bot."""

    def __init__(
        self,
        account: AccountContext,
        request: SharedRequest,
        settings: TelegramSettings,
        called: Callable[[str], None],
    ) -> None:
        """``called`` is told the user name of the gateway's own bot."""
        self._account = account
        self._called = called
        self._request = request
        self._settings = settings
        self._unseen = Unseen()
        self._telling = asyncio.Lock()
        """What is known of groups is stored together with what was told of them."""
        self._failed: Exception | None = None
        self._note_at = 0.0
        """When it is stored again that Telegram has answered, if nothing comes before."""

    @cached_property
    def _bot(self) -> Bot:
        token = self._account.secret.decode(errors="replace")
        if ids.bot_of(token) is None:
            raise AuthExpired(tr("The stored login cannot be read."))
        return bot_with(token, self._request, self._settings)

    @cached_property
    def _outbound(self) -> Outbound:
        return Outbound(self._account, self._bot, self._known.groups, self._known.connected)

    @cached_property
    def _known(self) -> Known:
        return Known.read(self._account)

    @cached_property
    def _profiles(self) -> Profiles:
        return Profiles(self._known.faces)

    @cached_property
    def _pictures(self) -> Pictures:
        asking = Asking(self._bot, self._request, self._downloads)
        faces = self._known.faces
        return Pictures(self._account, asking, faces, self._tell, self._pictured)

    def _pictured(self, user: RemoteUserId) -> Iterator[RemoteEvent]:
        yield from self._profiles.pictured(user)
        yield from self._known.groups.pictured(user)

    @cached_property
    def _inbound(self) -> Inbound:
        known, clock = self._known, self._account.clock
        in_own_chats = ConnectedEvents(
            self._bot, known.own, known.connected, known.usernames, clock
        )
        return Inbound(self._bot, known, in_own_chats)

    @cached_property
    def _downloads(self) -> Downloads:
        local = self._settings.local_files
        return Downloads(self._account, self._bot, self._request, local)

    @cached_property
    def _looks(self) -> Looks:
        return Looks(self._bot, self._request, self._account.clock, self._known)

    @cached_property
    def _ruling(self) -> Ruling:
        return Ruling(self._account, self._bot, self._known.groups, self._looks.at, self._tell)

    @cached_property
    def _connection_looks(self) -> ConnectionLooks:
        known, clock = self._known.connected, self._account.clock
        return ConnectionLooks(self._bot, self._request, clock, known)

    @cached_property
    def _relay(self) -> Relay | None:
        if not self._account.is_house:
            return None
        groups = self._known.groups
        return Relay(self._account, self._bot, self._request, groups, self._called)

    async def run(self) -> None:
        """Poll until cancelled. See `gateway.adapter.Session.run`."""
        looking = asyncio.create_task(self._pictures.run())
        try:
            await self._poll(looking)
        finally:
            looking.cancel()

    async def _poll(self, looking: asyncio.Task[None]) -> None:
        polling = Polling(self._bot, self._request)
        cursor = Cursor.read(self._account.cursor)
        timeout_s, is_connected, paused_s = 0, False, 0.0
        if self._relay is not None:
            await self._relay.own_name()
        while True:
            if looking.done():
                looking.result()
            if is_connected:
                await self._account.ready()
            try:
                updates = await polling.fetch(cursor, self._account.clock.now(), timeout_s)
            except TooMany as error:  # what the user sends need not wait for that
                paused_s += error.seconds
                if paused_s > _LONGEST_PAUSE_S:
                    raise error_of(error) from None
                await self._account.clock.sleep(error.seconds)
                continue
            except TelegramError as error:
                if isinstance(error, Conflict):
                    await self._tell_conflict(error)
                raise error_of(error) from None
            cursor = await self._take(updates, cursor)
            if not is_connected:
                self._account.connected()
                is_connected = True
            timeout_s, paused_s = self._settings.poll_timeout, 0.0

    async def _take(self, updates: Sequence[Raw], cursor: Cursor | None) -> Cursor:
        """Make updates durable; returns the cursor after them."""
        async with self._telling:
            if self._failed is not None:
                raise self._failed
            after = await self._taken(updates, cursor)
        if self._relay is not None:
            await self._relay.answer()
        return after

    async def _taken(self, updates: Sequence[Raw], cursor: Cursor | None) -> Cursor:
        now, moment = self._account.clock.now(), self._account.clock.monotonic()
        if updates or cursor is None:
            last = max((update["update_id"] for update in updates), default=-1)
            after = Cursor(last + 1, now, now)
        else:
            after = replace(cursor, asked=now)
        found = self._gap(cursor, now)
        for each in updates:
            found += await self._events(each)
            await asyncio.sleep(0)  # many long ones take a while, and others want their turns
        if found or updates or moment >= self._note_at:
            await self._commit(found, after.written())
            self._note_at = moment + _NOTED_EVERY_S
        return after

    async def _events(self, update: Raw) -> Iterable[RemoteEvent]:
        """What an update says, as far as that counts."""
        heard = Heard.ALL if self._relay is None else await self._relay.heard(update)
        if heard is Heard.NOTHING:
            return ()
        if heard is Heard.GROUP and (chat := group_in(update)) is not None:
            self._looks.again(chat["id"])
            await self._looks.before(update)
            return self._known.groups.opened(self._known.groups.room_of(chat["id"]), named(chat))
        await self._looks.before(update)
        await self._connection_looks.before(update)
        return filter(self._unseen.is_news, self._inbound.events(update))

    async def _tell(self, events: Callable[[], Iterable[RemoteEvent]]) -> None:
        """Make durable what no update says. If that fails, or whoever waits for it does so no
        longer, nobody knows what the gateway was told, so the session ends."""
        async with self._telling:
            self._failed = Transient(tr("What was done in a group was not stored in time."))
            try:
                await self._commit(list(events()))
            except Exception as error:
                self._failed = error
                raise
            self._failed = None

    async def _commit(self, found: Sequence[RemoteEvent], cursor: str | None = None) -> None:
        news, shown = self._profiles.news(found)
        changes = self._known.changes()
        await self._account.commit(news, cursor=cursor, state=changes)
        self._profiles.told(shown)
        self._pictures.heard(news)

    def _gap(self, cursor: Cursor | None, now: float) -> list[RemoteEvent]:
        """What was lost is said, since nobody can fetch it any more."""
        silence_s = 0.0 if cursor is None else cursor.silence_s(now)
        if cursor is None or not silence_s:
            return []
        text = tr(
            "The gateway has fetched nothing from Telegram for {time}. Telegram keeps messages "
            "for 24 hours, so older ones are lost if there were any.",
            time=spoken(silence_s),
        )
        return [RemoteNotice(contact=None, id=RemoteMessageId(f"gap {cursor.asked}"), text=text)]

    async def _tell_conflict(self, error: Conflict) -> None:
        """Once a day: what is not fetched here is fetched by somebody else, and gone."""
        day = int(self._account.clock.now() // _DAY_S)
        notice = RemoteNotice(
            contact=None,
            id=RemoteMessageId(f"conflict {day}"),
            text=error_of(error).text,
        )
        await self._account.commit([notice])

    async def turn(self, command: Command) -> None:
        """See `gateway.adapter.Session.turn`."""
        await self._outbound.turn(command)

    async def send(self, command: Command, key: str) -> Sent:
        """See `gateway.adapter.Session.send`."""
        return await self._outbound.send(command, key)

    async def manage(self, action: RoomAction) -> RemoteRoomId | None:
        """See `gateway.adapter.Session.manage`."""
        await self._ruling.do(action)
        return None

    async def banned(self, room: RemoteRoomId) -> Sequence[RemoteUserId]:
        """Those of whom the bot has heard: Telegram gives bots no list."""
        return self._known.groups.banned(room, self._account.clock.now())

    async def set_typing(self, contact: RemoteUserId, active: bool) -> None:
        """Not claimed: bots are not told of it, and what they show lasts five seconds."""

    async def download(self, reference: str, start: int = 0, *, in_part: bool = False) -> Download:
        """See `gateway.adapter.Session.download`."""
        return await self._downloads.open(reference, start)

    async def avatar(self, reference: str) -> bytes:
        """See `gateway.adapter.Session.avatar`."""
        return await self._pictures.fetch(reference)

    async def find(self, contact: RemoteUserId) -> Contact:
        """Bot API, getChat: of people who have written to the bot, or to the user. Not by the
        library, which takes no answer of a server that is older than itself."""
        person = ids.person_of(contact)
        if person is None and not ids.is_person(contact):
            raise NotFound(STRANGER)
        try:
            async with asyncio.timeout(_FIND_S):
                about = {"chat_id": int(contact) if person is None else person}
                url = f"{self._bot.base_url}/getChat"
                chat = await self._request.call(url, about, _FIND_S)
        except TimeoutError:
            raise Transient(tr("Telegram did not answer in time. Please try again.")) from None
        except TelegramError as error:
            raise error_of(error, is_own_chat=person is not None) from None
        names = (chat.get("first_name"), chat.get("last_name")) if isinstance(chat, dict) else ()
        avatar = picture_of(chat) if isinstance(chat, dict) else None
        return Contact(name=" ".join(clean(" ".join(filter(None, names))).split()), avatar=avatar)

    async def log_out(self) -> None:
        """There is no method that ends a token: logOut and close are for moves between servers."""
        raise Unsupported(
            tr(
                "The token of your bot stays valid. To end it, send /revoke to @BotFather in "
                "Telegram."
            )
        )
