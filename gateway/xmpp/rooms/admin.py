# SPDX-License-Identifier: Apache-2.0
"""Lists of who is what in a room, and changes of that (XEP-0045 §8 to §10)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING
from xml.etree.ElementTree import Element

from gateway.bridge.accounts import Account
from gateway.bridge.rooms.rooms import is_ruler
from gateway.errors import AdapterError
from gateway.events import Affiliation, LiftBan
from gateway.ids import is_virtual, user_of, virtual_id
from gateway.store.kinds import AccountKind
from gateway.store.member_lists import Listed
from gateway.store.members import MemberRow
from gateway.store.rooms import RoomRow
from gateway.text.wording import joined, tr, trn
from gateway.xmpp.asked import Answer, LaterAnswer, Request
from gateway.xmpp.codec import errors
from gateway.xmpp.codec.errors import Refused
from gateway.xmpp.codec.xml import attribute
from gateway.xmpp.rooms.changes import ADMIN, ONLY_RULERS, Changes
from gateway.xmpp.rooms.place import Place
from gateway.xmpp.rooms.refusals import refused
from gateway.xmpp.rooms.stanzas import role_of

if TYPE_CHECKING:
    from gateway.xmpp.component import Component

_KEY = f"{{{ADMIN}}}query"
_MOST = 1_000
"""Of a list: clients do not ask for it in pages (REQ-546)."""
_LAST_BEGIN_S = 5.0
"""After which no further change is begun: one takes up to 20 s, and IQs are answered in 30 s."""
_RULERS = (Affiliation.OWNER, Affiliation.ADMIN)
_ORDINARY = (Affiliation.MEMBER, Affiliation.NONE)
_OUTCASTS = ("affiliation", "outcast")
_LISTS = {
    ("affiliation", "owner"): Listed(affiliations=(Affiliation.OWNER,), most=_MOST),
    ("affiliation", "admin"): Listed(affiliations=(Affiliation.ADMIN,), most=_MOST),
    ("affiliation", "member"): Listed(affiliations=(Affiliation.MEMBER,), most=_MOST),
    ("role", "moderator"): Listed(affiliations=_RULERS, most=_MOST),
    ("role", "participant"): Listed(affiliations=_ORDINARY, may_speak=True, most=_MOST),
    ("role", "visitor"): Listed(affiliations=_ORDINARY, may_speak=False, most=_MOST),
}
_OF_RULERS = {("affiliation", "owner"), ("affiliation", "admin"), ("role", "moderator")}
"""Everybody may know who rules."""


class Administration:
    """Of all rooms of one component. ``now`` and ``later`` as those of `RoomAnswers`."""

    def __init__(
        self, component: Component, find: Callable[[Request], tuple[Account, RoomRow]]
    ) -> None:
        self._component = component
        self._rooms = component.network.rooms
        self._management = component.network.rooms.management
        self._clock = component.network.adapter.context.clock
        self._find = find
        self.now: dict[tuple[str, str], Answer] = {("get", _KEY): self._list}
        self.later: dict[tuple[str, str], LaterAnswer] = {
            ("get", _KEY): self._banned,
            ("set", _KEY): self._change,
        }

    def is_known(self, request: Request) -> bool:
        """Whether the network need not be asked: it is about people in the room."""
        return request.key == ("get", _KEY) and _asked(request.payload) != _OUTCASTS

    def _room(self, request: Request) -> tuple[Account, RoomRow, MemberRow]:
        account, room = self._find(request)
        me = self._rooms.me(account, room)
        if me is None or request.to.resource:
            raise Refused(errors.BAD_REQUEST, tr("This is asked of the room itself."))
        return account, room, me

    # --- lists ----------------------------------------------------------------------------------

    def _list(self, request: Request) -> str:
        account, room, me = self._room(request)
        asked = _asked(request.payload)
        wanted = _LISTS.get(asked) if asked is not None else None
        if asked is None or wanted is None:
            raise Refused(errors.BAD_REQUEST, tr("There is no such list."))
        if not room.private and not is_ruler(me) and asked not in _OF_RULERS:
            raise Refused(errors.FORBIDDEN, ONLY_RULERS)
        found = self._rooms.listed(room, wanted)
        # Converse.js 14 takes a role in a list of affiliations for what the nick is.
        has_role = asked[0] == "role"
        place = self._component.rooms.place(account, room)
        here = [self._item(account, room, place, me, one, has_role=has_role) for one in found]
        return _query([*here, *self._elsewhere(account, room, me, asked, found)])

    def _elsewhere(
        self,
        account: Account,
        room: RoomRow,
        me: MemberRow,
        asked: tuple[str, str],
        found: Iterable[MemberRow],
    ) -> Iterator[str]:
        """In a linked group: people on XMPP who are that, and are not there now."""
        kind, wanted = asked
        is_told = kind == "affiliation" and (room.private or is_ruler(me))
        if account.kind is not AccountKind.VIRTUAL or not is_told:
            return
        here = {member.user for member in found}
        portals = self._component.network.portals
        for user in portals.named(room.remote_id, wanted):
            if virtual_id(user) not in here:
                yield _written(affiliation=wanted, jid=user)

    def _item(
        self,
        account: Account,
        room: RoomRow,
        place: Place,
        me: MemberRow,
        member: MemberRow,
        *,
        has_role: bool,
    ) -> str:
        jid = ""
        if member.user == account.remote_id:
            jid = account.user
        elif is_virtual(member.user):
            jid = user_of(member.user) if room.private or is_ruler(me) else ""
        elif room.private:
            jid = place.jid_of(member.user)
        elif is_ruler(me):
            jid = self._component.puppet(member.user)
        return _written(
            affiliation=member.affiliation,
            jid=jid,
            nick=member.nick,
            role=role_of(member.affiliation, may_speak=member.may_speak) if has_role else "",
        )

    async def _banned(self, request: Request) -> str:
        """XEP-0045 §9.2, REQ-546: in private groups for everybody there, in channels for those who
        may ban."""
        account, room, me = self._room(request)
        if not room.private and not is_ruler(me):
            raise Refused(errors.FORBIDDEN, ONLY_RULERS)
        outcasts = list(self._elsewhere(account, room, me, ("affiliation", "outcast"), ()))
        if not self._management.is_possible(LiftBan):
            return _query(outcasts)
        try:
            users = await self._component.network.rooms.outcasts.of(account, room)
        except AdapterError as error:
            raise refused(error) from error
        puppet = self._component.puppet
        banned = (_written(affiliation="outcast", jid=puppet(user)) for user in users)
        return _query([*outcasts, *banned])

    # --- changes --------------------------------------------------------------------------------

    async def _change(self, request: Request) -> str:
        """One after the other. What has changed is told by the network, and not here."""
        account, room, me = self._room(request)
        actions = Changes(self._component, account, room, me).of(request.payload)
        begun = self._clock.monotonic()
        outcasts = self._component.network.rooms.outcasts
        for done, action in enumerate(actions):
            if self._clock.monotonic() - begun > _LAST_BEGIN_S:
                slow = tr("The network is too slow for so much at once.")
                said = joined((slow, _done(done, len(actions))))
                raise Refused(errors.REMOTE_TIMEOUT, said)
            try:
                await self._management.do(account, action)
                outcasts.changed((room.id,))  # whoever asks next may ask before it is told
            except AdapterError as error:
                failed = refused(error)
                said = joined((failed.said, _done(done, len(actions))))
                raise Refused(failed.error, said) from error
        return ""


def _done(done: int, of: int) -> str:
    if of == 1:
        return ""
    return trn(
        "{count} of {of} changes was made before.",
        "{count} of {of} changes were made before.",
        done,
        of=of,
    )


def _asked(query: Element) -> tuple[str, str] | None:
    """Which list is wanted; None if that cannot be read."""
    items = query.findall(f"{{{ADMIN}}}item")
    asked = [item for element in items for item in element.items()]
    return asked[0] if len(items) == len(asked) == 1 else None


def _query(items: Iterable[str]) -> str:
    return f"<query xmlns='{ADMIN}'>{''.join(items)}</query>"


def _written(**attributes: str) -> str:
    written = "".join(
        f" {name}='{attribute(value)}'" for name, value in attributes.items() if value
    )
    return f"<item{written}/>"
