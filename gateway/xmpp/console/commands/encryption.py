# SPDX-License-Identifier: Apache-2.0
"""End-to-end encryption on the network: what the adapter asks about it."""

from __future__ import annotations

from gateway.adapter import EncryptionFlow
from gateway.bridge.splitting import brief
from gateway.errors import BadLogin
from gateway.tasks import contained
from gateway.text.wording import tr
from gateway.xmpp.console.logins import Stage, form_of
from gateway.xmpp.console.model import Back, Dialogue, Note

_NOT_CONNECTED = tr("The gateway is not connected to the network now. Please try again later.")


_PLEASE_DELETE = tr("Your client keeps what you typed: please delete that message.")


async def set_up_encryption(talk: Dialogue) -> None:
    """The command ``encryption``."""
    account = talk.network.accounts.of(talk.user)
    session = account.link.session if account is not None and account.link is not None else None
    if session is None:
        talk.say(_NOT_CONNECTED, Note.ERROR)
        return
    await _Setup(talk, session.encryption()).run()


class _Setup:
    """Step by step, back and forth; the last step is being asked now."""

    def __init__(self, talk: Dialogue, flow: EncryptionFlow) -> None:
        self._talk = talk
        self._flow = flow
        self._stages = [Stage(flow.first())]

    async def run(self) -> None:
        try:
            self._talk.say(await self._run())
        except TimeoutError:
            self._talk.say(tr("The network does not answer."), Note.ERROR)
        finally:
            for stage in self._stages:
                stage.answers.clear()
            if self._talk.has_secret:
                self._talk.say(_PLEASE_DELETE)

    async def _run(self) -> str:
        """Returns what has come of it."""
        wrong, stages = "", self._stages
        while True:
            stage = stages[-1]
            try:
                await self._ask(stage, wrong)
            except Back:
                stages.pop().answers.clear()
                stages[-1].forget_secrets()
                wrong = ""
                continue
            answers = {name: said for each in stages for name, said in each.answers.items()}
            try:
                result = await self._talk.wait(contained(self._flow.submit, answers))
            except BadLogin as error:
                stage.forget_wrong(error.field)
                wrong = brief(error.text)
                continue
            if isinstance(result, str):
                return result
            stages.append(Stage(result))
            wrong = ""

    async def _ask(self, stage: Stage, wrong: str) -> None:
        talk = self._talk
        form = form_of(talk.network, stage.step, tr("Encryption"))
        is_back = len(self._stages) > 1
        stage.answers = await talk.ask(form, stage.answers, wrong=wrong, back=is_back)
