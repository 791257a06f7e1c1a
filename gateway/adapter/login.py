# SPDX-License-Identifier: Apache-2.0
"""The dialogues that an adapter has with users: about login, and about encryption."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gateway.ids import RemoteUserId


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginOption:
    """One possible answer."""

    value: str
    label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginField:
    """One question of a login dialogue."""

    name: str
    """Unique within a login. What XEP-0077 has a name for is called so (``username``,
    ``password``), and a choice between several ways to log in is called ``method``."""
    label: str
    """The question, in plain words: "Password"."""
    hint: str = ""
    """An example or one more sentence."""
    secret: bool = False
    """The answer is never shown or logged, and the user is told to delete it."""
    options: tuple[LoginOption, ...] = ()
    """The possible answers, if only some are."""
    default: str = ""
    """What an empty answer means; shown to the user. Not for secrets."""
    required: bool = True
    """An answer is needed, if there is no default."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginStep:
    """Questions that are asked together."""

    instructions: str
    fields: tuple[LoginField, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Linked:
    """A successful login."""

    realm: str
    """Trust domain in which ``remote_id`` was proved, for example the homeserver's address."""
    remote_id: RemoteUserId
    secret: bytes = field(repr=False)
    """Whatever a session needs to connect. Encrypted at rest; see `AccountContext.secret`."""
    note: str = ""
    """What the user should know from now on, in one or two plain sentences."""
    ours: bool = True
    """This login has made the session on the network. If the user brought one (an access token),
    it is revoked only after the gateway has taken it over: until then anybody could end the
    session of somebody else by it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Relogin:
    """An account whose login has ended, and which shall go on as the same identity."""

    realm: str
    remote_id: RemoteUserId


class LoginFlow(ABC):
    """One user's login dialogue. Thrown away when it ends or when the user gives up.

    Whatever can be checked without a secret is checked before one is asked for: a chat keeps what
    was typed into it.
    """

    @abstractmethod
    def first(self) -> LoginStep:
        """The first questions. No I/O."""

    def at_once(self) -> LoginStep:
        """The questions of the simplest login, all in one form. No I/O.

        For clients that know nothing else (XEP-0077). `submit` takes the answers as they are; what
        it then still asks for is asked elsewhere.
        """
        return self.first()

    @abstractmethod
    async def submit(self, answers: Mapping[str, str]) -> LoginStep | Linked:
        """All answers so far, by field name; returns more questions or the result.

        Which answers are there says how far the user is. They may go back: then answers that were
        there are missing again, and those before may be others. May take up to 30 s. Raises
        `BadLogin` (asks again, naming the field, which may be one of an earlier step),
        `Transient`, `Forbidden`, `Unsupported`; the text is shown to the user.
        """


class EncryptionFlow(ABC):
    """One user's dialogue about encryption. Thrown away when it ends or the user gives up."""

    @abstractmethod
    def first(self) -> LoginStep:
        """How things are, and what can be done. No I/O."""

    @abstractmethod
    async def submit(self, answers: Mapping[str, str]) -> LoginStep | str:
        """All answers so far, by field name; returns more questions, or what has come of it.

        As in a login, the user may go back: what was begun with answers that are missing again is
        ended. May take up to 30 s. Raises `BadLogin` (asks again), or any other `AdapterError`;
        the text is shown to the user.
        """
