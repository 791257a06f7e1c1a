# SPDX-License-Identifier: Apache-2.0
"""What the sessions in a room are told, as stanzas."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from urllib.parse import quote

from gateway.events import (
    Affiliation,
    Departure,
    RoomChanged,
    RoomDelivery,
    RoomDisplayed,
    RoomJoined,
    RoomMessage,
    RoomMoved,
    RoomPresence,
    RoomPresences,
)
from gateway.ids import RemoteUserId
from gateway.store.members import MemberRow
from gateway.store.sessions import Shown
from gateway.xmpp import avatars
from gateway.xmpp.codec.outgoing import MARKABLE, NO_STORE, delay
from gateway.xmpp.codec.presence import CAPS, show
from gateway.xmpp.codec.xml import Stanza, attribute, text
from gateway.xmpp.rooms.content import content, subject_of
from gateway.xmpp.rooms.place import Place, occupant_id

MUC = "http://jabber.org/protocol/muc"
_USER = f"{MUC}#user"
SELF, NON_ANONYMOUS, LOGGED, NICK_CHANGED, TECHNICAL = 110, 100, 170, 210, 333
"""Status codes (XEP-0045 §15.6)."""
_CONFIGURATION_CHANGED, _NEW_NICK, _REMOVED_AS_MEMBER = 104, 303, 321
_NOW_NON_ANONYMOUS, _NOW_SEMI_ANONYMOUS = 172, 173
_OF_DEPARTURE = {Departure.KICKED: 307, Departure.BANNED: 301}
_DELAYED_S = 60.0


def statuses(codes: Iterable[int]) -> str:
    """Sorted, as servers do."""
    return "".join(f"<status code='{code}'/>" for code in sorted(codes))


def presence(
    place: Place, told: RoomPresence, to: str, codes: Iterable[int] = (), id: str = ""
) -> Stanza:
    """An occupant's presence for one session. It is told its own JID always, and that of others as
    `Place.shown_to` says."""
    is_self = place.is_of(told.member, to)
    codes = {*codes, *_codes(told, is_self=is_self)}
    item = _item(told)
    if is_self:
        item["jid"] = to
    elif shown := place.shown_to(to, told.member):
        item["jid"] = shown
    written = "".join(f" {name}='{attribute(value)}'" for name, value in item.items())
    actor = f"<actor nick='{attribute(told.actor)}'/>" if told.actor else ""
    reason = f"<reason>{text(told.reason)}</reason>" if told.reason else ""
    x = f"<x xmlns='{_USER}'><item{written}>{actor}{reason}</item>{statuses(codes)}</x>"
    x += occupant_id(told.occupant)
    sender = place.occupant(told.nick)
    if told.gone is not None:
        return Stanza("presence", sender, to, "unavailable", id, x)
    x += avatars.update(told.picture) if place.has_avatars else ""
    x += _hats(told.title)
    device = place.devices.get(told.member)
    if device is not None:
        x = _shown(device) + x
    if device is not None and device.caps:
        x += _caps(device.caps)
    elif not is_self:
        x += place.caps
    return Stanza("presence", sender, to, "", id, x)


def _shown(device: Shown) -> str:
    status = f"<status>{text(device.status)}</status>" if device.status else ""
    return f"{show(device.availability)}{status}"


def _caps(said: str) -> str:
    """REQ-503: those of a user's client."""
    hash, node, ver = map(attribute, said.split(" "))
    return f"<c xmlns='{CAPS}' hash='{hash}' node='{node}' ver='{ver}'/>"


def picture(place: Place, hash: str, to: str) -> Stanza:
    """REQ-593: of the room itself, for clients that do not ask what it is (XEP-0486 §5.2)."""
    return Stanza("presence", place.room, to, inner=avatars.update(hash))


def _hats(title: str) -> str:
    """XEP-0317 §3.1. Of people with the same title each wears the same hat."""
    if not title:
        return ""
    uri = f"urn:x-dragoman:hat:{quote(title, safe='')}"
    hat = f"<hat title='{attribute(title)}' uri='{attribute(uri)}'/>"
    return f"<hats xmlns='urn:xmpp:hats:0'>{hat}</hats>"


def _codes(told: RoomPresence, *, is_self: bool) -> Iterator[int]:
    """REQ-507, REQ-511."""
    if is_self:
        yield SELF
    if told.new_nick:
        yield _NEW_NICK
    elif told.gone in _OF_DEPARTURE:
        yield _OF_DEPARTURE[told.gone]
    elif told.gone is not None and is_self:
        yield _REMOVED_AS_MEMBER


def _item(told: RoomPresence) -> dict[str, str]:
    if told.new_nick:
        return {"affiliation": told.affiliation, "role": _role(told), "nick": told.new_nick}
    if told.is_hidden:
        return {"affiliation": told.affiliation, "role": "none"}
    if told.gone is not None:
        affiliation = "outcast" if told.gone is Departure.BANNED else "none"
        return {"affiliation": affiliation, "role": "none"}
    return {"affiliation": told.affiliation, "role": _role(told)}


def _role(told: RoomPresence) -> str:
    return role_of(told.affiliation, may_speak=told.may_speak)


def role_of(affiliation: str, *, may_speak: bool) -> str:
    """REQ-524."""
    if affiliation in (Affiliation.OWNER, Affiliation.ADMIN):
        return "moderator"
    return "participant" if may_speak else "visitor"


def left(occupant: str, to: str, codes: Iterable[int] = (SELF,), id: str = "") -> Stanza:
    """A session is no longer in, and that is nobody else's business. ``occupant``: its address,
    which may be one that a client has made up."""
    item = "<item affiliation='none' role='none'/>"
    inner = f"<x xmlns='{_USER}'>{item}{statuses(codes)}</x>"
    return Stanza("presence", occupant, to, "unavailable", id, inner)


def moved(place: Place, told: RoomMoved, to: str) -> Stanza:
    """XEP-0045 §10.9: the room is no more, and where to find the people, if that is anywhere."""
    new = f" jid='{attribute(place.puppet(RemoteUserId(told.new)))}'" if told.new else ""
    reason = f"<reason>{text(told.reason)}</reason>" if told.reason else ""
    inner = (
        f"<x xmlns='{_USER}'><item affiliation='none' role='none'/>"
        f"<destroy{new}>{reason}</destroy>{statuses([SELF])}</x>"
    )
    return Stanza("presence", place.occupant(told.nick), to, "unavailable", inner=inner)


def message(place: Place, said: RoomMessage, to: str, *, late: bool) -> Stanza:
    """REQ-561: live, in the history, and again."""
    named = occupant_id(said.occupant) if said.occupant else ""
    inner = (
        f"{content(place, said)}<stanza-id xmlns='urn:xmpp:sid:0' by='{attribute(place.room)}'"
        f" id='{attribute(said.archive_id)}'/>{named}"
    )
    if place.is_read and said.body and said.nick:
        inner += MARKABLE
    if said.origin_id:
        inner += f"<origin-id xmlns='urn:xmpp:sid:0' id='{attribute(said.origin_id)}'/>"
    if late:
        inner += delay(said.sent_at, place.room)
    return Stanza("message", place.occupant(said.nick), to, "groupchat", said.id, inner)


def said_by(place: Place, user: RemoteUserId, member: MemberRow | None) -> str:
    """Who has said something, in the archive of a private room (XEP-0313 §4.2, REQ-582).
    ``member``: what they are now, if they are still there."""
    affiliation, role = "none", "none"
    if member is not None:
        affiliation = member.affiliation
        role = role_of(affiliation, may_speak=member.may_speak)
    jid = attribute(place.jid_of(user))
    item = f"<item affiliation='{affiliation}' role='{role}' jid='{jid}'/>"
    return f"<x xmlns='{_USER}'>{item}</x>"


def displayed(place: Place, mark: RoomDisplayed, to: str) -> Stanza:
    """XEP-0333 §4.3 (REQ-571)."""
    inner = (
        f"<displayed xmlns='urn:xmpp:chat-markers:0' id='{attribute(mark.message)}'/>"
        f"{occupant_id(mark.occupant)}{NO_STORE}"
    )
    return Stanza("message", place.occupant(mark.nick), to, "groupchat", mark.id, inner)


def subject(place: Place, nick: str, topic: str, at: float | None, to: str) -> Stanza:
    """REQ-502: always there for who joins, without a body."""
    when = "" if at is None else delay(at, place.room)
    inner = f"{subject_of(topic)}{when}"
    return Stanza("message", place.occupant(nick), to, "groupchat", inner=inner)


def uri(room: str) -> str:
    """What joins a room when it is clicked (XEP-0147)."""
    return f"xmpp:{quote(room, safe='@.-_~')}?join"


def _of_change(told: RoomChanged) -> Iterator[int]:
    """REQ-542."""
    yield _CONFIGURATION_CHANGED
    if told.is_private is not None:
        yield _NOW_NON_ANONYMOUS if told.is_private else _NOW_SEMI_ANONYMOUS


def _change(place: Place, told: RoomChanged) -> Iterator[Stanza]:
    inner = f"<x xmlns='{_USER}'>{statuses(_of_change(told))}</x>"
    for to in told.to:
        yield Stanza("message", place.room, to, "groupchat", told.id, inner)
        if told.picture is not None and place.has_avatars:
            yield picture(place, told.picture, to)


def shown_in(told: RoomDelivery, users: Iterable[RemoteUserId]) -> set[RemoteUserId]:
    """Of whom it is told that they are there; of the ``users`` all, when one joins."""
    if isinstance(told, RoomJoined):
        return set(users)
    if isinstance(told, RoomPresences):
        return {one.member for one in told.presences}
    return {told.member} if isinstance(told, RoomPresence) else set()


def of_row(told: RoomDelivery, place: Place, now: float, *, is_resent: bool) -> list[Stanza]:
    """One for each session that was in the room when the row was committed; what is the same for
    all is written once (REQ-556)."""
    match told:
        case RoomPresence():
            return [presence(place, told, to) for to in told.to]
        case RoomPresences():
            return [presence(place, one, to) for one in told.presences for to in told.to]
        case RoomMoved():
            return [moved(place, told, to) for to in told.to]
        case RoomChanged():
            return list(_change(place, told))
        case RoomMessage():
            late = is_resent or now - told.sent_at > _DELAYED_S
            one = message(place, told, "", late=late)
        case RoomDisplayed():
            one = displayed(place, told, "")
        case _:
            raise AssertionError(f"a {type(told).__name__} is not of a room")
    return [Stanza(one.kind, one.sender, to, one.type, one.id, one.inner) for to in told.to]
