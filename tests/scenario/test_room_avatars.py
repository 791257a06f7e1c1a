# SPDX-License-Identifier: Apache-2.0
"""Pictures of rooms and of those in them: fetched, made small, told, asked for, given."""

from __future__ import annotations

import base64
import hashlib
import io
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element

import pytest
import pytest_asyncio
from PIL import Image

from gateway.store.pruning import prune_avatars
from tests.scenario.house import GATEWAY, House, Options
from tests.scenario.test_rooms import _ask, _join, _received
from tests.scenario.test_stream import ALICE, running

UPDATE = "{vcard-temp:x:update}"
TEMP = "{vcard-temp}"
ROOM = f"#club-fdf4599621a1f940@{GATEWAY}"
MUC_USER = "{http://jabber.org/protocol/muc#user}"
CARD = "<vCard xmlns='vcard-temp'/>"


@pytest_asyncio.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    """With a network that has pictures."""
    async with House(tmp_path, Options(adapter="illustrated")) as house:
        yield house


def png(colour: str, size: int = 300) -> bytes:
    """A picture."""
    made = io.BytesIO()
    Image.new("RGB", (size, size), colour).save(made, "PNG")
    return made.getvalue()


def member(user: str, avatar: str = "", **more: Any) -> dict[str, Any]:
    return {"user": user, "name": user.capitalize(), "avatar": avatar, **more}


async def _club(house: House, *members: dict[str, Any], **room: Any) -> None:
    """Alice is in a room with these, and no session is."""
    await running(house)
    house.network.avatars |= {
        "p-club": png("navy"), "p-bob": png("red"), "p-new": png("green"), "p-alice": png("pink"),
    }  # fmt: skip
    listed = [member("alice", "p-alice"), *members]
    house.network.event(
        "alice", "room", room="!club", **{"name": "Club", "members": listed, **room}
    )
    await house.clock.settle()
    await house.clock.advance(5)
    _received(house)
    ((localpart,),) = house.query("SELECT localpart FROM address WHERE remote_id = '!club'")
    assert f"{localpart}@{GATEWAY}" == ROOM


async def _in(house: House) -> list[Element]:
    """All that is told to a session that joins, with the pictures."""
    return [*await _join(house, ROOM), *_received(house)]


def _photos(stanzas: Sequence[Element], nick: str) -> list[str | None]:
    """What an occupant's presences said of their picture; None if nothing."""
    sender = f"{ROOM}/{nick}" if nick else ROOM
    return [
        found.findtext(f"{UPDATE}photo")
        for one in stanzas
        if one.tag.endswith("presence") and one.get("from") == sender
        and (found := one.find(f"{UPDATE}x")) is not None
    ]  # fmt: skip


def _statuses(stanzas: Sequence[Element]) -> list[str | None]:
    return [
        status.get("code")
        for one in stanzas
        if one.tag.endswith("message")
        for status in one.iter(f"{MUC_USER}status")
    ]


async def _photo(house: House, to: str) -> bytes:
    """That of the vCard of somebody."""
    (card,) = await _ask(house, to, CARD, "get")
    assert card.get("type") == "result"
    coded = card.findtext(f"{TEMP}vCard/{TEMP}PHOTO/{TEMP}BINVAL", "")
    return base64.b64decode(coded)


def is_of(colour: str, data: bytes) -> bool:
    with Image.open(io.BytesIO(data)) as picture:
        return picture.size == (256, 256) and picture.convert("RGB").getpixel((9, 9)) == Image.new(
            "RGB", (1, 1), colour
        ).getpixel((0, 0))


async def test_req_594_the_hash_of_an_occupant_comes_when_it_is_known(house: House) -> None:
    await _club(house, member("bob", "p-bob"), member("eve"))
    assert house.network.fetched == []
    told = await _in(house)
    data = await _photo(house, f"{ROOM}/Bob")
    assert is_of("red", data)
    assert _photos(told, "Bob") == [None, hashlib.sha1(data).hexdigest()]
    assert _photos(told, "Eve") == [""]
    again = await _in(house)
    assert _photos(again, "Bob") == [hashlib.sha1(data).hexdigest()]
    assert sorted(house.network.fetched) == ["p-alice", "p-bob"]


async def test_req_594_another_picture_is_told_when_it_is_there(house: House) -> None:
    await _club(house, member("bob", "p-bob"))
    await _in(house)
    house.network.event("alice", "member", room="!club", member=member("bob", "p-new"))
    await house.clock.settle()
    told = _received(house)
    data = await _photo(house, f"{ROOM}/Bob")
    assert is_of("green", data)
    assert _photos(told, "Bob") == [hashlib.sha1(data).hexdigest()]
    house.network.event("alice", "member", room="!club", member=member("bob"))
    await house.clock.settle()
    assert _photos(_received(house), "Bob") == [""]
    assert await _photo(house, f"{ROOM}/Bob") == b""


async def test_req_594_a_picture_survives_a_restart_and_is_not_fetched_again(
    house: House,
) -> None:
    await _club(house, member("bob", "p-bob"), avatar="p-club")
    hashes = _photos(await _in(house), "Bob")
    house.network.fetched.clear()
    await house.kill()
    await house.start()
    await house.connected()
    await house.clock.advance(60)
    _received(house)
    assert _photos(await _in(house), "Bob") == hashes[-1:]
    assert house.network.fetched == []


async def test_req_594_what_was_not_there_before_a_crash_is_fetched_after_it(
    house: House,
) -> None:
    await _club(house, member("bob", "p-bob"))
    house.network.avatars.clear()
    await _in(house)
    house.network.avatars["p-bob"] = png("red")
    await house.kill()
    await house.start()
    await house.connected()
    await house.clock.advance(120)
    _received(house)
    assert is_of("red", await _photo(house, f"{ROOM}/Bob"))


async def test_req_593_the_picture_of_a_room(house: House) -> None:
    await _club(house, avatar="p-club")
    told = await _in(house)
    data = await _photo(house, ROOM)
    digest = hashlib.sha1(data).hexdigest()
    assert is_of("navy", data)
    assert _photos(told, "") == [digest]
    assert _statuses(told).count("104") == 1
    (info,) = await _ask(
        house, ROOM, "<query xmlns='http://jabber.org/protocol/disco#info'/>", "get"
    )
    fields = {field.get("var"): field for field in info.iter("{jabber:x:data}field")}
    assert fields["muc#roominfo_avatarhash"].findtext("{jabber:x:data}value") == digest

    again = await _join(house, ROOM)
    froms = [one.get("from") for one in again if one.tag.endswith("presence")]
    assert froms == [f"{ROOM}/Alice", ROOM]
    assert _photos(again, "") == [digest]


async def test_req_593_542_the_picture_of_a_room_changes_and_goes(house: House) -> None:
    await _club(house, avatar="p-club")
    await _in(house)
    house.network.event("alice", "room", room="!club", name="Club", avatar="p-new")
    await house.clock.settle()
    told = _received(house)
    assert _statuses(told) == ["104"]
    assert _photos(told, "") == [hashlib.sha1(await _photo(house, ROOM)).hexdigest()]
    house.network.event("alice", "room", room="!club", name="Club")
    await house.clock.settle()
    told = _received(house)
    assert _statuses(told) == ["104"]
    assert _photos(told, "") == [""]
    (info,) = await _ask(
        house, ROOM, "<query xmlns='http://jabber.org/protocol/disco#info'/>", "get"
    )
    assert "muc#roominfo_avatarhash" not in [
        field.get("var") for field in info.iter("{jabber:x:data}field")
    ]


async def test_req_552_what_is_published_of_an_occupant(house: House) -> None:
    await _club(house, member("bob", "p-bob"), member("eve"))
    await _in(house)
    bob, data = f"{ROOM}/Bob", await _photo(house, f"{ROOM}/Bob")
    digest = hashlib.sha1(data).hexdigest()

    async def items(node: str, item: str = "", of: str = bob) -> Element:
        wanted = f"<items node='{node}'>{f'<item id={item!r}/>' if item else ''}</items>"
        query = f"<pubsub xmlns='http://jabber.org/protocol/pubsub'>{wanted}</pubsub>"
        (answer,) = await _ask(house, of, query, "get")
        return answer

    told = await items("urn:xmpp:avatar:metadata")
    info = next(told.iter("{urn:xmpp:avatar:metadata}info")).attrib
    assert info == {
        "bytes": str(len(data)), "id": digest, "type": "image/png", "width": "256",
        "height": "256",
    }  # fmt: skip
    told = await items("urn:xmpp:avatar:data", digest)
    assert base64.b64decode(told.findtext(".//{urn:xmpp:avatar:data}data", "")) == data
    assert (await items("urn:xmpp:avatar:data", "0" * 40)).get("type") == "error"
    assert (await items("urn:xmpp:avatar:metadata", of=f"{ROOM}/Eve")).get("type") == "error"
    card = (await items("urn:xmpp:vcard4")).find(".//{urn:ietf:params:xml:ns:vcard-4.0}vcard")
    (asked,) = await _ask(house, bob, "<vcard xmlns='urn:ietf:params:xml:ns:vcard-4.0'/>", "get")
    for found in (card, asked[0]):
        assert found is not None
        texts = [one.text for one in found.iter() if one.text]
        assert texts[:2] == ["Bob", "individual"]
        assert base64.b64decode(texts[2].removeprefix("data:image/png;base64,")) == data


@pytest.mark.parametrize("nick", ["Bob", "Alice"])
async def test_req_552_709_nobody_learns_an_address_by_asking_an_occupant(
    house: House, nick: str
) -> None:
    """Not even that of the users themselves."""
    await _club(house, member("bob", "p-bob"), is_private=False)
    await _in(house)
    pubsub = "<pubsub xmlns='http://jabber.org/protocol/pubsub'><items node='{}'/></pubsub>"
    for payload in (
        CARD,
        "<vcard xmlns='urn:ietf:params:xml:ns:vcard-4.0'/>",
        "<query xmlns='jabber:iq:version'/>",
        "<query xmlns='jabber:iq:last'/>",
        *map(pubsub.format, ("urn:xmpp:avatar:metadata", "urn:xmpp:avatar:data",
                             "urn:xmpp:vcard4", "http://jabber.org/protocol/nick")),
    ):  # fmt: skip
        (answer,) = await _ask(house, f"{ROOM}/{nick}", payload, "get")
        said = [
            *answer.itertext(),
            *(v for e in answer.iter() if e is not answer for v in e.attrib.values()),
        ]
        assert not any(jid in one for one in said for jid in (ALICE, f"bob@{GATEWAY}"))


async def test_req_552_who_is_not_in_the_room_is_told_nothing(house: House) -> None:
    await _club(house, member("bob", "p-bob"))
    (answer,) = await _ask(house, f"{ROOM}/Bob", CARD, "get")
    assert answer.get("type") == "error"


async def test_req_330_the_person_has_the_picture_of_the_occupant(house: House) -> None:
    """In private rooms Converse.js asks the person, whom it knows there."""
    await _club(house, member("bob", "p-bob"))
    await _in(house)
    assert is_of("red", await _photo(house, f"bob@{GATEWAY}"))
    assert await _photo(house, f"eve@{GATEWAY}") == b""


def _ask_cards(house: House, *nicks: str) -> None:
    """Of occupants, and of people, by names in lower case."""
    for nick in nicks:
        to = f"{ROOM}/{nick}" if nick[0].isupper() else f"{nick}@{GATEWAY}"
        asks = f"type='get' id='{nick}' from='{ALICE}/phone' to='{to}'"
        house.server.send(f"<iq {asks}>{CARD}</iq>")


async def _answered(house: House) -> dict[str | None, bytes]:
    """The pictures of cards that have come, by the ids of the questions."""
    await house.clock.settle()
    return {
        one.get("id"): base64.b64decode(one.findtext(f"{TEMP}vCard/{TEMP}PHOTO/{TEMP}BINVAL", ""))
        for one in _received(house)
        if one.tag.endswith("iq") and one.get("type") == "result"
    }


async def let_go(house: House) -> None:
    """The network answers what it has kept back."""
    assert house.network.late is not None
    answers, house.network.late[:] = list(house.network.late), []
    for answer in answers:
        answer()
    await house.clock.settle()


async def test_req_330_552_who_asks_while_a_picture_is_fetched_is_answered_with_it(
    house: House,
) -> None:
    """Converse.js 14 asks once, and never again, whatever hash it is told."""
    crowd = [member(f"m{number}", f"p-{number}") for number in range(30)]
    await _club(house, *crowd, member("eve"))
    house.network.avatars |= {f"p-{number}": png("gold") for number in range(30)}
    house.network.late = []
    for number in range(30):
        said = {"room": "!club", "sender": f"m{number}", "id": f"s{number}", "body": "hi"}
        house.network.event("alice", "room-message", **said, sent_at=house.clock.now())
        await house.clock.advance(1)
    await _in(house)
    under_way = list(house.network.fetched)
    assert len(under_way) == 2
    _ask_cards(house, "M3", "m4", "Eve", "eve")
    assert await _answered(house) == {"Eve": b"", "eve": b""}
    await let_go(house)
    assert house.network.fetched == [*under_way, "p-3", "p-4"]
    assert await _answered(house) == {}
    await let_go(house)
    came = await _answered(house)
    assert sorted(map(str, came)) == ["M3", "m4"]
    assert all(is_of("gold", data) for data in came.values())
    while house.network.late:
        await let_go(house)
    assert len(house.network.fetched) == len(set(house.network.fetched)) == 31


async def test_req_330_552_nobody_waits_for_long_for_a_picture(house: House) -> None:
    await _club(house, member("bob", "p-bob"), member("eve", "p-lost"))
    house.network.late = []
    await _in(house)
    _ask_cards(house, "Bob", "bob", "Eve")
    assert await _answered(house) == {}
    await let_go(house)
    await let_go(house)
    came = await _answered(house)
    assert came.pop("Eve") == b""
    assert sorted(map(str, came)) == ["Bob", "bob"]

    house.network.event("alice", "member", room="!club", member=member("bob", "p-new"))
    await house.clock.advance(6)
    _ask_cards(house, "Bob", "bob")
    await house.clock.advance(9)
    assert await _answered(house) == {}
    await house.clock.advance(1)
    assert await _answered(house) == {"Bob": b"", "bob": b""}
    await let_go(house)
    _received(house)
    assert is_of("green", await _photo(house, f"{ROOM}/Bob"))


async def test_only_who_is_seen_is_fetched_and_the_newest_speakers_first(house: House) -> None:
    crowd = [member(f"m{number}", f"p-{number}") for number in range(250)]
    await _club(house, *crowd)
    for number in (7, 9):
        said = {"room": "!club", "sender": f"m{number}", "id": f"s{number}", "body": "hi"}
        house.network.event("alice", "room-message", **said, sent_at=house.clock.now())
        await house.clock.advance(1)
    house.network.avatars |= {f"p-{number}": png("gold", 8) for number in range(250)}
    assert house.network.fetched == []
    await _in(house)
    assert house.network.fetched[:2] == ["p-9", "p-7"]
    assert sorted(house.network.fetched) == ["p-7", "p-9", "p-alice"]


async def test_a_picture_that_cannot_be_fetched_is_tried_again_and_not_for_ever(
    house: House,
) -> None:
    await _club(house, member("bob", "p-lost"))
    await _in(house)
    await house.clock.advance(130)
    assert house.network.fetched.count("p-lost") == 2
    house.network.avatars["p-lost"] = png("red")
    await house.clock.advance(700)
    _received(house)
    assert is_of("red", await _photo(house, f"{ROOM}/Bob"))

    house.network.event("alice", "member", room="!club", member=member("bob", "p-never"))
    for wait_s in (60, 600, 3_600, 21_600, 86_400, 86_400, 86_400):
        await house.clock.leap(wait_s)
        await house.clock.advance(70)
    assert house.network.fetched.count("p-never") == 6
    assert _photos(_received(house), "Bob")[-1] == ""


async def test_a_network_that_asks_to_wait_is_not_asked_meanwhile(house: House) -> None:
    await _club(house, *(member(f"m{number}", f"p-{number}") for number in range(9)))
    house.network.faults += [{"error": "rate", "text": "Slowly!", "retry_after_s": 300}] * 2
    await _in(house)
    await house.clock.advance(290)
    assert len(house.network.fetched) == 2
    await house.clock.advance(20)
    assert len(house.network.fetched) > 2


async def test_a_bad_picture_is_left_out_quietly(house: House) -> None:
    house.network.avatars["p-bad"] = b"<svg xmlns='http://www.w3.org/2000/svg'>secret</svg>"
    await _club(house, member("bob", "p-bad"), member("eve", "p-bob"))
    told = await _in(house)
    assert _photos(told, "Bob") == [None, ""]
    assert is_of("red", await _photo(house, f"{ROOM}/Eve"))
    (logged,) = [log for log in house.logs if log["event"] == "picture_left_out"]
    assert logged["log_level"] == "info"
    assert "secret" not in str(house.logs)


async def _prune(house: House) -> None:
    await house.clock.leap(3 * 86_400)
    await house.store.write(lambda db: prune_avatars(db, house.clock.now() - 86_400))


async def test_pictures_are_kept_once_and_go_with_those_who_have_them(house: House) -> None:
    await _club(house, member("bob", "p-bob"), member("eve", "p-same"))
    house.network.avatars["p-same"] = house.network.avatars["p-bob"]
    await _in(house)
    assert house.query("SELECT count(*) FROM picture") == [(2,)]
    gone = {"room": "!club", "how": "left"}
    house.network.event("alice", "member-gone", user="bob", **gone)
    await _prune(house)
    assert house.query("SELECT count(*) FROM picture") == [(2,)]
    house.network.event("alice", "member-gone", user="eve", **gone)
    await _prune(house)
    assert house.query("SELECT reference FROM avatar") == [("p-alice",)]
    assert house.query("SELECT count(*) FROM picture") == [(1,)]


async def test_unregistering_wipes_pictures(house: House) -> None:
    await _club(house, member("bob", "p-bob"), avatar="p-club")
    await _in(house)
    account = house.bridge.accounts.of(ALICE)  # type: ignore[arg-type]
    assert account is not None
    await house.bridge.logins.unregister(account)
    for table in ("avatar", "picture"):
        assert house.query(f"SELECT count(*) FROM {table}") == [(0,)]


def _photo_of(data: bytes) -> str:
    coded = base64.b64encode(data).decode()
    photo = f"<PHOTO><TYPE>image/png</TYPE><BINVAL>\n{coded}\n</BINVAL></PHOTO>"
    return f"<vCard xmlns='vcard-temp'>{photo}</vCard>"


async def test_req_593_an_owner_gives_the_room_a_picture(house: House) -> None:
    await _club(house)
    await _in(house)
    (answer,) = await _ask(house, ROOM, _photo_of(png("teal")))
    assert answer.get("type") == "result"
    done = house.network.commands[-1]
    assert (done["do"], done["room"], done["media_type"]) == (
        "SetRoomAvatar", "!club", "image/png",
    )  # fmt: skip
    assert is_of("teal", base64.b64decode(done["data"]))
    (answer,) = await _ask(house, ROOM, CARD)
    assert answer.get("type") == "result"
    assert house.network.commands[-1] == {"op": "manage", "do": "SetRoomAvatar", "room": "!club"}


async def test_req_593_a_picture_that_cannot_be_taken_is_refused(house: House) -> None:
    await _club(house)
    await _in(house)
    for payload, condition in (
        (_photo_of(b"no picture"), "not-acceptable"),
        ("<vCard xmlns='vcard-temp'><PHOTO><BINVAL>!</BINVAL></PHOTO></vCard>", "bad-request"),
    ):
        (answer,) = await _ask(house, ROOM, payload)
        assert [one.tag.rpartition("}")[2] for one in answer.iter()][2:3] == [condition] or (
            condition in str([one.tag for one in answer.iter()])
        )
    house.network.faults.append({"error": "forbidden", "text": "You may not."})
    (answer,) = await _ask(house, ROOM, _photo_of(png("teal")))
    assert "forbidden" in str([one.tag for one in answer.iter()])
    assert "You may not." in "".join(answer.itertext())
    (answer,) = await _ask(house, f"{ROOM}/Alice", _photo_of(png("teal")))
    assert "forbidden" in str([one.tag for one in answer.iter()])
    assert house.network.commands == []


async def test_a_network_without_pictures_says_nothing_of_them(tmp_path: Path) -> None:
    async with House(tmp_path, Options(adapter="plain")) as house:
        await _club(house, member("bob"))
        assert _photos(await _in(house), "Bob") == []
        (answer,) = await _ask(house, ROOM, _photo_of(png("teal")))
        assert "service-unavailable" in str([one.tag for one in answer.iter()])
