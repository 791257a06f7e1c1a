# SPDX-License-Identifier: Apache-2.0
"""The archive of a room (XEP-0313), page by page (XEP-0059).

Pages are found by the place of a message in the order of the archive, which never changes. So each
message is on exactly one page, however many share a time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from xml.etree.ElementTree import Element

from gateway.events import RoomMessage
from gateway.ids import StanzaId
from gateway.store.archive import Archived
from gateway.text.wording import tr
from gateway.xmpp.codec import errors
from gateway.xmpp.codec.errors import Refused
from gateway.xmpp.codec.incoming import LONGEST_ID
from gateway.xmpp.codec.outgoing import timestamp
from gateway.xmpp.codec.xml import Stanza, attribute
from gateway.xmpp.rooms import stanzas
from gateway.xmpp.rooms.place import Place

MAM = "urn:xmpp:mam:2"
_RSM = "http://jabber.org/protocol/rsm"
_DATA = "jabber:x:data"
_DELAY = "<delay xmlns='urn:xmpp:delay' stamp='{}'/>"
MOST = 100
"""On one page (REQ-586)."""
_MOST_CHARS = 1_000_000
"""On one page: some of a hundred long texts would be more than may wait for our server at all, and
so would end its stream (REQ-712). Clients take what there is (XEP-0059 §2.1) and ask for more."""
_FIELDS = {
    "with": "jid-single",
    "start": "text-single",
    "end": "text-single",
    "before-id": "text-single",
    "after-id": "text-single",
    "ids": "list-multi",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """What is asked of an archive."""

    id: str
    sender: str = ""
    """Only what this occupant has said."""
    start: float | None = None
    end: float | None = None
    after: StanzaId | None = None
    before: StanzaId | None = None
    """Of the filters; a page lies between them."""
    ids: Sequence[StanzaId] = ()
    most: int = MOST
    page_after: StanzaId | None = None
    page_before: StanzaId | None = None
    backwards: bool = False
    """The last page, or the one before another, is wanted."""
    flipped: bool = False
    """The newest first."""


def read(element: Element) -> Query:
    """Raises `Refused` for what is not known: to leave it out would give another answer."""
    if len(element.get("queryid", "")) > LONGEST_ID:  # it is in each result
        raise Refused(errors.BAD_REQUEST, tr("The id of this query is too long."))
    values = _form(element.find(f"{{{_DATA}}}x"))
    page = element.find(f"{{{_RSM}}}set")
    last = _text(page, "before")
    after = _text(page, "after")
    if page is not None and page.find(f"{{{_RSM}}}index") is not None:
        raise Refused(errors.NOT_IMPLEMENTED, tr("Pages cannot be asked for by their number."))
    return Query(
        id=element.get("queryid", ""),
        sender=_one(values, "with"),
        start=_time(values, "start"),
        end=_time(values, "end"),
        after=_id(_one(values, "after-id")),
        before=_id(_one(values, "before-id")),
        ids=_ids(values.get("ids", [])),
        most=_most(_text(page, "max")),
        page_after=_id(after or ""),
        page_before=_id(last or ""),
        backwards=last is not None,
        flipped=element.find(f"{{{MAM}}}flip-page") is not None,
    )


def _form(form: Element | None) -> dict[str, list[str]]:
    values: dict[str, list[str]] = {}
    for field in form.findall(f"{{{_DATA}}}field") if form is not None else ():
        name = field.get("var", "")
        if name == "FORM_TYPE":
            continue
        if name not in _FIELDS:
            raise Refused(
                errors.NOT_IMPLEMENTED, tr("The archive cannot be searched by {name}.", name=name)
            )
        values[name] = [value.text or "" for value in field.findall(f"{{{_DATA}}}value")]
    return values


def _one(values: dict[str, list[str]], name: str) -> str:
    found = values.get(name, [])
    if len(found) > 1:
        raise Refused(errors.BAD_REQUEST, tr("One value is expected for {name}.", name=name))
    return found[0] if found else ""


def _time(values: dict[str, list[str]], name: str) -> float | None:
    said = _one(values, name)
    if not said:
        return None
    try:
        when = datetime.fromisoformat(said)
        if when.tzinfo is None:
            raise ValueError
        return when.timestamp()
    except (ValueError, OverflowError):
        raise Refused(errors.BAD_REQUEST, tr("{name} is not a time.", name=name)) from None


def _id(value: str) -> StanzaId | None:
    return StanzaId(value) if value else None


def _ids(values: list[str]) -> list[StanzaId]:
    if len(values) > MOST:
        raise Refused(
            errors.NOT_ACCEPTABLE, tr("At most {most} messages can be asked for by id.", most=MOST)
        )
    return [StanzaId(value) for value in values]


def _most(said: str | None) -> int:
    if said is None or not said.isascii() or not said.isdigit():
        return MOST
    return min(int(said[:9]), MOST)


def _text(page: Element | None, name: str) -> str | None:
    found = page.find(f"{{{_RSM}}}{name}") if page is not None else None
    return None if found is None else (found.text or "")


def form() -> str:
    """XEP-0313 §4.1.5: by what can be searched."""
    fields = "".join(f"<field var='{name}' type='{kind}'/>" for name, kind in _FIELDS.items())
    form_type = f"<field var='FORM_TYPE' type='hidden'><value>{MAM}</value></field>"
    return f"<query xmlns='{MAM}'><x xmlns='{_DATA}' type='form'>{form_type}{fields}</x></query>"


def result(place: Place, query: Query, said: RoomMessage, to: str, by: str = "") -> Stanza:
    """XEP-0313 §4.2. The message inside is as it was when it was live (REQ-582); it is a client's,
    and its namespace is not that of our stream (REQ-581). ``by``: who has said it, as XML, where
    everybody may know that."""
    message = stanzas.message(place, said, "", late=False)
    inner = (
        f"<result xmlns='{MAM}' queryid='{attribute(query.id)}'"
        f" id='{attribute(said.archive_id)}'><forwarded xmlns='urn:xmpp:forward:0'>"
        f"{_DELAY.format(timestamp(said.sent_at))}"
        f"<message xmlns='jabber:client' from='{attribute(message.sender)}' type='groupchat'"
        f" id='{attribute(message.id)}'>{message.inner}{by}</message></forwarded></result>"
    )
    return Stanza("message", place.room, to, inner=inner)


def fitting(results: Sequence[Stanza], *, from_end: bool) -> slice:
    """As many as one page may have, and one at least: those at its beginning, or at its end."""
    left, kept = _MOST_CHARS, 0
    for result in reversed(results) if from_end else results:
        left -= len(result.inner)
        if left < 0 and kept:
            break
        kept += 1
    return slice(len(results) - kept, None) if from_end else slice(kept)


def fin(page: Sequence[Archived], count: int | None, *, complete: bool) -> str:
    """XEP-0313 §4.3. ``count``: of all that is asked for, if it is known (XEP-0059 §2.7)."""
    ends = ""
    if page:
        first, last = (said.message.archive_id for said in (page[0], page[-1]))
        ends = f"<first>{attribute(first)}</first><last>{attribute(last)}</last>"
    if count is not None:
        ends += f"<count>{count}</count>"
    done = " complete='true'" if complete else ""
    return f"<fin xmlns='{MAM}'{done} stable='true'><set xmlns='{_RSM}'>{ends}</set></fin>"


def metadata(first: Archived | None, last: Archived | None) -> str:
    """XEP-0313 §5."""
    if first is None or last is None:
        return f"<metadata xmlns='{MAM}'/>"
    ends = "".join(
        f"<{name} id='{attribute(said.message.archive_id)}'"
        f" timestamp='{timestamp(said.message.sent_at)}'/>"
        for name, said in (("start", first), ("end", last))
    )
    return f"<metadata xmlns='{MAM}'>{ends}</metadata>"
