# SPDX-License-Identifier: Apache-2.0
"""Pictures of groups and of the people in them, through real servers and a real client."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import io
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any
from urllib.parse import quote

from PIL import Image, ImageDraw

from tests.e2e.house import House, Scene
from tests.e2e.test_groups import _group, _invited, _join
from tests.e2e.test_room_clients import _converse, _party
from tests.peers.xmpp_client import Stanza, XmppClient

_PUBSUB = "http://jabber.org/protocol/pubsub"
_DATA = "urn:xmpp:avatar:data"
_METADATA, _NICK = "urn:xmpp:avatar:metadata", "http://jabber.org/protocol/nick"
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


_EVENT = "http://jabber.org/protocol/pubsub#event"


def _published(sender: str, node: str, sign: str = "") -> Callable[[Stanza], bool]:
    """An event of somebody's node; ``sign`` is to be found in it."""

    def found(stanza: Stanza) -> bool:
        event = stanza.child(_EVENT, "event") if stanza.kind == "message" else None
        return (
            event is not None
            and (stanza.sender, stanza.type) == (sender, "headline")
            and event[0].get("node") == node
            and sign in str(stanza)
        )

    return found


async def test_req_340_801_a_contact_has_a_name_and_a_picture(prosody_house: House) -> None:
    """By what a client does that wants to know: slixmpp's own idea of it."""
    plugins = ("xep_0054", "xep_0084", "xep_0115", "xep_0163", "xep_0172")
    async with prosody_house.linked() as scene:
        bob, jid = scene.bob, scene.bob_jid
        await bob.set_displayname("Bob B")
        await bob.set_avatar(await bob.upload(face("crimson"), "image/png"))
        await scene.chat()
        scene.alice.subscribe(jid)
        await scene.alice.wait_presence("subscribed", sender=jid)
        user = scene.alice.bare.partition("@")[0]
        reader = prosody_house.xmpp_client(user, resource="reader", plugins=plugins)
        await reader.connect(available=False)
        async with AsyncExitStack() as stack:
            stack.push_async_callback(reader.disconnect)
            stream = reader.plugin("xep_0115").xmpp
            reader.plugin("xep_0163").add_interest(_NICK)
            await reader.plugin("xep_0115").update_caps()
            stream.send_presence()
            await reader.wait_for(_published(jid, _NICK, "Bob B"))
            told = await reader.wait_for(_published(jid, _METADATA, "info"))
            await reader.wait_for(_published(scene.talk.gateway, _METADATA, "info"))
            hash = told.xml.find(f".//{{{_METADATA}}}info").get("id")  # type: ignore[union-attr]
            answer = await reader.plugin("xep_0084").retrieve_avatar(jid, hash)
            data = answer["pubsub"]["items"]["item"]["avatar_data"]["value"]
            assert hashlib.sha1(data).hexdigest() == hash
            assert _colour(data) == _colour(face("crimson"))
            card = (await reader.plugin("xep_0054").get_vcard(jid))["vcard_temp"]
            assert (card["FN"], card["PHOTO"]["BINVAL"]) == ("Bob B", data)
            assert "https://matrix.to/#/" in str(card)

            mark = reader.inbox.mark()
            await bob.set_avatar(await bob.upload(face("olive"), "image/png"))
            await reader.wait_for(_published(jid, _METADATA, "info"), since=mark)
            assert _colour(await _photo(reader, jid)) == _colour(face("olive"))
            await reader.wait_for(_pictured(f"{jid}/matrix"), since=mark, timeout=45)
            mark = reader.inbox.mark()
            await bob.set_avatar("")
            await bob.set_displayname("Robert")
            await reader.wait_for(_published(jid, _METADATA, "purge"), since=mark)
            await reader.wait_for(_published(jid, _NICK, "Robert"), since=mark)
            assert await _photo(reader, jid) == b""


async def test_req_349_the_users_own_name_and_picture_are_shown(prosody_house: House) -> None:
    """Published by her client, told by her server, because the gateway says that it wants that."""
    async with prosody_house.linked() as scene:
        alice, phone = scene.alice, scene.phone
        await _set(scene, "publish_name", "publish_picture")
        data = face("purple")
        hash = hashlib.sha1(data).hexdigest()
        coded = base64.b64encode(data).decode()
        info = f"<info id='{hash}' bytes='{len(data)}' type='image/png' width='640' height='640'/>"
        for node, id, payload in (
            (_NICK, "current", f"<nick xmlns='{_NICK}'>Alice of XMPP</nick>"),
            (_DATA, hash, f"<data xmlns='{_DATA}'>{coded}</data>"),
            (_METADATA, hash, f"<metadata xmlns='{_METADATA}'>{info}</metadata>"),
        ):
            item = f"<publish node='{node}'><item id='{id}'>{payload}</item></publish>"
            answer = await alice.iq(None, f"<pubsub xmlns='{_PUBSUB}'>{item}</pubsub>", type="set")
            assert answer.type == "result"
        shown: dict[str, Any] = {}
        async with asyncio.timeout(30):
            while shown.get("displayname") != "Alice of XMPP" or not shown.get("avatar_url"):
                await asyncio.sleep(0.2)
                shown = await phone.request("GET", f"profile/{quote(phone.user_id)}")
        assert shown["avatar_url"].startswith("mxc://")


async def _set(scene: Scene, *switches: str) -> None:
    """Turn on settings, by the form."""
    command = "<command xmlns='http://jabber.org/protocol/commands' node='settings'{}>{}</command>"
    first = await scene.alice.iq(scene.talk.gateway, command.format("", ""), type="set")
    found = first.child("http://jabber.org/protocol/commands", "command")
    assert found is not None
    more = f" sessionid='{found.get('sessionid')}' action='next'"
    section = (
        "<x xmlns='jabber:x:data' type='submit'><field var='section'><value>1</value></field></x>"
    )
    await scene.alice.iq(scene.talk.gateway, command.format(more, section), type="set")
    fields = "".join(f"<field var='{one}'><value>1</value></field>" for one in switches)
    form = f"<x xmlns='jabber:x:data' type='submit'>{fields}</x>"
    more = f" sessionid='{found.get('sessionid')}' action='complete'"
    done = await scene.alice.iq(scene.talk.gateway, command.format(more, form), type="set")
    assert "Your settings are changed." in str(done)


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
