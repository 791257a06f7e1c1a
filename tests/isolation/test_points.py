# SPDX-License-Identifier: Apache-2.0
"""An exception, or worse, at every point of one account's path."""

from __future__ import annotations

import pytest

from gateway.bridge.links.link import LinkState
from gateway.store.accounts import AccountStatus
from tests.isolation.town import HOME, NET, PASSWORD, Town, user
from tests.isolation.trouble import SENTENCE

pytestmark = pytest.mark.asyncio(loop_scope="module")

_INTERNAL = "Not connected: internal error; the admin's log has the details"
_SAID = f"Not connected: {SENTENCE}"
_CUT = "Not connected: the session was cut off"

_OF_A_SESSION = {
    "Transient": _SAID,
    "RateLimited-nan": _SAID,
    "Forbidden": _SAID,
    "Uncertain": _SAID,
    "RuntimeError": _INTERNAL,
    "MemoryError": _INTERNAL,
    "PanicException": _INTERNAL,
    "SystemExit": _INTERNAL,
    "KeyboardInterrupt": _INTERNAL,
    "CancelledError": _CUT,
    "cancels-itself": _CUT,
}


_IN_A_SESSION = ("session", "before-connected", "after-connected", "converter", "after-commit")


@pytest.mark.parametrize(
    ("point", "way"),
    [
        (point, way)
        for point in _IN_A_SESSION
        for way in (*_OF_A_SESSION, "returns-nothing")
        if (point, way) != ("session", "cancels-itself")  # nothing is awaited there
    ],
)
async def test_a_session_that_fails(town: Town, point: str, way: str) -> None:
    name, trouble = town.newcomer(point, way)
    before = await town.probe()
    await town.link(name, wait=False)
    if point in ("converter", "after-commit"):
        await town.until(lambda: town.is_live(name))
        town.network.says(name, "bob", "kept")
    waiting = town.send(name, "waits")
    if way != "returns-nothing" or point in ("before-connected", "after-connected"):
        await town.until(lambda: trouble.times >= 2)
    await town.unharmed(before)
    inbox = town.inboxes[user(name)]
    told = [status for status in inbox.statuses if status.startswith("Not")]
    if way in _OF_A_SESSION:
        expected = _OF_A_SESSION[way]
        assert set(told) == {expected}
        ended = [line for line in town.logged("session_ended") if line["reason"] in expected]
        own = town.account(name)
        assert any((line["network"], line["account"]) == ("net", own.id) for line in ended)
    trouble.is_over = True
    await town.until(lambda: waiting in inbox.receipts)
    if point not in ("converter", "after-commit"):
        town.network.says(name, "bob", "kept")
    await town.until(lambda: "kept" in inbox.bodies)
    assert inbox.bodies == ["kept"]
    assert [text.body for text in town.network.sent if text.sender == name] == ["waits"]
    assert not inbox.errors
    town.check_order()


@pytest.mark.parametrize("point", ["before-connected", "after-connected", "converter"])
@pytest.mark.parametrize("way", ["hangs", "deaf"])
async def test_a_session_that_hangs_is_replaced_by_a_new_login(
    town: Town, point: str, way: str
) -> None:
    name, trouble = town.newcomer(point, way)
    before = await town.probe()
    await town.link(name, wait=False)
    if point == "converter":
        await town.until(lambda: town.is_live(name))
        town.network.says(name, "bob", "kept")
    await town.until(lambda: trouble.times)
    await town.unharmed(before)
    trouble.point = ""
    await town.link(name)
    if point != "converter":
        town.network.says(name, "bob", "kept")
    await town.until(lambda: "kept" in town.inboxes[user(name)].bodies)
    assert bool(trouble.ignored) == (way == "deaf")
    trouble.is_over = True
    await town.unharmed(before)
    town.check_order()


async def test_a_session_that_never_connects_is_told_and_tried_again(town: Town) -> None:
    name, _ = town.newcomer("before-connected", "hangs")
    await town.link(name, wait=False)
    inbox = town.inboxes[user(name)]
    await town.until(lambda: inbox.statuses)
    assert inbox.statuses == ["Not connected: The network does not answer."]
    await town.bridge().logins.log_out(town.account(name))


_OF_A_SEND = {
    "BadLogin": SENTENCE,
    "Forbidden": SENTENCE,
    "NotFound": SENTENCE,
    "TooLarge": SENTENCE,
    "Uncertain": SENTENCE,
    "Unsupported": SENTENCE,
    "AdapterError": SENTENCE,
}


@pytest.mark.parametrize("way", _OF_A_SEND)
async def test_a_send_that_fails_for_good(town: Town, way: str) -> None:
    name, trouble = town.newcomer("send", way)
    before = await town.probe()
    await town.link(name)
    failed = town.send(name, "refused")
    inbox = town.inboxes[user(name)]
    await town.until(lambda: failed in inbox.errors)
    assert inbox.errors == {failed: _OF_A_SEND[way]}
    trouble.is_over = True
    sent = town.send(name, "sent")
    await town.until(lambda: sent in inbox.receipts)
    await town.unharmed(before)
    town.check_order()


@pytest.mark.parametrize(
    ("point", "way"),
    [
        ("send", "Transient"),
        ("send", "RateLimited"),
        ("send", "RateLimited-nan"),
        ("send", "RuntimeError"),
        ("send", "StopAsyncIteration"),
        ("send", "TimeoutError"),
        ("send", "PanicException"),
        ("send", "SystemExit"),
        ("send", "KeyboardInterrupt"),
        ("send", "CancelledError"),
        ("send", "cancels-itself"),
        ("send", "hangs"),
        ("send", "deaf"),
        ("send", "returns-nothing"),
        ("turn", "RuntimeError"),
        ("turn", "cancels-itself"),
        ("turn", "hangs"),
        ("turn", "deaf"),
    ],
)
async def test_a_send_that_fails_for_now(town: Town, point: str, way: str) -> None:
    name, trouble = town.newcomer(point, way)
    before = await town.probe()
    await town.link(name)
    first, second = town.send(name, "first"), town.send(name, "second")
    await town.until(lambda: trouble.times >= 2)
    await town.unharmed(before)
    trouble.is_over = True
    inbox = town.inboxes[user(name)]
    await town.until(lambda: second in inbox.receipts)
    assert inbox.receipts == [first, second]
    assert [text.body for text in town.network.sent if text.sender == name] == ["first", "second"]
    assert not inbox.errors
    for event in ("send_failed", "slow_send", "send_left_behind"):
        own = [line for line in town.logged(event) if line["account"] == town.account(name).id]
        assert all(line["network"] == "net" for line in own)
    town.check_order()


@pytest.mark.parametrize("way", ["hangs", "deaf", "PanicException"])
async def test_other_conversations_of_the_same_account_go_on(town: Town, way: str) -> None:
    name, trouble = town.newcomer("send", way)
    await town.link(name)
    town.send(name, "stuck")
    await town.until(lambda: trouble.times)
    trouble.point = ""
    other = town.send(name, "other", contact="eve")
    await town.until(lambda: other in town.inboxes[user(name)].receipts)
    trouble.is_over = True


async def test_an_expired_login_ends_one_account(town: Town) -> None:
    name, trouble = town.newcomer("after-connected", "AuthExpired")
    before = await town.probe()
    await town.link(name, wait=False)
    inbox = town.inboxes[user(name)]
    await town.until(lambda: inbox.lines)
    await town.unharmed(before)
    assert inbox.lines == [f"{SENTENCE} Send “login” to log in again."]
    link = town.account(name).link
    assert link is not None
    assert link.phase is LinkState.EXPIRED
    assert trouble.times == 1
    trouble.is_over = True
    await town.link(name)
    town.check_order()


_ODD = ["RuntimeError", "PanicException", "SystemExit", "CancelledError", "hangs", "deaf"]


@pytest.mark.parametrize("way", ["Transient", "RateLimited", *_ODD, "returns-nothing"])
async def test_a_look_up_that_fails(town: Town, way: str) -> None:
    name, trouble = town.newcomer("find", way)
    before = await town.probe()
    await town.link(name)
    server = town.servers[NET]
    server.send(f"<presence from='{user(name)}' to='eve@{NET}' type='subscribe'/>")
    server.send(
        f"<iq from='{user(name)}/x' to='eve@{NET}/scripted' type='get' id='q'>"
        "<query xmlns='http://jabber.org/protocol/disco#info'/></iq>"
    )
    await town.until(lambda: trouble.times >= 2)
    await town.unharmed(before)
    trouble.is_over = True
    inbox = town.inboxes[user(name)]
    await town.until(lambda: ("subscribed", f"eve@{NET}") in inbox.presences)
    assert ("unsubscribed", f"eve@{NET}") not in inbox.presences
    town.check_order()


@pytest.mark.parametrize("way", ["Transient", *_ODD])
async def test_typing_that_fails(town: Town, way: str) -> None:
    name, trouble = town.newcomer("set_typing", way)
    before = await town.probe()
    await town.link(name)
    town.servers[NET].send(
        f"<message from='{user(name)}/x' to='bob@{NET}' type='chat'>"
        "<composing xmlns='http://jabber.org/protocol/chatstates'/></message>"
    )
    await town.until(lambda: trouble.times)
    sent = town.send(name, "sent")
    await town.until(lambda: sent in town.inboxes[user(name)].receipts)
    await town.unharmed(before)
    trouble.is_over = True
    town.check_order()


@pytest.mark.parametrize("way", ["Transient", *_ODD])
async def test_a_log_out_that_fails(town: Town, way: str) -> None:
    name, trouble = town.newcomer("log_out", way)
    before = await town.probe()
    await town.link(name)
    account = town.account(name)
    warning = await town.bridge().logins.log_out(account)
    assert warning.count(".") == 1
    assert warning.startswith("The network could not be told of it: ")
    assert account.status is AccountStatus.LOGGED_OUT
    await town.unharmed(before)
    trouble.is_over = True
    await town.link(name)
    town.check_order()


@pytest.mark.parametrize(
    ("point", "way"),
    [
        (point, way)
        for point in ("first", "submit")
        for way in ("Transient", *_ODD, "returns-nothing")
        # Nothing is awaited in the first, and so nothing can be cancelled.
        if point == "submit" or way not in ("hangs", "deaf", "cancels-itself")
    ],
)
async def test_a_login_that_fails(town: Town, point: str, way: str) -> None:
    name, trouble = town.newcomer(point, way)
    before = await town.probe()
    inbox = town.inboxes[user(name)]
    _write(town, name, "login")
    if point == "submit":
        await _answer(town, name)
    await town.until(lambda: trouble.times)
    await town.unharmed(before)
    ends = ("went wrong", SENTENCE, "does not answer")
    await town.until(lambda: any(end in line for end in ends for line in inbox.lines))
    trouble.is_over = True
    del inbox.lines[:]
    _write(town, name, "login")
    await _answer(town, name)
    await town.until(lambda: any("You are logged in" in line for line in inbox.lines))
    town.check_order()


async def _answer(town: Town, name: str) -> None:
    lines = town.inboxes[user(name)].lines
    await town.until(lambda: "User?" in lines)
    _write(town, name, name)
    await town.until(lambda: "Password?" in lines)
    _write(town, name, PASSWORD)


def _write(town: Town, name: str, said: str) -> None:
    town.servers[NET].send(
        f"<message from='{name}@{HOME}/x' to='{NET}' type='chat'><body>{said}</body></message>"
    )
