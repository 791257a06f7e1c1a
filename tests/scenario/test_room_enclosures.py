# SPDX-License-Identifier: Apache-2.0
"""What clients put beside a text in a room, for other clients."""

from __future__ import annotations

from xml.etree.ElementTree import Element, canonicalize, fromstring, tostring

import pytest

from gateway.xmpp.codec.enclosing import MOST, MOST_CHARS
from tests.scenario.house import House
from tests.scenario.patterns import ACCEPT
from tests.scenario.test_room_speech import SID, _settled, _tell
from tests.scenario.test_rooms import PHONE, _ask, _club, _join, _query

_URL = "https://files.example/summit.jpg"
_FILE = (
    "<media-type>image/jpeg</media-type><name>summit.jpg</name><size>3032449</size>"
    "<hash xmlns='urn:xmpp:hashes:2' algo='sha3-256'>2XarmwTlNxDAMkvymloX3S5+VbylNrJt</hash>"
    "<desc xml:lang='en'>Photo &amp; more</desc>"
)
_PICTURE = (
    "<thumbnail xmlns='urn:xmpp:thumbs:1' uri='data:image/png;base64,AAAA'"
    " media-type='image/png' width='128' height='96'/>"
)
OOB = f"<x xmlns='jabber:x:oob'><url>{_URL}</url><desc>the &lt;summit&gt;</desc></x>"
SFS = (
    "<file-sharing xmlns='urn:xmpp:sfs:0' disposition='inline' id='f1'>"
    f"<file xmlns='urn:xmpp:file:metadata:0'>{_FILE}{_PICTURE}</file><sources>"
    f"<url-data xmlns='http://jabber.org/protocol/url-data' target='{_URL}'/></sources>"
    "</file-sharing>"
)
SIMS = (
    "<reference xmlns='urn:xmpp:reference:0' begin='0' end='5' type='data'>"
    "<media-sharing xmlns='urn:xmpp:sims:1'>"
    f"<file xmlns='urn:xmpp:jingle:apps:file-transfer:5'>{_FILE}</file><sources>"
    f"<reference xmlns='urn:xmpp:reference:0' type='data' uri='{_URL}'/></sources>"
    "</media-sharing></reference>"
)
SPOILER = "<spoiler xmlns='urn:xmpp:spoiler:0' xml:lang='en'>the end</spoiler>"
UNSTYLED = "<unstyled xmlns='urn:xmpp:styling:0'/>"
_CODE = "<bcode start='6' end='9' language='bash'/>"
MARKUP = (
    "<markup xmlns='urn:xmpp:markup:0'><span start='0' end='5'><emphasis/><strong/></span>"
    f"{_CODE}<bquote start='0' end='9'/>"
    "<list start='0' end='9' ordered='false'><li start='0'/></list></markup>"
)
FALLBACK = (
    "<fallback xmlns='urn:xmpp:fallback:0' for='jabber:x:oob'><body start='0' end='5'/></fallback>"
)
PREVIEW = (
    "<rdf:Description xmlns:rdf='http://www.w3.org/1999/02/22-rdf-syntax-ns#'"
    f" xmlns:og='https://ogp.me/ns#' rdf:about='{_URL}'><og:title>The &lt;summit&gt;</og:title>"
    "<og:site_name>Files</og:site_name></rdf:Description>"
)
ALL = (OOB, SFS, SIMS, PREVIEW, SPOILER, UNSTYLED, MARKUP, FALLBACK)
_KNOWN = frozenset(
    {"body", "stanza-id", "occupant-id", "markable", "origin-id", "delay", "reply", "fallback"}
)


def _say(house: House, room: str, id: str, body: str, beside: str) -> None:
    text = f"<body>{body}</body>" if body else ""
    house.server.send(
        f"<message from='{PHONE}' to='{room}' type='groupchat' id='{id}'>{text}{beside}</message>"
    )


def _xml(element: Element) -> str:
    """Comparable, in whatever namespace the stanza is."""
    xml = tostring(element, encoding="unicode")
    return canonicalize(xml.replace("jabber:client", ACCEPT[1:-1]))


def _beside(message: Element) -> list[str]:
    """All that is no part of every message."""
    return [
        _xml(child)
        for child in message
        if child.tag.rpartition("}")[2] not in _KNOWN
        or (child.tag.endswith("fallback") and child.get("for") != "urn:xmpp:reply:0")
    ]


def _expected(*xml: str) -> list[str]:
    return list(map(_xml, fromstring(f"<x xmlns='{ACCEPT[1:-1]}'>{''.join(xml)}</x>")))


async def _said(house: House, room: str, id: str, body: str, beside: str) -> Element:
    """Something that is said, as it comes back."""
    _say(house, room, id, body, beside)
    (told,) = await _settled(house)
    assert told.get("type") == "groupchat", _xml(told)
    return told


async def _archived(house: House, room: str) -> list[Element]:
    page = await _ask(house, room, _query())
    found = [each.find(".//{jabber:client}message") for each in page[:-1]]
    return [each for each in found if each is not None]


async def test_req_563_582_what_is_beside_a_text_is_the_same_live_on_join_and_in_the_archive(
    house: House,
) -> None:
    room = await _club(house)
    await _join(house, room)
    live = await _said(house, room, "g1", "hello all", "".join(ALL))
    assert house.network.sent[-1].body == "hello all"
    assert house.network.sent[-1].about == {}
    assert sorted(_beside(live)) == sorted(_expected(*ALL))
    (kept,) = await _archived(house, room)
    kept.remove(kept.find("{http://jabber.org/protocol/muc#user}x"))  # type: ignore[arg-type]
    assert list(map(_xml, kept)) == list(map(_xml, live))
    told = [each for each in await _join(house, room) if each.find(f"{ACCEPT}body") is not None]
    assert [sorted(_beside(each)) for each in told] == [sorted(_expected(*ALL))]


@pytest.mark.parametrize(
    ("beside", "left"),
    [
        # Forged: only the room says these.
        ("<stanza-id xmlns='urn:xmpp:sid:0' by='{room}' id='forged'/>", ""),
        ("<occupant-id xmlns='urn:xmpp:occupant-id:0' id='forged'/>", ""),
        ("<x xmlns='http://jabber.org/protocol/muc#user'><status code='104'/></x>", ""),
        ("<hats xmlns='urn:xmpp:hats:0'><hat title='Boss' uri='urn:x:boss'/></hats>", ""),
        ("<delay xmlns='urn:xmpp:delay' from='{room}' stamp='2001-01-01T00:00:00Z'/>", ""),
        ("<moderated xmlns='urn:xmpp:message-moderate:1' by='{room}/Bob'/>", ""),
        # For nobody, or for one-to-one chats.
        ("<request xmlns='urn:xmpp:receipts'/><store xmlns='urn:xmpp:hints'/>", ""),
        ("<subject>another</subject><x xmlns='jabber:x:other'>?</x>", ""),
        ("<active xmlns='http://jabber.org/protocol/chatstates'/>", ""),
        # What would say who somebody is, or is nowhere but with the sender.
        ("<x xmlns='jabber:x:oob'><url>xmpp:alice@home.example/phone?sendfile</url></x>", ""),
        ("<x xmlns='jabber:x:oob'><url>javascript:alert(1)</url></x>", ""),
        (
            "<reference xmlns='urn:xmpp:reference:0' type='data' uri='xmpp:alice@home.example'/>",
            "",
        ),
        (SIMS.replace(_URL, "xmpp:alice@home.example/phone?jingle"), ""),
        (SFS.replace("data:image/png;base64,AAAA", "cid:a@b"), SFS.replace(_PICTURE, "")),
        (
            SFS.replace(
                "<sources>",
                "<sources><jinglepub xmlns='urn:xmpp:jinglepub:1' from='a@b/c' id='9'/>",
            ),
            SFS,
        ),
        # What nobody knows, inside of what is known.
        (
            SPOILER.replace("<spoiler", "<spoiler onclick='x'").replace("the", "<b>!</b>the"),
            SPOILER.replace("the end", ""),
        ),
        (MARKUP.replace("<emphasis/>", "<emphasis><x/></emphasis><blink/>"), MARKUP),
        # Places that are none, or outside of the text.
        (MARKUP.replace("start='6'", "start='-6'"), MARKUP.replace(_CODE, "")),
        (SIMS.replace("end='5'", "end='10'"), ""),
        # A text that stands in for nothing is all that there is.
        (FALLBACK, ""),
        (FALLBACK.replace("jabber:x:oob", "urn:xmpp:reactions:0") + OOB, OOB),
        (FALLBACK + OOB, FALLBACK + OOB),
    ],
)
async def test_req_563_nothing_else_is_passed_on(house: House, beside: str, left: str) -> None:
    room = await _club(house)
    await _join(house, room)
    live = await _said(house, room, "g1", "hello all", beside.replace("{room}", room))
    assert sorted(_beside(live)) == sorted(_expected(left))
    assert live.findtext(f"{ACCEPT}body") == "hello all"
    ids = live.findall(SID)
    assert [each.get("by") for each in ids] == [room]
    assert ids[0].get("id") != "forged"
    assert live.find("{urn:xmpp:occupant-id:0}occupant-id[@id='forged']") is None
    assert live.find("{urn:xmpp:delay}delay") is None
    (kept,) = await _archived(house, room)
    assert len(kept.findall("{http://jabber.org/protocol/muc#user}x")) == 1


async def test_req_563_what_is_beside_has_an_end(house: House) -> None:
    room = await _club(house)
    await _join(house, room)
    live = await _said(house, room, "g1", "hello all", SPOILER * (MOST + 5))
    assert len(_beside(live)) == MOST
    long = SPOILER.replace("the end", "x" * 999)
    live = await _said(house, room, "g2", "hello all", long * MOST)
    assert 10 <= len(_beside(live)) <= MOST_CHARS // 1000
    live = await _said(house, room, "g3", "hello all", SPOILER.replace("the end", "x" * 1001))
    assert _beside(live) == []


async def test_req_563_places_move_with_the_text(house: House) -> None:
    """A quote stands above the text: the client's own live, ours in the archive."""
    room = await _club(house)
    await _join(house, room)
    _tell(house, "message", sender="bob", id="a1", body="tea?")
    (asked,) = await _settled(house)
    found = asked.find(SID)
    assert found is not None
    reply = (
        f"<reply xmlns='urn:xmpp:reply:0' to='{room}/Bob' id='{found.get('id')}'/>"
        "<fallback xmlns='urn:xmpp:fallback:0' for='urn:xmpp:reply:0'>"
        "<body start='0' end='7'/></fallback>"
    )
    span = "<markup xmlns='urn:xmpp:markup:0'><span start='{}' end='{}'><code/></span></markup>"
    beside = reply + span.format(7, 12) + span.format(0, 3)
    live = await _said(house, room, "g1", "&gt; tea?\nhello", beside)
    assert _beside(live) == _expected(span.format(7, 12))
    kept = (await _archived(house, room))[-1]
    body = kept.findtext("{jabber:client}body") or ""
    assert body == "> Bob: tea?\nhello"
    assert _beside(kept)[0] == _expected(span.format(12, 17))[0]


async def test_req_563_565_an_edit_has_its_own(house: House) -> None:
    room = await _club(house)
    await _join(house, room)
    await _said(house, room, "g1", "hello all", OOB)
    replace = "<replace xmlns='urn:xmpp:message-correct:0' id='g1'/>"
    live = await _said(house, room, "g2", "hello", f"{replace}{SPOILER}")
    assert _expected(SPOILER)[0] in _beside(live)
    assert _expected(OOB)[0] not in _beside(live)


async def test_req_563_569_what_was_taken_back_leaves_nothing(house: House) -> None:
    room = await _club(house)
    await _join(house, room)
    await _said(house, room, "g1", "hello all", OOB + SPOILER)
    _tell(house, "retraction", id="x1", message=house.network.sent[-1].id, by="bob")
    await _settled(house)
    kept = await _archived(house, room)
    assert len(kept) == 2
    assert not [xml for each in kept for xml in map(_xml, each) if "summit" in xml]
    left = "SELECT count(*) FROM archived WHERE instr(CAST(payload AS TEXT), 'summit')"
    assert house.query(left) == [(0,)]


async def test_req_563_a_file_without_a_word_is_its_address(house: House) -> None:
    """Nobody but other clients knows the rest."""
    room = await _club(house)
    await _join(house, room)
    for id, beside in (("g1", OOB), ("g2", SFS)):
        live = await _said(house, room, id, "", beside)
        assert live.findtext(f"{ACCEPT}body") == _URL
        assert _beside(live) == _expected(beside)
        assert house.network.sent[-1].body == _URL


@pytest.mark.parametrize(
    "how",
    [
        "<encrypted xmlns='eu.siacs.conversations.axolotl'><header sid='1'/></encrypted>",
        "<encrypted xmlns='urn:xmpp:omemo:2'/>",
        "<encryption xmlns='urn:xmpp:eme:0' namespace='eu.siacs.conversations.axolotl'/>",
    ],
)
async def test_req_563_470_what_is_encrypted_is_refused(house: House, how: str) -> None:
    room = await _club(house)
    await _join(house, room)
    _say(house, room, "g1", "I sent you an OMEMO encrypted message", how + OOB)
    (told,) = await _settled(house)
    assert told.get("type") == "error"
    assert told.find(".//{urn:ietf:params:xml:ns:xmpp-stanzas}not-acceptable") is not None
    assert not house.network.sent
    assert await _archived(house, room) == []


async def test_req_452_569_what_is_said_of_a_link_goes_with_it(house: House) -> None:
    room = await _club(house)
    await _join(house, room)
    url = "https://summit.example/"
    span = {"style": "link", "begin": 0, "end": 2, "value": url}
    preview = {"url": url, "title": "The summit"}
    _tell(house, "message", sender="bob", id="a1", body="up", spans=[span], previews=[preview])
    (live,) = await _settled(house)
    assert "The summit" in _xml(live)
    _tell(house, "retraction", id="x1", message="a1", by="bob")
    await _settled(house)
    left = "SELECT count(*) FROM archived WHERE instr(CAST(payload AS TEXT), 'summit')"
    assert house.query(left) == [(0,)]
