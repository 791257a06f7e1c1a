# SPDX-License-Identifier: Apache-2.0
"""The chat with the gateway's own JID: the face that every client has (REQ-201, REQ-202)."""

from __future__ import annotations

import asyncio
import uuid
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from gateway.bridge.quotes import leading, without_fallback
from gateway.ids import UserJid
from gateway.locale import in_any_language, said_in
from gateway.tasks import contained, is_cancelled
from gateway.text.wording import joined, tr, trc
from gateway.xmpp.codec.errors import STOPPING
from gateway.xmpp.codec.incoming import IncomingMessage
from gateway.xmpp.codec.outgoing import STORE
from gateway.xmpp.codec.xml import Stanza, attribute, text
from gateway.xmpp.console.commands import BY_WORD, COMMANDS
from gateway.xmpp.console.commands.login import PLEASE_DELETE
from gateway.xmpp.console.desk import desk_of
from gateway.xmpp.console.lines import ChatDialogue
from gateway.xmpp.console.model import Cancelled, Command, Expired
from gateway.xmpp.console.rights import is_offered, refusal, words
from gateway.xmpp.console.welcome import Welcome
from gateway.xmpp.jid import split
from gateway.xmpp.limits import TOO_MANY_GUESTS, Standing

if TYPE_CHECKING:
    from gateway.xmpp.component import Component

_LATE_KEPT = 1000
_HELP = in_any_language(trc("command", "help"))
_CANCEL = in_any_language(trc("command", "cancel"))
_NOT_USED = tr(
    "You waited too long, so that was not used. If it was a password, please "
    "delete the message from your client.",
)
_NO_CORRECTION = tr(
    "What you have answered cannot be corrected. Please answer the last question, or send "
    "“cancel” and begin again.",
)
_STOPPED = tr("The gateway is being stopped. Please begin again in a moment.")
_END_S = 1.0
"""Real time, in which a dialogue says its last words."""
FAILED = tr("Something went wrong in the gateway. Please try again or tell its admin.")


class _Talk(NamedTuple):
    """What is under way with one user."""

    command: Command
    dialogue: ChatDialogue
    task: asyncio.Task[None]


class Console:
    """The chats of one component with its users."""

    def __init__(self, component: Component) -> None:
        self._component = component
        self.welcome = Welcome(component)
        self._talks: dict[UserJid, _Talk] = {}
        self._late: dict[UserJid, None] = {}
        """Who was asked for a secret and did not answer in time, the longest ago first."""

    def say(self, user: UserJid, said: str) -> None:
        """A line from the gateway, to the bare JID, always from the same full JID."""
        self._say(user, said)

    def tell(self, user: UserJid, said: str) -> None:
        """The same, as somebody else's doing: it answers nothing of the user's own (REQ-717)."""
        self._say(user, said, unasked=True)

    def _say(self, user: UserJid, said: str, *, unasked: bool = False) -> None:
        words = said_in(said, self._component.language_of(user))
        self._send(user, f"<body>{text(words.text)}</body>", words.tag, unasked=unasked)

    def talks_with(self, user: UserJid) -> bool:
        """Whether a command is being carried out for somebody in the chat."""
        return user in self._talks

    def take(self, message: IncomingMessage) -> None:
        """A message of a user to the gateway."""
        user = split(message.sender).bare
        # A stranger gets one stanza for theirs (REQ-717): words say more than a receipt.
        is_stranger = self._component.standing(user) is Standing.STRANGER
        if message.wants_receipt and message.id and not is_stranger:
            receipt = f"<received xmlns='urn:xmpp:receipts' id='{attribute(message.id)}'/>"
            self._send(user, f"{receipt}{STORE}")
        if message.retracts is not None or message.reacts_to is not None:
            return  # words that stand in for it are no answer: whoever deletes a password does so
        said = _own_words(message)
        if user in self._talks:
            self._go_on(user, said, message)
        else:
            self._command(user, said.strip())
            if user in self._talks:
                self._talks[user].dialogue.hears(message.id, said)

    def _go_on(self, user: UserJid, said: str, message: IncomingMessage) -> None:
        command, talk, _ = self._talks[user]
        if not talk.hears(message.id, said):
            return
        refused = refusal(self._component, command, user)
        is_secret = talk.waits_for_secret
        if said.strip().lower().lstrip("/") in _CANCEL:
            done = talk.cancel()
        elif refused is not None and talk.cancel():
            self.say(user, joined((refused.text, PLEASE_DELETE if is_secret else "")))
            done = True
        elif message.replaces:
            self.say(user, _NO_CORRECTION)
            done = True
        else:
            done = talk.answer(said)
        if not done:
            self.say(user, tr("One moment, I am still busy with your last command."))

    def _command(self, user: UserJid, said: str) -> None:
        name = said.lower().lstrip("/")
        command = BY_WORD.get(name)
        first, _, rest = said.lstrip("/").partition(" ")
        if command is None and (named := BY_WORD.get(first.lower())) and named.takes_word:
            command = named
        is_late = self._late.pop(user, False) is None
        refused = refusal(self._component, command, user) if command is not None else None
        if command is None and not self._is_known(user):
            self.welcome.met(user)
            self.say(user, self._component.not_admitted(user))
        elif name in _CANCEL:
            self.say(user, tr("There is nothing to cancel."))
        elif name in _HELP:
            self._meets(user)
            self.say(user, self._help(user))
        elif command is None and is_late:
            self.say(user, _NOT_USED)
        elif command is None:
            if not self._welcomes(user):
                self.say(user, tr("I do not know this command. Send “help” for a list."))
        elif refused is not None:
            if not self._is_known(user):
                self.welcome.met(user)
            self.say(user, words(self._component, refused, user))
        else:
            self._begin(command, user, rest)

    def _welcomes(self, user: UserJid) -> bool:
        """Whether these are the first words of somebody without an account (REQ-203)."""
        component = self._component
        is_new = component.access.permits(user) and component.network.accounts.of(user) is None
        return is_new and self.welcome.welcome(user)

    def _meets(self, user: UserJid) -> None:
        """Who gives commands needs no first words."""
        if self._component.network.accounts.of(user) is None:
            self.welcome.met(user)

    def _begin(self, command: Command, user: UserJid, word: str) -> None:
        component = self._component
        self._meets(user)
        is_guest = component.standing(user).is_strange
        if is_guest and not component.guests.come(user):
            self.say(user, TOO_MANY_GUESTS)
            return
        talk = ChatDialogue(
            user,
            desk_of(component),
            self.say,
            BY_WORD.keys() | _HELP,
            word.strip(),
        )
        task = component.tasks.spawn(
            self._run(command, talk),
            f"command {command.name}",
            done=partial(component.guests.leave, user) if is_guest else None,
        )
        self._talks[user] = _Talk(command, talk, task)

    async def stop(self) -> None:
        """Nobody is asked any more. They are told now: what they answer later, perhaps a password,
        would answer nothing."""
        ending = []
        for user, (_, talk, task) in list(self._talks.items()):
            if talk.cancel():
                self.say(user, _STOPPED)
                ending.append(task)
            else:
                self.say(user, STOPPING)
        if ending:
            await asyncio.wait(ending, timeout=_END_S)

    def _is_known(self, user: UserJid) -> bool:
        return self._component.access.permits(user) or user in self._component.admins

    def _help(self, user: UserJid) -> str:
        lines: list[str] = [tr("help: this list")]
        lines += [
            joined((command.name, command.summary), ": ")
            for command in COMMANDS.values()
            if command.in_help
            and (
                not (command.for_admins or command.is_particular)
                or is_offered(self._component, command, user)
            )
        ]
        return joined([*lines, tr("cancel: leave a question unanswered")], "\n")

    async def _run(self, command: Command, talk: ChatDialogue) -> None:
        try:
            await contained(command.carry_out, talk)
        except Expired:
            talk.say(tr("You waited too long. Send “{name}” to begin again.", name=command.name))
            if talk.asks_secret:
                self._expect_late(talk.user)
        except Cancelled:
            talk.say(tr("Cancelled."))
        except (asyncio.CancelledError, Exception) as error:
            if is_cancelled():
                raise
            talk.say(FAILED)
            raise RuntimeError(f"the command {command.name} failed") from error
        finally:
            self._talks.pop(talk.user, None)

    def _expect_late(self, user: UserJid) -> None:
        self._late[user] = None
        while len(self._late) > _LATE_KEPT:
            del self._late[next(iter(self._late))]

    def _send(
        self, user: UserJid, inner: str, language: str = "", *, unasked: bool = False
    ) -> None:
        component = self._component
        sender = f"{component.domain}/{component.resource}"
        stanza = Stanza("message", sender, user, "chat", str(uuid.uuid4()), inner, language)
        component.stream.send(stanza, unasked=unasked)


def _own_words(message: IncomingMessage) -> str:
    """Without what they answer, which clients put above them."""
    said = without_fallback(message.body or "", message.reply_parts)
    quote = leading(said)
    return said if quote is None else quote.rest
