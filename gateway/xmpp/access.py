# SPDX-License-Identifier: Apache-2.0
"""Who may use the gateway: exact domains and bare JIDs, never a pattern."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from gateway.ids import UserJid

NOT_ADMITTED = "The admin of this gateway does not admit your address."


@dataclass(frozen=True, slots=True)
class AccessList:
    """``deny`` is stronger than ``allow``; ``*`` in ``allow`` admits everybody."""

    allow: Collection[str]
    deny: Collection[str] = ()

    def names(self, user: UserJid) -> bool:
        """Whether the user, or their domain, is admitted by name and not by ``*`` alone."""
        return user in self.allow or user.rpartition("@")[2] in self.allow

    def permits(self, user: UserJid) -> bool:
        """Whether this user may link an account."""
        domain = user.rpartition("@")[2]
        if user in self.deny or domain in self.deny:
            return False
        return "*" in self.allow or self.names(user)
