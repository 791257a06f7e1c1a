# SPDX-License-Identifier: Apache-2.0
"""In which order the rows of a conversation have their turn."""

from __future__ import annotations

from gateway.bridge.inbound.queues import Queue
from gateway.events import Delivery, RoomDisplayed, RoomMessage, SharedFile
from gateway.ids import AccountId, ConversationId, FileId, RemoteUserId, RowId, StanzaId, UserJid
from gateway.store.journal import InboundRow


def _row(number: int, delivery: Delivery) -> InboundRow:
    return InboundRow(
        id=RowId(number),
        account=AccountId(1),
        conversation=ConversationId(1),
        user=UserJid("alice@example.org"),
        contact=RemoteUserId("club"),
        stanza_id=StanzaId(f"s{number}"),
        delivery=delivery,
        committed_at=0.0,
    )


def _said(number: int, name: str = "", *, is_file: bool = False) -> InboundRow:
    name = name or f"a{number}"
    file = SharedFile(url="", upload=FileId(number)) if is_file else None
    said = RoomMessage(
        id=StanzaId(f"m{name}"),
        archive_id=StanzaId(name),
        nick="Bob",
        occupant="o",
        body="",
        sent_at=0.0,
        file=file,
    )
    return _row(number, said)


def _with_a_late_file(said: InboundRow) -> Queue:
    """File and a read mark of it are aside; it is told now, under a new number."""
    queue = Queue(AccountId(1), ConversationId(1))
    mark = RoomDisplayed(id=StanzaId("d"), nick="Bob", occupant="o", message=StanzaId("file"))
    for each in (_said(5, "file", is_file=True), _row(7, mark), said):
        queue.add(each)
    queue.aside.put(queue.pending.popleft(), None)
    queue.aside.put(queue.pending.popleft(), None)
    return queue


def _moved(queue: Queue) -> InboundRow:
    new = _said(100, "file")
    queue.drop([RowId(5)])
    queue.add(new)
    queue.take_up(new.id)
    return new


def _turns(queue: Queue) -> list[int]:
    return [row.id for row in queue.pending]


def test_req_571_a_read_mark_comes_after_a_file_that_is_told_later() -> None:
    """Also if what was written before is written again."""
    said = _said(8)
    queue = _with_a_late_file(said)
    queue.pending.popleft()
    _moved(queue)
    assert _turns(queue) == [100, 7]
    queue.take_up(RowId(0))
    queue.put_back([said])
    assert _turns(queue) == [8, 100, 7]
    written = [queue.pending.popleft() for _ in range(3)]
    queue.put_back(written)
    assert _turns(queue) == [8, 100, 7]


def test_req_571_a_read_mark_waits_for_a_file_that_is_not_in_memory_yet() -> None:
    queue = _with_a_late_file(_said(8))
    queue.more = True
    new = _moved(queue)
    assert _turns(queue) == [8]
    assert [row.id for row in queue.read([_said(9), _said(10)], more=True)] == [9, 10]
    assert [row.id for row in queue.read([new, _said(101)], more=False)] == [100, 7, 101]
    assert not queue.returned
