# SPDX-License-Identifier: Apache-2.0
"""What watches over the plans of all statements sees what it should (`tests.plans`)."""

from __future__ import annotations

import pytest

from gateway.ids import AccountId
from gateway.store import backlog, conversations
from gateway.store.database import Store
from tests import plans
from tests.unit.store import rows


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT id FROM message WHERE stanza_id = ?",
        "SELECT message FROM alias WHERE value = ?",
        "DELETE FROM inbound WHERE committed_at < ?",
        "UPDATE outbound SET state = 3 WHERE sender = ?",
        "SELECT count(*) FROM contact WHERE name = ?",
        "SELECT conversation FROM inbound WHERE state = 2",
    ],
)
def test_whole_tables_are_noticed(sql: str) -> None:
    assert list(plans.scans(sql))


async def test_what_the_store_executes_is_recorded(store: Store) -> None:
    def unit(db: object) -> None:
        account, chat = rows.chat(db, "alice@example.org")  # type: ignore[arg-type]
        rows.message(db, chat, "one")  # type: ignore[arg-type]
        assert backlog.count_open(db, account) == (0, 0)  # type: ignore[arg-type]

    await store.write(unit)
    assert conversations.has_messages(store.reader, AccountId(1), rows.BOB)
    recorded = plans._new | plans._known
    assert any("INSERT INTO message" in sql for sql in recorded)
    assert any("JOIN inbound INDEXED BY" in sql for sql in recorded)
