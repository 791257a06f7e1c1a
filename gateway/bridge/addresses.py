# SPDX-License-Identifier: Apache-2.0
"""Addresses of puppets: remote id ↔ localpart (REQ-260 to REQ-264), escaped by XEP-0106.

The readable form is the adapter's (``bob%example.org``). What cannot be read back, or is too long,
becomes a readable slug and a hash: ``.bob-7k2m…``. The leading dot is never the adapter's, so the
two kinds do not meet. Rooms start with ``#``, contacts never do.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping

from gateway.adapter import Adapter
from gateway.ids import NetworkName, RemoteRoomId, RemoteUserId
from gateway.store import Store, Transaction, addresses
from gateway.tasks import contained_now

_CACHE_LIMIT = 50_000
_MAX_BYTES = 120
"""Keeps the whole bare JID below the 190 bytes that SQL-backed rosters take (REQ-263)."""

_ESCAPES: Mapping[str, str] = {
    " ": "\\20",
    '"': "\\22",
    "&": "\\26",
    "'": "\\27",
    "/": "\\2f",
    ":": "\\3a",
    "<": "\\3c",
    ">": "\\3e",
    "@": "\\40",
    "\\": "\\5c",
}
_UNESCAPES = {escaped: char for char, escaped in _ESCAPES.items()}
_ESCAPED = re.compile("|".join(re.escape(escaped) for escaped in _UNESCAPES), re.IGNORECASE)
_BACKSLASH = re.compile(r"\\(?=20|22|26|27|2f|3a|3c|3e|40|5c)", re.IGNORECASE)
_PLAIN = re.compile(r"[a-z0-9._+=~!$*%\\-][a-z0-9._+=~!#$*%\\-]*")


def escape(text: str) -> str:
    """XEP-0106 §4.2. A backslash is escaped only where it would begin an escape."""
    text = _BACKSLASH.sub(lambda _: "\\5c", text)
    return "".join(char if char == "\\" else _ESCAPES.get(char, char) for char in text)


def unescape(localpart: str) -> str:
    """XEP-0106 §4.3."""
    return _ESCAPED.sub(lambda match: _UNESCAPES[match[0].lower()], localpart)


class Addresses:
    """The addresses of one network."""

    def __init__(self, network: NetworkName, domain: str, adapter: Adapter, store: Store) -> None:
        self._network = network
        self._domain = domain
        self._adapter = adapter
        self._store = store
        self._localparts: dict[RemoteUserId, str] = {}
        self._contacts: dict[str, RemoteUserId] = {}

    @property
    def domain(self) -> str:
        """Of the network's component."""
        return self._domain

    def localpart(self, contact: RemoteUserId) -> str:
        """The localpart of a contact's puppet; empty for the gateway itself."""
        if not contact:
            return ""
        found = self._localparts.get(contact)
        if found is None:
            found = addresses.localpart_of(self._store.reader, self._network, contact)
            found = found or self._proposed(contact)
            if len(self._localparts) >= _CACHE_LIMIT:
                self._localparts.clear()
            self._localparts[contact] = found
        return found

    def room(self, localpart: str) -> RemoteRoomId | None:
        """The room at a localpart as it came from a stanza, if there is one: rooms have no
        address before they are known."""
        if not localpart.startswith("#"):
            return None
        found = addresses.remote_of(self._store.reader, self._network, localpart.lower())
        return None if found is None else RemoteRoomId(found)

    def room_address(self, localpart: str) -> str | None:
        """What the network calls a room that may be at a localpart as it came from a stanza."""
        localpart = localpart.lower()
        if (
            not localpart.startswith("#")
            or not _PLAIN.fullmatch(localpart[1:])
            or len(localpart) > _MAX_BYTES
            or localpart.endswith("\\20")
            or escape(unescape(localpart)) != localpart
        ):
            return None
        return contained_now(self._adapter.room_at, unescape(localpart)) or None

    def of_room_called(self, called: str) -> str | None:
        """The localpart at which a room is joined that the network calls so: the inverse."""
        address = contained_now(self._adapter.room_address, called)
        localpart = escape(address) if address else ""
        return localpart if localpart and self.room_address(localpart) == called else None

    def assign_room(
        self, db: Transaction, room: RemoteRoomId, name: str, wanted: str = ""
    ) -> None:
        """Give a room its localpart for ever, if it has none: ``wanted``, if that is nobody
        else's, or a name that people can read, and a hash."""
        slug = re.sub(r"[^a-z0-9]+", "-", name[:100].lower()).strip("-")[:32] or "room"
        remote = RemoteUserId(room)
        for localpart in (wanted, f"#{slug}-{_hash(remote)}"):
            if localpart:
                addresses.assign(db, self._network, remote, localpart)

    def contact(self, localpart: str) -> RemoteUserId | None:
        """The contact at a localpart as it came from a stanza, or None if there can be none."""
        if not localpart or localpart.startswith("#"):
            return None
        localpart = localpart.lower()
        known = self._contacts.get(localpart)
        if known is None:
            known = self._look_up(localpart)
            if known is not None:  # and for ever; who is nobody now may be somebody later
                if len(self._contacts) >= _CACHE_LIMIT:
                    self._contacts.clear()
                self._contacts[localpart] = known
        return known

    def _look_up(self, localpart: str) -> RemoteUserId | None:
        known = addresses.remote_of(self._store.reader, self._network, localpart)
        if known is not None:
            return known
        contact = self.parse(unescape(localpart))
        # Only the one spelling that we would use ourselves, or a chat would split in two.
        return contact if contact is not None and self.localpart(contact) == localpart else None

    def made_up(self, localpart: str, by_hash: Mapping[str, RemoteUserId]) -> RemoteUserId | None:
        """Whose localpart it is that cannot be read back, among those of `by_hash`."""
        contact = by_hash.get(localpart.rpartition("-")[2])
        return contact if contact is not None and self.localpart(contact) == localpart else None

    def parse(self, typed: str) -> RemoteUserId | None:
        """The contact that a person means by what they typed."""
        contact = contained_now(self._adapter.contact_called, typed.strip())
        return contact or None

    def meant(self, localpart: str) -> RemoteUserId | None:
        """The contact whom somebody means by a localpart, in whatever spelling (REQ-227). Nobody
        is reached there: it is for telling the address that leads to them."""
        contact = self.contact(localpart)
        if contact is not None or localpart.startswith(("#", ".")):
            return contact
        return self.parse(unescape(localpart.lower()))

    def assign(self, db: Transaction, contact: RemoteUserId) -> None:
        """Keep a contact's localpart for ever, from the unit that first stores the contact."""
        if contact:
            addresses.assign(db, self._network, contact, self._proposed(contact))

    def bare(self, db: Transaction, contact: RemoteUserId) -> str:
        """The bare JID of a contact's puppet, for ever."""
        self.assign(db, contact)
        return f"{addresses.localpart_of(db, self._network, contact)}@{self._domain}"

    def _proposed(self, contact: RemoteUserId) -> str:
        readable = contained_now(self._adapter.address_of, contact)
        if readable is not None:
            localpart = escape(readable)
            if (
                _PLAIN.fullmatch(localpart)
                and not localpart.startswith((".", "\\20"))
                and not localpart.endswith("\\20")
                and len(localpart) <= _MAX_BYTES
                and unescape(localpart) == readable
                and contained_now(self._adapter.contact_at, readable) == contact
            ):
                return localpart
        slug = re.sub(r"[^a-z0-9]+", "-", (readable or contact).lower()).strip("-")[:32]
        return f".{slug}-{_hash(contact)}"


def by_hash(contacts: Iterable[RemoteUserId]) -> Mapping[str, RemoteUserId]:
    """For `Addresses.made_up`."""
    return {_hash(contact): contact for contact in contacts}


def _hash(remote: RemoteUserId) -> str:
    return hashlib.sha256(remote.encode("utf-8", "surrogatepass")).hexdigest()[:16]
