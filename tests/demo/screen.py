"""What the demo prints."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tests.demo.lines import Line

if TYPE_CHECKING:
    from tests.demo.login import Said
    from tests.demo.play import Outcome
    from tests.demo.stage import Stage

_WIDE = 110
_PLAIN_WIDTH = 120


class Screen:
    """A terminal with a spinner, or a file with plain lines."""

    def __init__(self, console: Console | None = None) -> None:
        """Print to ``console``; by default to stdout."""
        self._console = console or Console(highlight=False)
        if not self._console.is_terminal:
            self._console = console or Console(highlight=False, width=_PLAIN_WIDTH)

    @contextmanager
    def step(self, title: str) -> Iterator[None]:
        """One line, with the seconds it took."""
        started = time.monotonic()
        if self._console.is_terminal:
            with self._console.status(f"{title} …"):
                yield
            self._console.print(Text(f"  {title} … {time.monotonic() - started:.1f} s"))
        else:
            self._console.print(Text(f"  {title} … "), end="")
            self._console.file.flush()
            try:
                yield
            except BaseException:
                self._console.print()
                raise
            self._console.print(Text(f"{time.monotonic() - started:.1f} s"))

    def say(self, text: str = "", *, style: str = "") -> None:
        """A line as it is."""
        self._console.print(Text(text, style=style))

    def error(self, text: str) -> None:
        """A line that should be noticed."""
        self.say(text, style="bold red")

    # --- the transcript -------------------------------------------------------------------------

    def transcript(self, outcome: "Outcome") -> None:
        """Both sides, each message with its receipts."""
        self._dialogue(outcome.dialogue)
        alice = _side("alice's client (XMPP)", "alice", "bob", outcome.alice)
        bob = _side("bob's client (Matrix)", "bob", "alice", outcome.bob)
        if self._console.width >= _WIDE:
            both = Table.grid(padding=(0, 2))
            both.add_row(alice, bob)
            self._console.print(both)
        else:
            self._console.print(alice, bob, sep="\n")
        self.say("✓ the other network has it   ✓✓ it was read   (bob's ✓: the homeserver has it)")

    def _dialogue(self, dialogue: Sequence["Said"]) -> None:
        table = Table(title="alice and the gateway", box=box.SIMPLE, show_header=False)
        for said in dialogue:
            table.add_row("alice" if said.by_user else "gateway", Text(said.text))
        self._console.print(table)

    def summary(self, outcome: "Outcome", seconds: float) -> None:
        """One line for those who do not want to count; then whatever was wrong."""
        mine = [sum(line.mine for line in lines) for lines in (outcome.alice, outcome.bob)]
        self.say(
            f"{mine[0]} messages from alice to bob, {mine[1]} from bob to alice; the gateway was "
            f"killed and away for {outcome.away_s:.1f} s; {outcome.resent} stanzas sent again by "
            f"alice's client ({outcome.bounced} had come back as errors); {outcome.repeats} "
            f"repeats on the wire to alice with the same id; {seconds:.1f} s in all."
        )
        if outcome.good:
            self.say(
                "Both sides saw every message once, in order, with its receipt, and each other's "
                "picture byte by byte.",
                style="green",
            )
        for fault in outcome.faults:
            self.error(fault)

    def invitation(self, stage: "Stage", bob_jid: str, gateway: str) -> None:
        """How to take part with clients of one's own."""
        prosody, synapse = stage.prosody, stage.synapse
        table = Table(
            title="It stays up. Log in with your own clients; Ctrl-C ends it.",
            title_justify="left",
            box=box.SIMPLE,
            show_header=False,
        )
        table.add_row("XMPP", f"alice@localhost, password {stage.alice.password}")
        table.add_row("", f"connect to 127.0.0.1 port {prosody.c2s_port}, STARTTLS")
        table.add_row("", f"in a browser: {prosody.websocket_url}")
        table.add_row("", f"trust this authority, or accept its certificate: {prosody.ca_file}")
        table.add_row("", f"write to {bob_jid}; the gateway itself is {gateway}")
        table.add_row("", "alice is linked already. Send the gateway “help”; or “logout” and then")
        table.add_row("", "“login”, to link her yourself. It asks for:")
        table.add_row("", f"homeserver {synapse.url}")
        table.add_row("", f"user alice, password {stage.alice_on_matrix.password}")
        table.add_row("Matrix", f"homeserver {synapse.url}")
        table.add_row("", f"user bob, password {stage.bob.password}")
        table.add_row("", f"alice is @alice:localhost, password {stage.alice_on_matrix.password}")
        table.add_row("log", str(stage.gateway.log_file))
        self._console.print(table, soft_wrap=True)

    def log_tail(self, path: Path, tail: str) -> None:
        """The end of the gateway's log, after a failure."""
        self.error(f"The end of the gateway's log ({path.name}):")
        self._console.print(Text(tail), soft_wrap=True)


def _side(title: str, me: str, other: str, lines: Sequence[Line]) -> Table:
    table = Table(title=title, box=box.SIMPLE_HEAD)
    for column in ("time", "", "message", ""):
        table.add_column(column, no_wrap=column != "message", vertical="top")
    for line in lines:
        direction = f"{me} →" if line.mine else f"← {other}"
        tick = "✓✓" if line.read else "✓" if line.receipt else "✗"
        table.add_row(
            datetime.fromtimestamp(line.at).strftime("%H:%M:%S.%f")[:-4],  # noqa: DTZ006 - local
            Text(direction, style="cyan" if line.mine else "magenta"),
            Text(line.text),
            Text(tick if line.mine else "", style="green" if line.receipt else "red"),
        )
    return table
