# SPDX-License-Identifier: Apache-2.0
"""Whose accounts there are."""

from __future__ import annotations

import enum


class AccountKind(enum.StrEnum):
    """Whose an account is."""

    OWN = "own"
    """A user's, who has linked it."""
    HOUSE = "house"
    """The gateway's own; its user is the component."""
    VIRTUAL = "virtual"
    """Of a user who is in linked groups without one: the house speaks for them."""
