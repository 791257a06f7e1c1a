# SPDX-License-Identifier: Apache-2.0
"""A command as lines of a chat: one question after the other, one line each."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Set
from typing import Any, TypeVar

from gateway.ids import UserJid
from gateway.text.wording import Words, in_row, joined, tr, trc
from gateway.xmpp.console.desk import Desk
from gateway.xmpp.console.model import (
    YES,
    Answers,
    Back,
    BadAnswer,
    Dialogue,
    Field,
    Form,
    Kind,
    Note,
    Option,
    Table,
)

T = TypeVar("T")

_HEARD = 50
_BACK = "back"
_EMPTY = "-"
"""What stands for no answer: clients send no empty messages."""


class ChatDialogue(Dialogue):
    """One user's talk with one command; any of the user's devices may continue it."""

    keeps_answers = True

    def __init__(
        self,
        user: UserJid,
        desk: Desk,
        say: Callable[[UserJid, str], None],
        commands: Set[str],
        word: str = "",
    ) -> None:
        super().__init__(user, desk)
        self._say = say
        self._commands = commands
        """Words that are no answers."""
        self._word = word
        """The first answer, if it was given with the command."""
        self.asks_secret = False
        """What was asked last is a password or the like."""
        self._heard: deque[tuple[str, int]] = deque(maxlen=_HEARD)
        """Ids of messages, and what was said in them, unreadably: there are secrets among them."""

    def begins_with(self, words: Set[str]) -> bool:
        """See `Dialogue.begins_with`."""
        if self._word.lower() not in words:
            return False
        self._word = ""
        return True

    def say(self, text: str, note: Note = Note.INFO) -> None:
        """See `Dialogue.say`."""
        self._say(self.user, text)

    def show(self, table: Table) -> None:
        """See `Dialogue.show`."""
        rows = [in_row(row, "; ") for row in table.rows]
        self.say(joined([Words("{title}:", {"title": table.title}), *rows], "\n"))

    @property
    def waits_for_secret(self) -> bool:
        """What the user says now is a password or the like."""
        return self.asks_secret and self._asked is not None

    def hears(self, id: str, said: str) -> bool:
        """Whether a message is new: clients that do not know whether one has arrived send it again
        (REQ-911)."""
        key = id, hash(said)
        if id and key in self._heard:
            return False
        self._heard.append(key)
        return True

    def answer(self, said: str) -> bool:
        """The user said something. False if nothing was asked."""
        if self._asked is None or self._asked.done():
            return False
        self._asked.set_result(said)
        return True

    async def wait(
        self, work: Coroutine[Any, Any, T], late: Callable[[T], Awaitable[None]] | None = None
    ) -> T:
        """See `Dialogue.wait`."""
        if late is not None:
            self.say(tr("One moment …"))
        return await super().wait(work, late)

    async def ask(
        self, form: Form, known: Answers | None = None, *, wrong: str = "", back: bool = False
    ) -> dict[str, str]:
        """See `Dialogue.ask`."""
        if form.edits:
            return await self._edit(form, dict(known or {}), wrong, back=back)
        if len(form.fields) == 1 and form.fields[0].kind is Kind.YES_NO:
            return await self._confirm(form)
        names = {field.name for field in form.fields}
        answers = {name: said for name, said in (known or {}).items() if name in names}
        if wrong:
            self.say(tr("{wrong} Please try again, or send “cancel”.", wrong=wrong))
        if not answers and not self._word:
            self.say(form.instructions)
        for field in form.fields:
            if field.name not in answers:
                answers[field.name] = await self._ask_field(field)
        return answers

    async def _confirm(self, form: Form) -> dict[str, str]:
        self.say(tr("{instructions} Send “yes” to go on.", instructions=form.instructions))
        said = (await self._answer()).strip().lower()
        return {form.fields[0].name: "1" if said in YES else "0"}

    async def _edit(
        self, form: Form, values: dict[str, str], wrong: str, *, back: bool
    ) -> dict[str, str]:
        """One of the values, chosen by its number: nobody wants to be asked for all of them."""
        if wrong:
            self.say(wrong)
        lines: list[str] = []
        for number, field in enumerate(form.fields, 1):
            shown = _shown(field, values.get(field.name, ""))
            lines.append(in_row((str(number), field.label, shown), ": "))
        heading = Words("{heading}:", {"heading": form.instructions})
        self.say(joined([heading, *lines], "\n"))
        which = Field(
            name="which",
            label=tr("Which one do you want to change"),
            kind=Kind.CHOICE,
            hint=tr("Send its number, “back”, or “cancel”.")
            if back
            else tr("Send its number, or “cancel”."),
            options=(
                *(Option(str(number), field.label) for number, field in enumerate(form.fields, 1)),
                *((Option(_BACK, trc("answer", "back")),) if back else ()),
            ),
        )
        answer = await self._ask_field(which, listed=True)
        if answer == _BACK:
            raise Back
        chosen = form.fields[int(answer) - 1]
        values[chosen.name] = await self._ask_field(chosen)
        return values

    async def _ask_field(self, field: Field, *, listed: bool = False) -> str:
        self.asks_secret = field.kind is Kind.SECRET
        question = _question(field, listed=listed)
        word, self._word = self._word, ""
        if not word:
            self.say(question)
        while True:
            said, word = word or await self._answer(), ""
            self.has_secret |= self.asks_secret
            if field.kind is not Kind.SECRET:  # which may be any word
                is_command = said.strip().lower() in self._commands
                if is_command and field.kind in (Kind.CHOICE, Kind.YES_NO):
                    self.say(tr("Please answer first, or send “cancel”."))
                    self.say(question)
                    continue
                said = "" if said.strip() == _EMPTY else _chosen(field, said.strip())
            try:
                return field.checked(said)
            except BadAnswer as error:
                self.say(str(error))
                self.say(question)


def _question(field: Field, *, listed: bool) -> str:
    hints = [field.hint]
    if field.kind is Kind.YES_NO:
        hints.append(tr("Yes or no."))
    if field.kind is Kind.CHOICE and not listed:
        values = ["", *(option.value for option in field.options)]
        first = values.index(field.default)
        if first:
            hints.append(tr("Send a number, or “-” for {first}.", first=first))
        else:
            hints.append(tr("Send a number."))
    elif field.default:
        hints.append(tr("Send “-” for {shown}.", shown=_shown(field, field.default)))
    elif not field.required:
        hints.append(tr("Send “-” to leave it empty."))
    line = tr("{question}? ({hint})", question=field.label, hint=joined(hints))
    if not any(hints):
        line = tr("{question}?", question=field.label)
    if field.kind is not Kind.CHOICE or listed:
        return line
    options = [
        joined((str(number), option.label), ": ") for number, option in enumerate(field.options, 1)
    ]
    return joined([line, *options], "\n")


def _shown(field: Field, value: str) -> str:
    if field.kind is Kind.YES_NO:
        return tr("yes") if value == "1" else tr("no")
    labels = {option.value: option.label for option in field.options}
    return labels.get(value, value)


def _chosen(field: Field, said: str) -> str:
    """A choice may be given by its number."""
    if field.kind is Kind.CHOICE:
        for number, option in enumerate(field.options, 1):
            if said == str(number):
                return option.value
    return said
