# SPDX-License-Identifier: Apache-2.0
"""Adapters that hang or raise while somebody waits for an answer."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import pytest

from gateway.adapter import Linked, LoginField, LoginStep, Session
from gateway.ids import RemoteUserId, UserJid
from gateway.xmpp.connection import Connection
from tests.scenario.house import GATEWAY, House
from tests.scenario.test_stream import ALICE, bodies, events, running, stanza

_PLEASE_DELETE = "Your client keeps what you typed: please delete the message with the password."
_STANZAS = "{urn:ietf:params:xml:ns:xmpp-stanzas}"


def session(house: House) -> Session:
    account = house.bridge.accounts.of(UserJid(ALICE))
    assert account is not None
    assert account.link is not None
    assert account.link.session is not None
    return account.link.session


async def tell(house: House, *said: str) -> list[str]:
    """Alice talks to the gateway; what it says."""
    for text in said:
        house.server.send(
            f"<message from='{ALICE}/phone' to='{GATEWAY}' type='chat'>"
            f"<body>{text}</body></message>"
        )
        await house.clock.settle()
    return await bodies(house)


# --- IQs (REQ-129) ------------------------------------------------------------------------------


async def raise_runtime_error(*_: object) -> None:
    raise RuntimeError("boom")


async def raise_cancelled(*_: object) -> None:
    raise asyncio.CancelledError


async def never(*_: object) -> None:
    await asyncio.Event().wait()


@pytest.mark.parametrize(
    ("find", "condition"),
    [
        (raise_runtime_error, "internal-server-error"),
        (raise_cancelled, "internal-server-error"),
        (never, "remote-server-timeout"),
    ],
)
async def test_req_129_a_lookup_that_fails_is_one_answer(
    house: House,
    monkeypatch: pytest.MonkeyPatch,
    find: Callable[..., Awaitable[None]],
    condition: str,
) -> None:
    await running(house)
    monkeypatch.setattr(house.bridge.contacts.look_ups, "find", find)
    house.server.send(
        f"<iq type='get' id='q1' from='{ALICE}/phone' to='eve@{GATEWAY}'>"
        "<query xmlns='http://jabber.org/protocol/disco#info'/></iq>"
    )
    await house.clock.advance(30)
    reply = await stanza(house)
    assert (reply.get("type"), reply.get("id")) == ("error", "q1")
    assert reply.find(f".//{_STANZAS}{condition}") is not None
    await house.clock.advance(600)
    assert house.server.received.empty()


async def test_req_129_a_long_prompt_is_answered(house: House) -> None:
    await running(house)
    house.server.send(
        f"<iq type='set' id='q1' from='{ALICE}/phone' to='{GATEWAY}'>"
        f"<query xmlns='jabber:iq:gateway'><prompt>{' ' * 300_000}</prompt></query></iq>"
    )
    assert (await stanza(house)).get("id") == "q1"


# --- logins that hang (REQ-202) -----------------------------------------------------------------


class _Hangs:
    """A login that the network answers when the test wants it."""

    def __init__(self, first: LoginStep) -> None:
        self._first = first
        self.go = asyncio.Event()

    def first(self) -> LoginStep:
        return self._first

    async def submit(self, _: Mapping[str, str]) -> Linked:
        await self.go.wait()
        return Linked(realm="scripted", remote_id=RemoteUserId("alice"), secret=b"token-late")


def hangs(house: House, monkeypatch: pytest.MonkeyPatch) -> _Hangs:
    """From now on logins hang."""
    house.network.tokens["token-late"] = "alice"
    flow = _Hangs(house.bridge.adapter.login().first())
    monkeypatch.setattr(house.bridge.adapter, "login", lambda _=None: flow)
    return flow


async def hanging(house: House, monkeypatch: pytest.MonkeyPatch) -> _Hangs:
    await house.start()
    await house.connected()
    flow = hangs(house, monkeypatch)
    said = await tell(house, "login", "alice", "user-secret")
    assert said[-1] == "One moment …"
    return flow


async def revoked(house: House) -> None:
    await house.clock.settle()
    assert house.network.commands[-1]["op"] == "logout"
    assert "token-late" not in house.network.tokens
    assert house.bridge.accounts.of(UserJid(ALICE)) is None


async def test_req_202_a_login_that_hangs_gives_the_console_back(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    flow = await hanging(house, monkeypatch)
    assert await tell(house, "status") == ["One moment, I am still busy with your last command."]
    await house.clock.advance(60)
    assert await bodies(house) == [
        "The network does not answer. Send “login” to try again.",
        _PLEASE_DELETE,
    ]
    assert await tell(house, "status") == ["You have no account here. Send “login” to link one."]
    flow.go.set()
    await revoked(house)


async def test_req_202_cancel_does_not_wait_for_the_network(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    flow = await hanging(house, monkeypatch)
    assert await tell(house, "cancel") == [_PLEASE_DELETE, "Cancelled."]
    assert await tell(house, "cancel") == ["There is nothing to cancel."]
    flow.go.set()
    await revoked(house)


@pytest.mark.parametrize("command", ["login", "encryption"])
async def test_req_202_who_leaves_after_a_secret_is_told_to_delete_it(
    house: House, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    """Also between two questions that are asked together."""
    house.options.adapter = "sealed"
    key = LoginField(name="key", label="Key", secret=True)
    asked = (LoginField(name="who", label="Who"), key, LoginField(name="what", label="What"))
    flow = _Hangs(LoginStep(instructions="Three questions.", fields=asked))
    if command == "encryption":
        await running(house)
        monkeypatch.setattr(session(house), "encryption", lambda: flow)
    else:
        await house.start()
        await house.connected()
        monkeypatch.setattr(house.bridge.adapter, "login", lambda _=None: flow)
    said = await tell(house, command, "me", "cancel")
    assert said == ["Three questions.", "Who?", "Key?", "Cancelled."]
    said = await tell(house, command, "me", "my key", "cancel")
    assert said[:4] == ["Three questions.", "Who?", "Key?", "What?"]
    assert said[4].startswith("Your client keeps what you typed: please delete")
    assert said[5:] == ["Cancelled."]


@pytest.mark.parametrize(
    ("method", "said"), [("log_out", ["logout"]), ("unregister", ["unregister", "yes"])]
)
async def test_a_logout_that_hangs_gives_the_console_back(
    house: House, monkeypatch: pytest.MonkeyPatch, method: str, said: list[str]
) -> None:
    await running(house)
    monkeypatch.setattr(house.bridge.logins, method, never)
    await tell(house, *said)
    assert await tell(house, "cancel") == ["One moment, I am still busy with your last command."]
    await house.clock.advance(60)
    (told,) = await bodies(house)
    assert told.startswith("The network does not answer.")
    assert len(await tell(house, "status")) == 1


async def test_a_command_that_a_library_cancels(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    await running(house)
    monkeypatch.setattr(house.bridge.traffic, "counts", _cancelled)
    (said,) = await tell(house, "status")
    assert said.startswith("Something went wrong")
    assert "task_failed" in events(house)


def _cancelled(_: object) -> None:
    raise asyncio.CancelledError


# --- the stream goes on -------------------------------------------------------------------------


@pytest.mark.parametrize("error", [asyncio.CancelledError, RuntimeError])
async def test_req_107_whatever_a_library_raises(
    house: House, monkeypatch: pytest.MonkeyPatch, error: type[BaseException]
) -> None:
    await running(house)
    shake_hands, errors = Connection._shake_hands, [error]

    async def broken(connection: Connection) -> None:
        if errors:
            raise errors.pop()
        await shake_hands(connection)

    monkeypatch.setattr(Connection, "_shake_hands", broken)
    house.server.cut()
    await house.clock.advance(5)
    assert "stream_failed" in events(house)
    await house.connected()


# --- typing (REQ-418) ---------------------------------------------------------------------------


def types(house: House, state: str) -> None:
    house.server.send(
        f"<message from='{ALICE}/phone' to='bob@{GATEWAY}' type='chat'>"
        f"<{state} xmlns='http://jabber.org/protocol/chatstates'/></message>"
    )


async def test_req_418_typing_is_paced(house: House) -> None:
    await running(house)
    for _ in range(500):
        types(house, "composing")
        types(house, "paused")
    await house.clock.advance(10)
    # Nothing at all if what came in one read ended with "paused": the last state counts.
    told = [command["active"] for command in house.network.commands]
    assert told in ([], [True, False], [False])


async def test_req_418_the_last_state_stands(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    await running(house)
    seen: list[bool] = []
    delays = {0: 0.0, 1: 3.0}

    async def set_typing(_: Any, active: bool) -> None:
        await house.clock.sleep(delays.pop(len(seen), 0.0))
        seen.append(active)

    monkeypatch.setattr(session(house), "set_typing", set_typing)
    for state in ("composing", "paused", "composing"):
        types(house, state)
        await house.clock.advance(1.5)
    await house.clock.advance(5)
    assert seen == [True, False, True]


async def test_req_418_a_request_that_hangs_is_given_up(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    await running(house)
    monkeypatch.setattr(session(house), "set_typing", never)
    types(house, "composing")
    await house.clock.advance(300)
    assert not house.bridge._typing._chats


async def test_req_202_a_password_that_comes_too_late_is_not_used(house: House) -> None:
    await house.start()
    await house.connected()
    await tell(house, "login", "alice")
    await house.clock.advance(901)
    assert await bodies(house) == ["You waited too long. Send “login” to begin again."]
    (said,) = await tell(house, "user-secret")
    assert "delete the message" in said
    (said,) = await tell(house, "user-secret")
    assert "I do not know this command" in said
