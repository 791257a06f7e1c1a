# SPDX-License-Identifier: Apache-2.0
"""Which group a command is about: where it was given, or chosen by name or address."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TypeVar

from gateway.bridge.accounts import Account
from gateway.bridge.splitting import in_line
from gateway.ids import RemoteUserId
from gateway.store.rooms import RoomRow
from gateway.text.wording import tr
from gateway.xmpp.console.model import Back, Dialogue, Field, Form, Kind, Note, Option

T = TypeVar("T")

LISTED = 100
"""Groups that one chooses from; where there are more, one is named."""
NO_GROUPS = tr("You are in no group.")
UNKNOWN = tr("You are in no group of this name or address, or in several of this name.")


def name_of(room: RoomRow) -> str:
    """For people."""
    return in_line(room.name) or tr("without a name")


def told_apart(names: Mapping[str, str]) -> dict[str, str]:
    """Names by address, with the address where several are called the same."""
    called = {address: in_line(name) or address for address, name in names.items()}
    counted = Counter(name.casefold() for name in called.values())
    return {
        address: name if counted[name.casefold()] == 1 else f"{name} ({address})"
        for address, name in called.items()
    }


def group_field(groups: Mapping[str, str]) -> Field:
    """``groups``: name by address."""
    if len(groups) > LISTED:
        hint = tr("Its name or address. “rooms” has a list.")
        return Field(name="group", label=tr("Which group"), hint=hint)
    options = tuple(Option(address, name) for address, name in groups.items())
    return Field(name="group", label=tr("Which group"), kind=Kind.CHOICE, options=options)


def chosen(talk: Dialogue, groups: Mapping[str, str], said: str) -> str | None:
    """The address of the group that is meant."""
    if said in groups:
        return said
    local = talk.room_at(said)
    there = [address for address in groups if local and address.startswith(f"{local}@")]
    named = [address for address, name in groups.items() if name.casefold() == said.casefold()]
    for found in (there, named):
        if len(found) == 1:
            return found[0]
    return None


def meant(talk: Dialogue) -> str | None:
    """The address of the room where the command was given."""
    target = talk.target
    return target.address if target is not None and target.room is not None else None


async def which_group(talk: Dialogue, title: str, instructions: str) -> RoomRow | None:
    """A room of the user's: where the command was given, else a form asks. It is theirs when they
    have answered (REQ-219). None if there is none; then they have been told."""
    groups = names_of(rooms_of(talk, talk.account))
    if not groups:
        talk.say(NO_GROUPS)
        return None
    said = meant(talk)
    if said is None:
        fields = (group_field(groups),)
        form = Form(title=title, instructions=instructions, fields=fields, last=True)
        said = (await talk.ask(form))["group"]
    room = room_called(talk, said)
    if room is None:
        talk.say(UNKNOWN, Note.ERROR)
    return room


def room_called(talk: Dialogue, said: str) -> RoomRow | None:
    """A room of the user's, by its name or address."""
    rooms = rooms_of(talk, talk.account)
    return rooms.get(chosen(talk, names_of(rooms), said) or "")


async def confirmed(
    talk: Dialogue,
    groups: Mapping[str, T],
    names: Mapping[str, str],
    form: Form,
    confirm: Callable[[str], Form],
    unknown: str,
) -> tuple[T, Mapping[str, str]] | None:
    """One of these groups, and what else the form asks, when the user has said that they are sure.

    Where the command was given at a room, the form does not ask for it. From the question whether
    they are sure one may go back (REQ-214).
    """
    here = meant(talk)
    known: Mapping[str, str] = {}
    if here is not None:
        fields = tuple(field for field in form.fields if field.name != "group")
        form = replace(form, fields=fields)
    while True:
        answers = await talk.ask(form, known) if form.fields else {}
        address = here or chosen(talk, names, answers["group"]) or ""
        group = groups.get(address)
        if group is None:
            talk.say(unknown, Note.ERROR)
            return None
        try:
            sure = await talk.ask(confirm(names[address]), back=bool(form.fields))
        except Back:
            known = answers
            continue
        if sure["sure"] == "1":
            return group, answers
        talk.say(tr("Nothing was changed."))
        return None


def rooms_of(talk: Dialogue, account: Account) -> dict[str, RoomRow]:
    """Those of the account by address, in the order of their names."""
    found = sorted(talk.network.rooms.of(account), key=lambda room: room.name.casefold())
    return {talk.address_of(RemoteUserId(room.remote_id)): room for room in found}


def names_of(rooms: Mapping[str, RoomRow]) -> dict[str, str]:
    """For people, by address."""
    return told_apart({address: room.name for address, room in rooms.items()})
