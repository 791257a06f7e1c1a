# SPDX-License-Identifier: Apache-2.0
"""How much is put aside, and what makes way when that is too much (REQ-446)."""

from __future__ import annotations

from gateway.bridge.inbound.aside import Aside
from gateway.events import ChatMessage, ChatReply, SharedFile
from gateway.ids import AccountId, ConversationId, FileId, RemoteUserId, RowId, StanzaId, UserJid
from gateway.store.journal import InboundRow


def _row(number: int, *, is_file: bool = False, answers: int | None = None) -> InboundRow:
    id = StanzaId(f"s{number}")
    reply = None if answers is None else ChatReply(message=StanzaId(f"s{answers}"), is_own=False)
    file = SharedFile(url="", upload=FileId(number)) if is_file else None
    return InboundRow(
        id=RowId(number),
        account=AccountId(1),
        conversation=ConversationId(1),
        user=UserJid("alice@example.org"),
        contact=RemoteUserId("bob"),
        stanza_id=id,
        delivery=ChatMessage(id=id, body="", sent_at=0.0, file=file, reply=reply),
        committed_at=0.0,
    )


def _filled(files: int, answers: int) -> Aside:
    """What answers is about the first file."""
    aside = Aside()
    for number in range(files):
        aside.put(_row(number, is_file=True), None)
    for number in range(files, files + answers):
        aside.put(_row(number, answers=0), None)
    return aside


def test_req_446_the_hundred_and_first_file_is_decided_at_once() -> None:
    file, answer = _row(5_000, is_file=True), _row(5_001, answers=0)
    assert _filled(99, 500).in_the_way(file) is None
    assert _filled(100, 500).in_the_way(file) == file.id
    assert _filled(100, 500).in_the_way(answer) is None


def test_req_446_of_too_much_that_waits_the_oldest_file_is_decided() -> None:
    file, answer = _row(5_000, is_file=True), _row(5_001, answers=0)
    aside = _filled(2, 998)
    assert aside.in_the_way(answer) == 0
    assert aside.in_the_way(file) == file.id
    aside.reword(RowId(0), ChatMessage(id=StanzaId("s0"), body="told", sent_at=0.0))
    assert [row.id for row in aside.take()] == [0, *range(2, 1_000)]
    assert aside.in_the_way(answer) is None
    assert not aside.concerns(answer, None)


def test_req_446_a_file_that_answers_another_one_waits_for_it() -> None:
    aside = _filled(1, 0)
    both = _row(7, is_file=True, answers=0)
    aside.put(both, None)
    both.delivery = ChatMessage(
        id=StanzaId("s7"),
        body="told",
        sent_at=0.0,
        reply=ChatReply(message=StanzaId("s0"), is_own=False),
    )
    assert aside.take() == []
    aside.reword(RowId(0), ChatMessage(id=StanzaId("s0"), body="told", sent_at=0.0))
    assert [row.id for row in aside.take()] == [0, 7]
