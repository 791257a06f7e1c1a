# SPDX-License-Identifier: Apache-2.0
"""What happens in groups, as events of the gateway. No I/O.

Bot API, "Message", "ChatMemberUpdated", "MessageReactionUpdated". Who comes and goes is told by
messages, and if the bot is an administrator by updates as well; then those of reactions come too.
"""

from __future__ import annotations

from collections.abc import Iterator

from telegram import Chat, ChatMember, Message, MessageReactionUpdated

from adapters.telegram import ids
from adapters.telegram.known import Known
from adapters.telegram.looking import Raw, named, ruler
from adapters.telegram.rights import rights_in
from adapters.telegram.service_messages import happening
from adapters.telegram.spoken import name_of, spoken
from adapters.telegram.topics import root_of
from gateway.events import (
    Departure,
    Member,
    RemoteEvent,
    RemoteRoomMessage,
    RemoteRoomNotice,
)
from gateway.ids import RemoteMessageId, RemoteRoomId, RemoteUserId
from gateway.text import clean

_GONE = (ChatMember.LEFT, ChatMember.BANNED)
_KICK_S = 90
"""Who is banned for a minute was put out: Telegram has no other way (TDLib,
``restrict_channel_participant``)."""


class GroupEvents:
    """Of one bot."""

    def __init__(self, known: Known) -> None:
        self._known = known
        self._own = known.own
        self._groups = known.groups

    def said(self, message: Message, edit: int | None) -> Iterator[RemoteEvent]:
        """A message. ``edit``: as in `spoken`."""
        chat, groups = message.chat, self._groups
        if message.migrate_from_chat_id is not None:
            yield from groups.migrated(message.migrate_from_chat_id, chat.id)
            return
        if message.migrate_to_chat_id is not None:
            yield from groups.migrated(chat.id, message.migrate_to_chat_id)
            return
        room = groups.room_of(chat.id)
        if message.left_chat_member is not None:
            yield from self._left(room, message)
            return
        yield from groups.opened(room, _titled(chat))
        sender, called = self._speaker(message)
        yield from self._known.topics.lines(room, message, called)
        if message.new_chat_members:
            for user in message.new_chat_members:
                yield from groups.speaker(room, RemoteUserId(str(user.id)), name_of(user))
            return
        happened = happening(message, called)
        if happened is None or happened.text:
            yield from groups.speaker(room, sender, called)
        if happened is None:
            self._known.polls.learn_of(message, room)
            said = spoken(message, edit, self._known.usernames)
            said |= self._known.topics.place(message)
            yield RemoteRoomMessage(room=room, sender=sender, **said)
        elif happened.text:
            yield RemoteRoomNotice(
                room=room,
                id=ids.message_id(chat.id, message.message_id),
                text=happened.text,
                is_important=happened.is_important,
                thread=root_of(message),
                about=_pinned(message),
            )

    def _speaker(self, message: Message) -> tuple[RemoteUserId, str]:
        """Administrators may speak as the group, and people as a channel of theirs."""
        if message.sender_chat is not None:
            return self._as_chat(message.sender_chat)
        user = message.from_user
        if user is None:
            raise ValueError("nobody has said it")
        return RemoteUserId(str(user.id)), name_of(user)

    def _as_chat(self, chat: Chat) -> tuple[RemoteUserId, str]:
        return RemoteUserId(self._groups.room_of(chat.id)), _titled(chat)

    def _left(self, room: RemoteRoomId, message: Message) -> Iterator[RemoteEvent]:
        user, by = message.left_chat_member, message.from_user
        assert user is not None
        actor = user if by is None else by
        how = Departure.LEFT if actor.id == user.id else Departure.KICKED
        gone = RemoteUserId(str(user.id))
        if gone != self._own or self._groups.chat_of(room) == str(message.chat.id):
            yield from self._groups.gone(room, gone, how, RemoteUserId(str(actor.id)))

    def reacted(self, update: MessageReactionUpdated, number: int) -> Iterator[RemoteEvent]:
        """Somebody has reacted to something. ``number``: of the update."""
        if update.user is not None:
            sender, name = RemoteUserId(str(update.user.id)), name_of(update.user)
        elif update.actor_chat is not None:
            sender, name = self._as_chat(update.actor_chat)
        else:
            return
        room = self._groups.room_of(update.chat.id)
        yield from self._groups.opened(room, _titled(update.chat))
        yield from self._groups.speaker(room, sender, name)
        yield from self._known.reactions.events(update, number, room, sender)

    def changed(self, change: Raw) -> Iterator[RemoteEvent]:
        """Somebody, perhaps the bot, is something else there: a ChatMemberUpdated, as it came.

        Whoever has put the bot out may let it in again any time: that is no ban."""
        chat, after = change["chat"], change["new_chat_member"]
        room, groups = self._groups.room_of(chat["id"]), self._groups
        user = RemoteUserId(str(after["user"]["id"]))
        if user == self._own and groups.chat_of(room) != str(chat["id"]):
            return  # that is the number that the group had before
        if after["status"] in _GONE or after.get("is_member") is False:
            yield from self._out(room, user, change)
            return
        may_speak = after.get("can_send_messages") is not False
        is_asked = user == self._own and groups.is_learned(room)
        yield from groups.opened(room, named(chat))
        groups.lift_ban(room, user)
        if is_asked:  # what it may do now, and not what it could when this was said
            yield from groups.speaks(room, may_speak=may_speak)
            return
        if user == self._own:
            yield from groups.allowed(room, rights_in(after))
        member = ruler(after, self._own) or Member(
            user=user, name=named(after["user"]), may_speak=may_speak
        )
        yield from groups.member(room, member)

    def _out(self, room: RemoteRoomId, user: RemoteUserId, change: Raw) -> Iterator[RemoteEvent]:
        """Somebody is not there any more, or may come in again."""
        after, actor = change["new_chat_member"], RemoteUserId(str(change["from"]["id"]))
        how = Departure.LEFT if actor == user else Departure.KICKED
        is_lifted = change["old_chat_member"]["status"] == ChatMember.BANNED
        if after["status"] == ChatMember.BANNED and user != self._own:
            until = after.get("until_date") or 0
            if not 0 < until - change["date"] <= _KICK_S:
                how = Departure.BANNED
                self._groups.ban(room, user, until)
        elif is_lifted and user != self._own:
            if not self._groups.lift_ban(room, user):
                return
            how, actor = Departure.LEFT, user
        yield from self._groups.gone(room, user, how, actor)


def _pinned(message: Message) -> RemoteMessageId | None:
    found = message.pinned_message
    return None if found is None else ids.message_id(found.chat.id, found.message_id)


def _titled(chat: Chat) -> str:
    return " ".join(clean(chat.effective_name or "").split())
