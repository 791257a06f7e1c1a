# SPDX-License-Identifier: Apache-2.0
"""Coming into groups of the network, going out of them, making them, asking others in."""

from __future__ import annotations

from gateway.bridge.accounts import Account
from gateway.bridge.splitting import brief, in_line, one_line
from gateway.events import Affiliation, CreateRoom, InviteToRoom
from gateway.ids import RemoteUserId
from gateway.store.member_lists import Listed
from gateway.store.rooms import RoomRow
from gateway.text.wording import joined, tr
from gateway.xmpp.console.commands.choosing import (
    LISTED,
    NO_GROUPS,
    UNKNOWN,
    chosen,
    confirmed,
    group_field,
    meant,
    name_of,
    names_of,
    rooms_of,
    told_apart,
    which_group,
)
from gateway.xmpp.console.model import Dialogue, Field, Form, Kind, Note, Option, Table

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


def _tell_in(talk: Dialogue, room: RoomRow) -> None:
    talk.say(
        tr(
            "You are in the group “{name}”. To join it here: {room_uri}",
            name=name_of(room),
            room_uri=talk.room_uri(room),
        )
    )


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
    rooms = rooms_of(talk, account)
    if not rooms:
        talk.say(NO_GROUPS)
        return
    instructions = tr("You go out of a group of the network, and not only out of the room here.")
    form = Form(
        title=tr("Leave a group"),
        instructions=instructions,
        fields=(group_field(names_of(rooms)),),
    )
    sure = await confirmed(talk, rooms, names_of(rooms), form, _sure_to_leave, UNKNOWN)
    if sure is not None:
        room, _ = sure
        await talk.wait(talk.network.rooms.coming.leave(account, room))
        talk.say(tr("You have left the group “{name}”.", name=name_of(room)))


def _sure_to_leave(name: str) -> Form:
    sure = Field(name="sure", label=tr("Leave “{name}”", name=name), kind=Kind.YES_NO, default="0")
    question = tr("You will be out of the group “{name}”, in all your apps.", name=name)
    return Form(title=tr("Leave a group"), instructions=question, fields=(sure,), last=True)


async def destroy(talk: Dialogue) -> None:
    """The command ``destroy``."""
    account = talk.account
    rooms = {
        address: room
        for address, room in rooms_of(talk, account).items()
        if (me := talk.network.rooms.me(account, room)) is not None
        and me.affiliation is Affiliation.OWNER
    }
    if not rooms:
        talk.say(tr("You own no group."))
        return
    names = names_of(rooms)
    reason = Field(name="reason", label=tr("Why"), hint=tr("Everybody is told."), required=False)
    form = Form(
        title=tr("Destroy a group"),
        instructions=tr("You end a group of yours, for everybody."),
        fields=(group_field(names), reason),
    )
    unknown = tr("You own no group of this name or address, or several of this name.")
    sure = await confirmed(talk, rooms, names, form, _sure_to_destroy, unknown)
    if sure is not None:
        room, answers = sure
        why = brief(answers["reason"])
        await talk.wait(talk.network.rooms.coming.destroy(account, room, why))
        talk.say(tr("The group “{name}” is destroyed.", name=name_of(room)))


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
    rooms = rooms_of(talk, account)
    if not rooms:
        talk.say(NO_GROUPS)
        return
    address, person = meant(talk), talk.target.contact if talk.target is not None else None
    whom = Field(name="whom", label=tr("Whom"), hint=tr("The address of a contact."))
    form = Form(
        title=tr("Invite to a group"),
        instructions=tr("You invite somebody to a group that you are in."),
        fields=(
            *((whom,) if person is None else ()),
            *((group_field(names_of(rooms)),) if address is None else ()),
        ),
        last=True,
    )
    answers = await talk.ask(form)
    person = person or talk.person(answers["whom"])
    address = address or chosen(talk, names_of(rooms), answers["group"])
    if person is None:
        talk.say(
            tr("“{answers}” is not the address of a contact.", answers=answers["whom"][:100]),
            Note.ERROR,
        )
    elif address not in rooms:
        talk.say(UNKNOWN, Note.ERROR)
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
                name=name_of(room),
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
    title = tr("Members of “{name}”", name=name_of(room))
    talk.show(Table(title=title, columns=columns, rows=rows))
    count = talk.network.rooms.people(room)
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
        for one in sorted(coming.invitations(account)[:LISTED], key=lambda one: one.name)
    }
    if not waiting:
        talk.say(tr("No invitation waits for you."))
        return
    names = told_apart({address: one.name for address, one in waiting.items()})
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
    meant_ones = list(waiting.values()) if said == _ALL else [waiting[said]]
    for invitation in meant_ones:
        await talk.wait(coming.decline(account, invitation))
    talk.say(tr("Declined."))
