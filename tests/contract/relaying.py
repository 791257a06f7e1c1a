# SPDX-License-Identifier: Apache-2.0
"""An account of the house in a linked group: `test_contract` tries it."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from gateway.events import Author, RemoteRoom, SendRoomText
from gateway.ids import UserJid, virtual_id
from tests.contract.account import Account
from tests.contract.peer import Peer

_CODE = "ABCD-EFGH"
_ERIN = Author(user=virtual_id(UserJid("erin@far.example")), name="Erin")


async def relay(peer: Peer) -> None:
    """A code that the owner sends links a group, which is told then; what is said there for
    somebody has their name; and an admin can end that."""
    linked = peer.adapter.house()
    assert linked is not None
    account = Account(linked, peer.http)
    account.is_house, account.codes = True, {_CODE: True}
    async with peer.running(account) as session:
        group = await peer.links_group("Group for all", _CODE)
        await account.until(lambda: group in account.linked)
        told = await account.first(RemoteRoom, lambda event: event.room == group)
        assert told.name == "Group for all"
        await session.send(SendRoomText(room=group, body="hello", author=_ERIN), "contract.90")
        await peer.sees_said_for(group, _ERIN, "hello")
        await peer.unlinks_group(group)
        await account.until(lambda: group not in account.linked)


EXERCISES: dict[str, Callable[[Peer], Coroutine[Any, Any, None]]] = {
    "relay": relay,
}
