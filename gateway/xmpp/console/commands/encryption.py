# SPDX-License-Identifier: Apache-2.0
"""End-to-end encryption on the network: what the adapter asks about it."""

from __future__ import annotations

from gateway.errors import BadLogin
from gateway.tasks import contained
from gateway.xmpp.console.logins import form_of
from gateway.xmpp.console.model import Dialogue, Note

_NOT_CONNECTED = "The gateway is not connected to the network now. Please try again later."


async def set_up_encryption(talk: Dialogue) -> None:
    """The command ``encryption``."""
    account = talk.network.accounts.of(talk.user)
    session = account.link.session if account is not None and account.link is not None else None
    if session is None:
        talk.say(_NOT_CONNECTED, Note.ERROR)
        return
    flow = session.encryption()
    step, wrong = flow.first(), ""
    answers: dict[str, str] = {}
    try:
        while True:
            said = await talk.ask(form_of(talk.network, step, "Encryption"), wrong=wrong)
            try:
                result = await talk.wait(contained(flow.submit, {**answers, **said}))
            except BadLogin as error:
                wrong = error.text
                continue
            except TimeoutError:
                talk.say("The network does not answer.", Note.ERROR)
                return
            if isinstance(result, str):
                talk.say(result)
                if talk.keeps_answers and any(asked.secret for asked in step.fields):
                    talk.say("Your client keeps what you typed: please delete that message.")
                return
            answers |= said
            step, wrong = result, ""
    finally:
        answers.clear()
