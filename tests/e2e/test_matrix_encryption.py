# SPDX-License-Identifier: Apache-2.0
"""Encrypted chats on a real Synapse, with a client whose crypto is not ours: that of Element."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import aiohttp
import nio
import pytest
import vodozemac

from adapters.matrix.e2e.own import ALGORITHMS
from adapters.matrix.e2e.signed import sign
from gateway.adapter import LoginStep, Session
from gateway.errors import AdapterError, BadLogin, Transient
from gateway.events import (
    RemoteNotice,
    RemoteRoom,
    RemoteRoomMessage,
    RemoteUndecryptable,
    SendText,
)
from gateway.ids import RemoteRoomId, RemoteUserId
from tests.e2e.matrix_worlds import Pair, pair_of
from tests.peers.element import Element
from tests.peers.synapse import Synapse


@pytest.fixture
async def pair(
    synapse: Synapse, http: aiohttp.ClientSession, tmp_path: Path
) -> AsyncIterator[Pair]:
    async with pair_of(synapse, http, tmp_path) as made:
        yield made


async def test_both_ways_in_a_chat_that_the_contact_began(pair: Pair) -> None:
    async with pair.running() as session:
        room = await pair.begin(session)
        await pair.bob.send_text(room, "hello")
        message = await pair.account.wait_text("hello")
        assert (message.contact, message.own) == (pair.contact, False)
        sent = await session.send(SendText(contact=pair.contact, body="hello yourself"), "k1")
        received = await pair.bob.wait_text("hello yourself", room_id=room)
        assert (received.event_id, received.decrypted) == (sent.remote_id, True)
        raw = await pair.bob.raw_event(room, received.event_id)
        assert raw["type"] == "m.room.encrypted"
        assert "yourself" not in json.dumps(raw)
        echo = await pair.account.wait_text("hello yourself")
        assert (echo.own, echo.key) == (True, "k1")
    assert not [event for event in pair.account.inbox.items if type(event) is RemoteUndecryptable]


async def test_a_chat_that_we_begin_is_encrypted(pair: Pair) -> None:
    async with pair.running() as session:
        await session.send(SendText(contact=pair.contact, body="shall we?"), "k1")
        room = await pair.bob.wait_invite(sender=pair.account.remote_id)
        await pair.bob.join(room)
        received = await pair.bob.wait_text("shall we?", room_id=room)
        assert (received.wire_type, received.decrypted) == ("m.room.encrypted", True)


async def test_after_a_restart_it_goes_on(pair: Pair) -> None:
    """With other keys for what is sent, and the same for what is received."""
    async with pair.running() as session:
        room = await pair.begin(session)
        await pair.bob.send_text(room, "one")
        await pair.account.wait_text("one")
        first = await session.send(SendText(contact=pair.contact, body="two"), "k1")
        await pair.bob.wait_text("two")
    await pair.bob.send_text(room, "three")
    async with pair.running() as session:
        await pair.account.wait_text("three")
        second = await session.send(SendText(contact=pair.contact, body="four"), "k2")
        await pair.bob.wait_text("four")
        again = await session.send(SendText(contact=pair.contact, body="four"), "k2")
        assert again == second
        await pair.bob.send_text(room, "five")
        await pair.account.wait_text("five")
    raw = [await pair.bob.raw_event(room, str(sent.remote_id)) for sent in (first, second)]
    assert raw[0]["content"]["session_id"] != raw[1]["content"]["session_id"]


async def _talking(pair: Pair) -> str:
    """They have an encrypted room, and both have said something."""
    async with pair.running() as session:
        room = await pair.begin(session)
        await pair.bob.send_text(room, "hello")
        await pair.account.wait_text("hello")
        await session.send(SendText(contact=pair.contact, body="hi"), "k1")
        await pair.bob.wait_text("hi")
    return room


async def test_a_withheld_key_is_explained(pair: Pair) -> None:
    room = await _talking(pair)
    await pair.bob.send_to_verified_only()
    async with pair.running():
        event_id = await pair.bob.send_text(room, "for friends")
        event = await pair.account.wait(RemoteUndecryptable)
        assert (event.id, event.contact, event.own) == (event_id, pair.contact, False)
        assert "verified devices only" in event.reason
        assert event.needs.startswith(room)
        await pair.bob.send_to_verified_only(False)
        await pair.bob.send_text(room, "for all")
        await pair.account.wait_text("for all")
    assert [event.id for event in pair.account.waiting(event.needs)] == [event_id]


async def test_a_database_that_was_restored_uses_no_key_twice(pair: Pair) -> None:
    room = await _talking(pair)
    account = pair.account
    copy = (dict(account.secrets), dict(account.stored), account.cursor)
    sent = []
    async with pair.running() as session:
        for number in range(3):
            body = f"before {number}"
            sent.append(await session.send(SendText(contact=pair.contact, body=body), body))
            await pair.bob.wait_text(body)
            await pair.bob.send_text(room, f"to {body}")
            await account.wait_text(f"to {body}")
    account.secrets, account.stored, account.cursor = copy
    mark = account.inbox.mark()
    async with pair.running() as session:
        for number in range(3):
            body = f"after {number}"
            sent.append(await session.send(SendText(contact=pair.contact, body=body), body))
            await pair.bob.wait_text(body)
            await pair.bob.send_text(room, f"to {body}")
            await account.wait_text(f"to {body}", since=mark)
    raw = [await pair.bob.raw_event(room, str(each.remote_id)) for each in sent]
    assert len({event["content"]["ciphertext"] for event in raw}) == len(sent)
    assert len({event["content"]["session_id"] for event in raw}) == 2
    for number in range(
        3
    ):  # what bob said after the copy was made came to the device that is gone
        await account.wait_text(f"to before {number}", since=mark)


async def test_what_is_damaged_forged_or_repeated_is_never_a_message(pair: Pair) -> None:
    room = await _talking(pair)
    async with pair.running():
        content = await pair.bob.encrypt(
            room, "m.room.message", {"msgtype": "m.text", "body": "x"}
        )
        damaged = {**content, "ciphertext": content["ciphertext"][:-8] + "AAAAAAAA"}
        first = await pair.bob.send_raw(room, damaged)
        event = await pair.account.wait(RemoteUndecryptable)
        assert (event.id, "damaged" in event.reason) == (first, True)
        await pair.bob.send_raw(room, content)
        await pair.account.wait_text("x")
        await pair.bob.send_raw(room, content)  # again, as another event
        odd = {"algorithm": "m.megolm.v1.aes-sha2", "ciphertext": 7, "session_id": ["s"]}
        await pair.bob.send_raw(room, odd)
        await pair.bob.send_text(room, "done")
        await pair.account.wait_text("done")
    assert [message.body for message in pair.account.messages()].count("x") == 1


async def test_a_room_that_claims_to_be_clear_again_stays_encrypted(pair: Pair) -> None:
    room = await _talking(pair)
    path = f"rooms/{room}/state/m.room.encryption/"
    async with pair.running() as session:
        await pair.bob.request("PUT", path, {"algorithm": "none"})
        await pair.bob.send_raw(room, {"msgtype": "m.text", "body": "mark"}, "m.room.message")
        await pair.account.wait_text("mark")
        with pytest.raises(AdapterError, match="encrypted"):
            await session.send(SendText(contact=pair.contact, body="secret"), "k9")


@pytest.fixture
async def tablet(pair: Pair, tmp_path: Path) -> AsyncIterator[Element]:
    """Another device of alice, that has set up her identity, storage and backup."""
    directory = tmp_path / "tablet"
    directory.mkdir()
    user = pair.account.remote_id.partition(":")[0].removeprefix("@")
    async with Element(pair.synapse.url, user, "secret", directory=directory) as element:
        yield element


async def _recover(session: Session, typed: str) -> str:
    flow = session.encryption()
    assert "action" in {asked.name for asked in flow.first().fields}
    answers = {"action": "recover"}
    step = await flow.submit(answers)
    assert isinstance(step, LoginStep)
    assert step.fields[0].secret
    said = await flow.submit({**answers, step.fields[0].name: typed})
    assert isinstance(said, str)
    return said


async def test_the_recovery_key_verifies_the_device_and_opens_the_backup(
    pair: Pair, tablet: Element
) -> None:
    recovery_key = await tablet.set_up()
    account = pair.account
    async with pair.running() as session:
        room = await pair.begin(session)
        await tablet.wait_member(room, account.remote_id)
        await pair.bob.wait_devices(account.remote_id, lambda devices: len(devices) == 2)
        await pair.bob.send_text(room, "hello")
        await account.wait_text("hello")
        # Bob gives keys to verified devices alone: to the tablet, and not to the gateway.
        await pair.bob.send_to_verified_only()
        await pair.bob.set_up(backup=False)
        await _verify(pair.bob, tablet)
        withheld = await pair.bob.send_text(room, "for friends")
        await account.wait(RemoteUndecryptable, lambda event: event.id == withheld)
        await tablet.wait_text("for friends")
        await tablet.back_up()
        with pytest.raises(BadLogin):
            await _recover(session, "EsT1 2345 nonsense")
        with pytest.raises(BadLogin):
            await _recover(session, recovery_key[:-2] + "11")
        assert "1 waiting message could be read." in await _recover(session, recovery_key)
        message = await account.wait_text("for friends")
        assert (message.id, message.contact) == (withheld, pair.contact)
        # And from now on bob's client trusts it by itself.
        await pair.bob.wait_devices(
            account.remote_id,
            lambda devices: all(device.cross_signing_verified for device in devices.values()),
        )
        await pair.bob.send_text(room, "for all my friends")
        await account.wait_text("for all my friends")
        await session.send(SendText(contact=pair.contact, body="me too"), "k5")
        assert (await pair.bob.wait_text("me too")).shield == "none"
    assert not account.waiting()


async def test_comparing_emoji_verifies_the_device_and_opens_the_backup(
    pair: Pair, tablet: Element
) -> None:
    await tablet.set_up()
    account = pair.account
    async with pair.running() as session:
        await pair.begin(session)
        flow = session.encryption()
        step = await flow.submit({"action": "verify"})
        assert isinstance(step, LoginStep)
        assert [asked.name for asked in step.fields] == ["accepted"]
        request = await tablet.wait_verification(sender=account.remote_id)
        await request.accept()
        answers = {"action": "verify", "accepted": "yes"}
        step = await flow.submit(answers)
        assert isinstance(step, LoginStep)
        theirs = [f"{symbol} {name}" for symbol, name in await request.emojis()]
        assert step.instructions.rpartition(": ")[2].split(", ") == theirs
        await request.confirm()
        said = await flow.submit({**answers, "same": "yes"})
        assert said == "The gateway's device is verified. It can use your key backup."
        assert (await request.wait_phase("done")).cancel_code is None
        assert "You have verified it" in session.encryption().first().instructions


async def test_a_comparison_that_another_app_asks_for(pair: Pair, tablet: Element) -> None:
    """The user is told that it asks, and says yes with the same command."""
    await tablet.set_up()
    account = pair.account
    device_id = json.loads(account.secret)["device_id"]
    async with pair.running() as session:
        await pair.begin(session)
        await tablet.wait_devices(account.remote_id, lambda devices: device_id in devices)
        request = await tablet.verify(account.remote_id, device_id)
        notice = await account.wait(RemoteNotice)
        assert isinstance(notice, RemoteNotice)
        assert tablet.device_id in notice.text
        assert notice.contact is None
        flow = session.encryption()
        step = await flow.submit({"action": "verify"})
        assert isinstance(step, LoginStep)
        assert tablet.device_id in step.instructions
        answers = {"action": "verify", "accepted": "yes"}
        step = await flow.submit(answers)
        assert isinstance(step, LoginStep)
        theirs = [f"{symbol} {name}" for symbol, name in await request.emojis()]
        assert step.instructions.rpartition(": ")[2].split(", ") == theirs
        await request.confirm()
        said = await flow.submit({**answers, "same": "yes"})
        assert said == "The gateway's device is verified. It can use your key backup."


async def test_what_the_gateway_sends_is_put_into_the_users_backup(
    pair: Pair, tablet: Element, tmp_path: Path
) -> None:
    """So a device that comes later can read it."""
    recovery_key = await tablet.set_up()
    await tablet.disconnect()  # it would back up the same keys
    account = pair.account
    user = account.remote_id.partition(":")[0].removeprefix("@")
    async with pair.running() as session:
        room = await pair.begin(session)
        first = await session.send(SendText(contact=pair.contact, body="before it"), "k1")
        await pair.bob.wait_text("before it")
        await _recover(session, recovery_key)
        await pair.bob.rotate(room)
        await pair.bob.send_text(room, "what bob says")
        await account.wait_text("what bob says")
        await _eventually(lambda: "unsaved" not in account.secrets)
        directory = tmp_path / "later"
        directory.mkdir()
        async with Element(pair.synapse.url, user, "secret", directory=directory) as later:
            assert await later.recover(recovery_key) >= 2
            event = await later.wait_decrypted(str(first.remote_id))
            assert event.body == "before it"


async def test_other_emoji_end_a_verification(pair: Pair, tablet: Element) -> None:
    await tablet.set_up(backup=False)
    async with pair.running() as session:
        flow = session.encryption()
        await flow.submit({"action": "verify"})
        with pytest.raises(BadLogin, match="not answered"):
            await flow.submit({"action": "verify", "accepted": "yes"})
        request = await tablet.wait_verification(sender=pair.account.remote_id)
        await request.accept()
        await flow.submit({"action": "verify", "accepted": "yes"})
        said = await flow.submit({"action": "verify", "accepted": "yes", "same": "no"})
        assert "nothing was verified" in str(said)
        assert (await request.wait_phase("cancelled")).cancel_code == "m.mismatched_sas"
        assert "not verified" in session.encryption().first().instructions


async def _verify(one: Element, other: Element) -> None:
    """They compare emoji."""
    asking = await one.verify(other.user_id, other.device_id)
    asked = await other.wait_verification(sender=one.user_id)
    await asked.accept()
    await asking.start()
    assert await asking.emojis() == await asked.emojis()
    await asking.confirm()
    await asked.confirm()
    await asking.wait_phase("done")
    await asked.wait_phase("done")


async def test_only_verified_devices_are_written_to_if_the_user_wants_that(pair: Pair) -> None:
    async with pair.running() as session:
        room = await pair.begin(session)
        said = await session.encryption().submit({"action": "signed"})
        assert "verified" in str(said)
        with pytest.raises(AdapterError, match="nothing was sent"):
            await session.send(SendText(contact=pair.contact, body="to nobody"), "k1")
        await pair.bob.set_up(backup=False)
        await pair.bob.send_text(room, "verified now")
        await pair.account.wait_text("verified now")
        await session.send(SendText(contact=pair.contact, body="to friends"), "k2")
        assert (await pair.bob.wait_text("to friends")).decrypted
        path = f"rooms/{room}/messages?dir=b&limit=50"
        said_in_all = (await pair.bob.request("GET", path))["chunk"]
        assert not [event for event in said_in_all if event["type"] == "m.room.message"]


async def test_who_has_left_cannot_read_on(pair: Pair, tmp_path: Path) -> None:
    """Nor can a device that was logged out."""
    room = await _talking(pair)
    directory = tmp_path / "eve"
    directory.mkdir()
    await pair.synapse.add_user("enc-eve", "secret")
    async with (
        Element(pair.synapse.url, "enc-eve", "secret", directory=directory) as eve,
        pair.running() as session,
    ):
        await pair.bob.invite(room, eve.user_id)
        await eve.wait_invite()
        await eve.join(room)
        await pair.bob.wait_member(room, eve.user_id)
        await pair.bob.send_text(room, "eve is here")
        await pair.account.wait_text("eve is here")

        async def says(body: str) -> str:
            sent = await session.send(SendText(contact=pair.contact, body=body), body)
            await pair.bob.wait_text(body)
            raw = await pair.bob.raw_event(room, str(sent.remote_id))
            return str(raw["content"]["session_id"])

        first = await says("for three")
        await eve.wait_text("for three")
        assert await says("again") == first
        await eve.leave(room)
        await pair.bob.send_text(room, "eve is gone")
        await pair.account.wait_text("eve is gone")
        second = await says("for two")
        assert second != first
        tablet = Element(pair.synapse.url, pair.bob.user, "secret", directory=directory)
        async with tablet:
            await pair.bob.send_text(room, "with a tablet")
            await pair.account.wait_text("with a tablet")
            assert await says("for the tablet, too") == second
            await tablet.wait_text("for the tablet, too")
            await tablet.log_out()
            await pair.bob.wait_devices(pair.bob.user_id, lambda devices: len(devices) == 1)
        await pair.bob.send_text(room, "without a tablet")
        await pair.account.wait_text("without a tablet")
        assert await says("for one device") != second


async def test_one_time_keys_are_replaced_and_running_out_of_them_costs_nothing(
    pair: Pair,
) -> None:
    room = await _talking(pair)
    user_id = pair.account.remote_id
    device_id = json.loads(pair.account.secret)["device_id"]
    wanted = {"one_time_keys": {user_id: {device_id: "signed_curve25519"}}}

    async def claimed() -> dict[str, Any]:
        answer = await pair.bob.request("POST", "keys/claim", wanted)
        return dict(answer["one_time_keys"][user_id][device_id])

    # While the gateway is away they run out, and the fallback key is given, again and again.
    taken = [await claimed()]
    while not all(key.get("fallback") for key in taken[-1].values()):
        taken.append(await claimed())
        assert len(taken) < 200, "there is no end of them"
    assert await claimed() == taken[-1]
    await pair.bob.rotate(room)
    await pair.bob.send_text(room, "while you were away")
    async with pair.running():
        await pair.account.wait_text("while you were away")
        await _until_fresh(claimed)


async def test_a_thousand_one_time_keys_are_taken_while_it_is_connected(
    pair: Pair, tmp_path: Path
) -> None:
    """By somebody who wants them to run out. Nobody gets one twice, and messages still come.

    The homeserver tells how many are left with its next answer: a message makes it give one."""
    room = await _talking(pair)
    user_id = pair.account.remote_id
    device_id = json.loads(pair.account.secret)["device_id"]
    wanted = {"one_time_keys": {user_id: {device_id: "signed_curve25519"}}}
    taken = set[str]()
    async with pair.running():
        while len(taken) < 1_000:
            answer = await pair.bob.request("POST", "keys/claim", wanted)
            ((name, key),) = answer["one_time_keys"][user_id][device_id].items()
            if key.get("fallback"):
                await pair.bob.send_text(room, f"after {len(taken)}")
                await pair.account.wait_text(f"after {len(taken)}")
                continue
            assert name not in taken
            taken.add(name)
        directory = tmp_path / "other"
        directory.mkdir()
        user = pair.bob.user_id.partition(":")[0].removeprefix("@")
        async with Element(pair.synapse.url, user, "secret", directory=directory) as other:
            await other.wait_devices(user_id, lambda devices: device_id in devices)
            await other.send_text(room, "still there")
            await pair.account.wait_text("still there")


async def test_somebody_with_ten_thousand_devices_can_be_written_to(
    http: aiohttp.ClientSession, tmp_path: Path
) -> None:
    """All of them are good, and none of the others has ever been seen; one is signed by its owner,
    and that is the one which is used."""
    directory = tmp_path / "synapse"
    async with Synapse(directory) as synapse, pair_of(synapse, http, tmp_path) as pair:
        await pair.bob.set_up(backup=False)
        await synapse.stop()
        await asyncio.to_thread(_give_devices, directory, pair.bob.user_id, 10_000)
        await synapse.start()
        async with pair.running() as session:
            await session.send(SendText(contact=pair.contact, body="is it you?"), "k1")
            room = await pair.bob.wait_invite(sender=pair.account.remote_id)
            await pair.bob.join(room)
            assert (await pair.bob.wait_text("is it you?", room_id=room)).decrypted


def _give_devices(synapse: Path, user_id: str, count: int) -> None:
    """A homeserver that is stopped gets devices of a user, with keys."""
    with closing(sqlite3.connect(synapse / "homeserver.db")) as db, db:
        for number in range(count):
            device_id, account = f"A{number:05}", vodozemac.Account()
            keys = {
                "algorithms": list(ALGORITHMS),
                "device_id": device_id,
                "user_id": user_id,
                "keys": {
                    f"curve25519:{device_id}": account.curve25519_key.to_base64(),
                    f"ed25519:{device_id}": account.ed25519_key.to_base64(),
                },
            }
            signed = json.dumps(sign(account, keys, user_id, f"ed25519:{device_id}"))
            db.execute(
                "INSERT INTO devices (user_id, device_id) VALUES (?, ?)", (user_id, device_id)
            )
            db.execute(
                "INSERT INTO e2e_device_keys_json VALUES (?, ?, 0, ?)",
                (user_id, device_id, signed),
            )


async def _eventually(true: Callable[[], bool]) -> None:
    for _ in range(100):
        if true():
            return
        await asyncio.sleep(0.1)
    raise AssertionError("it did not come true within 10 s")


async def _until_fresh(claimed: Callable[[], Awaitable[dict[str, Any]]]) -> None:
    for _ in range(100):
        if not any(key.get("fallback") for key in (await claimed()).values()):
            return
        await asyncio.sleep(0.1)
    raise AssertionError("there is still the fallback key alone")


async def test_a_homeserver_that_restarts_and_an_old_token_change_nothing(
    http: aiohttp.ClientSession, tmp_path: Path
) -> None:
    directory = tmp_path / "synapse"
    async with Synapse(directory) as synapse, pair_of(synapse, http, tmp_path) as pair:
        room = await _talking(pair)
        old = pair.account.cursor
        with suppress(Transient):
            async with pair.running():
                for number in range(5):
                    await pair.bob.rotate(room)
                    await pair.bob.send_text(room, f"text {number}")
                await pair.account.wait_text("text 4")
                await synapse.stop()
        await synapse.start()
        async with pair.running():
            await pair.bob.send_text(room, "back")
            await pair.account.wait_text("back")
        pair.account.cursor = old
        async with pair.running() as session:
            await pair.bob.send_text(room, "and on")
            await pair.account.wait_text("and on")
            await session.send(SendText(contact=pair.contact, body="on and on"), "k7")
            await pair.bob.wait_text("on and on")
        ids = {message.id: message.body for message in pair.account.messages(pair.contact)}
        assert [body for body in ids.values() if body.startswith("text")] == [
            f"text {number}" for number in range(5)
        ]
        assert not pair.account.held


async def test_with_a_client_of_nio(
    synapse: Synapse, http: aiohttp.ClientSession, tmp_path: Path
) -> None:
    """Its machine is another one than ours, and than that of Element."""
    async with (
        pair_of(synapse, http, tmp_path) as pair,
        Nio(synapse, tmp_path) as carl,
        pair.running() as session,
    ):
        contact = RemoteUserId(carl.client.user_id)
        await session.send(SendText(contact=contact, body="hello nio"), "k1")
        await carl.join()
        await carl.hear("hello nio")
        await carl.say("hello gateway")
        message = await pair.account.wait_text("hello gateway")
        assert message.contact == contact
        await session.send(SendText(contact=contact, body="bye nio"), "k2")
        await carl.hear("bye nio")


class Nio:
    """A client by matrix-nio, with its own encryption."""

    def __init__(self, synapse: Synapse, directory: Path) -> None:
        self._synapse = synapse
        store = directory / "nio"
        store.mkdir()
        config = nio.AsyncClientConfig(encryption_enabled=True, store_sync_tokens=True)
        self.client = nio.AsyncClient(
            synapse.url, "@enc-carl:localhost", store_path=str(store), config=config
        )
        self.client.add_event_callback(self._note, nio.RoomMessageText)
        self._heard: list[str] = []
        self._room = ""

    async def _note(self, _: object, event: nio.RoomMessageText) -> None:
        if event.decrypted:
            self._heard.append(event.body)

    async def __aenter__(self) -> Nio:
        await self._synapse.add_user("enc-carl", "secret")
        await self.client.login("secret")
        await self.client.sync(full_state=True)
        await self.client.keys_upload()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.client.close()

    async def join(self) -> None:
        """The one invitation."""
        async with asyncio.timeout(10):
            while not self.client.invited_rooms:
                await self.client.sync(timeout=500)
        (self._room,) = self.client.invited_rooms
        await self.client.join(self._room)

    async def say(self, body: str) -> None:
        """To everybody in the room."""
        content = {"msgtype": "m.text", "body": body}
        await self.client.room_send(
            self._room, "m.room.message", content, ignore_unverified_devices=True
        )

    async def hear(self, body: str) -> None:
        """A text that was encrypted."""
        async with asyncio.timeout(15):
            while body not in self._heard:
                await self.client.sync(timeout=500, full_state=True)


async def test_what_was_said_before_the_link_is_read_with_keys_of_the_backup(
    pair: Pair, tablet: Element
) -> None:
    """In a group, page by page, and known to be secret until the backup is open."""
    recovery_key = await tablet.set_up()
    room = await pair.bob.create_room(invite=[pair.account.remote_id])
    await tablet.join(room)
    await pair.bob.wait_member(room, pair.account.remote_id)
    said = [f"secret {number}" for number in range(5)]
    ids = [await pair.bob.send_text(room, body) for body in said]
    await tablet.wait_text(said[-1])
    await tablet.back_up()
    async with pair.running() as session:
        await pair.account.wait(RemoteRoom)

        async def history(kind: type[Any]) -> list[Any]:
            found: list[Any] = []
            cursor: str | None = None
            while True:
                page = await session.history(RemoteRoomId(room), cursor, None, 2)
                found = [event for event in page.events if isinstance(event, kind)] + found
                cursor = page.cursor
                if cursor is None:
                    return found

        assert [event.id for event in await history(RemoteUndecryptable)] == ids
        await _recover(session, recovery_key)
        read = await history(RemoteRoomMessage)
        assert [(event.id, event.body) for event in read] == list(zip(ids, said, strict=True))
        assert {event.sender for event in read} == {pair.bob.user_id}
        assert await history(RemoteUndecryptable) == []
