# SPDX-License-Identifier: Apache-2.0
"""What a group is and who administers it: asked for when something happens there, and once a day,
since bots are not told when that changes.

Bot API, getChat, getChatAdministrators, getChatMemberCount, getMe. Not by the library, which takes
no answer of a server that is older than itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from telegram import Bot, ChatMember
from telegram.constants import ChatType
from telegram.error import BadRequest, Forbidden, TelegramError

from adapters.telegram.groups import Facts, Shape
from adapters.telegram.known import Known
from adapters.telegram.pictures import picture_of
from adapters.telegram.request import SharedRequest, TooMany
from adapters.telegram.rights import affiliation_of, rights_in
from gateway.adapter import Clock
from gateway.events import Affiliation, Member
from gateway.ids import RemoteUserId
from gateway.text import clean

_LOOK_S = 5.0
_AGAIN_S, _REFUSED_S = 86_400.0, 600.0
"""After so long it is asked for again."""
_REST_S = 60.0
"""So long nothing is asked for when there was no answer: what is said waits for that."""
_MOST_GROUPS = 5_000
"""So many are known not to be asked about; those that were asked about last."""
_RULERS = {ChatMember.OWNER: Affiliation.OWNER, ChatMember.ADMINISTRATOR: Affiliation.ADMIN}
_PICTURED = ("new_chat_photo", "delete_chat_photo")
Raw = Mapping[str, Any]


def group_in(update: Raw) -> Raw | None:
    """The chat that an update is about, if that is a group."""
    for about in update.values():
        chat = about.get("chat") if isinstance(about, dict) else None
        if isinstance(chat, dict) and chat.get("type") in (ChatType.GROUP, ChatType.SUPERGROUP):
            return chat if isinstance(chat.get("id"), int) else None
    return None


def _is_other(update: Raw) -> bool:
    """The bot may be told more than before, or anything again; or the group has another picture,
    which is not called as in the message that says so."""
    message = update.get("message")
    is_pictured = isinstance(message, dict) and not message.keys().isdisjoint(_PICTURED)
    return "my_chat_member" in update or is_pictured


def named(about: Raw) -> str:
    """What a person or a group calls itself."""
    names = (about.get("title"), about.get("first_name"), about.get("last_name"))
    return " ".join(clean(" ".join(each for each in names if isinstance(each, str))).split())


def ruler(about: Raw, own: RemoteUserId) -> Member | None:
    """An administrator who does not hide it; None of anybody else. ``own``: the bot."""
    affiliation = _RULERS.get(about.get("status", ""))
    if affiliation is None or about.get("is_anonymous"):
        return None
    user, id = about["user"], RemoteUserId(str(about["user"]["id"]))
    if id == own:
        affiliation = affiliation_of(rights_in(about))
    return Member(
        user=id,
        name=named(user),
        affiliation=affiliation,
        title=clean(about.get("custom_title") or ""),
    )


class Looks:
    """Of one bot."""

    def __init__(self, bot: Bot, request: SharedRequest, clock: Clock, known: Known) -> None:
        self._bot = bot
        self._own = known.own
        self._request = request
        self._clock = clock
        self._groups = known.groups
        self._usernames = known.usernames
        self._due: dict[int, float] = {}
        self._rests_until = 0.0
        self._me: Raw | None = None

    def again(self, chat: int) -> None:
        """What is known of a group does not count any more."""
        self._due.pop(chat, None)

    async def before(self, update: Raw) -> None:
        """Ask, if an update is about a group of which that is not known. If it cannot be known,
        what the update itself says has to do."""
        chat = group_in(update)
        if chat is None:
            return
        now = self._clock.monotonic()
        if _is_other(update):
            self.again(chat["id"])
        if now >= max(self._due.get(chat["id"], now), self._rests_until):
            await self.at(chat["id"])

    async def at(self, chat: int) -> None:
        """Ask what a group is, so that it can be told."""
        now = self._clock.monotonic()
        try:
            async with asyncio.timeout(_LOOK_S):
                facts = await self._facts(chat)
        except (BadRequest, Forbidden):
            facts = None
        except TooMany as error:
            self._rests_until = now + max(error.seconds, _REST_S)
            return
        except (TelegramError, TimeoutError):
            self._rests_until = now + _REST_S
            return
        if facts is not None:
            self._groups.learn(self._groups.room_of(chat), facts)
        self._due.pop(chat, None)
        self._due[chat] = now + (_REFUSED_S if facts is None else _AGAIN_S)
        if len(self._due) > _MOST_GROUPS:
            del self._due[next(iter(self._due))]

    async def _facts(self, chat: int) -> Facts | None:
        """None of an answer that nobody understands."""
        if self._me is None:
            self._me = await self._ask("getMe", {})
        about = await self._ask("getChat", {"chat_id": chat})
        ruling = await self._ask("getChatAdministrators", {"chat_id": chat})
        people = await self._ask("getChatMemberCount", {"chat_id": chat})
        try:
            for user in (self._me, *(each["user"] for each in ruling)):
                self._usernames.learn(user["id"], user.get("username"))
            return Facts(
                Shape(
                    named(about),
                    clean(about.get("description") or ""),
                    clean(about.get("username") or ""),
                    next(filter(None, map(self._own_rights, ruling)), ()),
                    picture_of(about),
                    shows_past=bool(about.get("has_visible_history")),
                    people=people if isinstance(people, int) else None,
                ),
                tuple(filter(None, (ruler(each, self._own) for each in ruling))),
                named(self._me),
                bool(self._me.get("can_read_all_group_messages")),
            )
        except (AttributeError, KeyError, TypeError):
            return None

    def _own_rights(self, about: Raw) -> tuple[str, ...]:
        return rights_in(about) if str(about["user"]["id"]) == self._own else ()

    async def _ask(self, method: str, values: Raw) -> Any:
        return await self._request.call(f"{self._bot.base_url}/{method}", values, _LOOK_S)
