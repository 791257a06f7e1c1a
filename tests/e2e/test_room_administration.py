# SPDX-License-Identifier: Apache-2.0
"""What an owner of a group on Matrix does in an XMPP client, and what somebody else may not."""

from collections.abc import Callable
from urllib.parse import quote

from tests.e2e.house import House, Scene
from tests.e2e.test_groups import _USER, _invited, _join, _statuses
from tests.peers.xmpp_client import Stanza

_ADMIN = "http://jabber.org/protocol/muc#admin"
_OWNER = "http://jabber.org/protocol/muc#owner"
_DATA = "jabber:x:data"
_ERRORS = "urn:ietf:params:xml:ns:xmpp-stanzas"
Wanted = Callable[[Stanza], bool]


async def _own_group(scene: Scene) -> tuple[str, str]:
    """Alice has made it with her other app, and joins it; returns its id and the room."""
    group = await scene.phone.create_room(name="Tea", invite=[scene.bob.user_id])
    await scene.bob.wait_invite(sender=scene.phone.user_id)
    await scene.bob.join(group)
    room = await _invited(scene.alice)
    await _join(scene.alice, room)
    await scene.settled()
    return group, room


async def _set(scene: Scene, room: str, item: str) -> Stanza:
    payload = f"<query xmlns='{_ADMIN}'>{item}</query>"
    return await scene.alice.iq(room, payload, type="set", timeout=30)


async def _list(scene: Scene, room: str, affiliation: str) -> list[str]:
    """The addresses on a list."""
    payload = f"<query xmlns='{_ADMIN}'><item affiliation='{affiliation}'/></query>"
    answer = await scene.alice.iq(room, payload, timeout=30)
    query = answer.child(_ADMIN, "query")
    assert query is not None, answer
    return [item.get("jid", "") for item in query]


async def _once(scene: Scene, wanted: Wanted) -> Stanza:
    """It comes, and does not come again."""
    found = await scene.alice.wait_for(wanted, timeout=20)
    await scene.settled()
    assert len(scene.alice.inbox.find(wanted)) == 1
    return found


def _gone(room: str, nick: str, code: str) -> Wanted:
    return lambda stanza: (
        (stanza.kind, stanza.type, stanza.sender) == ("presence", "unavailable", f"{room}/{nick}")
        and code in _statuses(stanza)
    )


def _subject(room: str, text: str) -> Wanted:
    return lambda stanza: (
        (stanza.kind, stanza.type, stanza.sender_bare) == ("message", "groupchat", room)
        and stanza.text("subject") == text
    )


def _change_subject(room: str, id: str) -> str:
    subject = "<subject>Green</subject>"
    return f"<message to='{room}' type='groupchat' id='{id}'>{subject}</message>"


def _said(stanza: Stanza) -> str:
    return stanza.xml.findtext(f".//{{{_ERRORS}}}text") or ""


async def test_an_owner_rules_a_group(prosody_house: House) -> None:
    async with prosody_house.linked() as scene:
        group, room = await _own_group(scene)
        bob, nick = scene.bob_jid, scene.bob.user
        own = scene.alice.jid.partition("/")[0]
        assert await _list(scene, room, "owner") == [own]
        assert await _list(scene, room, "member") == [bob]
        assert await _list(scene, room, "outcast") == []

        subject = (
            f"<message to='{room}' type='groupchat' id='t1'><subject>Green</subject></message>"
        )
        scene.alice.send_raw(subject)
        await _once(scene, _subject(room, "Green"))

        form = f"<query xmlns='{_OWNER}'/>"
        asked = await scene.alice.iq(room, form)
        query = asked.child(_OWNER, "query")
        assert query is not None
        values = {
            field.get("var", ""): field.findtext(f"{{{_DATA}}}value") or ""
            for field in query.iter(f"{{{_DATA}}}field")
        }
        assert values["muc#roomconfig_roomname"] == "Tea"
        assert values["muc#roomconfig_roomdesc"] == "Green"
        values["muc#roomconfig_roomname"] = "Coffee"
        fields = "".join(
            f"<field var='{name}'><value>{value}</value></field>" for name, value in values.items()
        )
        submitted = (
            f"<query xmlns='{_OWNER}'><x xmlns='{_DATA}' type='submit'>{fields}</x></query>"
        )
        assert (await scene.alice.iq(room, submitted, type="set", timeout=30)).type == "result"
        await _once(
            scene,
            lambda stanza: (
                (stanza.kind, stanza.sender) == ("message", room) and "104" in _statuses(stanza)
            ),
        )

        item = f"<item nick='{nick}' role='none'><reason>enough</reason></item>"
        assert (await _set(scene, room, item)).type == "result"
        kicked = await _once(scene, _gone(room, nick, "307"))
        x = kicked.child(_USER, "x")
        assert x is not None
        assert x.findtext(f".//{{{_USER}}}reason") == "enough"
        assert (
            await _set(scene, room, f"<item jid='{bob}' affiliation='member'/>")
        ).type == "result"
        await scene.bob.wait_invite(sender=scene.phone.user_id)
        mark = scene.alice.inbox.mark()
        await scene.bob.join(group)
        await scene.alice.wait_for(
            lambda stanza: (stanza.type, stanza.sender) == ("available", f"{room}/{nick}"),
            since=mark,
        )

        item = f"<item jid='{bob}' affiliation='admin'/>"
        assert (await _set(scene, room, item)).type == "result"
        await scene.alice.wait_for(
            lambda stanza: (
                (stanza.kind, stanza.sender) == ("presence", f"{room}/{nick}")
                and (x := stanza.child(_USER, "x")) is not None
                and x[0].get("affiliation") == "admin"
            ),
            timeout=20,
        )
        assert await _list(scene, room, "admin") == [bob]

        item = f"<item jid='{bob}' affiliation='outcast'/>"
        assert (await _set(scene, room, item)).type == "result"
        await _once(scene, _gone(room, nick, "301"))
        assert await _list(scene, room, "outcast") == [bob]
        assert (
            await _set(scene, room, f"<item jid='{bob}' affiliation='none'/>")
        ).type == "result"
        assert await _list(scene, room, "outcast") == []
        refused = await _set(scene, room, f"<item jid='{bob}' affiliation='none'/>")
        assert refused.type == "error"


async def test_a_plain_member_is_refused_in_words(prosody_house: House) -> None:
    async with prosody_house.linked() as scene:
        group = await scene.bob.create_room(name="Tea", invite=[scene.phone.user_id])
        await scene.phone.wait_invite(sender=scene.bob.user_id)
        await scene.phone.join(group)
        room = await _invited(scene.alice)
        await _join(scene.alice, room)
        nick = scene.bob.user

        refused = await _set(scene, room, f"<item nick='{nick}' role='none'/>")
        assert _said(refused) == "Only owners and admins of the group can do this."
        refused = await scene.alice.iq(room, f"<query xmlns='{_OWNER}'/>")
        assert _said(refused) == "Only owners of the group can do this."
        subject = (
            f"<message to='{room}' type='groupchat' id='t1'><subject>Green</subject></message>"
        )
        scene.alice.send_raw(subject)
        assert _said(await scene.alice.wait_error("t1")) == (
            "You may not change the topic of this group."
        )

        # An admin is let try what the homeserver then refuses.
        path = f"rooms/{quote(group)}/state/m.room.power_levels/"
        levels = await scene.bob.request("GET", path)
        levels["users"][scene.phone.user_id] = 50
        levels["invite"] = 100
        await scene.bob.request("PUT", path, levels)
        await scene.alice.wait_for(
            lambda stanza: (
                stanza.kind == "presence"
                and (x := stanza.child(_USER, "x")) is not None
                and x[0].get("affiliation") == "admin"
            ),
            timeout=20,
        )
        carol = f"carol%localhost@{scene.house.domain}"
        refused = await _set(scene, room, f"<item jid='{carol}' affiliation='member'/>")
        assert _said(refused).startswith("The homeserver refused this.")
