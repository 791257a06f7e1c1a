# SPDX-License-Identifier: Apache-2.0
"""Coming in and going out (XEP-0045 §7.2, §7.14)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from xml.etree.ElementTree import Element

from gateway.bridge.rooms.crowd import presence_of
from gateway.bridge.rooms.nicks import fold
from gateway.bridge.rooms.rooms import Asked, Joined
from gateway.events import RoomJoined
from gateway.xmpp.codec.presence import read_shown
from gateway.xmpp.codec.xml import Stanza
from gateway.xmpp.rooms import stanzas
from gateway.xmpp.rooms.place import Place
from gateway.xmpp.rooms.stanzas import LOGGED, MUC, NICK_CHANGED, NON_ANONYMOUS

JOIN = f"{{{MUC}}}x"
_HISTORY = f"{{{MUC}}}history"
_DIGITS = 9
"""Of a number of seconds or characters; a longer one is as good as endless."""


def read_join(element: Element, nick: str, now: float) -> Asked | None:
    """The request in a presence; None if there is none in it. What cannot be read of the history
    is left out."""
    asked = element.find(JOIN)
    if asked is None:
        return None
    wanted, shown = asked.find(_HISTORY), read_shown(element)
    if wanted is None:
        return Asked(id=element.get("id", ""), nick=nick, shown=shown)
    most = _number(wanted.get("maxstanzas"))
    seconds = _number(wanted.get("seconds"))
    since = _time(wanted.get("since"))
    if seconds is not None:
        since = max(since, now - seconds)
    return Asked(
        id=element.get("id", ""),
        nick=nick,
        shown=shown,
        most=20 if most is None else most,
        since=since,
        most_chars=_number(wanted.get("maxchars")),
    )


def _number(value: str | None) -> int | None:
    if value is None or not value.isascii() or not value.isdigit():
        return None
    return int(value) if len(value) <= _DIGITS else 10**_DIGITS


def _time(value: str | None) -> float:
    """XEP-0082 §3.2: with a time zone."""
    try:
        when = datetime.fromisoformat(value or "")
        return 0.0 if when.tzinfo is None else when.timestamp()
    except (ValueError, OverflowError):
        return 0.0


def _past(place: Place, joined: Joined, asked: RoomJoined, to: str) -> list[Stanza]:
    """The last of it, as much as the session wants. Characters are those of whole stanzas
    (XEP-0045 §7.2.13)."""
    told: list[Stanza] = []
    left = asked.most_chars
    for said in reversed(joined.history):
        stanza = stanzas.message(place, said, to, late=True)
        if left is not None:
            left -= len(str(stanza))
            if left < 0:
                break
        told.append(stanza)
    return told[::-1]


def sequence(place: Place, joined: Joined, asked: RoomJoined, to: str) -> Iterator[Stanza]:
    """REQ-501: others, oneself, the past, the subject; what is live comes after that."""
    room = joined.room
    for member in joined.others:
        yield stanzas.presence(place, presence_of(room, member), to)
    codes = {LOGGED}
    if room.private:
        codes.add(NON_ANONYMOUS)
    if fold(asked.nick) != fold(joined.me.nick):
        codes.add(NICK_CHANGED)
    yield stanzas.presence(place, presence_of(room, joined.me), to, codes, asked.id)
    if place.has_avatars and room.picture is not None:
        yield stanzas.picture(place, room.picture, to)
    yield from _past(place, joined, asked, to)
    setters = {member.user: member.nick for member in (*joined.others, joined.me)}
    setter = setters.get(room.topic_by, "") if room.topic_by is not None else ""
    yield stanzas.subject(place, setter, room.topic, room.topic_at, to)
