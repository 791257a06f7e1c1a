# SPDX-License-Identifier: Apache-2.0
"""IQs to the gateway and to puppets. Each get and set gets exactly one answer (REQ-129)."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from xml.etree.ElementTree import Element

import structlog

from gateway import __version__
from gateway.bridge.accounts import Account
from gateway.bridge.splitting import brief
from gateway.errors import AdapterError, NotFound
from gateway.ids import RemoteUserId, UserJid
from gateway.tasks import is_cancelled, within
from gateway.xmpp import disco
from gateway.xmpp.codec import errors
from gateway.xmpp.codec.errors import Refused
from gateway.xmpp.codec.outgoing import nick
from gateway.xmpp.codec.xml import Stanza, text
from gateway.xmpp.console import register
from gateway.xmpp.jid import Address, split

if TYPE_CHECKING:
    from gateway.xmpp.component import Component

log = structlog.get_logger("iq")

_LIMIT_S = 25.0
"""For an answer within 30 s (REQ-129), also if the network takes its time."""
MAX_OPEN_OF_USER = 100
MAX_OPEN = 2000
_PUBSUB = "{http://jabber.org/protocol/pubsub}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """An IQ get or set."""

    type: str
    payload: Element
    sender: str
    """The asker's full JID, as it came."""
    to: Address
    account: Account | None
    """The asker's."""
    contact: RemoteUserId | None
    """Whose puppet is asked; None if it is the gateway."""


class IqService:
    """Answers IQs of one component."""

    def __init__(self, component: Component) -> None:
        self._component = component
        network = component.network
        self._network = network
        self._open: Counter[UserJid] = Counter()
        """Requests that wait for their answers."""
        kind = component.kind
        self.gateway = disco.gateway_entity(kind, component.name, component.admins)
        self.puppet = disco.puppet_client(
            network.adapter.display_name, network.adapter.capabilities
        )
        self._started = network.adapter.context.clock.now()
        self._of_gateway: dict[tuple[str, str], Callable[[Request], str]] = {
            ("get", f"{{{disco.INFO}}}query"): self._gateway_info,
            ("get", f"{{{disco.ITEMS}}}query"): self._items,
            ("get", "{urn:xmpp:ping}ping"): _empty,
            ("get", "{jabber:iq:version}query"): self._version,
            ("get", "{jabber:iq:last}query"): self._uptime,
            ("get", "{urn:xmpp:time}time"): self._time,
            ("get", "{jabber:iq:gateway}query"): self._prompt,
            ("set", "{jabber:iq:gateway}query"): self._address_for,
            ("get", "{vcard-temp}vCard"): self._gateway_card,
            ("get", f"{{{register.NS}}}query"): self._registration,
        }
        self._of_gateway_later: dict[tuple[str, str], Callable[[Request], Awaitable[str]]] = {
            ("set", f"{{{disco.COMMANDS}}}command"): self._command,
            ("set", f"{{{register.NS}}}query"): self._register,
        }
        self._of_puppet: dict[tuple[str, str], Callable[[Request], str]] = {
            ("get", f"{{{disco.INFO}}}query"): self._puppet_info,
            ("get", f"{{{disco.ITEMS}}}query"): self._items,
            ("get", "{urn:xmpp:ping}ping"): self._puppet_ping,
            ("get", "{jabber:iq:version}query"): self._version,
            ("get", f"{_PUBSUB}pubsub"): self._pep,
            ("set", f"{_PUBSUB}pubsub"): _forbidden,
            ("get", "{http://jabber.org/protocol/pubsub#owner}pubsub"): _forbidden,
            ("set", "{http://jabber.org/protocol/pubsub#owner}pubsub"): _forbidden,
            ("get", "{vcard-temp}vCard"): self._puppet_card,
        }

    def take(self, element: Element, sender: Address, to: Address) -> None:
        """Answer, now or within the limits of a look-up."""
        children = list(element)
        if len(children) != 1:
            self._refuse(element, Refused(errors.BAD_REQUEST, "One payload is expected."))
            return
        request = Request(
            type=element.get("type", ""),
            payload=children[0],
            sender=element.get("from", ""),
            to=to,
            account=self._component.account_of(sender.bare),
            contact=self._network.addresses.contact(to.local) if to.local else None,
        )
        key = (request.type, request.payload.tag)
        later = self._of_gateway_later.get(key) if self._is_gateway(to) else None
        if later is not None:
            answered = later
            self._later(
                sender.bare, element, lambda: self._answer_later(element, answered(request))
            )
        elif not to.local:
            answer = self._of_gateway.get(key) if self._is_gateway(to) else None
            self._answer(element, answer, request)
        elif request.contact is None:
            # Everything about nobody: OMEMO look-ups included, at once (REQ-135).
            self._refuse(element, Refused(errors.ITEM_NOT_FOUND, self._unknown(to)))
        elif self._needs_lookup(request):
            answer = self._of_puppet.get(key)
            self._later(sender.bare, element, lambda: self._for_puppet(element, answer, request))
        else:
            self._answer(element, self._of_puppet.get(key), request)

    def _later(
        self, user: UserJid, element: Element, work: Callable[[], Coroutine[Any, Any, None]]
    ) -> None:
        """Answer in a task of its own; the number of those has a bound (REQ-712)."""
        if self._open[user] >= MAX_OPEN_OF_USER or self._open.total() >= MAX_OPEN:
            said = "Too many of your requests wait for an answer. Please try again later."
            self._refuse(element, Refused(errors.RESOURCE_CONSTRAINT, said))
            return

        def done() -> None:
            self._open[user] -= 1
            if not self._open[user]:
                del self._open[user]

        self._open[user] += 1
        self._component.tasks.spawn(work(), "iq", done=done)

    def _is_gateway(self, to: Address) -> bool:
        return not to.local and to.resource in ("", self._component.resource)

    def _needs_lookup(self, request: Request) -> bool:
        return (
            request.account is not None
            and request.contact is not None
            and request.payload.tag == f"{{{disco.INFO}}}query"
            and not self._network.contacts.is_known(request.account, request.contact)
        )

    async def _for_puppet(
        self, element: Element, answer: Callable[[Request], str] | None, request: Request
    ) -> None:
        """A contact that was never seen is looked up on the network first (REQ-119)."""
        assert request.account is not None
        assert request.contact is not None
        clock = self._network.adapter.context.clock
        try:
            await within(clock, _LIMIT_S, self._network.find(request.account, request.contact))
        except NotFound as error:
            self._refuse(element, Refused(errors.ITEM_NOT_FOUND, error.text))
        except AdapterError as error:
            self._refuse(element, Refused(errors.REMOTE_TIMEOUT, error.text))
        except TimeoutError:
            said = "The network did not answer in time."
            self._refuse(element, Refused(errors.REMOTE_TIMEOUT, said))
        except (asyncio.CancelledError, Exception):
            if is_cancelled():
                raise
            log.exception("iq_failed", id=element.get("id", ""))
            self.fail(element)
        else:
            self._answer(element, answer, request)

    def _answer(
        self, element: Element, answer: Callable[[Request], str] | None, request: Request
    ) -> None:
        try:
            if answer is None:
                raise Refused(errors.SERVICE_UNAVAILABLE)
            inner = answer(request)
        except Refused as refused:
            self._refuse(element, refused)
        except Exception:
            log.exception("stanza_failed", kind=element.tag, id=element.get("id", ""))
            self.fail(element)
        else:
            self._reply(element, "result", inner)

    async def _answer_later(self, element: Element, answer: Awaitable[str]) -> None:
        try:
            inner = await answer
        except Refused as refused:
            self._refuse(element, refused)
        except (asyncio.CancelledError, Exception):
            if is_cancelled():
                raise
            log.exception("iq_failed", id=element.get("id", ""))
            self.fail(element)
        else:
            self._reply(element, "result", inner)

    def _refuse(self, element: Element, refused: Refused) -> None:
        self._reply(element, "error", refused.error.xml(refused.said, refused.detail))

    def fail(self, element: Element) -> None:
        """A handler raised what it should not: still one answer."""
        self._refuse(element, Refused(errors.INTERNAL))

    def _reply(self, element: Element, kind: str, inner: str) -> None:
        self._component.stream.send(
            Stanza(
                "iq",
                element.get("to", ""),
                element.get("from", ""),
                kind,
                element.get("id", ""),
                inner,
            )
        )

    # --- the gateway ----------------------------------------------------------------------------

    def _gateway_info(self, request: Request) -> str:
        node = request.payload.get("node", "")
        if node in ("", self.gateway.caps_node):
            return self.gateway.info(node)
        info = self._component.commands.info(node, split(request.sender).bare)
        if info is None:
            raise Refused(errors.ITEM_NOT_FOUND)
        return info

    def _registration(self, request: Request) -> str:
        return self._component.registration.get(request.sender)

    async def _register(self, request: Request) -> str:
        return await self._component.registration.set(request.sender, request.payload)

    async def _command(self, request: Request) -> str:
        return await self._component.commands.take(request.sender, request.payload)

    def _items(self, request: Request) -> str:
        node = request.payload.get("node", "")
        if node == disco.COMMANDS and not request.to.local:
            return self._component.commands.items(split(request.sender).bare)
        if node not in ("", disco.COMMANDS):
            raise Refused(errors.ITEM_NOT_FOUND)
        return disco.items(node)

    def _version(self, request: Request) -> str:
        name = "Dragoman" if request.contact is None else self._network.adapter.display_name
        return (
            f"<query xmlns='jabber:iq:version'><name>{text(name)}</name>"
            f"<version>{__version__}</version></query>"
        )

    def _uptime(self, _: Request) -> str:
        seconds = self._network.adapter.context.clock.now() - self._started
        return f"<query xmlns='jabber:iq:last' seconds='{max(0, round(seconds))}'/>"

    def _time(self, _: Request) -> str:
        now = datetime.fromtimestamp(self._network.adapter.context.clock.now(), UTC)
        return (
            "<time xmlns='urn:xmpp:time'><tzo>+00:00</tzo>"
            f"<utc>{now.strftime('%Y-%m-%dT%H:%M:%SZ')}</utc></time>"
        )

    def _prompt(self, _: Request) -> str:
        name = text(self._network.adapter.display_name)
        return (
            "<query xmlns='jabber:iq:gateway'>"
            f"<desc>Enter the {name} address of the person you want to talk with.</desc>"
            f"<prompt>{name} address</prompt></query>"
        )

    def _address_for(self, request: Request) -> str:
        typed = request.payload.findtext("{jabber:iq:gateway}prompt") or ""
        contact = self._network.addresses.parse(typed)
        if contact is None:
            raise Refused(
                errors.NOT_ACCEPTABLE,
                f"“{brief(typed)}” is not a {self._network.adapter.display_name} address.",
            )
        jid = text(self._component.puppet(contact))
        return f"<query xmlns='jabber:iq:gateway'><jid>{jid}</jid><prompt>{jid}</prompt></query>"

    def _gateway_card(self, _: Request) -> str:
        return _card(self._component.name)

    # --- puppets --------------------------------------------------------------------------------

    def _require_known(self, request: Request) -> tuple[Account, RemoteUserId]:
        """Nothing is told of contacts to people without an account (REQ-118, REQ-307)."""
        if request.account is None or request.contact is None:
            raise Refused(errors.ITEM_NOT_FOUND, self._unknown(request.to))
        return request.account, request.contact

    def _unknown(self, to: Address) -> str:
        if to.local.startswith("#"):
            return "There are no rooms here yet."
        return f"There is no {self._network.adapter.display_name} contact of this name."

    def _puppet_info(self, request: Request) -> str:
        self._require_known(request)
        node = request.payload.get("node", "")
        entity = self.puppet if request.to.resource else disco.PUPPET_ACCOUNT
        if request.to.resource not in ("", self._component.resource):
            raise Refused(errors.ITEM_NOT_FOUND)
        if node not in ("", entity.caps_node):
            raise Refused(errors.ITEM_NOT_FOUND)
        return entity.info(node)

    def _puppet_ping(self, request: Request) -> str:
        """Whom the asker does not know is not there (REQ-132)."""
        account, contact = request.account, request.contact
        if (
            account is None
            or contact is None
            or not self._network.contacts.is_known(account, contact)
        ):
            raise Refused(errors.SERVICE_UNAVAILABLE)
        return ""

    def _pep(self, request: Request) -> str:
        account, contact = self._require_known(request)
        query = request.payload.find(f"{_PUBSUB}items")
        node = query.get("node", "") if query is not None else ""
        name = self._network.contacts.name(account, contact)
        if query is None or node != "http://jabber.org/protocol/nick" or not name:
            raise Refused(errors.ITEM_NOT_FOUND)
        return (
            "<pubsub xmlns='http://jabber.org/protocol/pubsub'>"
            f"<items node='{node}'><item id='current'>{nick(name)}</item></items></pubsub>"
        )

    def _puppet_card(self, request: Request) -> str:
        account, contact = self._require_known(request)
        return _card(self._network.contacts.name(account, contact) or contact)


def _empty(_: Request) -> str:
    return ""


def _forbidden(_: Request) -> str:
    raise Refused(errors.FORBIDDEN)


def _card(name: str) -> str:
    """XEP-0054."""
    return f"<vCard xmlns='vcard-temp'><FN>{text(name)}</FN></vCard>"
