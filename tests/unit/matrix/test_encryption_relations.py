# SPDX-License-Identifier: Apache-2.0
"""What an encrypted event is about stands in clear, and nowhere else (Matrix spec, "Forming
relationships between events")."""

from __future__ import annotations

import json
from typing import Any

import pytest
import vodozemac

from adapters.matrix.contents import content_of
from adapters.matrix.e2e.megolm import ALGORITHM, Missing, RoomKeys
from adapters.matrix.e2e.waiting import Received
from adapters.matrix.rooms import Room
from adapters.matrix.secrets import Secrets
from gateway.events import (
    RemoteMessage,
    RemoteReaction,
    RemoteRoomMessage,
    RemoteRoomReaction,
    RemoteUndecryptable,
    SendRoomText,
)
from gateway.ids import RemoteMessageId, RemoteRoomId, RemoteUserId
from tests.unit.matrix.test_encryption_races import (
    BOB,
    ROOM,
    _account,
    _encryption,
    _Homeserver,
    _key,
)

CLEAR = {"rel_type": "m.replace", "event_id": "$clear"}
HIDDEN = {"rel_type": "m.replace", "event_id": "$hidden"}
NEW = {"msgtype": "m.text", "body": "new"}


def _event(inside: Any, outside: Any, kind: str = "m.room.message") -> tuple[Any, Any]:
    """An encrypted event, and its key."""
    session = vodozemac.GroupSession()
    key = _key(session)
    payload = {"room_id": ROOM, "type": kind, "content": inside}
    content = {
        "algorithm": ALGORITHM,
        "session_id": session.session_id,
        "ciphertext": session.encrypt(json.dumps(payload).encode()).to_base64(),
        **outside,
    }
    event = {"type": "m.room.encrypted", "sender": BOB, "event_id": "$1", "content": content}
    return event, key


@pytest.mark.parametrize(
    ("inside", "outside", "expected"),
    [
        ({}, {"m.relates_to": CLEAR}, {"m.relates_to": CLEAR}),
        ({"m.relates_to": HIDDEN}, {"m.relates_to": CLEAR}, {"m.relates_to": CLEAR}),
        ({"m.relates_to": HIDDEN}, {}, {}),
        ({"m.relates_to": HIDDEN}, {"m.relates_to": None}, {"m.relates_to": None}),
        ({}, {"m.new_content": NEW}, {}),
    ],
)
async def test_which_relation_holds(inside: Any, outside: Any, expected: Any) -> None:
    async with _account() as account:
        keys = RoomKeys(Secrets(account), lambda _: None)
        event, key = _event(inside, outside)
        assert keys.add_shared(key, BOB, "bobs", "bobs") is not None
        assert keys.decrypt(ROOM, event)["content"] == expected


@pytest.mark.parametrize("room", [RemoteRoomId(ROOM), None])
@pytest.mark.parametrize("kind", ["m.room.message", "m.reaction", "m.room.redaction"])
async def test_what_waited_is_what_it_was(kind: str, room: RemoteRoomId | None) -> None:
    """In a group and in a chat."""
    relation = {"rel_type": "m.annotation", "key": "👍"} if kind == "m.reaction" else CLEAR
    outside = {"m.relates_to": {**CLEAR, **relation}}
    event, key = _event({"body": "* new", "m.new_content": NEW, "redacts": "$x"}, outside, kind)
    async with _account() as account:
        encryption, machine, _ = _encryption(account, _Homeserver())
        waiting = RemoteUndecryptable(
            contact=RemoteUserId(BOB),
            id=RemoteMessageId("$1"),
            sent_at=1.0,
            content=json.dumps(event),
            needs=str(Missing(ROOM, key["session_id"])),
            room=room,
        )
        await account.commit([waiting])
        mark = account.inbox.mark()
        machine._keys.add_shared(key, BOB, "bobs", "bobs")
        received: Received = await machine.waiting.overlooked([waiting.needs])
        await encryption._tell(received)
        told: list[Any] = account.inbox.items[mark:]
    if kind == "m.room.message":
        [said] = told
        assert isinstance(said, RemoteRoomMessage if room else RemoteMessage)
        assert (said.body, said.edits) == ("new", "$clear")
    elif kind == "m.reaction":
        [said] = told
        assert isinstance(said, RemoteRoomReaction if room else RemoteReaction)
        assert (said.message, said.emoji) == ("$clear", "👍")
    else:
        assert told == []
    assert {getattr(each, "sender" if room else "contact") for each in told} <= {BOB}


async def test_req_420_a_late_edit_where_a_third_person_has_spoken_is_a_text() -> None:
    inside = {"body": "* new", "msgtype": "m.text", "m.new_content": NEW}
    event, key = _event(inside, {"m.relates_to": CLEAR})
    async with _account() as account:
        encryption, machine, _ = _encryption(account, _Homeserver())
        async with encryption._ledger.writing() as book:
            draft = book.draft()
            draft.put(ROOM, Room(contact=RemoteUserId(BOB), guests=True))
            await encryption._ledger.commit(draft)
        missing = str(Missing(ROOM, key["session_id"]))
        waiting = RemoteUndecryptable(
            contact=RemoteUserId(BOB),
            id=RemoteMessageId("$1"),
            sent_at=1.0,
            content=json.dumps(event),
            needs=missing,
        )
        await account.commit([waiting])
        mark = account.inbox.mark()
        machine._keys.add_shared(key, BOB, "bobs", "bobs")
        await encryption._tell(await machine.waiting.overlooked([missing]))
        [told] = account.inbox.items[mark:]
    assert isinstance(told, RemoteMessage)
    assert (told.body, told.edits) == ("✏ new", None)


async def test_what_is_sent_has_its_relation_in_clear_and_its_words_not() -> None:
    command = SendRoomText(
        room=RemoteRoomId(ROOM), body="the secret", edits=RemoteMessageId("$mine")
    )
    async with _account() as account:
        encryption, _, _ = _encryption(account, _Homeserver())
        content = await encryption.encrypt(ROOM, "m.room.message", content_of(command, "k"))
    assert content["m.relates_to"] == {"rel_type": "m.replace", "event_id": "$mine"}
    assert "secret" not in json.dumps(content)
    assert "m.new_content" not in content
