# SPDX-License-Identifier: Apache-2.0
"""Coming into groups of the network, going out of them, making them, asking others in."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.bridge.accounts import Account
from gateway.bridge.splitting import brief, one_line
from gateway.events import Affiliation, CreateRoom, InviteToRoom
from gateway.ids import RemoteUserId
from gateway.store.rooms import RoomRow
from gateway.xmpp.console.model import Dialogue, Field, Form, Kind, Note, Option

_LISTED = 100
"""Groups that one chooses from; where there are more, one is named."""
_ALL = "all"
_MOST_INVITED = 50
_NO_GROUPS = "You are in no group."
_UNKNOWN = "You are in no group of this name or address, or in several of this name."


def _account(talk: Dialogue) -> Account:
    account = talk.network.accounts.of(talk.user)
    assert account is not None
    return account


def _tell_in(talk: Dialogue, room: RoomRow) -> None:
    talk.say(f"You are in the group “{_name(room)}”. To join it here: {talk.room_uri(room)}")


def _name(room: RoomRow) -> str:
    return room.name or "without a name"


# --- which group ------------------------------------------------------------------------------


def _field(groups: Mapping[str, str]) -> Field:
    """``groups``: name by address."""
    if len(groups) > _LISTED:
        hint = "Its name or address. “rooms” has a list."
        return Field(name="group", label="Which group", hint=hint)
    options = tuple(Option(address, name) for address, name in groups.items())
    return Field(name="group", label="Which group", kind=Kind.CHOICE, options=options)


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


def _rooms(talk: Dialogue, account: Account) -> dict[str, RoomRow]:
    """Those of the account by address, in the order of their names."""
    found = sorted(talk.network.rooms.of(account), key=lambda room: room.name.casefold())
    return {talk.address_of(RemoteUserId(room.remote_id)): room for room in found}


def _names(rooms: Mapping[str, RoomRow]) -> dict[str, str]:
    return {address: room.name or address for address, room in rooms.items()}


# --- the commands -----------------------------------------------------------------------------


async def join(talk: Dialogue) -> None:
    """The command ``join``."""
    account = _account(talk)
    asked = Field(
        name="group",
        label="Which group",
        hint="Its address on the network, or a link to it.",
    )
    instructions = "You come into a group of the network."
    form = Form(title="Join a group", instructions=instructions, fields=(asked,), last=True)
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
    account = _account(talk)
    rooms = _rooms(talk, account)
    if not rooms:
        talk.say(_NO_GROUPS)
        return
    instructions = "You go out of a group of the network, and not only out of the room here."
    form = Form(title="Leave a group", instructions=instructions, fields=(_field(_names(rooms)),))
    said = (await talk.ask(form))["group"]
    address = _chosen(talk, _names(rooms), said)
    if address is None:
        talk.say(_UNKNOWN, Note.ERROR)
        return
    name = _name(rooms[address])
    sure = Field(name="sure", label=f"Leave “{name}”", kind=Kind.YES_NO, default="0")
    question = f"You will be out of the group “{name}”, in all your apps."
    confirm = Form(title="Leave a group", instructions=question, fields=(sure,), last=True)
    if (await talk.ask(confirm))["sure"] != "1":
        talk.say("Nothing was changed.")
        return
    await talk.wait(talk.network.rooms.coming.leave(account, rooms[address]))
    talk.say(f"You have left the group “{name}”.")


async def destroy(talk: Dialogue) -> None:
    """The command ``destroy``."""
    account = _account(talk)
    rooms = {
        address: room
        for address, room in _rooms(talk, account).items()
        if (me := talk.network.rooms.me(account, room)) is not None
        and me.affiliation is Affiliation.OWNER
    }
    if not rooms:
        talk.say("You own no group.")
        return
    fields = (
        _field(_names(rooms)),
        Field(name="reason", label="Why", hint="Everybody is told.", required=False),
    )
    title, instructions = "Destroy a group", "You end a group of yours, for everybody."
    answers = await talk.ask(Form(title=title, instructions=instructions, fields=fields))
    address = _chosen(talk, _names(rooms), answers["group"])
    if address is None:
        talk.say("You own no group of this name or address, or several of this name.", Note.ERROR)
        return
    name = _name(rooms[address])
    sure = Field(name="sure", label=f"Destroy “{name}”", kind=Kind.YES_NO, default="0")
    question = (
        f"Everybody is put out of the group “{name}” on the network, and nobody can come in "
        "any more. This cannot be undone."
    )
    confirm = Form(title=title, instructions=question, fields=(sure,), last=True)
    if (await talk.ask(confirm))["sure"] != "1":
        talk.say("Nothing was changed.")
        return
    reason = brief(answers["reason"])
    await talk.wait(talk.network.rooms.coming.destroy(account, rooms[address], reason))
    talk.say(f"The group “{name}” is destroyed.")


async def create(talk: Dialogue) -> None:
    """The command ``create``."""
    account = _account(talk)
    fields = (
        Field(name="name", label="Name of the group"),
        Field(
            name="private",
            label="Private",
            kind=Kind.YES_NO,
            hint="Then only who is invited comes in.",
            default="1",
        ),
        Field(
            name="invited",
            label="Whom to invite",
            hint="Addresses of contacts, with commas between them.",
            required=False,
        ),
    )
    instructions = "You make a group on the network."
    wrong = ""
    known: dict[str, str] = {}
    while True:
        form = Form(title="Make a group", instructions=instructions, fields=fields, last=True)
        answers = await talk.ask(form, known, wrong=wrong)
        typed = answers["invited"].replace(",", " ").split()
        people = {address: talk.person(address) for address in typed[:_MOST_INVITED]}
        strangers = [address for address, person in people.items() if person is None]
        if not strangers:
            break
        wrong = f"“{strangers[0][:100]}” is not the address of a contact."
        known = {name: said for name, said in answers.items() if name != "invited"}
    action = CreateRoom(
        name=one_line(answers["name"]),
        is_private=answers["private"] == "1",
        invited=tuple(person for person in people.values() if person is not None),
    )
    _tell_in(talk, await talk.wait(talk.network.rooms.coming.create(account, action)))


async def invite(talk: Dialogue) -> None:
    """The command ``invite``."""
    account = _account(talk)
    rooms = _rooms(talk, account)
    if not rooms:
        talk.say(_NO_GROUPS)
        return
    whom = Field(name="whom", label="Whom", hint="The address of a contact.")
    form = Form(
        title="Invite to a group",
        instructions="You invite somebody to a group that you are in.",
        fields=(whom, _field(_names(rooms))),
        last=True,
    )
    answers = await talk.ask(form)
    person = talk.person(answers["whom"])
    address = _chosen(talk, _names(rooms), answers["group"])
    if person is None:
        talk.say(f"“{answers['whom'][:100]}” is not the address of a contact.", Note.ERROR)
    elif address is None:
        talk.say(_UNKNOWN, Note.ERROR)
    else:
        room = rooms[address]
        action = InviteToRoom(room=room.remote_id, user=person)
        await talk.wait(talk.network.rooms.management.do(account, action))
        talk.say(f"{talk.address_of(person)} is invited to the group “{_name(room)}”.")


async def decline(talk: Dialogue) -> None:
    """The command ``decline``."""
    account = _account(talk)
    coming = talk.network.rooms.coming
    waiting = {
        talk.address_of(RemoteUserId(one.room)): one
        for one in sorted(coming.invitations(account)[:_LISTED], key=lambda one: one.name)
    }
    if not waiting:
        talk.say("No invitation waits for you.")
        return
    options = [Option(address, one.name or address) for address, one in waiting.items()]
    which = Field(
        name="group",
        label="Which one",
        kind=Kind.CHOICE,
        options=(*options, Option(_ALL, "All of them")),
    )
    form = Form(
        title="Decline an invitation",
        instructions="You do not want to come into a group.",
        fields=(which,),
        last=True,
    )
    said = (await talk.ask(form))["group"]
    chosen = list(waiting.values()) if said == _ALL else [waiting[said]]
    for invitation in chosen:
        await talk.wait(coming.decline(account, invitation))
    talk.say("Declined.")
