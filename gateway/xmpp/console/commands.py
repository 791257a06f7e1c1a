# SPDX-License-Identifier: Apache-2.0
"""The commands: what each is called, what it says of itself, what it does.

A command is a coroutine that talks through a `Dialogue`; which face the dialogue has (chat today)
makes no difference to it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from gateway.adapter import Linked, LoginField, LoginStep
from gateway.bridge.link import LinkState
from gateway.bridge.network import Network
from gateway.errors import AdapterError, BadLogin, GatewayError
from gateway.ids import UserJid
from gateway.store.accounts import AccountStatus
from gateway.tasks import contained, within

T = TypeVar("T")

_LOGIN_LIMIT_S = 600.0
"""For a login whose user no longer waits: what it opens has to be closed again."""
_GOES_ON = (
    "The network does not answer. The gateway goes on with it; send “status” later to see whether "
    "it is done."
)


class Dialogue(Protocol):
    """One user's talk with a command."""

    user: UserJid
    network: Network

    def say(self, text: str) -> None:
        """Tell the user something."""

    async def ask(self, question: str) -> str:
        """Ask, and wait for the answer. The user may cancel, which ends the command."""

    async def wait(
        self, work: Coroutine[Any, Any, T], late: Callable[[T], Awaitable[None]] | None = None
    ) -> T:
        """The result of work that the network has a part in, within a minute.

        Raises `TimeoutError` after that; the work goes on. With ``late`` the user may cancel,
        which ends the command; ``late`` gets a result that nobody waits for any more.
        """


@dataclass(frozen=True, slots=True)
class Command:
    """One entry of ``help``."""

    name: str
    summary: str
    run: Callable[[Dialogue], Awaitable[None]]
    needs_account: bool = False


async def _help(talk: Dialogue) -> None:
    lines = [f"{command.name}: {command.summary}" for command in COMMANDS.values()]
    talk.say("\n".join([*lines, "cancel: leave a question unanswered"]))


async def _login(talk: Dialogue) -> None:
    account = talk.network.accounts.of(talk.user)
    if account is not None and account.status is AccountStatus.LINKED:
        talk.say(f"You are logged in as {account.remote_id}. Send “logout” first to change that.")
        return
    flow = talk.network.login()
    step = flow.first()
    answers: dict[str, str] = {}

    async def discard(late: LoginStep | Linked) -> None:
        if isinstance(late, Linked):
            await talk.network.discard(talk.user, late)

    while True:
        missing = [field for field in step.fields if field.name not in answers]
        await _fill(talk, step, missing, answers)
        talk.say("One moment …")
        try:
            work = contained(flow.submit, answers)
            clock = talk.network.adapter.context.clock
            result = await talk.wait(within(clock, _LOGIN_LIMIT_S, work), discard)
        except BadLogin as error:
            talk.say(f"{error.text} Please try again, or send “cancel”.")
            _forget_wrong(step, error.field, answers)
            continue
        except TimeoutError:
            talk.say("The network does not answer. Send “login” to try again.")
            return
        except AdapterError as error:
            talk.say(f"{error.text} Send “login” to try again.")
            return
        if isinstance(result, Linked):
            break
        step, answers = result, {}
    try:
        linked = await talk.network.link(talk.user, result)
    except GatewayError as error:
        talk.say(str(error))
        return
    had_secrets = any(field.secret for field in step.fields)
    advice = " Your client keeps what you typed: please delete the message with the password."
    talk.say(f"You are logged in as {linked.remote_id}.{advice if had_secrets else ''}")


async def _fill(
    talk: Dialogue, step: LoginStep, missing: list[LoginField], answers: dict[str, str]
) -> None:
    if len(missing) == len(step.fields):
        talk.say(step.instructions)
    for field in missing:
        hint = f" ({field.hint})" if field.hint else ""
        answers[field.name] = await _answer(talk, f"{field.label}?{hint}", field)


async def _answer(talk: Dialogue, question: str, field: LoginField) -> str:
    answer = await talk.ask(question)
    if field.secret:
        return answer  # it may begin or end with a blank, and be any word
    while answer.strip().lower() in COMMANDS:
        talk.say("Please answer first, or send “cancel”.")
        answer = await talk.ask(question)
    # No client sends an empty message.
    return "" if answer.strip() == "-" else answer.strip()


def _forget_wrong(step: LoginStep, field: str | None, answers: dict[str, str]) -> None:
    """Ask again for the wrong answer and for secrets, not for the rest."""
    for asked in step.fields:
        if field is None or asked.name == field or asked.secret:
            answers.pop(asked.name, None)


async def _status(talk: Dialogue) -> None:
    account = talk.network.accounts.of(talk.user)
    if account is None:
        talk.say("You have no account here. Send “login” to link one.")
        return
    link = account.link
    phase = link.phase if link is not None else LinkState.STOPPED
    trouble = f" ({link.trouble})" if link is not None and link.trouble else ""
    words = {
        LinkState.CONNECTING: "connecting",
        LinkState.LIVE: "connected",
        LinkState.RETRYING: f"not connected, trying again{trouble}",
        LinkState.EXPIRED: f"the login has expired{trouble}; send “login”",
        LinkState.STOPPED: "logged out; send “login”",
        LinkState.WAITING: "not connected until you are online, as you have set it",
    }[phase]
    inbound, outbound = talk.network.counts(account)
    full = "\nNothing more is fetched until less waits for you."
    talk.say(
        f"{account.remote_id}: {words}.\nWaiting: {inbound} to you, {outbound} to the network."
        f"{full if talk.network.is_full(account) else ''}"
    )


async def _logout(talk: Dialogue) -> None:
    account = talk.network.accounts.of(talk.user)
    assert account is not None
    try:
        warning = await talk.wait(talk.network.log_out(account))
    except TimeoutError:
        talk.say(_GOES_ON)
        return
    talk.say(
        "You are logged out. Contacts and settings stay; send “login” to come back, "
        f"or “unregister” to delete them. {warning}".strip()
    )


async def _unregister(talk: Dialogue) -> None:
    account = talk.network.accounts.of(talk.user)
    assert account is not None
    answer = await talk.ask(
        f"This ends the session of {account.remote_id} and deletes all that the gateway keeps of "
        "you. Send “yes” to go on."
    )
    if answer.strip().lower() != "yes":
        talk.say("Nothing was changed.")
        return
    try:
        warning = await talk.wait(talk.network.unregister(account))
    except TimeoutError:
        talk.say(_GOES_ON)
        return
    talk.say(f"Your account and everything that belonged to it are deleted. {warning}".strip())


COMMANDS = {
    command.name: command
    for command in (
        Command("help", "this list", _help),
        Command("login", "link your account on the network", _login),
        Command("status", "whether you are connected, and what waits", _status),
        Command("logout", "end the login, keep contacts", _logout, needs_account=True),
        Command(
            "unregister",
            "end the login and delete everything the gateway keeps of you",
            _unregister,
            needs_account=True,
        ),
    )
}
