# SPDX-License-Identifier: Apache-2.0
"""Who was asked what, and what was answered: each request once, each text once, no error twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from xml.etree.ElementTree import Element, fromstring

from gateway.xmpp.jid import split
from tests.fuzz.stanzas import USERS
from tests.scenario.house import GATEWAY
from tests.scenario.patterns import ACCEPT

_UNCERTAIN = ("may or may not have arrived", "may have arrived or not", " parts ")
"""Also of what arrived in part: a text that was sent with several files."""
_REQUEST = "{urn:xmpp:receipts}request"
_RECEIVED = "{urn:xmpp:receipts}received"
Key = tuple[str, str, str]
"""Of an IQ: who asks, who is asked, id."""


@dataclass(slots=True)
class Ledger:
    """What has passed the stream in both directions."""

    asked: Counter[Key] = field(default_factory=Counter)
    answered: Counter[Key] = field(default_factory=Counter)
    excused: Counter[Key] = field(default_factory=Counter)
    """Asked on a stream that broke, and not answered by then."""
    strange: Counter[Key] = field(default_factory=Counter)
    """IQs of no known type: an error may answer them, if they are too large."""
    texts: dict[str, tuple[str, bool]] = field(default_factory=dict)
    """Id of a text that is to have exactly one fate → its mark on the network, receipt wanted."""
    said: dict[str, str] = field(default_factory=dict)
    errors: Counter[str] = field(default_factory=Counter)
    uncertain: set[str] = field(default_factory=set)
    """Texts whose error says that nobody knows."""
    receipts: Counter[str] = field(default_factory=Counter)
    may_fail: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Stanzas that may be answered by an error, by sender and id."""
    wrong: list[str] = field(default_factory=list)
    losses: int = 0
    """Of streams: from then on what is written may come twice."""

    def sent(self, said: dict[str, str]) -> None:
        """The server has sent a stanza to the gateway."""
        kind, sender, to = said["kind"], said["from"], said["to"]
        stanza_type, stanza_id = said.get("type", ""), said.get("id", "")
        if stanza_type not in ("error", "result"):
            self.may_fail[sender, stanza_id] += 1
        address = split(to)
        if address.domain != GATEWAY:
            return
        if kind == "iq" and stanza_type in ("get", "set"):
            self.asked[sender, to, stanza_id] += 1
        elif kind == "iq" and stanza_type not in ("error", "result"):
            self.strange[sender, to, stanza_id] += 1
        elif (
            "body" in said
            and stanza_type in ("", "chat", "normal")
            and address.local
            and stanza_id == f"f{said['number']}"
            and split(sender).bare in USERS
        ):
            wants_receipt = fromstring(said["text"]).find(_REQUEST) is not None
            self.texts[stanza_id] = (f"n{said['number']} ", wants_receipt)
            self.said[stanza_id] = said["text"]

    def received(self, element: Element) -> None:
        """The gateway has written a stanza."""
        kind, stanza_type = element.tag.removeprefix(ACCEPT), element.get("type", "")
        sender, to = element.get("from", ""), element.get("to", "")
        stanza_id = element.get("id", "")
        if kind == "iq" and stanza_type in ("result", "error"):
            self.answered[to, sender, stanza_id] += 1
        if stanza_type == "error":
            if not self.may_fail[to, stanza_id]:
                self.wrong.append(f"an error to nothing, or to an error: {to} {stanza_id}")
            if kind == "message":
                self.errors[stanza_id] += 1
                said = "".join(element.itertext())
                if any(words in said for words in _UNCERTAIN):
                    self.uncertain.add(stanza_id)
        elif kind == "message":
            for receipt in element.findall(_RECEIVED):
                self.receipts[receipt.get("id", "")] += 1

    def lost(self) -> None:
        """The stream broke: answers that were not written by now never will be."""
        self.losses += 1
        self.excused += self.asked - self.answered - self.excused

    def problems(self, network: Counter[str], unclear: Collection[str]) -> list[str]:
        """What is wrong, now that all has come to rest.

        ``network``: marks of texts there; ``unclear``: those whose sender was not told so.
        """
        found = list(self.wrong)
        for key, count in self.asked.items():
            answers = self.answered[key]
            if not count - self.excused[key] <= answers <= count + self.strange[key]:
                found.append(f"{answers} answers to {count} requests {key}")
        found += [
            f"an answer to no request {key}"
            for key in self.answered
            if key not in self.asked and not self.may_fail[key[0], key[2]]
        ]
        for stanza_id, (mark, wants_receipt) in self.texts.items():
            fate = (network[mark], self._times(self.errors[stanza_id]))
            if sum(fate) != 1 and not (
                fate == (1, 1) and (mark in unclear or stanza_id in self.uncertain)
            ):
                found.append(
                    f"text {stanza_id}: {fate[0]} on the network, {fate[1]} errors:"
                    f" {self.said[stanza_id]}"
                )
            receipts = self._times(self.receipts[stanza_id])
            if receipts != (1 if wants_receipt and network[mark] and not fate[1] else 0):
                found.append(
                    f"text {stanza_id}: {receipts} receipts, {network[mark]} on the network"
                )
        return found

    def _times(self, count: int) -> int:
        return min(count, 1) if self.losses else count
