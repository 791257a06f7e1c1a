# SPDX-License-Identifier: Apache-2.0
"""What an admin can set for a Matrix network."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Annotated, ClassVar, Self

import msgspec

from adapters.matrix.ids import is_server_name
from adapters.matrix.urls import normal_url
from gateway.errors import BadLogin

END = (
    "Encrypted conversations end at this gateway: it is one of your devices, and its admin could "
    "read what passes through it."
)


class Homeserver(str):
    """One homeserver by its server name, or by its URL if that is all by which it is known."""

    __slots__ = ()
    expected: ClassVar[str] = (
        "a server name such as example.org, or the URL of a homeserver without one"
    )

    @classmethod
    def parse(cls, text: str) -> Self:
        """Check and normalise, as realms are written. Raises `ValueError`."""
        if "://" not in text:
            name = text.lower()
            if not is_server_name(name):
                raise ValueError(text)
            return cls(name)
        try:
            return cls(normal_url(text))
        except BadLogin:
            raise ValueError(text) from None


class MatrixSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``networks.<name>.settings`` of the configuration."""

    default_homeserver: str = ""
    """Used when a user leaves the question for the homeserver empty."""
    allowed_homeservers: tuple[str, ...] = ()
    """Server names or URLs that users may link, as they would type them. Empty means any."""
    trusted_homeservers: tuple[Homeserver, ...] = ()
    """Those of which all accounts share their rooms: what one of them is told, the others are."""
    allow_private_homeservers: bool = False
    """Let users link homeservers on this machine and in private networks."""
    allow_insecure_homeservers: bool = False
    """Let users link homeservers by http:// that are not on this machine or a private network."""
    encryption: bool = True
    """Take part in end-to-end encrypted chats, if ``vodozemac`` is installed (`matrix-e2e`)."""
    sync_timeout: Annotated[int, msgspec.Meta(ge=1, le=300)] = 30
    """Seconds for which the homeserver may hold a request while nothing happens."""
    max_gap: Annotated[int, msgspec.Meta(ge=0, le=100_000)] = 500
    """How many missed events of one room are fetched after an absence."""
    unread: Annotated[int, msgspec.Meta(ge=0, le=50)] = 0
    """How many unread messages of each chat are told when an account is linked."""

    @property
    def encrypts(self) -> bool:
        """Encryption is wanted, and its library installed."""
        return self.encryption and find_spec("vodozemac") is not None
