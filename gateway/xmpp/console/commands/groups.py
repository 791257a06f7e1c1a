# SPDX-License-Identifier: Apache-2.0
"""Coming into groups of the network, going out of them, making them, asking others in."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace

from gateway.bridge.accounts import Account
from gateway.bridge.splitting import brief, in_line, one_line
from gateway.events import Affiliation, CreateRoom, InviteToRoom
from gateway.ids import RemoteUserId
from gateway.store.member_lists import Listed
from gateway.store.rooms import RoomRow
from gateway.text.wording import joined, tr
from gateway.xmpp.console.model import Back, Dialogue, Field, Form, Kind, Note, Option, Table

_LISTED = 100
"""Groups that one chooses from; where there are more, one is named."""
_ALL = "all"
_MOST_INVITED = 50
_MOST_MEMBERS = 200
"""Rows of a table: a stanza has to stay small (REQ-105)."""
_RANKS = {
    Affiliation.OWNER: tr("owner"),
    Affiliation.ADMIN: tr("moderator"),
    Affiliation.MEMBER: tr("member"),
    Affiliation.NONE: tr("member"),
}
_NO_GROUPS = tr("You are in no group.")
_UNKNOWN = tr("You are in no group of this name or address, or in several of this name.")


def _tell_in(talk: Dialogue, room: RoomRow) -> None:
    talk.say(
        tr(
            "You are in the group “{name}”. To join it here: {room_uri}",
            name=_name(room),
            room_uri=talk.room_uri(room),
        )
    )


def _name(room: RoomRow) -> str:
    return in_line(room.name) or tr("without a name")


def _told_apart(names: Mapping[str, str]) -> dict[str, str]:
    """Names by address, with the address where several are called the same."""
    called = {address: in_line(name) or address for address, name in names.items()}
    counted = Counter(name.casefold() for name in called.values())
    return {
        address: name if counted[name.casefold()] == 1 else f"{name} ({address})"
        for address, name in called.items()
    }


# --- which group ------------------------------------------------------------------------------


def _field(groups: Mapping[str, str]) -> Field:
    """``groups``: name by address."""
    if len(groups) > _LISTED:
        hint = tr("Its name or address. “rooms” has a list.")
        return Field(name="group", label=tr("Which group"), hint=hint)
    options = tuple(Option(address, name) for address, name in groups.items())
    return Field(name="group", label=tr("Which group"), kind=Kind.CHOICE, options=options)


def _chosen(talk: Dialogue, groups: Mapping[str, str], said: str) -> str | None:
    """The address of the group that is meant."""
    if said in groups:
        return said
    local = talk.room_at(said)
    meant = [address for address in groups if local and address.startswith(f"{local}@")]
    named = [address for address, name in groups.items() if name.casefold() == said.casefold()]
    for found in (meant, named):
        if len(found) == 1:
            return found[0]
    return None


def _meant(talk: Dialogue) -> str | None:
    """The address of the room where the command was given."""
    target = talk.target
    return target.address if target is not None and target.room is not None else None


async def which_group(talk: Dialogue, title: str, instructions: str) -> RoomRow | None:
    """A room of the user's: where the command was given, else a form asks. It is theirs when they
    have answered (REQ-219). None if there is none; then they have been told."""
    groups = _names(_rooms(talk, talk.account))
    if not groups:
        talk.say(_NO_GROUPS)
        return None
    said = _meant(talk)
    if said is None:
        fields = (_field(groups),)
        form = Form(title=title, instructions=instructions, fields=fields, last=True)
        said = (await talk.ask(form))["group"]
    room = room_called(talk, said)
    if room is None:
        talk.say(_UNKNOWN, Note.ERROR)
    return room


def room_called(talk: Dialogue, said: str) -> RoomRow | None:
    """A room of the user's, by its name or address."""
    rooms = _rooms(talk, talk.account)
    return rooms.get(_chosen(talk, _names(rooms), said) or "")


async def _confirmed(
    talk: Dialogue,
    rooms: Mapping[str, RoomRow],
    form: Form,
    confirm: Callable[[str], Form],
    unknown: str,
) -> tuple[RoomRow, Mapping[str, str]] | None:
    """One of these rooms, and what else the form asks, when the user has said that they are sure.

    Where the command was given at a room, the form does not ask for it. From the question whether
    they are sure one may go back (REQ-214).
    """
    meant = _meant(talk)
    known: Mapping[str, str] = {}
    names = _names(rooms)
    if meant is not None:
        fields = tuple(field for field in form.fields if field.name != "group")
        form = replace(form, fields=fields)
    while True:
        answers = await talk.ask(form, known) if form.fields else {}
        address = meant or _chosen(talk, names, answers["group"]) or ""
        room = rooms.get(address)
        if room is None:
            talk.say(unknown, Note.ERROR)
            return None
        try:
            sure = await talk.ask(confirm(names[address]), back=bool(form.fields))
        except Back:
            known = answers
            continue
        if sure["sure"] == "1":
            return room, answers
        talk.say(tr("Nothing was changed."))
        return None


def _rooms(talk: Dialogue, account: Account) -> dict[str, RoomRow]:
    """Those of the account by address, in the order of their names."""
    found = sorted(talk.network.rooms.of(account), key=lambda room: room.name.casefold())
    return {talk.address_of(RemoteUserId(room.remote_id)): room for room in found}


def _names(rooms: Mapping[str, RoomRow]) -> dict[str, str]:
    return _told_apart({address: room.name for address, room in rooms.items()})


# --- the commands -----------------------------------------------------------------------------


async def join(talk: Dialogue) -> None:
    """The command ``join``."""
    account = talk.account
    asked = Field(
        name="group",
        label=tr("Which group"),
        hint=tr("Its address on the network, or a link to it."),
    )
    instructions = tr("You come into a group of the network.")
    form = Form(title=tr("Join a group"), instructions=instructions, fields=(asked,), last=True)
    said = (await talk.ask(form))["group"]
    _tell_in(talk, await talk.wait(_come_in(talk, account, said)))


async def _come_in(talk: Dialogue, account: Account, said: str) -> RoomRow:
    coming, local = talk.network.rooms.coming, talk.room_at(said)
    if local is None:
        return await coming.join(account, said)
    invitation, known = coming.invitation(account, local), talk.network.rooms.find(account, local)
    if invitation is not None:
        return await coming.join(account, invitation.address)
    if known is not None:
        return await coming.join(account, known.remote_id)
    return await coming.come_to(account, local)


async def leave(talk: Dialogue) -> None:
    """The command ``leave``."""
    account = talk.account
    rooms = _rooms(talk, account)
    if not rooms:
        talk.say(_NO_GROUPS)
        return
    instructions = tr("You go out of a group of the network, and not only out of the room here.")
    form = Form(
        title=tr("Leave a group"), instructions=instructions, fields=(_field(_names(rooms)),)
    )
    confirmed = await _confirmed(talk, rooms, form, _sure_to_leave, _UNKNOWN)
    if confirmed is not None:
        room, _ = confirmed
        await talk.wait(talk.network.rooms.coming.leave(account, room))
        talk.say(tr("You have left the group “{name}”.", name=_name(room)))


def _sure_to_leave(name: str) -> Form:
    sure = Field(name="sure", label=tr("Leave “{name}”", name=name), kind=Kind.YES_NO, default="0")
    question = tr("You will be out of the group “{name}”, in all your apps.", name=name)
    return Form(title=tr("Leave a group"), instructions=question, fields=(sure,), last=True)


async def destroy(talk: Dialogue) -> None:
    """The command ``destroy``."""
    account = talk.account
    rooms = {
        address: room
        for address, room in _rooms(talk, account).items()
        if (me := talk.network.rooms.me(account, room)) is not None
        and me.affiliation is Affiliation.OWNER
    }
    if not rooms:
        talk.say(tr("You own no group."))
        return
    reason = Field(name="reason", label=tr("Why"), hint=tr("Everybody is told."), required=False)
    form = Form(
        title=tr("Destroy a group"),
        instructions=tr("You end a group of yours, for everybody."),
        fields=(_field(_names(rooms)), reason),
    )
    unknown = tr("You own no group of this name or address, or several of this name.")
    confirmed = await _confirmed(talk, rooms, form, _sure_to_destroy, unknown)
    if confirmed is not None:
        room, answers = confirmed
        why = brief(answers["reason"])
        await talk.wait(talk.network.rooms.coming.destroy(account, room, why))
        talk.say(tr("The group “{name}” is destroyed.", name=_name(room)))


def _sure_to_destroy(name: str) -> Form:
    sure = Field(
        name="sure", label=tr("Destroy “{name}”", name=name), kind=Kind.YES_NO, default="0"
    )
    question = tr(
        "Everybody is put out of the group “{name}” on the network, and "
        "nobody can come in any more. This cannot be undone.",
        name=name,
    )
    return Form(title=tr("Destroy a group"), instructions=question, fields=(sure,), last=True)


async def create(talk: Dialogue) -> None:
    """The command ``create``."""
    account = talk.account
    fields = (
        Field(name="name", label=tr("Name of the group")),
        Field(
            name="private",
            label=tr("Private"),
            kind=Kind.YES_NO,
            hint=tr("Then only who is invited comes in."),
            default="1",
        ),
        Field(
            name="invited",
            label=tr("Whom to invite"),
            hint=tr("Addresses of contacts, with commas between them."),
            required=False,
        ),
    )
    instructions = tr("You make a group on the network.")
    wrong = ""
    known: dict[str, str] = {}
    while True:
        form = Form(title=tr("Make a group"), instructions=instructions, fields=fields, last=True)
        answers = await talk.ask(form, known, wrong=wrong)
        typed = answers["invited"].replace(",", " ").split()
        people = {address: talk.person(address) for address in typed[:_MOST_INVITED]}
        strangers = [address for address, person in people.items() if person is None]
        if strangers:
            stranger = strangers[0][:100]
            wrong = tr("“{strangers}” is not the address of a contact.", strangers=stranger)
        elif len(typed) > _MOST_INVITED:
            wrong = tr("At most {most} people can be invited at once.", most=_MOST_INVITED)
        else:
            break
        known = {name: said for name, said in answers.items() if name != "invited"}
    action = CreateRoom(
        name=one_line(answers["name"]),
        is_private=answers["private"] == "1",
        invited=tuple(person for person in people.values() if person is not None),
    )
    _tell_in(talk, await talk.wait(talk.network.rooms.coming.create(account, action)))


async def invite(talk: Dialogue) -> None:
    """The command ``invite``."""
    account = talk.account
    rooms = _rooms(talk, account)
    if not rooms:
        talk.say(_NO_GROUPS)
        return
    address, person = _meant(talk), talk.target.contact if talk.target is not None else None
    whom = Field(name="whom", label=tr("Whom"), hint=tr("The address of a contact."))
    form = Form(
        title=tr("Invite to a group"),
        instructions=tr("You invite somebody to a group that you are in."),
        fields=(
            *((whom,) if person is None else ()),
            *((_field(_names(rooms)),) if address is None else ()),
        ),
        last=True,
    )
    answers = await talk.ask(form)
    person = person or talk.person(answers["whom"])
    address = address or _chosen(talk, _names(rooms), answers["group"])
    if person is None:
        talk.say(
            tr("“{answers}” is not the address of a contact.", answers=answers["whom"][:100]),
            Note.ERROR,
        )
    elif address not in rooms:
        talk.say(_UNKNOWN, Note.ERROR)
    else:
        room = rooms[address]
        action = InviteToRoom(room=room.remote_id, user=person)
        await talk.wait(talk.network.rooms.management.do(account, action))
        invited = talk.address_of(person)
        if "whom" in answers and talk.contact_at(answers["whom"]) != person:
            invited = brief(answers["whom"])  # a user of the gateway, by their XMPP address
        talk.say(
            tr(
                "{address_of} is invited to the group “{name}”.",
                address_of=invited,
                name=_name(room),
            )
        )


async def list_members(talk: Dialogue) -> None:
    """The command ``members``."""
    title, instructions = tr("Members"), tr("Who is in a group of the network.")
    room = await which_group(talk, title, instructions)
    if room is None:
        return
    found = talk.network.rooms.listed(room, Listed(most=_MOST_MEMBERS))
    names = ("name", tr("Name")), ("rank", tr("What they may do")), ("address", tr("Address"))
    # Those of a channel are for who rules it (REQ-521).
    shown = len(names) if sees_addresses(talk, room) else len(names) - 1
    columns = tuple(names[:shown])
    rows = tuple(
        (in_line(one.nick), _RANKS[one.affiliation], talk.address_of(one.user))[:shown]
        for one in found
    )
    title = tr("Members of “{name}”", name=_name(room))
    talk.show(Table(title=title, columns=columns, rows=rows))
    count = talk.network.rooms.count(room)
    more = tr("{shown} of them are shown.", shown=len(rows)) if count > len(rows) else ""
    talk.say(joined((tr("Members: {count}.", count=count), more)))


def sees_addresses(talk: Dialogue, room: RoomRow) -> bool:
    """Whether the user may know who the members of a room are on the network (REQ-521)."""
    me = talk.network.rooms.me(talk.account, room)
    rules = me is not None and me.affiliation in (Affiliation.OWNER, Affiliation.ADMIN)
    return room.private or rules


async def decline(talk: Dialogue) -> None:
    """The command ``decline``."""
    account = talk.account
    coming = talk.network.rooms.coming
    waiting = {
        talk.address_of(RemoteUserId(one.room)): one
        for one in sorted(coming.invitations(account)[:_LISTED], key=lambda one: one.name)
    }
    if not waiting:
        talk.say(tr("No invitation waits for you."))
        return
    names = _told_apart({address: one.name for address, one in waiting.items()})
    options = [Option(address, name) for address, name in names.items()]
    which = Field(
        name="group",
        label=tr("Which one"),
        kind=Kind.CHOICE,
        options=(*options, Option(_ALL, tr("All of them"))),
    )
    form = Form(
        title=tr("Decline an invitation"),
        instructions=tr("You do not want to come into a group."),
        fields=(which,),
        last=True,
    )
    said = (await talk.ask(form))["group"]
    chosen = list(waiting.values()) if said == _ALL else [waiting[said]]
    for invitation in chosen:
        await talk.wait(coming.decline(account, invitation))
    talk.say(tr("Declined."))
