# SPDX-License-Identifier: Apache-2.0
"""What is to be done for a contact in the user's contact list: the rules, without any I/O.

What the user does there counts (REQ-1008): a name or group that is not as we have written it last
is theirs and stays, and what they have removed never comes back by itself. An entry with neither
name nor group is nobody's choice yet, and gets both.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from gateway.bridge.ports import RosterItem
from gateway.store.contacts import ContactRow, Subscription
from gateway.store.roster import Row, State


@dataclass(frozen=True, slots=True, kw_only=True)
class Todo:
    """For one contact."""

    row: Row
    """To be stored, before anything is written."""
    write: RosterItem | None = None
    removes: bool = False


def judge(row: Row, there: RosterItem | None, known: ContactRow, label: str) -> Todo:
    """``there``: the contact as it stands in the list, if it does. ``label``: our group."""
    if row.state is State.INVITED:
        return Todo(row=row)
    if row.state is State.REMOVED:
        return Todo(row=row if there is None else _back(row, there, label))
    if row.state in (State.WANTED, State.ASKED):
        return _add(row, there, known, label)
    if there is None:  # the user has removed it
        return Todo(row=replace(row, state=State.REMOVED, writing=None))
    if row.state is State.THEIRS or not _is_as_written(row, there, label):
        return Todo(row=_theirs(row))
    if row.state is State.UNWANTED:
        return Todo(row=row, removes=True)
    return _rename(row, there, known, label)


def _add(row: Row, there: RosterItem | None, known: ContactRow, label: str) -> Todo:
    if Subscription.REFUSED in (known.to_user, known.from_user):  # the user has ended it
        return Todo(row=replace(row, state=State.REMOVED if there is None else State.THEIRS))
    if there is not None and row.writing is not None and _is_as_written(row, there, label):
        return Todo(row=written(row, there, label))  # before a crash
    if there is not None and (there.name or there.labels):
        return Todo(row=_theirs(row))
    item = RosterItem(name=known.name, labels=frozenset({label}), to_user=True, from_user=True)
    return Todo(row=replace(row, writing=item.name), write=item)


def _rename(row: Row, there: RosterItem, known: ContactRow, label: str) -> Todo:
    if not known.name or there.name == known.name:
        return Todo(row=written(row, there, label))
    item = replace(there, name=known.name, labels=frozenset({label}))
    return Todo(row=replace(row, writing=item.name), write=item)


def written(row: Row, there: RosterItem, label: str) -> Row:
    """What we have written stands there."""
    return replace(row, state=State.OURS, name=there.name, label=label, writing=None)


def taken(row: Row, wrote: RosterItem | None, label: str) -> Row:
    """The server has taken a write: what it is found to be from now on is the user's doing."""
    if wrote is None:
        return replace(row, state=State.REMOVED, writing=None)
    return written(row, wrote, label)


def is_deaf(wrote: RosterItem, there: RosterItem | None) -> bool:
    """The server has put it there without the subscription."""
    return there is not None and wrote.from_user and not there.from_user


def _back(row: Row, there: RosterItem, label: str) -> Row:
    """It was gone, and is there again: if just as we have written it, a list that was empty for
    once is whole again."""
    if row.label and _is_as_written(row, there, label):
        return written(row, there, label)
    return _theirs(row)


def _theirs(row: Row) -> Row:
    return replace(row, state=State.THEIRS, writing=None)


def _is_as_written(row: Row, there: RosterItem, label: str) -> bool:
    names = {row.name} if row.state is not State.WANTED else set()
    if row.writing is not None:
        names.add(row.writing)
    return there.name in names and there.labels in ({row.label}, {label})
