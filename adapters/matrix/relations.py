# SPDX-License-Identifier: Apache-2.0
"""What an event is about: the message that it edits, answers, reacts to or takes back. No I/O.

Matrix spec, client-server API, "Event replacements", "Rich replies", "Threading", "Event
annotations and reactions", "Redactions". As in `inbound`, nothing here raises for what strangers
have written. Nothing is about itself. That an edit is by who has said the original is for the
gateway to see: only it knows what was said before.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from adapters.matrix.inbound import POLL_ENDS, Event, as_dict, event_id_of
from adapters.matrix.text import clean
from gateway.ids import RemoteMessageId

_MAX_EMOJI_BYTES = 128
"""The key of a reaction may be any text: what is longer is none that anybody could show."""
_REDACTS_WITHIN = 11
"""Room version since which a redaction says within its content what it takes back."""


@dataclass(frozen=True, slots=True)
class Related:
    """A message, and what it is about."""

    words: Mapping[str, Any]
    """The content that is told."""
    edits: RemoteMessageId | None = None
    reply_to: RemoteMessageId | None = None
    """What somebody has meant to answer."""
    thread: RemoteMessageId | None = None
    """The message with which the thread began that it is said in,"""
    thread_after: RemoteMessageId | None = None
    """and the last one before it there, if it answers none."""


def related(event: Event) -> Related:
    """What a message is about."""
    content = as_dict(event.get("content"))
    relation = as_dict(content.get("m.relates_to"))
    edits = _edited(event, content, relation)
    if edits is not None:
        # "Applying m.new_content": the relations of the original stay.
        return Related({**content["m.new_content"], "m.relates_to": None}, edits=edits)
    answered = _target(event, relation.get("m.in_reply_to"))
    if event.get("type") in POLL_ENDS:
        answered = _target(event, relation)
    thread = _target(event, relation) if relation.get("rel_type") == "m.thread" else None
    is_fallback = thread is not None and relation.get("is_falling_back") is True
    return Related(
        content,
        reply_to=None if is_fallback else answered,
        thread=thread,
        thread_after=answered if is_fallback else None,
    )


def annotation(event: Event) -> tuple[RemoteMessageId, str] | None:
    """The message to which somebody reacts, and with what; None if that says nothing."""
    relation = as_dict(as_dict(event.get("content")).get("m.relates_to"))
    message, emoji = _target(event, relation), relation.get("key")
    if (
        relation.get("rel_type") != "m.annotation"
        or message is None
        or not isinstance(emoji, str)
        or not emoji
        or clean(emoji, _MAX_EMOJI_BYTES) != emoji
    ):
        return None
    return message, emoji


def redacted(event: Event, version: int) -> RemoteMessageId | None:
    """What a redaction takes back. Spec, "m.room.redaction".

    The homeserver has checked only the place that holds in this version of the room, which is 0
    if unknown; the other one is what the sender has made it.
    """
    within, beside = as_dict(event.get("content")).get("redacts"), event.get("redacts")
    if version >= _REDACTS_WITHIN:
        beside = None
    elif version:
        within = None
    return _target(event, {"event_id": within if beside is None else beside})


def _edited(
    event: Event, content: Mapping[str, Any], relation: Mapping[str, Any]
) -> RemoteMessageId | None:
    """What is edited, if this is a valid edit. Others are messages of their own."""
    is_valid = (
        relation.get("rel_type") == "m.replace"
        and isinstance(content.get("m.new_content"), dict)
        and "state_key" not in event
    )
    return _target(event, relation) if is_valid else None


def _target(event: Event, relation: object) -> RemoteMessageId | None:
    event_id = event_id_of(as_dict(relation))
    return RemoteMessageId(event_id) if event_id and event_id != event_id_of(event) else None
