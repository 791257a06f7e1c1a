# SPDX-License-Identifier: Apache-2.0
"""Matrix, in personal mode: a user links an account of their own. Text in chats and groups.

====================  ==========================================================================
``login``             linking an account; ``discovery`` finds the homeserver, ``guard`` says which
                      ones may be connected to, ``urls`` how they are written
``session``           the /sync loop; ``sync`` translates an answer, ``chat_speech`` and
                      ``chat_events`` what is said and done in chats, ``history`` fetches what an
                      answer left out; ``parts`` cuts large ones
``inbound``           what all events have; ``relations`` says what one is about, ``words`` has
                      its words, with ``styles``, ``places`` and ``polls``, ``files`` its files,
                      ``previews`` what its links lead to
``media``             pictures, and the bytes of files: ``streams`` has them as they come,
                      ``sealed_files`` reads those that are encrypted
``group_sync``        the same for groups: ``one_group`` has one of them, ``groups`` reads what it
                      is, ``group_speech`` and ``group_events`` what is said and done there;
                      ``members`` asks who is in it
``past``              what was said in groups before, when somebody asks for it
``managing``          what users do with them at once: ``ruling`` is for moderators, and
                      ``powers`` reckons with levels; ``destroying`` ends a group
``searching``         groups in the directory of a server; ``people`` those of the homeserver
``outbound``          commands, ``group_outbound`` those for groups; ``opening`` finds or makes the
                      room for them, ``contents`` has the words, ``reacting`` sets of reactions,
                      ``saying`` the requests; ``uploads`` sends files, ``file_content`` says what
                      they are, ``sealing`` encrypts them; ``voting`` on polls, when asked for
``own_people``        the people of direct rooms, and who is ignored; ``muting`` rooms likewise
``presences``         who is there, both ways; ``filters`` asks for that of contacts alone
``rooms``             the book of chats and groups; ``ledger`` makes its changes durable
``e2e``               encryption; ``secrets`` keeps the keys, ``opened`` says what they opened
``http``, ``errors``  the client-server API, and what a homeserver refuses; ``answers`` reads what
                      it says
====================  ==========================================================================
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from adapters.matrix import ids, links, people
from adapters.matrix.file_content import VOICE_TYPE
from adapters.matrix.guard import guarded_http
from adapters.matrix.login import MatrixLogin
from adapters.matrix.managing import ALL
from adapters.matrix.outbound import MAX_TEXT_BYTES
from adapters.matrix.session import MatrixSession
from adapters.matrix.settings import MatrixSettings
from gateway.adapter import (
    AccountContext,
    Adapter,
    Capabilities,
    LoginFlow,
    NetworkContext,
    Relogin,
    Session,
)

if TYPE_CHECKING:
    import aiohttp

    from gateway.ids import RemoteUserId

__all__ = ["MatrixAdapter", "MatrixSettings"]


class MatrixAdapter(Adapter):
    """The Matrix network."""

    display_name: ClassVar[str] = "Matrix"
    settings_type: ClassVar[type[MatrixSettings]] = MatrixSettings
    capabilities: Capabilities = Capabilities(
        idempotent_send=True,
        echoes_key=True,
        typing=True,
        read_marks=True,
        presence=True,
        lists_contacts=True,
        blocking=True,
        muting=True,
        reporting=True,
        profile=True,
        rooms=True,
        edits=True,
        replies=True,
        reactions=True,
        retractions=True,
        mentions=True,
        threads=True,
        files=True,
        previews=True,
        polls=True,
        calls=True,
        sends_files=True,
        voice_types=(VOICE_TYPE,),
        room_actions=ALL,
        room_search=True,
        people_search=True,
        avatars=True,
        history=True,
        chat_history=True,
        encryption=True,
        max_text_bytes=MAX_TEXT_BYTES,
    )

    def __init__(self, context: NetworkContext) -> None:
        super().__init__(context)
        self._settings: MatrixSettings = context.settings
        self._guarded: aiohttp.ClientSession | None = None

    async def stop(self) -> None:
        """Close the connections to homeservers."""
        if self._guarded is not None:
            await self._guarded.close()
            self._guarded = None

    def address_of(self, remote_id: RemoteUserId) -> str | None:
        """``bob%example.org`` for ``@bob:example.org``."""
        return ids.address_of(remote_id)

    def contact_at(self, address: str) -> RemoteUserId | None:
        """Reads both ``bob%example.org`` and ``@bob:example.org``."""
        return ids.contact_at(address)

    def page_of(self, remote_id: RemoteUserId) -> str | None:
        """On matrix.to, which leads to the reader's own app."""
        return links.page_of(remote_id)

    def contact_called(self, typed: str) -> RemoteUserId | None:
        """Likewise, or ``bob:example.org``, or a link to a person."""
        return people.called(typed)

    def room_at(self, address: str) -> str | None:
        """``#tea:example.org`` for ``#tea%example.org``."""
        return links.room_at(address)

    def room_address(self, called: str) -> str | None:
        """``#tea%example.org`` for ``#tea:example.org``."""
        return links.room_address(called)

    def shares_rooms(self, realm: str) -> bool:
        """Where the admin trusts the homeserver. For the realm of an account see `MatrixLogin`."""
        return realm in self._settings.trusted_homeservers

    def login(self, again: Relogin | None = None) -> LoginFlow:
        """By password or access token."""
        return MatrixLogin(self._http(self.context.http), self._settings, again)

    def session(self, account: AccountContext) -> Session:
        """The /sync loop of one account."""
        return MatrixSession(account, self._http(account.http), self._settings)

    def _http(self, shared: aiohttp.ClientSession) -> aiohttp.ClientSession:
        """The gateway's own connections, unless private addresses have to be kept out of them."""
        if self._settings.allow_private_homeservers:
            return shared
        if self._guarded is None:
            self._guarded = guarded_http()
        return self._guarded
