# SPDX-License-Identifier: Apache-2.0
"""The first words to strangers, and subscriptions of theirs to the gateway (REQ-203)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.events import AVAILABLE, UNAVAILABLE
from gateway.ids import UserJid
from gateway.store.conversations import GATEWAY
from gateway.text.wording import tr

if TYPE_CHECKING:
    from gateway.xmpp.component import Component

_AGAIN_S = 86400.0
_KEPT = 10_000
"""Strangers beyond that may be told twice a day."""


class OncePerDay:
    """Who was told something within a day."""

    def __init__(self, component: Component) -> None:
        self._clock = component.network.adapter.context.clock
        self._told: dict[UserJid, float] = {}

    def was_told(self, user: UserJid) -> bool:
        """Whether that was so already; from now on it is."""
        now = self._clock.monotonic()
        before = self._told.get(user)
        if before is not None and now - before < _AGAIN_S:
            return True
        self._told.pop(user, None)
        self._told[user] = now
        while True:  # the oldest stand first
            oldest = next(iter(self._told))
            if len(self._told) <= _KEPT and now - self._told[oldest] < _AGAIN_S:
                return False
            del self._told[oldest]


class Welcome:
    """People without an account."""

    def __init__(self, component: Component) -> None:
        self._component = component
        self._strangers = OncePerDay(component)
        self._leavers = OncePerDay(component)

    def welcome(self, user: UserJid) -> bool:
        """The first words to somebody without an account, once a day (REQ-203). False if they have
        heard them."""
        if self._strangers.was_told(user):
            return False
        if not self._component.access.permits(user):
            self._component.console.say(user, self._component.not_admitted(user))
            return True
        name = self._component.network.adapter.display_name
        self._component.console.say(
            user,
            tr(
                "Welcome. Send “login” to link your {name} account, “help” for more.",
                name=name,
            ),
        )
        return True

    def met(self, user: UserJid) -> None:
        """Somebody was told what this is, in other words."""
        self._strangers.was_told(user)

    def removed(self, user: UserJid) -> None:
        """Somebody with an account removes the gateway from their contacts (REQ-210)."""
        if not self._leavers.was_told(user):
            self._component.console.say(
                user,
                tr(
                    "You have removed or refused me as a contact. Your account "
                    "stays linked and messages still come. Send “unregister” to "
                    "delete it.",
                ),
            )

    def presence(self, kind: str, user: UserJid) -> None:
        """Somebody without an account adds or removes the gateway as a contact."""
        component = self._component
        if kind == "subscribe":
            if not component.access.permits(user):
                component.port.subscription("unsubscribed", user, GATEWAY)
                self.welcome(user)
                return
            component.port.subscription("subscribed", user, GATEWAY)
            component.port.presence(user, GATEWAY, AVAILABLE)
            self.welcome(user)
        elif kind == "probe":
            admitted = component.access.permits(user)
            component.port.presence(user, GATEWAY, AVAILABLE if admitted else UNAVAILABLE)
        elif kind == "unsubscribe":
            component.port.subscription("unsubscribed", user, GATEWAY)
