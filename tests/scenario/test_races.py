# SPDX-License-Identifier: Apache-2.0
"""What scripts cannot say: answers that come too late, cancellations, clocks that are set."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element

import pytest

from gateway.adapter import Contact, Linked, Sent
from gateway.bridge.accounts import Account
from gateway.bridge.links.link import LinkState
from gateway.errors import AuthExpired, Forbidden, RateLimited, StoreUnavailable
from gateway.events import Command
from gateway.ids import RemoteUserId, UserJid
from gateway.store import journal
from gateway.store.accounts import AccountStatus
from tests.scenario.house import GATEWAY, House, Options
from tests.scenario.test_stream import ALICE, events, running

_RECEIPT = "<request xmlns='urn:xmpp:receipts'/>"


def _received(house: House) -> list[Element]:
    """What the server got and nobody looked at yet."""
    elements = []
    while not house.server.received.empty():
        elements.append(house.server.received.get_nowait())
    return elements


def _errors(house: House) -> list[str]:
    return [stanza.get("to", "") for stanza in _received(house) if stanza.get("type") == "error"]


def _say(house: House, body: str, id: str, *, device: str = "phone", extra: str = "") -> None:
    house.server.send(
        f"<message from='{ALICE}/{device}' to='bob@{GATEWAY}' type='chat' id='{id}'>"
        f"<body>{body}</body>{_RECEIPT}{extra}</message>"
    )


def _account(house: House) -> Account:
    account = house.bridge.accounts.of(UserJid(ALICE))
    assert account is not None
    return account


def _held_send(house: House, error: Exception) -> asyncio.Event:
    """The next sends of the session wait for the event, and then fail."""
    gate = asyncio.Event()

    async def send(command: Command, key: str) -> Sent:
        await gate.wait()
        raise error

    _replace(house, "send", send)
    return gate


def _replace(house: House, method: str, by: Any) -> Any:
    """Have one session of the network behave otherwise. Returns how it behaved."""
    link = _account(house).link
    assert link is not None
    assert link.session is not None
    before = getattr(link.session, method)
    setattr(link.session, method, by)
    return before


@pytest.mark.parametrize("again", [False, True])
async def test_req_222_a_late_refusal_of_an_earlier_login_counts_no_more(
    house: House, again: bool
) -> None:
    await running(house)
    gate = _held_send(house, AuthExpired("The token is gone."))
    _say(house, "hi", "a1")
    await house.clock.settle()
    await house.bridge.logins.log_out(_account(house))
    if again:
        await house.link(ALICE, "alice")
    gate.set()
    await house.clock.settle()
    expected = AccountStatus.LINKED if again else AccountStatus.LOGGED_OUT
    assert _account(house).status is expected
    assert house.query("SELECT status FROM account") == [(str(expected),)]
    assert "session_expired" not in events(house)


async def test_req_222_an_expired_login_ends_the_session_too(house: House) -> None:
    await running(house)
    gate = _held_send(house, AuthExpired("The token is gone."))
    _say(house, "hi", "a1")
    gate.set()
    await house.clock.settle()
    link = _account(house).link
    assert link is not None
    assert link.task is not None
    assert link.task.done()
    assert link.phase is LinkState.EXPIRED


async def test_the_same_identity_at_another_address_of_its_server(house: House) -> None:
    await running(house)
    await house.bridge.logins.log_out(_account(house))
    house.network.tokens["moved"] = "alice"
    linked = Linked(realm="moved", remote_id=RemoteUserId("alice"), secret=b"moved")
    await house.bridge.logins.link(UserJid(ALICE), linked)
    await house.clock.settle()
    assert _account(house).status is AccountStatus.LINKED


async def test_a_session_that_is_cut_off_by_a_library_is_started_again(house: House) -> None:
    await running(house)
    adapter = house.bridge.adapter
    make = adapter.session
    made = 0

    def session(account: Any) -> Any:
        nonlocal made
        made += 1
        new = make(account)
        if made == 1:

            async def run() -> None:
                raise asyncio.CancelledError

            new.run = run  # type: ignore[method-assign]
        return new

    adapter.session = session  # type: ignore[method-assign]
    house.network.cut()
    await house.clock.advance(60)
    house.network.says("alice", "bob", "hello")
    await house.clock.settle()
    assert made == 2
    link = _account(house).link
    assert link is not None
    assert link.phase is LinkState.LIVE


async def test_req_913_a_send_that_is_cut_off_by_a_library_is_repeated(house: House) -> None:
    await running(house)
    cut = [True]

    async def send(command: Command, key: str) -> Sent:
        if cut:
            cut.clear()
            raise asyncio.CancelledError
        return await before(command, key)  # type: ignore[no-any-return]

    before = _replace(house, "send", send)
    _say(house, "one", "a1")
    _say(house, "two", "a2")
    await house.clock.advance(10)
    assert [sent.body for sent in house.network.sent] == ["one", "two"]


async def test_req_913_nothing_overtakes_rows_that_cannot_be_read(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    await running(house)
    house.network.faults = [{"silent": "before"}]
    for number in range(250):
        _say(house, f"m{number}", f"a{number}")
    await house.clock.settle()

    def fail(*_: object) -> None:
        raise OSError("the disk is away")

    with monkeypatch.context() as patch:
        patch.setattr(journal, "open_outbound", fail)
        await house.clock.advance(125)
    _say(house, "last", "z1")
    await house.clock.advance(120)
    expected = [*(f"m{number}" for number in range(250)), "last"]
    assert [sent.body for sent in house.network.sent] == expected


async def test_req_209_unregistering_refuses_what_waits(house: House) -> None:
    await running(house)
    gate = _held_send(house, Forbidden("never"))
    for number in range(5):
        _say(house, f"m{number}", f"a{number}")
    await house.clock.settle()
    unregistering = asyncio.ensure_future(house.bridge.logins.unregister(_account(house)))
    await house.clock.settle()
    gate.set()
    await unregistering
    await house.clock.settle()
    assert len(_errors(house)) == 5


@pytest.mark.parametrize(
    "fault",
    [
        {"error": "transient", "text": "slow"},
        {"error": "rate", "text": "slow", "retry_after_s": 300},
        {"error": "rate", "text": "slow", "retry_after_s": 86_400},
    ],
    ids=["back-off", "asked to wait", "asked to wait too long"],
)
async def test_req_209_unregistering_refuses_what_is_tried_again_later(
    house: House, fault: dict[str, Any]
) -> None:
    await running(house)
    house.network.faults = [fault] * 50
    for number in range(5):
        _say(house, f"m{number}", f"a{number}")
    await house.clock.advance(40)
    assert _errors(house) == []
    await house.bridge.logins.unregister(_account(house))
    await house.clock.settle()
    assert len(_errors(house)) == 5


async def test_req_460_a_link_that_comes_back_shortens_no_back_off(house: House) -> None:
    await running(house)
    house.network.faults = [{"error": "rate", "text": "slow", "retry_after_s": 300}]
    _say(house, "one", "a1")
    await house.clock.advance(10)
    house.network.cut()
    await house.clock.advance(280)
    assert house.network.sent == []
    await house.clock.advance(20)
    assert [sent.body for sent in house.network.sent] == ["one"]


async def test_req_209_an_adapter_that_takes_no_notice_ends_no_row_twice(house: House) -> None:
    await running(house)
    account = _account(house)

    async def deaf(command: Command, key: str) -> Sent:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        return Sent()

    _replace(house, "send", deaf)
    house.server.send(
        f"<message from='{ALICE}' to='bob@{GATEWAY}' type='chat' id='a'><body>one</body></message>"
    )
    await house.clock.settle()
    unregistering = asyncio.ensure_future(house.bridge.logins.unregister(account))
    await house.clock.advance(11)
    await unregistering
    assert house.bridge._outbound._open[account.id] == 0
    assert not [log for log in house.logs if log["event"] == "row_not_settled"]


async def test_req_460_the_answer_goes_to_where_the_message_came_from_last(house: House) -> None:
    await running(house)
    gate = _held_send(house, Forbidden("Bob blocks you."))
    _say(house, "hi", "a1", device="old")
    await house.clock.settle()
    _say(house, "hi", "a1", device="new")
    await house.clock.settle()
    gate.set()
    await house.clock.settle()
    assert _errors(house) == [f"{ALICE}/new"]


async def test_req_911_the_origin_id_shows_a_repetition_too(house: House) -> None:
    await running(house)
    origin = "<origin-id xmlns='urn:xmpp:sid:0' id='o1'/>"
    _say(house, "hi", "a1", extra=origin)
    await house.clock.settle()
    _received(house)
    _say(house, "hi", "a2", extra=origin)
    await house.clock.settle()
    assert [sent.body for sent in house.network.sent] == ["hi"]
    receipts = [stanza.find("{urn:xmpp:receipts}received") for stanza in _received(house)]
    assert [receipt.get("id") for receipt in receipts if receipt is not None] == ["a2"]


async def test_req_301_a_restored_roster_is_looked_up_one_by_one(house: House) -> None:
    await running(house)
    running_now = peak = 0

    async def find(contact: RemoteUserId) -> Contact:
        nonlocal running_now, peak
        running_now += 1
        peak = max(peak, running_now)
        try:
            await house.clock.sleep(0.1)
            if contact == "c7" and house.clock.now() % 60 < 30:
                raise RateLimited("Slowly.", retry_after_s=5)
            return Contact(name="x")
        finally:
            running_now -= 1

    _replace(house, "find", find)
    for number in range(100):
        house.server.send(f"<presence type='subscribe' from='{ALICE}' to='c{number}@{GATEWAY}'/>")
    await house.clock.settle()
    await house.clock.advance(300)
    answers = [stanza for stanza in _received(house) if stanza.get("type") == "subscribed"]
    assert len(answers) == 100
    assert peak == 1


async def test_what_was_delivered_is_settled_once_the_disk_has_room(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    await running(house)

    def full(*_: object) -> None:
        raise StoreUnavailable("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(journal, "set_inbound_state", full)
        house.network.says("alice", "bob", "one")
        await house.clock.advance(5)
    await house.clock.advance(10)
    assert house.query("SELECT count(*) FROM inbound WHERE state < 2") == [(0,)]


async def test_req_224_a_clock_that_is_set_back_delays_no_error(house: House) -> None:
    await running(house)
    house.network.mute = True
    _say(house, "hi", "a1")
    await house.clock.settle()
    house.clock.set_by(-86_400)
    await house.clock.advance(900)
    assert _errors(house) == [f"{ALICE}/phone"]


async def test_req_905_a_clock_that_is_set_forward_gives_nothing_up(house: House) -> None:
    await running(house, "carol@far.example", "carol")
    await house.server.stop()
    house.network.says("carol", "bob", "hello")
    await house.clock.settle()
    house.clock.set_by(3 * 86_400)
    await house.server.start()
    await house.clock.advance(200)
    assert "delivery_given_up" not in events(house)
    assert house.query("SELECT count(*) FROM inbound WHERE state = 3") == [(0,)]


async def test_a_key_with_endless_digits_is_no_key_of_ours(house: House) -> None:
    await running(house)
    key = f"{house.store.instance}.{'9' * 30}"
    house.network.event("alice", "message", contact="bob", id="x1", body="mine", own=True, key=key)
    await house.clock.settle()
    assert "dead_letter" not in events(house)
    bodies = [stanza.findtext("{jabber:component:accept}body") for stanza in _received(house)]
    assert "You: mine" in bodies


async def test_req_459_a_part_that_comes_back_late_belongs_to_its_text(tmp_path: Path) -> None:
    """The network has said that it does not take it, and does all the same."""
    async with House(tmp_path, Options(adapter="brief")) as house:
        await running(house)
        house.network.faults = [{}, {"error": "forbidden", "text": "Not here."}]
        _say(house, "x" * 500 + "y" * 200, "a1")
        await house.clock.settle()
        assert _errors(house) == [f"{ALICE}/phone"]
        (first,) = house.network.sent
        key = f"{first.key.removesuffix('.0')}.1"
        late = {"contact": "bob", "body": "y" * 200, "own": True, "key": key}
        house.network.event("alice", "message", id="late", **late)
        house.network.event("alice", "message", id="forwarded", **late)
        await house.clock.settle()
        bodies = [each.findtext("{jabber:component:accept}body") for each in _received(house)]
        assert [body for body in bodies if body] == ["You: " + "y" * 200], "the copy alone"
        retract = "<retract xmlns='urn:xmpp:message-retract:1' id='a1'/>"
        _say(house, "gone", "a2", extra=retract)
        await house.clock.settle()
        retracted = [each["message"] for each in house.network.commands]
        assert retracted == ["late", first.id]


async def test_req_461_after_a_hundred_bounces_a_row_is_given_up(house: House) -> None:
    await running(house)
    house.network.says("alice", "bob", "hello")
    await house.clock.advance(5)
    (row,) = (stanza for stanza in _received(house) if "message" in stanza.tag)
    bounce = (
        f"<message type='error' from='{ALICE}' to='bob@{GATEWAY}' id='{row.get('id')}'><error"
        " type='wait'><resource-constraint xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>"
        "</message>"
    )
    await house.store.write(lambda db: db.execute("UPDATE inbound SET bounces = 99"))
    house.server.send(bounce)
    await house.clock.advance(1_800)
    assert [stanza.get("id") for stanza in _received(house)] == [row.get("id")]
    house.server.send(bounce)
    await house.clock.advance(3_600)
    assert _received(house) == []
    assert "delivery_given_up" in events(house)


async def test_an_error_of_the_bare_domain_repeats_no_ordinary_row(house: House) -> None:
    await running(house)
    house.network.says("alice", "bob", "hello")
    await house.clock.advance(5)
    (row,) = (stanza for stanza in _received(house) if "message" in stanza.tag)
    house.server.send(
        f"<message type='error' from='home.example' to='{GATEWAY}' id='{row.get('id')}'><error"
        " type='auth'><forbidden xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>"
    )
    await house.clock.advance(5)
    assert _received(house) == []


async def test_req_301_who_removes_a_contact_during_its_look_up_is_not_subscribed(
    house: House,
) -> None:
    await running(house)
    gate = asyncio.Event()

    async def find(contact: RemoteUserId) -> Contact:
        await gate.wait()
        return Contact(name="Eve")

    _replace(house, "find", find)
    for kind in ("subscribe", "unsubscribe"):
        house.server.send(f"<presence type='{kind}' from='{ALICE}' to='eve@{GATEWAY}'/>")
        await house.clock.settle()
    _received(house)
    gate.set()
    await house.clock.settle()
    assert [stanza.get("type") for stanza in _received(house)] == []


async def test_req_913_a_task_that_is_cancelled_late_leaves_no_text_behind(house: House) -> None:
    """An adapter that keeps the task which called it, and cancels it after its answer."""
    await running(house)
    late = [True, False, False]

    async def send(command: Command, key: str) -> Sent:
        task = asyncio.current_task()
        assert task is not None
        sent: Sent = await before(command, key)
        if late.pop(0):
            asyncio.get_running_loop().call_soon(task.cancel)
        return sent

    before = _replace(house, "send", send)
    for number in range(3):
        _say(house, f"text {number}", f"a{number}")
    await house.clock.advance(60)
    assert [text.body for text in house.network.sent] == ["text 0", "text 1", "text 2"]
    assert house.query("SELECT state FROM outbound") == [(2,), (2,), (2,)]


# --- texts that were on their way when we died (REQ-460, REQ-912) --------------------------------


async def _killed_while_sending(house: House, how: str) -> None:
    await running(house)
    house.network.faults.append({"silent": how})
    _say(house, "One", "a1")
    _say(house, "Two", "a2")
    await house.clock.settle()
    await house.kill()


async def _back(house: House) -> list[Element]:
    house.server.up.clear()
    await house.start()
    await house.connected()
    await house.clock.advance(5)
    return _received(house)


async def test_req_912_what_has_come_back_is_not_sent_again(house: House) -> None:
    """A key is good for one login and one room alone, and both may be others after a restart."""
    await _killed_while_sending(house, "after")
    house.network.idempotent = False
    found = await _back(house)
    assert [text.body for text in house.network.sent] == ["One", "Two"]
    confirmed = [stanza.find("{urn:xmpp:receipts}received") for stanza in found]
    assert [one.get("id") for one in confirmed if one is not None] == ["a1", "a2"]


@pytest.mark.parametrize("then", ["away", "logout"])
async def test_req_460_of_what_was_on_its_way_nobody_says_that_it_failed(
    house: House, then: str
) -> None:
    """The next one was not begun, and has failed."""
    await _killed_while_sending(house, "before")
    house.network.mute = True
    if then == "away":
        await house.clock.advance(660)
    found = await _back(house)
    if then == "logout":
        house.network.mute = False
        await house.bridge.logins.log_out(_account(house))
        await house.clock.settle()
        found += _received(house)
    errors = {stanza.get("id"): "".join(stanza.itertext()) for stanza in found}
    assert "may or may not have arrived" in errors["a1"]
    assert "may or may not have arrived" not in errors["a2"]
    assert house.network.sent == []
