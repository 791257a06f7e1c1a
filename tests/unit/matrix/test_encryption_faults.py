# SPDX-License-Identifier: Apache-2.0
"""What fails in the middle: nothing of encryption is lost by it, and other things go on."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, cast

import pytest
import vodozemac

from adapters.matrix.e2e.backup import _Backup, _sealed
from adapters.matrix.e2e.machine import Machine
from adapters.matrix.e2e.megolm import ALGORITHM, Missing, Refused, Repeated, RoomKeys
from adapters.matrix.e2e.olm import Olm
from adapters.matrix.e2e.own import ALGORITHMS, OwnDevice
from adapters.matrix.e2e.people import Device
from adapters.matrix.e2e.signed import sign
from adapters.matrix.e2e.verification import Phase
from adapters.matrix.filters import Mode
from adapters.matrix.gaps import Fill
from adapters.matrix.rooms import Room
from adapters.matrix.secrets import Secrets
from gateway.adapter import LoginStep
from gateway.errors import AdapterError, NotFound, Transient, Unsupported
from gateway.events import RemoteNotice, RemoteUndecryptable
from gateway.ids import RemoteUserId
from tests.unit.matrix.test_encryption_races import (
    ALICE,
    BOB,
    CARL,
    ROOM,
    _account,
    _encryption,
    _hold,
    _Homeserver,
    _key,
    _Now,
    _said,
)

_BACKUP_KEY = bytes(range(32))


class _WithBackup(_Homeserver):
    """A homeserver with the user's backup; ``fails`` may raise for a request."""

    def __init__(self) -> None:
        super().__init__()
        self.stored: dict[str, dict[str, Any]] = {}
        self.put_paths: list[tuple[str, ...]] = []
        self.fails: Callable[[tuple[str, ...]], None] = lambda _: None

    async def get(self, *path: str, **more: Any) -> dict[str, Any]:
        self.fails(path)
        if path[:2] == ("room_keys", "version"):
            secret = vodozemac.Curve25519SecretKey.from_bytes(_BACKUP_KEY)
            return {
                "algorithm": "m.megolm_backup.v1.curve25519-aes-sha2",
                "auth_data": {"public_key": secret.public_key().to_base64()},
                "version": "1",
            }
        if path[0] == "room_keys":
            if path[3] not in self.stored:
                raise NotFound("none")
            return self.stored[path[3]]
        return await super().get(*path, **more)

    async def put(self, *path: str, body: Mapping[str, Any], **more: Any) -> dict[str, Any]:
        self.fails(path)
        self.put_paths.append(path)
        if path[0] == "room_keys":
            return {}
        return await super().put(*path, body=body, **more)

    def keep(self, session: vodozemac.GroupSession) -> None:
        """Another app has put a key into the backup."""
        inbound = vodozemac.InboundGroupSession(session.session_key)
        exported = inbound.export_at(0)
        assert exported is not None
        data = {
            "algorithm": ALGORITHM,
            "session_key": exported.to_base64(),
            "sender_key": "curve",
            "sender_claimed_keys": {"ed25519": "ed"},
            "first_message_index": 0,
            "is_verified": False,
        }
        self.stored[session.session_id] = _sealed(_BACKUP_KEY, data)


def _open_backup(machine: Machine) -> None:
    machine._backup._secrets.put("backup", _Backup(key=_BACKUP_KEY, version="1"))


async def test_a_key_that_the_backup_gave_opens_its_message_if_the_next_one_fails() -> None:
    async with _account() as account:
        account.clock = cast("Any", _Now())
        server = _WithBackup()
        _, machine, _ = _encryption(account, server)
        await machine._publishing.ensure()
        machine._own.counted({"signed_curve25519": 50}, None)
        _open_backup(machine)
        first, second = vodozemac.GroupSession(), vodozemac.GroupSession()
        for session, name in ((first, "$one"), (second, "$two")):
            key_id = session.session_id
            missing = Missing(ROOM, key_id)
            if name == "$one":
                server.keep(session)
            event = _said(session, name)
            await machine.open({ROOM: [event]})
            await _hold(account, event, missing)

        def fails(path: tuple[str, ...]) -> None:
            if path[-1] == second.session_id:
                raise Transient("cut off")

        server.fails = fails
        with pytest.raises(Transient):
            await machine._due()
        assert [message.body for message in account.messages()] == ["$one"]


async def test_what_the_homeserver_does_not_do_does_not_keep_keys_from_being_asked_for() -> None:
    async with _account() as account:
        account.clock = cast("Any", _Now())
        server = _WithBackup()
        _, machine, _ = _encryption(account, server)
        await machine._publishing.ensure()
        machine._own.counted({"signed_curve25519": 50}, None)
        _open_backup(machine)
        machine._backup.note(Missing(ROOM, "abc"))
        session = vodozemac.GroupSession()
        await machine.open({ROOM: [_said(session, "$one")]})

        def fails(path: tuple[str, ...]) -> None:
            if path[0] == "room_keys":
                raise Transient("the backup is broken")

        server.fails = fails
        with pytest.raises(Transient):
            await machine._due()
        assert [path[1] for path in server.put_paths if path[0] == "sendToDevice"] == [
            "m.room_key_request"
        ]


async def test_the_key_of_the_backup_is_not_lost_if_the_homeserver_does_not_answer() -> None:
    async with _account() as account:
        server = _WithBackup()
        _, machine, _ = _encryption(account, server)
        trust = machine.trust
        trust._backup_key = _BACKUP_KEY

        def fails(_: tuple[str, ...]) -> None:
            raise Transient("cut off")

        server.fails = fails
        with pytest.raises(Transient):
            await trust.due()
        server.fails = lambda _: None
        await trust.due()
        assert trust.has_backup


async def test_a_question_for_a_key_that_was_not_sent_before_a_crash_is_asked_after_it() -> None:
    """The commit of something else has made it durable that it was about to be asked."""
    async with _account() as account:
        account.clock = cast("Any", _Now())
        server = _WithBackup()
        _, machine, ledger = _encryption(account, server)
        session = vodozemac.GroupSession()
        event, missing = _said(session, "$one"), Missing(ROOM, session.session_id)
        await machine.open({ROOM: [event]})
        await _hold(account, event, missing)

        def killed(path: tuple[str, ...]) -> None:
            committed.update(ledger.secrets.changes())
            raise Transient("killed")

        committed: dict[str, bytes | None] = {}
        server.fails = killed
        with pytest.raises(Transient):
            await machine._requests.ask()
        account.secrets.update({k: v for k, v in committed.items() if v is not None})
        _, again, _ = _encryption(account, _WithBackup())
        await again.waiting.resume()
        assert again._requests.wanted() == [missing]


class _Liar(_Homeserver):
    """Carl lists bob's Curve25519 key as his own: nobody has to prove that it is theirs."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[Mapping[str, Any]] = []

    def _devices(self, who: str) -> dict[str, Any]:
        if who != CARL:
            return super()._devices(who)
        phone = self.phones[CARL]
        keys = {
            "algorithms": list(ALGORITHMS),
            "device_id": "PHONE",
            "user_id": CARL,
            "keys": {
                "curve25519:PHONE": self.phones[BOB].curve25519_key.to_base64(),
                "ed25519:PHONE": phone.ed25519_key.to_base64(),
            },
        }
        return {"PHONE": sign(phone, keys, CARL, "ed25519:PHONE")}

    async def put(self, *path: str, body: Mapping[str, Any], **more: Any) -> dict[str, Any]:
        if path[1] == "m.room.encrypted":
            self.sent.append(body["messages"])
        return await super().put(*path, body=body, **more)


async def test_somebody_who_claims_the_key_of_anothers_device_gets_between_nobody() -> None:
    async with _account() as account:
        server = _Liar()
        server.members = [ALICE, CARL]
        encryption, machine, _ = _encryption(account, server)
        await encryption.encrypt(ROOM, "m.room.message", {"body": "to carl"})
        server.members = [ALICE, BOB]
        machine._sharing.membership_changed(ROOM)
        await encryption.encrypt(ROOM, "m.room.message", {"body": "to bob"})
        bob = server.phones[BOB]
        content = server.sent[-1][BOB]["PHONE"]["ciphertext"][bob.curve25519_key.to_base64()]
        body = content["body"]
        raw = base64.b64decode(body + "=" * (-len(body) % 4))
        first = vodozemac.AnyOlmMessage.from_parts(content["type"], raw).to_pre_key()
        assert first is not None
        own = vodozemac.Curve25519PublicKey.from_base64(machine._own.curve25519)
        _, plain = bob.create_inbound_session(own, first)
        assert json.loads(plain)["recipient"] == BOB


async def test_sessions_that_nobody_answers_do_not_displace_those_that_are_used() -> None:
    async with _account() as account:
        secrets = Secrets(account)
        olm = Olm(secrets, OwnDevice(secrets, ALICE, "DEVICE"))
        phone = vodozemac.Account()
        phone.generate_one_time_keys(20)
        keys = [key.to_base64() for key in phone.one_time_keys.values()]
        curve = phone.curve25519_key.to_base64()
        used = olm._own.begin(curve, keys.pop())
        olm._add(curve, used)
        for key in keys:
            signed = sign(phone, {"key": key}, CARL, "ed25519:PHONE")
            ed25519 = phone.ed25519_key.to_base64()
            device = Device(id="PHONE", curve25519=curve, ed25519=ed25519)
            assert olm.begin(CARL, device, signed)
        assert used in olm._of(curve)
        assert len(olm._of(curve)) == 8
        assert len(olm._silent) == 7


async def test_what_nobody_was_given_the_key_of_is_not_sent() -> None:
    """They have a device, but it had no one-time key."""
    async with _account() as account:
        server = _Homeserver()
        post = server.post

        async def without(*path: str, body: Mapping[str, Any], **more: Any) -> dict[str, Any]:
            if path[-1] == "claim":
                return {"one_time_keys": {}}
            return await post(*path, body=body, **more)

        server.post = without  # type: ignore[method-assign]
        encryption, _, _ = _encryption(account, server)
        for _ in range(2):
            with pytest.raises(AdapterError):
                await encryption.encrypt(ROOM, "m.room.message", {"body": "to nobody"})
        server.post = post  # type: ignore[method-assign]
        await encryption.encrypt(ROOM, "m.room.message", {"body": "to bob"})
        assert BOB in server.given


@pytest.mark.parametrize("letter", ["a", "я", "語", "😀"])
async def test_a_text_of_the_greatest_length_fits_into_an_event(letter: str) -> None:
    async with _account() as account:
        encryption, _, _ = _encryption(account, _Homeserver())
        body = letter * (29_000 // len(letter.encode()))
        content = await encryption.encrypt(ROOM, "m.room.message", {"body": body})
        assert len(json.dumps(content)) < 60_000


@pytest.mark.parametrize("error", [Unsupported("no"), NotFound("no")])
async def test_a_refusal_that_says_nothing_of_the_backup_does_not_end_it(
    error: AdapterError,
) -> None:
    async with _account() as account:
        server = _WithBackup()
        _, machine, _ = _encryption(account, server)
        _open_backup(machine)
        machine._backup.note(Missing(ROOM, "abc"))

        def fails(_: tuple[str, ...]) -> None:
            raise error

        server.fails = fails
        with suppress(AdapterError):
            await machine._backup.save(machine._keys.exported)
        assert machine._backup.is_open


async def test_a_better_key_that_comes_while_the_other_is_saved_is_saved_too() -> None:
    async with _account() as account:
        server = _WithBackup()
        _, machine, _ = _encryption(account, server)
        _open_backup(machine)
        missing = Missing(ROOM, "abc")
        machine._backup.note(missing)
        put = server.put
        times = 0

        async def saving(*path: str, **more: Any) -> dict[str, Any]:
            nonlocal times
            times += 1
            if times == 1:
                machine._backup.note(missing)
            return await put(*path, **more)

        server.put = saving  # type: ignore[method-assign]
        await machine._backup.save(lambda _: None)
        assert times == 2


async def test_after_a_gap_it_is_asked_who_is_in_the_room() -> None:
    """Members are loaded lazily: who left within what was not fetched is not told."""
    async with _account() as account:
        encryption, machine, ledger = _encryption(account, _Homeserver())
        async with ledger.writing() as book:
            draft = book.draft()
            draft.put(ROOM, Room(contact=RemoteUserId(BOB), encrypted=True, mine="join"))
            await ledger.commit(draft)
        await encryption.encrypt(ROOM, "m.room.message", {"body": "one"})
        assert machine._sharing._rooms[ROOM].members is not None
        answer = {"rooms": {"join": {ROOM: {"timeline": {"limited": True, "events": []}}}}}
        await encryption.take(answer, {ROOM: Fill(events=[], complete=False)}, Mode.NEXT)
        assert machine._sharing._rooms[ROOM].members is None


async def test_after_a_refused_cursor_it_is_asked_who_is_in_the_room() -> None:
    async with _account() as account:
        encryption, machine, _ = _encryption(account, _Homeserver())
        await encryption.encrypt(ROOM, "m.room.message", {"body": "one"})
        await encryption.take({}, {}, Mode.AGAIN)
        assert machine._sharing._rooms[ROOM].members is None


async def test_another_identity_is_told_of_even_if_the_store_was_away() -> None:
    async with _account() as account:
        server = _Homeserver()
        _, machine, ledger = _encryption(account, server)

        async def post(*path: str, **_: Any) -> dict[str, Any]:
            return {"device_keys": {ALICE: {}}, "master_keys": {ALICE: _master(name)}}

        server.post = post  # type: ignore[method-assign]
        name = "A" * 43
        await machine._asking.ask((ALICE,))
        name = "B" * 43
        account.is_broken = True
        with pytest.raises(Transient):
            await machine._asking.ask((ALICE,))
        account.is_broken = False
        await ledger.flush()
        await machine._asking.ask((ALICE,))
        assert [event for event in account.inbox.items if isinstance(event, RemoteNotice)]


def _master(key: str) -> dict[str, Any]:
    return {"user_id": ALICE, "keys": {f"ed25519:{key}": key}}


async def test_many_sessions_that_begin_at_once_write_our_keys_down_once() -> None:
    """Strangers may take thousands of our one-time keys, and each writing takes 5 ms then."""
    async with _account() as account:
        secrets = Secrets(account)
        own = OwnDevice(secrets, ALICE, "DEVICE")
        times = 0
        real = own._account

        class Counting:
            def __getattr__(self, name: str) -> Any:
                nonlocal times
                times += name == "pickle"
                return getattr(real, name)

        own._account = Counting()  # type: ignore[assignment]
        own.upload()
        for key in list(real.one_time_keys.values())[:20]:
            stranger = vodozemac.Account()
            session = stranger.create_outbound_session(real.curve25519_key, key)
            message = session.encrypt(b"{}").to_parts()
            first = vodozemac.AnyOlmMessage.from_parts(*message).to_pre_key()
            assert first is not None
            own.begun(stranger.curve25519_key.to_base64(), first)
        secrets.changes()
        assert times == 1


async def _until(true: Callable[[], bool]) -> None:
    for _ in range(500):
        if true():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it did not come true within 5 s")


async def test_emoji_are_compared_while_the_backup_does_not_answer() -> None:
    async with _account() as account:
        server = _WithBackup()
        server.phones[ALICE] = vodozemac.Account()
        _, machine, _ = _encryption(account, server)
        await machine._publishing.ensure()
        machine._own.counted({"signed_curve25519": 50}, None)
        _open_backup(machine)
        machine._backup.note(Missing(ROOM, "abc"))

        def fails(path: tuple[str, ...]) -> None:
            if path[0] == "room_keys":
                raise Transient("the backup is broken")

        server.fails = fails
        running = asyncio.create_task(machine.run())
        failed = "keys_not_exchanged"
        await _until(lambda: failed in [line for line, _ in account.lines.lines])
        await machine.trust.verify()
        await _until(lambda: bool(server.put_paths))
        assert server.put_paths[0][1] == "m.key.verification.request"
        running.cancel()
        await asyncio.wait({running})


async def test_who_asks_for_another_comparison_ends_the_first() -> None:
    async with _account() as account:
        server = _WithBackup()
        server.phones[ALICE] = vodozemac.Account()
        _, machine, _ = _encryption(account, server)
        first = await machine.trust.verify()
        await machine.trust.due()
        second = await machine.trust.verify()
        await machine.trust.due()
        said = [path[1].rpartition(".")[2] for path in server.put_paths]
        assert said == ["request", "cancel", "request"]
        assert first.id != second.id


async def test_a_device_that_begins_anew_is_given_the_keys_again() -> None:
    """From where it was given them before: it may have lost them all."""
    async with _account() as account:
        server = _Liar()
        encryption, machine, _ = _encryption(account, server)
        await encryption.encrypt(ROOM, "m.room.message", {"body": "one"})
        first = machine._sharing._rooms[ROOM].given[BOB, "PHONE"]
        server.phones[BOB].mark_keys_as_published()
        server.phones[BOB].generate_one_time_keys(1)
        phone = server.phones[BOB].curve25519_key.to_base64()
        machine._sharing.began_anew(BOB, "another")
        await encryption.encrypt(ROOM, "m.room.message", {"body": "two"})
        assert len(server.sent) == 1
        machine._sharing.began_anew(BOB, phone)
        await encryption.encrypt(ROOM, "m.room.message", {"body": "three"})
        assert len(server.sent) == 2
        assert machine._sharing._rooms[ROOM].given[BOB, "PHONE"] == first


async def test_without_a_backup_what_waits_is_not_read_for_it() -> None:
    """It may be large."""
    async with _account() as account:
        _, machine, _ = _encryption(account, _WithBackup())

        def waiting(_: str | None = None) -> list[RemoteUndecryptable]:
            raise AssertionError("it was read")

        account.waiting = waiting  # type: ignore[assignment]
        assert await machine._restoring.all() == 0


async def test_the_device_that_is_named_is_the_one_that_is_compared_with() -> None:
    """It may ask while the homeserver is asked for the devices."""
    async with _account() as account:
        server = _WithBackup()
        server.phones[ALICE] = vodozemac.Account()
        encryption, machine, _ = _encryption(account, server)

        def asks(what: str) -> None:
            if what == "query":
                content = {
                    "from_device": "PHONE",
                    "transaction_id": "t",
                    "methods": ["m.sas.v1"],
                    "timestamp": int(account.clock.now() * 1000),
                }
                machine.trust.verifies(ALICE, "m.key.verification.request", content)

        server.during = asks
        step = await encryption.flow().submit({"action": "verify"})
        assert isinstance(step, LoginStep)
        assert "PHONE" in step.instructions


async def test_req_214_who_goes_back_from_a_comparison_has_ended_it() -> None:
    """The other app is not asked any more, and may be asked anew."""
    async with _account() as account:
        server = _WithBackup()
        server.phones[ALICE] = vodozemac.Account()
        encryption, machine, _ = _encryption(account, server)
        flow = encryption.flow()
        await flow.submit({"action": "verify"})
        first = machine.trust._verification
        assert first is not None
        assert isinstance(await flow.submit({"action": "recover"}), LoginStep)
        assert first.phase is Phase.CANCELLED
        assert [kind for _, kind, _ in first.outbox][-1].endswith("cancel")
        assert isinstance(await flow.submit({"action": "verify"}), LoginStep)
        assert machine.trust._verification is not first


async def test_many_people_with_other_devices_do_not_hold_up_others() -> None:
    """Who is in large rooms is told of tens of thousands after a while."""
    async with _account() as account:
        _, machine, _ = _encryption(account, _Homeserver())
        turns = 0

        async def others() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        running = asyncio.create_task(others())
        people = [f"@user{number}:example.org" for number in range(20_000)]
        await machine.receive({"device_lists": {"changed": people}})
        running.cancel()
        assert turns > 30


async def test_whose_key_it_is_is_not_decided_by_who_is_first() -> None:
    """A member of the room passes bob's key on as theirs, before bob gives it."""
    async with _account() as account:
        keys = RoomKeys(Secrets(account), lambda _: None)
        session = vodozemac.GroupSession()
        key, event = _key(session), _said(session, "$one")
        assert keys.add_shared(key, CARL, "carls", "carls") is not None
        with pytest.raises(Refused):
            keys.decrypt(ROOM, event)
        assert keys.add_shared(key, BOB, "bobs", "bobs") is not None
        assert keys.add_shared(key, BOB, "bobs", "bobs") is None
        relayed = {**event, "sender": CARL, "event_id": "$relayed"}
        assert keys.decrypt(ROOM, relayed)["sender"] == CARL
        for _ in range(2):
            assert keys.decrypt(ROOM, event)["sender"] == BOB
        with pytest.raises(Repeated):
            keys.decrypt(ROOM, {**event, "event_id": "$again"})
        with pytest.raises(Refused, match="somebody else"):
            keys.decrypt(ROOM, {**event, "sender": ALICE})


async def test_each_key_that_is_missing_is_looked_for_once() -> None:
    """They are asked for by fifties; the backup is not gone through with each of these."""
    async with _account() as account:
        account.clock = cast("Any", _Now())
        server, looked = _WithBackup(), list[str]()
        _, machine, _ = _encryption(account, server)
        await machine._publishing.ensure()
        machine._own.counted({"signed_curve25519": 50}, None)
        _open_backup(machine)
        server.fails = lambda path: looked.append(path[-1]) if path[1] == "keys" else None
        said = [_said(vodozemac.GroupSession(), f"${number}") for number in range(200)]
        await machine.open({ROOM: said})
        while machine._requests.wanted():
            await machine._due()
        assert len(looked) == 200
