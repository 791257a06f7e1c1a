# SPDX-License-Identifier: Apache-2.0
"""Messages that cannot be read yet: kept, told of by a line in their place, read in the end."""

from __future__ import annotations

from dataclasses import dataclass

from msgspec import structs

from gateway.bridge.chats.telling import Part, Telling
from gateway.bridge.inbound.rows import Committed, Rows
from gateway.bridge.inbound.wellformed import honest_time
from gateway.bridge.rooms.ways import room_of
from gateway.events import RemoteUndecryptable
from gateway.ids import ConversationId
from gateway.locale import in_language
from gateway.store import Transaction, conversations, held
from gateway.store.conversations import Origin
from gateway.text import clean
from gateway.text.wording import tr

ENCRYPTED = tr(
    "This conversation is end-to-end encrypted on the network, and the "
    "gateway cannot read encrypted messages yet. They are kept; please read "
    "them in another app.",
)

PENDING = tr("Its key has not arrived yet.")


def line(reason: str) -> str:
    """What stands in place of a message that cannot be read."""
    return tr("[Encrypted message. {reason}]", reason=reason or PENDING)


def storable(event: RemoteUndecryptable, now: float) -> RemoteUndecryptable:
    """As it is kept."""
    return structs.replace(
        event,
        sent_at=honest_time(event.sent_at, now),
        content=clean(event.content),
        needs=clean(event.needs),
        reason=clean(event.reason),
    )


@dataclass(frozen=True, slots=True)
class Unread:
    """Those of one account, inside the writer's transaction."""

    rows: Rows
    telling: Telling

    def keep(
        self,
        db: Transaction,
        conversation: ConversationId,
        event: RemoteUndecryptable,
        now: float,
        out: Committed,
    ) -> None:
        """One that cannot be read."""
        if conversations.by_remote_id(db, conversation, event.id) is not None:
            return  # it was readable before, or the user has a line in its place
        known = structs.replace(event, reason=in_language(event.reason, self.rows.language()))
        held.hold(db, conversation, storable(known, now), now)
        out.held |= bool(event.needs)
        if not event.needs and conversations.tell_once(db, conversation, "encrypted"):
            sid = self.rows.id(event.contact, event.id, "encrypted")
            self.rows.line(db, event.contact, sid, ENCRYPTED, now, out)

    def stand_in(
        self,
        db: Transaction,
        conversation: ConversationId,
        event: RemoteUndecryptable,
        reason: str,
        now: float,
        out: Committed,
    ) -> None:
        """One line in place of a message that still cannot be read."""
        sid = self.rows.id(event.contact, event.id, 0)
        through = None if event.own else room_of(db, conversation, event.contact)
        made = conversations.add_message(
            db,
            conversation,
            stanza_id=sid,
            origin=Origin.ELSEWHERE if event.own else Origin.CONTACT,
            sent_at=event.sent_at,
            remote_id=event.id,
            now=now,
            through=through,
        )
        if made is not None:
            told = Part(id=sid, body=line(reason), through=through)
            self.telling.text(db, conversation, event, told, now, out)
