# SPDX-License-Identifier: Apache-2.0
"""The gateway's own bot, which speaks in linked groups for people without an account: what it
hears of people, and how they link a group.

Who administers a group sends the code there (Bot API, getChatAdministrators). Of other groups, and
of those who write to the bot alone, nothing is handed over. Nobody else gets an answer to a code,
and nobody many.
"""

from __future__ import annotations

import asyncio
import enum
import re
from dataclasses import dataclass
from typing import Any, Final

from telegram import Bot, ChatMember
from telegram.constants import ChatType
from telegram.error import BadRequest, ChatMigrated, Forbidden, TelegramError

from adapters.telegram import ids
from adapters.telegram.groups import Groups
from adapters.telegram.looking import Raw, group_in
from adapters.telegram.request import SharedRequest
from gateway.adapter import AccountContext, Clock
from gateway.events import Departure
from gateway.ids import RemoteRoomId
from gateway.text.wording import tr

_ASK_S = 5.0
_COMMAND = re.compile(r"/([a-z_0-9]{1,32})(?:@([a-z_0-9]{1,32}))?(?:\s+(.*))?", re.I | re.S)
"""At the beginning of a text. Bot API, "BotCommand"; apps add the name of the bot in groups."""
_VERDICTS: Final = {
    "kick": Departure.KICKED,
    "ban": Departure.BANNED,
    "unban": Departure.LEFT,
}
"""What becomes of somebody on XMPP whose words a command answers."""
_OURS: Final = ("link", "unlink", *_VERDICTS)
_START = "start"
"""What apps send when somebody puts a bot into a group by a link: ``t.me/bot?startgroup=CODE``."""
_COMMAND_EVERY_S, _GREET_EVERY_S = 5.0, 3_600.0
_MOST_HEARD = 1_000
_GREETING = tr(
    "This bot carries what is said in a group to people on XMPP, and what they say to the group. "
    "It reads nothing here. To link a group, get a code from the gateway, put the bot into the "
    "group, and let one of its administrators send /link there with the code."
)
_WHOM = tr("Send this as an answer to what somebody on XMPP has said here.")
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
        self, account: AccountContext, bot: Bot, request: SharedRequest, groups: Groups
    ) -> None:
        self._account = account
        self._bot = bot
        self._request = request
        self._groups = groups
        self._commands = _Pace(account.clock, _COMMAND_EVERY_S)
        self._greetings = _Pace(account.clock, _GREET_EVERY_S)
        self._answers: list[_Answer] = []
        self._name = ""

    async def heard(self, update: Raw) -> Heard:
        """What counts of an update. Raises `StoreUnavailable`."""
        try:
            return await self._heard(update)
        except (AttributeError, KeyError, TypeError, ValueError):
            return Heard.ALL  # nobody understands it, which is told like of others

    async def _heard(self, update: Raw) -> Heard:
        message: Raw = update.get("message") or {}
        chat = group_in(update)
        if chat is None:
            self._greet(message)
            return Heard.NOTHING
        room = self._groups.room_of(message.get("migrate_from_chat_id") or chat["id"])
        command = await self._command(message)
        if command is not None:
            return await self._obeyed(room, message, *command)
        if room in self._account.linked_rooms():
            return Heard.ALL
        self._groups.forget(room)
        return Heard.NOTHING

    async def answer(self) -> None:
        """Say what there is to say, after the commit: what is said twice is worse than what is
        not. Errors are ignored, but where nothing is answered the rest is not said either."""
        answers, self._answers = self._answers, []
        for each in answers:
            values: dict[str, Any] = {"chat_id": each.chat, "text": each.text}
            if each.message is not None:
                answered = {"message_id": each.message, "allow_sending_without_reply": True}
                values["reply_parameters"] = answered
            try:
                await self._ask("sendMessage", **values)
            except (BadRequest, Forbidden, ChatMigrated):
                continue
            except (TelegramError, TimeoutError):
                return

    def _greet(self, message: Raw) -> None:
        chat = message.get("chat") or {}
        if chat.get("type") == ChatType.PRIVATE and self._greetings.is_due(chat["id"]):
            self._say(chat["id"], _GREETING)

    def _say(self, chat: int, text: str, message: int | None = None) -> None:
        self._answers.append(_Answer(chat, self._account.worded(text), message))

    # --- commands -------------------------------------------------------------------------------

    async def _command(self, message: Raw) -> tuple[str, str] | None:
        """What somebody wants of this bot, and what they say to it; None if they do not."""
        found = _COMMAND.fullmatch(message.get("text") or "")
        if found is None or "forward_origin" in message or "via_bot" in message:
            return None
        name, of, said = found[1].lower(), found[2], found[3] or ""
        if of is None:
            return (name, said.strip()) if name in _OURS else None
        if of.lower() != await self._own_name():
            return None
        return name, said.strip()

    async def _obeyed(self, room: RemoteRoomId, message: Raw, name: str, said: str) -> Heard:
        chat, number = message["chat"]["id"], message["message_id"]
        is_wanted = name in _OURS or (name == _START and said)
        if not is_wanted or not self._commands.is_due(chat, _sender(message), name):
            return Heard.NOTHING
        is_owner = await self._owns(message)
        if is_owner is None:
            return Heard.NOTHING
        if (verdict := _VERDICTS.get(name)) is not None:
            await self._decide(room, message, verdict)
            return Heard.NOTHING
        if name == "unlink":
            self._say(chat, await self._account.unlink_room(room), number)
            self._groups.forget(room)
            return Heard.NOTHING
        if not said:
            self._say(chat, _NO_CODE, number)
            return Heard.NOTHING
        if room not in self._account.linked_rooms() and self._groups.forget(room):
            # However this ends: once it is linked, all of it is told.
            await self._account.commit([], state=self._groups.changes())
        self._say(chat, await self._account.link_room(room, said, is_owner=is_owner), number)
        return Heard.GROUP if room in self._account.linked_rooms() else Heard.NOTHING

    async def _decide(self, room: RemoteRoomId, message: Raw, verdict: Departure) -> None:
        """About somebody on XMPP, by an answer to what this bot has said for them."""
        answered: Raw = message.get("reply_to_message") or {}
        if room not in self._account.linked_rooms():
            return
        said: str = _WHOM
        if str((answered.get("from") or {}).get("id")) == self._account.remote_id:
            about = ids.message_id(message["chat"]["id"], answered["message_id"])
            said = await self._account.put_out(room, about, verdict)
        self._say(message["chat"]["id"], said, message["message_id"])

    async def _owns(self, message: Raw) -> bool | None:
        """Whether a group is that of who has sent a message there; None if they do not administer
        it, or nobody can tell. One who hides is certainly the owner if nobody else does."""
        chat, sender = message["chat"]["id"], _sender(message)
        try:
            ruling = await self._ask("getChatAdministrators", chat_id=chat)
        except (TelegramError, TimeoutError):
            return None
        if sender == chat:
            hidden = [each for each in ruling if each.get("is_anonymous")]
            return [each["status"] for each in hidden] == [ChatMember.OWNER]
        for each in ruling:
            if each["user"]["id"] == sender:
                return bool(each["status"] == ChatMember.OWNER)
        return None

    async def _own_name(self) -> str:
        if not self._name:
            try:
                me = await self._ask("getMe")
            except (TelegramError, TimeoutError):
                return ""
            self._name = str(me.get("username") or "").lower()
        return self._name

    async def _ask(self, method: str, **values: Any) -> Any:
        async with asyncio.timeout(_ASK_S):
            url = f"{self._bot.base_url}/{method}"
            return await self._request.call(url, values, _ASK_S)


def _sender(message: Raw) -> int:
    """Administrators may speak as the group, and people as a channel of theirs."""
    about: Raw = message.get("sender_chat") or message.get("from") or {}
    return int(about.get("id", 0))
