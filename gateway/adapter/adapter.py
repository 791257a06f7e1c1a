# SPDX-License-Identifier: Apache-2.0
"""The adapter: one kind of network."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar

import msgspec

from gateway.text.wording import tr

if TYPE_CHECKING:
    from gateway.adapter.capabilities import Capabilities
    from gateway.adapter.context import AccountContext, NetworkContext
    from gateway.adapter.login import Linked, LoginFlow, Relogin
    from gateway.adapter.session import Session
    from gateway.ids import RemoteUserId


class NoSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """For adapters that have nothing to configure."""


class Adapter(ABC):
    """One kind of network. One object of it per configured network."""

    display_name: ClassVar[str]
    """For people: "Matrix"."""
    settings_type: ClassVar[type[msgspec.Struct]] = NoSettings
    """The type of ``networks.<name>.settings`` in the configuration."""
    capabilities: Capabilities
    """Of the class; where the settings decide on one of them, of the object."""

    def __init__(self, context: NetworkContext) -> None:
        self.context = context

    async def start(self) -> None:  # noqa: B027 - optional
        """Before the first session. Anything that all accounts share."""

    async def stop(self) -> None:  # noqa: B027 - optional
        """After the last session."""

    @abstractmethod
    def address_of(self, remote_id: RemoteUserId) -> str | None:
        """The readable address of a contact: ``bob%example.org`` for ``@bob:example.org``.

        The gateway escapes it (XEP-0106) into the localpart of the puppet's JID. None if there is
        no readable form that `contact_at` can read back; the gateway then assigns a name with a
        hash. No I/O.
        """

    @abstractmethod
    def contact_at(self, address: str) -> RemoteUserId | None:
        """The contact whose readable address this is, or None if it cannot be one. No I/O.

        Must be the inverse: ``contact_at(address_of(x)) == x``. Several spellings may be taken:
        clients make addresses of what people type (REQ-227).
        """

    def takes_read_marks(self, contact: RemoteUserId) -> bool:
        """Whether `gateway.events.MarkRead` works in the chat with somebody. No I/O.

        Where `Capabilities.read_marks` says so it does in all. An adapter says it here of chats in
        which what the user has read can be told, though nobody tells what was read by others: then
        clients are asked for read marks there, and are promised none.
        """
        return self.capabilities.read_marks

    def page_of(self, remote_id: RemoteUserId) -> str | None:
        """The address of a web page where anybody may look at a contact. No I/O."""
        return None

    def contact_called(self, typed: str) -> RemoteUserId | None:
        """Whom somebody means by what they have typed: an id of the network in any spelling, or a
        link to a person. None if it can be nobody. No I/O.
        """
        return self.contact_at(typed)

    def room_at(self, address: str) -> str | None:
        """What `gateway.events.FindRoom` and `gateway.events.JoinRoom` take for the room that
        people address so here: ``#tea:example.org`` for ``#tea%example.org``.

        None if it can be no room. Every address begins with ``#``, in lower case. No I/O.
        """
        return None

    def room_address(self, called: str) -> str | None:
        """The inverse: the address of a room that the network calls so. No I/O."""
        return None

    def shares_rooms(self, realm: str) -> bool:
        """Whether the rooms in a realm are one for all accounts there: what one of them is told
        of a room, others are told by it. So its server must be one that the admin trusts. No I/O.
        """
        return False

    @abstractmethod
    def login(self, again: Relogin | None = None) -> LoginFlow:
        """Begin to link an account.

        With ``again`` the user logs in to an account that they had linked: only what proves that
        is asked for, and never who or where they are.
        """

    def house(self) -> Linked | None:
        """The account of the gateway itself, as the settings have it; None without one. No I/O.

        Through it people without an account here speak in groups that are linked
        (`Capabilities.relay`). Its realm is that of the rooms which it shares with others.
        """
        return None

    def how_to_link(self, code: str) -> str:
        """What somebody does in a group to link it with this code, as a sentence for them: how the
        account of the house comes into it, and what to send there. No I/O.
        """
        return tr(
            "Take the gateway's own account into the group, and send there: /link {code}",
            code=code,
        )

    @abstractmethod
    def session(self, account: AccountContext) -> Session:
        """A new session of a linked account. No I/O."""
