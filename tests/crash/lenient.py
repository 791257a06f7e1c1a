# SPDX-License-Identifier: Apache-2.0
"""Playing a script whose gateway may die: what people do is done, what they wait for may differ.

Expectations only teach names here. What came is judged at the end, by `tests.crash.transcript`.
"""

from __future__ import annotations

import copy
import re
from collections import Counter
from xml.etree.ElementTree import Element

from tests.crash.process_house import ProcessHouse
from tests.scenario.patterns import Mismatch, fill, match, parse
from tests.scenario.play import Play, said

_PLACE = (
    "{urn:xmpp:sfs:0}file-sharing/{urn:xmpp:sfs:0}sources/"
    "{http://jabber.org/protocol/url-data}url-data[1]"
)
_DELAY = "{urn:xmpp:delay}delay"
_NO_TEXTS = (
    "{urn:xmpp:reactions:0}reactions",
    "{urn:xmpp:message-retract:1}retract",
    "{urn:xmpp:fasten:0}apply-to",
)
"""What bodies stand in for."""
_UNFILLED = re.compile(r"\{\w+\}")


class LenientPlay(Play):
    """The same steps, without their assertions."""

    def __init__(self, house: ProcessHouse) -> None:
        super().__init__(house)
        self._process = house
        self._unseen: list[Element] = []
        self.sent: dict[str, str] = {}
        """Texts of users to contacts by stanza id, as their server has delivered them."""
        self.parts: dict[str, list[str]] = {}
        """Of those with several files, what each part is on the network."""
        self.delivered: Counter[str] = Counter()
        """How often: those in whose delivery the gateway has died come once more."""
        self.said: set[str] = set()
        """Texts of contacts."""
        self.died: set[str] = set()
        """Texts without an id in whose delivery the gateway has died: nobody repeats those."""

    async def end(self) -> None:
        """Let everything come out that is on its way, and what waits too long come to its end."""
        self.server.answer_barriers()
        await self.clock.advance(900)

    # --- what is done, and done again if the gateway died of it ---------------------------------

    async def _deliver(self, xml: str) -> None:
        xml = fill(xml, self.names)
        if _UNFILLED.search(xml):
            return  # it answers something that never came
        texts = {
            stanza.get("id", ""): stanza.findtext("{jabber:component:accept}body", "")
            for stanza in parse(xml)
            if stanza.tag.endswith("message")
            and stanza.get("type") != "error"
            and "@" in stanza.get("to", "")
            and not any(child.tag in _NO_TEXTS for child in stanza)
        }
        self.sent |= {text_id: body for text_id, body in texts.items() if text_id and body}
        for stanza in parse(xml):
            files = [place.get("target", "") for place in stanza.findall(_PLACE)]
            if len(files) > 1:
                self.parts[stanza.get("id", "")] = [texts.get(stanza.get("id", ""), ""), *files]
        deaths = -1
        while deaths != self._process.deaths and self.server._writer is not None:
            if deaths >= 0 and "" in texts:
                self.died.add(texts[""])
                return
            deaths = self._process.deaths
            self.delivered.update(texts.values())
            self.server.send(xml)
            await self.clock.settle()

    async def server_sends(self, xml: str) -> None:
        await self._deliver(xml)

    async def server_sends_in_pieces(self, size: str, xml: str) -> None:
        await self._deliver(xml)

    async def server_sends_often(self, times: str, xml: str) -> None:
        for number in range(1, int(times) + 1):
            await self._deliver(fill(xml, {**self.names, "n": str(number)}))

    async def server_sends_body(self, text: str, xml: str) -> None:
        await self._deliver(fill(xml, {**self.names, "body": said(text)}))

    async def says(self, contact: str, account: str, text: str, name: str | None) -> None:
        self.said.add(said(text))
        await super().says(contact, account, text, name)

    async def event(self, account: str, kind: str, fields: str) -> None:
        if not _UNFILLED.search(fill(fields, self.names)):
            await super().event(account, kind, fields)

    # --- what is waited for ---------------------------------------------------------------------

    async def gateway_sends(self, xml: str) -> None:
        await self.clock.settle()
        while not self.server.received.empty():
            self._unseen.append(self.server.received.get_nowait())
        for pattern in parse(xml):
            self._learn(pattern)

    def _learn(self, pattern: Element) -> None:
        for stanza in self._unseen:
            for form in (stanza, _without_delay(stanza)):
                try:
                    match(pattern, form, self.names)
                except (Mismatch, KeyError):
                    continue
                self._unseen.remove(stanza)
                return

    async def gateway_sends_unordered(self, xml: str) -> None:
        await self.gateway_sends(xml)

    async def gateway_sends_presences(self, number: str, session: str) -> None:
        await self.clock.settle()

    async def gateway_sends_long(self, length: str, xml: str) -> None:
        await self.clock.settle()

    async def sees(self, account: str, contact: str, text: str, name: str | None) -> None:
        await self.clock.settle()
        wanted = (account, contact, said(fill(text, self.names)))
        for sent in self.network.sent[self._seen_texts :]:
            if (sent.sender, sent.to, sent.body) == wanted:
                self._seen_texts = self.network.sent.index(sent) + 1
                self.names[name or "_"] = sent.id
                return

    async def network_got(self, path: str, facts: str) -> None:
        await self.clock.settle()

    async def uploads_answer_as(self, user: str, id: str) -> None:
        """Whatever was asked in the user's name, perhaps more than once."""
        assert self.server.uploads is not None
        waiting, self.server.wrapped = self.server.wrapped, []
        for wrapped in waiting:
            self.server.send(self.server.uploads.answer_as(wrapped, user))
        await self.clock.settle()

    async def uploads_were_asked(self, by: str) -> None:
        """As the component, where the one who grants it has not come back yet."""
        await self.clock.settle()

    async def uploads_have(self, name: str, content: str) -> None:
        await self.clock.settle()

    async def web_was_asked(self, paths: str) -> None:
        await self.clock.settle()

    async def names_barrier(self, name: str) -> None:
        if self.server.barriers:
            await super().names_barrier(name)

    async def connects(self) -> None:
        await self.clock.advance(2)

    async def sees_command(self, fields: str) -> None:
        await self.clock.settle()

    async def nothing_more(self) -> None:
        await self.clock.settle()

    async def sees_nothing(self) -> None:
        await self.clock.settle()

    async def database(self, sql: str, expected: str) -> None:
        await self.clock.settle()

    async def log_has(self, event: str) -> None:
        await self.clock.settle()

    async def log_has_once(self, event: str) -> None:
        await self.clock.settle()

    async def log_never_has(self, text: str) -> None:
        await self.clock.settle()


def _without_delay(stanza: Element) -> Element:
    form = copy.deepcopy(stanza)
    for delay in form.findall(_DELAY):
        form.remove(delay)
    return form
