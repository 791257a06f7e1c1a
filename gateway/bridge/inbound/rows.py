# SPDX-License-Identifier: Apache-2.0
"""Rows of one account's inbound journal, as units add them inside the writer's transaction."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import structlog
from msgspec import structs

from gateway.bridge import cards
from gateway.bridge.accounts.languages import told_in
from gateway.bridge.addresses import Addresses
from gateway.bridge.contacts import names
from gateway.bridge.contacts.reserved import Reserved
from gateway.bridge.files.told import FileLinks, Files
from gateway.bridge.put_before import M
from gateway.bridge.rooms.ways import way_of
from gateway.bridge.splitting import reference
from gateway.events import Delivery, Notice
from gateway.ids import (
    AccountId,
    ConversationId,
    NetworkName,
    RemoteRoomId,
    RemoteUserId,
    RoomId,
    RowId,
    StanzaId,
    UserJid,
    stanza_id,
)
from gateway.locale import ENGLISH, in_language
from gateway.store import Transaction, contacts, conversations, journal
from gateway.store.journal import InboundRow, OutboundRow
from gateway.text.wording import Words

log = structlog.get_logger("inbound")

_ROW_DIGITS = 18
"""No database gets that far."""


class Profiled(NamedTuple):
    """What is new of what a contact shows of themselves, to one account."""

    account: AccountId
    contact: RemoteUserId
    name: bool = False
    picture: bool = False
    """There is another picture, or none any more; not set while a new one is not there yet."""


class Frozen(NamedTuple):
    """A session that is out of a room which is still there (REQ-512)."""

    room: RemoteRoomId
    nick: str
    session: str


@dataclass(slots=True)
class Committed:
    """What a unit has added to the journals."""

    inbound: list[InboundRow] = field(default_factory=list)
    outbound: list[OutboundRow] = field(default_factory=list)
    held: bool = False
    """Something was kept that cannot be read yet."""
    edits_wait: bool = False
    """An edit was kept that is told a little later."""
    entered: list[tuple[AccountId, RemoteRoomId]] = field(default_factory=list)
    """Rooms that accounts are in from now on: mostly this one, but rooms may be shared."""
    followed: list[RemoteRoomId] = field(default_factory=list)
    """Rooms in which those go on that the account was in."""
    pictured: list[RoomId] = field(default_factory=list)
    """Rooms in which sessions see somebody, or the room itself, whose picture is not known."""

    profiled: list[Profiled] = field(default_factory=list)
    """Contacts of whom something else is known."""
    untold: list[RoomId] = field(default_factory=list)
    """Rooms in which sessions have to be told of somebody."""
    outcasts: list[RoomId] = field(default_factory=list)
    """Rooms into which somebody may not come from now on, or may again."""
    frozen: list[Frozen] = field(default_factory=list)
    portals: bool = False
    """Who may come into linked groups, or where these are, is otherwise from now on."""

    blocked: tuple[RemoteUserId, ...] | None = None
    """Whom the account blocks from now on, if that has changed."""
    listed: bool = False
    """Somebody in the user's contact list has another name, or is to be there no longer."""

    def add(self, other: Committed) -> None:
        """What comes after it in the same unit."""
        self.inbound += other.inbound
        self.outbound += other.outbound
        self.held |= other.held
        self.edits_wait |= other.edits_wait
        self.entered += other.entered
        self.followed += other.followed
        self.pictured += other.pictured
        self.profiled += other.profiled
        self.untold += other.untold
        self.outcasts += other.outcasts
        self.frozen += other.frozen
        self.portals |= other.portals
        self.listed |= other.listed
        if other.blocked is not None:
            self.blocked = other.blocked


class SentKey(NamedTuple):
    """What a key says that came back from the network."""

    row: RowId
    piece: int | None
    """Which of several requests it was, if it was one of several."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """Of one account."""

    network: NetworkName
    instance: str
    account: AccountId
    user: UserJid
    addresses: Addresses
    links: FileLinks | None = None
    """Of files; None if the gateway has no address."""
    uploads: bool = False
    """Files are to be at the server's upload service."""
    language: Callable[[], str] = lambda: ENGLISH
    """In which its user is spoken to."""
    common_language: str = ENGLISH
    """In which several users are spoken to at once."""
    reserved: Reserved
    is_of_house: bool = False
    """It is the gateway's own: nobody is told anything but what is said in rooms."""

    @property
    def files(self) -> Files:
        """That the account is told of."""
        return Files(self.account, self.links, self.uploads)

    def readable(self, db: Transaction, event: M, language: str) -> M:
        """A message in words, where it is more than these and its user cannot be told that; what
        the gateway has put in place of something is in this language."""
        if isinstance(event.body, Words):
            event = structs.replace(event, body=in_language(event.body, language))
        event = cards.told(db, self.addresses, event, as_files=self.files.have_addresses)
        return self.files.readable(event)

    def chat(self, db: Transaction, contact: RemoteUserId) -> ConversationId:
        """The conversation with a contact, made if there is none."""
        found = conversations.find_chat(db, self.account, contact)
        if found is not None:
            return found
        self.addresses.assign(db, contact)
        return conversations.chat(db, self.account, contact)

    def change(self, db: Transaction, contact: RemoteUserId, **fields: Any) -> None:
        """Change what is known of a contact."""
        known = contacts.get(db, self.account, contact)
        if (changed := replace(known, **fields)) != known:
            self.put(db, contact, changed)

    def profile(
        self, db: Transaction, contact: RemoteUserId, name: str, avatar: str | None, out: Committed
    ) -> bool:
        """The network says what a contact shows of themselves; see `names` for its name. Returns
        whether they are called otherwise from now on."""
        before = contacts.get(db, self.account, contact)
        name = names.better(before.name, name, contact, self.reserved)
        avatar = before.avatar if avatar is None else reference(avatar)
        if (name, avatar) == (before.name, before.avatar):
            return False
        self.put(db, contact, replace(before, name=name, avatar=avatar))
        has_picture = (
            avatar != before.avatar and contacts.picture(db, self.account, contact) is not None
        )
        out.profiled.append(
            Profiled(self.account, contact, name=name != before.name, picture=has_picture)
        )
        return name != before.name

    def put(self, db: Transaction, contact: RemoteUserId, row: contacts.ContactRow) -> None:
        """Store what is known of a contact."""
        self.addresses.assign(db, contact)
        contacts.put(db, self.account, contact, row)

    def add(
        self,
        db: Transaction,
        contact: RemoteUserId,
        sid: StanzaId,
        delivery: Delivery,
        now: float,
        out: Committed,
    ) -> None:
        """Add a row: something that the user is to get from a contact, or from the gateway."""
        if self.is_of_house:
            said = getattr(delivery, "text", "")
            log.warning("house_notice", network=self.network, said=in_language(said, ENGLISH))
            return
        out.inbound.append(
            journal.add_inbound(
                db,
                account=self.account,
                conversation=self.chat(db, contact),
                user=self.user,
                contact=contact,
                stanza_id=sid,
                delivery=told_in(delivery, self.language()),
                now=now,
            )
        )

    def line(
        self,
        db: Transaction,
        contact: RemoteUserId,
        sid: StanzaId,
        text: str,
        now: float,
        out: Committed,
    ) -> None:
        """The gateway says something in a chat, where the user sees what the contact says now."""
        way = way_of(db, self.chat(db, contact), contact)
        self.add(db, contact, sid, Notice(id=sid, text=text, through=way), now, out)

    def sent_key(self, key: str | None) -> SentKey | None:
        """The row of the outbound journal that a key which came back may belong to."""
        instance, *numbers = (key or "").split(".", 2)
        are_numbers = all(
            each.isascii() and each.isdigit() and len(each) <= _ROW_DIGITS for each in numbers
        )
        if instance != self.instance or not numbers or not are_numbers:
            return None
        row, *piece = map(int, numbers)
        return SentKey(RowId(row), piece[0] if piece else None)

    def id(self, *scope: str | int) -> StanzaId:
        """The id of a stanza: the same whenever it is made of the same."""
        return stanza_id(self.network, self.user, *scope)
