# SPDX-License-Identifier: Apache-2.0
"""Marks: how far somebody has read, for whom a room was made, that it is no more, and who is
ignored."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from adapters.matrix.ids import is_user_id
from adapters.matrix.inbound import as_dict, event_id_of
from gateway.events import RemoteIgnored
from gateway.ids import RemoteUserId

MARKER = "org.dragoman.chat"
"""In the creation content of rooms that we make: the gateway's instance, the contact, and whether
it is encrypted."""
GROUP_MARKER = "org.dragoman.group"
"""The same of groups, which have no contact."""
DESTROYED = "org.dragoman.destroyed"
"""In the member events by which everybody is put out of a group that is no more."""


IGNORED = "m.ignored_user_list"
_MAX_IGNORED = 10_000
_READ = ("m.read", "m.read.private")


def read_up_to(content: Mapping[str, Any], reader: str) -> str:
    """The newest receipt of a reader for the room itself, not for a thread. Spec, "Receipts"."""
    newest, found = -1, ""
    for event_id, kinds in content.items():
        for kind in _READ:
            sent = _read_at(as_dict(as_dict(kinds).get(kind)).get(reader))
            if sent > newest:
                newest, found = sent, event_id_of({"event_id": event_id})
    return found


def all_read_up_to(content: Mapping[str, Any], most: int) -> dict[str, str]:
    """The same of everybody, or of as many as were asked for."""
    newest: dict[str, tuple[int, str]] = {}
    for event_id, kinds in content.items():
        for kind in _READ:
            for reader, receipt in as_dict(as_dict(kinds).get(kind)).items():
                sent, before = _read_at(receipt), newest.get(reader)
                is_one_more = before is None and len(newest) < most and is_user_id(reader)
                if sent >= 0 and (is_one_more or (before is not None and sent > before[0])):
                    newest[reader] = sent, event_id_of({"event_id": event_id})
    return {reader: event_id for reader, (_, event_id) in newest.items() if event_id}


def _read_at(receipt: object) -> int:
    """When, or -1 if it is no such receipt."""
    sent = as_dict(receipt).get("ts")
    if not as_dict(receipt) or as_dict(receipt).get("thread_id") not in (None, "main"):
        return -1
    return sent if isinstance(sent, int) else 0


def marked_contact(creation: Mapping[str, Any], instance: str) -> RemoteUserId | None:
    """The contact for whom this gateway made a room, if it made it."""
    marker = as_dict(creation.get(MARKER))
    contact = marker.get("contact")
    if marker.get("instance") == instance and is_user_id(contact):
        return RemoteUserId(contact)
    return None


def is_made_encrypted(creation: Mapping[str, Any]) -> bool:
    """Whether a gateway made this room to be encrypted. A homeserver writes the events of a new
    room one after the other, and may tell of it before the one that encrypts it."""
    return any(
        as_dict(creation.get(key)).get("encrypted") is True for key in (MARKER, GROUP_MARKER)
    )


def ignored(content: Mapping[str, Any]) -> RemoteIgnored | None:
    """Whom an account ignores, or None if this is no such list. Spec, "Ignoring Users"."""
    listed = content.get("ignored_users", {})
    if not isinstance(listed, dict):
        return None
    users = sorted(user_id for user_id in listed if is_user_id(user_id))
    return RemoteIgnored(users=tuple(map(RemoteUserId, users[:_MAX_IGNORED])))
