# SPDX-License-Identifier: Apache-2.0
"""What an encrypted event is about stands in clear, and nowhere else (Matrix spec, "Forming
relationships between events")."""

from __future__ import annotations

import json
from typing import Any

import pytest
import vodozemac

from adapters.matrix.e2e.megolm import ALGORITHM, Missing, RoomKeys
from adapters.matrix.e2e.waiting import Received
from adapters.matrix.group_outbound import room_content
from adapters.matrix.secrets import Secrets
from gateway.events import (
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


@pytest.mark.parametrize("kind", ["m.room.message", "m.reaction", "m.room.redaction"])
async def test_what_waited_in_a_group_is_what_it_was(kind: str) -> None:
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
            room=RemoteRoomId(ROOM),
        )
        await account.commit([waiting])
        mark = account.inbox.mark()
        machine._keys.add_shared(key, BOB, "bobs", "bobs")
        received: Received = await machine.waiting.overlooked([waiting.needs])
        await encryption._tell(received)
        told: list[Any] = account.inbox.items[mark:]
    if kind == "m.room.message":
        [said] = told
        assert isinstance(said, RemoteRoomMessage)
        assert (said.sender, said.body, said.edits) == (BOB, "new", "$clear")
    elif kind == "m.reaction":
        [said] = told
        assert isinstance(said, RemoteRoomReaction)
        assert (said.sender, said.message, said.emoji) == (BOB, "$clear", "👍")
    else:
        assert told == []


async def test_what_is_sent_has_its_relation_in_clear_and_its_words_not() -> None:
    command = SendRoomText(
        room=RemoteRoomId(ROOM), body="the secret", edits=RemoteMessageId("$mine")
    )
    async with _account() as account:
        encryption, _, _ = _encryption(account, _Homeserver())
        content = await encryption.encrypt(ROOM, "m.room.message", room_content(command, "k"))
    assert content["m.relates_to"] == {"rel_type": "m.replace", "event_id": "$mine"}
    assert "secret" not in json.dumps(content)
    assert "m.new_content" not in content
