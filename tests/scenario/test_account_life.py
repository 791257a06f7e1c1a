# SPDX-License-Identifier: Apache-2.0
"""Logins, log-outs and removals of one user that meet: one after the other, whatever is slow."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest

from gateway.adapter import Linked
from gateway.bridge.accounts import Account
from gateway.bridge.links.link import LinkState
from gateway.errors import AccountGone, Forbidden, StoreUnavailable
from gateway.ids import RemoteUserId, UserJid
from gateway.store import accounts
from gateway.store.accounts import AccountStatus
from tests.scenario.house import GATEWAY, PASSWORD, House
from tests.scenario.patterns import shown
from tests.scenario.test_commands import _NS, Client, form
from tests.scenario.test_presence import CAROL
from tests.scenario.test_requests import tell
from tests.scenario.test_stream import ALICE, running
from tests.scripted.adapter import ScriptedSession


def account(house: House, user: str = ALICE) -> Account:
    found = house.bridge.accounts.of(UserJid(user))
    assert found is not None
    return found


def received(house: House) -> list[str]:
    """What the server got and nobody looked at yet."""
    found = []
    while not house.server.received.empty():
        found.append(shown(house.server.received.get_nowait()))
    return found


def linked(house: House, token: str, name: str = "alice") -> Linked:
    """A login that the network has granted."""
    house.network.tokens[token] = name
    return Linked(realm="scripted", remote_id=RemoteUserId(name), secret=token.encode())


def full(*_: object) -> None:
    raise StoreUnavailable("the disk is full")


def refusing(*_: object, **__: object) -> asyncio.Future[Any]:
    """What `Store.write` gives while the disk is full."""
    refused: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    refused.set_exception(StoreUnavailable("the disk is full"))
    refused.exception()
    return refused


def register(house: House, inner: str, user: str = ALICE) -> None:
    house.server.send(
        f"<iq type='set' id='r' from='{user}/phone' to='{GATEWAY}'>"
        f"<query xmlns='jabber:iq:register'>{inner}</query></iq>"
    )


def sessions() -> int:
    return sum("session of net" in task.get_name() for task in asyncio.all_tasks())


def held_log_outs(house: House, monkeypatch: pytest.MonkeyPatch, first: int = 1) -> asyncio.Event:
    """From the given one on, log-outs wait for the event."""
    links = house.bridge._links
    real, gate, count = links._log_out, asyncio.Event(), 0

    async def log_out(link: Any) -> None:
        nonlocal count
        count += 1
        if count >= first:
            await gate.wait()
        await real(link)

    monkeypatch.setattr(links, "_log_out", log_out)
    return gate


# --- one after the other (REQ-225) ---------------------------------------------------------------


async def test_req_225_two_logins_at_once_are_one_session(house: House) -> None:
    await house.start()
    await house.connected()
    clients = Client(house), Client(house, f"{ALICE}/desk")
    begun = [(client, await client.begin("login")) for client in clients]
    filled = form(username="alice", password=PASSWORD)
    house.server.send(
        "".join(
            f"<iq type='set' id='c' from='{client.jid}' to='{GATEWAY}'><command {_NS} node='login'"
            f" sessionid='{session}' action='next'>{filled}</command></iq>"
            for client, session in begun
        )
    )
    await house.clock.settle()
    await house.network.until(lambda: len(house.network.tokens) == 1)
    assert sessions() == 1
    await tell(house, "logout")
    assert sessions() == 0
    assert house.network.tokens == {}


async def test_req_225_a_login_waits_for_the_removal_before_it(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    await running(house)
    before = account(house)
    gate = held_log_outs(house, monkeypatch)
    removal = asyncio.ensure_future(house.bridge.logins.unregister(before))
    await house.clock.settle()
    login = asyncio.ensure_future(house.bridge.logins.link(UserJid(ALICE), linked(house, "new")))
    await house.clock.settle()
    assert not login.done()
    gate.set()
    await removal
    assert await login is account(house)
    await house.clock.settle()
    assert account(house) is not before
    assert house.query("SELECT status FROM account") == [("linked",)]
    link = account(house).link
    assert link is not None
    assert link.phase is LinkState.LIVE
    assert list(house.network.tokens) == ["new"]


async def test_req_206_a_new_password_waits_for_the_log_out_before_it(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    await running(house)
    gate = held_log_outs(house, monkeypatch)
    log_out = asyncio.ensure_future(house.bridge.logins.log_out(account(house)))
    await house.clock.settle()
    register(house, f"<username>alice</username><password>{PASSWORD}</password>")
    await house.clock.settle()
    gate.set()
    await log_out
    await house.clock.settle()
    assert account(house).status is AccountStatus.LINKED
    assert account(house).secret is not None
    assert house.query("SELECT status, secret IS NULL FROM account") == [("linked", 0)]
    assert sessions() == 1


async def test_req_225_a_slow_log_out_does_not_end_the_next_login(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    await running(house)
    gate = held_log_outs(house, monkeypatch, first=2)
    logins = house.bridge.logins
    both = [asyncio.ensure_future(logins.log_out(account(house))) for _ in range(2)]
    await both[0]
    login = asyncio.ensure_future(logins.link(UserJid(ALICE), linked(house, "new")))
    await house.clock.settle()
    gate.set()
    await asyncio.gather(both[1], login)
    await house.clock.settle()
    assert account(house).status is AccountStatus.LINKED
    assert list(house.network.tokens) == ["new"]
    assert sessions() == 1


async def test_req_225_a_log_out_that_is_left_behind_does_not_end_the_next_login(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It takes no notice of its end, and asks for the secret when it goes on."""
    await running(house)
    real, gate = ScriptedSession.log_out, asyncio.Event()

    async def log_out(session: ScriptedSession) -> None:
        while not gate.is_set():
            with suppress(asyncio.CancelledError):
                await gate.wait()
        await real(session)

    monkeypatch.setattr(ScriptedSession, "log_out", log_out)
    leaving = asyncio.ensure_future(house.bridge.logins.log_out(account(house)))
    await house.clock.advance(31)
    assert "did not answer in time" in await leaving
    await house.bridge.logins.link(UserJid(ALICE), linked(house, "new"))
    await house.clock.settle()
    gate.set()
    await house.clock.advance(3)
    assert "new" in house.network.tokens
    assert account(house).status is AccountStatus.LINKED


async def test_req_209_what_was_asked_of_an_account_does_not_end_the_next_one(
    house: House,
) -> None:
    await running(house)
    client = Client(house)
    session = await client.begin("unregister")
    before = account(house)
    await house.bridge.logins.unregister(before)
    await house.clock.settle()
    await house.link(ALICE, "alice")
    received(house)
    reply = await client.give("unregister", session, "complete", form(sure="1"))
    assert "not linked here any more" in shown(reply)
    assert account(house) is not before
    assert len(house.query("SELECT id FROM account")) == sessions() == 1
    with pytest.raises(AccountGone):
        await house.bridge.logins.log_out(before)


async def test_req_209_a_removal_while_the_login_is_stored_removes_it(house: House) -> None:
    await house.start()
    await house.connected()
    registrations = house.bridge.registrations
    async with house.bridge.logins.turn(UserJid(ALICE)):
        register(house, f"<username>alice</username><password>{PASSWORD}</password>")
        await house.clock.settle()
        register(house, "<remove/>")
        await house.clock.settle()
        assert registrations.of(UserJid(ALICE)) is not None
    await house.clock.settle()
    assert house.bridge.accounts.of(UserJid(ALICE)) is None
    assert house.query("SELECT user FROM registration") == []
    assert house.network.tokens == {}
    assert sessions() == 0


@pytest.mark.parametrize("then", ["login", "logout"])
async def test_req_222_an_end_that_is_stored_late_does_not_end_the_next_login(
    house: House, monkeypatch: pytest.MonkeyPatch, then: str
) -> None:
    """The disk is full when the network ends the login; what comes of that is stored later."""
    await running(house)
    with monkeypatch.context() as patch:
        patch.setattr(house.store._writer, "_queue", refusing)
        house.network.revoke("alice")
        await house.clock.advance(2)
    assert account(house).status is AccountStatus.EXPIRED
    if then == "login":
        await house.bridge.logins.link(UserJid(ALICE), linked(house, "new"))
    else:
        await house.bridge.logins.log_out(account(house))
    await house.clock.settle()
    received(house)
    await house.clock.advance(30)
    stored = "linked" if then == "login" else "logged-out"
    assert house.query("SELECT status FROM account") == [(stored,)]
    assert not [stanza for stanza in received(house) if "log in again" in stanza]


# --- sessions that are not ours to end (REQ-225) -------------------------------------------------


@pytest.mark.parametrize("ours", [False, True])
async def test_req_225_a_refused_login_ends_no_session_of_somebody_else(
    house: House, ours: bool
) -> None:
    """Carol has got hold of Alice's token."""
    await running(house)
    token = replace(linked(house, "token-alice"), ours=ours)
    with pytest.raises(Forbidden):
        await house.bridge.logins.link(UserJid(CAROL), token)
    await house.clock.settle()
    assert "token-alice" in house.network.tokens
    assert sessions() == 1


async def test_req_225_a_session_the_user_brought_is_not_ended_before_it_is_taken_over(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    await running(house)
    logins = house.bridge.logins
    brought = replace(linked(house, "brought"), ours=False)
    with pytest.raises(Forbidden):
        await logins.link(UserJid(CAROL), brought)
    with monkeypatch.context() as patch:
        patch.setattr(accounts, "owner_of", full)
        with pytest.raises(StoreUnavailable):
            await logins.link(UserJid(ALICE), brought)
    assert set(house.network.tokens) == {"token-alice", "brought"}
    await logins.link(UserJid(ALICE), brought)  # now it is known here, and that of before is not
    await house.clock.settle()
    assert set(house.network.tokens) == {"brought"}
    await logins.log_out(account(house))
    assert house.network.tokens == {}


async def test_req_225_a_refused_login_of_our_own_is_revoked(house: House) -> None:
    await running(house)
    with pytest.raises(Forbidden):
        await house.bridge.logins.link(UserJid(CAROL), linked(house, "made"))
    assert set(house.network.tokens) == {"token-alice"}


# --- a disk that is full (REQ-209) ---------------------------------------------------------------


@pytest.mark.parametrize(("fails", "status"), [("remove", "logged-out"), ("set_secret", "linked")])
async def test_req_209_a_removal_that_the_disk_does_not_take_is_refused(
    house: House, monkeypatch: pytest.MonkeyPatch, fails: str, status: str
) -> None:
    await running(house)
    with monkeypatch.context() as patch:
        patch.setattr(accounts, fails, full)
        register(house, "<remove/>")
        await house.clock.advance(1)
        (said,) = (said for said in received(house) if "id='r'" in said)
    assert "<resource-constraint " in said
    assert "cannot store anything" in said
    # What is remembered is what is stored.
    assert account(house).status.value == status
    stored = house.query("SELECT status, secret IS NULL FROM account")
    assert stored == [(status, account(house).secret is None)]
    register(house, "<remove/>")
    await house.clock.advance(1)
    assert any("id='r'" in said and "type='result'" in said for said in received(house))
    assert house.query("SELECT id FROM account") == []
    assert house.bridge.accounts.of(UserJid(ALICE)) is None


async def test_req_202_a_log_out_that_the_disk_does_not_take_can_be_repeated(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    await running(house)
    with monkeypatch.context() as patch:
        patch.setattr(accounts, "set_secret", full)
        (said,) = await tell(house, "logout")
    assert "cannot store anything" in said
    assert account(house).status is AccountStatus.LINKED
    assert "You are logged out." in "".join(await tell(house, "logout"))
    assert house.query("SELECT status, secret IS NULL FROM account") == [("logged-out", 1)]
