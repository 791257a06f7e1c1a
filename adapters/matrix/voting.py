# SPDX-License-Identifier: Apache-2.0
"""The newest poll of a chat or a group, for users who ask for it, and voting on it (REQ-220).

MSC3381. Which polls go on is known from what was told since the account was linked.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from functools import partial

from adapters.matrix.errors import in_words
from adapters.matrix.ledger import Ledger
from adapters.matrix.ongoing import newest_poll, poll_of
from adapters.matrix.opening import Opening
from adapters.matrix.polls import Poll as Asked
from adapters.matrix.reacting import Reacting
from adapters.matrix.rooms import RoomId
from gateway.adapter import Poll
from gateway.errors import NotFound
from gateway.ids import RemoteMessageId, RemoteRoomId, RemoteUserId
from gateway.text.wording import tr


class Voting:
    """Of one account."""

    def __init__(
        self, account: RemoteUserId, ledger: Ledger, opening: Opening, reacting: Reacting
    ) -> None:
        self._account = account
        self._ledger = ledger
        self._opening = opening
        self._reacting = reacting

    def poll(self, contact: RemoteUserId | None, room: RemoteRoomId | None) -> Poll | None:
        """See `gateway.adapter.Session.poll`."""
        book = self._ledger.book
        chats = () if contact is None else [room_id for room_id, _ in book.rooms_of(contact)]
        reference = newest_poll(book.entries, chats if room is None else [RoomId(room)])
        known = poll_of(book.entries, reference)
        if known is None or known.poll is None:
            return None
        return Poll(
            reference=reference,
            question=known.poll.question,
            answers=_words(known.poll),
            most=min(known.poll.most, len(known.poll.answers)),
            chosen=known.votes.get(self._account, ("", ()))[1],
        )

    async def vote(self, poll: Poll, answers: Sequence[int]) -> None:
        """See `gateway.adapter.Session.vote`."""
        known = poll_of(self._ledger.book.entries, poll.reference)
        if known is None or known.poll is None or _words(known.poll) != poll.answers:
            raise NotFound(tr("This poll is over, or asks something else now."))
        room, _, message = poll.reference.partition(" ")
        is_chat = self._ledger.book.room(RoomId(room)) is not None
        opening = self._opening
        asked = opening.is_chat_encrypted if is_chat else opening.is_group_encrypted
        with in_words(tr("You may not vote here."), tr("This poll")):
            await self._reacting.choose(
                RoomId(room),
                RemoteMessageId(message),
                known.poll,
                [known.poll.answers[place][0] for place in answers],
                f"vote.{uuid.uuid4()}",
                partial(asked, RoomId(room)),
            )


def _words(poll: Asked) -> tuple[str, ...]:
    return tuple(words for _, words in poll.answers)
