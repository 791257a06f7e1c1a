# SPDX-License-Identifier: Apache-2.0
"""What contacts show of themselves: to whom it is told, at which pace, and what it costs."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import io
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path
from xml.etree.ElementTree import Element, fromstring

import pytest
import pytest_asyncio
from PIL import Image

from gateway.bridge.accounts import Account
from gateway.bridge.contacts.profiles import Profiles
from gateway.ids import RemoteUserId, UserJid
from gateway.store import Transaction, contacts
from gateway.xmpp.client_caps import version
from tests.scenario.house import GATEWAY, House, Options
from tests.scenario.test_presence import CAROL, with_contacts
from tests.scenario.test_room_avatars import is_of, png
from tests.scenario.test_rooms import _received
from tests.scenario.test_stream import ALICE, running
from tests.unit.media.test_images import bomb

CARD = "<vCard xmlns='vcard-temp'/>"
TEMP = "{vcard-temp}"
INFO = "http://jabber.org/protocol/disco#info"
METADATA, NICK = "urn:xmpp:avatar:metadata", "http://jabber.org/protocol/nick"
BOB = f"bob@{GATEWAY}"
_EVENT = "{http://jabber.org/protocol/pubsub#event}"


@pytest_asyncio.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    """With a network that has pictures."""
    async with House(tmp_path, Options(adapter="illustrated")) as house:
        house.network.avatars |= {"p-bob": png("red"), "p-new": png("green")}
        yield house


def _answer(*features: str) -> str:
    inner = "".join(f"<feature var='{feature}'/>" for feature in (INFO, *features))
    return f"<identity category='client' type='phone' name='App'/>{inner}"


WANTS_ALL = _answer(f"{METADATA}+notify", f"{NICK}+notify")


async def _comes(house: House, device: str, answer: str = WANTS_ALL) -> None:
    """A device comes online and says what it can do."""
    query = Element("query")
    query.extend(_parsed(answer))
    ver = version(query, "sha-1")
    caps = f"<c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='x' ver='{ver}'/>"
    house.server.send(f"<presence from='{device}' to='{GATEWAY}'>{caps}</presence>")
    await house.clock.settle()
    for asked in _received(house):
        if asked.tag.endswith("iq") and asked.get("to") == device:
            house.server.send(
                f"<iq type='result' from='{device}' to='{asked.get('from')}'"
                f" id='{asked.get('id')}'><query xmlns='{INFO}'>{answer}</query></iq>"
            )
    await house.clock.settle()


def _parsed(answer: str) -> list[Element]:
    return list(fromstring(f"<query xmlns='{INFO}'>{answer}</query>"))


def _events(house: House) -> list[tuple[str, str, str]]:
    """Who was told of what, of what waits to be looked at: to, from, node."""
    found = []
    for stanza in _received(house):
        event = stanza.find(f"{_EVENT}event")
        if event is not None:
            assert stanza.get("type") == "headline"
            node = event[0].get("node", "")
            kind = "" if event[0].tag.endswith("items") else "gone "
            found.append((stanza.get("to", ""), stanza.get("from", ""), f"{kind}{node}"))
    return found


def _answer_late(house: House) -> None:
    assert house.network.late
    for answer in house.network.late:
        answer()
    house.network.late.clear()


async def _befriend(house: House, user: str, contact: str = BOB) -> None:
    for kind in ("subscribe", "subscribed"):
        house.server.send(f"<presence type='{kind}' from='{user}' to='{contact}'/>")
        await house.clock.settle()


def _profile(house: House, account: str, contact: str, name: str, avatar: str) -> None:
    house.network.event(account, "profile", contact=contact, name=name, avatar=avatar)


async def _asked(house: House, user: str, of: str, payload: str) -> list[Element]:
    """The answer to a question; nothing else is looked at."""
    house.server.send(f"<iq type='get' from='{user}/x' to='{of}' id='asked'>{payload}</iq>")
    await house.clock.settle()
    return [one for one in _received(house) if one.get("id") == "asked"]


async def _photo(house: House, user: str, of: str = BOB) -> bytes:
    (card,) = await _asked(house, user, of, CARD)
    return base64.b64decode(card.findtext(f"{TEMP}vCard/{TEMP}PHOTO/{TEMP}BINVAL", ""))


async def test_req_801_a_fresh_contact_has_a_name_and_a_picture_within_10_s(house: House) -> None:
    house.network.people["bob"] = "Bob B"
    house.network.faces["bob"] = "p-bob"
    await running(house)
    await _comes(house, f"{ALICE}/phone")
    await house.clock.advance(2)
    _received(house)
    await _befriend(house, ALICE)
    await house.clock.advance(9)
    told = _events(house)
    assert (f"{ALICE}/phone", BOB, NICK) in told
    assert (f"{ALICE}/phone", BOB, METADATA) in told
    assert is_of("red", await _photo(house, ALICE))


async def test_req_307_each_user_sees_a_shared_contact_as_their_own_account_does(
    house: House,
) -> None:
    await running(house)
    await house.link(CAROL, "carol")
    for user in (ALICE, CAROL):
        await _befriend(house, user)
        await _comes(house, f"{user}/phone")
    await house.clock.advance(15)
    _received(house)
    _profile(house, "alice", "bob", "Bobby", "p-bob")
    _profile(house, "carol", "bob", "Robert", "")
    await house.clock.settle()
    assert sorted(_events(house)) == [
        (f"{ALICE}/phone", BOB, NICK),
        (f"{ALICE}/phone", BOB, METADATA),
        (f"{CAROL}/phone", BOB, f"gone {METADATA}"),
        (f"{CAROL}/phone", BOB, NICK),
        (f"{CAROL}/phone", BOB, METADATA),
    ]
    assert is_of("red", await _photo(house, ALICE))
    assert await _photo(house, CAROL) == b""
    hash = hashlib.sha1(await _photo(house, ALICE)).hexdigest()
    asked = (
        "<pubsub xmlns='http://jabber.org/protocol/pubsub'>"
        f"<items node='urn:xmpp:avatar:data'><item id='{hash}'/></items></pubsub>"
    )
    (of_alice,) = await _asked(house, ALICE, BOB, asked)
    (of_carol,) = await _asked(house, CAROL, BOB, asked)
    assert (of_alice.get("type"), of_carol.get("type")) == ("result", "error")


async def test_req_340_whoever_sees_nothing_of_a_contact_is_told_nothing(house: House) -> None:
    await running(house)
    await _befriend(house, ALICE)
    await _comes(house, f"{ALICE}/phone")
    await house.clock.advance(15)
    _received(house)
    house.server.send(f"<presence type='unsubscribe' from='{ALICE}' to='{BOB}'/>")
    await house.clock.settle()
    _profile(house, "alice", "bob", "Bobby", "p-bob")
    await house.clock.settle()
    assert _events(house) == []
    assert house.network.fetched == []


async def test_req_137_of_somebody_blocked_no_device_is_told_a_name_or_picture(
    house: House,
) -> None:
    await running(house)
    await _befriend(house, ALICE)
    await _comes(house, f"{ALICE}/phone")
    await house.clock.advance(15)
    _received(house)
    house.network.event("alice", "room-ignored", users=["bob"])
    _profile(house, "alice", "bob", "Bobby", "p-bob")
    await house.clock.advance(5)
    assert _events(house) == []
    house.network.event("alice", "room-ignored", users=[])
    await house.clock.advance(5)
    assert sorted(_events(house)) == [
        (f"{ALICE}/phone", BOB, NICK),
        (f"{ALICE}/phone", BOB, METADATA),
    ]


async def test_req_340_a_device_is_told_of_5000_contacts_at_a_pace(house: House) -> None:
    await running(house)
    people = await with_contacts(house, ALICE, 5_000)
    account = house.bridge.accounts.of(UserJid(ALICE))
    assert account is not None
    number = account.id

    def unit(db: Transaction) -> None:
        for index in range(5_000):
            one = RemoteUserId(f"p{index}")
            contacts.put(db, number, one, replace(contacts.get(db, number, one), name="Name"))

    await house.store.write(unit)
    house.network.says("alice", "p4321", "hello")
    await house.clock.settle()
    await _comes(house, f"{ALICE}/phone")
    # A server that asks for presence itself: else all that comes first.
    house.server.send(f"<presence type='probe' from='{ALICE}' to='{people[0]}'/>")
    await house.clock.advance(2)
    first = [sender for _, sender, _ in _events(house) if sender != GATEWAY]
    assert first[0] == f"p4321@{GATEWAY}"
    told = first
    for _ in range(20):
        await house.clock.advance(1)
        some = [sender for _, sender, _ in _events(house)]
        assert len(some) <= 25
        told += some
    assert len(told) == len(set(told))
    assert 300 < len(told) < 500
    house.server.send(f"<presence type='unavailable' from='{ALICE}/phone' to='{GATEWAY}'/>")
    await house.clock.advance(30)
    assert len(_events(house)) <= 20
    assert set(told) < set(people)


async def test_req_306_a_device_that_comes_and_goes_is_no_growing_work(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its connection is bad; it says each time what it can do, and its user has many contacts."""
    looks: list[str] = []
    seen_by = Profiles.seen_by

    def look(profiles: Profiles, account: Account) -> Sequence[RemoteUserId]:
        looks.append(account.user)
        return seen_by(profiles, account)

    monkeypatch.setattr(Profiles, "seen_by", look)
    await running(house)
    await with_contacts(house, ALICE, 500)
    phone = f"{ALICE}/phone"
    await _comes(house, phone)
    await house.clock.advance(4)
    assert len(looks) == 1
    before = len(asyncio.all_tasks())
    for _ in range(50):
        house.server.send(f"<presence type='unavailable' from='{phone}' to='{GATEWAY}'/>")
        await _comes(house, phone)
        await house.clock.advance(1)
    assert len(looks) == 1
    assert len(asyncio.all_tasks()) <= before + 2
    await house.clock.advance(5)
    assert len(looks) == 2
    await house.clock.advance(60)
    _received(house)
    await house.clock.advance(60)
    assert len(asyncio.all_tasks()) < before + 2


async def test_req_143_a_restart_tells_nobody_what_they_know(house: House) -> None:
    await running(house)
    await _befriend(house, ALICE)
    await _comes(house, f"{ALICE}/phone")
    _profile(house, "alice", "bob", "Bobby", "p-bob")
    await house.clock.advance(40)
    _received(house)
    await house.kill()
    await house.start()
    await house.connected()
    await house.clock.settle()
    await _comes(house, f"{ALICE}/phone")
    await house.clock.advance(60)
    assert _events(house) == []
    _profile(house, "alice", "bob", "Bobby", "p-new")
    await house.clock.settle()
    for asked in _received(house):  # what the client can do is not known any more
        if asked.tag.endswith("iq"):
            house.server.send(
                f"<iq type='result' from='{ALICE}/phone' to='{GATEWAY}' id='{asked.get('id')}'>"
                f"<query xmlns='{INFO}'>{WANTS_ALL}</query></iq>"
            )
    await house.clock.settle()
    assert _events(house) == [(f"{ALICE}/phone", BOB, METADATA)]


async def test_req_340_a_device_that_comes_soon_after_the_start_is_told(house: House) -> None:
    """Its server has answered long ago that nobody was there."""
    await running(house)
    await _befriend(house, ALICE)
    await _befriend(house, ALICE, GATEWAY)
    _profile(house, "alice", "bob", "Bobby", "p-bob")
    await house.clock.advance(40)
    await house.stop()
    await house.start()
    await house.connected()
    await house.clock.advance(10)
    await _comes(house, f"{ALICE}/phone")
    _received(house)
    await house.clock.advance(5)
    told = _events(house)
    assert (f"{ALICE}/phone", BOB, NICK) in told
    assert (f"{ALICE}/phone", BOB, METADATA) in told


async def test_req_345_who_asks_while_a_picture_is_fetched_is_answered_with_it(
    house: House,
) -> None:
    await running(house)
    await _befriend(house, ALICE)
    house.network.late = []
    _profile(house, "alice", "bob", "Bobby", "p-bob")
    await house.clock.settle()
    _received(house)
    card = f"<iq type='get' from='{ALICE}/x' to='{BOB}' id='c'>{CARD}</iq>"
    house.server.send(card)
    await house.clock.advance(3)
    assert [one.get("id") for one in _received(house)] == []
    _answer_late(house)
    await house.clock.settle()
    (answer,) = [one for one in _received(house) if one.get("id") == "c"]
    assert answer.find(f"{TEMP}vCard/{TEMP}PHOTO") is not None


async def test_req_345_nobody_waits_for_a_picture_for_long(house: House) -> None:
    await running(house)
    await _befriend(house, ALICE)
    house.network.late = []
    _profile(house, "alice", "bob", "Bobby", "p-bob")
    await house.clock.settle()
    _received(house)
    node = "<pubsub xmlns='http://jabber.org/protocol/pubsub'><items node='{}'/></pubsub>"
    asked = node.format("urn:xmpp:avatar:metadata")
    house.server.send(f"<iq type='get' from='{ALICE}/x' to='{BOB}' id='m'>{asked}</iq>")
    await house.clock.advance(10)
    (answer,) = [one for one in _received(house) if one.get("id") == "m"]
    assert answer.get("type") == "error"


async def test_req_347_what_cannot_be_fetched_is_tried_again(house: House) -> None:
    await running(house)
    await _befriend(house, ALICE)
    await house.clock.advance(60)
    _received(house)
    house.network.faults.append({"error": "transient", "text": "not now"})
    _profile(house, "alice", "bob", "Bobby", "p-bob")
    await house.clock.advance(30)
    assert house.network.fetched == ["p-bob"]
    assert await _photo(house, ALICE) == b""
    await house.clock.advance(120)
    assert house.network.fetched == ["p-bob", "p-bob"]
    assert is_of("red", await _photo(house, ALICE))


async def test_req_743_pictures_of_contacts_go_with_the_account(house: House) -> None:
    await running(house)
    await _befriend(house, ALICE)
    _profile(house, "alice", "bob", "Bobby", "p-bob")
    await house.clock.settle()
    assert house.query("SELECT count(*) FROM picture") == [(1,)]
    account = house.bridge.accounts.of(UserJid(ALICE))
    assert account is not None
    await house.bridge.logins.unregister(account)
    await house.clock.advance(30)
    assert house.query("SELECT count(*) FROM picture") == [(0,)]
    assert house.query("SELECT count(*) FROM avatar") == [(0,)]


async def test_req_346_what_strangers_hide_in_pictures_reaches_nobody(house: House) -> None:
    """What moves stands still and says no more who made it; what would fill the memory is none."""
    frames, exif = [Image.new("RGB", (300, 200), it) for it in ("red", "blue")], Image.Exif()
    exif[0x010F] = "secret camera"
    moves = io.BytesIO()
    frames[0].save(moves, "WEBP", save_all=True, append_images=frames[1:], exif=exif)
    assert b"secret" in moves.getvalue()
    house.network.avatars |= {"p-moves": moves.getvalue(), "p-bomb": bomb(5_001, 5_000)}
    await running(house)
    await _befriend(house, ALICE)
    _profile(house, "alice", "bob", "Bob", "p-moves")
    await house.clock.settle()
    data = await _photo(house, ALICE)
    assert b"secret" not in data
    with Image.open(io.BytesIO(data)) as shown:
        assert (getattr(shown, "n_frames", 1), shown.size) == (1, (256, 171))
        red, _, blue = shown.convert("RGB").resize((1, 1)).tobytes()
    assert red > 200 > 50 > blue
    _profile(house, "alice", "bob", "Bob", "p-bomb")
    await house.clock.settle()
    assert await _photo(house, ALICE) == b""
    (logged,) = [log for log in house.logs if log["event"] == "picture_left_out"]
    assert logged["reason"] == "it has 5001 x 5000 pixels"
