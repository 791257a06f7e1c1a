# SPDX-License-Identifier: Apache-2.0
"""Single contacts and groups: who and what they are."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.bridge.accounts import Account
from gateway.bridge.splitting import in_line
from gateway.ids import RemoteUserId
from gateway.store.rooms import RoomRow
from gateway.text.wording import joined, tr, trc
from gateway.xmpp.console.commands.conversations import meant_by, which_conversation
from gateway.xmpp.console.commands.groups import sees_addresses
from gateway.xmpp.console.commands.muting import told_of
from gateway.xmpp.console.model import Dialogue, Field, Form, Note

_SHARED = 20
"""Groups that are named; where there are more, they are counted."""
_WHOM = Field(name="whom", label=tr("Whom"), hint=tr("The address of a contact."))


async def whom(talk: Dialogue, title: str, instructions: str) -> RemoteUserId | None:
    """The contact at whose address the command was given, else the one whom the user names. None
    if that is nobody; then they have been told."""
    if talk.target is not None and talk.target.contact is not None:
        return talk.target.contact
    form = Form(title=title, instructions=instructions, fields=(_WHOM,), last=True)
    typed = (await talk.ask(form))["whom"]
    found = talk.contact_at(typed)
    if found is None:
        talk.say(tr("“{typed}” is not the address of a contact.", typed=typed[:100]), Note.ERROR)
    return found


async def tell_about(talk: Dialogue) -> None:
    """The command ``about``."""
    account = talk.account
    answers: Mapping[str, str] = {}
    if talk.target is None:
        title = tr("About a contact or a group")
        instructions = tr("Who somebody is on the network, or what a group is.")
        fields = (which_conversation(),)
        form = Form(title=title, instructions=instructions, fields=fields, last=True)
        answers = await talk.ask(form)
    meant = meant_by(talk, answers)
    if meant is None:
        return
    if meant.room is not None:
        await _tell_about_room(talk, meant.room)
    elif meant.conversation.contact is not None:
        await _tell_about_contact(talk, account, meant.conversation.contact)


async def _tell_about_contact(talk: Dialogue, account: Account, contact: RemoteUserId) -> None:
    found = await talk.wait(talk.network.contacts.look_ups.find(account, contact))
    page = talk.network.adapter.page_of(contact)
    lines = [
        tr("Name: {name}", name=in_line(found.name) or trc("a name", "none")),
        tr("On the network: {contact}", contact=contact),
        tr("Address here: {address_of}", address_of=talk.address_of(contact)),
        tr("Groups that you share: {shared}", shared=_shared(talk, account, contact)),
        await told_of(talk, contact=contact),
        tr("On the web: {page}", page=page) if page else "",
    ]
    talk.say(joined(filter(None, lines), "\n"))


async def _tell_about_room(talk: Dialogue, room: RoomRow) -> None:
    lines = [
        tr("Name: {name}", name=in_line(room.name) or trc("a name", "none")),
        tr("On the network: {contact}", contact=room.remote_id),
        tr("To join it here: {room_uri}", room_uri=talk.room_uri(room)),
        tr("Members: {count}", count=talk.network.rooms.people(room)),
        await told_of(talk, room=room.remote_id),
    ]
    talk.say(joined(filter(None, lines), "\n"))


def _shared(talk: Dialogue, account: Account, contact: RemoteUserId) -> str:
    rooms = talk.network.rooms
    found = [
        room
        for room in rooms.of(account)
        if sees_addresses(talk, room) and rooms.member(room, contact) is not None
    ]
    names = sorted(in_line(room.name) or tr("one without a name") for room in found)
    if not names:
        return tr("none")
    shown, more = joined(names[:_SHARED], ", "), len(names) - _SHARED
    return shown if more <= 0 else tr("{names} and {more} more", names=shown, more=more)
