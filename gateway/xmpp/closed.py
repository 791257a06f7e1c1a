# SPDX-License-Identifier: Apache-2.0
"""The component of a network that cannot be used: it is there, and says so.

Without it the server would answer that the gateway does not exist, and clients would remove
contacts and bookmarks. What is stored stays as it is; nothing is granted, revoked or lost.
"""

from __future__ import annotations

from functools import partial
from xml.etree.ElementTree import Element

from gateway.adapter import Clock
from gateway.events import FailureReason
from gateway.locale import in_language
from gateway.text.wording import tr
from gateway.xmpp.codec import errors
from gateway.xmpp.codec.incoming import ACCEPT
from gateway.xmpp.codec.xml import Stanza, text
from gateway.xmpp.jid import split
from gateway.xmpp.neighbours import Entrance, Neighbours
from gateway.xmpp.stream import ServerSettings, Stream, StreamHooks

_SENTENCE = tr("The gateway cannot use this network at the moment; its admin can see why.")


class ClosedComponent:
    """Answers what has to be answered, with one sentence."""

    def __init__(
        self, server: ServerSettings, clock: Clock, neighbours: Neighbours, language: str
    ) -> None:
        self.domain = server.domain
        self._language = language
        self._neighbours = neighbours
        entrance = Entrance(stanza=self._take, excessive=partial(self._take, excessive=True))
        neighbours.add(self.domain, entrance)
        hooks = StreamHooks(
            stanza=entrance.stanza,
            excessive=entrance.excessive,
            may_answer=lambda _: True,
            up=lambda: None,
            lost=lambda: None,
            taken_over=lambda _: None,
        )
        self.stream = Stream(server, hooks, clock)

    async def run(self) -> None:
        """Keep the stream up until `stop`."""
        await self.stream.run()

    async def stop(self) -> None:
        """Close the stream in order."""
        await self.stream.stop()

    def _take(self, element: Element, *, excessive: bool = False) -> None:
        kind = element.get("type", "")
        to = split(element.get("to", ""))
        if to.domain != self.domain:
            self._neighbours.hand_over(element, excessive=excessive)
            return
        if kind == "error" and element.tag != f"{ACCEPT}iq":
            return
        if element.tag == f"{ACCEPT}iq":
            if kind in ("get", "set"):
                self._refuse(element, "iq")
            else:
                self.stream.take_reply(element)
        elif element.tag == f"{ACCEPT}message":
            if excessive or element.find(f"{ACCEPT}body") is not None:
                self._refuse(element, "message")
        elif kind in ("subscribe", "probe") and not to.local:
            status = (
                f"<show>dnd</show><status>{text(in_language(_SENTENCE, self._language))}</status>"
            )
            user = split(element.get("from", "")).bare
            self.stream.send(Stanza("presence", self.domain, user, inner=status))

    def _refuse(self, element: Element, kind: str) -> None:
        """With a temporary condition: it is worth another try some day."""
        error = errors.OF_REASON[FailureReason.UNREACHABLE].xml(_SENTENCE, language=self._language)
        to, sender = element.get("to", ""), element.get("from", "")
        self.stream.send(Stanza(kind, to, sender, "error", element.get("id", ""), error))
