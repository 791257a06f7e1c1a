# SPDX-License-Identifier: Apache-2.0
"""Stanzas from the server: who is addressed, and which part of the house answers.

The reader is never paused and nothing here waits: a handler answers at once, queues a unit, or
starts a task. Whatever a handler raises costs that one stanza (REQ-922).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING
from xml.etree.ElementTree import Element

import structlog

from gateway.bridge.accounts import Account
from gateway.bridge.intents import IncomingText
from gateway.events import Through
from gateway.ids import RemoteUserId, StanzaId, UserJid
from gateway.store.conversations import GATEWAY
from gateway.xmpp.access import NOT_ADMITTED
from gateway.xmpp.codec import errors
from gateway.xmpp.codec.errors import Refused
from gateway.xmpp.codec.incoming import (
    ACCEPT,
    CONTENT,
    LONGEST_ID,
    IncomingMessage,
    read_message,
)
from gateway.xmpp.codec.xml import Stanza
from gateway.xmpp.jid import Address, split
from gateway.xmpp.limits import Kind, Rarely, Repeats, Standing
from gateway.xmpp.presence import PresenceStanzas
from gateway.xmpp.rooms import private
from gateway.xmpp.rooms.joining import JOIN

if TYPE_CHECKING:
    from gateway.xmpp.component import Component

log = structlog.get_logger("dispatch")

_ENCRYPTED = (
    "This gateway cannot read end-to-end encrypted messages. "
    "Please turn off encryption for this chat and send it again."
)
_TOO_MUCH = "You are sending too much at once. Please wait a minute and try again."
_LOOP = (
    "You have sent the same text 20 times within a minute. Please wait a minute. "
    "This keeps programs from answering each other for ever."
)
_LONG_ID = f"The id of this is longer than {LONGEST_ID} characters."
_SUBSCRIPTIONS = frozenset({"subscribe", "subscribed", "unsubscribe", "unsubscribed"})
_UNREGISTERED = "You have no account here yet. Send “login” to {gateway} to link one."


class Dispatch:
    """The entrance of one component."""

    def __init__(self, component: Component) -> None:
        self._component = component
        self._network = component.network
        self._clock = component.network.adapter.context.clock
        self._repeats = Repeats()
        self._rarely = Rarely()
        self._kinds: dict[str, Callable[[Element, Address, Address], None]] = {
            f"{ACCEPT}message": self._message,
            f"{ACCEPT}presence": PresenceStanzas(component).take,
            f"{ACCEPT}iq": self._iq,
        }

    def take(self, element: Element) -> None:
        """Handle one stanza."""
        to = split(element.get("to", ""))
        if to.domain != self._component.domain:
            self._component.neighbours.hand_over(element)
            return
        sender = split(element.get("from", ""))
        before = self._component.limits.credit(sender.bare)
        try:
            if not self._is_taken(element, sender) or not self._has_usable_id(element):
                return
            if self._network.audience.unreached and element.get("type") != "error":
                self._network.audience.heard(sender.bare)
            if to.local.startswith("#") and element.get("type") != "error":
                self._heard_in_room(element, sender)
            if sender.resource and _wants_answer(element):
                self._network.active(sender.bare)
            self._kinds[element.tag](element, sender, to)
        except Exception:
            log.exception("stanza_failed", kind=element.tag, id=element.get("id", ""))
            self._say_failed(element)
        finally:
            if element.tag != f"{ACCEPT}iq":  # those may be answered later
                self._component.limits.answered(sender.bare, before)

    def _heard_in_room(self, element: Element, sender: Address) -> None:
        if sender.resource and self._network.accounts.of(sender.bare) is not None:
            self._network.rooms.ghosts.heard(element.get("from", ""))

    def _is_taken(self, element: Element, sender: Address) -> bool:
        """The limits of its sender. What is more is refused, and nothing is done for it."""
        component, now = self._component, self._clock.monotonic()
        if not sender.local and component.is_local(sender.bare):
            return True  # our own server itself
        standing = component.standing(sender.bare)
        kind = _kind(element, standing)
        if not _is_reply(element):  # nothing is said to one
            component.limits.heard(sender.bare, standing)
        if kind is None or component.limits.takes(kind, sender.bare, standing, now):
            return True
        if (unsaid := self._unsaid("limit_reached")) is not None:
            log.warning("limit_reached", kind=kind.value, domain=sender.domain, unsaid=unsaid)
        if _wants_answer(element) and component.limits.may_refuse(sender.bare, standing, now):
            self._error(element, errors.RESOURCE_CONSTRAINT, _TOO_MUCH)
        return False

    def _has_usable_id(self, element: Element) -> bool:
        """Answers repeat it. Where nobody waits for one, an endless id is left out."""
        if len(element.get("id", "")) <= LONGEST_ID:
            return True
        is_join = element.find(JOIN) is not None and not element.get("type")
        if is_join and element.tag == f"{ACCEPT}presence":
            self._component.rooms.refuse_join(element, errors.POLICY_VIOLATION, _LONG_ID)
            return False
        if _wants_answer(element):
            self._error(element, errors.POLICY_VIOLATION, _LONG_ID)
            return False
        del element.attrib["id"]
        return True

    def _unsaid(self, event: str) -> int | None:
        return self._rarely.unsaid(event, self._clock.monotonic())

    def refuse_excessive(self, element: Element) -> None:
        """A stanza of which only the outermost element was kept (REQ-713)."""
        if split(element.get("to", "")).domain != self._component.domain:
            self._component.neighbours.hand_over(element, excessive=True)
            return
        sender = split(element.get("from", ""))
        if (unsaid := self._unsaid("excessive_stanza")) is not None:
            log.warning("excessive_stanza", domain=sender.domain, unsaid=unsaid)
        if (
            element.tag != f"{ACCEPT}presence"
            and element.get("type", "") not in ("error", "result")
            and self._is_taken(element, sender)
        ):
            self._error(element, errors.POLICY_VIOLATION, "This has too many XML elements.")

    def _error(self, element: Element, error: errors.StanzaError, text: str) -> None:
        """Answer any kind of stanza with an error."""
        self._component.stream.send(
            Stanza(
                element.tag.removeprefix(ACCEPT),
                element.get("to", ""),
                element.get("from", ""),
                "error",
                element.get("id", ""),
                error.xml(text),
            )
        )

    def _say_failed(self, element: Element) -> None:
        kind = element.get("type", "normal")
        if element.tag == f"{ACCEPT}iq" and kind in ("get", "set"):
            self._component.iqs.fail(element)
        elif element.tag == f"{ACCEPT}message" and kind in ("chat", "normal", "groupchat"):
            self._refuse(read_message(element), errors.INTERNAL, "The gateway could not take it.")

    # --- IQs ------------------------------------------------------------------------------------

    def _iq(self, element: Element, sender: Address, to: Address) -> None:
        if element.get("type") in ("get", "set"):
            self._component.iqs.take(element, sender, to)
        elif not self._component.stream.take_reply(element):
            log.debug("stray_reply", id=element.get("id", ""))

    # --- messages -------------------------------------------------------------------------------

    def _message(self, element: Element, sender: Address, to: Address) -> None:
        message = read_message(element)
        if message.type == "error":
            self._bounce(message, sender, to)
            return
        if message.privilege is not None and not to.local:
            self._component.privileges.advertised(message.sender, message.privilege)
            return
        if not to.local:
            self._to_gateway(message, sender)
        elif to.local.startswith("#"):
            if to.resource and message.type in ("chat", "normal"):
                self._to_occupant(message, sender, to)
            else:
                self._to_room(message, sender, to)
        elif message.type in ("chat", "normal"):
            self._to_contact(message, sender, to)
        elif message.type == "groupchat":
            self._refuse(message, errors.ITEM_NOT_FOUND, "This is a person, and no group.")

    def _to_room(self, message: IncomingMessage, sender: Address, to: Address) -> None:
        if self._component.rooms.inviting.to_room(message, sender, to):
            return
        if message.encrypted:
            self._refuse(message, errors.NOT_ACCEPTABLE, _ENCRYPTED)
            return
        if not (message.has_content or message.displayed or message.chat_state):
            return
        said = message.body or (message.subject if message.is_subject else "")
        if said and self._is_loop(sender.bare, to.local, said):
            self._refuse(message, errors.RESOURCE_CONSTRAINT, _LOOP)
            return
        self._component.rooms.message(
            message, sender, to, lambda error, said: self._refuse(message, error, said)
        )

    def _bounce(self, message: IncomingMessage, sender: Address, to: Address) -> None:
        if to.local.startswith("#"):
            self._network.rooms.private_messages.came_back(
                sender.bare,
                message.sender,
                StanzaId(message.id),
                temporary=message.condition in errors.TEMPORARY,
            )
            self._component.rooms.unreachable(message.sender, sender, to, message.condition)
            return
        if not sender.local:
            if self._component.privileges.withdrawn(sender.domain):
                log.warning("privilege_refused", domain=sender.domain, condition=message.condition)
            self._network.delivery.not_in_their_name(sender.domain, StanzaId(message.id))
            return
        self._network.delivery.bounced(
            sender.bare,
            StanzaId(message.id),
            temporary=message.condition in errors.TEMPORARY,
            # A client's errors come from a resource: it says nothing of its server.
            unreachable=not sender.resource
            and (message.error_type, message.condition) in errors.SERVER_AWAY,
        )

    def _to_gateway(self, message: IncomingMessage, sender: Address) -> None:
        if message.type not in ("chat", "normal"):
            return
        if message.encrypted:
            self._refuse(message, errors.NOT_ACCEPTABLE, _ENCRYPTED)
        elif message.received:
            self._network.delivery.receipt(sender.bare, StanzaId(message.received))
        elif message.body:
            if self._is_loop(sender.bare, GATEWAY, message.body):
                self._refuse(message, errors.RESOURCE_CONSTRAINT, _LOOP)
            else:
                self._component.console.take(message)

    def _to_contact(self, message: IncomingMessage, sender: Address, to: Address) -> None:
        if not self._component.access.permits(sender.bare):
            if message.body is not None:
                self._refuse(message, errors.FORBIDDEN, NOT_ADMITTED)
            return
        if message.encrypted:
            # Its body is only a note that it is encrypted: never passed on (REQ-470).
            self._refuse(message, errors.NOT_ACCEPTABLE, _ENCRYPTED)
            return
        account = self._network.accounts.of(sender.bare)
        contact = self._network.addresses.contact(to.local)
        if account is None or contact is None:
            self._to_nobody(message, account)
            return
        if self._component.rooms.inviting.to_contact(message, sender, to):
            return
        self._in_chat(message, account, contact, None)

    def _to_occupant(self, message: IncomingMessage, sender: Address, to: Address) -> None:
        """A private message, or what belongs to one (REQ-575)."""
        if message.encrypted:
            self._refuse(message, errors.NOT_ACCEPTABLE, _ENCRYPTED)
            return
        try:
            person = private.addressed(self._component, message.sender, sender, to)
        except Refused as refused:
            if message.body is not None:
                self._refuse(message, refused.error, refused.said)
            return
        self._in_chat(message, *person)

    def _in_chat(
        self,
        message: IncomingMessage,
        account: Account,
        contact: RemoteUserId,
        through: Through | None,
    ) -> None:
        if message.chat_state:
            account.knows_chat_states = True
        if message.body is not None:
            if self._is_loop(account.user, contact, message.body):
                self._refuse(message, errors.RESOURCE_CONSTRAINT, _LOOP)
            else:
                text = replace(_text(message), through=through)
                self._network.send_text(account, contact, text)
            return
        self._signals(message, account, contact)

    def _to_nobody(self, message: IncomingMessage, account: Account | None) -> None:
        if message.body is None:
            return
        if account is None:
            said = _UNREGISTERED.format(gateway=self._component.domain)
            self._refuse(message, errors.REGISTRATION_REQUIRED, said)
        else:
            self._refuse(message, errors.ITEM_NOT_FOUND, "There is no contact of this name.")

    def _is_loop(self, user: UserJid, contact: str, body: str) -> bool:
        return self._repeats.is_loop(user, contact, body, self._clock.monotonic())

    def _signals(self, message: IncomingMessage, account: Account, contact: RemoteUserId) -> None:
        """What a message without text may say."""
        if message.received:
            self._network.delivery.receipt(account.user, StanzaId(message.received))
        if message.displayed:
            self._network.intents.displayed(account, contact, StanzaId(message.displayed))
        if message.chat_state:
            self._network.typing(account, contact, message.chat_state == "composing")

    def _refuse(self, message: IncomingMessage, error: errors.StanzaError, text: str) -> None:
        self._component.stream.send(
            Stanza("message", message.to, message.sender, "error", message.id, error.xml(text))
        )


def _kind(element: Element, standing: Standing) -> Kind | None:
    """As what a stanza is measured. None: it is cheap, or an answer that we wait for."""
    of_type = element.get("type", "")
    if element.tag == f"{ACCEPT}iq":
        return None if _is_reply(element) else Kind.IQS
    if element.tag == f"{ACCEPT}presence":
        if of_type in _SUBSCRIPTIONS or standing.is_strange:
            return Kind.SUBSCRIPTIONS
        return None  # state of users, and probes for that of contacts (REQ-304)
    if of_type == "error":
        return None if standing is Standing.LINKED else Kind.SIGNALS
    return Kind.MESSAGES if _has_content(element) else Kind.SIGNALS


def _is_reply(element: Element) -> bool:
    return element.tag == f"{ACCEPT}iq" and element.get("type") not in ("get", "set")


def _wants_answer(element: Element) -> bool:
    if element.tag == f"{ACCEPT}iq":
        return not _is_reply(element)
    is_message = element.tag == f"{ACCEPT}message" and element.get("type") != "error"
    return is_message and _has_content(element)


def _has_content(element: Element) -> bool:
    if any(child.tag in CONTENT for child in element):
        return True
    return element.get("type") == "groupchat" and element.find(f"{ACCEPT}subject") is not None


def _text(message: IncomingMessage) -> IncomingText:
    return IncomingText(
        # An error or a receipt needs an id to refer to; a message without one gets none of both.
        id=StanzaId(message.id),
        origin_id=StanzaId(message.origin_id) if message.origin_id else None,
        sender=message.sender,
        body=message.body or "",
        receipt=message.wants_receipt and bool(message.id),
    )
