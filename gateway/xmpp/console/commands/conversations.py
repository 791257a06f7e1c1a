# SPDX-License-Identifier: Apache-2.0
"""What is the same for chats and groups: which one is meant, and what was said there last."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from msgspec import structs

from gateway.bridge.splitting import brief, in_line, one_line
from gateway.events import RemoteMessage, RoomMessage
from gateway.ids import RemoteUserId
from gateway.locale import in_language
from gateway.store.mutes import Conversation
from gateway.store.rooms import RoomRow
from gateway.text.wording import Words, joined, tr
from gateway.xmpp.console.commands.choosing import room_called
from gateway.xmpp.console.model import Answers, Dialogue, Field, Form, Note
from gateway.xmpp.jid import split

_SHOWN = 20
_CHARS = 500
"""Of each of them: a stanza has to stay small (REQ-105)."""
_FETCHED_S = 15.0
"""How long what the gateway does not have is waited for."""
_NOTHING = tr("Nothing was said that can be shown.")


class Meant(NamedTuple):
    """One of the user's chats or groups."""

    name: str
    conversation: Conversation
    room: RoomRow | None = None


def which_conversation() -> Field:
    """The question for one."""
    hint = tr("The address of a contact, or the name or address of a group.")
    return Field(name="which", label=tr("Which chat or group"), hint=hint)


def meant_by(talk: Dialogue, answers: Answers) -> Meant | None:
    """The contact or group at whose address the command was given, else the one that the user
    has named. None if there is none; then they have been told."""
    if (target := talk.target) is not None:
        typed, contact = target.address, target.contact
        room = room_called(talk, typed) if contact is None else None
    else:
        typed = answers["which"]
        room, contact = _named(talk, typed)
    if room is not None:
        return Meant(in_line(room.name) or typed, Conversation(room=room.remote_id), room)
    if contact is not None:
        return Meant(contact, Conversation(contact=contact))
    unknown = tr("“{typed}” is no contact and no group of yours.", typed=brief(typed, 100))
    talk.say(unknown, Note.ERROR)
    return None


def _named(talk: Dialogue, typed: str) -> tuple[RoomRow | None, RemoteUserId | None]:
    """A group may be called as a contact is: by others, who would like to be taken for them."""
    room, contact = room_called(talk, typed), talk.contact_at(typed)
    if room is None or contact is None:
        return room, contact
    is_ours = split(typed.strip()).domain == talk.network.addresses.domain
    is_known = talk.network.contacts.look_ups.is_known(talk.account, contact)
    return (None, contact) if is_ours or is_known else (room, None)


async def tell_history(talk: Dialogue) -> None:
    """The command ``history`` (REQ-220)."""
    answers: Mapping[str, str] = {}
    if talk.target is None:
        title, instructions = tr("History"), tr("What was said last in a chat or a group.")
        fields = (which_conversation(),)
        form = Form(title=title, instructions=instructions, fields=fields, last=True)
        answers = await talk.ask(form)
    meant = meant_by(talk, answers)
    if meant is None:
        return
    lines = await _of_chat(talk, meant) if meant.room is None else await _of_room(talk, meant.room)
    if not lines:
        talk.say(_NOTHING)
        return
    title = tr("What was said last in “{name}” (times are UTC):", name=meant.name)
    talk.say(joined([title, *lines], "\n"))


async def _of_room(talk: Dialogue, room: RoomRow) -> Sequence[str]:
    """What the gateway has, and if that is little, what the network has before it."""
    account, rooms = talk.account, talk.network.rooms
    found = rooms.archive.latest(account, room, _SHOWN)
    missing = rooms.history.missing(account, room)
    if len(found) < _SHOWN and missing:
        await talk.wait(rooms.history.more(account, room, missing[0], _FETCHED_S))
        found = rooms.archive.latest(account, room, _SHOWN)
    said: dict[str, RoomMessage] = {}
    for message in found:
        first = said.get(message.replaces or "", message)
        # A correction takes the place of what it corrects (XEP-0308).
        said[message.replaces or message.id] = structs.replace(message, sent_at=first.sent_at)
    return [_line(one.sent_at, one.nick, one.body) for one in said.values()]


async def _of_chat(talk: Dialogue, meant: Meant) -> Sequence[str]:
    """Chats are not kept here: the network tells."""
    contact = meant.conversation.contact
    assert contact is not None
    account = talk.account
    said = await talk.wait(talk.network.last_said(account, contact, _SHOWN))
    return [
        _line(one.sent_at, tr("You") if one.own else contact, _words(one, account.language))
        for one in said
    ]


def _words(message: RemoteMessage, language: str) -> str:
    files = (file.name for file in message.files)
    return " ".join(filter(None, (*files, in_language(message.body, language))))


def _line(sent_at: float, by: str, text: str) -> str:
    at = datetime.fromtimestamp(sent_at, UTC).strftime("%Y-%m-%d %H:%M")
    said = one_line(text, _CHARS)
    if not by:  # it is a line of the room
        return Words("{at} {text}", {"at": at, "text": said})
    return Words("{at} {by}: {text}", {"at": at, "by": by, "text": said})
