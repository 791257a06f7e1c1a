# SPDX-License-Identifier: Apache-2.0
"""Pictures of people and of groups: what they are called, who has which, and their bytes.

Bot API, "ChatFullInfo", "ChatPhoto", getChat, getFile. No update tells of somebody's picture, so
it is looked for when the bot hears of somebody, and then once a day at the most, in the background
and at a pace. That of a group comes with what else is asked about it; see
`adapters.telegram.looking`.

What Telegram calls the bytes is good only until there is another picture. So a picture is called
by whose it is and its ``file_unique_id``, and when it is wanted, the bytes are asked for anew.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from typing import Any, Final

from telegram import Bot
from telegram.error import BadRequest, TelegramError
from telegram.error import Forbidden as Refused

from adapters.telegram import ids
from adapters.telegram.downloads import Downloads
from adapters.telegram.errors import error_of
from adapters.telegram.request import SharedRequest, TooMany
from gateway.adapter import AccountContext
from gateway.errors import NotFound, TooLarge
from gateway.events import (
    RemoteEvent,
    RemoteMember,
    RemoteMessage,
    RemoteProfile,
    RemoteRoom,
    RemoteRoomMessage,
)
from gateway.ids import RemoteUserId
from gateway.text.wording import tr

_KEY = "picture "
_MOST: Final = 2_000
"""People of one account of whom it is known: those who were looked at last."""
_AGAIN_S = 86_400
_MOST_WANTED = 1_000
"""Who is not looked at now is when they are heard of the next time."""
_PACE_S, _REST_S = 1.0, 60.0
_LOOK_S = 10.0
_LARGEST = 8 * 1024 * 1024
_REFERENCE = re.compile(r"(-?\d{1,20}) ([\w-]{1,100})", re.ASCII)
_GONE = tr("This picture is not there any more.")
Events = Callable[[], Iterable[RemoteEvent]]


def picture_of(about: Mapping[str, Any]) -> str:
    """What the gateway calls the picture of a chat, by a ChatFullInfo; empty if it has none."""
    photo = about.get("photo")
    unique = photo.get("big_file_unique_id") if isinstance(photo, dict) else None
    reference = f"{about.get('id')} {unique}"
    return reference if unique and _REFERENCE.fullmatch(reference) else ""


class Faces:
    """Who has which picture, as the state of one account has it. No I/O."""

    def __init__(self, state: Mapping[str, str]) -> None:
        self._known: dict[RemoteUserId, tuple[int, str]] = {}
        """When somebody was looked at, and what was seen; the oldest first."""
        self._changes: dict[str, str | None] = {}
        kept = (
            (RemoteUserId(key.removeprefix(_KEY)), value.partition(" "))
            for key, value in state.items()
            if key.startswith(_KEY)
        )
        for user, (at, _, picture) in sorted(kept, key=lambda each: int(each[1][0])):
            self._known[user] = int(at), picture

    def changes(self) -> dict[str, str | None]:
        """Of the state, since this was asked last."""
        changes, self._changes = self._changes, {}
        return changes

    def of(self, user: RemoteUserId) -> str:
        """Empty if they have none, or it is not known."""
        return self._known.get(user, (0, ""))[1]

    def seen(self, user: RemoteUserId) -> str | None:
        """The same; None if it is not known."""
        return self._known[user][1] if user in self._known else None

    def is_due(self, user: RemoteUserId, now: float) -> bool:
        """Whether it is time to look at somebody."""
        return not 0 <= now - self._known.get(user, (-_AGAIN_S, ""))[0] < _AGAIN_S

    def learn(self, user: RemoteUserId, picture: str, now: float) -> bool:
        """Somebody was looked at. Returns whether that is news; of whom nothing is known any more
        it may be that there is no picture."""
        is_crowded = len(self._known) >= _MOST
        before = self._known.pop(user, None)
        self._known[user] = int(now), picture
        self._changes[_KEY + user] = f"{int(now)} {picture}"
        if len(self._known) > _MOST:
            oldest = next(iter(self._known))
            del self._known[oldest]
            self._changes[_KEY + oldest] = None
        return bool(picture) or is_crowded if before is None else before[1] != picture


class Asking:
    """What is asked of Telegram about pictures."""

    def __init__(self, bot: Bot, request: SharedRequest, downloads: Downloads) -> None:
        self._url = f"{bot.base_url}/getChat"
        self._request = request
        self._downloads = downloads

    async def about(self, chat: str) -> Mapping[str, Any]:
        """A ChatFullInfo. Not by the library, which takes no answer of a server that is older than
        itself. Raises `TelegramError`."""
        about = await self._request.call(self._url, {"chat_id": int(chat)}, _LOOK_S)
        return about if isinstance(about, dict) else {}

    async def bytes_of(self, file: str) -> bytes:
        """All of a file. Raises any `AdapterError`."""
        download = await self._downloads.open(file, 0)
        data = bytearray()
        try:
            async for chunk in download.chunks:
                data += chunk
                if len(data) > _LARGEST:
                    raise TooLarge(tr("This picture is too large."))
        finally:
            await download.close()
        return bytes(data)


class Pictures:
    """Of one bot."""

    def __init__(
        self,
        account: AccountContext,
        asking: Asking,
        faces: Faces,
        tell: Callable[[Events], Awaitable[None]],
        pictured: Callable[[RemoteUserId], Iterable[RemoteEvent]],
    ) -> None:
        """``tell`` has the gateway store something; ``pictured``: what there is to tell when
        somebody has another picture."""
        self._account = account
        self._asking = asking
        self._faces = faces
        self._tell = tell
        self._pictured = pictured
        self._wanted: dict[RemoteUserId, None] = {}
        self._work = asyncio.Event()

    def heard(self, events: Iterable[RemoteEvent]) -> None:
        """People are to be looked at of whom something was told."""
        now = self._account.clock.now()
        for user in (ids.face_of(user) for event in events for user in _people(event)):
            is_somebody = ids.is_person(user) and user != self._account.remote_id
            if is_somebody and self._faces.is_due(user, now):
                self._want(user)

    def _want(self, user: RemoteUserId) -> None:
        if len(self._wanted) < _MOST_WANTED:
            self._wanted[user] = None
            self._work.set()

    async def run(self) -> None:
        """Look at who is wanted, until cancelled."""
        while True:
            await self._work.wait()
            user = next(iter(self._wanted))
            del self._wanted[user]
            pause_s = await self._look(user)
            if not self._wanted:
                self._work.clear()
            await self._account.clock.sleep(pause_s)

    async def _look(self, user: RemoteUserId) -> float:
        """Returns how long to wait then. Who cannot be asked about has the picture they had."""
        try:
            picture = picture_of(await self._asking.about(user))
        except (BadRequest, Refused):
            picture = self._faces.of(user)
        except TelegramError as error:
            self._want(user)
            return max(error.seconds, _PACE_S) if isinstance(error, TooMany) else _REST_S
        if self._faces.learn(user, picture, self._account.clock.now()):
            await self._tell(lambda: self._pictured(user))
        return _PACE_S

    async def fetch(self, reference: str) -> bytes:
        """See `gateway.adapter.Session.avatar`."""
        named = _REFERENCE.fullmatch(reference)
        if named is None:
            raise NotFound(_GONE)
        try:
            about = await self._asking.about(named[1])
        except TelegramError as error:
            raise error_of(error, is_group=ids.is_group(named[1])) from None
        if picture_of(about) != reference:
            raise NotFound(_GONE)
        return await self._asking.bytes_of(str(about["photo"].get("big_file_id", "")))


def _people(event: RemoteEvent) -> Iterator[RemoteUserId]:
    match event:
        case (
            RemoteProfile(contact=user)
            | RemoteMessage(contact=user)
            | RemoteRoomMessage(sender=user)
        ):
            yield user
        case RemoteMember(member=member):
            yield member.user
        case RemoteRoom(members=members):
            yield from (member.user for member in members or ())
