# SPDX-License-Identifier: Apache-2.0
"""The gateway's own bot, which speaks in linked groups for people without an account: what it
hears of people, and how they link a group.

Who administers a group sends the code there, and by answers to what people on XMPP have said puts
them out. Nobody else gets an answer, and nobody many. Of other
groups, and of those who write to the bot alone, nothing is handed over.
"""

from __future__ import annotations

import asyncio
import enum
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from telegram import Bot
from telegram.constants import ChatType
from telegram.error import BadRequest, ChatMigrated, Forbidden, TelegramError

from adapters.telegram import ids
from adapters.telegram.administrators import Administrators
from adapters.telegram.commands import LINK, START, UNLINK, VERDICTS, Command, command_in
from adapters.telegram.groups import Groups
from adapters.telegram.looking import Raw, group_in
from adapters.telegram.request import SharedRequest, TooMany
from gateway.adapter import AccountContext, Clock
from gateway.ids import RemoteRoomId
from gateway.text.wording import joined, tr

_ASK_S = 5.0
_COMMAND_EVERY_S, _GREET_EVERY_S = 5.0, 3_600.0
_MOST_HEARD = 1_000
_GREETING = tr(
    "This bot carries what is said in a group to people on XMPP, and what they say to the group. "
    "It reads nothing here. To link a group, get a code from the gateway, put the bot into the "
    "group, and let the owner of the group send /link there with the code."
)
_WHOM = tr("Send this as an answer to what somebody on XMPP has said here.")
_MAY_NOT_BAN = tr("Only administrators who may ban people in this group can do this.")
_WHO = tr(
    "You are anonymous in this group, so the bot cannot tell who of its administrators you are. "
    "Turn that off, and send it again."
)
_NO_CODE = tr("Send /link and after it the code that the gateway has given.")


class Heard(enum.Enum):
    """What counts of an update."""

    NOTHING = enum.auto()
    GROUP = enum.auto()
    """Only what its group is."""
    ALL = enum.auto()


@dataclass(frozen=True, slots=True)
class _Answer:
    chat: int
    text: str
    message: int | None = None
    """Which one it answers."""

    def arguments(self) -> dict[str, Any]:
        """Of sendMessage."""
        values: dict[str, Any] = {"chat_id": self.chat, "text": self.text}
        if self.message is not None:
            answered = {"message_id": self.message, "allow_sending_without_reply": True}
            values["reply_parameters"] = answered
        return values


class _Pace:
    """How often somebody is heard."""

    def __init__(self, clock: Clock, every_s: float) -> None:
        self._clock = clock
        self._every_s = every_s
        self._last: dict[tuple[int | str, ...], float] = {}

    def is_due(self, *who: int | str) -> bool:
        """Whether they may be heard again; if there are very many of late, not."""
        now = self._clock.monotonic()
        if now - self._last.get(who, now - self._every_s) < self._every_s:
            return False
        if len(self._last) >= _MOST_HEARD:
            recent = self._last.items()
            self._last = {each: at for each, at in recent if now - at < self._every_s}
        if len(self._last) >= _MOST_HEARD:
            return False
        self._last[who] = now
        return True


class Relay:
    """Of the bot of one network."""

    def __init__(
        self,
        account: AccountContext,
        bot: Bot,
        request: SharedRequest,
        groups: Groups,
        called: Callable[[str], None],
    ) -> None:
        """``called`` is told the user name of the bot."""
        self._account = account
        self._called = called
        self._bot = bot
        self._request = request
        self._groups = groups
        self._administrators = Administrators(self._ask, account.clock)
        self._commands = _Pace(account.clock, _COMMAND_EVERY_S)
        self._greetings = _Pace(account.clock, _GREET_EVERY_S)
        self._answers: list[_Answer] = []
        self._name = ""

    async def heard(self, update: Raw) -> Heard:
        """What counts of an update. Raises `StoreUnavailable`."""
        message: Raw = update.get("message") or {}
        chat = group_in(update)
        if "poll" in update:  # which does not say where it is
            return Heard.ALL
        try:
            command = None if chat is None else command_in(message, self._account.remote_id)
            if chat is None:
                self._greet(message)
                return Heard.NOTHING
        except (AttributeError, KeyError, TypeError):
            return Heard.ALL  # nobody understands it, which is told like of others
        room = self._groups.room_of(message.get("migrate_from_chat_id") or chat["id"])
        if command is not None and await self._is_ours(command):
            return await self._obeyed(room, command)
        if room in self._account.linked_rooms():
            return Heard.ALL
        self._groups.forget(room)
        return Heard.NOTHING

    async def answer(self) -> None:
        """Say what there is to say, after the commit: what is said twice is worse than what is
        not. Errors are ignored, but where nothing is answered the rest is not said either, and
        where a pause is wanted nothing more in that chat."""
        answers, self._answers = self._answers, []
        paused: set[int] = set()
        for each in answers:
            if each.chat in paused:
                continue
            try:
                await self._ask("sendMessage", **each.arguments())
            except (BadRequest, Forbidden, ChatMigrated):
                continue
            except TooMany:
                paused.add(each.chat)
            except (TelegramError, TimeoutError):
                return

    def _greet(self, message: Raw) -> None:
        chat = message.get("chat") or {}
        if chat.get("type") == ChatType.PRIVATE and self._greetings.is_due(chat["id"]):
            self._say(chat["id"], _GREETING)

    def _say(self, chat: int, text: str, message: int | None = None) -> None:
        self._answers.append(_Answer(chat, self._account.worded(text), message))

    # --- commands -------------------------------------------------------------------------------

    async def _is_ours(self, command: Command) -> bool:
        if command.of:
            return command.of == await self.own_name()
        return command.is_ours_unnamed

    async def _obeyed(self, room: RemoteRoomId, command: Command) -> Heard:
        """Done, if whoever wants it administers the group."""
        name, chat = command.name, command.chat
        is_linked = room in self._account.linked_rooms()
        is_code = name == LINK or (name == START and command.said)
        is_verdict = name in VERDICTS and is_linked
        if not (is_code or is_verdict or name == UNLINK):
            return Heard.NOTHING
        rank = await self._administrators.rank(chat, command.sender, is_linked=is_linked)
        about = command.answered or 0
        if rank is None or not self._commands.is_due(chat, command.sender, name, about):
            return Heard.NOTHING
        if is_code:
            return await self._link(room, command, is_owner=rank.is_owner)
        if name == UNLINK:
            said = await self._account.unlink_room(room)
        elif not rank.may_ban:
            said = _WHO if command.is_anonymous else _MAY_NOT_BAN
        elif command.answered is None:
            said = _WHOM
        else:
            message = ids.message_id(chat, command.answered)
            said = await self._account.put_out(room, message, VERDICTS[name])
        self._say(chat, said, command.message)
        return Heard.NOTHING

    async def _link(self, room: RemoteRoomId, command: Command, *, is_owner: bool) -> Heard:
        account = self._account
        if not command.said:
            self._say(command.chat, _NO_CODE, command.message)
            return Heard.NOTHING
        if room not in account.linked_rooms() and self._groups.forget(room):
            # However this ends: once it is linked, all of it is told.
            await account.commit([], state=self._groups.changes())
        said = await account.link_room(room, command.said, is_owner=is_owner)
        is_linked = room in account.linked_rooms()
        if command.is_anonymous and not (is_owner or is_linked):
            said = joined((said, _WHO), "\n")
        self._say(command.chat, said, command.message)
        return Heard.GROUP if is_linked else Heard.NOTHING

    async def own_name(self) -> str:
        """The user name of the bot, in lower case; empty if Telegram does not answer."""
        if not self._name and self._commands.is_due("getMe"):
            try:
                name = str((await self._ask("getMe"))["username"])
            except (TelegramError, TimeoutError, KeyError, TypeError):
                return ""
            self._name = name.lower()
            self._called(name)
        return self._name

    async def _ask(self, method: str, **values: Any) -> Any:
        async with asyncio.timeout(_ASK_S):
            url = f"{self._bot.base_url}/{method}"
            return await self._request.call(url, values, _ASK_S)
