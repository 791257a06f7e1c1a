# SPDX-License-Identifier: Apache-2.0
"""The gateway's own account on a network, if the settings have one: it speaks for all who are in
linked groups without an account."""

from __future__ import annotations

import uuid
from collections.abc import Callable

import structlog

from gateway.adapter import Session
from gateway.bridge.accounts import Account
from gateway.bridge.ground import Ground
from gateway.bridge.links.link import Link
from gateway.bridge.links.links import Links
from gateway.bridge.traffic import Traffic
from gateway.errors import AdapterError, Forbidden
from gateway.events import SendRoomText
from gateway.ids import RemoteRoomId, UserJid
from gateway.locale import ENGLISH, in_language
from gateway.store.accounts import AccountStatus
from gateway.tasks import contained, contained_now, within

log = structlog.get_logger("portals")

_SAYING_S = 60.0
"""As long as the network may take for a word to a group."""


class House:
    """Of one network."""

    def __init__(self, ground: Ground, traffic: Traffic, links: Links) -> None:
        self._ground = ground
        self._accounts = ground.accounts
        self._portals = ground.portals
        self._outbound = traffic.outbound
        self._links = links
        self.changed: Callable[[Account], None] = lambda _: None
        """Called when its session is live, or is so no longer."""
        ground.portals.announce = self._announce

    async def settle(self) -> None:
        """It is the one that the settings have. Before accounts are loaded."""
        linked = contained_now(self._ground.adapter.house)
        user = UserJid(self._ground.settings.domain)
        try:
            await self._accounts.set_house(user, linked)
        except Forbidden as error:
            reason = in_language(error.text, ENGLISH)
            log.error("house_refused", network=self._ground.network, reason=reason)

    def load(self) -> None:
        """Read which groups are linked, and for whom it speaks. After accounts are loaded."""
        self._portals.load()
        house = self._accounts.house
        if house is None:
            return
        for account in (house, *self._accounts.virtuals):
            self._links.prepare(account)

    def connect(self) -> None:
        """Begin to connect it."""
        house = self._accounts.house
        if house is None or house.link is None or house.status is not AccountStatus.LINKED:
            return
        self._links.run(house, house.link)

    def link(self) -> Link | None:
        """Its connection."""
        house = self._accounts.house
        return None if house is None else house.link

    def link_changed(self, account: Account) -> None:
        """It has a session, or has none: what waits of those for whom it speaks goes on."""
        if account is not self._accounts.house:
            return
        for virtual in self._accounts.virtuals:
            self._outbound.link_changed(virtual)
        self.changed(account)

    def _announce(self, room: RemoteRoomId, text: str) -> None:
        """Nobody waits for it, and it is not tried again."""
        link = self.link()
        if link is None or link.session is None:
            self._not_told("not connected")
            return
        saying = self._say(link.session, SendRoomText(room=room, body=text))
        self._ground.tasks.spawn(saying, "word to a group")

    async def _say(self, session: Session, command: SendRoomText) -> None:
        async def say() -> None:
            await session.turn(command)
            await session.send(command, f"house.{uuid.uuid4()}")

        try:
            await within(self._ground.clock, _SAYING_S, contained(say))
        except (AdapterError, TimeoutError) as error:
            self._not_told(in_language(str(error), ENGLISH))

    def _not_told(self, reason: str) -> None:
        log.warning("group_not_told", network=self._ground.network, reason=reason)

    def expired(self, account: Account, reason: str) -> None:
        """Only the admin can mend it."""
        account.status = AccountStatus.EXPIRED
        reason = in_language(reason, ENGLISH)
        log.error("house_expired", network=self._ground.network, reason=reason)
