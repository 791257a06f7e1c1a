# SPDX-License-Identifier: Apache-2.0
"""The link of an account that has no connection: the house speaks for its user."""

from __future__ import annotations

from gateway.adapter import Session
from gateway.bridge.links.link import Link


class CarriedLink(Link):
    """It is live while that of the house is. It is never run."""

    @property
    def session(self) -> Session | None:
        """That of the house, while it is live."""
        house = self.hooks.house()
        return None if house is None else house.session

    def expire(self, reason: str) -> None:
        """A command was refused with the credentials of the house."""
        if (house := self.hooks.house()) is not None:
            house.expire(reason)
