# SPDX-License-Identifier: Apache-2.0
"""What the account reacts with, in chats and groups: a set becomes the requests that are missing.

Matrix spec, client-server API, "Event annotations and reactions", "Redactions". Reactions are not
encrypted: see ``docs/decisions/0010-reactions-go-in-clear.md``.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import suppress

from adapters.matrix.errors import code_of
from adapters.matrix.http import Api
from adapters.matrix.inbound import KEY, as_dict, as_dicts, event_id_of
from adapters.matrix.polls import Poll, is_number, is_vote, poll_in
from adapters.matrix.rooms import RoomId
from adapters.matrix.saying import Saying, part
from gateway.errors import Forbidden, NotFound, Unsupported
from gateway.ids import RemoteMessageId, RemoteUserId
from gateway.text.wording import tr

_INFORMATION = "\u2139"
_DIGITS = frozenset("0123456789")
_KEYCAP = "\u20e3"
_PAGES = 5
_PAGE = 100


class Reacting:
    """On behalf of one account."""

    def __init__(self, account: RemoteUserId, api: Api, saying: Saying) -> None:
        self._account = account
        self._api = api
        self._saying = saying

    async def react(
        self,
        room_id: RoomId,
        message: RemoteMessageId,
        emoji: Iterable[str],
        have: Mapping[str, RemoteMessageId],
        key: str,
        is_encrypted: Callable[[], Awaitable[bool]],
    ) -> dict[str, RemoteMessageId]:
        """Make the account's reactions these; returns them with their ids. An attempt that comes
        again makes none twice: what each part of it is called follows from the key.

        ``have``: what is there. ``is_encrypted``: whether the room is. Raises any `AdapterError`.
        """
        wanted, have = dict.fromkeys(emoji), dict(have)
        reactions = await self._vote(room_id, message, wanted, have, key, is_encrypted)
        if any(map(_has_words, wanted)) and await is_encrypted():
            raise Unsupported(
                tr(
                    "Reactions are not encrypted on Matrix, so nothing but emoji "
                    "can be sent as one here.",
                )
            )
        for each in wanted:
            made = have.get(each) or await self._add(room_id, message, each, key)
            if made is not None:
                reactions[each] = made
        for each, made in have.items():
            if each not in wanted:
                with suppress(NotFound):  # it is gone already
                    await self._saying.redact(room_id, made, part(key, "-", made))
        return reactions

    async def _vote(
        self,
        room_id: RoomId,
        message: RemoteMessageId,
        wanted: dict[str, None],
        have: dict[str, RemoteMessageId],
        key: str,
        is_encrypted: Callable[[], Awaitable[bool]],
    ) -> dict[str, RemoteMessageId]:
        """What stands for an answer to a poll is a vote (REQ-455): one event for all that are
        chosen, in place of the last one. These are taken out of what is wanted and there."""
        votes = [*filter(is_vote, have), *(each for each in wanted if each not in have)]
        if set(filter(is_vote, wanted)) == set(filter(is_vote, have)):
            return {}
        poll = await self._poll(room_id, message)
        if poll is None:
            return {}
        chosen = poll.chosen(each for each in votes if each in wanted)
        vote = part(key, "?", message)
        made = await self.choose(room_id, message, poll, chosen.values(), vote, is_encrypted)
        for each in filter(is_vote, votes):
            wanted.pop(each, None)
            have.pop(each, None)
        return dict.fromkeys(chosen, made)

    async def reply(
        self,
        room_id: RoomId,
        message: RemoteMessageId,
        body: str,
        key: str,
        is_encrypted: Callable[[], Awaitable[bool]],
    ) -> RemoteMessageId | None:
        """Vote, if it is a number in reply to a poll that has such an answer."""
        poll = await self._poll(room_id, message) if is_number(body) else None
        chosen = None if poll is None else poll.numbered(body)
        if poll is None or chosen is None:
            return None
        return await self.choose(room_id, message, poll, [chosen], key, is_encrypted)

    async def choose(
        self,
        room_id: RoomId,
        message: RemoteMessageId,
        poll: Poll,
        answers: Iterable[str],
        key: str,
        is_encrypted: Callable[[], Awaitable[bool]],
    ) -> RemoteMessageId:
        """The answers with these ids, in place of those of before. Raises any `AdapterError`."""
        kind, content = poll.vote(message, answers)
        encrypts = await is_encrypted()
        return await self._saying.message(
            room_id, {**content, KEY: key}, key, is_encrypted=encrypts, kind=kind
        )

    async def _poll(self, room_id: RoomId, message: RemoteMessageId) -> Poll | None:
        try:
            event = await self._saying.said(room_id, message)
        except (NotFound, Forbidden):
            return None  # what comes after this will say so
        return poll_in(event.get("type"), as_dict(event.get("content")))

    async def _add(
        self, room_id: RoomId, message: RemoteMessageId, emoji: str, key: str
    ) -> RemoteMessageId | None:
        relation = {"rel_type": "m.annotation", "event_id": message, "key": emoji}
        content = {"m.relates_to": relation, KEY: key}
        try:
            return await self._saying.in_clear(
                room_id, "m.reaction", content, part(key, "+", emoji)
            )
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
                if is_it and event.get("sender") == self._account:
                    return RemoteMessageId(event_id_of(event))
            following = answer.get("next_batch")
            if not isinstance(following, str):
                break
            query["from"] = following
        return None


def _has_words(emoji: str) -> bool:
    """An emoji has no letters and digits, but for "information" and the digit of a keycap. One
    letter is a word in some languages."""
    letters = "".join(filter(str.isalnum, emoji))
    is_keycap = letters in _DIGITS and _KEYCAP in emoji
    return letters not in ("", _INFORMATION) and not is_keycap
