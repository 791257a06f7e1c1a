# SPDX-License-Identifier: Apache-2.0
"""Updates of a bot, as events of the gateway. No I/O.

Bot API, "Update". Here are chats with people; for groups see `adapters.telegram.group_events`, and
for chats of the user's own Telegram account `adapters.telegram.connected_events`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from telegram import Bot, ChatMember, ChatMemberUpdated, Message, Update
from telegram.constants import ChatType

from adapters.telegram import connected_events, ids
from adapters.telegram.connected_events import ConnectedEvents
from adapters.telegram.group_events import GroupEvents
from adapters.telegram.known import Known
from adapters.telegram.looking import group_in
from adapters.telegram.reading import update_in
from adapters.telegram.service_messages import happening
from adapters.telegram.spoken import name_of, spoken
from gateway.events import (
    RemoteEvent,
    RemoteMessage,
    RemoteNotice,
    RemoteProfile,
    RemoteUnreadable,
)
from gateway.ids import RemoteMessageId, RemoteUserId
from gateway.text import clean
from gateway.text.wording import tr

_OF_BOTS = (
    "message", "edited_message", "message_reaction", "my_chat_member", "chat_member", "poll",
)  # fmt: skip
KINDS = (*_OF_BOTS, *connected_events.KINDS)
"""What is asked for; see "allowed_updates"."""
_THERE = (ChatMember.OWNER, ChatMember.ADMINISTRATOR, ChatMember.MEMBER)
_MOST_CONTENT = 16_000


class Inbound:
    """Of one bot."""

    def __init__(self, bot: Bot, known: Known, in_own_chats: ConnectedEvents) -> None:
        self._bot = bot
        self._known = known
        self._of_groups = GroupEvents(known)
        self._in_own_chats = in_own_chats

    def events(self, raw: Mapping[str, Any]) -> list[RemoteEvent]:
        """What an update says. Never raises: what cannot be converted is one event's trouble. What
        was found before that is told: it is known from now on, such as that there is a group."""
        found: list[RemoteEvent] = []
        try:
            found.extend(self._events(raw))  # which keeps what comes before an error
        except Exception as error:  # whatever strangers send, and whatever the library makes of it
            found += self._unreadable(raw, error)
        return found

    def _events(self, raw: Mapping[str, Any]) -> Iterator[RemoteEvent]:
        if self._in_own_chats.takes(raw):
            yield from self._in_own_chats.events(raw)
            return
        is_group = group_in(raw) is not None
        changed = raw.get("my_chat_member") or raw.get("chat_member")
        if is_group and changed is not None:
            # Not by the library, which takes none of a server that is older than itself.
            yield from self._of_groups.changed(changed)
            return
        update = update_in(raw, self._bot)
        if (reacted := update.message_reaction) is not None:
            if is_group:
                yield from self._of_groups.reacted(reacted, update.update_id)
            elif reacted.user is not None and reacted.user.id == reacted.chat.id:
                yield from self._known.reactions.events(reacted, update.update_id)
        elif update.poll is not None:
            yield from self._known.polls.changed(update.poll)
        elif update.my_chat_member is not None:
            yield from _of_membership(update.my_chat_member, update.update_id)
        else:
            yield from self._said(update, is_group=is_group)

    def _said(self, update: Update, *, is_group: bool) -> Iterator[RemoteEvent]:
        message = update.message or update.edited_message
        if message is None:
            return
        self._known.usernames.learn_of(message)
        edit = None if update.edited_message is None else update.update_id
        if is_group:
            yield from self._of_groups.said(message, edit)
        elif message.chat.type == ChatType.PRIVATE:
            yield from self._of_chat(message, edit)

    def _of_chat(self, message: Message, edit: int | None) -> Iterator[RemoteEvent]:
        """What somebody says to the bot. ``edit``: as in `spoken`."""
        contact, sender = RemoteUserId(str(message.chat.id)), message.from_user
        own = sender is not None and str(sender.id) != contact
        name = "" if sender is None else name_of(sender)
        if sender is not None and not own:
            yield RemoteProfile(contact=contact, name=name)
        of_topic, happened = self._known.topics.told(message, name), happening(message, name)
        if of_topic or happened is None:
            self._known.polls.learn_of(message)
            said = spoken(message, edit, self._known.usernames)
            said |= self._known.topics.place(message) | ({"body": of_topic} if of_topic else {})
            yield RemoteMessage(contact=contact, own=own, **said)
        elif happened.text:
            id = ids.message_id(message.chat.id, message.message_id)
            yield RemoteNotice(contact=contact, id=id, text=happened.text)

    def _unreadable(self, raw: Mapping[str, Any], error: Exception) -> list[RemoteEvent]:
        """Told in the chat or the group, if it is known which one that is; kept in any case."""
        found = [raw[kind] for kind in KINDS if isinstance(raw.get(kind), dict)]
        chat = found[0].get("chat") if found else None
        number = chat.get("id") if isinstance(chat, dict) else None
        place = str(number) if isinstance(number, int) else ""
        contact = RemoteUserId(place) if ids.is_person(place) else None
        if self._in_own_chats.takes(raw):
            contact = self._in_own_chats.contact(raw)
        room = self._known.groups.known(place)
        return [
            RemoteUnreadable(
                contact=contact,
                room=room,
                id=RemoteMessageId(f"{contact or room or ''}/update {raw.get('update_id')}"),
                content=json.dumps(raw)[:_MOST_CONTENT],
                reason=f"{type(error).__name__}: {error}",
            )
        ]


def _of_membership(change: ChatMemberUpdated, number: int) -> Iterator[RemoteEvent]:
    """Somebody stops the bot, or starts it again; or puts it into a channel, where it is not told
    what is said."""
    moment = int(change.date.timestamp())
    id = RemoteMessageId(f"{change.chat.id}/bot {moment}.{number}")
    was_there, is_there = (
        member.status in _THERE for member in (change.old_chat_member, change.new_chat_member)
    )
    if change.chat.type == ChatType.CHANNEL and is_there and not was_there:
        name = " ".join(clean(change.chat.title or "").split())
        text = tr(
            "Your bot was put into the channel “{name}”. Channels are no rooms: nothing comes "
            "from there, and nothing can be said there.",
            name=name,
        )
        yield RemoteNotice(contact=None, id=id, text=text)
    if change.chat.type != ChatType.PRIVATE:
        return
    is_stopped = change.new_chat_member.status == ChatMember.BANNED
    was_stopped = change.old_chat_member.status == ChatMember.BANNED
    if is_stopped == was_stopped:
        return
    text = tr("They have started your bot again.")
    if is_stopped:
        text = tr("They have stopped your bot, so it cannot write to them any more.")
    yield RemoteNotice(contact=RemoteUserId(str(change.chat.id)), id=id, text=text)
