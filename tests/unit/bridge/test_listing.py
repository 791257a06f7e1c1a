# SPDX-License-Identifier: Apache-2.0
"""What is done for a contact in the user's contact list, edge by edge (REQ-1008)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.bridge.contacts.listing import Todo, judge, taken
from gateway.bridge.ports import RosterItem
from gateway.store.contacts import ContactRow, Subscription
from gateway.store.roster import Row, State

LABEL = "Net"
BOB = ContactRow(name="Bob")
BOTH = RosterItem(name="Bob", labels=frozenset({LABEL}), to_user=True, from_user=True)
HALF = RosterItem(name="Bob", labels=frozenset({LABEL}), to_user=True)
OURS = Row(state=State.OURS, name="Bob", label=LABEL)


def _item(name: str = "", *labels: str) -> RosterItem:
    return RosterItem(name=name, labels=frozenset(labels))


@pytest.mark.parametrize(
    ("row", "there", "known", "expected"),
    [
        pytest.param(Row(), None, BOB, Todo(row=Row(writing="Bob"), write=BOTH), id="new"),
        pytest.param(
            Row(state=State.ASKED, asked_at=1.0),
            None,
            BOB,
            Todo(row=Row(state=State.ASKED, asked_at=1.0, writing="Bob"), write=BOTH),
            id="asked before anybody could write",
        ),
        pytest.param(
            Row(), _item(), BOB, Todo(row=Row(writing="Bob"), write=BOTH), id="without a name"
        ),
        pytest.param(
            Row(), _item("My Bob"), BOB, Todo(row=Row(state=State.THEIRS)), id="named by the user"
        ),
        pytest.param(
            Row(), _item("", "Friends"), BOB, Todo(row=Row(state=State.THEIRS)), id="in a group"
        ),
        pytest.param(
            Row(),
            None,
            ContactRow(name="Bob", from_user=Subscription.REFUSED),
            Todo(row=Row(state=State.REMOVED)),
            id="refused",
        ),
        pytest.param(
            Row(),
            None,
            ContactRow(name="Bob", to_user=Subscription.REFUSED),
            Todo(row=Row(state=State.REMOVED)),
            id="put out by the user before",
        ),
        pytest.param(Row(writing="Bob"), BOTH, BOB, Todo(row=OURS), id="written before a crash"),
        pytest.param(
            Row(state=State.ASKED, asked_at=1.0, writing="Bob"),
            BOTH,
            BOB,
            Todo(row=Row(state=State.OURS, name="Bob", label=LABEL, asked_at=1.0)),
            id="written before a crash, asked before that",
        ),
        pytest.param(
            Row(writing="Bob"),
            None,
            BOB,
            Todo(row=Row(writing="Bob"), write=BOTH),
            id="not written before a crash",
        ),
        pytest.param(OURS, BOTH, BOB, Todo(row=OURS), id="as it was"),
        pytest.param(OURS, BOTH, ContactRow(), Todo(row=OURS), id="a name is not taken away"),
        pytest.param(
            OURS,
            HALF,
            ContactRow(name="Robert"),
            Todo(
                row=Row(state=State.OURS, name="Bob", label=LABEL, writing="Robert"),
                write=RosterItem(name="Robert", labels=frozenset({LABEL}), to_user=True),
            ),
            id="renamed on the network",
        ),
        pytest.param(
            Row(state=State.OURS, name="Bob", label=LABEL, writing="Robert"),
            _item("Robert", LABEL),
            ContactRow(name="Robert"),
            Todo(row=Row(state=State.OURS, name="Robert", label=LABEL)),
            id="renamed before a crash",
        ),
        pytest.param(
            OURS,
            _item("Bobby", LABEL),
            ContactRow(name="Robert"),
            Todo(row=Row(state=State.THEIRS, name="Bob", label=LABEL)),
            id="renamed by the user",
        ),
        pytest.param(
            OURS,
            _item("Bob", LABEL, "Friends"),
            BOB,
            Todo(row=Row(state=State.THEIRS, name="Bob", label=LABEL)),
            id="put into another group by the user",
        ),
        pytest.param(
            OURS,
            _item("Bob"),
            ContactRow(name="Robert"),
            Todo(row=Row(state=State.THEIRS, name="Bob", label=LABEL)),
            id="taken out of our group by the user",
        ),
        pytest.param(
            Row(state=State.UNWANTED, name="Bob", label=LABEL),
            _item("Bob"),
            BOB,
            Todo(row=Row(state=State.THEIRS, name="Bob", label=LABEL)),
            id="gone from the network, taken out of our group by the user",
        ),
        pytest.param(
            OURS,
            _item("", LABEL),
            BOB,
            Todo(row=Row(state=State.THEIRS, name="Bob", label=LABEL)),
            id="the user has taken the name away",
        ),
        pytest.param(
            OURS,
            None,
            BOB,
            Todo(row=Row(state=State.REMOVED, name="Bob", label=LABEL)),
            id="removed by the user",
        ),
        pytest.param(
            Row(state=State.THEIRS),
            None,
            BOB,
            Todo(row=Row(state=State.REMOVED)),
            id="theirs, gone",
        ),
        pytest.param(
            Row(state=State.REMOVED), None, BOB, Todo(row=Row(state=State.REMOVED)), id="for ever"
        ),
        pytest.param(
            Row(state=State.REMOVED),
            _item(),
            BOB,
            Todo(row=Row(state=State.THEIRS)),
            id="added again by the user",
        ),
        pytest.param(
            Row(state=State.REMOVED, name="Bob", label=LABEL),
            BOTH,
            BOB,
            Todo(row=OURS),
            id="the list was empty for once",
        ),
        pytest.param(
            Row(state=State.REMOVED, name="Bob", label=LABEL),
            _item("Bob"),
            BOB,
            Todo(row=Row(state=State.THEIRS, name="Bob", label=LABEL)),
            id="added again by the user without a group",
        ),
        pytest.param(
            Row(state=State.UNWANTED, name="Bob", label=LABEL),
            BOTH,
            BOB,
            Todo(row=Row(state=State.UNWANTED, name="Bob", label=LABEL), removes=True),
            id="gone from the network",
        ),
        pytest.param(
            Row(state=State.UNWANTED, name="Bob", label=LABEL),
            _item("My Bob", LABEL),
            BOB,
            Todo(row=Row(state=State.THEIRS, name="Bob", label=LABEL)),
            id="gone from the network, named by the user",
        ),
        pytest.param(
            Row(state=State.OURS, name="Bob", label="Old name"),
            _item("Bob", "Old name"),
            BOB,
            Todo(row=OURS),
            id="the admin calls the network otherwise",
        ),
    ],
)
def test_req_1008_what_is_to_be_done(
    row: Row, there: RosterItem | None, known: ContactRow, expected: Todo
) -> None:
    assert judge(row, there, known, LABEL) == expected


_NAMES = st.sampled_from(["", "Bob", "Robert", "My Bob"])
_ITEMS = st.none() | st.builds(
    RosterItem,
    name=_NAMES,
    labels=st.frozensets(st.sampled_from([LABEL, "Friends"])),
    to_user=st.booleans(),
    from_user=st.booleans(),
)
_KNOWN = st.builds(
    ContactRow,
    name=_NAMES,
    to_user=st.sampled_from(Subscription),
    from_user=st.sampled_from(Subscription),
)


@given(st.lists(st.tuples(_ITEMS, _KNOWN, st.booleans()), max_size=8))
def test_req_1008_what_the_user_did_is_never_undone(
    looks: list[tuple[RosterItem | None, ContactRow, bool]],
) -> None:
    """Whatever is found at each look, and whether or not the write after it is taken."""
    row, is_removed = Row(), False
    for there, known, is_taken in looks:
        todo = judge(row, there, known, LABEL)
        if row.state in (State.OURS, State.THEIRS, State.REMOVED) and there is None:
            is_removed = True
        elif there is not None:
            is_removed = False
        if is_removed:
            assert todo.write is None
        if todo.write is not None and there is not None:
            assert there.name in ("", row.name, row.writing)
            assert there.labels == {LABEL} or not (there.name or there.labels)
        row = todo.row
        if todo.write is not None:
            assert row.writing == todo.write.name
            if is_taken:
                row = taken(row, todo.write, LABEL)
                assert (row.state, row.writing) == (State.OURS, None)
