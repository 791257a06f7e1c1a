# SPDX-License-Identifier: Apache-2.0
"""What clients show when the gateway says things again, because nobody knows whether they arrived.

Clients recognise a repetition in different ways. Two of them are played here, by the rules of
their sources: which of the things that come they show, and which they drop as known.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol
from xml.etree.ElementTree import Element, tostring

import pytest

from tests.scenario.house import House
from tests.scenario.patterns import ACCEPT
from tests.scenario.test_rooms import _club, _join, _received
from tests.scenario.test_stream import running

BODY = f"{ACCEPT}body"
DELAY = "{urn:xmpp:delay}delay"
ORIGIN_ID = "{urn:xmpp:sid:0}origin-id"
STANZA_ID = "{urn:xmpp:sid:0}stanza-id"
_UUID = re.compile(r"[0-9A-Fa-f]{8}-(?:[0-9A-Fa-f]{4}-){3}[0-9A-Fa-f]{12}")
SAID = ("ok", "ok", "see you", "ok")
"""One says the same again and again, within a minute."""


class Client(Protocol):
    """What a client has on its screen."""

    shown: list[Element]

    def take(self, message: Element) -> None:
        """A message has come."""


def _origin(message: Element) -> str | None:
    origin = message.find(ORIGIN_ID)
    return message.get("id") if origin is None else origin.get("id")


def _of_room(message: Element) -> str | None:
    """The id that the room has given it; of a chat there is none, as the server adds none here."""
    stanza = message.find(STANZA_ID)
    return None if stanza is None else stanza.get("id")


@dataclass(slots=True)
class Conversations:
    """2.19: ``MessageParser`` decides whether to look, ``Message.similar`` what is the same."""

    catches_up: bool = True
    """It is fetching from its server what it has missed, as it does when that was away."""
    shown: list[Element] = field(default_factory=list)

    def take(self, message: Element) -> None:
        is_delayed = message.get("type") == "groupchat" and message.find(DELAY) is not None
        looks = is_delayed or _of_room(message) is not None or self.catches_up
        if not (looks and any(self._is_same(before, message) for before in self.shown)):
            self.shown.append(message)

    def _is_same(self, before: Element, message: Element) -> bool:
        if _of_room(before) is not None and _of_room(message) is not None:
            return _of_room(before) == _of_room(message)
        return all(
            what(before) == what(message)
            for what in (_id, _sender, lambda stanza: stanza.findtext(BODY))
        )


@dataclass(slots=True)
class Dino:
    """0.5: ``MessageProcessor.is_duplicate``. A body counts where the id is no UUID."""

    shown: list[Element] = field(default_factory=list)

    def take(self, message: Element) -> None:
        if not any(self._is_same(before, message) for before in self.shown):
            self.shown.append(message)

    def _is_same(self, before: Element, message: Element) -> bool:
        if _of_room(message) is not None and _of_room(before) == _of_room(message):
            return True
        if _sender(before) != _sender(message):
            return False
        if _UUID.fullmatch(_origin(message) or ""):
            return _origin(before) == _origin(message)
        return before.findtext(BODY) == message.findtext(BODY)  # all are said within a minute


def _id(message: Element) -> str | None:
    return message.get("id")


def _sender(message: Element) -> str | None:
    return message.get("from")


CLIENTS: dict[str, Callable[[], Client]] = {"Conversations": Conversations, "Dino": Dino}


def _as_it_was(message: Element) -> bytes:
    """Without what says that it is late."""
    return b"".join(tostring(child) for child in message if child.tag != DELAY)


async def _said_twice(house: House, say: Callable[[str, str], None], how: str) -> list[Element]:
    """What comes when our server has not confirmed what was said before the stream broke."""
    house.server.answers_barriers = False
    for number, body in enumerate(SAID):
        say(f"x{number}", body)
    await house.clock.settle()
    first = _texts(house)
    if how == "killed":
        await house.kill()
        await house.start()
    else:
        house.server.cut()
        await house.clock.settle()
        await house.clock.advance(2)
    await house.connected()
    house.server.answer_barriers()
    await house.clock.settle()
    again = _texts(house)
    assert [_as_it_was(one) for one in again] == [_as_it_was(one) for one in first]
    assert [one.attrib for one in again] == [one.attrib for one in first]
    assert all(one.find(DELAY) is not None for one in again)
    assert all(one.find(DELAY) is None for one in first)
    return first + again


def _texts(house: House) -> list[Element]:
    return [one for one in _received(house) if one.find(BODY) is not None]


def _screen(client: Client, came: list[Element]) -> list[str | None]:
    for message in came:
        client.take(message)
    return [message.findtext(BODY) for message in client.shown]


@pytest.mark.parametrize("how", ["the stream breaks", "killed"])
async def test_req_804_816_a_chat_is_shown_once(house: House, how: str) -> None:
    await running(house)

    def say(id: str, body: str) -> None:
        house.network.event("alice", "message", contact="bob", id=id, body=body)

    came = await _said_twice(house, say, how)
    for client in CLIENTS.values():
        assert _screen(client(), came) == list(SAID), client
    # A repetition in the middle of a connection is not recognised by everybody: there are few.
    assert len(_screen(Conversations(catches_up=False), came)) == 2 * len(SAID)


@pytest.mark.parametrize("how", ["the stream breaks", "killed"])
async def test_req_804_816_a_room_is_shown_once(house: House, how: str) -> None:
    """There nobody has to catch up for it: the room's own ids are compared."""
    room = await _club(house)
    await _join(house, room)

    def say(id: str, body: str) -> None:
        at = house.clock.now()
        event = {"room": "!club", "sender": "bob", "id": id, "body": body, "sent_at": at}
        house.network.event("alice", "room-message", **event)

    came = await _said_twice(house, say, how)
    came += [one for one in await _join(house, room) if one.find(BODY) is not None]
    assert len(came) == 3 * len(SAID), "also as the history of who joins again"
    for client in (Dino(), Conversations(catches_up=False)):
        assert _screen(client, came) == list(SAID), client
