# SPDX-License-Identifier: Apache-2.0
"""Rows of one account's inbound journal, as units add them inside the writer's transaction."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from gateway.bridge.addresses import Addresses
from gateway.events import Delivery
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
from gateway.store import Transaction, contacts, conversations, journal
from gateway.store.journal import InboundRow, OutboundRow

_ROW_DIGITS = 18
"""No database gets that far."""


@dataclass(slots=True)
class Committed:
    """What a unit has added to the journals."""

    inbound: list[InboundRow] = field(default_factory=list)
    outbound: list[OutboundRow] = field(default_factory=list)
    held: bool = False
    """Something was kept that cannot be read yet."""
    entered: list[tuple[AccountId, RemoteRoomId]] = field(default_factory=list)
    """Rooms that accounts are in from now on: mostly this one, but rooms may be shared."""
    followed: list[RemoteRoomId] = field(default_factory=list)
    """Rooms in which those go on that the account was in."""
    pictured: list[RoomId] = field(default_factory=list)
    """Rooms in which sessions see somebody, or the room itself, whose picture is not known."""

    untold: list[RoomId] = field(default_factory=list)
    """Rooms in which sessions have to be told of somebody."""
    outcasts: list[RoomId] = field(default_factory=list)
    """Rooms into which somebody may not come from now on, or may again."""

    def add(self, other: Committed) -> None:
        """What comes after it in the same unit."""
        self.inbound += other.inbound
        self.outbound += other.outbound
        self.held |= other.held
        self.entered += other.entered
        self.followed += other.followed
        self.pictured += other.pictured
        self.untold += other.untold
        self.outcasts += other.outcasts


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """Of one account."""

    network: NetworkName
    instance: str
    account: AccountId
    user: UserJid
    addresses: Addresses

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
        out.inbound.append(
            journal.add_inbound(
                db,
                account=self.account,
                conversation=self.chat(db, contact),
                user=self.user,
                contact=contact,
                stanza_id=sid,
                delivery=delivery,
                now=now,
            )
        )

    def sent_row(self, key: str | None) -> RowId | None:
        """The row of the outbound journal that a key which came back may belong to."""
        instance, _, row = (key or "").partition(".")
        is_row = row.isascii() and row.isdigit() and len(row) <= _ROW_DIGITS
        return RowId(int(row)) if instance == self.instance and is_row else None

    def id(self, *scope: str | int) -> StanzaId:
        """The id of a stanza: the same whenever it is made of the same."""
        return stanza_id(self.network, self.user, *scope)
