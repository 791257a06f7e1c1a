# SPDX-License-Identifier: Apache-2.0
"""Stanzas from the server: who is addressed, and which part of the house answers.

The reader is never paused and nothing here waits: a handler answers at once, queues a unit, or
starts a task. Whatever a handler raises costs that one stanza (REQ-922).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING
from xml.etree.ElementTree import Element

import structlog

from gateway.bridge.accounts import Account
from gateway.bridge.outbound.wanted import IncomingText
from gateway.events import Through
from gateway.ids import RemoteUserId, StanzaId, UserJid
from gateway.store.conversations import GATEWAY
from gateway.text.wording import tr
from gateway.xmpp import bounces, calls, shared_contacts
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
from gateway.xmpp.limits import TOO_MANY_FILES, Kind, Rarely, Repeats, Standing
from gateway.xmpp.presence import PresenceStanzas
from gateway.xmpp.rooms import private
from gateway.xmpp.rooms.joining import JOIN
from gateway.xmpp.wishes import named, wish

if TYPE_CHECKING:
    from gateway.xmpp.component import Component

log = structlog.get_logger("dispatch")

_ENCRYPTED = tr(
    "This gateway cannot read end-to-end encrypted messages. Please turn off "
    "encryption for this chat and send it again.",
)
_TOO_MUCH = tr("You are sending too much at once. Please wait a minute and try again.")
_BLOCKED = tr(
    "You have blocked this contact. Send “unblock” to the gateway to talk with them again.",
)
_LOOP = tr(
    "You have sent the same text 20 times within a minute. Please wait a "
    "minute. This keeps programs from answering each other for ever.",
)
_LONG_ID = tr("The id of this is longer than {longest_id} characters.", longest_id=LONGEST_ID)
_LANGUAGE = "{http://www.w3.org/XML/1998/namespace}lang"
_SUBSCRIPTIONS = frozenset({"subscribe", "subscribed", "unsubscribe", "unsubscribed"})
_NOT_FROM_THEM = frozenset({"error", "result", "unavailable", "unsubscribe", "unsubscribed"})
"""What servers say for somebody who is gone, too."""
_UNREGISTERED = tr("You have no account here yet. Send “login” to {gateway} to link one.")


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
            if self._is_own_copy(element, sender, to):
                return  # before all limits: the network has it, and nobody has typed it
            if not self._is_taken(element, sender) or not self._has_usable_id(element):
                return
            if self._network.audience.unreached and element.get("type") != "error":
                self._network.audience.heard(sender.bare)
            if self._network.suspension.doubted and element.get("type") not in _NOT_FROM_THEM:
                self._network.suspension.heard(sender.bare)
            if to.local.startswith("#") and element.get("type") != "error":
                self._heard_in_room(element, sender)
            if sender.resource and _wants_answer(element):
                self._network.active(sender.bare)
                self._network.languages.heard(sender.bare, element.get(_LANGUAGE, ""))
            self._kinds[element.tag](element, sender, to)
        except Exception:
            log.exception("stanza_failed", kind=element.tag, id=element.get("id", ""))
            self._say_failed(element)
        finally:
            if element.tag != f"{ACCEPT}iq":  # those may be answered later
                self._component.limits.answered(sender.bare, before)

    def _heard_in_room(self, element: Element, sender: Address) -> None:
        accounts = self._network.accounts
        if sender.resource and (accounts.of(sender.bare) or accounts.virtual(sender.bare)):
            self._network.rooms.ghosts.heard(element.get("from", ""))

    def _is_own_copy(self, element: Element, sender: Address, to: Address) -> bool:
        """It was said in the user's name, and comes back (REQ-1006): by no device of theirs."""
        if sender.resource:
            return False
        account = self._network.accounts.of(sender.bare)
        is_message = element.tag == f"{ACCEPT}message" and element.get("type") != "error"
        if account is None or not is_message or not _has_content(element):
            return False
        contact = self._person_at(account, to)
        id = StanzaId(element.get("id", ""))
        return contact is not None and self._network.chats.is_own_copy(account, contact, id)

    def _person_at(self, account: Account, to: Address) -> RemoteUserId | None:
        """Who is at an address, by themselves or as an occupant."""
        if not to.local.startswith("#"):
            return self._network.addresses.contact(to.local)
        room = self._network.rooms.find(account, to.local) if to.resource else None
        member = None if room is None else self._network.rooms.by_nick(room, to.resource)
        return None if member is None else member.user

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
            self._error(element, errors.POLICY_VIOLATION, tr("This has too many XML elements."))

    def _error(self, element: Element, error: errors.StanzaError, text: str) -> None:
        """Answer any kind of stanza with an error."""
        to = element.get("from", "")
        self._component.stream.send(
            Stanza(
                element.tag.removeprefix(ACCEPT),
                element.get("to", ""),
                to,
                "error",
                element.get("id", ""),
                error.xml(text, language=self._component.language_of(to)),
            )
        )

    def _say_failed(self, element: Element) -> None:
        kind = element.get("type", "normal")
        if element.tag == f"{ACCEPT}iq" and kind in ("get", "set"):
            self._component.iqs.fail(element)
        elif element.tag == f"{ACCEPT}message" and kind in ("chat", "normal", "groupchat"):
            self._refuse(
                read_message(element), errors.INTERNAL, tr("The gateway could not take it.")
            )

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
            bounces.take(self._component, message, sender, to)
            return
        if message.privilege is not None and not to.local:
            self._component.privileges.advertised(message.sender, message.privilege)
            return
        if to.local:
            shared_contacts.name(self._component, message)
        is_of_chat = message.type in ("chat", "normal") or message.wants_attention
        if not to.local and message.type == "headline":
            self._component.own_profiles.take(element, sender)
        elif not to.local:
            self._to_gateway(message, sender)
        elif to.local.startswith("#"):
            if to.resource and is_of_chat:
                self._to_occupant(message, sender, to)
            else:
                self._to_room(message, sender, to)
        elif is_of_chat:
            self._to_contact(message, sender, to)
        elif message.type == "groupchat":
            self._refuse(message, errors.ITEM_NOT_FOUND, tr("This is a person, and no group."))

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
            if message.has_content:
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
        if message.call:
            calls.decline(self._component, message, account, contact)
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
            if message.has_content:
                self._refuse(message, refused.error, refused.said)
            return
        if message.call:
            calls.decline(self._component, message, *person)
        else:
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
        wanted = wish(message, through, named(message, account, self._network.addresses))
        if contact in account.blocked:
            if wanted is not None:
                self._refuse(message, errors.FORBIDDEN, _BLOCKED)
        elif wanted is None:
            self._signals(message, account, contact)
        elif isinstance(wanted, IncomingText) and self._is_loop(
            account.user, contact, wanted.body
        ):
            self._refuse(message, errors.RESOURCE_CONSTRAINT, _LOOP)
        elif isinstance(wanted, IncomingText) and not self._component.may_send(
            account.user, wanted.files
        ):
            self._refuse(message, errors.RESOURCE_CONSTRAINT, TOO_MANY_FILES)
        else:
            self._network.wants(account, contact, wanted)

    def _to_nobody(self, message: IncomingMessage, account: Account | None) -> None:
        if not message.has_content:
            return
        if account is None:
            said = _UNREGISTERED.format(gateway=self._component.domain)
            self._refuse(message, errors.REGISTRATION_REQUIRED, said)
        elif (meant := self._network.addresses.meant(split(message.to).local)) is not None:
            said = tr("This contact has the address {jid}.", jid=self._component.puppet(meant))
            self._refuse(message, errors.ITEM_NOT_FOUND, said)
        else:
            self._refuse(message, errors.ITEM_NOT_FOUND, tr("There is no contact of this name."))

    def _is_loop(self, user: UserJid, contact: str, body: str) -> bool:
        return self._repeats.is_loop(user, contact, body, self._clock.monotonic())

    def _signals(self, message: IncomingMessage, account: Account, contact: RemoteUserId) -> None:
        """What a message without text may say."""
        if message.received:
            self._network.delivery.receipt(account.user, StanzaId(message.received))
        if message.displayed:
            self._network.chats.displayed(account, contact, StanzaId(message.displayed))
        if message.chat_state:
            self._network.typing(account, contact, message.chat_state == "composing")

    def _refuse(self, message: IncomingMessage, error: errors.StanzaError, text: str) -> None:
        said = error.xml(text, language=self._component.language_of(message.sender))
        self._component.stream.send(
            Stanza("message", message.to, message.sender, "error", message.id, said)
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
    for child in element:  # asked of every message, often twice
        if child.tag in CONTENT:
            return True
    return element.get("type") == "groupchat" and element.find(f"{ACCEPT}subject") is not None
