# SPDX-License-Identifier: Apache-2.0
"""A contact on Matrix as people see it, in a browser and in a terminal."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from tests.demo.login import befriend
from tests.e2e.house import PASSWORD, House, Scene, at_services
from tests.e2e.shared_files import three
from tests.e2e.test_avatars import face
from tests.peers.converse import Browser
from tests.peers.profanity import Profanity
from tests.peers.prosody import Prosody

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@asynccontextmanager
async def _contact(house: House, **options: Any) -> AsyncIterator[Scene]:
    """Bob, who has a name and a picture, is a contact of alice."""
    async with house.linked(**options) as scene:
        await scene.bob.set_displayname("Bob Builder")
        await scene.bob.set_avatar(await scene.bob.upload(face("crimson"), "image/png"))
        await befriend(scene.alice, scene.bob_jid)
        await scene.chat()
        yield scene


async def test_a_contact_in_converse_js(house: House, tmp_path: Path) -> None:
    async with _contact(house) as scene, Browser() as browser:
        bob, room = scene.bob, scene.room
        page = await browser.log_in(scene.alice.bare, PASSWORD, house.home.websocket_url)
        await page.chat(scene.bob_jid)
        assert await page.title() == "Bob Builder"
        question = await bob.send_text(room, "One lump or two?")
        await page.sees_avatar_beside("Here I am.")
        await page.react("One lump or two?", "👍")
        reaction = await bob.wait_for(lambda event: event.type == "m.reaction")
        relation = {"rel_type": "m.annotation", "event_id": question, "key": "👍"}
        assert reaction.content["m.relates_to"] == relation
        await page.reply("One lump or two?", "Two, please.")
        answer = await bob.wait_text("Two, please.", room_id=room)
        assert answer.content["m.relates_to"]["m.in_reply_to"] == {"event_id": question}
        await page.say("And milk.")
        milk = await bob.wait_text("And milk.", room_id=room)
        await page.edit("And milk.", "And cream.")
        edit = await bob.wait_for(lambda event: "m.new_content" in event.content)
        assert edit.content["m.new_content"]["body"] == "And cream."
        assert edit.content["m.relates_to"]["event_id"] == milk.event_id

        await bob.react(room, answer.event_id, "❤️")
        await page.sees_reaction("Two, please.", "❤️")
        await bob.edit(room, question, "One biscuit or two?")
        await page.sees_edited("One biscuit or two?")
        if isinstance(house.xmpp, Prosody):
            remark = await bob.reply(room, answer.event_id, "So much?")
            assert await page.answered("So much?") == "Two, please."
        else:
            # ejabberd puts the body behind all else, and Converse.js 14 takes the first one that
            # it finds, which is then the empty one of the fallback: it shows no reply.
            remark = await bob.send_text(room, "So much?")
            await page.sees("So much?")
        await page.picture(tmp_path / "chat.png")
        await bob.redact(room, remark)
        await page.sees_retracted(1)
        since = bob.inbox.mark()
        await page.retract("And cream.")
        gone = await bob.wait_for(lambda event: event.type == "m.room.redaction", since=since)
        assert milk.event_id in (gone.raw.get("redacts"), gone.content.get("redacts"))
        await page.sees_retracted(2)
        await page.picture(tmp_path / "retracted.png")
        assert await page.texts() == ["Here I am.", "One biscuit or two?", "Two, please."]


async def test_a_contact_in_profanity(prosody_house: House, tmp_path: Path) -> None:
    """It knows edits, and neither reactions nor replies: those have texts."""
    async with (
        _contact(prosody_house, **at_services(prosody_house)) as scene,
        Profanity(tmp_path / "profanity") as terminal,
    ):
        bob, room = scene.bob, scene.room
        await terminal.log_in(scene.alice.bare, PASSWORD, prosody_house.home.c2s_port)
        await terminal.types(f"/msg {scene.bob_jid}")
        await terminal.sees("Bob Builder [online]")
        question = await bob.send_text(room, "One lump or two?")
        await terminal.sees("Bob Builder/matrix: One lump or two?")
        await terminal.types("Two, plese.")
        answer = await bob.wait_text("Two, plese.", room_id=room)
        await terminal.types("/correct Two, please.")
        edit = await bob.wait_for(lambda event: "m.new_content" in event.content)
        assert edit.content["m.new_content"]["body"] == "Two, please."
        assert edit.content["m.relates_to"]["event_id"] == answer.event_id
        await bob.edit(room, question, "One biscuit or two?")
        await terminal.sees("Bob Builder/matrix: One biscuit or two?")
        await bob.react(room, answer.event_id, "❤️")
        await bob.reply(room, answer.event_id, "So many?")
        shown = await terminal.sees("So many?")
        assert "> Two, please." in shown
        for once in ("One biscuit or two?", "me: Two, please."):
            assert shown.count(once) == 1
        for never in ("lump", "plese", "❤"):
            assert never not in shown
        await bob.redact(room, question)
        await terminal.sees("A message was taken back")
        await _files_in_profanity(scene, terminal)


async def _files_in_profanity(scene: Scene, terminal: Profanity) -> None:
    """As links that it can save, with what is said of them below; and by its own command."""
    bob, room = scene.bob, scene.room
    photo, _, document = three(bob.user)
    await bob.share(room, photo.data, photo.content("From our walk"), photo.media_type)
    link = await scene.alice.wait_for(lambda stanza: (stanza.body or "").endswith(photo.name))
    shown = await terminal.sees("Bob Builder/matrix: From our walk")
    assert shown.count(photo.name) == 1
    assert f"Bob Builder/matrix: {link.body}" in shown
    saved = terminal.directory / "saved.jpg"
    await terminal.types(f"/url save {link.body} {saved}")
    async with asyncio.timeout(30):
        while not saved.exists() or saved.stat().st_size < len(photo.data):  # noqa: ASYNC110 - a file tells nobody
            await asyncio.sleep(0.1)
    assert saved.read_bytes() == photo.data
    path = terminal.directory / document.name
    path.write_bytes(document.data)
    await terminal.types(f"/sendfile {path}")
    event = await bob.wait_text(document.name, room_id=room)
    document.check(event.content, await bob.download(event.content["url"]))
