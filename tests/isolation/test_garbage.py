# SPDX-License-Identifier: Apache-2.0
"""An adapter hands over what it should not: that is not stored, the rest is, and others go on."""

from __future__ import annotations

import math
import time
from typing import Any

import pytest

from gateway.bridge.inbound.inbound import DEAD_LETTER, UNREADABLE
from gateway.bridge.links.handle import Handle
from gateway.events import (
    RemoteGap,
    RemoteInvite,
    RemoteInviteGone,
    RemoteMessage,
    RemoteProfile,
    RemoteReaction,
    RemoteRead,
    RemoteUndecryptable,
    RemoteUnreadable,
)
from gateway.ids import RemoteMessageId, RemoteUserId
from gateway.store import dead_events
from tests.isolation.town import Town, user

pytestmark = pytest.mark.asyncio(loop_scope="module")

_HUGE = "x" * 10_000_000
_LONG = "i" * 100_000


def _message(**fields: Any) -> RemoteMessage:
    given = {"contact": "bob", "id": "m", "body": "text", "sent_at": 0.0, **fields}
    return RemoteMessage(**given)


_REFUSED = {
    "no event": {"type": "message"},
    "nothing": None,
    "a class": RemoteMessage,
    "contact None": _message(contact=None),
    "contact of the gateway": _message(contact=""),
    "contact a number": _message(contact=7),
    "id None": _message(id=None),
    "id empty": _message(id=""),
    "id bytes": _message(id=b"m"),
    "id with a lone surrogate": _message(id="m\ud800"),
    "body None": _message(body=None),
    "body a list": _message(body=["text"]),
    "sent_at a text": _message(sent_at="now"),
    "sent_at None": _message(sent_at=None),
    "own a text": _message(own="yes"),
    "key a number": _message(key=5),
    "read without id": RemoteRead(contact=RemoteUserId("bob"), up_to=None),  # type: ignore[arg-type]
    "profile None": RemoteProfile(contact=RemoteUserId("bob"), name=None),  # type: ignore[arg-type]
    "gap a text": RemoteGap(
        contact=RemoteUserId("bob"),
        id=RemoteMessageId("g"),
        about="many",  # type: ignore[arg-type]
    ),
    "encrypted None": RemoteUndecryptable(
        contact=RemoteUserId("bob"),
        id=RemoteMessageId("e"),
        sent_at=0.0,
        content=None,  # type: ignore[arg-type]
    ),
}

_TAKEN = {
    "sent at NaN": _message(sent_at=math.nan),
    "sent at inf": _message(sent_at=math.inf),
    "sent at -inf": _message(sent_at=-math.inf),
    "sent before 1970": _message(sent_at=-1e15),
    "sent in the year 10^6": _message(sent_at=3.2e13),
    "sent at an endless integer": _message(sent_at=10**400),
    "NUL and surrogates in the text": _message(body="te\0xt\ud800"),
    "an endless id": _message(id=_LONG),
}


async def _handle(town: Town, name: str) -> Handle:
    await town.link(name)
    link = town.account(name).link
    assert link is not None
    handle = link._handle
    assert handle is not None
    return handle


@pytest.mark.parametrize("what", _REFUSED)
async def test_what_is_no_event_is_told_in_one_line(town: Town, what: str) -> None:
    name, _ = town.newcomer("", "")
    handle = await _handle(town, name)
    first, last = _message(id="first", body="1"), _message(id="last", body="2")
    bad: Any = _REFUSED[what]
    await handle.commit([first, bad, last, bad], cursor="7")
    inbox = town.inboxes[user(name)]
    await town.until(lambda: len(inbox.bodies) == 2 and inbox.lines)
    assert inbox.bodies == ["1", "2"]
    (line,) = inbox.lines
    assert line.startswith("2 messages arrived")
    assert town.account(name).cursor == "7"
    own = town.account(name).id
    letters = [log for log in town.logged("dead_letter") if log["account"] == own]
    assert {log["network"] for log in letters} == {"net"}
    town.check_order()


@pytest.mark.parametrize("what", _TAKEN)
async def test_what_is_odd_but_an_event_is_taken(town: Town, what: str) -> None:
    name, _ = town.newcomer("", "")
    handle = await _handle(town, name)
    await handle.commit([_TAKEN[what], _TAKEN[what]])
    inbox = town.inboxes[user(name)]
    await town.until(lambda: inbox.bodies)
    assert [body.replace("\ufffd", "") for body in inbox.bodies] == ["text"]
    assert not inbox.lines


async def test_what_was_lost_is_kept_for_the_admin_and_tried_again(town: Town) -> None:
    """With its number in the log; of many the content too, though not the traceback."""
    name, _ = town.newcomer("", "")
    handle = await _handle(town, name)
    bad = [_message(id=f"m{number}", body=None) for number in range(5)]
    await handle.commit(bad)
    account = town.account(name)
    store = handle._link.store
    kept = [event for event in dead_events.dead_events(store.reader) if event.user == user(name)]
    assert [event.kind for event in kept] == ["RemoteMessage"] * 5
    logged = [log["letter"] for log in town.logged("dead_letter") if log["account"] == account.id]
    assert logged == [*(f"e{event.id}" for event in kept[:3]), f"e{kept[3].id} to e{kept[4].id}"]
    reason, content = dead_events.content_of(store.reader, kept[0].id) or ("", "")
    assert reason == "TypeError: RemoteMessage.body is a NoneType"
    assert '"m0"' in content
    # After an update, say, this one can be stored; the others still cannot.
    await store.write(
        lambda db: db.execute(
            "UPDATE dead_event SET content = replace(content, 'null', '\"late\"') WHERE id = ?",
            (kept[0].id,),
        )
    )
    assert await store.write(lambda db: dead_events.retry(db, [event.id for event in kept])) == 1
    await town.bridge().logins.log_out(account)
    await town.link(name)
    await town.until(lambda: town.inboxes[user(name)].bodies == ["late"])
    left = [
        event.id for event in dead_events.dead_events(store.reader) if event.user == user(name)
    ]
    assert left == [event.id for event in kept[1:]]


async def test_what_an_adapter_could_not_convert_is_told_once(town: Town) -> None:
    name, _ = town.newcomer("", "")
    handle = await _handle(town, name)
    unreadable = RemoteUnreadable(
        contact=RemoteUserId("bob"), id=RemoteMessageId("u"), content="{}", reason="KeyError"
    )
    await handle.commit([_message(id="1", body="1"), unreadable, _message(id="2", body="2")])
    await handle.commit([unreadable, _message(id="3", body="3")])
    inbox = town.inboxes[user(name)]
    await town.until(lambda: len(inbox.bodies) == 4)
    assert inbox.bodies == ["1", f"[{UNREADABLE}]", "2", "3"]
    own = town.account(name).id
    (letter,) = [log for log in town.logged("dead_letter") if log["account"] == own]
    assert (letter["reason"], letter["kind"]) == ("KeyError", "RemoteUnreadable")
    town.check_order()


async def test_what_belongs_nobody_knows_where_is_told_by_the_gateway(town: Town) -> None:
    name, _ = town.newcomer("", "")
    handle = await _handle(town, name)
    unreadable = RemoteUnreadable(
        contact=None, id=RemoteMessageId("u"), content="{}", reason="KeyError"
    )
    await handle.commit([unreadable, _message(id="1", body="1")])
    await handle.commit([unreadable, _message(id="2", body="2")])
    inbox = town.inboxes[user(name)]
    await town.until(lambda: len(inbox.bodies) == 2 and inbox.lines)
    assert inbox.bodies == ["1", "2"]
    assert inbox.lines == [UNREADABLE]
    kept = dead_events.dead_events(handle._link.store.reader)
    assert [event.kind for event in kept if event.user == user(name)] == ["RemoteUnreadable"]


async def test_what_a_contact_reacts_with_can_be_asked_for(town: Town) -> None:
    """By adapters of networks whose reactions have no ids."""
    name, _ = town.newcomer("", "")
    handle = await _handle(town, name)
    bob, message = RemoteUserId("bob"), RemoteMessageId("1")
    assert handle.chat_reactions(bob, message, theirs=True) == {}
    both: dict[str, Any] = {"contact": bob, "message": message, "sent_at": 0.0}
    made = [
        RemoteReaction(id=RemoteMessageId(emoji), emoji=emoji, own=own, **both)
        for emoji, own in (("👍", False), ("🎉", True))
    ]
    await handle.commit([_message(id="1", body="1"), *made])
    assert handle.chat_reactions(bob, message, theirs=True) == {"👍": "👍"}
    assert handle.chat_reactions(bob, message) == {"🎉": "🎉"}


async def test_endless_names_and_ids_of_people(town: Town) -> None:
    name, _ = town.newcomer("", "")
    handle = await _handle(town, name)
    before = await town.probe()
    contact = RemoteUserId(_LONG)
    await handle.commit(
        [
            RemoteProfile(contact=contact, name=_HUGE),
            RemoteInvite(contact=contact, id=RemoteMessageId(_LONG)),
            RemoteInviteGone(contact=contact),
            _message(contact=contact),
        ]
    )
    await town.until(lambda: "text" in town.inboxes[user(name)].bodies)
    await town.unharmed(before)


async def test_a_text_of_ten_megabytes_arrives_in_parts(town: Town) -> None:
    name, _ = town.newcomer("", "")
    handle = await _handle(town, name)
    before = await town.probe()
    start = time.thread_time()
    await handle.commit([_message(body=_HUGE)])
    inbox = town.inboxes[user(name)]
    await town.until(lambda: sum(map(len, inbox.bodies)) == len(_HUGE), 15)
    assert time.thread_time() - start < 5
    await town.unharmed(before)


async def test_the_line_about_a_single_one(town: Town) -> None:
    name, _ = town.newcomer("", "")
    handle = await _handle(town, name)
    nothing: Any = None
    await handle.commit([nothing])
    inbox = town.inboxes[user(name)]
    await town.until(lambda: inbox.lines)
    assert inbox.lines == [DEAD_LETTER]


async def test_ten_thousand_events_in_one_commit(town: Town) -> None:
    name, _ = town.newcomer("", "")
    handle = await _handle(town, name)
    before = await town.probe()
    many = [_message(id=f"m{number}", body=f"{number}") for number in range(10_000)]
    committing = town.beside(handle.commit(many, cursor="10000"))
    await town.unharmed(before)
    await committing
    inbox = town.inboxes[user(name)]
    await town.until(lambda: len(inbox.bodies) >= 10_000, 40)
    assert inbox.bodies == [str(number) for number in range(10_000)]
    town.check_order()


@pytest.mark.parametrize("missed", [3_000, pytest.param(10_000, marks=pytest.mark.soak)])
async def test_thousands_of_missed_messages(town: Town, missed: int) -> None:
    name, _ = town.newcomer("", "")
    await town.link(name)
    before = await town.probe()
    link = town.account(name).link
    assert link is not None
    await town.bridge().logins.log_out(town.account(name))
    for number in range(missed):
        town.network.says(name, "bob", f"{number}")
    await town.link(name)
    await town.unharmed(before)
    inbox = town.inboxes[user(name)]
    await town.until(lambda: len(inbox.bodies) >= missed, 40)
    assert inbox.bodies == [str(number) for number in range(missed)]
    town.check_order()
