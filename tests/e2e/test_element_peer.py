"""The Matrix client with a crypto of its own, on which the tests of encrypted chats stand."""

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from tests.peers.element import Element, ElementDevice
from tests.peers.process import PeerError
from tests.peers.synapse import Synapse
from tests.peers.verification import Verification


class Maker:
    """Makes users and their devices, which log in when they are entered."""

    def __init__(self, synapse: Synapse, directory: Path) -> None:
        self._synapse = synapse
        self._directory = directory
        self._users: set[str] = set()

    async def __call__(self, user: str, device: str = "phone", *, keep: bool = False) -> Element:
        if user not in self._users:
            self._users.add(user)
            await self._synapse.add_user(user, "secret")
        directory = self._directory / device
        directory.mkdir(exist_ok=True)
        return Element(self._synapse.url, user, "secret", directory=directory, keep=keep)


@pytest.fixture
def element(synapse: Synapse, tmp_path: Path) -> Maker:
    """Makes clients of users of this test."""
    return Maker(synapse, tmp_path)


async def _room(anna: Element, bernd: Element) -> str:
    room = await anna.create_direct(bernd.user_id)
    assert await bernd.wait_invite(sender=anna.user_id) == room
    await bernd.join(room)
    await anna.wait_member(room, bernd.user_id)
    return room


def _cross_signed(device: Element) -> Callable[[Mapping[str, ElementDevice]], bool]:
    """Whether a device is trusted because its verified owner has signed it."""

    def cross_signed(devices: Mapping[str, ElementDevice]) -> bool:
        found = devices.get(device.device_id)
        return found is not None and found.verified and found.cross_signing_verified

    return cross_signed


async def _compare(asking: Verification, asked: Verification) -> None:
    await asked.accept()
    await asking.start()
    emojis = await asking.emojis()
    assert len(emojis) == 7
    assert emojis == await asked.emojis()


async def test_two_clients_talk_encrypted(element: Maker) -> None:
    async with await element("ela") as ela, await element("emil") as emil:
        room = await _room(ela, emil)
        first = await ela.send_text(room, "hello")
        received = await emil.wait_text("hello", room_id=room)
        assert (received.event_id, received.sender) == (first, ela.user_id)
        assert received.decrypted
        assert (received.shield, received.shield_reason) == ("red", "unsigned_device")
        answer = await emil.reply(room, first, "hello yourself")
        assert (await ela.wait_text("hello yourself")).decrypted
        edit = await emil.edit(room, answer, "hi yourself")
        assert (await ela.wait_text("* hi yourself")).event_id == edit

        raw = await emil.raw_event(room, first)
        assert raw["type"] == "m.room.encrypted"
        assert "hello" not in str(raw)
        assert raw["content"]["sender_key"] == ela.keys["curve25519"]
        assert 0 < await ela.one_time_keys() <= 50

        clear = await ela.wait_event(await emil.react(room, first, "👍"))
        assert (clear.type, clear.wire_type) == ("m.reaction", "m.reaction")
        hidden = await ela.wait_event(await emil.react(room, first, "🎉", encrypted=True))
        assert (hidden.type, hidden.wire_type) == ("m.reaction", "m.room.encrypted")
        assert hidden.content["m.relates_to"]["key"] == "🎉"


async def test_two_users_verify_each_other(element: Maker) -> None:
    async with await element("fritz") as fritz, await element("frida") as frida:
        for each in fritz, frida:
            await each.set_up(backup=False)
        room = await _room(fritz, frida)
        assert not (await fritz.devices(frida.user_id))[frida.device_id].verified
        asking = await fritz.verify(frida.user_id, frida.device_id)
        asked = await frida.wait_verification(sender=fritz.user_id)
        await _compare(asking, asked)
        await asking.confirm()
        await asked.confirm()
        for each, other in (fritz, frida), (frida, fritz):
            await each.wait_devices(other.user_id, _cross_signed(other))
            assert await each.user_verified(other.user_id)
        assert (await asking.wait_phase("done")).cancel_code is None
        assert (await asked.wait_phase("done")).cancel_code is None
        await fritz.send_text(room, "it is me")
        assert (await frida.wait_text("it is me")).shield == "none"


async def test_other_emojis_end_a_verification(element: Maker) -> None:
    async with await element("gerd") as gerd, await element("gabi") as gabi:
        for each in gerd, gabi:
            await each.set_up(backup=False)
        room = await _room(gerd, gabi)
        asking = await gerd.verify_in_room(gabi.user_id, room)
        asked = await gabi.wait_verification()
        assert asked.state.room_id == room
        await _compare(asking, asked)
        await asked.mismatch()
        for side in asking, asked:
            assert (await side.wait_phase("cancelled")).cancel_code == "m.mismatched_sas"
        assert not (await gerd.devices(gabi.user_id))[gabi.device_id].verified
        asking = await gabi.verify(gerd.user_id, gerd.device_id)
        asked = await gerd.wait_verification()
        await asked.cancel()
        assert (await asking.wait_phase("cancelled")).cancel_code == "m.user"


async def test_the_recovery_key_gives_a_new_device_the_history(element: Maker) -> None:
    async with await element("hans") as hans, await element("hilde") as hilde:
        recovery_key = await hans.set_up()
        room = await _room(hans, hilde)
        text = await hilde.send_text(room, "remember this")
        await hans.wait_decrypted(text)
        await hans.back_up()
        async with await element("hans", "tablet") as tablet:
            unread = await tablet.wait_undecryptable(text)
            assert unread.failure == "HISTORICAL_MESSAGE_BACKUP_UNCONFIGURED"
            assert unread.content == {}
            with pytest.raises(PeerError, match="bad MAC"):
                await tablet.recover("EsTc LW2K PGiF wKEA 3As5 g5c4 BXwk qeeJ ZJV8 Q9fu gUMN UE4d")
            assert not (await tablet.devices(hans.user_id))[hans.device_id].verified
            assert await tablet.recover(recovery_key) == 1
            assert (await tablet.wait_decrypted(text)).body == "remember this"
            for each, other in (hans, tablet), (tablet, hans):
                await each.wait_devices(other.user_id, _cross_signed(other))


async def test_a_device_asks_another_one_of_its_user_for_a_key(element: Maker) -> None:
    async with await element("ida") as ida, await element("ingo") as ingo:
        recovery_key = await ida.set_up(backup=False)
        room = await _room(ida, ingo)
        text = await ingo.send_text(room, "told to one")
        await ida.wait_decrypted(text)
        async with await element("ida", "tablet") as tablet:
            await tablet.wait_undecryptable(text)
            assert await tablet.recover(recovery_key) == 0
            await ida.wait_devices(ida.user_id, _cross_signed(tablet))
            await tablet.ask_for_keys()
            await tablet.retry(text)
            assert (await tablet.wait_decrypted(text)).body == "told to one"


async def test_keys_are_withheld_from_who_is_not_verified(element: Maker) -> None:
    async with await element("jan") as jan, await element("jule") as jule:
        room = await _room(jan, jule)
        await jule.wait_decrypted(await jan.send_text(room, "for all"))
        await jan.send_to_verified_only()
        withheld = await jule.wait_undecryptable(await jan.send_text(room, "for friends"))
        assert withheld.failure == "MEGOLM_KEY_WITHHELD_FOR_UNVERIFIED_DEVICE"
        assert "unverified" in str(withheld.failure_text)
        await jan.send_to_verified_only(False)
        await jule.wait_decrypted(await jan.send_text(room, "for all again"))


async def test_a_session_is_used_until_it_is_rotated(element: Maker) -> None:
    async with await element("jutta") as jutta, await element("jonas") as jonas:
        room = await _room(jutta, jonas)

        async def session(text: str) -> str:
            event = await jutta.send_text(room, text)
            await jonas.wait_decrypted(event)
            return str((await jonas.raw_event(room, event))["content"]["session_id"])

        first = await session("one")
        assert await session("two") == first
        await jutta.rotate(room)
        assert await session("three") != first


async def test_what_is_forged_is_not_decrypted_but_a_repetition_is(element: Maker) -> None:
    async with await element("karl") as karl, await element("kira") as kira:
        room = await _room(karl, kira)
        message = {"msgtype": "m.text", "body": "as it was"}
        good = await karl.encrypt(room, "m.room.message", message)
        cipher = good["ciphertext"]
        bad = cipher[:40] + ("A" if cipher[40] != "A" else "B") + cipher[41:]
        broken = await karl.send_raw(room, {**good, "ciphertext": bad})
        assert (await kira.wait_undecryptable(broken)).failure == "UNKNOWN_ERROR"
        await kira.wait_decrypted(await karl.send_raw(room, good))
        # The same ciphertext once more: this client does not mind, so ours is better tested by it.
        await kira.wait_decrypted(await karl.send_raw(room, good))
        clear = await karl.send_raw(room, message, "m.room.message")
        assert not (await kira.wait_event(clear)).decrypted


async def test_a_kept_device_comes_back_and_is_gone_after_logging_out(element: Maker) -> None:
    async with await element("lars") as lars:
        lena = await element("lena", keep=True)
        async with lena:
            room = await _room(lars, lena)
            first = await lars.send_text(room, "before")
            await lena.wait_text("before")
            device = lena.device_id
        away = await lars.send_text(room, "meanwhile")
        lena = await element("lena", keep=True)
        async with lena:
            assert lena.device_id == device
            assert (await lena.wait_decrypted(first)).body == "before"
            assert (await lena.wait_decrypted(away)).body == "meanwhile"
            await lena.log_out()
            await lars.wait_devices(lena.user_id, lambda devices: device not in devices)


async def test_a_client_that_cannot_start_or_ends_says_why(element: Maker) -> None:
    mona = await element("mona")
    wrong = Element(mona.url, "mona", "wrong", directory=mona.log.parent)
    with pytest.raises(PeerError, match="Invalid username or password"):
        await wrong.connect()
    await wrong.disconnect()
    async with mona:
        with pytest.raises(PeerError, match="M_NOT_FOUND"):
            await mona.raw_event("!nowhere:localhost", "$nothing")
        mona.process.kill()
        with pytest.raises(PeerError, match=r"mona (has ended|is not connected)"):
            await mona.one_time_keys()
    with pytest.raises(PeerError, match="mona is not connected"):
        await mona.one_time_keys()
