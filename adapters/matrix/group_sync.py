# SPDX-License-Identifier: Apache-2.0
"""What an answer of /sync says of the groups of the account. No I/O.

Matrix spec, client-server API, "Syncing", "Lazy-loading room members", "m.room.member". In the
order of the timeline: see `one_group`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from adapters.matrix.filters import Mode
from adapters.matrix.gaps import Fill, rooms_in, state_in
from adapters.matrix.groups import (
    begun_with,
    creation,
    described,
    has_others,
    rights,
)
from adapters.matrix.inbound import (
    Event,
    as_dict,
    as_dicts,
)
from adapters.matrix.marks import marked_contact
from adapters.matrix.membership import departure, is_about_ban, is_out
from adapters.matrix.one_group import OneGroup
from adapters.matrix.opened import Opened
from adapters.matrix.parts import Cuts, Parts
from adapters.matrix.rooms import Book, Group, RoomId
from gateway.events import (
    RemoteMemberGone,
)
from gateway.ids import RemoteRoomId, RemoteUserId

Lists = Mapping[RoomId, Sequence[Event]]
"""The member events of groups, as they were asked for."""


def to_be_listed(
    answer: Event, book: Book, mode: Mode, account: RemoteUserId, instance: str
) -> Iterator[RoomId]:
    """The groups whose members have to be asked for. An answer names few of them ("Lazy-loading
    room members"), and nobody where it was changed what all of them may do."""
    chats = {*book.rooms(), *_listed_as_direct(answer)}
    joined = dict(rooms_in(answer, "join"))
    for room_id, content in joined.items():
        group, events = book.group(room_id), state_in(content)
        if room_id in chats or (group is not None and group.is_space):
            continue
        is_next = mode is Mode.NEXT
        if group is None or group.is_hidden:
            is_new = is_next and book.knows_groups
            begun = chat_begun(events, account, instance, is_new=is_new)
            is_wanted = begun is None and _is_told_now(group, events, account, is_next=is_next)
        else:
            is_wanted = not is_next or _is_changed(group, events, account)
        if is_wanted:
            yield room_id
    for room_id, group in book.groups().items():
        if group.is_stale and room_id not in joined and room_id not in chats:
            yield room_id


def _is_told_now(
    group: Group | None, events: Sequence[Event], account: RemoteUserId, *, is_next: bool
) -> bool:
    """Whether a room that was not told is one that is told now."""
    if group is not None:
        is_complete = group.is_meant and any(
            event.get("type") == "m.room.name" for event in events
        )
        return not is_next or is_complete or has_others(events, account)
    made = creation(events)
    return made is not None and not described(Group(), made, 0).is_space


def _is_changed(group: Group, events: Sequence[Event], account: RemoteUserId) -> bool:
    after = group
    for event in events:
        after = described(after, event, 0)
    is_back = any(is_out(event, account) for event in events)
    return group.is_stale or is_back or rights(after) != rights(group)


def _listed_as_direct(answer: Event) -> Iterator[object]:
    for event in as_dicts(as_dict(answer.get("account_data")).get("events")):
        if event.get("type") == "m.direct":
            for room_ids in as_dict(event.get("content")).values():
                yield from (
                    room_id
                    for room_id in (room_ids if isinstance(room_ids, list) else ())
                    if isinstance(room_id, str)
                )


def chat_begun(
    events: Sequence[Event], account: RemoteUserId, instance: str, *, is_new: bool
) -> tuple[RemoteUserId, bool] | None:
    """The contact of an unknown room that is a chat though ``m.direct`` does not say so, and
    whether we made it and forgot it before that was stored. New is one that the account has come
    into by this answer."""
    made = creation(events)
    if made is not None and made.get("sender") == account:
        contact = marked_contact(as_dict(made.get("content")), instance)
        if contact is not None:
            return contact, True
    # Another app makes a chat first, and enters it into m.direct then.
    begun = begun_with(events, account) if is_new else None
    return None if begun is None else (begun, False)


class Groups:
    """The groups of one answer."""

    def __init__(
        self, parts: Parts, mode: Mode, account: RemoteUserId, lists: Lists, now: float
    ) -> None:
        self._parts = parts
        self._mode = mode
        self._account = account
        self._lists = lists
        self._now = now

    def entered(
        self, room_id: RoomId, content: Event, fill: Fill | None, opened: Opened, *, is_new: bool
    ) -> Cuts:
        """A group that the account is in."""
        known = self._parts.draft.group(room_id)
        if known is None and creation(state_in(content)) is None:
            self._parts.outcome.tally.unknown += 1
            return
        one = self._one(room_id, known, opened, is_new=is_new)
        yield from one.take(content, fill)
        if not one.is_silent:
            one.finish()
            yield from one.pass_on(content)
        self._parts.draft.put_group(room_id, one.group)
        if self._parts.stepped():
            yield from self._parts.cut()

    def left(self, room_id: RoomId, content: Event, fill: Fill | None, opened: Opened) -> Cuts:
        """A room that the account was in until now, with the last words that it could hear."""
        known = self._parts.draft.group(room_id)
        gone = None
        if known is None:
            self._left_before(room_id, content)
        if known is not None and not known.is_space and not known.is_hidden:
            one = self._one(room_id, known, opened, is_new=False)
            yield from one.take(content, fill)
            gone = None if one.out is None else departure(room_id, one.out)
        self.over(room_id, gone)
        if self._parts.stepped():
            yield from self._parts.cut()

    def _left_before(self, room_id: RoomId, content: Event) -> None:
        """The account was banned while it was out, or may come again."""
        for event in state_in(content):
            gone = departure(room_id, event)
            if gone is not None and gone.user == self._account and is_about_ban(event):
                self._parts.say(gone)

    def listed(self) -> Cuts:
        """Groups that had nothing new, and of which the members are known at last."""
        for room_id in self._lists:
            known = self._parts.draft.group(room_id)
            if known is not None and known.is_stale:
                one = self._one(room_id, known, Opened(), is_new=False)
                one.finish()
                self._parts.draft.put_group(room_id, one.group)
                if self._parts.stepped():
                    yield from self._parts.cut()

    def over(self, room_id: RoomId, gone: RemoteMemberGone | None = None) -> None:
        """The account is not in a group any more, or it is none any more."""
        known = self._parts.draft.group(room_id)
        self._parts.outcome.typists[room_id] = frozenset()
        if known is not None and not known.is_space and not known.is_hidden:
            left = RemoteMemberGone(room=RemoteRoomId(room_id), user=self._account)
            self._parts.say(gone or left)
        self._parts.draft.put_group(room_id, None)

    def _one(
        self, room_id: RoomId, known: Group | None, opened: Opened, *, is_new: bool
    ) -> OneGroup:
        members = self._lists.get(room_id)
        return OneGroup(
            self._parts,
            self._mode,
            self._account,
            room_id,
            known,
            members,
            self._now,
            opened,
            is_new=is_new,
        )
