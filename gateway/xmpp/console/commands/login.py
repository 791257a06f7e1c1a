# SPDX-License-Identifier: Apache-2.0
"""Linking an account, and logging in again."""

from __future__ import annotations

from dataclasses import replace

from gateway.adapter import Linked, LoginStep
from gateway.bridge.splitting import brief
from gateway.errors import AdapterError, BadLogin, GatewayError
from gateway.locale import in_any_language
from gateway.store.accounts import AccountStatus
from gateway.text.wording import joined, tr, trc
from gateway.xmpp.console.logins import Stage, form_of
from gateway.xmpp.console.model import Back, Dialogue, Form, Note

_LOGIN_LIMIT_S = 600.0
"""For a login whose user no longer waits: what it opens has to be closed again."""
_HERE = in_any_language(trc("command", "here"))
_ON_A_PAGE = tr(
    "To log in to {network}, open this page: {page}\nIt is for you alone, for "
    "one login within {minutes} minutes. Who would rather answer here sends “login "
    "here”; but your client and your server keep what you type here, "
    "passwords too.",
)
PLEASE_DELETE = tr(
    "Your client keeps what you typed: please delete the message with the password.",
)
TOO_MANY = tr("You have tried to log in too often. Please try again in some minutes.")


class _Login:
    """One login: the steps so far, the last one being asked now."""

    def __init__(self, talk: Dialogue) -> None:
        self._talk = talk
        self._stay = talk.network.logins.stay(talk.user)
        self._flow = talk.network.logins.login(talk.user)
        self._stages = [Stage(self._flow.first())]
        self._wrong = ""

    async def run(self) -> None:
        try:
            await self._run()
        finally:
            for stage in self._stages:
                stage.answers.clear()
            if self._talk.has_secret:
                self._talk.say(PLEASE_DELETE)

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
                said = tr("The network does not answer. Send “login” to try again.")
                self._talk.say(said, Note.ERROR)
                return
            except AdapterError as error:
                self._talk.say(
                    tr("{text} Send “login” to try again.", text=brief(error.text)), Note.ERROR
                )
                return
            if isinstance(result, Linked):
                await self._link(result)
                return
            self._stages.append(Stage(result))

    async def _ask(self) -> None:
        """The questions of the last step, or of those before it if the user goes back."""
        while True:
            stage, wrong = self._stages[-1], self._wrong
            self._wrong = ""
            try:
                stage.answers = await self._talk.ask(
                    self._form(stage),
                    stage.answers,
                    wrong=wrong,
                    back=len(self._stages) > 1,
                )
            except Back:
                self._stages.pop().answers.clear()
                self._stages[-1].forget_secrets()
            else:
                return

    def _form(self, stage: Stage) -> Form:
        form = form_of(self._talk.network, stage.step)
        is_new = self._talk.network.accounts.of(self._talk.user) is None
        consent = self._talk.consent(self._talk.user)
        if stage is not self._stages[0] or not is_new or not consent:
            return form
        return replace(form, instructions=joined((form.instructions, consent)))

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
        self._wrong = brief(error.text)

    async def _link(self, linked: Linked) -> None:
        talk = self._talk
        try:
            account = await talk.network.logins.link(talk.user, linked, stay=self._stay)
        except GatewayError as error:
            talk.say(str(error), Note.ERROR)
            return
        said = tr("You are logged in as {remote_id}.", remote_id=account.remote_id)
        talk.say(joined((said, PLEASE_DELETE)) if talk.has_secret else said)
        talk.has_secret = False
        if linked.note:
            talk.say(linked.note)


async def log_in(talk: Dialogue) -> None:
    """The command ``login``."""
    account = talk.network.accounts.of(talk.user)
    if account is not None and account.status is AccountStatus.LINKED:
        talk.say(
            tr(
                "You are logged in as {remote_id}. Send “logout” first to change that.",
                remote_id=account.remote_id,
            )
        )
        return
    is_here = talk.begins_with(_HERE)
    page = talk.page_of(talk.user) if talk.keeps_answers and not is_here else None
    if page:
        network = talk.network.adapter.display_name
        talk.say(_ON_A_PAGE.format(network=network, page=page.address, minutes=page.minutes))
        return
    await _Login(talk).run()
