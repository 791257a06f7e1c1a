# SPDX-License-Identifier: Apache-2.0
"""What users do with groups while they wait for the answer.

Bot API, banChatMember, unbanChatMember, promoteChatMember, restrictChatMember, setChatTitle,
setChatDescription, setChatPhoto, deleteChatPhoto, deleteMessage, leaveChat. Bots cannot make or
end groups, come into one by themselves, or bring somebody in. Who was put out or may do something
else is told by an update; of what the bot itself changes of a group or deletes there is none, so
that is told here.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from typing import Any, Final

import aiohttp
from telegram import Bot
from telegram.error import BadRequest, ChatMigrated, TelegramError
from telegram.error import Forbidden as Refused

from adapters.telegram import ids
from adapters.telegram.entities import units
from adapters.telegram.errors import OUT, error_of, is_gone
from adapters.telegram.groups import Groups
from adapters.telegram.request import Upload
from adapters.telegram.rights import given_by, to_speak
from gateway.adapter import AccountContext
from gateway.errors import AdapterError, Forbidden, NotFound, TooLarge, Unsupported
from gateway.events import (
    Affiliation,
    DescribeRoom,
    LeaveRoom,
    LiftBan,
    ModerateMessage,
    RemoteEvent,
    RemoteMemberGone,
    RemoteRoomRetraction,
    RemoveFromRoom,
    RoomAction,
    SetAffiliation,
    SetRoomAvatar,
    SetVoice,
)
from gateway.ids import RemoteRoomId, RemoteUserId
from gateway.text.wording import tr

ACTIONS: Final[frozenset[type[RoomAction]]] = frozenset(
    {
        DescribeRoom,
        LeaveRoom,
        LiftBan,
        ModerateMessage,
        RemoveFromRoom,
        SetAffiliation,
        SetRoomAvatar,
        SetVoice,
    }
)
_LONGEST_NAME, _LONGEST_ABOUT = 128, 255
_ANSWER_S = 20.0
_ONLY_SUPER = tr(
    "Telegram can do this only in supergroups, and this is a basic group. Its owner makes it one "
    "in Telegram, by making it public or letting new members read what was said before."
)
_NO_RIGHT = tr(
    "The bot has not the right to do this in the group. Who administers it can give that to it "
    "in Telegram."
)
_OF_OTHERS = tr("Telegram lets bots change only those administrators whom they have made.")
Sentences = tuple[tuple[str, Callable[[], AdapterError]], ...]
_MADE_BY_OTHERS: Final[Sentences] = (("admin_required", lambda: Forbidden(_OF_OTHERS)),)
_SENTENCES: Final[Sentences] = (
    ("chat owner", lambda: Forbidden(tr("Telegram lets nobody do this to the owner of a group."))),
    (
        "administrator of the chat",
        lambda: Forbidden(tr("They administer the group, and the bot may not do this to them.")),
    ),
    (
        "kick group administrators",
        lambda: Forbidden(tr("In a basic group only its owner can put administrators out.")),
    ),
    *(
        (said, lambda: Forbidden(_NO_RIGHT))
        for said in ("not enough rights", "right_forbidden", "admin_required", "to be inviter")
    ),
    *(
        (said, lambda: NotFound(tr("They are not in this group.")))
        for said in ("participant", "mutual_contact", "user not found", "member not found")
    ),
    (
        "admins_too_much",
        lambda: Forbidden(tr("The group has as many administrators as Telegram allows.")),
    ),
    *(
        (said, lambda: Unsupported(tr("Telegram does not take this picture.")))
        for said in ("photo", "image_process")
    ),
)
"""Of groups; before those of `adapters.telegram.errors`."""
Events = Iterable[RemoteEvent]


class Ruling:
    """Of one bot."""

    def __init__(
        self,
        account: AccountContext,
        bot: Bot,
        groups: Groups,
        look: Callable[[int], Awaitable[None]],
        tell: Callable[[Callable[[], Events]], Awaitable[None]],
    ) -> None:
        """``look`` asks what a group is; ``tell`` has the gateway store what came of something,
        and what is known of groups."""
        self._account = account
        self._bot = bot
        self._groups = groups
        self._look = look
        self._tell = tell

    async def do(self, action: RoomAction) -> None:
        """See `gateway.adapter.Session.manage`."""
        try:
            await self._do(action)
        except ChatMigrated as error:
            self._groups.moved(_room(action), error.new_chat_id)
            await self._do(action)

    async def _do(self, action: RoomAction) -> None:
        match action:
            case RemoveFromRoom():
                await self._remove(action)
            case LiftBan():
                await self._lift_ban(action)
            case SetAffiliation():
                await self._affiliate(action)
            case SetVoice():
                await self._voice(action)
            case DescribeRoom():
                await self._describe(action)
            case SetRoomAvatar():
                await self._picture(action)
            case ModerateMessage():
                await self._moderate(action)
            case LeaveRoom():
                await self._leave(action)
            case _:
                raise Unsupported(tr("This cannot be done with groups of Telegram."))

    # --- people -------------------------------------------------------------------------------

    async def _remove(self, action: RemoveFromRoom) -> None:
        """To unban somebody who is there puts them out, and they may come again. In basic groups
        nobody is banned, and to ban is to put out."""
        chat, user = self._chat(action), _person(action.user)
        if not action.is_ban and ids.is_supergroup(chat):
            await _asked(self._bot.unban_chat_member(int(chat), user))
            return
        if action.is_ban and not ids.is_supergroup(chat):
            raise Unsupported(
                tr("Nobody can be banned from a basic group of Telegram, only put out.")
            )
        await _asked(self._bot.ban_chat_member(int(chat), user))
        if action.is_ban:
            self._groups.ban(action.room, action.user)
            await self._tell(tuple)

    async def _lift_ban(self, action: LiftBan) -> None:
        chat, user = self._supergroup(action), _person(action.user)
        await _asked(self._bot.unban_chat_member(int(chat), user, only_if_banned=True))
        if self._groups.lift_ban(action.room, action.user):  # else the update was first
            await self._tell(lambda: (RemoteMemberGone(room=action.room, user=action.user),))

    async def _affiliate(self, action: SetAffiliation) -> None:
        chat, user = self._supergroup(action), _person(action.user)
        match action.affiliation:
            case Affiliation.OWNER:
                raise Unsupported(
                    tr("A group of Telegram has one owner, who alone can make somebody else that.")
                )
            case Affiliation.ADMIN:
                given = given_by(self._groups.rights(action.room))
                if not given:  # which would take from them what they have
                    raise Forbidden(_NO_RIGHT)
            case _:
                given = {}
                if not self._groups.is_ruler(action.room, action.user):
                    raise Unsupported(
                        tr("In groups of Telegram all are alike who do not administer them.")
                    )
        promoting = self._bot.promote_chat_member(int(chat), user, **given)
        await _asked(promoting, before=_MADE_BY_OTHERS)
        is_admin = bool(given)
        await self._tell(partial(self._groups.ruled, action.room, action.user, is_admin=is_admin))

    async def _voice(self, action: SetVoice) -> None:
        chat, user = self._supergroup(action), _person(action.user)
        await _asked(
            self._bot.restrict_chat_member(
                int(chat),
                user,
                to_speak(may_speak=action.may_speak),
                use_independent_chat_permissions=True,
            )
        )

    # --- what it is ---------------------------------------------------------------------------

    async def _describe(self, action: DescribeRoom) -> None:
        """Both need the same right, so that either none of them is refused or the first."""
        chat = int(self._chat(action))
        name = None if action.name is None else action.name.strip()
        about = None if action.topic is None else action.topic.strip()
        _must_fit(action, name, about)
        if name is not None:
            await _asked(self._bot.set_chat_title(chat, name))
            await self._tell(partial(self._groups.described, action.room, name=name))
        if about is not None:
            await _asked(self._bot.set_chat_description(chat, about))
            await self._tell(partial(self._groups.described, action.room, about=about))

    async def _picture(self, action: SetRoomAvatar) -> None:
        chat = int(self._chat(action))
        if action.data:
            await _asked(self._upload(chat, action))
        else:
            await _asked(self._bot.delete_chat_photo(chat))
        await self._look(chat)
        await self._tell(partial(self._groups.looked, action.room))

    async def _upload(self, chat: int, action: SetRoomAvatar) -> None:
        """Not by the library, whose files go by a request of its own making."""
        body = aiohttp.MultipartWriter("form-data")
        body.append(json.dumps(chat)).set_content_disposition("form-data", name="chat_id")
        part = body.append(action.data, {"Content-Type": action.media_type})
        part.set_content_disposition("form-data", name="photo", filename="picture")
        url = f"{self._bot.base_url}/setChatPhoto"
        await Upload(self._account.http, body).post(url, read_timeout=_ANSWER_S)

    async def _moderate(self, action: ModerateMessage) -> None:
        """To delete it again is no more than once."""
        chat = self._chat(action)
        number = ids.number_of(action.message, chat)
        if number is None:
            raise NotFound(tr("Telegram does not have the message any more."))
        await _asked(self._bot.delete_message(int(chat), number), is_done=is_gone)
        gone = RemoteRoomRetraction(
            room=action.room,
            id=ids.about(action.message, "moderated"),
            message=action.message,
            by=self._account.remote_id,
            sent_at=self._account.clock.now(),
            reason=action.reason,
        )
        await self._tell(lambda: (gone,))

    async def _leave(self, action: LeaveRoom) -> None:
        await _asked(self._bot.leave_chat(int(self._chat(action))))
        await self._tell(partial(self._groups.left, action.room))

    # --- what is meant ------------------------------------------------------------------------

    def _chat(self, action: RoomAction) -> str:
        """Its number. Raises `NotFound`."""
        chat = self._groups.chat_of(_room(action))
        if not ids.is_group(chat):
            raise NotFound(OUT)
        return chat

    def _supergroup(self, action: RoomAction) -> str:
        chat = self._chat(action)
        if not ids.is_supergroup(chat):
            raise Unsupported(_ONLY_SUPER)
        return chat


def _room(action: RoomAction) -> RemoteRoomId:
    """Of those actions that are claimed."""
    return RemoteRoomId(getattr(action, "room", ""))


def _person(user: RemoteUserId) -> int:
    if not ids.is_person(user):
        raise Unsupported(
            tr("This is a group or a channel that speaks, and no person: see to it in Telegram.")
        )
    return int(user)


def _must_fit(action: DescribeRoom, name: str | None, about: str | None) -> None:
    """Before anything is changed."""
    if action.is_private is not None:
        raise Unsupported(tr("Whether a group of Telegram is public is changed in Telegram."))
    if name is not None and not name:
        raise Unsupported(tr("A group of Telegram has to have a name."))
    if name is not None and units(name) > _LONGEST_NAME:
        raise TooLarge(tr("The name of a group may have 128 characters in Telegram."))
    if about is not None and units(about) > _LONGEST_ABOUT:
        raise TooLarge(tr("What is said about a group may have 255 characters in Telegram."))


def _is_unchanged(error: TelegramError) -> bool:
    said = error.message.lower()
    return isinstance(error, BadRequest) and ("not modified" in said or "not_modified" in said)


async def _asked(
    request: Awaitable[Any],
    *,
    is_done: Callable[[TelegramError], bool] = _is_unchanged,
    before: Sentences = (),
) -> None:
    """Wait for it. ``is_done``: a refusal that says that it was done already."""
    try:
        await request
    except ChatMigrated:
        raise
    except TelegramError as error:
        if not is_done(error):
            raise _refused(error, before + _SENTENCES) from None


def _refused(error: TelegramError, sentences: Sentences) -> AdapterError:
    if isinstance(error, BadRequest | Refused):
        for part, made in sentences:
            if part in error.message.lower():
                return made()
    return error_of(error, is_group=True)
