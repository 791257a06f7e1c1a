# SPDX-License-Identifier: Apache-2.0
"""What somebody says, in a chat or in a group. No I/O.

Bot API, "Message".
"""

from __future__ import annotations

from typing import Any

from telegram import Message, User

from adapters.telegram import described, ids
from adapters.telegram.entities import told
from adapters.telegram.files import shared
from adapters.telegram.naming import Usernames, mentions_in, without_people
from gateway.ids import RemoteMessageId
from gateway.text import Span, Style, clean, moved
from gateway.text.wording import Words, joined


def name_of(user: User) -> str:
    """What somebody calls themselves."""
    return " ".join(clean(user.full_name).split())


def spoken(message: Message, edit: int | None, usernames: Usernames) -> dict[str, Any]:
    """What `RemoteMessage` and `RemoteRoomMessage` have in common. ``edit``: the number of the
    update, if it is one; edits have none of their own, and numbers of updates begin anew after a
    silent week."""
    message_id = ids.message_id(message.chat.id, message.message_id)
    files = shared(message)
    body, spans = _words(message, usernames, has_file=bool(files))
    sent_at = message.date
    edits: RemoteMessageId | None = None
    if edit is not None:
        sent_at = message.edit_date or message.date
        edits = message_id
        message_id = ids.about(edits, f"{int(sent_at.timestamp())}.{edit}")
    return {
        "id": message_id,
        "body": body,
        "sent_at": sent_at.timestamp(),
        "reply_to": _answered(message),
        "edits": edits,
        "spans": without_people(spans),
        "mentions": mentions_in(spans, notify=edit is None),
        "files": files,
        "cards": described.cards(message),
        "is_ongoing": edits is not None and described.is_moving(message),
    }


def _answered(message: Message) -> RemoteMessageId | None:
    """In a topic, what answers nothing answers the message that has opened it."""
    answered = message.reply_to_message
    if answered is None or answered.forum_topic_created is not None:
        return None
    return ids.message_id(message.chat.id, answered.message_id)


def _words(
    message: Message, usernames: Usernames, *, has_file: bool
) -> tuple[str, tuple[Span, ...]]:
    """The words first, since places of styles are counted from there and what else is said may be
    in another language."""
    text = message.text if message.text is not None else (message.caption or "")
    body, spans = told(text, message.entities or message.caption_entities, usernames)
    if (quote := message.quote) is not None and quote.is_manual:
        cited, within = told(quote.text.rstrip("\n"), quote.entities or (), usernames)
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
