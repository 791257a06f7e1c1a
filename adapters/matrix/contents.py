# SPDX-License-Identifier: Apache-2.0
"""What the user says, as the content of an event. No I/O.

Matrix spec, client-server API, "m.text", "m.emote", "m.location", "Event replacements", "Rich
replies" (without fallback, since 1.13), "Threading", "User and room mentions".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace

from adapters.matrix.file_content import with_caption
from adapters.matrix.inbound import KEY
from adapters.matrix.mentions import links, listed
from adapters.matrix.places import is_place, place_content
from adapters.matrix.previews import bundled
from adapters.matrix.styles import formatted
from gateway.events import SendRoomText, SendText
from gateway.ids import RemoteMessageId
from gateway.text import moved, tree

_MAX_FALLBACK = 300
"""Characters of an edit for apps that know no edits: the whole text is there once more."""


def text_content(body: str, key: str, *, is_further: bool = False) -> dict[str, Any]:
    """The words alone. ``is_further``: of a longer text, in the middle of which they stand."""
    if is_place(body) and not is_further:
        return {**place_content(body), KEY: key}
    emote = body.startswith("/me ") and bool(body[4:].strip()) and not is_further
    return {
        "msgtype": "m.emote" if emote else "m.text",
        "body": body[4:] if emote else body,
        KEY: key,
    }


def content_of(
    command: SendText | SendRoomText, key: str, file: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """The words, and what they are about. With a file (`file_content`) they are its caption."""
    if file is None:
        content = text_content(command.body, key, is_further=command.is_further)
    else:
        content = {**with_caption(file, command.body), KEY: key}
    mentions = command.mentions
    by = len(content["body"]) - len(command.body) if command.body else 0
    named = [replace(each, begin=each.begin + by, end=each.end + by) for each in mentions]
    notified = [each for each in named if each.notify]
    spans = tree([*links(named), *moved(command.spans, by)], len(content["body"]))
    beside = formatted(content["body"], spans) | bundled(command.previews)
    if mentions:
        content["m.mentions"] = listed(notified)
    if command.edits is not None:
        relation = {"rel_type": "m.replace", "event_id": command.edits}
        whole = {name: value for name, value in content.items() if name != KEY} | beside
        if mentions:
            whole["m.mentions"] = listed(named)
        fallback = {**content, "body": f"* {_brief(whole['body'])}"}
        return {**fallback, "m.new_content": whole, "m.relates_to": relation}
    content |= beside
    if command.thread is not None:
        content["m.relates_to"] = _in_thread(command, command.thread)
    elif command.reply_to is not None:
        content["m.relates_to"] = {"m.in_reply_to": {"event_id": command.reply_to}}
    return content


def _in_thread(command: SendText | SendRoomText, thread: RemoteMessageId) -> dict[str, Any]:
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
