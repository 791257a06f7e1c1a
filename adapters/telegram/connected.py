# SPDX-License-Identifier: Apache-2.0
"""Whose own chats the bot was let into, and what it may do there. No I/O.

Bot API, "BusinessConnection", "BusinessBotRights". Anybody on Telegram may connect any bot that
takes it, so a connection alone says nothing of who has made it. It is taken only from the Telegram
account that has sent a code to the bot which the gateway has told its user: that is the user's own
account, one at a time. Of what others let the bot into nothing is taken.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
from msgspec import structs

from adapters.telegram.errors import DISCONNECTED, MAY_NOT
from gateway.adapter import Clock
from gateway.errors import Forbidden
from gateway.events import RemoteEvent, RemoteNotice
from gateway.ids import RemoteMessageId
from gateway.text import clean
from gateway.text.wording import joined, tr

Raw = Mapping[str, Any]

REPLY, READ = "can_reply", "can_read_messages"
TAKE_BACK = ("can_delete_outgoing_messages", "can_delete_all_messages")
_OTHER_NAMES = {"can_delete_sent_messages": TAKE_BACK[0]}
"""As the vendor's server writes it (Client.cpp of 7 May 2026); the documents have the other."""
_OWNER = "own"
_ASKED = "own? "
"""Of the state: by the number of who has connected the bot, what is known of that until it is
proved."""
_COMMAND = re.compile(r"/own(?:@\w+)?\s+(\d[\d ]{3,20})\s*", re.ASCII)
_DIGITS = 8
_MOST_TRIES = 5
_AGAIN_S = 86_400.0
"""So often the user is told of the same stranger, and there is another code after wrong ones."""
_MOST_ASKED, _MOST_KNOWN = 200, 1_000
"""Who has many Telegram accounts could have others forgotten, and the wrong codes of each."""
_MOST_NAME = 100


class Connection(msgspec.Struct, frozen=True, omit_defaults=True):
    """What somebody lets the bot do in chats of theirs."""

    id: str
    is_enabled: bool = True
    rights: tuple[str, ...] = ()
    """Those that are used here."""


class Owner(msgspec.Struct, frozen=True):
    """The user's own Telegram account."""

    user: int
    name: str
    connection: Connection


class _Asked(msgspec.Struct, frozen=True):
    """Somebody has connected the bot, who may be the user."""

    connection: Connection
    name: str
    code: str
    told_at: float
    tries: int = 0
    """Wrong codes that they have sent."""


class Connected:
    """Of one bot."""

    def __init__(self, state: Mapping[str, str], clock: Clock) -> None:
        self._clock = clock
        self._asked: dict[int, _Asked] = {}
        self._changes: dict[str, str | None] = {}
        self._users: dict[str, int | None] = {}
        """By connection, who has made it; None if Telegram does not know it."""
        self._facts: dict[str, Raw] = {}
        stored = state.get(_OWNER)
        self.owner = None if stored is None else msgspec.json.decode(stored, type=Owner)
        if self.owner is not None:
            self._users[self.owner.connection.id] = self.owner.user
        for key, value in state.items():
            if key.startswith(_ASKED):
                user = int(key.removeprefix(_ASKED))
                asked = self._asked[user] = msgspec.json.decode(value, type=_Asked)
                self._users[asked.connection.id] = user

    def changes(self) -> dict[str, str | None]:
        """Of the state, since this was asked last."""
        changes, self._changes = self._changes, {}
        return changes

    # --- which connections there are ------------------------------------------------------------

    def is_unknown(self, connection: str) -> bool:
        """Whether Telegram has to be asked what it is."""
        return connection not in self._users

    def learn(self, connection: str, about: Raw | None) -> None:
        """What Telegram says of it: a BusinessConnection, or that there is none."""
        self._know(connection, None if about is None else int(about["user"]["id"]))
        if about is not None:
            self._facts[connection] = about

    def _know(self, connection: str, user: int | None) -> None:
        if len(self._users) >= _MOST_KNOWN:
            self._users.clear()
        self._users[connection] = user

    def owner_of(self, connection: str) -> int | None:
        """Whose own chats come by this connection; None if these are not the user's."""
        if self.owner is None or self._users.get(connection) != self.owner.user:
            return None
        return self.owner.user

    def by(self, *rights: str) -> Owner:
        """The user's account, where the bot may do one of these. Raises `Forbidden`."""
        if self.owner is None or not self.owner.connection.is_enabled:
            raise Forbidden(DISCONNECTED)
        if not set(rights) & set(self.owner.connection.rights):
            raise Forbidden(MAY_NOT)
        return self.owner

    # --- what is told ---------------------------------------------------------------------------

    def opened(self, connection: str, number: int) -> Iterator[RemoteEvent]:
        """What was learned of a connection; comes before all that comes by it. ``number``: of the
        update."""
        about = self._facts.pop(connection, None)
        if about is not None:
            yield from self.changed(about, number)

    def changed(self, about: Raw, number: int) -> Iterator[RemoteEvent]:
        """Somebody has connected the bot, or lets it do something else: a BusinessConnection, as
        it came. ``number``: of the update."""
        user, connection = int(about["user"]["id"]), _connection(about)
        self._know(connection.id, user)
        id = RemoteMessageId(f"connection {connection.id}/{number}")
        if self.owner is not None and self.owner.user == user:
            yield from self._of_owner(self.owner, connection, id)
        elif user in self._asked or connection.is_enabled:
            yield from self._of_stranger(user, _name(about["user"]), connection, id)

    def _of_owner(
        self, owner: Owner, connection: Connection, id: RemoteMessageId
    ) -> Iterator[RemoteEvent]:
        before = owner.connection
        is_of_before = connection.id != before.id and not connection.is_enabled
        if connection == before or is_of_before:
            return
        self._take(structs.replace(owner, connection=connection))
        if connection.is_enabled or before.is_enabled:
            yield RemoteNotice(contact=None, id=id, text=_standing(owner.name, connection))

    def _of_stranger(
        self, user: int, name: str, connection: Connection, id: RemoteMessageId
    ) -> Iterator[RemoteEvent]:
        now, known = self._clock.now(), self._asked.get(user)
        is_due = known is None or not 0 <= now - known.told_at < _AGAIN_S
        if known is not None and not (is_due and connection.is_enabled):
            self._ask(user, structs.replace(known, connection=connection))
            return
        is_void = known is None or known.tries >= _MOST_TRIES
        code = _code() if is_void or known is None else known.code
        tries = 0 if is_void or known is None else known.tries
        self._ask(user, _Asked(connection, name, code, now, tries))
        yield RemoteNotice(contact=None, id=id, text=self._question(user, name, code))

    def _question(self, user: int, name: str, code: str) -> str:
        parts = [
            tr(
                "{name} ({number}) has connected your bot to their Telegram account. If this is "
                "you, send the bot in Telegram, from that account: /own {code}",
                name=name,
                number=user,
                code=code,
            ),
            tr("If it is not you, do nothing: nothing of theirs comes here."),
        ]
        if self.owner is not None:
            parts.append(
                tr("It would take the place of your account {name}.", name=self.owner.name)
            )
        return joined(parts, "\n")

    # --- the proof ------------------------------------------------------------------------------

    def is_proof(self, message: Raw) -> bool:
        """Whether somebody sends the bot a code, a Message as it came: then it is nothing that is
        said."""
        text, sender, chat = message.get("text"), message.get("from"), message.get("chat")
        if not (isinstance(text, str) and isinstance(sender, dict) and isinstance(chat, dict)):
            return False
        user = sender.get("id")
        if user != chat.get("id"):
            return False
        is_owner = self.owner is not None and self.owner.user == user
        return (user in self._asked or is_owner) and _COMMAND.fullmatch(text) is not None

    def proved(self, message: Raw) -> Iterator[RemoteEvent]:
        """They have. An account that was taken already need not prove it again."""
        user = int(message["from"]["id"])
        asked, found = self._asked.get(user), _COMMAND.fullmatch(message["text"])
        if asked is None or found is None:
            return
        id = RemoteMessageId(f"proof {user}:{message['message_id']}")
        if asked.tries >= _MOST_TRIES or found[1].replace(" ", "") != asked.code:
            tries = min(asked.tries + 1, _MOST_TRIES)
            self._ask(user, structs.replace(asked, tries=tries))
            if asked.tries < _MOST_TRIES:
                yield RemoteNotice(contact=None, id=id, text=_wrong(asked.name, tries))
            return
        del self._asked[user]
        self._changes[f"{_ASKED}{user}"] = None
        self._take(Owner(user, asked.name, asked.connection))
        self._know(asked.connection.id, user)
        yield RemoteNotice(contact=None, id=id, text=_standing(asked.name, asked.connection))

    # --- what is kept ---------------------------------------------------------------------------

    def _take(self, owner: Owner) -> None:
        self.owner = owner
        self._changes[_OWNER] = msgspec.json.encode(owner).decode()

    def _ask(self, user: int, asked: _Asked) -> None:
        self._asked[user] = asked
        self._changes[f"{_ASKED}{user}"] = msgspec.json.encode(asked).decode()
        if len(self._asked) > _MOST_ASKED:
            oldest = min(self._asked, key=lambda each: self._asked[each].told_at)
            del self._asked[oldest]
            self._changes[f"{_ASKED}{oldest}"] = None


def _connection(about: Raw) -> Connection:
    rights = {_OTHER_NAMES.get(name, name) for name, is_given in _rights(about) if is_given}
    return Connection(
        str(about["id"]),
        bool(about["is_enabled"]),
        tuple(right for right in (REPLY, READ, *TAKE_BACK) if right in rights),
    )


def _rights(about: Raw) -> Iterator[tuple[str, object]]:
    yield from (about.get("rights") or {}).items()


def _name(user: Raw) -> str:
    names = " ".join(filter(None, (user.get("first_name"), user.get("last_name"))))
    called = " ".join(clean(names)[:_MOST_NAME].split())
    by_name = clean(user.get("username") or "")
    return f"{called}, @{by_name}" if by_name else called


def _code() -> str:
    return f"{secrets.randbelow(10**_DIGITS):0{_DIGITS}}"


def _wrong(name: str, tries: int) -> str:
    if tries < _MOST_TRIES:
        return tr("{name} has sent your bot a wrong code.", name=name)
    return tr(
        "{name} has sent your bot wrong codes too often. If this is you, take the bot out of your "
        "Telegram account and connect it again in 24 hours: then there is a new code.",
        name=name,
    )


def _standing(name: str, connection: Connection) -> str:
    """What the user has of it."""
    if not connection.is_enabled:
        return DISCONNECTED
    parts = [
        tr(
            "Your bot is connected to your Telegram account ({name}). Your own chats there, those "
            "that you have let it into, are here from now on.",
            name=name,
        )
    ]
    if REPLY not in connection.rights:
        parts.append(tr("You have not allowed it to write there, so you can only read."))
    if READ not in connection.rights:
        parts.append(tr("You have not allowed it to mark messages as read."))
    if not set(TAKE_BACK) & set(connection.rights):
        parts.append(tr("You have not allowed it to delete messages."))
    return joined(parts, " ")
