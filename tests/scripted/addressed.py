# SPDX-License-Identifier: Apache-2.0
"""The scripted network with people who are called as on Matrix."""

from __future__ import annotations

from adapters.matrix import ids, people
from gateway.ids import RemoteUserId
from tests.scripted.adapter import ScriptedAdapter


class AddressedAdapter(ScriptedAdapter):
    """The same network with the ids of another one, which are typed in many ways."""

    def address_of(self, remote_id: RemoteUserId) -> str | None:
        """``bob%example.org`` for ``@bob:example.org``."""
        return ids.address_of(remote_id)

    def contact_at(self, address: str) -> RemoteUserId | None:
        """The inverse."""
        return ids.contact_at(address)

    def contact_called(self, typed: str) -> RemoteUserId | None:
        """Likewise, or a link, or the id with or without its sign."""
        return people.called(typed)
