# SPDX-License-Identifier: Apache-2.0
"""IQs to the gateway and to puppets. Each get and set gets exactly one answer (REQ-129)."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine
from typing import TYPE_CHECKING, Any
from xml.etree.ElementTree import Element

import structlog

from gateway.errors import AdapterError, NotFound
from gateway.ids import UserJid
from gateway.tasks import is_cancelled, within
from gateway.text.wording import tr
from gateway.xmpp.asked import Answer, LaterAnswer, Request
from gateway.xmpp.codec import errors
from gateway.xmpp.codec.errors import Refused
from gateway.xmpp.codec.xml import Stanza
from gateway.xmpp.gateway_answers import GatewayAnswers
from gateway.xmpp.jid import Address
from gateway.xmpp.puppet_answers import PuppetAnswers
from gateway.xmpp.rooms.answers import RoomAnswers
from gateway.xmpp.stream import MAX_STANZA_BYTES

if TYPE_CHECKING:
    from gateway.xmpp.component import Component

log = structlog.get_logger("iq")

_LIMIT_S = 25.0
"""For an answer within 30 s (REQ-129), also if the network takes its time."""
_LARGE = MAX_STANZA_BYTES // 8
"""Characters. What is shorter is small enough, whatever it says."""
MAX_OPEN_OF_USER = 100
MAX_OPEN = 2000


class IqService:
    """Answers IQs of one component."""

    def __init__(self, component: Component) -> None:
        self._component = component
        network = component.network
        self._network = network
        self._open: Counter[UserJid] = Counter()
        """Requests that wait for their answers."""
        self.gateway = GatewayAnswers(component)
        self.puppets = PuppetAnswers(component)
        self.rooms = RoomAnswers(component)

    def take(self, element: Element, sender: Address, to: Address) -> None:
        """Answer, now or within the limits of a look-up."""
        children = list(element)
        if len(children) != 1:
            self._refuse(element, Refused(errors.BAD_REQUEST, tr("One payload is expected.")))
            return
        request = Request(
            type=element.get("type", ""),
            payload=children[0],
            sender=element.get("from", ""),
            to=to,
            account=self._component.account_at(sender.bare, to.local),
            contact=self._network.addresses.contact(to.local) if to.local else None,
        )
        later = self._answered_later(request)
        if later is not None:
            answered = later
            self._later(
                sender.bare, element, lambda: self._answer_later(element, answered(request))
            )
        elif not to.local:
            answer = self.gateway.now.get(request.key) if self._is_gateway(to) else None
            self._answer(element, answer, request)
        elif to.local.startswith("#"):
            self._answer(element, self.rooms.now.get(request.key), request)
        elif request.contact is None:
            # Everything about nobody: OMEMO look-ups included, at once (REQ-135).
            self._refuse(element, Refused(errors.ITEM_NOT_FOUND, self.puppets.unknown(to)))
        elif self.puppets.needs_lookup(request):
            answer = self.puppets.now.get(request.key)
            self._later(sender.bare, element, lambda: self._for_puppet(element, answer, request))
        else:
            self._answer(element, self.puppets.now.get(request.key), request)

    def _answered_later(self, request: Request) -> LaterAnswer | None:
        """How a request is answered for which somebody is asked, or something fetched, first."""
        if self._is_gateway(request.to):
            return self.gateway.later.get(request.key)
        if request.to.local.startswith("#"):
            return self.rooms.answers_later(request)
        return self.puppets.answers_later(request)

    def _later(
        self, user: UserJid, element: Element, work: Callable[[], Coroutine[Any, Any, None]]
    ) -> None:
        """Answer in a task of its own; the number of those has a bound (REQ-712)."""
        if self._open[user] >= MAX_OPEN_OF_USER or self._open.total() >= MAX_OPEN:
            said = tr(
                "Too many of your requests wait for an answer. Please try again later.",
            )
            self._refuse(element, Refused(errors.RESOURCE_CONSTRAINT, said))
            return

        def done() -> None:
            self._open[user] -= 1
            if not self._open[user]:
                del self._open[user]

        self._open[user] += 1
        self._component.asked.spawn(work(), "iq", done=done)

    def _is_gateway(self, to: Address) -> bool:
        return not to.local and to.resource in ("", self._component.resource)

    async def _for_puppet(self, element: Element, answer: Answer | None, request: Request) -> None:
        """A contact that was never seen is looked up on the network first (REQ-119)."""
        assert request.account is not None
        assert request.contact is not None
        clock = self._network.adapter.context.clock
        try:
            looking_up = self._network.contacts.look_ups.find(request.account, request.contact)
            await within(clock, _LIMIT_S, looking_up)
        except NotFound as error:
            self._refuse(element, Refused(errors.ITEM_NOT_FOUND, error.text))
        except AdapterError as error:
            self._refuse(element, Refused(errors.REMOTE_TIMEOUT, error.text))
        except TimeoutError:
            said = tr("The network did not answer in time.")
            self._refuse(element, Refused(errors.REMOTE_TIMEOUT, said))
        except (asyncio.CancelledError, Exception):
            if is_cancelled():
                self._refuse(element, Refused(errors.UNAVAILABLE, errors.STOPPING))
                raise
            log.exception("iq_failed", id=element.get("id", ""))
            self.fail(element)
        else:
            self._answer(element, answer, request)

    def _answer(self, element: Element, answer: Answer | None, request: Request) -> None:
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
                self._refuse(element, Refused(errors.UNAVAILABLE, errors.STOPPING))
                raise
            log.exception("iq_failed", id=element.get("id", ""))
            self.fail(element)
        else:
            self._reply(element, "result", inner)

    def _refuse(self, element: Element, refused: Refused) -> None:
        language = self._component.language_of(element.get("from", ""))
        error = refused.error.xml(refused.said, refused.detail, language=language)
        self._reply(element, "error", error)

    def fail(self, element: Element) -> None:
        """A handler raised what it should not: still one answer."""
        self._refuse(element, Refused(errors.INTERNAL))

    def _reply(self, element: Element, kind: str, inner: str) -> None:
        to, asker, id = (element.get(name, "") for name in ("to", "from", "id"))
        answer = Stanza("iq", to, asker, kind, id, inner)
        if kind == "result" and len(inner) > _LARGE and _is_too_large(answer):
            said = tr("The answer to this is too large.")
            self._refuse(element, Refused(errors.RESOURCE_CONSTRAINT, said))
            return
        self._component.stream.send(answer)


def _is_too_large(answer: Stanza) -> bool:
    """It would be dropped, and whoever has asked would wait for ever (REQ-105, REQ-129)."""
    return len(str(answer).encode("utf-8", "replace")) > MAX_STANZA_BYTES
