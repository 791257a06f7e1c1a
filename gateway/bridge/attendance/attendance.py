# SPDX-License-Identifier: Apache-2.0
"""Presence of one network, in both directions: the parts of this package put together."""

from __future__ import annotations

from collections.abc import Callable

from gateway.bridge.accounts import Account
from gateway.bridge.attendance.audience import Audience
from gateway.bridge.attendance.following import Following
from gateway.bridge.attendance.presence import Presences
from gateway.bridge.attendance.publishing import Publishing
from gateway.bridge.attendance.snapshot import Snapshot
from gateway.bridge.attendance.waves import Waves
from gateway.bridge.ground import Ground
from gateway.bridge.links.link import Link
from gateway.bridge.ports import XmppPort


class Attendance:
    """Presence of one network, in both directions."""

    def __init__(
        self,
        ground: Ground,
        *,
        run: Callable[[Account, Link], None],
        link_changed: Callable[[Account], None],
    ) -> None:
        clock, self._tasks = ground.clock, ground.tasks
        self.waves = Waves(
            clock, self._tasks, is_user=lambda user: ground.accounts.of(user) is not None
        )
        self._snapshot = Snapshot(ground)
        self.presences = Presences(ground, self.waves, self._snapshot)
        self._publishing = Publishing(
            clock, self._tasks, is_offered=ground.adapter.capabilities.presence
        )
        self.following = Following(
            clock,
            self._tasks,
            run=run,
            changed=link_changed,
            is_seen=lambda account: self.audience.is_seen(account),
        )
        self.audience = Audience(ground, self.presences, self.waves, changed=self._devices_changed)

    def attach(self, port: XmppPort) -> None:
        """Connect to the XMPP side."""
        for part in (self.waves, self.presences, self.audience):
            part.attach(port)

    def load(self) -> None:
        """Read what was saved last."""
        self.presences.load()

    def start(self) -> None:
        """Begin to save."""
        self._tasks.spawn(self._snapshot.run(), "snapshot of presence")

    def stop(self) -> None:
        """Save what changed since the last time."""
        self._snapshot.save()

    def stream_up(self) -> None:
        """Ask who is there, and tell what has waited."""
        self.audience.stream_up()
        self.waves.stream_up()

    def stream_lost(self) -> None:
        """What was written on it may not have arrived, and who left did so unseen."""
        self.waves.stream_lost()
        self.audience.stream_lost()

    def link_changed(self, account: Account) -> None:
        """The account's link went up or down, or has just begun."""
        self.presences.link_changed(account)
        if account.link is not None and account.link.session is not None:
            self._publishing.publish(account)

    def active(self, account: Account) -> None:
        """The user did something: they are there, even if nobody has told us."""
        self.following.wake(account)
        self.audience.ask(account)

    def settings_changed(self, account: Account) -> None:
        """The user has changed a setting: it counts at once."""
        self.audience.ask(account)
        self.following.look(account)
        self._publishing.publish(account)

    def forget(self, account: Account) -> None:
        """The account was removed."""
        for part in (self.presences, self._publishing, self.following, self.audience):
            part.forget(account)

    def _devices_changed(self, account: Account) -> None:
        self._publishing.changed(account)
        self.following.look(account)
