# SPDX-License-Identifier: Apache-2.0
"""What the user says and does in groups → requests.

Matrix spec, client-server API, "Event replacements", "Rich replies", "Event annotations and
reactions", "Redactions". What is not encrypted in an encrypted group is told in
``docs/decisions/0010-reactions-go-in-clear.md``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from msgspec.structs import replace

from adapters.matrix.errors import code_of
from adapters.matrix.http import Api
from adapters.matrix.inbound import KEY, as_dict, as_dicts, event_id_of
from adapters.matrix.mentions import formatted, listed
from adapters.matrix.opening import Opening
from adapters.matrix.rooms import RoomId
from adapters.matrix.saying import Saying, text_content
from gateway.adapter import AccountContext, Sent
from gateway.errors import Forbidden, NotFound, Unsupported
from gateway.events import (
    MarkRoomRead,
    ReactInRoom,
    RetractInRoom,
    RoomCommand,
    SendRoomText,
)
from gateway.ids import RemoteMessageId

_MAX_FALLBACK = 300
"""Characters of an edit for apps that know no edits: the whole text is there once more."""
_INFORMATION = "\u2139"
_DIGITS = frozenset("0123456789")
_KEYCAP = "\u20e3"
_PAGES = 5
_PAGE = 100


class GroupOutbound:
    """Carries out the commands of one account in its groups."""

    def __init__(
        self, account: AccountContext, api: Api, opening: Opening, saying: Saying
    ) -> None:
        self._account = account
        self._api = api
        self._opening = opening
        self._saying = saying

    async def send(self, command: RoomCommand, key: str) -> Sent:
        """See `gateway.adapter.Session.send`."""
        match command:
            case SendRoomText():
                with _in_words("You may not write in this group."):
                    return Sent(remote_id=await self._text(command, key))
            case ReactInRoom():
                with _in_words("You may not react in this group.", "This message"):
                    return Sent(reactions=await self._react(command, key))
            case RetractInRoom():
                with _in_words("You may not take this message back.", "This message"):
                    await self._retract(command, key)
            case MarkRoomRead():
                await self._saying.read(RoomId(command.room), command.up_to)
        return Sent()

    async def _text(self, command: SendRoomText, key: str) -> RemoteMessageId:
        room_id = RoomId(command.room)
        is_encrypted = await self._opening.is_group_encrypted(room_id)
        content = room_content(command, key)
        return await self._saying.message(room_id, content, key, is_encrypted=is_encrypted)

    async def _retract(self, command: RetractInRoom, key: str) -> None:
        """The reason is not encrypted either."""
        room_id, reason = RoomId(command.room), command.reason
        if reason and await self._opening.is_group_encrypted(room_id):
            reason = ""
        await self._saying.redact(room_id, command.message, key, reason)

    # --- reactions ------------------------------------------------------------------------------

    async def _react(self, command: ReactInRoom, key: str) -> dict[str, RemoteMessageId]:
        """Make the account's reactions these. An attempt that comes again makes none twice: what
        each part of it is called follows from the key."""
        room_id = RoomId(command.room)
        have = self._account.reactions(command.room, command.message)
        wanted = dict.fromkeys(command.emoji)
        if any(map(_has_words, wanted)) and await self._opening.is_group_encrypted(room_id):
            raise Unsupported(
                "Reactions are not encrypted on Matrix, "
                "so nothing but emoji can be sent as one in this group."
            )
        reactions = {}
        for emoji in wanted:
            made = have.get(emoji) or await self._add(room_id, command.message, emoji, key)
            if made is not None:
                reactions[emoji] = made
        for emoji, made in have.items():
            if emoji not in wanted:
                with suppress(NotFound):  # it is gone already
                    await self._saying.redact(room_id, made, _part(key, "-", made))
        return reactions

    async def _add(
        self, room_id: RoomId, message: RemoteMessageId, emoji: str, key: str
    ) -> RemoteMessageId | None:
        relation = {"rel_type": "m.annotation", "event_id": message, "key": emoji}
        content = {"m.relates_to": relation, KEY: key}
        part = _part(key, "+", emoji)
        try:
            return await self._saying.in_clear(room_id, "m.reaction", content, part)
        except Unsupported as error:
            if code_of(error) != "M_DUPLICATE_ANNOTATION":
                raise
        return await self._made_elsewhere(room_id, message, emoji)

    async def _made_elsewhere(
        self, room_id: RoomId, message: RemoteMessageId, emoji: str
    ) -> RemoteMessageId | None:
        """By another app, and not told yet or before the account was linked. Among very many
        reactions it is not looked for to the end."""
        query = {"limit": str(_PAGE)}
        for _ in range(_PAGES):
            answer = await self._api.annotations(room_id, message, query)
            for event in as_dicts(answer.get("chunk")):
                relation = as_dict(as_dict(event.get("content")).get("m.relates_to"))
                is_it = relation.get("key") == emoji and event_id_of(event)
                if is_it and event.get("sender") == self._account.remote_id:
                    return RemoteMessageId(event_id_of(event))
            following = answer.get("next_batch")
            if not isinstance(following, str):
                break
            query["from"] = following
        return None


def room_content(command: SendRoomText, key: str) -> dict[str, Any]:
    """Spec, "Event replacements", "Rich replies" (without fallback, since 1.13), "Threading",
    "User and room mentions"."""
    content = text_content(command.body, key)
    by = len(content["body"]) - len(command.body)
    named = [replace(each, begin=each.begin + by, end=each.end + by) for each in command.mentions]
    notified = [each for each in named if each.notify]
    links = formatted(content["body"], named)
    if command.mentions:
        content["m.mentions"] = listed(notified)
    if command.edits is not None:
        relation = {"rel_type": "m.replace", "event_id": command.edits}
        whole = {name: value for name, value in content.items() if name != KEY} | links
        if command.mentions:
            whole["m.mentions"] = listed(named)
        fallback = {**content, "body": f"* {_brief(whole['body'])}"}
        return {**fallback, "m.new_content": whole, "m.relates_to": relation}
    content |= links
    if command.thread is not None:
        content["m.relates_to"] = _in_thread(command, command.thread)
    elif command.reply_to is not None:
        content["m.relates_to"] = {"m.in_reply_to": {"event_id": command.reply_to}}
    return content


def _in_thread(command: SendRoomText, thread: RemoteMessageId) -> dict[str, Any]:
    """Apps that know no threads show it as an answer, to the last message there if to no other
    ("Fallback for unthreaded clients", "Replies within threads")."""
    answered = command.reply_to or command.thread_after or thread
    return {
        "rel_type": "m.thread",
        "event_id": thread,
        "is_falling_back": command.reply_to is None,
        "m.in_reply_to": {"event_id": answered},
    }


def _brief(text: str) -> str:
    return text if len(text) <= _MAX_FALLBACK else f"{text[: _MAX_FALLBACK - 1]}…"


def _has_words(emoji: str) -> bool:
    """An emoji has no letters and digits, but for "information" and the digit of a keycap. One
    letter is a word in some languages."""
    letters = "".join(filter(str.isalnum, emoji))
    is_keycap = letters in _DIGITS and _KEYCAP in emoji
    return letters not in ("", _INFORMATION) and not is_keycap


def _part(key: str, what: str, of: str) -> str:
    """The transaction id of a part of a command."""
    return f"{key}.{hashlib.sha256(f'{what}{of}'.encode()).hexdigest()[:16]}"


@contextmanager
def _in_words(forbidden: str, gone: str = "This group") -> Iterator[None]:
    try:
        yield
    except Forbidden as error:
        raise Forbidden(f"{forbidden} {error.text}") from error
    except NotFound as error:
        raise NotFound(f"{gone} is not there any more. {error.text}") from error
