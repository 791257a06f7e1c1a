# SPDX-License-Identifier: Apache-2.0
"""Two marks: how far somebody has read, and for whom a room was made."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from adapters.matrix.ids import is_user_id
from adapters.matrix.inbound import as_dict, event_id_of
from gateway.ids import RemoteUserId

MARKER = "org.dragoman.chat"
"""In the creation content of rooms that we make: the gateway's instance and the contact."""
GROUP_MARKER = "org.dragoman.group"
"""The same of groups: the gateway's instance."""


def read_up_to(content: Mapping[str, Any], reader: str) -> str:
    """The newest receipt of a reader for the room itself, not for a thread. Spec, "Receipts"."""
    newest, found = -1, ""
    for event_id, kinds in content.items():
        for kind in ("m.read", "m.read.private"):
            receipt = as_dict(as_dict(as_dict(kinds).get(kind)).get(reader))
            sent = receipt.get("ts")
            sent = sent if isinstance(sent, int) else 0
            if receipt and receipt.get("thread_id") in (None, "main") and sent > newest:
                newest, found = sent, event_id_of({"event_id": event_id})
    return found


def marked_contact(creation: Mapping[str, Any], instance: str) -> RemoteUserId | None:
    """The contact for whom this gateway made a room, if it made it."""
    marker = as_dict(creation.get(MARKER))
    contact = marker.get("contact")
    if marker.get("instance") == instance and is_user_id(contact):
        return RemoteUserId(contact)
    return None
