# SPDX-License-Identifier: Apache-2.0
"""Typed ids, and the deterministic ids of stanzas.

Ids of different kinds are never interchangeable, so each has a type of its own. Those of a remote
network are opaque strings whose form only its adapter knows.
"""

from __future__ import annotations

import uuid
from typing import NewType

NetworkName = NewType("NetworkName", str)
"""Name of a configured network, the key under ``networks:`` in the configuration."""

UserJid = NewType("UserJid", str)
"""Bare JID of an XMPP user, normalised."""

RemoteUserId = NewType("RemoteUserId", str)
"""A person on the network, for example ``@bob:example.org``."""

RemoteRoomId = NewType("RemoteRoomId", str)
"""A group on the network, for example a Matrix room id."""

RemoteMessageId = NewType("RemoteMessageId", str)
"""A message on the network, for example a Matrix event id."""

AccountId = NewType("AccountId", int)
ConversationId = NewType("ConversationId", int)
RoomId = NewType("RoomId", int)
RowId = NewType("RowId", int)
"""Position in one of the two journals. Rows of one conversation are handled in this order."""
FileId = NewType("FileId", int)
"""A file of the network that users were told of."""

StanzaId = NewType("StanzaId", str)
"""The ``@id`` of a stanza."""

_NAMESPACE = uuid.UUID("6f1c2b0e-6a53-5a0c-9d1e-4d7261676f6d")


def stanza_id(*scope: str | int) -> StanzaId:
    """The same UUID for the same scope, today and after any restart (REQ-407, REQ-906).

    The scope is network, account or realm, conversation, remote id, part and revision. A repeated
    stanza thereby carries the id that the first one had, and clients drop the double.
    """
    # With their lengths, so that no remote id can be mistaken for two parts.
    named = "".join(f"{len(text)}:{text}" for text in map(str, scope))
    return StanzaId(str(uuid.uuid5(_NAMESPACE, named)))


_VIRTUAL = "xmpp:"
"""No network has ids that begin so."""


def virtual_id(user: UserJid) -> RemoteUserId:
    """How rooms call somebody for whom the house speaks there."""
    return RemoteUserId(_VIRTUAL + user)


def is_virtual(user: RemoteUserId) -> bool:
    """Whether the house speaks for somebody in rooms."""
    return user.startswith(_VIRTUAL)


def user_of(virtual: RemoteUserId) -> UserJid:
    """The inverse of `virtual_id`."""
    return UserJid(virtual.removeprefix(_VIRTUAL))
