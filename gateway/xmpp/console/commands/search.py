# SPDX-License-Identifier: Apache-2.0
"""Looking for groups and people of the network."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from gateway.bridge.accounts import Account
from gateway.bridge.splitting import brief, in_line
from gateway.errors import AdapterError
from gateway.events import FoundPerson, FoundRoom, FoundRooms, SearchPeople, SearchRooms
from gateway.text.wording import joined, tr
from gateway.xmpp.console.model import Dialogue, Field, Form, Note, Table
from gateway.xmpp.rooms.stanzas import uri

_TOO_OFTEN = tr("You are searching too often. Please wait a minute.")
_MOST_CHARS = 200
_ALL = "*"
_WORDS = Field(
    name="words",
    label=tr("What to look for"),
    hint=tr(
        "Words of a group's name or topic, or of a person's name; “*” for all groups.",
    ),
)
_SERVER = Field(
    name="server",
    label=tr("On which server"),
    hint=tr("Where the network has several; else your own."),
    required=False,
)


async def search(talk: Dialogue) -> None:
    """The command ``search``."""
    account = talk.account
    form = Form(
        title=tr("Search"),
        instructions=tr("You look for people, and for groups that anybody may join."),
        fields=(_WORDS, _SERVER),
        last=True,
    )
    said = await talk.ask(form)
    if not talk.may_search(talk.user):
        talk.say(_TOO_OFTEN, Note.ERROR)
        return
    words, server = said["words"][:_MOST_CHARS], said["server"][:_MOST_CHARS]
    rooms, people = await talk.wait(_both(talk, account, words, server))
    told = [_tell_rooms(talk, account, rooms), _tell_people(talk, people)]
    if any(told):
        talk.say(joined(told))
    elif rooms is None and people is None:
        talk.say(tr("Groups of this network cannot be searched for."), Note.ERROR)


async def _both(
    talk: Dialogue, account: Account, words: str, server: str
) -> tuple[FoundRooms | AdapterError | None, Sequence[FoundPerson] | AdapterError | None]:
    """Each by itself: one may fail, or not be there."""
    network = talk.network
    is_for_people = network.contacts.people.can_search and not server and words != _ALL

    async def rooms() -> FoundRooms | AdapterError | None:
        if not network.rooms.management.can_search:
            return None
        wanted = SearchRooms(words="" if words == _ALL else words, server=server)
        try:
            return await network.rooms.management.search(account, wanted)
        except AdapterError as error:
            return error

    async def people() -> Sequence[FoundPerson] | AdapterError | None:
        if not is_for_people:
            return None
        try:
            return await network.contacts.people.search(account, SearchPeople(words=words))
        except AdapterError as error:
            return error

    found = await asyncio.gather(rooms(), people())
    return found[0], found[1]


def _tell_rooms(talk: Dialogue, account: Account, found: FoundRooms | AdapterError | None) -> str:
    if found is None or isinstance(found, AdapterError):
        return _failed(talk, found)
    rows = tuple(_row(talk, account, room) for room in found.rooms)
    if rows:
        columns = (
            ("name", tr("Group")),
            ("members", tr("Members")),
            ("about", tr("About")),
            ("room", tr("To join it")),
        )
        talk.show(Table(title=tr("Groups"), columns=columns, rows=rows))
    more = tr("There are more: say more of what you look for.") if found.next else ""
    return joined((tr("Groups found: {count}.", count=len(rows)), more))


def _tell_people(talk: Dialogue, found: Sequence[FoundPerson] | AdapterError | None) -> str:
    if found is None or isinstance(found, AdapterError):
        return _failed(talk, found)
    rows = tuple((in_line(one.name) or one.user, talk.address_of(one.user)) for one in found)
    if rows:
        columns = (("name", tr("Person")), ("address", tr("To write to them")))
        talk.show(Table(title=tr("People"), columns=columns, rows=rows))
    return tr("People found: {count}.", count=len(rows))


def _failed(talk: Dialogue, error: AdapterError | None) -> str:
    if error is not None:
        talk.say(brief(error.text), Note.WARNING)
    return ""


def _row(talk: Dialogue, account: Account, found: FoundRoom) -> tuple[str, str, str, str]:
    name = in_line(found.name or found.address) or tr("without a name")
    return name, str(found.members), found.topic, _way(talk, account, found)


def _way(talk: Dialogue, account: Account, found: FoundRoom) -> str:
    """How to come into it from here."""
    room = talk.network.rooms.known(account, found.room)
    if room is not None and talk.network.rooms.me(account, room) is not None:
        return talk.room_uri(room)
    if not found.address:
        return tr("by invitation alone")
    address = talk.room_called(found.address)
    return uri(address) if address else tr("send “join {address}”", address=found.address)
