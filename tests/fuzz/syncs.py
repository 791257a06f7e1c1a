# SPDX-License-Identifier: Apache-2.0
"""A grammar of what a homeserver may answer to /sync: right, nearly right, and any JSON at all."""

from __future__ import annotations

from typing import Any

import msgspec

from adapters.matrix.filters import Mode
from adapters.matrix.gaps import Fill, gaps
from adapters.matrix.group_sync import to_be_listed
from adapters.matrix.parts import MAX_EVENTS
from adapters.matrix.rooms import Book, Group, RoomId
from adapters.matrix.sync import translate
from gateway.bridge.inbound.wellformed import must_be_whole
from gateway.text import is_clean
from gateway.text.wording import plain
from tests.fuzz.choices import Choices
from tests.unit.matrix.samples import ALICE, BOB, CAROL, NOW, ROOM, book

_USERS = (ALICE, BOB, BOB, CAROL, "@x:y", "@", "", "bob", "@B ob:example.org", "@bob:EXAMPLE.org")
_ROOMS = (ROOM, ROOM, *["!other:example.org"] * 4, "!third:example.org", "", "!\n", "x" * 300)
_TYPES = (
    *("m.room.message", "m.room.message", "m.room.member", "m.room.create", "m.room.encrypted"),
    *("m.room.encryption", "m.direct", "m.typing", "m.receipt", "m.sticker", "m.poll.start"),
    *("m.reaction", "m.room.redaction", "m.call.invite", "org.matrix.msc3381.poll.start"),
    *("m.room.name", "m.room.topic", "m.room.canonical_alias", "m.room.join_rules"),
    *("m.room.power_levels", "m.room.create", "m.room.pinned_events", "m.reaction"),
)
_MSGTYPES = ("m.text", "m.notice", "m.emote", "m.image", "m.file", "m.audio", "m.location", "x")
_KEYS = (
    *("body", "msgtype", "membership", "displayname", "is_direct", "m.relates_to", "rel_type"),
    *("m.new_content", "m.in_reply_to", "filename", "geo_uri", "m.poll", "question", "m.text"),
    *("user_ids", "algorithm", "org.dragoman.key", "m.read", "m.read.private", "ts", "event_id"),
    *("org.matrix.msc3245.voice", "creator", "redacted_because", "format", "formatted_body"),
    *("name", "topic", "alias", "join_rule", "users", "users_default", "events", "reason", "type"),
    *("events_default", "room_version", "additional_creators", "m.heroes"),
    *("key", "redacts", "pinned", "thread_id", "unsigned", "prev_content"),
)
_TEXTS = (
    *("contact", "id", "up_to", "body", "name", "content", "key", "room", "topic", "reason"),
    *("sender", "user", "actor", "topic_by"),
    *("message", "emoji", "by", "edits", "reply_to", "reader", "text"),
)
_RELATIONS = ("m.replace", "m.replace", "m.annotation", "m.annotation", "m.thread", "m.reference")
_SURROGATES = ("\ud800", "\x00", "\udfff", "\x1b")
_NUMBERS = (0, -1, 1, 10**13, 10**400, 1e308, float("nan"), float("inf"), 1_000_000)


def any_json(choices: Choices, depth: int = 0) -> Any:
    """Anything that a parser of JSON may return."""
    how = choices.below(7 if depth < 4 else 5)
    if how == 0:
        return choices.pick((None, True, False))
    if how == 1:
        return choices.pick(_NUMBERS)
    if how < 4:
        return text(choices)
    if how == 4:
        return choices.pick((*_USERS, *_ROOMS, *_TYPES, *_MSGTYPES, "join", "invite", "leave"))
    if how == 5:
        return [any_json(choices, depth + 1) for _ in range(choices.below(4))]
    return {choices.pick(_KEYS): any_json(choices, depth + 1) for _ in range(choices.below(5))}


def text(choices: Choices) -> str:
    """With what JSON can write and nothing else can carry."""
    return choices.text() + (choices.pick(_SURROGATES) if choices.one_in(8) else "")


def _content(choices: Choices, kind: str) -> Any:
    content: dict[str, Any] = {}
    if kind == "m.room.message":
        content = {"msgtype": choices.pick(_MSGTYPES), "body": text(choices)}
    elif kind == "m.room.member":
        content = {"membership": choices.pick(("join", "invite", "leave", "ban", "knock", ""))}
        content["is_direct"] = choices.pick((True, True, False, "yes"))
        content["displayname"] = text(choices)
    elif kind == "m.typing":
        content = {"user_ids": [choices.pick(_USERS)]}
    elif kind == "m.direct":
        content = {choices.pick(_USERS): [choices.pick(_ROOMS)] for _ in range(2)}
    elif kind == "m.room.power_levels":
        levels = {choices.pick(_USERS): choices.pick((*_NUMBERS, "50", " 100 ", "x", None))}
        content = {"users": levels, "users_default": choices.pick(_NUMBERS)}
        content["events"] = {"m.room.message": choices.pick((*_NUMBERS, "50"))}
    elif kind == "m.room.create":
        content = {"room_version": choices.pick(("1", "11", "12", "org.x", "²", 12))}
        content["additional_creators"] = [choices.pick(_USERS)]
    elif kind in ("m.room.name", "m.room.topic", "m.room.canonical_alias"):
        content = {key: text(choices) for key in ("name", "topic")} | {"alias": "#" + ":x"}
    else:
        content = _about(choices, kind)
    if kind in ("m.reaction", "m.room.message", "m.room.encrypted") and choices.below(2):
        content["m.relates_to"] = _relation(choices)
        new: Any = {"msgtype": choices.pick(_MSGTYPES), "body": text(choices)}
        content["m.new_content"] = new
    if choices.one_in(3):
        content[choices.pick(_KEYS)] = any_json(choices)
    return any_json(choices) if choices.one_in(12) else content


def _about(choices: Choices, kind: str) -> dict[str, Any]:
    """What is about other events alone."""
    if kind == "m.receipt":
        return {_event_id(choices): {"m.read": {choices.pick(_USERS): {"ts": 1}}}}
    if kind == "m.room.redaction":
        return {"redacts": _event_id(choices), "reason": text(choices)}
    if kind == "m.room.pinned_events":
        return {"pinned": [_event_id(choices)]}
    return {}


def _relation(choices: Choices) -> Any:
    relation: dict[str, Any] = {
        "rel_type": choices.pick(_RELATIONS),
        "event_id": _event_id(choices),
        "key": text(choices),
        "m.in_reply_to": {"event_id": _event_id(choices)},
    }
    if choices.one_in(4):
        relation[choices.pick(tuple(relation))] = any_json(choices)
    return any_json(choices) if choices.one_in(12) else relation


def _event_id(choices: Choices) -> Any:
    return text(choices) if choices.one_in(8) else f"${choices.below(12)}"


def _event(choices: Choices) -> Any:
    kind = choices.pick(_TYPES)
    event = {
        "type": kind,
        "sender": choices.pick(_USERS),
        "event_id": _event_id(choices),
        "origin_server_ts": choices.pick(_NUMBERS),
        "content": _content(choices, kind),
    }
    if choices.below(2) and kind.startswith("m.room."):
        event["state_key"] = choices.pick((*_USERS, ""))
    if kind == "m.room.redaction" and choices.below(2):
        event["redacts"] = _event_id(choices)
    if choices.one_in(6):
        event[choices.pick(tuple(event))] = any_json(choices)
    return any_json(choices) if choices.one_in(16) else event


def _events(choices: Choices) -> Any:
    if choices.one_in(16):
        return any_json(choices)
    return {
        "events": [_event(choices) for _ in range(choices.below(4))],
        "limited": choices.pick((False, True, 1)),
        "prev_batch": choices.pick(("p1", "", None)),
    }


def _summary(choices: Choices) -> Any:
    if choices.one_in(8):
        return any_json(choices)
    heroes = [choices.pick(_USERS) for _ in range(choices.below(4))]
    return {"m.heroes": heroes, "m.joined_member_count": choices.pick(_NUMBERS)}


def answer(choices: Choices) -> Any:
    """What comes back, as far as it is an object."""
    rooms: dict[str, Any] = {}
    for name, parts in (
        ("join", ("state", "timeline", "ephemeral")),
        ("leave", ("state", "timeline")),
        ("invite", ("invite_state",)),
    ):
        rooms[name] = {
            choices.pick(_ROOMS): {
                **{part: _events(choices) for part in parts},
                "summary": _summary(choices),
            }
            for _ in range(choices.below(3))
        }
        if choices.one_in(20):
            rooms[name] = any_json(choices)
    found = {"next_batch": "s1", "rooms": rooms}
    if choices.below(3) == 0:
        found["account_data"] = _events(choices)
    if choices.one_in(20):
        found[choices.pick(("rooms", "account_data", "presence"))] = any_json(choices)
    return found


def _book() -> Book:
    """With a chat and a group."""
    known = book()
    draft = known.draft()
    draft.put_group(RoomId(_ROOMS[2]), Group(last="$0", people=3))
    draft.put_groups_known()
    known.apply(draft)
    return known


def translate_all(choices: Choices, known: Book | None = None) -> Book:
    """Translate an answer as a session does. Raises whatever is wrong; returns the new book."""
    known = _book() if known is None else known
    mode = choices.pick(tuple(Mode))
    said = answer(choices)
    fills = {
        gap.room_id: Fill([e for e in [_event(choices)] if isinstance(e, dict)], choices.one_in(2))
        for gap in gaps(said, known, mode, ALICE)
    }
    lists = {
        room_id: [e for e in (_event(choices) for _ in range(4)) if isinstance(e, dict)]
        for room_id in to_be_listed(said, known, mode, ALICE, "here")
        if choices.one_in(2)
    }
    parts = 0
    last = False
    for outcome in translate(
        said, known, mode=mode, account=ALICE, instance="here", fills=fills, now=NOW, lists=lists
    ):
        parts += 1
        assert not last, "something follows the last part"
        last = outcome.is_last
        assert len(outcome.events) <= MAX_EVENTS
        for event in outcome.events:
            for name in _TEXTS:
                value = getattr(event, name, None) or ""
                assert is_clean(value), f"{name} of {event!r} cannot be stored"
            must_be_whole(event)
            msgspec.json.encode(event, enc_hook=plain)  # as the store does
            sent_at = getattr(event, "sent_at", NOW)
            assert 0 <= sent_at <= NOW, f"{event!r} was sent at no time"
        for key, value in outcome.draft.changes().items():
            assert is_clean(key), f"the key {key!r} cannot be stored"
            assert is_clean(value or ""), f"{value!r} cannot be stored"
        known.apply(outcome.draft)
    assert parts, "nothing came"
    assert last, "the last part did not come"
    return known
