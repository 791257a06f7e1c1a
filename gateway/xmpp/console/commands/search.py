# SPDX-License-Identifier: Apache-2.0
"""Looking for groups of the network."""

from __future__ import annotations

from gateway.bridge.accounts import Account
from gateway.events import FoundRoom, SearchRooms
from gateway.xmpp.console.model import Dialogue, Field, Form, Note, Table
from gateway.xmpp.rooms.stanzas import uri

_TOO_OFTEN = "You are searching too often. Please wait a minute."
_MOST_CHARS = 200
_FIELDS = (
    Field(name="words", label="What to look for", hint="Words of the name or topic, or “*”."),
    Field(
        name="server",
        label="On which server",
        hint="Where the network has several; else your own.",
        required=False,
    ),
)


async def search(talk: Dialogue) -> None:
    """The command ``search``."""
    account = talk.network.accounts.of(talk.user)
    assert account is not None
    title, instructions = "Search for groups", "You look for groups that anybody may join."
    form = Form(title=title, instructions=instructions, fields=_FIELDS, last=True)
    said = await talk.ask(form)
    if not talk.may_search(talk.user):
        talk.say(_TOO_OFTEN, Note.ERROR)
        return
    words = "" if said["words"] == "*" else said["words"][:_MOST_CHARS]
    wanted = SearchRooms(words=words, server=said["server"][:_MOST_CHARS])
    found = await talk.wait(talk.network.rooms.management.search(account, wanted))
    rows = tuple(_row(talk, account, room) for room in found.rooms)
    if rows:
        columns = (
            ("name", "Group"),
            ("members", "Members"),
            ("about", "About"),
            ("room", "To join it"),
        )
        talk.show(Table(title="Groups", columns=columns, rows=rows))
    more = " There are more: say more of what you look for." if found.next else ""
    talk.say(f"Groups found: {len(rows)}.{more}")


def _row(talk: Dialogue, account: Account, found: FoundRoom) -> tuple[str, str, str, str]:
    name = found.name or found.address or "without a name"
    return name, str(found.members), found.topic, _way(talk, account, found)


def _way(talk: Dialogue, account: Account, found: FoundRoom) -> str:
    """How to come into it from here."""
    room = talk.network.rooms.known(account, found.room)
    if room is not None and talk.network.rooms.me(account, room) is not None:
        return talk.room_uri(room)
    if not found.address:
        return "by invitation alone"
    address = talk.room_called(found.address)
    return uri(address) if address else f"send “join {found.address}”"
