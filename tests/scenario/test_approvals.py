# SPDX-License-Identifier: Apache-2.0
"""What strangers who ask to be admitted may cost the admins, and how they ask (REQ-211)."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from xml.etree.ElementTree import Element

import pytest
import pytest_asyncio

from gateway.bridge.links.link import LinkState
from gateway.ids import UserJid
from gateway.store import approvals as store
from gateway.xmpp import approvals
from tests.scenario.house import GATEWAY, HOME, PASSWORD, House, Options
from tests.scenario.test_requests import hangs
from tests.scenario.test_stream import ALICE, running

ADMINS = (f"ann@{HOME}", f"ben@{HOME}")


@pytest_asyncio.fixture
async def public(tmp_path: Path) -> AsyncIterator[House]:
    """A gateway that admins decide about."""
    options = Options(allow=(HOME,), ask=("*",), admins=ADMINS)
    async with House(tmp_path, options) as house:
        await running(house)
        yield house


def say(house: House, user: str, text: str) -> None:
    """Somebody writes to the gateway."""
    house.server.send(
        f"<message from='{user}/x' to='{GATEWAY}' type='chat'><body>{text}</body></message>"
    )


async def heard(house: House) -> list[tuple[str, str]]:
    """Who was told what."""
    await house.clock.settle()
    found = []
    while not house.server.received.empty():
        stanza: Element = house.server.received.get_nowait()
        body = stanza.findtext("{jabber:component:accept}body")
        if body is not None:
            found.append((stanza.get("to", ""), body))
    return found


def asked(said: list[tuple[str, str]]) -> list[str]:
    """Of whom the admins were told."""
    return [text.partition(" ")[0] for to, text in said if to in ADMINS]


async def test_req_211_each_admin_is_told_once(public: House) -> None:
    for _ in range(3):
        say(public, "eve@far.example", "login")
        await public.clock.advance(60)
    assert asked(await heard(public)) == ["eve@far.example"] * len(ADMINS)


async def test_req_211_strangers_cannot_flood_the_admins(public: House) -> None:
    for domain in range(20):
        for user in range(10):
            say(public, f"u{user}@d{domain}.example", "login")
            await public.clock.advance(30)
    said = await heard(public)
    told = asked(said)
    assert len(told) == approvals._OPEN * len(ADMINS)
    by_domain = {user.rpartition("@")[2] for user in told}
    assert len(by_domain) == approvals._OPEN / approvals._OPEN_OF_DOMAIN
    refused = [to for to, text in said if text == approvals.TOO_MANY]
    assert len(refused) == 200 - approvals._OPEN


@pytest.mark.parametrize("user", ["d{n}.example", "a,b@d{n}.example", "\N{ROCKET}@d{n}.example"])
async def test_req_211_nobody_waits_whom_an_admin_cannot_name(public: House, user: str) -> None:
    """Servers write in their own name too. Fifty of them kept everybody else out for ever."""
    for n in range(approvals._OPEN):
        say(public, user.format(n=n), "login")
    assert not asked(await heard(public))
    say(public, "eve@far.example", "login")
    assert asked(await heard(public)) == ["eve@far.example"] * len(ADMINS)
    say(public, ADMINS[0], "dismiss")
    await heard(public)
    say(public, ADMINS[0], "eve@far.example")
    await heard(public)
    assert public.component.approvals.waiting() == []


async def test_req_211_whom_the_configuration_admits_no_admin_can_dismiss(public: House) -> None:
    """They were told that they are not admitted, the admin too, and went on as before."""
    say(public, ADMINS[0], "dismiss")
    await heard(public)
    say(public, ADMINS[0], ALICE)
    said = await heard(public)
    assert [to for to, _ in said] == [ADMINS[0]]
    assert said[0][1].startswith(f"Nobody has to admit {ALICE}")
    assert public.component.access.permits(UserJid(ALICE))


async def test_req_211_registration_and_commands_ask_too(public: House) -> None:
    ways = {
        "form@far.example": "<query xmlns='jabber:iq:register'/>",
        "command@far.example": (
            "<command xmlns='http://jabber.org/protocol/commands' node='login'/>"
        ),
    }
    for user, payload in ways.items():
        kind = "get" if "register" in payload else "set"
        public.server.send(
            f"<iq type='{kind}' from='{user}/x' to='{GATEWAY}' id='q'>{payload}</iq>"
        )
    said = await heard(public)
    assert sorted(set(asked(said))) == sorted(ways)


async def test_req_211_a_list_of_commands_asks_nobody(public: House) -> None:
    public.server.send(
        f"<iq type='get' from='eve@far.example/x' to='{GATEWAY}' id='q'>"
        "<query xmlns='http://jabber.org/protocol/disco#items'"
        " node='http://jabber.org/protocol/commands'/></iq>"
    )
    assert not asked(await heard(public))


async def test_req_211_an_admission_that_is_not_stored_is_none(
    public: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    say(public, ADMINS[0], "admit")
    await heard(public)

    def full(*_: object, **__: object) -> None:
        error = sqlite3.OperationalError("database or disk is full")
        error.sqlite_errorcode = sqlite3.SQLITE_FULL
        raise error

    monkeypatch.setattr(store, "put", full)
    say(public, ADMINS[0], "eve@far.example")
    (line,) = await heard(public)
    assert "cannot store" in line[1]
    assert not public.component.access.permits(UserJid("eve@far.example"))


async def test_req_705_who_is_admitted_no_longer_is_disconnected_until_they_are(
    public: House,
) -> None:
    eve = "eve@far.example"
    await public.component.approvals.decide(UserJid(eve), admitted=True)
    await public.link(eve, "carol")
    await public.component.approvals.decide(UserJid(eve), admitted=False)
    await public.clock.advance(5)
    await heard(public)
    public.network.says("carol", "bob", "Are you there?")
    await public.clock.advance(700)
    assert not await heard(public)
    await public.component.approvals.decide(UserJid(eve), admitted=True)
    await public.clock.advance(30)
    assert (eve, "Are you there?") in await heard(public)


async def test_req_705_who_is_admitted_no_longer_gets_no_account_by_a_login_under_way(
    public: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A homeserver answers when it wants to; it may be the user's own."""
    eve = UserJid("eve@far.example")
    await public.component.approvals.decide(eve, admitted=True)
    flow = hangs(public, monkeypatch)
    for line in ("login", "alice", PASSWORD):
        say(public, eve, line)
        await heard(public)
    await public.component.approvals.decide(eve, admitted=False)
    flow.go.set()
    assert (eve, "The admin of this gateway does not admit you.") in await heard(public)
    assert public.bridge.accounts.of(eve) is None
    assert "token-late" not in public.network.tokens, "the login was revoked"


async def test_req_705_a_mistyped_dismissal_is_taken_back_at_once(
    public: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    eve = UserJid("eve@far.example")
    await public.component.approvals.decide(eve, admitted=True)
    await public.link(eve, "carol")
    account = public.bridge.accounts.of(eve)
    assert account is not None
    assert account.link is not None
    stop = account.link.stop

    async def slow() -> None:
        await public.clock.sleep(5)
        await stop()

    monkeypatch.setattr(account.link, "stop", slow)
    await public.component.approvals.decide(eve, admitted=False)
    await public.clock.advance(1)
    await public.component.approvals.decide(eve, admitted=True)
    await public.clock.advance(30)
    assert account.link.phase is LinkState.LIVE


async def test_req_211_who_has_logged_out_stays_so_when_admitted(public: House) -> None:
    eve = UserJid("eve@far.example")
    await public.component.approvals.decide(eve, admitted=True)
    await public.link(eve, "carol")
    say(public, eve, "logout")
    await heard(public)
    await public.component.approvals.decide(eve, admitted=True)
    await heard(public)
    say(public, eve, "status")
    ((_, said),) = await heard(public)
    assert "carol: logged out" in said


async def test_req_211_nobody_is_asked_where_none_may(tmp_path: Path) -> None:
    async with House(tmp_path, Options(allow=(HOME,), admins=ADMINS)) as house:
        await running(house)
        say(house, "eve@far.example", "login")
        said = await heard(house)
        assert not asked(said)
        assert said == [
            ("eve@far.example", "The admin of this gateway does not admit your address.")
        ]
