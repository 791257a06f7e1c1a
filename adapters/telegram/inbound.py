# SPDX-License-Identifier: Apache-2.0
"""Updates of a bot, as events of the gateway. No I/O.

Bot API, "Update". Of chats with people; what happens in groups is not carried, and the user is
told so once for each.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from telegram import Bot, ChatMember, ChatMemberUpdated, Message, Update, User
from telegram.constants import ChatType

from adapters.telegram import described, ids
from adapters.telegram.entities import told
from adapters.telegram.files import shared
from adapters.telegram.reactions import Reactions
from gateway.events import (
    RemoteEvent,
    RemoteMessage,
    RemoteNotice,
    RemoteProfile,
    RemoteUnreadable,
)
from gateway.ids import RemoteMessageId, RemoteUserId
from gateway.text import Span, Style, clean, moved
from gateway.text.wording import Words, joined, tr

KINDS = ("message", "edited_message", "message_reaction", "my_chat_member")
"""What is asked for; see "allowed_updates"."""
_MOST_CONTENT = 16_000


def events(raw: Mapping[str, Any], bot: Bot, reactions: Reactions) -> list[RemoteEvent]:
    """What an update says. Never raises: what cannot be converted is one event's trouble."""
    try:
        update = Update.de_json(dict(raw), bot)
        return list(_events(update, reactions))
    except Exception as error:  # whatever strangers send, and whatever the library makes of it
        return _unreadable(raw, error)


def _events(update: Update, reactions: Reactions) -> Iterator[RemoteEvent]:
    if (reacted := update.message_reaction) is not None:
        is_theirs = reacted.user is not None and reacted.user.id == reacted.chat.id
        if reacted.chat.type == ChatType.PRIVATE and is_theirs:
            yield from reactions.events(reacted, update.update_id)
        return
    if (member := update.my_chat_member) is not None:
        yield from _of_membership(member, update.update_id)
        return
    edited = update.edited_message
    message = update.message or edited
    if message is None:
        return
    if message.chat.type != ChatType.PRIVATE:
        yield _of_group(message.chat.id, message.chat.effective_name)
        return
    contact = RemoteUserId(str(message.chat.id))
    if message.from_user is not None and message.from_user.id == message.chat.id:
        yield RemoteProfile(contact=contact, name=name_of(message.from_user))
    yield _message(contact, message, None if edited is None else update.update_id)


def name_of(user: User) -> str:
    """What somebody calls themselves."""
    return " ".join(clean(user.full_name).split())


def _message(contact: RemoteUserId, message: Message, edit: int | None) -> RemoteMessage:
    """``edit``: the number of the update, if it is one; edits have none of their own, and numbers
    of updates begin anew after a silent week."""
    message_id = ids.message_id(message.chat.id, message.message_id)
    files = shared(message)
    body, spans = _words(message, has_file=bool(files))
    sent_at = message.date
    edits: RemoteMessageId | None = None
    if edit is not None:
        sent_at = message.edit_date or message.date
        edits = message_id
        message_id = ids.about(edits, f"{int(sent_at.timestamp())}.{edit}")
    return RemoteMessage(
        contact=contact,
        id=message_id,
        body=body,
        sent_at=_seconds(sent_at),
        own=message.from_user is not None and str(message.from_user.id) != contact,
        reply_to=_answered(message),
        edits=edits,
        spans=spans,
        files=files,
        cards=described.cards(message),
        is_ongoing=edits is not None and described.is_moving(message),
    )


def _seconds(moment: datetime) -> float:
    return moment.timestamp()


def _answered(message: Message) -> RemoteMessageId | None:
    answered = message.reply_to_message
    return None if answered is None else ids.message_id(message.chat.id, answered.message_id)


def _words(message: Message, *, has_file: bool) -> tuple[str, tuple[Span, ...]]:
    """The words first, since places of styles are counted from there and what else is said may be
    in another language."""
    text = message.text if message.text is not None else (message.caption or "")
    body, spans = told(text, message.entities or message.caption_entities)
    if (quote := message.quote) is not None and quote.is_manual:
        cited, within = told(quote.text.rstrip("\n"), quote.entities or ())
        by = len(cited) + 1
        body, spans = (
            f"{cited}\n{body}",
            (
                Span(Style.QUOTE, 0, len(cited)),
                *(span for span in within if span.style is not Style.QUOTE),
                *moved(spans, by),
            ),
        )
    rest = [described.described(message, has_file=has_file), described.forwarded(message)]
    added = joined(rest, "\n")
    if not added:
        return body, spans
    return (Words("{body}\n{added}", {"body": body, "added": added}) if body else added), spans


def _of_membership(change: ChatMemberUpdated, number: int) -> Iterator[RemoteEvent]:
    """Somebody stops the bot, or starts it again; or it comes into a group."""
    if change.chat.type != ChatType.PRIVATE:
        if change.new_chat_member.status not in (ChatMember.LEFT, ChatMember.BANNED):
            yield _of_group(change.chat.id, change.chat.effective_name)
        return
    is_stopped = change.new_chat_member.status == ChatMember.BANNED
    was_stopped = change.old_chat_member.status == ChatMember.BANNED
    if is_stopped == was_stopped:
        return
    text = tr("They have started your bot again.")
    if is_stopped:
        text = tr("They have stopped your bot, so it cannot write to them any more.")
    moment = int(change.date.timestamp())
    yield RemoteNotice(
        contact=RemoteUserId(str(change.chat.id)),
        id=RemoteMessageId(f"{change.chat.id}/bot {moment}.{number}"),
        text=text,
    )


def _of_group(chat: int, name: str | None) -> RemoteNotice:
    return RemoteNotice(
        contact=None,
        id=RemoteMessageId(f"group {chat}"),
        text=tr(
            "Your bot is in the group “{name}”. What is said in groups of Telegram is not carried "
            "yet.",
            name=clean(name or str(chat)),
        ),
    )


def _unreadable(raw: Mapping[str, Any], error: Exception) -> list[RemoteEvent]:
    """Told in the chat, if it is known which one that is; kept in any case."""
    found = [raw[kind] for kind in KINDS if isinstance(raw.get(kind), dict)]
    chat = found[0].get("chat") if found else None
    number = chat.get("id") if isinstance(chat, dict) else None
    contact = str(number) if isinstance(number, int) else ""
    is_known = ids.is_person(contact)
    return [
        RemoteUnreadable(
            contact=RemoteUserId(contact) if is_known else None,
            id=RemoteMessageId(f"{contact if is_known else ''}/update {raw.get('update_id')}"),
            content=json.dumps(raw)[:_MOST_CONTENT],
            reason=f"{type(error).__name__}: {error}",
        )
    ]
