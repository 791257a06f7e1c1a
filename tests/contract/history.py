# SPDX-License-Identifier: Apache-2.0
"""What was said in a group before the account was linked: `test_contract` tries it."""

from __future__ import annotations

from gateway.adapter import Session
from gateway.events import (
    RemoteEvent,
    RemoteRoom,
    RemoteRoomMessage,
    RemoteRoomRetraction,
)
from gateway.ids import RemoteMessageId, RemoteRoomId
from tests.contract.peer import Peer

_NAME = "Group of the suite"


async def _all(
    session: Session, group: RemoteRoomId, known: RemoteMessageId | None
) -> list[RemoteEvent]:
    """Page by page, back to the beginning."""
    events: list[RemoteEvent] = []
    cursor: str | None = None
    for _ in range(50):
        page = await session.history(group, cursor, known, 2)
        events = [*page.events, *events]
        cursor = page.cursor
        if cursor is None:
            return events
    raise AssertionError("there is no end")


async def history(peer: Peer) -> None:
    """All of it comes once, in its order, and to nobody who does not ask."""
    said = [f"past {number}" for number in range(7)]
    group, ids = await peer.had_group(_NAME, said)
    gone = ids.pop(1)
    account = await peer.account()
    async with peer.running(account) as session:
        await peer.lets_in(group, _NAME)
        await account.first(RemoteRoom, lambda event: event.room == group)
        now = await peer.says_in_group(group, "now")
        await account.first(RemoteRoomMessage, lambda event: event.id == now)
        for known in (None, now):
            told = await _all(session, group, known)
            texts = [event for event in told if isinstance(event, RemoteRoomMessage)]
            assert [text.id for text in texts if text.id in ids] == ids
            assert [text.body for text in texts if text.id in ids] == [said[0], *said[2:]]
            assert {text.sender for text in texts} == {peer.bob}
            was_said = next(n for n, event in enumerate(told) if _is_text(event, gone))
            taken_back = told[was_said + 1]
            assert isinstance(taken_back, RemoteRoomRetraction)
            assert (taken_back.message, taken_back.by) == (gone, peer.bob)
        assert [text.body for text in account.of(RemoteRoomMessage)] == ["now"]


def _is_text(event: RemoteEvent, id: RemoteMessageId) -> bool:
    return isinstance(event, RemoteRoomMessage) and event.id == id
