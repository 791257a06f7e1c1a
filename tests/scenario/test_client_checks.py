# SPDX-License-Identifier: Apache-2.0
"""What clients look for in service discovery before they offer something (REQ-602).

Each check is as the client makes it, established from its source (see "Sources read" in the
requirements). One that fails hides a feature, or the room, without a word.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import pytest

from gateway.adapter import Capabilities
from tests.scenario.house import GATEWAY, House
from tests.scenario.test_rooms import _ask, _club, _join

_MODERATE, _MAM, _OCCUPANT = (
    "urn:xmpp:message-moderate:1",
    "urn:xmpp:mam:2",
    "urn:xmpp:occupant-id:0",
)


@dataclass(frozen=True)
class Said:
    """An answer to disco#info."""

    identities: list[tuple[str, str]]
    features: set[str]
    fields: Mapping[str, str]
    name: str = ""

    def has(self, *features: str) -> bool:
        """All of them."""
        return self.features >= set(features)


async def _info(house: House, address: str) -> Said:
    (answer,) = await _ask(
        house, address, "<query xmlns='http://jabber.org/protocol/disco#info'/>", "get"
    )
    (query,) = answer
    identities = query.findall("{http://jabber.org/protocol/disco#info}identity")
    form = {
        field.get("var", ""): field.findtext("{jabber:x:data}value", "")
        for field in query.iter("{jabber:x:data}field")
    }
    return Said(
        [(one.get("category", ""), one.get("type", "")) for one in identities],
        {one.get("var", "") for one in query if one.tag.endswith("feature")},
        form,
        identities[0].get("name", ""),
    )


def _is_private(said: Said) -> bool:
    return said.has("muc_membersonly", "muc_nonanonymous")


# In Conversations a room is non-compliant without these; a private group needs no moderation.
def _conversations(said: Said) -> bool:
    is_compliant = said.has(_OCCUPANT, _MAM) and (_is_private(said) or said.has(_MODERATE))
    return is_compliant and said.fields["muc#roomconfig_roomname"] == "Club"


def _dino(said: Said) -> bool:
    is_room = said.identities[0][0] == "conference" and said.name == "Club"
    return is_room and said.has("urn:xmpp:sid:0", _MAM, _OCCUPANT, "urn:xmpp:reactions:0")


def _gajim(said: Said) -> bool:
    needs = (_MAM, _OCCUPANT, _MODERATE, "urn:xmpp:sid:0", "vcard-temp", "jabber:iq:register")
    return said.has("http://jabber.org/protocol/muc", *needs)


# It moderates by the old form if that is there.
def _converse(said: Said) -> bool:
    is_old = any(one in said.features for one in ("urn:xmpp:message-moderate:0",))
    has_self_ping = said.has("http://jabber.org/protocol/muc#self-ping-optimization")
    return (
        ("conference", "text") in said.identities
        and said.has(_MODERATE, _MAM)
        and (has_self_ping and not is_old)
    )


def _monal(said: Said) -> bool:
    return said.has("http://jabber.org/protocol/muc", _MAM)


def _cheogram(said: Said) -> bool:
    return _conversations(said) and said.has("http://jabber.org/protocol/muc#stable_id")


_CLIENTS = (_conversations, _cheogram, _dino, _gajim, _converse, _monal)


@pytest.mark.parametrize("is_private", [True, False], ids=["group", "channel"])
@pytest.mark.parametrize("is_content", _CLIENTS, ids=lambda check: check.__name__.strip("_"))
async def test_req_602_a_room_has_what_the_client_looks_for(
    house: House, is_content: Callable[[Said], bool], *, is_private: bool
) -> None:
    room = await _club(house)
    if not is_private:
        house.network.event("alice", "room", room="!club", name="Club", is_private=False)
        await house.clock.settle()
    await _join(house, room)
    said = await _info(house, room)
    assert is_content(said), said


@pytest.mark.parametrize("is_private", [True, False], ids=["group", "channel"])
async def test_req_602_the_label_says_how_private_a_room_is(
    house: House, *, is_private: bool
) -> None:
    """One of each pair, for clients say by these who can read it, and who sees addresses."""
    room = await _club(house)
    house.network.event("alice", "room", room="!club", name="Club", is_private=is_private)
    await house.clock.settle()
    said = await _info(house, room)
    pairs = (
        ("muc_membersonly", "muc_open"),
        ("muc_nonanonymous", "muc_semianonymous"),
        ("muc_hidden", "muc_public"),
        ("muc_persistent", "muc_temporary"),
        ("muc_unmoderated", "muc_moderated"),
        ("muc_unsecured", "muc_passwordprotected"),
    )
    for one, other in pairs:
        assert (one in said.features) != (other in said.features)
    assert _is_private(said) == is_private
    assert ("muc_membersonly" in said.features) == ("muc_nonanonymous" in said.features)


async def test_req_602_a_contact_is_no_room_and_takes_no_calls(house: House) -> None:
    """Dino looks at the first identity, Gajim and Monal want an account; caps offer buttons."""
    await _club(house)
    account, client = [
        await _info(house, f"bob@{GATEWAY}{resource}") for resource in ("", "/scripted")
    ]
    assert account.identities[0] == ("account", "registered")
    assert not any(category == "conference" for category, _ in account.identities)
    assert client.identities[0][0] == "client"
    can: Capabilities = house.options.capabilities
    assert can.typing
    assert client.has("http://jabber.org/protocol/chatstates", "urn:xmpp:receipts")
    assert not any("jingle" in feature or "omemo" in feature for feature in client.features)
