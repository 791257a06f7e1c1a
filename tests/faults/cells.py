# SPDX-License-Identifier: Apache-2.0
"""All cells: a fault, at a server, and what it may do."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass

from tests.faults import act_gateway, act_matrix, act_xmpp, web
from tests.faults.stage import Stage
from tests.faults.wire import Way

Act = Callable[[Stage], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One fault at one server."""

    server: str
    """Which one is hit; for the gateway, which one it is attached to."""
    fault: str
    act: Act
    kind: str
    """``xmpp``, ``wire``, ``matrix`` or ``gateway``: who is out of order."""
    isolated: bool
    """The control pair must not notice."""
    soak_only: bool = False
    thorough: bool = False
    """Another cell takes much the same way through the gateway; a normal run has that one."""
    must_hit: str = ""
    """The proxy that has to have spoilt something: ``wire`` or ``web``."""
    archive_is_lossy: bool = False
    """The server loses archives of the last minute when it is killed."""
    own_clock: bool = False
    """The gateway's clock can be set."""

    @property
    def has_files(self) -> bool:
        """A file goes each way while it happens."""
        return (self.server, self.fault) in _WITH_FILES

    @property
    def name(self) -> str:
        """Unique, and good for a file name."""
        return f"{self.server} {self.fault}".lower().replace(" ", "-").replace("/", "-")


def _xmpp(server: str) -> Iterator[Cell]:
    whole: list[tuple[str, Act, bool]] = [
        ("killed", act_xmpp.killed, False),
        ("stopped", act_xmpp.stopped, False),
        ("frozen 5 s", act_xmpp.frozen, False),
        ("frozen 40 s", act_xmpp.frozen_long, True),
    ]
    for fault, act, soak_only in whole:
        yield Cell(
            server=server,
            fault=fault,
            act=act,
            kind="xmpp",
            isolated=False,
            soak_only=soak_only,
            thorough=(server, fault) in (("Prosody", "stopped"), ("ejabberd", "frozen 5 s")),
            archive_is_lossy=(server, fault) == ("ejabberd", "killed"),
        )
    wire: list[tuple[str, Act]] = [
        ("TCP cut", act_xmpp.cut),
        ("half-open to the server", act_xmpp.half_open(Way.OUT)),
        ("half-open from the server", act_xmpp.half_open(Way.IN)),
        ("half-open both ways", act_xmpp.half_open(*Way)),
        ("1 kB per s", act_xmpp.slow),
        ("slow reader", act_xmpp.slow_reader),
        ("reset in a stanza to the server", act_xmpp.broken_stanza(Way.OUT)),
        ("reset in a stanza from the server", act_xmpp.broken_stanza(Way.IN)),
        ("delayed 2 s", act_xmpp.delayed),
    ]
    for number, (fault, act) in enumerate(wire):
        yield Cell(
            server=server,
            fault=fault,
            act=act,
            kind="wire",
            isolated=True,
            thorough=(server == "Prosody") == bool(number % 2),
            must_hit="wire",
        )


def _matrix() -> Iterator[Cell]:
    whole: list[tuple[str, Act]] = [
        ("killed", act_matrix.killed),
        ("frozen 5 s", act_matrix.frozen),
    ]
    for fault, act in whole:
        yield Cell(server="Synapse", fault=fault, act=act, kind="matrix", isolated=True)
    spoilt = act_matrix.spoilt
    proxied = [
        ("429 with Retry-After", spoilt(act_matrix.LIMITED_HEADER)),
        ("429 with retry_after_ms", spoilt(act_matrix.LIMITED_BODY)),
        ("429 without a time", spoilt(act_matrix.LIMITED_BARE)),
        ("502 with a page", spoilt(act_matrix.BAD_GATEWAY)),
        ("500", spoilt(act_matrix.SERVER_ERROR)),
        ("no answers", spoilt(web.hanging)),
        ("cut before the request", spoilt(web.cut_before)),
        ("cut after the request", spoilt(web.cut_after)),
        ("truncated JSON", spoilt(web.truncated)),
        ("200 with another object", spoilt(act_matrix.WRONG_OBJECT)),
        ("200 with a page", spoilt(act_matrix.WRONG_PAGE)),
    ]
    much_alike = (
        "429 with Retry-After",
        "429 with retry_after_ms",
        "502 with a page",
        "cut before the request",
        "200 with a page",
    )
    for fault, act in proxied:
        yield Cell(
            server="Synapse",
            fault=fault,
            act=act,
            kind="matrix",
            isolated=True,
            thorough=fault in much_alike,
            must_hit="web",
        )
    long = [
        ("no answers ever", spoilt(web.hanging_for_ever)),
        ("cut for a minute", spoilt(web.cut_before, soak_s=60)),
    ]
    for fault, act in long:
        yield Cell(
            server="Synapse",
            fault=fault,
            act=act,
            kind="matrix",
            isolated=True,
            soak_only=True,
            must_hit="web",
        )


def _gateway(server: str, seeds: range) -> Iterator[Cell]:
    for seed in seeds:
        thorough = seed != seeds[0]
        for fault, act in (
            ("gateway stopped", act_gateway.stopped(seed)),
            ("gateway killed", act_gateway.killed(seed)),
        ):
            yield Cell(
                server=server,
                fault=f"{fault} {seed}",
                act=act,
                kind="gateway",
                isolated=False,
                thorough=thorough,
            )


def _machine() -> Iterator[Cell]:
    """What happens to the gateway's machine, whichever server it is attached to."""
    alone: list[tuple[str, Act, bool]] = [
        ("second instance", act_gateway.second_instance, True),
        ("disk full", act_gateway.disk_full, False),
        ("disk slow", act_gateway.disk_slow, False),
    ]
    for fault, act, isolated in alone:
        yield Cell(server="Prosody", fault=fault, act=act, kind="gateway", isolated=isolated)
    hour, year = 3600, 365 * 86400
    jumps = [
        ("clock an hour forward", hour),
        ("clock an hour back", -hour),
        ("clock a year forward", year),
        ("clock a year back", -year),
    ]
    for fault, seconds in jumps:
        yield Cell(
            server="Prosody",
            fault=fault,
            act=act_gateway.clock(seconds),
            kind="gateway",
            isolated=True,
            thorough=abs(seconds) == year,
            own_clock=True,
        )


_WITH_FILES = frozenset(
    {
        ("Prosody", "killed"),
        ("Prosody", "TCP cut"),
        ("Prosody", "1 kB per s"),
        ("ejabberd", "stopped"),
        ("ejabberd", "half-open to the server"),
        ("Prosody", "gateway stopped 1"),
        ("Prosody", "gateway killed 1"),
        ("ejabberd", "gateway killed 4"),
        ("Prosody", "disk full"),
        ("Synapse", "killed"),
        ("Synapse", "frozen 5 s"),
        ("Synapse", "no answers"),
        ("Synapse", "cut after the request"),
    }
)
CELLS: tuple[Cell, ...] = (
    *_xmpp("Prosody"),
    *_xmpp("ejabberd"),
    *_gateway("Prosody", range(1, 4)),
    *_gateway("ejabberd", range(4, 6)),
    *_machine(),
    *_matrix(),
)
