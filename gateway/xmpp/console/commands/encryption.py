# SPDX-License-Identifier: Apache-2.0
"""End-to-end encryption on the network: what the adapter asks about it."""

from __future__ import annotations

from gateway.adapter import EncryptionFlow
from gateway.errors import BadLogin
from gateway.tasks import contained
from gateway.text.wording import tr
from gateway.xmpp.console.logins import Stage, form_of
from gateway.xmpp.console.model import Back, Dialogue, Note

_NOT_CONNECTED = tr("The gateway is not connected to the network now. Please try again later.")


async def set_up_encryption(talk: Dialogue) -> None:
    """The command ``encryption``."""
    account = talk.network.accounts.of(talk.user)
    session = account.link.session if account is not None and account.link is not None else None
    if session is None:
        talk.say(_NOT_CONNECTED, Note.ERROR)
        return
    flow = session.encryption()
    stages = [Stage(flow.first())]
    try:
        said = await _talk_over(talk, flow, stages)
    except TimeoutError:
        talk.say(tr("The network does not answer."), Note.ERROR)
        return
    finally:
        for stage in stages:
            stage.answers.clear()
    talk.say(said)
    if talk.keeps_answers and any(asked.secret for asked in stages[-1].step.fields):
        talk.say(tr("Your client keeps what you typed: please delete that message."))


async def _talk_over(talk: Dialogue, flow: EncryptionFlow, stages: list[Stage]) -> str:
    """Step by step, back and forth; returns what has come of it."""
    wrong = ""
    while True:
        stage = stages[-1]
        form = form_of(talk.network, stage.step, tr("Encryption"))
        try:
            stage.answers = await talk.ask(form, stage.answers, wrong=wrong, back=len(stages) > 1)
        except Back:
            stages.pop().answers.clear()
            stages[-1].forget_secrets()
            wrong = ""
            continue
        answers = {name: said for each in stages for name, said in each.answers.items()}
        try:
            result = await talk.wait(contained(flow.submit, answers))
        except BadLogin as error:
            stage.forget_wrong(error.field)
            wrong = error.text
            continue
        if isinstance(result, str):
            return result
        stages.append(Stage(result))
        wrong = ""
