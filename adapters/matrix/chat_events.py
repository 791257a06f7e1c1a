# SPDX-License-Identifier: Apache-2.0
"""One event of a direct room's timeline → what somebody has said or done in the chat. For groups
see `group_events`.

What it is about says `relations`. As in `inbound`, nothing here raises for what strangers have
written. Whoever is in a direct room besides the account and the contact speaks through the
contact, with their name: what they edit is told as a new message, and so is what the contact edits
from then on, since the chat does not keep whose text it was. What they react with is not told,
since nobody could see from whom it is. That who edits or takes something back is who has
made it, as far as the account and the contact go, is for the gateway to see.
"""

from __future__ import annotations

from collections.abc import Callable

from adapters.matrix.calls import call_in
from adapters.matrix.ids import is_user_id
from adapters.matrix.inbound import (
    Event,
    as_dict,
    event_id_of,
    is_message,
    key_of,
    timestamp_of,
    undecryptable,
)
from adapters.matrix.links import link_to_message
from adapters.matrix.mentions import mentions_in, without_people
from adapters.matrix.opened import Unread
from adapters.matrix.previews import previews_in
from adapters.matrix.relations import Related, annotation, redacted, related
from adapters.matrix.rooms import RoomId
from adapters.matrix.words import told_by
from gateway.events import (
    RemoteCall,
    RemoteMessage,
    RemoteReaction,
    RemoteRetraction,
    RemoteUndecryptable,
)
from gateway.ids import RemoteMessageId, RemoteUserId

Said = RemoteMessage | RemoteReaction | RemoteCall | RemoteUndecryptable


def said_to(
    room_id: RoomId,
    event: Event,
    *,
    contact: RemoteUserId,
    account: RemoteUserId,
    name_of: Callable[[str], str],
    now: float,
    unread: Unread | None = None,
    guests: bool = False,
) -> Said | None:
    """What an event says, which may have been encrypted; None if it says nothing. ``guests``: as
    `Room.guests`."""
    sender = event.get("sender")
    if not event_id_of(event) or not isinstance(sender, str):
        return None
    if event.get("type") == "m.reaction":
        return _reaction(event, contact, account, now)
    call = call_in(room_id, event, contact=contact, account=account, now=now)
    if call is not None or not is_message(event):
        return call
    own = sender == account
    if event["type"] == "m.room.encrypted":
        return undecryptable(event, contact=contact, own=own, now=now, unread=unread)
    speaker = "" if own or sender == contact else name_of(sender)
    content = as_dict(event.get("content"))
    about = related(event)
    if about.edits is not None and (speaker or (guests and not own)):
        about = Related(content)
    event_id = RemoteMessageId(event_id_of(event))
    link = link_to_message(room_id, about.edits or event_id, account)
    words, files = told_by(event["type"], about.words, speaker, link)
    edit = None if about.edits is None else content
    return RemoteMessage(
        contact=contact,
        id=event_id,
        body=words.text,
        spans=without_people(words.spans),
        mentions=mentions_in(about.words, words, edit),
        files=files,
        previews=previews_in(about.words),
        sent_at=timestamp_of(event, now) / 1000,
        own=own,
        key=key_of(content) if own else None,
        reply_to=about.reply_to,
        thread=about.thread,
        thread_after=about.thread_after,
        edits=about.edits,
    )


def taken_back_in(
    event: Event, *, contact: RemoteUserId, account: RemoteUserId, now: float, version: int
) -> RemoteRetraction | None:
    """What a redaction takes back. The homeserver has checked that its sender may, so it must be
    as it came, and nothing that was decrypted. ``version``: of the room, 0 if unknown."""
    sender = event.get("sender")
    if event.get("type") != "m.room.redaction" or not event_id_of(event) or not is_user_id(sender):
        return None
    message = redacted(event, version)
    if message is None:
        return None
    return RemoteRetraction(
        contact=contact,
        id=RemoteMessageId(event_id_of(event)),
        message=message,
        sent_at=timestamp_of(event, now) / 1000,
        own=sender == account,
    )


def _reaction(
    event: Event, contact: RemoteUserId, account: RemoteUserId, now: float
) -> RemoteReaction | None:
    found, own = annotation(event), event["sender"] == account
    if found is None or not (own or event["sender"] == contact):
        return None
    message, emoji = found
    return RemoteReaction(
        contact=contact,
        id=RemoteMessageId(event_id_of(event)),
        message=message,
        emoji=emoji,
        sent_at=timestamp_of(event, now) / 1000,
        own=own,
        key=key_of(as_dict(event.get("content"))) if own else None,
    )
