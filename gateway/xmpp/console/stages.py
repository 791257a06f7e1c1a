# SPDX-License-Identifier: Apache-2.0
"""A command as stages, each of them one form: what ad-hoc commands are made of."""

from __future__ import annotations

import asyncio
import enum
import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from gateway.ids import UserJid
from gateway.tasks import contained, is_cancelled
from gateway.xmpp.console import forms
from gateway.xmpp.console.desk import Desk
from gateway.xmpp.console.model import (
    Answers,
    Back,
    BadAnswer,
    Cancelled,
    Command,
    Dialogue,
    Expired,
    Form,
    Note,
    Table,
    Target,
)


@dataclass(frozen=True, slots=True)
class Stage:
    """A form that waits for the user."""

    form: Form
    values: Answers = field(repr=False)
    wrong: str
    """What is wrong with the answers of before."""
    back: bool
    number: int
    """Of the stages of one dialogue none has that of another."""

    @property
    def default(self) -> str:
        """The action that goes on."""
        return "complete" if self.form.last else "next"

    @property
    def actions(self) -> tuple[str, ...]:
        """What is allowed, besides ``execute`` and ``cancel``."""
        return ("prev", self.default) if self.back else (self.default,)


class StagedDialogue(Dialogue):
    """Stops at each form until it is submitted."""

    def __init__(self, user: UserJid, desk: Desk, target: Target | None = None) -> None:
        super().__init__(user, desk, target)
        self.stage: Stage | None = None
        self.is_left = False
        """Its user wanted to cancel it when that was too late: the end is told by a message, and
        nothing more is asked."""
        self.paused = asyncio.Event()
        """Set while there is something to show: a stage, or the end."""
        self.notes: list[tuple[Note, str]] = []
        self.tables: list[Table] = []
        self._stages = itertools.count(1)

    def say(self, text: str, note: Note = Note.INFO) -> None:
        """See `Dialogue.say`."""
        self.notes.append((note, text))

    def show(self, table: Table) -> None:
        """See `Dialogue.show`."""
        self.tables.append(table)

    async def ask(
        self, form: Form, known: Answers | None = None, *, wrong: str = "", back: bool = False
    ) -> dict[str, str]:
        """See `Dialogue.ask`."""
        if self.is_left:
            raise Cancelled
        values = dict(known or {})
        while True:
            self.stage = Stage(form, values, wrong, back, next(self._stages))
            self.paused.set()
            submitted: Mapping[str, str] | None = await self._answer()
            if submitted is None:
                raise Back
            try:
                # Of settings, what is not there stays as it is.
                return forms.checked(form, {**values, **submitted} if form.edits else submitted)
            except BadAnswer as error:
                wrong = str(error)
                values |= forms.worth_keeping(form, submitted)
                del submitted  # it may have a secret, and the next answer may never come

    def submit(self, values: Mapping[str, str] | None) -> None:
        """The user's answers to the stage, or None to go back to the one before."""
        assert self._asked is not None, "there is a stage"
        self.stage = None
        self.paused.clear()
        if not self._asked.done():
            self._asked.set_result(values)

    def end(self) -> None:
        """The command has ended; what was answered is forgotten (REQ-741)."""
        self.stage = None
        self.paused.set()


class Outcome(enum.Enum):
    """How a session stands."""

    RUNNING = enum.auto()
    COMPLETED = enum.auto()
    CANCELED = enum.auto()
    EXPIRED = enum.auto()
    FAILED = enum.auto()


async def run(command: Command, talk: Dialogue, ended: Callable[[Outcome], None]) -> None:
    """Carry out a command, and tell how it ended. Raises what nobody has thought of."""
    outcome = Outcome.RUNNING
    try:
        await contained(command.carry_out, talk)
        outcome = Outcome.COMPLETED
    except Expired:
        outcome = Outcome.EXPIRED
    except Cancelled:
        outcome = Outcome.CANCELED
    except (asyncio.CancelledError, Exception) as error:
        if is_cancelled():
            raise
        outcome = Outcome.FAILED
        raise RuntimeError(f"the command {command.name} failed") from error
    finally:
        ended(outcome)


@dataclass(slots=True, eq=False)
class Session:
    """One run of a command, bound to the full JID that started it (REQ-213)."""

    id: str
    owner: str
    command: Command
    talk: StagedDialogue
    outcome: Outcome = Outcome.RUNNING
    is_guest: bool = False
    """It is counted in `gateway.xmpp.limits.Guests`."""
    forgetting: asyncio.Task[None] | None = None
    """Ends it if nobody fetches the result."""

    @property
    def is_running(self) -> bool:
        """It has not ended in any way."""
        return self.outcome is Outcome.RUNNING
