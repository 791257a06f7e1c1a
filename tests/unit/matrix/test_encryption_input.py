# SPDX-License-Identifier: Apache-2.0
"""Whatever strangers send: encryption does not raise for it, and remembers little."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import aiohttp
import vodozemac
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.matrix.e2e.machine import Machine
from adapters.matrix.e2e.own import ALGORITHMS, OwnDevice
from adapters.matrix.e2e.people import People
from adapters.matrix.e2e.signed import is_signed, sign
from adapters.matrix.e2e.waiting import Received
from adapters.matrix.http import Api
from adapters.matrix.ledger import Ledger
from adapters.matrix.rooms import RoomId
from adapters.matrix.secrets import Secrets
from gateway.adapter import Linked
from gateway.ids import RemoteUserId
from tests.unit.matrix.memory import MemoryAccount

ALICE, BOB, ROOM = RemoteUserId("@alice:example.org"), "@bob:example.org", RoomId("!r:example.org")

_PRIVATE = vodozemac.GroupSession()
_WORDS = st.sampled_from(
    [
        "m.room.encrypted",
        "m.room_key",
        "m.room_key.withheld",
        "m.forwarded_room_key",
        "m.key.verification.request",
        "m.key.verification.start",
        "m.secret.send",
        "m.olm.v1.curve25519-aes-sha2",
        "m.megolm.v1.aes-sha2",
        BOB,
        ALICE,
        ROOM,
        _PRIVATE.session_id,
        _PRIVATE.session_key.to_base64(),
        _PRIVATE.encrypt(b"{}").to_base64(),
        "\ud800",
        "A" * 43,
        "",
    ]
)
_NAMES = st.sampled_from(
    [
        *("type", "sender", "content", "algorithm", "sender_key", "ciphertext", "session_id"),
        *("room_id", "session_key", "code", "body", "keys", "device_id", "event_id", "mac"),
        *("transaction_id", "m.relates_to", "to_device", "events", "device_lists", "changed"),
        *("left", "device_one_time_keys_count", "signed_curve25519"),
    ]
)
_JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | _WORDS | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_NAMES, inner, max_size=6),
    max_leaves=30,
)


async def _machine(http: aiohttp.ClientSession) -> tuple[MemoryAccount, Machine]:
    linked = Linked(realm="r", remote_id=ALICE, secret=b"")
    account = MemoryAccount(linked, http)
    ledger = Ledger(account)

    async def tell(_: Received) -> None:
        await ledger.flush()

    api = Api(http, "http://127.0.0.1:9", "token")
    return account, Machine(account, api, "DEVICE", ledger.secrets, ledger.flush, tell)


async def _feed(answer: Mapping[str, Any], events: list[Any]) -> MemoryAccount:
    async with aiohttp.ClientSession() as http:
        account, machine = await _machine(http)
        await machine.receive(answer)
        opened = await machine.open({ROOM: [event for event in events if isinstance(event, dict)]})
        for unread in opened.unread.values():
            assert len(unread.needs) < 400
            unread.needs.encode()
        return account


@settings(max_examples=150, deadline=None)
@given(answer=st.dictionaries(_NAMES, _JSON, max_size=6), event=_JSON, device=_JSON)
def test_no_input_raises(answer: dict[str, Any], event: Any, device: Any) -> None:
    event = {**event, "type": "m.room.encrypted"} if isinstance(event, dict) else event
    answer["to_device"] = {"events": [device, event]}
    account = asyncio.run(_feed(answer, [event, device]))
    failed = [line for line in account.lines.lines if line[0].endswith(("_failed", "_opened"))]
    assert not failed


def test_a_stranger_who_sends_very_much_fills_nothing() -> None:
    def event(number: int) -> dict[str, Any]:
        key = f"{number:043}"
        content = {
            "algorithm": "m.olm.v1.curve25519-aes-sha2",
            "sender_key": key,
            "ciphertext": {},
        }
        return {"type": "m.room.encrypted", "sender": BOB, "content": content}

    def said(number: int) -> dict[str, Any]:
        content = {
            "algorithm": "m.megolm.v1.aes-sha2",
            "session_id": f"{number:043}",
            "ciphertext": "A" * 100,
        }
        return {
            "type": "m.room.encrypted",
            "sender": BOB,
            "event_id": f"${number}",
            "content": content,
        }

    answer = {"to_device": {"events": [event(number) for number in range(5_000)]}}
    account = asyncio.run(_feed(answer, [said(number) for number in range(5_000)]))
    assert len(json.dumps({k: v.hex() for k, v in account.secrets.items()})) < 20_000


def _listed(device_id: str, **more: object) -> dict[str, Any]:
    """A device of Bob's as the homeserver tells of it."""
    account = vodozemac.Account()
    keys = {
        "algorithms": list(ALGORITHMS),
        "device_id": device_id,
        "user_id": BOB,
        "keys": {
            f"curve25519:{device_id}": account.curve25519_key.to_base64(),
            f"ed25519:{device_id}": account.ed25519_key.to_base64(),
        },
    }
    return {**sign(account, keys, BOB, f"ed25519:{device_id}"), **more}


def test_a_device_that_nobody_can_have_signed_is_none() -> None:
    device = _listed("GOOD")
    key = device["keys"]["ed25519:GOOD"]
    assert is_signed(device, BOB, key, "GOOD")
    assert not is_signed({**device, "more": "\ud800"}, BOB, key, "GOOD")
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    assert not is_signed({**device, "more": deep}, BOB, key, "GOOD")


async def test_a_list_of_ten_thousand_forged_devices_is_not_gone_through() -> None:
    async with aiohttp.ClientSession() as http:
        account, _ = await _machine(http)
        secrets = Secrets(account)
        people = People(secrets, OwnDevice(secrets, ALICE, "DEVICE"))
        forged = _listed("D", more=1)
        listed = {f"D{number}": forged | {"device_id": f"D{number}"} for number in range(10_000)}
        listed["LAST"] = _listed("LAST")
        await people.answered([BOB], {"device_keys": {BOB: listed}})
        assert not people.of(BOB).devices


async def test_of_too_many_devices_those_are_kept_that_are_known_or_signed() -> None:
    async with aiohttp.ClientSession() as http:
        account, _ = await _machine(http)
        secrets = Secrets(account)
        people = People(secrets, OwnDevice(secrets, ALICE, "DEVICE"))
        known, others = _listed("KNOWN"), {f"D{n}": _listed(f"D{n}") for n in range(600)}
        await people.answered([BOB], {"device_keys": {BOB: {"KNOWN": known}}})
        await people.answered([BOB], {"device_keys": {BOB: {**others, "KNOWN": known}}})
        found = people.of(BOB).devices
        assert "KNOWN" in found
        assert len(found) == 500
