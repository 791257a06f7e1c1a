# SPDX-License-Identifier: Apache-2.0
"""What was counted in a cell, and whether it is what is promised.

Everything committed arrives, in order, under one id. Repeats are allowed where the stream or the
process broke, at most one unconfirmed window each time, and none after a planned stop. Each text
of a user ends with a receipt or an error, or it died in a socket before its commit and has
neither. Those who were not hit notice nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

from tests.faults.people import Pair, is_text, receipt_of
from tests.faults.stage import Stage, p95_ms

WINDOW = 500
"""Stanzas that may be written without a proof that they were taken over."""
NOISE_MS = 500.0
"""What the machine's scheduler may do to a control message without anybody being to blame; added
to it is what the same people's texts took at the same time on a way without the gateway. Tests
share two cores with two homeservers. Every fault here lasts longer. Where that other way takes
longer than this, the machine is too busy to say anything, and times are shown but not judged."""
FACTOR = 2.0


@dataclass(slots=True, kw_only=True)
class Counts:
    """Both directions of one pair."""

    in_sent: int
    """Texts that bob's homeserver has taken."""
    in_arrived: int
    """Stanzas with a text that alice's client or archive has got, repeats too."""
    in_distinct: int
    in_repeats: int
    """Stanzas that the gateway has written again, whether or not they arrived."""
    out_sent: int
    out_arrived: int
    out_receipts: int
    out_errors: int
    out_died: int
    """Texts that died in a socket before their commit: no receipt, no error."""


@dataclass(slots=True, kw_only=True)
class Expectation:
    """What a cell allows."""

    breaks: int
    """How often a stream or the process ended without being asked to."""
    isolated: bool
    """The control pair must not notice."""
    archived: bool
    """Alice's own server was hit: what counts is her archive, and what she has seen live."""
    archive_is_lossy: bool = False
    """When that server is killed it loses some of the archive of what it had delivered already:
    then either is enough."""


async def count(stage: Stage, pair: Pair, expected: Expectation) -> tuple[Counts, list[str]]:
    """The figures of a pair, and what is wrong with them."""
    wrong: list[str] = []
    live = pair.at_alice()
    came = list(live)
    receipts = pair.receipts()
    if expected.archived:
        archive = await pair.archive()
        came = [(stanza.id, stanza.body or "") for stanza in archive if is_text(stanza)]
        receipts = receipts + [s for s in archive if receipt_of(s) not in ("", pair.file)]
        if unknown := set(live) - set(came):
            if not expected.archive_is_lossy:
                wrong.append(f"seen, but not archived: {sorted(unknown)[:3]}")
            wrong += _out_of_order(pair, live) + _out_of_order(pair, came)
            came = _in_order(pair, [*came, *unknown])
    by_id: dict[str, str] = {}
    for stanza_id, text in came:
        if by_id.setdefault(stanza_id, text) != text:
            wrong.append(f"two texts under the id {stanza_id}")
    wrong += _inbound(pair, list(by_id.values()))
    confirmed: dict[str, set[str]] = {}
    for stanza in receipts:
        confirmed.setdefault(receipt_of(stanza), set()).add(stanza.id)
    committed = [id for id in stage.committed() if id in pair.said]
    wrong += _outbound(pair, committed, confirmed)
    written = stage.wire.written[pair.alice.bare]
    errors = pair.errors()
    counts = Counts(
        in_sent=len(pair.bob_said),
        in_arrived=len(came),
        in_distinct=len(by_id),
        in_repeats=sum(written[stanza_id] - 1 for stanza_id in by_id),
        out_sent=len(pair.said),
        out_arrived=len(pair.at_bob()),
        out_receipts=len(confirmed),
        out_errors=len(errors),
        out_died=len(pair.said.keys() - set(committed) - errors.keys()),
    )
    if counts.in_repeats > WINDOW * expected.breaks:
        wrong.append(f"{counts.in_repeats} repeats for {expected.breaks} breaks")
    return counts, wrong


def _out_of_order(pair: Pair, came: list[tuple[str, str]]) -> list[str]:
    texts = list(dict(came).values())
    places = [text for text in pair.by_bob() if text in set(texts)]
    return [] if texts == places else ["inbound, out of order, or under two ids"]


def _in_order(pair: Pair, came: list[tuple[str, str]]) -> list[tuple[str, str]]:
    place = {text: number for number, text in enumerate(pair.by_bob())}
    return sorted(came, key=lambda one: place.get(one[1], -1))


def _inbound(pair: Pair, distinct: list[str]) -> list[str]:
    wanted = pair.by_bob()
    wrong = []
    if sorted(wanted) != sorted(pair.bob_said):
        wrong.append(f"bob's room has {len(wanted)} of his {len(pair.bob_said)} texts")
    if distinct != wanted:
        lost = [text for text in wanted if text not in distinct]
        what = f"lost: {lost[:5]} ({len(lost)})" if lost else "out of order, or under two ids"
        wrong.append(f"inbound, {len(distinct)} of {len(wanted)}: {what}")
    return wrong


def _outbound(pair: Pair, committed: list[str], confirmed: dict[str, set[str]]) -> list[str]:
    wrong = []
    errors = pair.errors()
    accepted = [pair.said[id] for id in committed if id not in errors]
    if len(set(committed)) != len(committed):
        wrong.append("a text was committed twice")
    if (seen := pair.at_bob()) != accepted:
        lost = [text for text in accepted if text not in seen]
        more = len(seen) - len(set(seen))
        wrong.append(f"outbound: lost {lost[:5]} ({len(lost)}), doubled {more}, or out of order")
    if silent := set(committed) - errors.keys() - confirmed.keys():
        wrong.append(f"neither receipt nor error: {[pair.said[id] for id in silent][:5]}")
    if both := errors.keys() & confirmed.keys():
        wrong.append(f"receipt and error: {[pair.said[id] for id in both][:5]}")
    if invented := confirmed.keys() - set(committed):
        wrong.append(f"receipts for what was not committed: {len(invented)}")
    if any(len(ids) > 1 for ids in confirmed.values()):
        wrong.append("one text with two receipts")
    return wrong


@dataclass(slots=True, kw_only=True)
class Control:
    """How the control messages fared."""

    p95_before_ms: float | None
    p95_during_ms: float | None
    without_us_ms: float | None = None
    """What they took without the gateway, to the sender's own client, before or during."""

    @property
    def is_busy(self) -> bool:
        """The machine itself keeps everybody waiting, so that times say nothing of the gateway."""
        return max(self.without_us_ms or 0.0, self.p95_before_ms or 0.0) > NOISE_MS


def control(stage: Stage, counts: Counts, expected: Expectation) -> tuple[Control, list[str]]:
    """Compare the time before the fault with the time of the fault."""
    pair = stage.control
    phases = ((0.0, stage.began), (stage.began, stage.ended))
    before, during = (p95_ms(pair.latencies(*phase)) for phase in phases)
    echoes = max(p95_ms(pair.echoes(*phase)) or 0.0 for phase in phases)
    found = Control(p95_before_ms=before, p95_during_ms=during, without_us_ms=echoes)
    wrong = []
    if expected.isolated:
        if before is None or during is None:
            wrong.append("no control messages before or during the fault")
        elif during > max(FACTOR * before, before + NOISE_MS + echoes) and not found.is_busy:
            wrong.append(f"control messages were late: {found}")
        if counts.in_repeats or counts.out_errors or counts.out_died:
            wrong.append(f"control messages were repeated, refused or lost: {counts}")
    return found, wrong
