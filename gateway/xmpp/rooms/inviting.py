# SPDX-License-Identifier: Apache-2.0
"""Invitations into rooms, in both directions (XEP-0045 §7.8.2, XEP-0249; REQ-590, REQ-592)."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING
from uuid import uuid4

import structlog

from gateway.bridge.accounts import Account
from gateway.bridge.splitting import brief, in_line
from gateway.errors import AdapterError, StoreUnavailable, Transient
from gateway.events import InviteToRoom, RoomInvitation, RoomKnock, RoomNews
from gateway.ids import RemoteUserId, StanzaId, UserJid, is_virtual, user_of, virtual_id
from gateway.locale import in_language, said_in
from gateway.store.journal import InboundRow
from gateway.store.kinds import AccountKind
from gateway.store.rooms import RoomRow
from gateway.tasks import is_cancelled
from gateway.text.wording import Words, tr, trn
from gateway.xmpp.codec import errors
from gateway.xmpp.codec.errors import Refused
from gateway.xmpp.codec.incoming import Guest, IncomingMessage
from gateway.xmpp.codec.xml import Stanza, attribute, text
from gateway.xmpp.jid import Address, split
from gateway.xmpp.limits import Kind
from gateway.xmpp.rooms.doors import NO_ROOM
from gateway.xmpp.rooms.refusals import refused
from gateway.xmpp.rooms.stanzas import MUC, uri

if TYPE_CHECKING:
    from gateway.xmpp.component import Component

log = structlog.get_logger("inviting")

_NOT_ADMITTED = tr("This person may not use this gateway, so they cannot be invited.")
_NOBODY = tr("There is no contact of this name.")
_STRANGER = tr(
    "Only contacts of this network, and users of this gateway with an "
    "account of their own, can be invited.",
)
_ELSEWHERE = tr("A contact can be invited only to groups of the same network.")
_NOT_INVITED = tr("No invitation to this group waits for you.")
_STORE = tr("The gateway cannot store anything at the moment. Please try again later.")
_TOO_MANY = tr("Too many of your invitations wait for the network. Please try again later.")
_NAMED = 10
"""Of those who could not be invited."""
_TOO_OFTEN = tr("You are inviting too many people. Please wait a few minutes.")
_MOST = 20
"""Messages with invitations of one user that wait for the network."""

Refuse = Callable[[IncomingMessage, errors.StanzaError, str], None]


class Inviting:
    """Of one component."""

    def __init__(self, component: Component, refuse: Refuse) -> None:
        self._component = component
        self._network = component.network
        self._refuse = refuse
        self._open: Counter[UserJid] = Counter()

    # --- by users -------------------------------------------------------------------------------

    def to_room(self, message: IncomingMessage, sender: Address, to: Address) -> bool:
        """Invitations that a room is to pass on, or an answer to one. False if there are none."""
        if message.type == "groupchat" or not (message.guests or message.declines):
            return False
        account = self._component.account_of(sender.bare)
        if message.guests:
            found = self._component.rooms.find(sender, to)
            if found is None:
                self._refuse(message, errors.ITEM_NOT_FOUND, NO_ROOM)
            else:
                self._invite(message, *found, message.guests)
        elif account is None:
            self._refuse(message, errors.ITEM_NOT_FOUND, NO_ROOM)
        else:
            self._decline(message, account, to)
        return True

    def to_contact(self, message: IncomingMessage, sender: Address, to: Address) -> bool:
        """An invitation that a client has sent to a contact. False if there is none."""
        if not message.conference:
            return False
        room = split(message.conference)
        if room.domain != self._component.domain:
            if message.body is not None:
                return False  # a text with an invitation to somewhere else
            self._refuse(message, errors.NOT_ACCEPTABLE, _ELSEWHERE)
            return True
        found = self._component.rooms.find(sender, room)
        if found is None:
            self._refuse(message, errors.ITEM_NOT_FOUND, NO_ROOM)
        else:
            guest = Guest(to.bare, message.conference_reason)
            self._invite(message, *found, [guest])
        return True

    def _invite(
        self, message: IncomingMessage, account: Account, room: RoomRow, guests: list[Guest]
    ) -> None:
        try:
            actions = [
                InviteToRoom(
                    room=room.remote_id,
                    user=self.invited(guest.jid, account),
                    reason=brief(guest.reason),
                )
                for guest in guests
            ]
        except Refused as error:
            self._refuse(message, error.error, error.said)
            return
        if not all(self._may_invite(account.user) for _ in actions):
            self._refuse(message, errors.RESOURCE_CONSTRAINT, _TOO_OFTEN)
            return
        self._do(message, account.user, partial(self._invite_all, account, actions, guests))

    def _may_invite(self, user: UserJid) -> bool:
        """REQ-711: somebody is written to who has not asked for it."""
        component = self._component
        now = self._network.adapter.context.clock.monotonic()
        return component.limits.takes(Kind.JOINS, user, component.standing(user), now)

    async def _invite_all(
        self, account: Account, actions: list[InviteToRoom], guests: list[Guest]
    ) -> None:
        """One after the other, whatever becomes of each; but not if the network is away, or asks
        us to wait. Raises `Refused`, which says who was not invited."""
        failed: list[tuple[str, AdapterError]] = []
        for action, guest in zip(actions, guests, strict=True):
            is_over = bool(failed) and isinstance(failed[-1][1], Transient)
            try:
                if is_over:
                    raise failed[-1][1]
                await self._network.rooms.management.do(account, action)
                if is_virtual(action.user):
                    self._pass_on(account, action)
            except AdapterError as error:
                failed.append((split(guest.jid).bare, error))
        if not failed:
            return
        first = refused(failed[0][1])
        if len(guests) == 1:
            raise first
        invited, listed = len(guests) - len(failed), ", ".join(jid for jid, _ in failed[:_NAMED])
        more = len(failed) - _NAMED
        names = listed if more <= 0 else tr("{names} and {more} more", names=listed, more=more)
        said = trn(
            "{said} {count} of {asked} was invited. Not invited: {names}.",
            "{said} {count} of {asked} were invited. Not invited: {names}.",
            invited,
            said=first.said,
            asked=len(guests),
            names=names,
        )
        raise Refused(first.error, said)

    def _pass_on(self, account: Account, action: InviteToRoom) -> None:
        """To somebody who comes into a linked group without an account (XEP-0045 §7.8.2). Where
        occupants do not know one another, they are told the nick alone (REQ-709)."""
        rooms = self._network.rooms
        found = rooms.known(account, action.room)
        me = None if found is None else rooms.me(account, found)
        by: str = account.user
        if found is not None and me is not None and not found.private:
            by = self._component.rooms.occupant(found.remote_id, me.nick)
        room = self._component.rooms.address_of(action.room)
        reason = f"<reason>{text(action.reason)}</reason>" if action.reason else ""
        said = f" reason='{attribute(action.reason)}'" if action.reason else ""
        inner = (
            f"<x xmlns='{MUC}#user'><invite from='{attribute(by)}'>{reason}</invite></x>"
            f"<x xmlns='jabber:x:conference' jid='{attribute(room)}'{said}/>"
        )
        self._component.stream.send(
            Stanza("message", room, user_of(action.user), id=uuid4().hex, inner=inner)
        )

    def invited(self, jid: str, account: Account) -> RemoteUserId:
        """Whom an address means that the user of an account invites. Raises `Refused`."""
        guest = split(jid)
        if account.kind is AccountKind.VIRTUAL and guest.domain != self._component.domain:
            if not self._component.access.permits(guest.bare):  # else anybody could be written to
                raise Refused(errors.NOT_ACCEPTABLE, _NOT_ADMITTED)
            return virtual_id(guest.bare)
        if guest.domain == self._component.domain:
            contact = self._network.addresses.contact(guest.local)
            if contact is None:
                raise Refused(errors.ITEM_NOT_FOUND, _NOBODY)
            return contact
        theirs = self._network.accounts.of(guest.bare)
        if theirs is None:
            raise Refused(errors.NOT_ACCEPTABLE, _STRANGER)
        return theirs.remote_id

    def _decline(self, message: IncomingMessage, account: Account, to: Address) -> None:
        invitation = self._network.rooms.coming.invitation(account, to.local)
        if invitation is None:
            self._refuse(message, errors.ITEM_NOT_FOUND, _NOT_INVITED)
            return
        decline = partial(self._network.rooms.coming.decline, account, invitation)
        self._do(message, account.user, decline)

    def _do(
        self, message: IncomingMessage, user: UserJid, work: Callable[[], Awaitable[None]]
    ) -> None:
        if self._open[user] >= _MOST:
            self._refuse(message, errors.RESOURCE_CONSTRAINT, _TOO_MANY)
            return

        def done() -> None:
            self._open[user] -= 1
            if not self._open[user]:
                del self._open[user]

        self._open[user] += 1
        self._component.asked.spawn(self._done(message, work), "invitation", done=done)

    async def _done(self, message: IncomingMessage, work: Callable[[], Awaitable[None]]) -> None:
        """What fails comes back to the sender, under the id of the message."""
        try:
            await work()
        except Refused as error:
            self._refuse(message, error.error, error.said)
        except AdapterError as error:
            failed = refused(error)
            self._refuse(message, failed.error, failed.said)
        except StoreUnavailable:
            self._refuse(message, errors.RESOURCE_CONSTRAINT, _STORE)
        except (asyncio.CancelledError, Exception):
            if is_cancelled():
                self._refuse(message, errors.UNAVAILABLE, errors.STOPPING)
                raise
            log.exception("invitation_failed")
            self._refuse(message, errors.INTERNAL, tr("The gateway could not pass it on."))

    # --- to users -------------------------------------------------------------------------------

    def stanzas_of(self, row: InboundRow, told: RoomNews) -> list[Stanza]:
        """What the gateway says of a room to a user who need not be in it."""
        if isinstance(told, RoomKnock):
            return [self._said(row, told.id, self._knock(told))]
        return self._invitation(row, told)

    def _said(self, row: InboundRow, sid: StanzaId, body: str) -> Stanza:
        sender = f"{self._component.domain}/{self._component.resource}"
        said = said_in(body, self._component.language_of(row.user))
        inner = f"<body>{text(said.text)}</body>"
        return Stanza("message", sender, row.user, "chat", sid, inner, said.tag)

    def _knock(self, told: RoomKnock) -> str:
        who, reason = self._person(told.user, told.name), _because(told.reason)
        return tr(
            "{who} asks to be let into the group {shown}{reason}. To answer, "
            "send “knocks”; to invite them to the group lets them in, too.",
            who=who,
            shown=_shown(told.room_name),
            reason=reason,
        )

    def _invitation(self, row: InboundRow, told: RoomInvitation) -> list[Stanza]:
        """One for clients that know invitations, and a line for those that do not."""
        gateway = self._component.domain
        room = self._component.puppet(RemoteUserId(told.waiting or row.contact))
        what = self._what(told)
        # Clients show the address of the room, and of the sender: who invites, and where to, is
        # told by the reason alone.
        reason = attribute(in_language(what, self._component.language_of(row.user)))
        x = f"<x xmlns='jabber:x:conference' jid='{attribute(room)}' reason='{reason}'/>"
        return [
            Stanza("message", gateway, row.user, id=told.id, inner=x),
            self._said(row, told.line_id, _line(told, what, room)),
        ]

    def _what(self, told: RoomInvitation) -> str:
        shown = _shown(told.name)
        if told.waiting is None:
            return tr("You are in the group {shown} now.", shown=shown)
        said = _because(told.reason)
        if told.inviter is None:
            return tr(
                "The group {shown} goes on at another address{said}.", shown=shown, said=said
            )
        who = self._person(told.inviter, told.inviter_name)
        if told.is_answer:
            return tr(
                "You have asked to be let into the group {shown}, and {who} invites you{said}.",
                shown=shown,
                who=who,
                said=said,
            )
        return tr("{who} invites you to the group {shown}{said}.", who=who, shown=shown, said=said)

    def _person(self, user: RemoteUserId, name: str) -> str:
        address, name = self._component.puppet(user), in_line(name)
        return f"{name} ({address})" if name else address


def _shown(name: str) -> str:
    return Words("“{name}”", {"name": in_line(name) or tr("without a name")})


def _because(reason: str) -> str:
    return f" ({in_line(reason)})" if reason else ""


def _line(told: RoomInvitation, what: str, room: str) -> str:
    if told.inviter is None:
        return tr("{what} To join it: {uri}", what=what, uri=uri(room))
    return tr("{what} To accept, join it: {uri} Or send “decline”.", what=what, uri=uri(room))
