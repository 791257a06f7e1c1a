# SPDX-License-Identifier: Apache-2.0
"""Linking an account, and logging in again."""

from __future__ import annotations

from dataclasses import dataclass, field

from gateway.adapter import Linked, LoginStep
from gateway.errors import AdapterError, BadLogin, GatewayError
from gateway.store.accounts import AccountStatus
from gateway.xmpp.console.logins import form_of
from gateway.xmpp.console.model import Back, Dialogue, Note

_LOGIN_LIMIT_S = 600.0
"""For a login whose user no longer waits: what it opens has to be closed again."""
TOO_MANY = "You have tried to log in too often. Please try again in some minutes."


@dataclass(slots=True)
class _Stage:
    """One step of the login, and what was answered."""

    step: LoginStep
    answers: dict[str, str] = field(default_factory=dict, repr=False)

    def forget_secrets(self) -> None:
        """Nobody is shown a secret again."""
        for asked in self.step.fields:
            if asked.secret:
                self.answers.pop(asked.name, None)

    def forget_wrong(self, name: str | None) -> None:
        """Ask again for the wrong answer and for secrets, not for the rest."""
        self.forget_secrets()
        for asked in self.step.fields:
            if name is None or asked.name == name:
                self.answers.pop(asked.name, None)


class _Login:
    """One login: the steps so far, the last one being asked now."""

    def __init__(self, talk: Dialogue) -> None:
        self._talk = talk
        self._flow = talk.network.logins.login(talk.user)
        self._stages = [_Stage(self._flow.first())]
        self._wrong = ""

    async def run(self) -> None:
        try:
            await self._run()
        finally:
            for stage in self._stages:
                stage.answers.clear()

    async def _run(self) -> None:
        while True:
            await self._ask()
            if not self._talk.may_log_in(self._talk.user):
                self._talk.say(TOO_MANY, Note.ERROR)
                return
            try:
                result = await self._submit()
            except BadLogin as error:
                self._back_to(error)
                continue
            except TimeoutError:
                said = "The network does not answer. Send “login” to try again."
                self._talk.say(said, Note.ERROR)
                return
            except AdapterError as error:
                self._talk.say(f"{error.text} Send “login” to try again.", Note.ERROR)
                return
            if isinstance(result, Linked):
                await self._link(result)
                return
            self._stages.append(_Stage(result))

    async def _ask(self) -> None:
        """The questions of the last step, or of those before it if the user goes back."""
        while True:
            stage, wrong = self._stages[-1], self._wrong
            self._wrong = ""
            try:
                stage.answers = await self._talk.ask(
                    form_of(self._talk.network, stage.step),
                    stage.answers,
                    wrong=wrong,
                    back=len(self._stages) > 1,
                )
            except Back:
                self._stages.pop().answers.clear()
                self._stages[-1].forget_secrets()
            else:
                return

    async def _submit(self) -> LoginStep | Linked:
        answers = {name: said for stage in self._stages for name, said in stage.answers.items()}
        talk = self._talk
        work = talk.network.logins.submit(talk.user, self._flow, answers, _LOGIN_LIMIT_S)
        return await talk.wait(work, self._discard)

    async def _discard(self, late: LoginStep | Linked) -> None:
        if isinstance(late, Linked):
            await self._talk.network.logins.discard(self._talk.user, late)

    def _back_to(self, error: BadLogin) -> None:
        """Ask again from the step on that has the wrong answer."""
        names = [{asked.name for asked in stage.step.fields} for stage in self._stages]
        while len(self._stages) > 1 and error.field is not None and error.field not in names[-1]:
            if not any(error.field in asked for asked in names[:-1]):
                break
            self._stages.pop().answers.clear()
            names.pop()
        self._stages[-1].forget_wrong(error.field)
        self._wrong = error.text

    async def _link(self, linked: Linked) -> None:
        talk = self._talk
        try:
            account = await talk.network.logins.link(talk.user, linked)
        except GatewayError as error:
            talk.say(str(error), Note.ERROR)
            return
        typed = [asked for stage in self._stages for asked in stage.step.fields if asked.secret]
        if talk.keeps_answers and typed:
            talk.say(
                f"You are logged in as {account.remote_id}. Your client keeps what you typed: "
                "please delete the message with the password."
            )
        else:
            talk.say(f"You are logged in as {account.remote_id}.")
        if linked.note:
            talk.say(linked.note)


async def log_in(talk: Dialogue) -> None:
    """The command ``login``."""
    account = talk.network.accounts.of(talk.user)
    if account is not None and account.status is AccountStatus.LINKED:
        talk.say(f"You are logged in as {account.remote_id}. Send “logout” first to change that.")
        return
    await _Login(talk).run()
