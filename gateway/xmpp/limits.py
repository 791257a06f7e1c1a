# SPDX-License-Identifier: Apache-2.0
"""How much each may send, and what strangers may cause (REQ-711, REQ-715, REQ-717).

Token buckets: O(1) for each stanza, and a bounded number of them. A user with an account is
measured alone, so that nobody else's flood touches them; of files, which are dear, all accounts of
a domain, and all there are, have a bucket as well. People of our own server, and users whom the
admin admits by name, share a bucket with others of their domain while they have no account. All
other people are strangers: they are measured alone, with their domain, and all together.
"""

from __future__ import annotations

import enum
from collections import Counter, OrderedDict
from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeVar

from gateway.ids import UserJid
from gateway.text.wording import tr

_KEPT = 10_000
"""Buckets of one kind. Who is forgotten begins with a full one; domains are still measured."""
_DOMAIN = 20
"""A domain's people without accounts may send as much as so many of them."""
_EVERYBODY = 100
"""And all accounts together as much of what is dear: no five domains have all of it."""
_CREDITS = 20
"""Answers that a stranger may still get: as many as there were stanzas, but not more than this."""
_GUESTS = 1_000
_GUESTS_OF_DOMAIN = 100
TOO_MANY_GUESTS = tr("Too many people are giving commands at the moment. Please try again later.")
TOO_MANY_FILES = tr("You are sending too many files at once. Please try again in a few minutes.")
_REPEATS = 20
_REPEATS_S = 60.0
_REPEATS_KEPT = 1_000

K = TypeVar("K")
V = TypeVar("V")


class Rate(NamedTuple):
    """So many in so many seconds, and so many at once after a pause."""

    number: int
    seconds: float


class Kind(enum.Enum):
    """What is measured of users."""

    MESSAGES = "messages"
    """With a body."""
    SIGNALS = "signals"
    """Messages without one: receipts, read marks, typing."""
    IQS = "iqs"
    SUBSCRIPTIONS = "subscriptions"
    JOINS = "joins"
    """Of rooms; each is answered with all that are in it."""
    SEARCHES = "searches"
    """For rooms of the network."""
    LOGINS = "logins"
    """Answers of a login dialogue that are tried at the network."""
    FILES = "files"
    """That they send: each is fetched, and carried to the network."""
    UPLOADS = "uploads"
    """Of what they are sent, tries to put it at the upload service of our server."""


_DEAR = (Kind.FILES, Kind.UPLOADS)


class Standing(enum.Enum):
    """How somebody stands to the gateway."""

    LINKED = enum.auto()
    """Has an account and may use it."""
    KNOWN = enum.auto()
    """Has none, and is of our own server, or admitted by address or domain, or named in a linked
    group."""
    GUEST = enum.auto()
    """A stranger with whom a command is under way, or who has come into a linked group: still
    measured as one, but told all of it."""
    STRANGER = enum.auto()

    @property
    def is_strange(self) -> bool:
        """Anybody can be many of these."""
        return self in (Standing.GUEST, Standing.STRANGER)


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitSettings:
    """The rates. Of users each for themselves; of strangers all their stanzas together."""

    messages: Rate
    signals: Rate
    iqs: Rate
    subscriptions: Rate
    joins: Rate
    searches: Rate
    logins: Rate
    files: Rate
    uploads: Rate
    stranger: Rate
    strange_domain: Rate
    strangers: Rate


class _Recent(Generic[K, V]):
    """A mapping that forgets what was not used for longest."""

    def __init__(self, kept: int) -> None:
        self._kept = kept
        self._entries: OrderedDict[K, V] = OrderedDict()

    def get(self, key: K) -> V | None:
        return self._entries.get(key)

    def put(self, key: K, value: V) -> None:
        self._entries[key] = value
        self._entries.move_to_end(key)
        if len(self._entries) > self._kept:
            self._entries.popitem(last=False)

    def pop(self, key: K) -> None:
        self._entries.pop(key, None)

    def __len__(self) -> int:
        return len(self._entries)


class Buckets:
    """One bucket for each key, all of one size."""

    def __init__(self, rate: Rate, kept: int = _KEPT) -> None:
        self._size = float(rate.number)
        self._per_s = rate.number / rate.seconds
        self._buckets: _Recent[str, tuple[float, float]] = _Recent(kept)

    def take(self, key: str, now: float) -> bool:
        """One more; ``now`` is monotonic. False if that is too much."""
        bucket = self._buckets.get(key)
        tokens = self._size
        if bucket is not None:
            tokens = min(tokens, bucket[0] + (now - bucket[1]) * self._per_s)
        taken = tokens >= 1
        self._buckets.put(key, (tokens - taken, now))
        return taken

    def __len__(self) -> int:
        return len(self._buckets)


class Limits:
    """What one component takes from whom."""

    def __init__(self, settings: LimitSettings) -> None:
        rates = {kind: getattr(settings, kind.value) for kind in Kind}
        self._users = {kind: Buckets(rate) for kind, rate in rates.items()}
        self._domains = {kind: Buckets(_times(rate, _DOMAIN)) for kind, rate in rates.items()}
        self._everybody = {kind: Buckets(_times(rates[kind], _EVERYBODY), 1) for kind in _DEAR}
        self._stranger = Buckets(settings.stranger)
        self._strange_domain = Buckets(settings.strange_domain)
        self._strangers = Buckets(settings.strangers, 1)
        # Errors for those beyond the limits: a flood is not answered with a flood.
        self._refusals = Buckets(_times(settings.strange_domain, 0.1))
        self._credits: _Recent[UserJid, int] = _Recent(_KEPT)

    def takes(self, kind: Kind, user: UserJid, standing: Standing, now: float) -> bool:
        """Whether a stanza of somebody is handled."""
        domain = user.rpartition("@")[2]
        if kind in _DEAR:
            is_taken = self._users[kind].take(user, now) and self._domains[kind].take(domain, now)
            return is_taken and self._everybody[kind].take("", now)
        if standing is Standing.LINKED:
            return self._users[kind].take(user, now)
        if standing is Standing.KNOWN or kind is Kind.LOGINS:
            return self._users[kind].take(user, now) and self._domains[kind].take(domain, now)
        return (
            self._stranger.take(user, now)
            and self._strange_domain.take(domain, now)
            and self._strangers.take("", now)
        )

    def may_refuse(self, user: UserJid, standing: Standing, now: float) -> bool:
        """Whether what was not taken is answered with an error."""
        if not standing.is_strange:
            return True
        return self._refusals.take(user.rpartition("@")[2], now)

    # --- one answer for a stranger's stanza (REQ-717) -------------------------------------------

    def heard(self, user: UserJid, standing: Standing) -> None:
        """A stanza of somebody came: a stranger may get one more."""
        if standing is Standing.STRANGER:
            self._credits.put(user, min((self._credits.get(user) or 0) + 1, _CREDITS))
        elif len(self._credits):
            self._credits.pop(user)

    def answered(self, user: UserJid, before: int) -> None:
        """What there was to say to that stanza is said; nothing follows later."""
        credit = self._credits.get(user) if len(self._credits) else None
        if credit is not None and credit > before:
            self._credits.put(user, before)

    def credit(self, user: UserJid) -> int:
        """How much a stranger may still get."""
        return (self._credits.get(user) or 0) if len(self._credits) else 0

    def may_answer(self, user: UserJid) -> bool:
        """Something is about to be sent to somebody. False if they are strangers with enough."""
        credit = self._credits.get(user) if len(self._credits) else None
        if credit is None:
            return True
        if credit:
            self._credits.put(user, credit - 1)
        return credit > 0


class Guests:
    """Commands that are under way with strangers: each takes memory until they answer, or do not
    for a quarter of an hour (REQ-712)."""

    def __init__(self) -> None:
        self._domains: Counter[str] = Counter()

    def come(self, user: UserJid) -> bool:
        """One more begins. False if there are too many; then it must not."""
        domain = user.rpartition("@")[2]
        if self._domains[domain] >= _GUESTS_OF_DOMAIN or self._domains.total() >= _GUESTS:
            return False
        self._domains[domain] += 1
        return True

    def leave(self, user: UserJid) -> None:
        """One that has begun is over."""
        domain = user.rpartition("@")[2]
        self._domains[domain] -= 1
        if not self._domains[domain]:
            del self._domains[domain]


class Repeats:
    """Bots on both sides talk to each other for ever: the same text again and again (REQ-715)."""

    def __init__(self) -> None:
        self._last: _Recent[tuple[UserJid, str], tuple[int, float, int]] = _Recent(_REPEATS_KEPT)

    def is_loop(self, user: UserJid, contact: str, body: str, now: float) -> bool:
        """Whether this text went to this contact 20 times within a minute already."""
        key, digest = (user, contact), hash(body)
        last, since, count = self._last.get(key) or (0, 0.0, 0)
        if last != digest or now - since >= _REPEATS_S:
            since, count = now, 0
        self._last.put(key, (digest, since, count + 1))
        return count >= _REPEATS


class Rarely:
    """Lets one line a minute into the log for what strangers may cause a thousand times."""

    def __init__(self) -> None:
        self._said: dict[str, tuple[float, int]] = {}

    def unsaid(self, event: str, now: float) -> int | None:
        """None if this is not the time for a line; else how often it was not."""
        said_at, unsaid = self._said.get(event, (now - _REPEATS_S, 0))
        if now - said_at < _REPEATS_S:
            self._said[event] = (said_at, unsaid + 1)
            return None
        self._said[event] = (now, 0)
        return unsaid


def _times(rate: Rate, factor: float) -> Rate:
    return Rate(max(1, round(rate.number * factor)), rate.seconds)
