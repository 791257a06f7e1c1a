# SPDX-License-Identifier: Apache-2.0
"""What rooms answer about what was said in them (XEP-0313; REQ-580 to REQ-586)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from gateway.bridge.accounts import Account
from gateway.ids import RemoteUserId, StanzaId, UserJid
from gateway.store.archive import Archived, Wanted
from gateway.store.rooms import RoomRow
from gateway.text.wording import tr
from gateway.xmpp.asked import Answer, LaterAnswer, Request
from gateway.xmpp.codec import errors
from gateway.xmpp.codec.errors import Refused
from gateway.xmpp.codec.xml import Stanza
from gateway.xmpp.jid import split
from gateway.xmpp.rooms import archive, stanzas
from gateway.xmpp.rooms.past import Page, PastPages

if TYPE_CHECKING:
    from gateway.xmpp.component import Component

_MOST_COUNTED = 1_000
"""In 0.2 ms where a room is that of one account, and 0.8 ms where it is shared."""
_PAGES = ("set", f"{{{archive.MAM}}}query")


class ArchiveAnswers:
    """All rooms of one component."""

    def __init__(
        self, component: Component, room_of: Callable[[Request], tuple[Account, RoomRow]]
    ) -> None:
        self._component = component
        self._rooms = component.network.rooms
        self._room_of = room_of
        self._past = PastPages(component)
        self.now: dict[tuple[str, str], Answer] = {
            ("get", f"{{{archive.MAM}}}query"): self._form,
            _PAGES: self._pages,
            ("get", f"{{{archive.MAM}}}metadata"): self._ends,
        }

    def answers_later(self, request: Request) -> LaterAnswer | None:
        """How pages are answered for which the network may be asked."""
        if request.key == _PAGES and self._past.may_be_asked(request):
            return self._pages_with_past
        return None

    def _archive_of(self, request: Request) -> tuple[Account, RoomRow]:
        if request.to.resource:
            raise Refused(errors.ITEM_NOT_FOUND, tr("The archive is that of the room."))
        return self._room_of(request)

    def _form(self, request: Request) -> str:
        self._archive_of(request)
        return archive.form()

    def _ends(self, request: Request) -> str:
        account, room = self._archive_of(request)
        ends = (
            self._rooms.archive.read(account, room, Wanted(most=1, newest=newest))
            for newest in (False, True)
        )
        first, last = (found[0] if found else None for found in ends)
        return archive.metadata(first, last)

    def _pages(self, request: Request) -> str:
        account, room = self._archive_of(request)
        query = archive.read(request.payload)
        page = self._page(account, room, query)
        if (gap := self._past.within(account, room, page)) is not None:
            page = page.up_to(gap)
        complete = page.is_complete and self._past.beginning(account, room, query) is None
        results = self._results(account, room, query, page.found, request.sender)
        kept = archive.fitting(results, from_end=query.backwards)
        for result in reversed(results[kept]) if query.flipped else results[kept]:
            self._component.stream.send(result)
        is_all = complete and len(results[kept]) == len(results)
        count = self._count(account, room, query)
        return archive.fin(page.found[kept], count, complete=is_all)

    def _results(
        self,
        account: Account,
        room: RoomRow,
        query: archive.Query,
        page: Sequence[Archived],
        to: str,
    ) -> list[Stanza]:
        place = self._component.rooms.place(account, room)
        people: dict[RemoteUserId, str] = {}
        results = []
        for said in page:
            shown = self._rooms.archive.shown(account, room, said.message)
            by = ""
            if room.private and shown.nick:
                if said.sender not in people:
                    member = self._rooms.member(room, said.sender)
                    people[said.sender] = stanzas.said_by(place, said.sender, member)
                by = people[said.sender]
            results.append(archive.result(place, query, shown, to, by))
        return results

    async def _pages_with_past(self, request: Request) -> str:
        """What the network has is fetched first, as far as the page has space for it."""
        account, room = self._archive_of(request)
        query = archive.read(request.payload)
        with self._past.asked_by(request.sender):
            await self._past.fetch(account, room, query, lambda: self._page(account, room, query))
        return self._pages(request)

    def _page(self, account: Account, room: RoomRow, query: archive.Query) -> Page:
        if query.ids:
            return self._page_of_ids(account, room, query)
        starts = [query.after, query.page_after]
        ends = [query.before, query.page_before]
        wanted = self._wanted(account, room, query, starts, ends, query.most + 1)
        if wanted is None:
            return Page(found=[], is_complete=True)
        found = self._rooms.archive.read(account, room, wanted)
        complete = len(found) <= query.most
        if not complete:
            found = found[1:] if query.backwards else found[:-1]
        return Page(found=found, is_complete=complete, wanted=wanted)

    def _wanted(
        self,
        account: Account,
        room: RoomRow,
        query: archive.Query,
        starts: Sequence[StanzaId | None],
        ends: Sequence[StanzaId | None],
        most: int,
    ) -> Wanted | None:
        """What is asked for, between the last of these and the first of those. None if it is by
        nobody who is there."""
        sender = self._sender(room, query.sender)
        if query.sender and sender is None:
            return None
        return Wanted(
            after=max((self._place(account, room, id) for id in starts if id), default=None),
            before=min((self._place(account, room, id) for id in ends if id), default=None),
            start=query.start,
            end=query.end,
            sender=sender,
            most=most,
            newest=query.backwards,
        )

    def _count(self, account: Account, room: RoomRow, query: archive.Query) -> int | None:
        """Of all pages. None if that would take long to count, or is not known: see decision
        0014."""
        if query.ids:
            return len(set(query.ids))
        ends = [query.after], [query.before]
        wanted = self._wanted(account, room, query, *ends, _MOST_COUNTED + 1)
        if wanted is None:
            return 0
        if self._past.has_more(account, room, query, wanted):
            return None
        count = self._rooms.archive.count(account, room, wanted)
        return count if count <= _MOST_COUNTED else None

    def _page_of_ids(self, account: Account, room: RoomRow, query: archive.Query) -> Page:
        said = {one.id: one for one in (self._said(account, room, wanted) for wanted in query.ids)}
        places = sorted(said)
        if query.page_after:
            after = self._place(account, room, query.page_after)
            places = [place for place in places if place > after]
        if query.page_before:
            before = self._place(account, room, query.page_before)
            places = [place for place in places if place < before]
        found = [said[place] for place in places]
        cut = max(0, len(found) - query.most)
        kept = found[cut:] if query.backwards else found[: query.most]
        return Page(found=kept, is_complete=not cut)

    def _said(self, account: Account, room: RoomRow, archive_id: StanzaId) -> Archived:
        said = self._rooms.archive.get(account, room, archive_id)
        if said is None:
            raise Refused(errors.ITEM_NOT_FOUND, tr("There is no such message in the archive."))
        return said

    def _place(self, account: Account, room: RoomRow, archive_id: StanzaId) -> int:
        return self._said(account, room, archive_id).id

    def _sender(self, room: RoomRow, wanted: str) -> RemoteUserId | None:
        """By the address of the occupant, or of the puppet where that is known."""
        address = split(wanted)
        if address.local.startswith("#"):
            member = self._rooms.by_nick(room, address.resource)
            return member.user if member is not None else None
        if not wanted or not room.private:
            return None
        by_user = {user: member for member, user in self._rooms.users(room).items()}
        return by_user.get(UserJid(address.bare)) or self._component.network.addresses.contact(
            address.local
        )
