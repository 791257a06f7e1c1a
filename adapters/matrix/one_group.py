# SPDX-License-Identifier: Apache-2.0
"""One group in one answer of /sync, in the order of its timeline: what it is, who comes and goes.
For what is said see `group_speech`. No I/O.

Matrix spec, client-server API, "Syncing", "m.room.member".
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec.structs import replace

from adapters.matrix.filters import Mode
from adapters.matrix.gaps import Fill, group_news
from adapters.matrix.group_speech import GroupSpeech
from adapters.matrix.groups import (
    VISIBILITY,
    described,
    everybody,
    has_others,
    member_of,
    move,
    renamed,
    rights,
    seen,
    with_people,
    with_summary,
)
from adapters.matrix.ids import is_user_id
from adapters.matrix.inbound import Event, as_dict, as_dicts, display_name, event_id_of
from adapters.matrix.membership import departure, is_out, knock, knocks_no_more
from adapters.matrix.opened import Opened
from adapters.matrix.parts import Cuts, Parts
from adapters.matrix.rooms import Group, RoomId
from gateway.events import RemoteMember, RemoteRoom, RemoteRoomMoved
from gateway.ids import RemoteRoomId, RemoteUserId


def _last_id(events: Sequence[Event]) -> str:
    return next(filter(None, map(event_id_of, reversed(events))), "")


def _changes_visibility(events: Iterable[Event]) -> bool:
    return any(event.get("type") == VISIBILITY for event in events)


class OneGroup:
    """One group in one answer."""

    def __init__(
        self,
        parts: Parts,
        mode: Mode,
        account: RemoteUserId,
        room_id: RoomId,
        known: Group | None,
        members: Sequence[Event] | None,
        now: float,
        opened: Opened,
        *,
        is_new: bool,
    ) -> None:
        self._parts = parts
        self._mode = mode
        self._account = account
        self._room_id = room_id
        self._known = known
        self._members = members
        self._named: Sequence[Event] = ()
        """Where there is no list: the member events that the answer has."""
        self._now = now
        self._speech = GroupSpeech(parts, mode, account, room_id, known, now, opened)
        self._gap = ""
        """The event before which some could not be fetched, until that is told."""
        self._is_new = is_new
        self._is_first = known is None or known.is_hidden
        self._told: RemoteRoom | None = None
        if known is not None and not known.is_hidden:
            self._told = seen(room_id, known, account)
        self.group = known or Group(is_stale=True)
        self.out: Event | None = None
        """The last event by which the account came out."""
        self._moved: RemoteRoomMoved | None = None
        """To be told. A room that has moved before the account came is left as it is."""

    @property
    def is_silent(self) -> bool:
        """Nothing of it is told."""
        return self.group.is_space or self.group.is_hidden

    def take(self, content: Event, fill: Fill | None) -> Cuts:
        """All that the answer has of it."""
        state = as_dicts(as_dict(content.get("state")).get("events"))
        timeline = as_dict(content.get("timeline"))
        complete = fill.complete if fill else timeline.get("limited") is not True
        missed = fill.events if fill else ()
        events = [*missed, *as_dicts(timeline.get("events"))]
        self._named = [*state, *events]
        if self._is_first:
            self._see(state, missed, events)
        if self.is_silent:
            last = _last_id(events) or self.group.last
            self.group = replace(self.group, last=last, is_stale=False)
            return
        names = {
            str(event.get("state_key")): display_name(as_dict(event.get("content")))
            for event in self._named
            if event.get("type") == "m.room.member"
        }
        summary = as_dict(content.get("summary"))
        self.group = with_summary(self.group, summary, names, self._account)
        new = group_news(
            self._known, events, self._mode, self._account, complete=complete or fill is None
        )
        is_cut = not complete and len(new) == len(events) > 0
        if is_cut:
            self._gap = next(filter(None, map(event_id_of, new)), "")
            if _changes_visibility(state):  # before or after what was fetched
                self.group = replace(self.group, shows_past=False)
        if self._mode is not Mode.NEXT or is_cut:
            self._is_uncertain()
        # The state is that before the timeline, and after what was missed.
        old_count = len(events) - len(new)
        yield from self._events(missed, old_count, "")
        if not self._is_first:
            self._describe(state)
        yield from self._events(
            events[len(missed) :], max(0, old_count - len(missed)), _last_id(missed)
        )

    def _see(
        self, state: Sequence[Event], missed: Sequence[Event], events: Sequence[Event]
    ) -> None:
        """For the first time: it is told as it is after these, but who may read what is told where
        that changes. Whether it is told at all see `Group.is_hidden`."""
        self._describe(state)
        shows_past = self.group.shows_past  # after what was missed
        self._describe(events)
        if shows_past is not None:
            shows_past = shows_past and not _changes_visibility(missed)
            self.group = replace(self.group, shows_past=shows_past)
        others = [*state, *events, *(self._members or ())]
        is_alone = not has_others(others, self._account)
        is_made = self._is_new and self._mode is Mode.NEXT and self.group.founder == self._account
        is_complete = self.group.is_meant and bool(self.group.name)
        self.group = replace(self.group, is_hidden=is_made and is_alone and not is_complete)

    def _events(self, events: Sequence[Event], old_count: int, last: str) -> Cuts:
        """A group that is cut in two has handed over what comes before the cut, as `group_news`
        will find if the answer comes again."""
        for index, event in enumerate(events):
            is_new = index >= old_count
            if index == old_count:
                self._tell()
                if self._gap:
                    self._speech.gap(self._gap)
                    self._gap = ""
                yield from self._stepped(last)
            self._event(event, tell=is_new)
            last = event_id_of(event) or last
            if is_new:
                yield from self._stepped(last)
            elif self._parts.stepped():
                yield from self._parts.cut()
        self.group = replace(self.group, last=last or self.group.last)

    def _stepped(self, last: str) -> Cuts:
        if self._parts.stepped():
            group = replace(self.group, last=last or self.group.last)
            self._parts.draft.put_group(self._room_id, group)
            yield from self._parts.cut()

    def finish(self) -> None:
        """Tell what is not told, and the members if they are not what they were."""
        self._tell()
        if self.group.is_stale and self._members is not None:
            self._tell(is_whole=True)

    def _describe(self, events: Iterable[Event]) -> None:
        before = self.group
        for event in events:
            old = self.group.moved_to
            self.group = described(self.group, event, self._now)
            if self.group.moved_to != old and not self._is_first:
                self._moved = move(self._room_id, self.group, event)
        if self.group is not before and rights(self.group) != rights(before):
            self._is_uncertain()

    def _is_uncertain(self) -> None:
        """Who is there, or what they may do, is to be asked for."""
        self.group = replace(self.group, is_stale=True)

    # --- what it is -----------------------------------------------------------------------------

    def _tell(self, *, is_whole: bool = False) -> None:
        """What the group is, if that was not told, and at first who is there."""
        is_first = self._told is None
        members = None
        if is_first or is_whole:
            listed = self._named if self._members is None else self._members
            members = everybody(self.group, listed, self._account)
            self.group = with_people(self.group, members, self._account)
            self.group = replace(self.group, is_stale=self._members is None)
        room = seen(self._room_id, self.group, self._account)
        if members is not None or room != self._told:
            self._parts.say(replace(room, members=members, is_new=is_first and self._is_new))
        self._told = room
        if self._moved is not None:
            self._parts.say(self._moved)
            self._moved = None

    # --- events ---------------------------------------------------------------------------------

    def _event(self, event: Event, *, tell: bool) -> None:
        before = self.group
        if not self._is_first or event.get("type") == VISIBILITY:
            self._describe((event,))
        if event.get("type") == "m.room.member":
            self._member(event, tell=tell)
        if tell and self.group is not before:
            self._tell()
        self.group = self._speech.said(self.group, event, tell=tell)

    def _member(self, event: Event, *, tell: bool) -> None:
        user_id, content = event.get("state_key"), as_dict(event.get("content"))
        if not is_user_id(user_id):
            return
        if is_out(event, self._account):
            self.out = event if tell else self.out
            self._is_uncertain()
            return
        if content.get("membership") == "join":
            name = display_name(content)
            self.group = renamed(self.group, user_id, name)
            if tell:
                member = member_of(self.group, user_id, content)
                self._parts.say(RemoteMember(room=RemoteRoomId(self._room_id), member=member))
        elif tell and (gone := departure(self._room_id, event)) is not None:
            self._parts.say(gone)
        elif tell and (asked := knock(self._room_id, event)) is not None:
            self._parts.say(asked)
        if tell and (over := knocks_no_more(self._room_id, event)) is not None:
            self._parts.say(over)

    def pass_on(self, content: Event) -> Cuts:
        """Who types, and how far people have read."""
        yield from self._speech.passing(self.group, content)
