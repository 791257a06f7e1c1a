# SPDX-License-Identifier: Apache-2.0
"""Who administers the groups in which the gateway's own bot is.

Bot API, getChatAdministrators. It is asked for when somebody wants something, who may be anybody;
what all groups have to hear waits for the answer. So one answer serves for a while, a server that
has none is left alone for as long, and of groups that are not linked only a few are looked at.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

from telegram import ChatMember
from telegram.error import BadRequest, ChatMigrated, Forbidden, TelegramError

from adapters.telegram.looking import Raw
from gateway.adapter import Clock

_KEPT_S: Final = 5.0
_MOST_GROUPS: Final = 100
MOST_STRANGERS, _STRANGERS_S = 10, 10.0
"""So many groups that are not linked are looked at in so many seconds."""


@dataclass(frozen=True, slots=True)
class Rank:
    """What an administrator is in a group."""

    is_owner: bool
    may_ban: bool


@dataclass(frozen=True, slots=True)
class _Ranks:
    people: dict[int, Rank]
    hidden: tuple[Rank, ...]
    """Of those who speak as the group."""


class Administrators:
    """Of all groups of one bot."""

    def __init__(self, ask: Callable[..., Awaitable[Any]], clock: Clock) -> None:
        """``ask`` asks Telegram. It raises `TelegramError`, and `TimeoutError`."""
        self._ask = ask
        self._clock = clock
        self._known: dict[int, tuple[float, _Ranks | None]] = {}
        """When a group was looked at, and what was seen; the oldest first."""
        self._strangers: deque[float] = deque(maxlen=MOST_STRANGERS)
        self._rests_until = clock.monotonic()

    async def rank(self, chat: int, sender: int, *, is_linked: bool) -> Rank | None:
        """What somebody is in a group; None if they do not administer it, or nobody can tell.
        ``is_linked``: the group is. One who hides is certainly the owner if nobody else does, and
        may certainly do what all may who do."""
        ranks = await self._of(chat, is_linked=is_linked)
        if ranks is None or sender != chat:
            return None if ranks is None else ranks.people.get(sender)
        hidden = ranks.hidden
        return Rank(
            is_owner=len(hidden) == 1 and hidden[0].is_owner,
            may_ban=bool(hidden) and all(each.may_ban for each in hidden),
        )

    async def _of(self, chat: int, *, is_linked: bool) -> _Ranks | None:
        now = self._clock.monotonic()
        at, known = self._known.get(chat, (now - _KEPT_S, None))
        if now - at < _KEPT_S:
            return known
        if now < self._rests_until or not (is_linked or self._is_strangers_turn(now)):
            return None
        try:
            ranks = _read(await self._ask("getChatAdministrators", chat_id=chat))
        except (BadRequest, Forbidden, ChatMigrated):
            ranks = None
        except (TelegramError, TimeoutError):
            self._rests_until = self._clock.monotonic() + _KEPT_S
            return None
        self._known.pop(chat, None)
        self._known[chat] = now, ranks
        if len(self._known) > _MOST_GROUPS:
            del self._known[next(iter(self._known))]
        return ranks

    def _is_strangers_turn(self, now: float) -> bool:
        asked = self._strangers
        if len(asked) == MOST_STRANGERS and now - asked[0] < _STRANGERS_S:
            return False
        asked.append(now)
        return True


def _read(ruling: Any) -> _Ranks | None:
    """None of an answer that nobody understands."""
    try:
        people = {each["user"]["id"]: _rank(each) for each in ruling}
        hidden = tuple(_rank(each) for each in ruling if each.get("is_anonymous"))
    except (AttributeError, KeyError, TypeError):
        return None
    return _Ranks(people, hidden)


def _rank(about: Raw) -> Rank:
    is_owner = about["status"] == ChatMember.OWNER
    return Rank(is_owner, is_owner or about.get("can_restrict_members") is True)
