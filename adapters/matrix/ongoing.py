# SPDX-License-Identifier: Apache-2.0
"""What goes on after it was said: somebody shares where they are for a while, and people vote in a
poll (REQ-453, REQ-455). No I/O.

MSC3489 and MSC3672 (places), MSC3381 (polls). What is known of them is in the book, since what
comes is only what changes. As in `inbound`, nothing here raises for what strangers have written.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import msgspec
from msgspec.structs import replace

from adapters.matrix.inbound import (
    BEACONS,
    BEATS,
    POLL_ENDS,
    POLL_STARTS,
    VOTES,
    Event,
    as_dict,
    event_id_of,
    is_message,
    timestamp_of,
)
from adapters.matrix.parts import Parts
from adapters.matrix.places import place_in
from adapters.matrix.polls import Poll, numbered_words, poll_in, poll_words
from adapters.matrix.relations import related
from adapters.matrix.rooms import RoomId
from gateway.ids import RemoteMessageId, RemoteUserId
from gateway.text.wording import tr

_PREFIX = "ongoing:"
_MOST = 100
"""Of one account: of more the oldest are not followed any longer."""
_MOST_VOTERS = 500
"""In one poll: with more its votes are not counted, and are told by other apps alone."""


class Known(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Of one of them. A stored record: it only ever gains optional fields."""

    sender: RemoteUserId
    began: int
    """In milliseconds."""
    until: int = 0
    """Until when a place is shared, likewise."""
    poll: Poll | None = None
    votes: dict[str, tuple[str, tuple[int, ...]]] = {}
    """Of each person: the event, and the places of the answers that they have chosen."""
    at: int = 0
    """When the newest of what was told was said: clocks of homeservers differ."""
    is_crowded: bool = False

    @property
    def tally(self) -> list[int] | None:
        """How many have chosen each answer, if that was counted."""
        if self.poll is None or self.is_crowded:
            return None
        chosen = [place for _, places in self.votes.values() for place in places]
        return [chosen.count(place) for place in range(len(self.poll.answers))]


class Change(NamedTuple):
    """How something stands now: another text of the message with which it began."""

    sender: RemoteUserId
    """Of that message."""
    message: RemoteMessageId
    id: RemoteMessageId
    words: str
    at: float
    is_over: bool = False
    """These words answer that message, which stays as it is."""


def newest_poll(entries: Mapping[str, str], rooms: Iterable[RoomId]) -> str:
    """The one of those that go on in these rooms that was begun last, as `poll_of` finds it; empty
    if there is none. ``entries``: of the book."""
    began = {
        name.removeprefix(_PREFIX): known.began
        for room_id in rooms
        for name, value in entries.items()
        if name.startswith(f"{_PREFIX}{room_id} ") and (known := _decoded(value)).poll is not None
    }
    return max(began, key=began.__getitem__, default="")


def poll_of(entries: Mapping[str, str], reference: str) -> Known | None:
    """A poll that goes on, by its room and its message."""
    value = entries.get(_PREFIX + reference)
    return None if value is None else _decoded(value)


class Ongoing:
    """Of one room in one answer."""

    def __init__(self, parts: Parts, room_id: RoomId, now: float) -> None:
        self._parts = parts
        self._prefix = f"{_PREFIX}{room_id} "
        self._now = now

    def changes(
        self, event: Event, gone: RemoteMessageId | None = None, *, is_ruler: bool = False
    ) -> list[Change]:
        """What an event of the timeline, in clear, changes. ``gone``: what it takes back.
        ``is_ruler``: its sender may take back what others have said, and end their polls."""
        kind = event.get("type")
        if gone is not None:
            return self._taken_back(event, gone)
        if kind in BEACONS:
            return self._shares(event)
        if kind in POLL_STARTS:
            self._asks(event)
        elif kind in BEATS:
            return self._moves(event)
        elif kind in VOTES:
            return self._votes(event)
        elif kind in POLL_ENDS:
            return self._ends(event, is_ruler=is_ruler)
        return []

    def _taken_back(self, event: Event, gone: RemoteMessageId) -> list[Change]:
        """All of it, or one vote."""
        if self._known(gone) is not None:
            self._put(gone, None)
            return []
        for message, known in self._all():
            left = {user: vote for user, vote in known.votes.items() if vote[0] != gone}
            if left != known.votes:
                return self._counted(event, message, replace(known, votes=left))
        return []

    # --- places ---------------------------------------------------------------------------------

    def _shares(self, event: Event) -> list[Change]:
        """Somebody begins, or has stopped; by beginning again they stop what they have begun."""
        sender, content = event.get("sender"), as_dict(event.get("content"))
        if event.get("state_key") != sender:
            return []
        over = [
            Change(
                known.sender,
                message,
                RemoteMessageId(event_id_of(event)),
                tr("[live location] ended"),
                timestamp_of(event, self._now) / 1000,
                is_over=True,
            )
            for message, known in self._all()
            if known.poll is None and known.sender == sender
        ]
        for each in over:
            self._put(each.message, None)
        if not is_message(event):
            return over[-1:]
        timeout, began = content.get("timeout"), timestamp_of(event, self._now)
        if isinstance(timeout, int) and timeout > 0:
            known = Known(sender=RemoteUserId(str(sender)), began=began, until=began + timeout)
            self._begin(event_id_of(event), known)
        return []

    def _moves(self, event: Event) -> list[Change]:
        message, known = self._about(event)
        place, at = place_in(as_dict(event.get("content"))), timestamp_of(event, self._now)
        if known is None or known.sender != event.get("sender") or not place or at > known.until:
            return []
        return [self._changed(event, message, known, place)]

    # --- polls ----------------------------------------------------------------------------------

    def _asks(self, event: Event) -> None:
        """Somebody asks, or something else than before: then what was chosen means nothing."""
        about, sender = related(event), RemoteUserId(str(event.get("sender")))
        poll = poll_in(event.get("type"), about.words)
        before = None if about.edits is None else self._known(about.edits)
        if about.edits is not None and (before is None or before.sender != sender):
            return
        if poll is not None and poll.answers:
            began = timestamp_of(event, self._now)
            message = about.edits or event_id_of(event)
            self._begin(message, Known(sender=sender, began=began, poll=poll, at=began))

    def _votes(self, event: Event) -> list[Change]:
        """The last vote of each person counts."""
        message, known = self._about(event)
        if known is None or known.poll is None or known.is_crowded:
            return []
        vote = event_id_of(event), known.poll.counted(as_dict(event.get("content")))
        votes = {**known.votes, str(event.get("sender")): vote}
        if len(votes) > _MOST_VOTERS:
            self._put(message, replace(known, votes={}, is_crowded=True))
            return []
        return self._counted(event, message, replace(known, votes=votes))

    def _counted(self, event: Event, message: str, known: Known) -> list[Change]:
        """How it stands may be seen by everybody, or by nobody before it ends."""
        assert known.poll is not None, "only polls have votes"
        if known.poll.is_disclosed:
            words = poll_words(known.poll, known.tally)
            return [self._changed(event, message, known, words)]
        self._put(message, known)
        return []

    def _ends(self, event: Event, *, is_ruler: bool) -> list[Change]:
        message, known = self._about(event)
        if known is None or known.poll is None:
            return []
        if not (is_ruler or known.sender == event.get("sender")):
            return []
        words = poll_words(known.poll, known.tally, has_ended=True)
        change = self._changed(event, message, known, words)
        self._put(message, None)
        return [change]

    def result(self, event: Event) -> str:
        """Of the poll that this event ends, the answers with their votes; empty if they were not
        counted. To be asked before its changes."""
        known = self._about(event)[1] if event.get("type") in POLL_ENDS else None
        if known is None or known.poll is None or known.tally is None:
            return ""
        return numbered_words(known.poll, known.tally)

    # --- the book -------------------------------------------------------------------------------

    def _about(self, event: Event) -> tuple[str, Known | None]:
        """What an event refers to ("m.reference")."""
        message = event_id_of(as_dict(as_dict(event.get("content")).get("m.relates_to")))
        return message, self._known(message)

    def _changed(self, event: Event, message: str, known: Known, words: str) -> Change:
        at = max(known.at, timestamp_of(event, self._now))
        self._put(message, replace(known, at=at))
        event_id = RemoteMessageId(f"{event_id_of(event)} state")
        return Change(known.sender, RemoteMessageId(message), event_id, words, at / 1000)

    def _begin(self, message: str, known: Known) -> None:
        every = self._parts.draft.noted(_PREFIX)
        if len(every) >= _MOST:
            oldest = min(every, key=lambda key: _decoded(every[key]).began)
            self._parts.draft.note(oldest, None)
        self._put(message, known)

    def _known(self, message: str) -> Known | None:
        value = self._parts.draft.noted_as(self._prefix + message)
        return None if value is None else _decoded(value)

    def _all(self) -> Sequence[tuple[RemoteMessageId, Known]]:
        noted = self._parts.draft.noted(self._prefix)
        return [
            (RemoteMessageId(key.removeprefix(self._prefix)), _decoded(value))
            for key, value in noted.items()
        ]

    def _put(self, message: str, known: Known | None) -> None:
        value = None if known is None else msgspec.json.encode(known).decode()
        self._parts.draft.note(self._prefix + message, value)


def _decoded(value: str) -> Known:
    return msgspec.json.decode(value, type=Known)
