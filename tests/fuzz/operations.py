# SPDX-License-Identifier: Apache-2.0
"""A conversation out of bytes: mostly stanzas, and what happens between them."""

from __future__ import annotations

from gateway.events import (
    RemoteEvent,
    RemoteGap,
    RemoteInvite,
    RemoteInviteGone,
    RemoteMessage,
    RemoteNotice,
    RemoteProfile,
    RemoteReaction,
    RemoteRead,
    RemoteRetraction,
    RemoteUndecryptable,
)
from gateway.ids import RemoteMessageId, RemoteUserId
from gateway.text import Span, Style
from tests.fuzz import files
from tests.fuzz.arena import NAMES, Arena
from tests.fuzz.choices import Choices
from tests.fuzz.stanzas import USERS

_PEOPLE = ("bob", "eve", "Mixed Case", "nobody")
_TIMES = (0.0, 1.7e9, -1e9, 1e18, float("inf"), float("-inf"), float("nan"), 1e300)
_SURROGATES = ("", "\ud800", "\x00", "\x1b", "\udfff\ud800")
_WAITS = (0.5, 3.0, 31.0, 130.0)
_EMOJI = ("👍", "❤️", "1️⃣", "👩\u200d👧", "", "no", "x" * 9_000, "mxc://example.org/a")
_MAX_EVENTS = 4


def event(choices: Choices) -> RemoteEvent:
    """Of the right type, with whatever in it."""
    odd = choices.pick(_SURROGATES) if choices.one_in(4) else ""
    person = RemoteUserId(choices.text() + odd if choices.one_in(6) else choices.pick(_PEOPLE))
    known = f"e{choices.below(20)}"
    message = RemoteMessageId(choices.text() + odd if choices.one_in(4) else known)
    text, own = choices.text() + odd, choices.one_in(4)
    at = choices.pick(_TIMES)
    about = RemoteMessageId(message if choices.one_in(6) else f"e{choices.below(20)}")
    match choices.below(12):
        case 0:
            return RemoteRead(contact=person, up_to=message, own=own)
        case 1:
            needs = choices.pick(("", "k1", text))
            return RemoteUndecryptable(
                contact=person,
                id=message,
                sent_at=at,
                content=text,
                own=own,
                needs=needs,
                reason=text if choices.one_in(2) else "",
            )
        case 2:
            return RemoteInvite(contact=person, id=message)
        case 3:
            return RemoteInviteGone(contact=person)
        case 4:
            return RemoteProfile(contact=person, name=text)
        case 5:
            missed = choices.pick((None, 0, -1, 7, 10**30))
            return RemoteGap(contact=person, id=message, about=missed)
        case 6:
            whose = None if choices.one_in(3) else person
            return RemoteNotice(contact=whose, id=message, text=text)
        case 7:
            emoji = choices.pick((*_EMOJI, text))
            return RemoteReaction(
                contact=person, id=message, message=about, emoji=emoji, sent_at=at, own=own
            )
        case 8:
            return RemoteRetraction(contact=person, id=message, message=about, sent_at=at, own=own)
        case how:
            return RemoteMessage(
                contact=person,
                id=message,
                body=text,
                sent_at=at,
                own=own,
                key=choices.text() if choices.one_in(4) else None,
                reply_to=about if how == 9 else None,
                edits=about if how == 10 else None,
                spans=_spans(choices, len(text)) if choices.one_in(4) else (),
                files=files.shared(choices, odd) if choices.one_in(3) else (),
            )


def _spans(choices: Choices, length: int) -> tuple[Span, ...]:
    """Of a text of this length, or of none."""
    styles = tuple(Style)
    return tuple(
        Span(choices.pick(styles), choices.below(length + 2), choices.below(length + 2))
        for _ in range(choices.below(4))
    )


async def operate(arena: Arena, choices: Choices) -> None:
    """One operation."""
    kind = choices.below(1024)
    if kind < 950:
        await arena.stanza(choices)
    elif kind < 1000:
        events = [event(choices) for _ in range(1 + choices.below(_MAX_EVENTS))]
        await arena.events(choices.pick(USERS[:3]), events)
    elif kind < 1010:
        arena.inputs += 1
        arena.house.network.says(choices.pick(NAMES), "bob", choices.text())
    elif kind < 1017:
        await arena.wait(choices.pick(_WAITS))
    elif kind < 1021:
        await arena.break_network(choices.below(6))
    elif kind < 1023:
        await arena.lose_stream()
    else:
        await arena.restart(killed=choices.one_in(2))


async def converse(arena: Arena, data: bytes, limit: int = 1_000_000) -> None:
    """Until the bytes are used up, or so many inputs were made."""
    choices, end = Choices(data), arena.inputs + limit
    while not choices.is_empty and arena.inputs < end:
        await operate(arena, choices)
