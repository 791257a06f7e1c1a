# SPDX-License-Identifier: Apache-2.0
"""Who may use the gateway: exact domains and bare JIDs, never a pattern."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field

from gateway.ids import UserJid
from gateway.text.wording import tr

NOT_ADMITTED = tr("The admin of this gateway does not admit your address.")


def _nobody(_: UserJid) -> bool:
    return False


@dataclass(frozen=True, slots=True)
class AccessList:
    """``deny`` is stronger than ``allow``; ``*`` stands for everybody in all of them."""

    allow: Collection[str]
    deny: Collection[str] = ()
    ask: Collection[str] = ()
    """Admitted when an admin has said so (REQ-211)."""
    is_approved: Callable[[UserJid], bool] = field(default=_nobody)

    def names(self, user: UserJid) -> bool:
        """Whether the user, or their domain, is admitted by name and not by ``*`` alone."""
        return _names(self.allow, user) or (self.may_ask(user) and self.is_approved(user))

    def permits(self, user: UserJid) -> bool:
        """Whether this user may link an account."""
        if _has(self.deny, user):
            return False
        return "*" in self.allow or self.names(user)

    def may_ask(self, user: UserJid) -> bool:
        """Whether it is for admins to admit this user, and to take that back."""
        return _has(self.ask, user) and not (_has(self.allow, user) or _has(self.deny, user))


def _has(entries: Collection[str], user: UserJid) -> bool:
    return "*" in entries or _names(entries, user)


def _names(entries: Collection[str], user: UserJid) -> bool:
    return user in entries or user.rpartition("@")[2] in entries
