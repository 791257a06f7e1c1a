# SPDX-License-Identifier: Apache-2.0
"""Pictures of groups and of the people in them, through real servers and a real client."""

from __future__ import annotations

import base64
import hashlib
import io
from collections.abc import Callable
from pathlib import Path

from PIL import Image, ImageDraw

from tests.e2e.house import House
from tests.e2e.test_groups import _group, _invited, _join
from tests.e2e.test_room_clients import _converse, _party
from tests.peers.xmpp_client import Stanza, XmppClient

_UPDATE = "vcard-temp:x:update"


def face(colour: str, kind: str = "PNG") -> bytes:
    """A picture that can be told from others."""
    drawn = Image.new("RGB", (640, 640), colour)
    draw = ImageDraw.Draw(drawn)
    draw.ellipse((220, 220, 260, 280), "white")
    draw.ellipse((380, 220, 420, 280), "white")
    draw.arc((200, 250, 440, 460), 20, 160, "white", 24)
    made = io.BytesIO()
    drawn.save(made, kind)
    return made.getvalue()


def _hash(stanza: Stanza) -> str | None:
    x = stanza.child(_UPDATE, "x")
    return None if x is None else x.findtext(f"{{{_UPDATE}}}photo")


def _pictured(sender: str) -> Callable[[Stanza], bool]:
    """A presence with the hash of a picture."""

    def found(stanza: Stanza) -> bool:
        said = _hash(stanza) if stanza.kind == "presence" else None
        return stanza.sender == sender and bool(said)

    return found


async def _photo(client: XmppClient, of: str) -> bytes:
    answer = await client.iq(of, "<vCard xmlns='vcard-temp'/>")
    coded = answer.xml.findtext(".//{vcard-temp}BINVAL") or ""
    return base64.b64decode(coded)


def _colour(data: bytes) -> tuple[int, ...]:
    with Image.open(io.BytesIO(data)) as picture:
        pixel = picture.convert("RGB").getpixel((3, 3))
    assert isinstance(pixel, tuple)
    return tuple(round(part / 64) for part in pixel)


async def test_req_593_594_pictures_are_seen(house: House) -> None:
    async with house.linked() as scene:
        alice, bob = scene.alice, scene.bob
        await bob.set_avatar(await bob.upload(face("crimson"), "image/png"))
        group = await _group(scene)
        await bob.set_room_avatar(group, await bob.upload(face("navy", "WEBP"), "image/webp"))
        room = await _invited(alice)
        await _join(alice, room)
        told = await alice.wait_for(_pictured(room))
        data = await _photo(alice, room)
        assert hashlib.sha1(data).hexdigest() == _hash(told)
        assert _colour(data) == _colour(face("navy"))
        nick = bob.user
        told = await alice.wait_for(_pictured(f"{room}/{nick}"))
        data = await _photo(alice, f"{room}/{nick}")
        assert hashlib.sha1(data).hexdigest() == _hash(told)
        assert _colour(data) == _colour(face("crimson"))

        mark = alice.inbox.mark()
        await bob.set_avatar(await bob.upload(face("olive", "JPEG"), "image/jpeg"))
        await alice.wait_for(_pictured(f"{room}/{nick}"), since=mark)
        assert _colour(await _photo(alice, f"{room}/{nick}")) == _colour(face("olive"))


async def test_req_593_an_owner_gives_the_group_a_picture(prosody_house: House) -> None:
    async with prosody_house.linked() as scene:
        alice, bob = scene.alice, scene.bob
        group = await scene.phone.create_room(name="Tea", invite=[bob.user_id])
        await bob.wait_invite(sender=scene.phone.user_id)
        await bob.join(group)
        room = await _invited(alice)
        await _join(alice, room)
        mark, coded = alice.inbox.mark(), base64.b64encode(face("teal")).decode()
        photo = f"<PHOTO><TYPE>image/png</TYPE><BINVAL>{coded}</BINVAL></PHOTO>"
        answer = await alice.iq(room, f"<vCard xmlns='vcard-temp'>{photo}</vCard>", type="set")
        assert answer.type == "result"
        given = await bob.wait_for(lambda event: event.type == "m.room.avatar")
        assert given.content["url"].startswith("mxc://")
        await alice.wait_for(_pictured(room), since=mark)
        assert _colour(await _photo(alice, room)) == _colour(face("teal"))


async def test_converse_js_shows_pictures(prosody_house: House, tmp_path: Path) -> None:
    async with _party(prosody_house) as party, _converse(party) as page:
        bob = party.scene.bob
        await bob.set_avatar(await bob.upload(face("crimson"), "image/png"))
        await bob.set_room_avatar(party.group, await bob.upload(face("navy"), "image/png"))
        await page.join(party.room, "Alice")
        await bob.send_text(party.group, "Do you see me?")
        await page.sees("Do you see me?")
        try:
            await page.sees_avatar_of_room()
            await page.sees_avatar_beside("Do you see me?")
            await page.sees_avatar_of("Bob Builder")
        finally:
            await page.picture(tmp_path / "avatars.png")
