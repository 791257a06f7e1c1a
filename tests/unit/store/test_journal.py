# SPDX-License-Identifier: Apache-2.0
"""What can come back from a user's server."""

from __future__ import annotations

from gateway.events import Failure, FailureReason
from gateway.ids import StanzaId, UserJid
from gateway.store import Store, Transaction, journal
from gateway.store.journal import InboundRow, InboundState
from tests.unit.store import rows

SID = StanzaId("the same id")


def _failure(db: Transaction, user: str) -> None:
    """A message of the user under that id could not be sent."""
    of, conversation = rows.chat(db, user)
    failure = Failure(message=SID, to=f"{user}/device", reason=FailureReason.FORBIDDEN, text="no")
    journal.add_inbound(
        db,
        account=of,
        conversation=conversation,
        user=UserJid(user),
        contact=rows.BOB,
        stanza_id=SID,
        delivery=failure,
        now=0,
    )


async def test_rows_of_one_id_are_found_for_all_users_newest_first(store: Store) -> None:
    def unit(db: Transaction) -> None:
        for user in ("alice", "carol"):
            of, conversation = rows.chat(db, user)
            rows.inbound(db, of, conversation, SID)
            rows.inbound(db, of, conversation, "another")

    await store.write(unit)
    found = journal.recent_inbound(store.reader, SID)
    assert [row.user for row in found] == ["carol", "alice"]
    assert {row.stanza_id for row in found} == {SID}
    assert journal.recent_inbound(store.reader, StanzaId("unknown")) == []


async def test_failures_do_not_hide_the_message_whose_id_they_have(store: Store) -> None:
    """However many there are: any client may use that id for messages of its own."""

    def unit(db: Transaction) -> None:
        of, conversation = rows.chat(db, "alice")
        rows.inbound(db, of, conversation, SID)
        for user in ("alice", "carol"):
            for _ in range(20):
                _failure(db, user)

    await store.write(unit)
    (found,) = journal.recent_inbound(store.reader, SID)
    assert found.user == "alice"


async def test_a_row_is_closed_once(store: Store) -> None:
    """Who closes it later is told that it was not open, and changes nothing: it may be counted,
    told of or tried again on the strength of the first word."""

    def unit(db: Transaction) -> InboundRow:
        of, conversation = rows.chat(db, "alice")
        return rows.inbound(db, of, conversation, SID)

    row = await store.write(unit)

    async def closed(state: InboundState, now: float) -> list[InboundRow]:
        return await store.write(lambda db: journal.close_inbound(db, [row], state, now))

    assert await closed(InboundState.DEAD, 5) == [row]
    assert await closed(InboundState.SETTLED, 6) == []
    assert await closed(InboundState.DEAD, 7) == []
    found = store.reader.execute("SELECT state, changed_at FROM inbound").fetchall()
    assert found == [(InboundState.DEAD, 5)]
