# SPDX-License-Identifier: Apache-2.0
"""Every error of the gateway.

GatewayError
├── ConfigError              the configuration file, with all of its problems
├── StoreError
│   ├── StoreUnavailable     disk full or I/O error: nothing was committed, try again later
│   ├── DatabaseInUse        another instance holds the database
│   └── DatabaseTooNew       written by a newer version
├── SecretUnreadable         the key is missing or another one; the account must log in again
├── AccountGone              the account was unregistered, or a new one has taken its place
├── SettingRefused           there is no such setting, or not with this value
├── StanzaRefused            our own output broke a rule of the stream; costs that one stanza
└── AdapterError             what an adapter raises; its text is shown to the user
    ├── Transient            worth another attempt
    │   └── RateLimited      not before ``retry_after_s``
    ├── AuthExpired          the user has to log in again
    ├── BadLogin             the login dialogue was answered wrongly; ask again
    ├── NotFound             no such person or room
    ├── Forbidden            the network does not let this account do it
    │   ├── Banned           nor come into a room, for good
    │   └── Knocked          nor come into it before it is let in, which it has asked for
    ├── TooLarge             longer than the network takes
    ├── Unsupported          neither now nor later, for example an encrypted room
    ├── Uncertain            may or may not have happened; never tried again blindly
    └── FetchError           a file did not come from the URL that somebody gave; each is also one
        │                    of the above, which says whether another attempt may help
        ├── FetchFailed      Transient: its server is away, slow or in trouble
        ├── FetchRefused     Forbidden: we do not fetch it from there
        ├── FetchGone        NotFound: its server does not give it
        ├── FetchTooLarge    TooLarge
        └── FetchBroken      Unsupported: what its server says makes no sense
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_LONGEST_WAIT_S = 86400.0


class GatewayError(Exception):
    """Base of all errors that the gateway raises on purpose."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One mistake in a configuration file, told so that the admin can mend it."""

    file: Path
    where: str
    """Path of the key, for example ``networks.matrix.secret``; empty for the file itself."""
    message: str
    """What is wrong, what was expected and, for unknown keys, the nearest valid one."""
    line: int | None = None

    def __str__(self) -> str:
        place = str(self.file) if self.line is None else f"{self.file}:{self.line}"
        return (
            f"{place}: {self.where}: {self.message}" if self.where else f"{place}: {self.message}"
        )


class ConfigError(GatewayError):
    """The configuration cannot be used. Carries every problem of the file, not just the first."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(map(str, self.problems)))


class StoreError(GatewayError):
    """Base of the errors of the database."""


class StoreUnavailable(StoreError):
    """Disk full or I/O error. Nothing of the unit was committed; it may be tried again."""


class DatabaseInUse(StoreError):
    """Another process holds the database. The message says which."""


class DatabaseTooNew(StoreError):
    """The database was written by a newer version of the gateway."""


class SecretUnreadable(GatewayError):
    """A secret cannot be opened with the key at hand."""


class AccountGone(GatewayError):
    """What was to be done to an account comes after its end. The text is shown to the user."""


class SettingRefused(GatewayError):
    """A user cannot set this. The text is shown to them."""


class StanzaRefused(GatewayError):
    """A stanza of ours would have been answered by closing the stream (REQ-103 to REQ-106)."""


class AdapterError(GatewayError):
    """What an adapter raises. The text reaches the user, so it says what to do, in plain words."""

    @property
    def text(self) -> str:
        """The sentence for the user."""
        return str(self)


class Transient(AdapterError):
    """The network could not be reached or answered with a temporary failure. Tried again.

    ``is_certain`` says that what was to be done was certainly not: nothing went out, or the
    network said so. Whoever logs out meanwhile is told that it failed, and otherwise that nobody
    knows.
    """

    def __init__(self, text: str, *, is_certain: bool = False) -> None:
        super().__init__(text)
        self.is_certain = is_certain


class RateLimited(Transient):
    """The network asked us to wait: at most a day, whatever it says."""

    def __init__(self, text: str, *, retry_after_s: float) -> None:
        super().__init__(text, is_certain=True)
        is_time = math.isfinite(retry_after_s) and retry_after_s > 0
        self.retry_after_s = min(retry_after_s, _LONGEST_WAIT_S) if is_time else 0.0


class AuthExpired(AdapterError):
    """The credentials are no longer valid. Nothing is tried until the user logs in again."""


class BadLogin(AdapterError):
    """What the user entered is wrong. ``field`` names the answer to ask for again, if one is."""

    def __init__(self, text: str, *, field: str | None = None) -> None:
        super().__init__(text)
        self.field = field


class NotFound(AdapterError):
    """No such person, room or message."""


class Forbidden(AdapterError):
    """The network refused it to this account."""


class Banned(Forbidden):
    """The account was put out of a room for good."""


class Knocked(Forbidden):
    """Whoever wants to come into the room has to ask, and the account has; see
    `gateway.events.JoinRoom`."""


class TooLarge(AdapterError):
    """Longer or bigger than the network takes."""


class Unsupported(AdapterError):
    """Neither this attempt nor a later one can succeed."""


class Uncertain(AdapterError):
    """It may or may not have happened, and the network offers no way to find out."""


class FetchError(AdapterError):
    """A file did not come from the URL that somebody gave."""


class FetchFailed(FetchError, Transient):
    """Its server cannot be reached, is too slow, in trouble, or broke off."""

    def __init__(self, text: str) -> None:
        Transient.__init__(self, text, is_certain=True)


class FetchRefused(FetchError, Forbidden):
    """The URL is one from which we fetch nothing (REQ-720)."""


class FetchGone(FetchError, NotFound):
    """Its server does not have it, or does not give it to us."""


class FetchTooLarge(FetchError, TooLarge):
    """It is larger than we fetch, or than the network takes."""


class FetchBroken(FetchError, Unsupported):
    """Its server answers with something that is no file."""
