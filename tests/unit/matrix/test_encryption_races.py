# SPDX-License-Identifier: Apache-2.0
"""What comes while encryption waits for the homeserver, or after it was stopped."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, cast

import aiohttp
import pytest
import vodozemac

from adapters.matrix.e2e.encryption import Encryption
from adapters.matrix.e2e.keyserver import KeyServer
from adapters.matrix.e2e.machine import Machine
from adapters.matrix.e2e.megolm import ALGORITHM, Missing, RoomKeys
from adapters.matrix.e2e.own import ALGORITHMS, OwnDevice
from adapters.matrix.e2e.requests import Requests
from adapters.matrix.e2e.signed import sign
from adapters.matrix.filters import Mode
from adapters.matrix.http import Api
from adapters.matrix.ledger import Ledger
from adapters.matrix.opened import Opened, Unread
from adapters.matrix.rooms import Book, RoomId
from adapters.matrix.secrets import Secrets
from adapters.matrix.sync import translate
from gateway.adapter import Linked
from gateway.errors import Transient
from gateway.events import RemoteRoom, RemoteUndecryptable
from gateway.ids import RemoteMessageId, RemoteUserId
from tests.unit.matrix.memory import MemoryAccount

ALICE, BOB, ROOM = RemoteUserId("@alice:example.org"), "@bob:example.org", RoomId("!r:example.org")
CARL = "@carl:example.org"


class _Homeserver:
    """An `Api` whose answers are made here. ``during`` is called before an answer arrives."""

    def __init__(self) -> None:
        self.members = [ALICE, BOB]
        self.during: Callable[[str], None] = lambda _: None
        self.given: list[str] = []
        self.fallback_key = ""
        self.phones = {user_id: vodozemac.Account() for user_id in (BOB, CARL)}
        for phone in self.phones.values():
            phone.generate_one_time_keys(10)

    async def get(self, *path: str, **_: Any) -> dict[str, Any]:
        if path[-1] != "members":
            return {"algorithm": ALGORITHM}
        chunk = [{"state_key": who, "content": {"membership": "join"}} for who in self.members]
        self.during("members")
        return {"chunk": chunk}

    async def post(self, *path: str, body: Mapping[str, Any], **_: Any) -> dict[str, Any]:
        self.during(path[-1])
        if path[-1] == "upload":
            self.fallback_key = next(iter(body["fallback_keys"].values()))["key"]
            return {"one_time_key_counts": {}}
        if path[-1] == "query":
            return {"device_keys": {who: self._devices(who) for who in body["device_keys"]}}
        claimed = {}
        for who in body["one_time_keys"]:
            key_id, key = next(iter(self.phones[who].one_time_keys.items()))
            signed = sign(self.phones[who], {"key": key.to_base64()}, who, "ed25519:PHONE")
            claimed[who] = {"PHONE": {f"signed_curve25519:{key_id}": signed}}
        return {"one_time_keys": claimed}

    def _devices(self, who: str) -> dict[str, Any]:
        if who not in self.phones:
            return {}
        phone = self.phones[who]
        keys = {
            "algorithms": list(ALGORITHMS),
            "device_id": "PHONE",
            "user_id": who,
            "keys": {
                "curve25519:PHONE": phone.curve25519_key.to_base64(),
                "ed25519:PHONE": phone.ed25519_key.to_base64(),
            },
        }
        return {"PHONE": sign(phone, keys, who, "ed25519:PHONE")}

    async def put(self, *path: str, body: Mapping[str, Any], **_: Any) -> dict[str, Any]:
        self.given += body["messages"]
        self.during(path[1])
        return {}


@asynccontextmanager
async def _account() -> AsyncIterator[MemoryAccount]:
    async with aiohttp.ClientSession() as http:
        yield MemoryAccount(Linked(realm="r", remote_id=ALICE, secret=b""), http)


def _encryption(account: MemoryAccount, server: _Homeserver) -> tuple[Encryption, Machine, Ledger]:
    ledger = Ledger(account)
    encryption = Encryption(account, cast("Api", server), ledger, "DEVICE")
    return encryption, encryption._machine, ledger


def _left(machine: Machine, server: _Homeserver, who: str) -> Callable[[], None]:
    def happens() -> None:
        server.during = lambda _: None
        server.members.remove(who)
        machine._sharing.membership_changed(ROOM)

    return happens


@pytest.mark.parametrize("when", ["members", "query", "claim"])
async def test_who_leaves_while_the_key_is_prepared_does_not_keep_it(when: str) -> None:
    async with _account() as account:
        server = _Homeserver()
        server.members.append(CARL)
        encryption, machine, _ = _encryption(account, server)
        await machine._publishing.ensure()
        leaves = _left(machine, server, CARL)
        server.during = lambda what: leaves() if what == when else None
        said = await encryption.encrypt(ROOM, "m.room.message", {"body": "secret"})
        had = {who for who, _ in machine._sharing._rooms[ROOM].may_have}
        assert said["session_id"] == machine._sharing._rooms[ROOM].session.session_id
        assert had == {BOB}


async def test_who_leaves_after_a_delivery_that_was_not_confirmed_does_not_keep_the_key() -> None:
    async with _account() as account:
        server = _Homeserver()
        server.members.append(CARL)
        encryption, machine, _ = _encryption(account, server)

        def cut_off(what: str) -> None:
            if what == "m.room.encrypted":
                raise Transient("cut off")

        server.during = cut_off
        with pytest.raises(Transient):
            await encryption.encrypt(ROOM, "m.room.message", {"body": "one"})
        first = machine._sharing._rooms[ROOM].session.session_id
        assert CARL in server.given
        _left(machine, server, CARL)()
        said = await encryption.encrypt(ROOM, "m.room.message", {"body": "two"})
        assert said["session_id"] != first


async def test_a_device_list_that_changes_while_it_is_asked_is_asked_again() -> None:
    async with _account() as account:
        server = _Homeserver()
        _, machine, _ = _encryption(account, server)
        changed = {"device_lists": {"changed": [BOB]}}
        server.during = lambda _: machine._people.changed(changed["device_lists"]["changed"])
        await machine._asking.ask((BOB,))
        assert machine._people.outdated((BOB,)) == [BOB]
        server.during = lambda _: None
        await machine._asking.ask((BOB,))
        assert machine._people.outdated((BOB,)) == []
        assert not machine._people._asking


class _Now:
    """A clock that does not wait."""

    def monotonic(self) -> float:
        return 0.0

    now = monotonic

    async def sleep(self, _: float) -> None:
        await asyncio.sleep(0)


def _requests(account: MemoryAccount, send: Callable[[], None]) -> Requests:
    class Server:
        async def send(self, _: str, __: object) -> None:
            send()

    account.clock = cast("Any", _Now())
    secrets = Secrets(account)
    own = OwnDevice(secrets, ALICE, "DEVICE")
    return Requests(account, cast("KeyServer", Server()), own, secrets)


async def test_a_key_that_comes_while_others_are_asked_for_ends_nothing() -> None:
    async with _account() as account:
        first, second = Missing(ROOM, "first"), Missing(ROOM, "second")
        requests = _requests(account, lambda: requests.came(second))
        for missing in (first, second):
            requests.note(missing, {"sender": BOB})
        await requests.ask()
        assert requests.is_asked(first)
        assert not requests.is_asked(second)


async def test_a_question_that_was_not_delivered_is_asked_again() -> None:
    async with _account() as account:
        missing, asked = Missing(ROOM, "first"), list[int]()

        def send() -> None:
            asked.append(1)
            if len(asked) == 1:
                raise Transient("cut off")

        requests = _requests(account, send)
        requests.note(missing, {"sender": BOB})
        with pytest.raises(Transient):
            await requests.ask()
        await requests.ask()
        await requests.ask()
        assert len(asked) == 2


def _said(
    session: vodozemac.GroupSession, event_id: str, kind: str = "m.room.message"
) -> dict[str, Any]:
    payload = {
        "room_id": ROOM,
        "type": kind,
        "content": {"msgtype": "m.text", "body": event_id},
    }
    content = {
        "algorithm": ALGORITHM,
        "session_id": session.session_id,
        "ciphertext": session.encrypt(json.dumps(payload).encode()).to_base64(),
    }
    return {"type": "m.room.encrypted", "sender": BOB, "event_id": event_id, "content": content}


def _key(session: vodozemac.GroupSession) -> dict[str, Any]:
    return {
        "room_id": ROOM,
        "session_id": session.session_id,
        "session_key": session.session_key.to_base64(),
    }


async def _hold(account: MemoryAccount, event: Mapping[str, Any], missing: Missing) -> None:
    held = RemoteUndecryptable(
        contact=RemoteUserId(BOB),
        id=RemoteMessageId(event["event_id"]),
        sent_at=1.0,
        content=json.dumps(event),
        needs=str(missing),
    )
    await account.commit([held])


async def test_a_key_that_came_before_its_message_was_kept_opens_it() -> None:
    async with _account() as account:
        encryption, machine, _ = _encryption(account, _Homeserver())
        session = vodozemac.GroupSession()
        missing, key = Missing(ROOM, session.session_id), _key(session)
        event = _said(session, "$one")
        opened = await machine.open({ROOM: [event]})
        assert opened.unread == {(ROOM, "$one"): Unread(str(missing), "")}
        machine._keys.add_shared(key, BOB, "curve", "ed")  # beside the loop
        await _hold(account, event, missing)
        await encryption.settle(opened)
        assert [message.body for message in account.messages()] == ["$one"]
        await encryption.settle(Opened())


async def test_nobody_takes_back_what_others_have_said_where_homeservers_do_not_see_it() -> None:
    """They check only redactions in clear. Others say nothing, and are no unreadable messages."""
    async with _account() as account:
        _, machine, _ = _encryption(account, _Homeserver())
        session = vodozemac.GroupSession()
        machine._keys.add_shared(_key(session), BOB, "curve", "ed")
        event = _said(session, "$one", "m.room.redaction")
        opened = await machine.open({ROOM: [event]})
        assert opened.unread == {}
        answer = {"rooms": {"join": {ROOM: {"timeline": {"events": [event]}}}}}
        told = [
            each
            for part in translate(
                answer, Book({}), mode=Mode.NEXT, account=ALICE, instance="here", fills={},
                now=1.0, opened=opened,
            )
            for each in part.events
        ]  # fmt: skip
        assert [each for each in told if not isinstance(each, RemoteRoom)] == []


async def test_after_a_start_what_can_be_read_is_read_and_the_rest_is_asked_for() -> None:
    async with _account() as account:
        session, other = vodozemac.GroupSession(), vodozemac.GroupSession()
        key = _key(session)
        missing, unknown = Missing(ROOM, session.session_id), Missing(ROOM, other.session_id)
        await _hold(account, _said(session, "$one"), missing)
        await _hold(account, _said(other, "$two"), unknown)
        ledger = Ledger(account)
        RoomKeys(ledger.secrets, lambda _: None).add_shared(key, BOB, "curve", "ed")
        await ledger.flush()  # and killed before the message was told
        encryption, machine, _ = _encryption(account, _Homeserver())
        running = asyncio.create_task(encryption.run())
        message = await account.wait_text("$one")
        await asyncio.sleep(0)
        assert message.contact == BOB
        assert machine._requests.wanted() == [unknown]
        running.cancel()
        await asyncio.wait({running})


async def test_one_key_that_opens_thousands_of_messages_does_not_hold_up_others() -> None:
    async with _account() as account:
        encryption, machine, _ = _encryption(account, _Homeserver())
        session = vodozemac.GroupSession()
        key, missing = _key(session), Missing(ROOM, session.session_id)
        for number in range(1_000):
            await _hold(account, _said(session, f"${number}"), missing)
        machine._keys.add_shared(key, BOB, "curve", "ed")
        turns = 0

        async def others() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        running = asyncio.create_task(others())
        await encryption.settle(Opened(unread={(ROOM, "$0"): Unread(str(missing), "")}))
        running.cancel()
        assert len(account.messages()) == 1_000
        assert turns > 50


async def test_devices_that_cannot_be_understood_are_asked_about_together() -> None:
    async with _account() as account:
        server = _Homeserver()
        _, machine, _ = _encryption(account, server)
        asked = list[str]()
        server.during = asked.append
        for number in range(150):
            content = {"sender_key": f"{number:043}"}
            machine._wedged.note({"sender": f"@user{number}:example.org", "content": content})
        await machine._wedged.mend()
        assert asked.count("query") == 1


async def test_after_another_identity_the_device_is_not_signed() -> None:
    async with _account() as account:
        _, machine, _ = _encryption(account, _Homeserver())
        machine._own.signed(True)
        await machine._asking.ask((ALICE,))
        assert not machine._own.is_signed


async def test_strangers_who_begin_sessions_do_not_fill_the_memory() -> None:
    async with _account() as account:
        server = _Homeserver()
        _, machine, _ = _encryption(account, server)
        await machine._publishing.ensure()
        for _ in range(600):
            machine._olm.decrypt(_first_words(machine, server.fallback_key))
        assert len(machine._olm._offered) <= 500
        assert len(machine._olm._sessions) <= 501


def _first_words(machine: Machine, fallback_key: str) -> dict[str, Any]:
    """A stranger begins a session."""
    stranger, own = vodozemac.Account(), machine._own
    theirs, key = map(vodozemac.Curve25519PublicKey.from_base64, (own.curve25519, fallback_key))
    session = stranger.create_outbound_session(theirs, key)
    payload = {
        "type": "m.dummy",
        "content": {},
        "sender": BOB,
        "keys": {"ed25519": stranger.ed25519_key.to_base64()},
        "recipient": own.user_id,
        "recipient_keys": {"ed25519": own.ed25519},
    }
    kind, body = session.encrypt(json.dumps(payload).encode()).to_parts()
    text = base64.b64encode(body).rstrip(b"=").decode()
    content = {
        "algorithm": "m.olm.v1.curve25519-aes-sha2",
        "sender_key": stranger.curve25519_key.to_base64(),
        "ciphertext": {own.curve25519: {"type": kind, "body": text}},
    }
    return {"sender": BOB, "content": content}
