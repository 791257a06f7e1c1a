# SPDX-License-Identifier: Apache-2.0
"""One answer of /sync → events, changes of the book, typing, in parts. No I/O. For groups see
`group_sync`.

Matrix spec, client-server API, "Syncing", "Direct messaging", "Receipts", "Typing notifications".
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from typing import Any

from msgspec.structs import replace

from adapters.matrix.chat_speech import ChatSpeech
from adapters.matrix.filters import Mode
from adapters.matrix.gaps import Fill, begins_here, is_room_id, news, rooms_in, state_in
from adapters.matrix.group_sync import Groups, Lists, chat_begun
from adapters.matrix.groups import creation, version_in
from adapters.matrix.ids import is_user_id, split_user_id
from adapters.matrix.inbound import (
    Event,
    as_dict,
    as_dicts,
    display_name,
    event_id_of,
)
from adapters.matrix.invited import Invitations
from adapters.matrix.marks import IGNORED, ignored, is_made_encrypted
from adapters.matrix.media import AVATAR_URL, avatar_in
from adapters.matrix.opened import Opened
from adapters.matrix.parts import Cuts, Outcome, Parts
from adapters.matrix.rooms import Book, Room, RoomId
from gateway.events import (
    RemoteGap,
    RemoteInvite,
    RemoteInviteGone,
    RemoteProfile,
)
from gateway.ids import RemoteMessageId, RemoteUserId

NOTHING = Opened()


def translate(
    answer: Event,
    book: Book,
    *,
    mode: Mode,
    account: RemoteUserId,
    instance: str,
    fills: Mapping[RoomId, Fill],
    now: float,
    opened: Opened = NOTHING,
    lists: Lists | None = None,
) -> Iterator[Outcome]:
    """What the answer means for somebody who knows the book.

    Each part has to be committed, and applied to the book, before the next one is asked for.
    Whatever part is the last one that is committed, the answer may come again after it: each is
    complete in itself, with the events and the state that says that they were handed over.
    """
    return _Translation(book, mode, account, instance, fills, now, opened, lists or {}).take(
        answer
    )


class _Translation:
    """The work on one answer."""

    def __init__(
        self,
        book: Book,
        mode: Mode,
        account: RemoteUserId,
        instance: str,
        fills: Mapping[RoomId, Fill],
        now: float,
        opened: Opened,
        lists: Lists,
    ) -> None:
        self._opened = opened
        self._parts = Parts(book)
        self._groups = Groups(self._parts, mode, account, lists, now)
        self._invitations = Invitations(self._parts, self._groups, account)
        self._tells_new_groups = book.knows_groups and mode is not Mode.FIRST
        self._mode = mode
        self._account = account
        self._instance = instance
        self._fills = fills
        self._now = now

    def take(self, answer: Event) -> Cuts:
        for event in as_dicts(as_dict(answer.get("account_data")).get("events")):
            content = as_dict(event.get("content"))
            if event.get("type") == "m.direct":
                yield from self._direct(content)
            elif event.get("type") == IGNORED and (listed := ignored(content)) is not None:
                self._parts.say(listed)
        seen: set[RoomId] = set()
        for membership in ("join", "leave"):
            for room_id, content in rooms_in(answer, membership):
                seen.add(room_id)
                yield from self._entered(room_id, content, membership)
                left = state_in(content) if membership == "leave" else ()
                self._invitations.over(room_id, left)
        for room_id, content in rooms_in(answer, "invite"):
            seen.add(room_id)
            yield from self._invited(room_id, content)
        for room_id, content in rooms_in(answer, "knock"):
            seen.add(room_id)
            self._invitations.knocked(room_id, content)
        yield from self._groups.listed()
        if self._mode is not Mode.NEXT:
            yield from self._leave_all_but(seen)
        self._parts.draft.put_groups_known()
        self._parts.outcome.is_last = True
        yield self._parts.outcome

    # --- which rooms are chats ----------------------------------------------------------------

    def _direct(self, content: Mapping[str, Any]) -> Cuts:
        """Spec, "m.direct": user id → room ids. What we know once stays a chat, and a group that
        is listed becomes one."""
        listed: dict[RoomId, list[RemoteUserId]] = {}
        for user_id, room_ids in content.items():
            if is_user_id(user_id) and user_id != self._account and isinstance(room_ids, list):
                for room_id in room_ids:
                    if is_room_id(room_id):
                        listed.setdefault(room_id, []).append(RemoteUserId(user_id))
        for room_id, contacts in listed.items():
            room = self._parts.draft.room(room_id)
            if room is None:
                room = self._chat_of(room_id, Room(contact=contacts[0]))
            elif room.contact not in contacts:
                room = replace(room, contact=contacts[0], theirs="")
            self._parts.draft.put(room_id, replace(room, unlisted=False))
            if self._parts.stepped():
                yield from self._parts.cut()

    def _begun(self, room_id: RoomId, content: Event, membership: str) -> Room | None:
        """A chat that neither the book nor ``m.direct`` has."""
        group = self._parts.draft.group(room_id)
        if group is not None and not group.is_hidden:
            return None
        is_new = self._tells_new_groups and self._mode is Mode.NEXT and membership == "join"
        begun = chat_begun(state_in(content), self._account, self._instance, is_new=is_new)
        if begun is None:
            return None
        contact, is_ours = begun
        if is_ours:
            self._parts.draft.put_opening(contact, False)
        return self._chat_of(room_id, Room(contact=contact, unlisted=is_ours))

    def _chat_of(self, room_id: RoomId, room: Room) -> Room:
        """A room that is a chat from now on. It goes on from the event where it was a group."""
        group = self._parts.draft.group(room_id)
        if group is None:
            return room
        self._groups.over(room_id)
        of_group = {"encrypted": group.encrypted, "last": group.last, "version": group.version}
        return replace(room, mine="join", **of_group)

    def _leave_all_but(self, seen: set[RoomId]) -> Cuts:
        for room_id, room in self._parts.draft.rooms():
            if room_id not in seen and room.mine in ("join", "invite"):
                self._answered(room_id, room)
                self._parts.draft.put(room_id, replace(room, mine="leave", invite=""))
                if self._parts.stepped():
                    yield from self._parts.cut()
        for room_id in self._parts.draft.groups():
            if room_id not in seen:
                self._groups.over(room_id)
                if self._parts.stepped():
                    yield from self._parts.cut()
        for room_id in self._parts.draft.invitations():
            if room_id not in seen:
                self._invitations.over(room_id)

    # --- rooms of the account -----------------------------------------------------------------

    def _entered(self, room_id: RoomId, content: Event, membership: str) -> Cuts:
        """A room that the account is in, or was in until now."""
        state = as_dicts(as_dict(content.get("state")).get("events"))
        timeline = as_dicts(as_dict(content.get("timeline")).get("events"))
        room = self._parts.draft.room(room_id) or self._begun(room_id, content, membership)
        fill = self._fills.get(room_id)
        if room is None and membership == "join":
            is_new = self._tells_new_groups
            yield from self._groups.entered(room_id, content, fill, self._opened, is_new=is_new)
            return
        if room is None:
            yield from self._groups.left(room_id, content, fill, self._opened)
            return
        self._answered(room_id, room)
        events = [*fill.events, *timeline] if fill is not None else timeline
        room = replace(room, mine=membership, invite="")
        room = _with_version(_with_encryption(room, [*state, *events]), [*state, *events])
        self._parts.draft.put(room_id, room)
        for event in state:
            room = self._member(room, event)
            if self._parts.stepped():
                yield from self._parts.cut()
        speech = self._speech(room_id, room)
        room = yield from self._timeline(room_id, room, events, speech, fill)
        self._parts.draft.put(room_id, room)
        yield from speech.passing(room, content)
        if self._parts.stepped():
            yield from self._parts.cut()

    def _speech(self, room_id: RoomId, room: Room) -> ChatSpeech:
        return ChatSpeech(
            self._parts,
            self._mode,
            self._account,
            room_id,
            room,
            self._now,
            self._opened,
            self._name_of,
        )

    def _timeline(
        self,
        room_id: RoomId,
        room: Room,
        events: Sequence[Event],
        speech: ChatSpeech,
        fill: Fill | None,
    ) -> Generator[Outcome, None, Room]:
        """A room that is cut in two has handed over what comes before the cut, as `news` will
        find if the answer comes again. Where nothing is told, nothing is to be found either."""
        new = news(room, events, self._mode, self._account, unread=fill is not None)
        old_count = len(events) - len(new)
        if fill is not None and not fill.complete and new and (first := event_id_of(new[0])):
            self._parts.say(RemoteGap(contact=room.contact, id=RemoteMessageId(first)))
        for index, event in enumerate(events):
            room = self._member(room, event)
            room = speech.said(room, event, tell=index >= old_count)
            if self._parts.stepped():
                if index >= old_count:
                    self._parts.draft.put(room_id, room)
                yield from self._parts.cut()
        return room

    # --- people -------------------------------------------------------------------------------

    def _member(self, room: Room, event: Event) -> Room:
        """Membership of the contact, and names. Spec, "m.room.member"."""
        user_id = event.get("state_key")
        if event.get("type") != "m.room.member" or not is_user_id(user_id):
            return room
        content = as_dict(event.get("content"))
        membership = content.get("membership")
        if membership in ("join", "invite"):
            if user_id == room.contact:
                self._profile(room.contact, display_name(content), avatar_in(content, AVATAR_URL))
            else:
                self._named(user_id, display_name(content))
        if user_id == room.contact and isinstance(membership, str):
            theirs = membership if membership in ("join", "invite") else "leave"
            return replace(room, theirs=theirs)
        return room

    def _profile(self, contact: RemoteUserId, name: str, avatar: str) -> None:
        draft = self._parts.draft
        if (name, avatar) != (draft.name(contact), draft.face(contact)):
            draft.put_name(contact, name, is_contact=True)
            draft.put_face(contact, avatar)
            self._parts.say(RemoteProfile(contact=contact, name=name, avatar=avatar))

    def _named(self, user_id: str, name: str) -> None:
        if user_id != self._account and name != self._parts.draft.name(user_id):
            self._parts.draft.put_name(user_id, name, is_contact=False)

    def _name_of(self, user_id: str) -> str:
        parts = split_user_id(user_id)
        return self._parts.draft.name(user_id) or (parts[0] if parts else "somebody")

    # --- invitations --------------------------------------------------------------------------

    def _invited(self, room_id: RoomId, content: Event) -> Cuts:
        """Spec, "Stripped state": the inviter, whether it is direct, whether it is encrypted."""
        events = as_dicts(as_dict(content.get("invite_state")).get("events"))
        known = self._parts.draft.room(room_id)
        inviter, direct = self._inviter(events)
        expected = known is not None and known.contact == inviter
        if inviter is None:
            self._parts.outcome.tally.ignored += 1
            return
        if not (direct or expected):
            yield from self._invitations.invited(room_id, events, inviter)
            return
        room = known or Room(contact=inviter)
        if not expected:
            room = replace(room, contact=inviter)
        room = _with_encryption(replace(room, theirs="join"), events, stripped=True)
        for event in events:
            if event.get("state_key") == inviter:
                self._member(room, event)
                if self._parts.stepped():
                    yield from self._parts.cut()
        if room.mine != "invite":
            count = room.invites + 1
            invite = RemoteMessageId(f"{room_id}#{count}")
            room = replace(room, mine="invite", invite=invite, invites=count)
            self._parts.say(RemoteInvite(contact=inviter, id=invite))
        self._parts.draft.put(room_id, room)
        if self._parts.stepped():
            yield from self._parts.cut()

    def _inviter(self, events: Sequence[Event]) -> tuple[RemoteUserId | None, bool]:
        for event in events:
            if begins_here(event, "", self._account):
                sender = event.get("sender")
                if is_user_id(sender) and sender != self._account:
                    direct = as_dict(event.get("content")).get("is_direct") is True
                    return RemoteUserId(sender), direct
        return None, False

    def _answered(self, room_id: RoomId, room: Room) -> None:
        """An invitation is gone; the contact may have others that wait."""
        waiting = any(
            other.invite and other.contact == room.contact and other_id != room_id
            for other_id, other in (self._parts.draft.rooms() if room.invite else ())
        )
        if room.invite and not waiting:
            self._parts.say(RemoteInviteGone(contact=room.contact))


def _with_encryption(room: Room, events: Sequence[Event], *, stripped: bool = False) -> Room:
    """Sticky, whatever the content. Clear only if the whole state was there (it has the creation,
    which in an invitation proves nothing: that is an excerpt)."""
    if room.encrypted:
        return room
    states = [event for event in events if event.get("state_key") == ""]
    if any(event.get("type") == "m.room.encryption" for event in states):
        return replace(room, encrypted=True)
    made = [event for event in states if event.get("type") == "m.room.create"]
    if made and not stripped:
        return replace(
            room, encrypted=any(is_made_encrypted(as_dict(event.get("content"))) for event in made)
        )
    return room


def _with_version(room: Room, events: Sequence[Event]) -> Room:
    made = creation(events)
    if made is None:
        return room
    return replace(room, version=version_in(as_dict(made.get("content"))))
