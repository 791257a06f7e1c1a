# SPDX-License-Identifier: Apache-2.0
"""Ad-hoc commands (XEP-0050): the face that shows a command as forms (REQ-213 to REQ-219)."""

from __future__ import annotations

import secrets
from collections import Counter
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING
from xml.etree.ElementTree import Element

from gateway.adapter import Clock
from gateway.ids import UserJid
from gateway.locale import in_language, spoken
from gateway.tasks import within
from gateway.text.wording import joined, tr
from gateway.xmpp import disco
from gateway.xmpp.codec import errors
from gateway.xmpp.codec.errors import Refused, StanzaError
from gateway.xmpp.codec.xml import attribute, speaking, text
from gateway.xmpp.console import forms
from gateway.xmpp.console.chat import FAILED
from gateway.xmpp.console.commands import BY_NODE
from gateway.xmpp.console.desk import desk_of
from gateway.xmpp.console.model import ANSWER_LIMIT_S, Command, Note, Place, Target
from gateway.xmpp.console.rights import is_offered, refusal, words
from gateway.xmpp.console.stages import Outcome, Session, Stage, StagedDialogue, run
from gateway.xmpp.jid import split
from gateway.xmpp.limits import TOO_MANY_GUESTS

if TYPE_CHECKING:
    from gateway.xmpp.component import Component

_HOLD_S = 10.0
"""For which a request may wait for the network: clients give up after 20 s (REQ-218)."""
_SESSIONS_PER_USER = 5
_EXPIRED_KEPT = 1000
_ACTIONS = ("execute", "next", "complete", "prev", "cancel")
_TOO_LATE = tr("This cannot be taken back any more. A message will tell you how it ends.")
_WAITING = tr("The network has not answered yet. Go on to look again.")


class AdHoc:
    """The ad-hoc commands of one component."""

    def __init__(self, component: Component) -> None:
        self._component = component
        self._clock: Clock = component.network.adapter.context.clock
        self._sessions: dict[str, Session] = {}
        self._users: Counter[UserJid] = Counter()
        """How many of them each user has."""
        self._expired: dict[str, None] = {}
        """Ids of sessions that have expired, the oldest first."""

    def talks_with(self, user: UserJid) -> bool:
        """Whether a command of somebody is under way."""
        return user in self._users

    # --- discovery (REQ-112) ---------------------------------------------------------------------

    def items(self, user: UserJid, target: Target | None = None) -> str:
        """The commands that this user may give now, at the gateway or at another address."""
        address = attribute(self._component.domain if target is None else target.address)
        language = self._component.language_of(user)

        def named(command: Command) -> str:
            return attribute(in_language(command.title, language))

        items = "".join(
            f"<item jid='{address}' node='{attribute(node)}' name='{named(command)}'/>"
            for node, command in BY_NODE.items()
            if is_offered(self._component, command, user, target)
        )
        return f"<query xmlns='{disco.ITEMS}' node='{disco.COMMANDS}'>{items}</query>"

    def info(self, node: str, user: UserJid, target: Target | None = None) -> str | None:
        """What a command says of itself; None if there is no such command."""
        if node == disco.COMMANDS:
            return disco.COMMAND_LIST.info(node)
        command = BY_NODE.get(node)
        if command is None or _place(target) not in command.places:
            return None
        refused = refusal(self._component, command, user)
        if refused is not None:
            raise Refused(refused.error, refused.text)
        title = in_language(command.title, self._component.language_of(user))
        return disco.command_node(title).info(node)

    # --- execution -------------------------------------------------------------------------------

    def target_of(self, sender: str, payload: Element) -> Target | None:
        """Where a command was given that is under way. Its user may be out of that group by now,
        and by that command."""
        session = self._sessions.get(payload.get("sessionid", ""))
        return session.talk.target if session is not None and session.owner == sender else None

    async def take(self, sender: str, payload: Element, target: Target | None = None) -> str:
        """Answer a request. Raises `Refused`."""
        node, action = payload.get("node", ""), payload.get("action", "execute")
        command = BY_NODE.get(node)
        if command is None or _place(target) not in command.places:
            raise Refused(errors.ITEM_NOT_FOUND, tr("There is no such command."))
        if action not in _ACTIONS:
            raise _refused(errors.BAD_REQUEST, "malformed-action", tr("There is no such action."))
        session = self._session(sender, payload, command, target)
        refused = refusal(self._component, command, split(sender).bare)
        # Who has left may see what has come of it, and has no account any more.
        has_left = command.leaves and session is not None and not session.is_running
        if refused is not None and not has_left:  # rights may be lost in between (REQ-219)
            if session is not None:
                self._drop(session)
            said = words(self._component, refused, split(sender).bare)
            raise Refused(refused.error, said)
        if session is None:
            if action != "execute":
                raise _refused(
                    errors.BAD_REQUEST, "bad-action", tr("This command has to be started first.")
                )
            session = self._open(sender, command, target)
        elif session.is_running and not self._go_on(session, action, payload):
            return self._render(session)
        await self._pause(session)
        return self._render(session)

    def _session(
        self, sender: str, payload: Element, command: Command, target: Target | None
    ) -> Session | None:
        """The session that is meant; None if a new one is."""
        name = payload.get("sessionid", "")
        if not name:
            return None
        session = self._sessions.get(name)
        if (
            session is not None
            and (session.owner, session.talk.target) == (sender, target)
            and session.command is command
        ):
            return session
        if name in self._expired:
            raise _too_late()
        raise _refused(errors.BAD_REQUEST, "bad-sessionid", tr("This command is not under way."))

    def _open(self, sender: str, command: Command, target: Target | None) -> Session:
        user = split(sender).bare
        self._make_room(user)
        component = self._component
        is_guest = component.standing(user).is_strange
        if is_guest and not component.guests.come(user):
            raise Refused(errors.RESOURCE_CONSTRAINT, TOO_MANY_GUESTS)
        talk = StagedDialogue(user, desk_of(component), target)
        session = Session(secrets.token_urlsafe(24), sender, command, talk, is_guest=is_guest)
        self._sessions[session.id] = session
        self._users[user] += 1
        running = run(command, talk, partial(self._ended, session))
        component.tasks.spawn(running, f"command {command.name}")
        return session

    def _make_room(self, user: UserJid) -> None:
        """Clients leave sessions behind without a word: the oldest that waits for them goes."""
        if self._users.get(user, 0) < _SESSIONS_PER_USER:
            return
        for session in self._sessions.values():
            if session.talk.user == user and session.talk.paused.is_set():
                self._drop(session)
                self._remember_expired(session)
                return
        raise Refused(errors.RESOURCE_CONSTRAINT, tr("Too many of your commands are under way."))

    def _go_on(self, session: Session, action: str, payload: Element) -> bool:
        """Do what the user wants. False if that changes nothing to wait for."""
        submitted = forms.find(payload)
        if action == "cancel" or any(form.type == "cancel" for form in submitted):
            if session.talk.cancel():
                self._remove(session)
                session.outcome = Outcome.CANCELED
            else:
                session.talk.is_left = True
            return False
        stage = session.talk.stage
        allowed = ("next",) if stage is None else stage.actions
        if action == "execute":
            action = allowed[-1]
        if action not in allowed:
            raise _refused(
                errors.BAD_REQUEST, "bad-action", tr("That is not possible at this stage.")
            )
        if stage is None:
            return False
        if action == "prev":
            session.talk.submit(None)
            return True
        if len(submitted) > 1 or any(form.type != "submit" for form in submitted):
            raise _refused(
                errors.BAD_REQUEST, "bad-payload", tr("One submitted form is expected.")
            )
        session.talk.submit(submitted[0].values if submitted else {})
        return True

    async def _pause(self, session: Session) -> None:
        """Until there is something to show, or for as long as a client will wait."""
        try:
            await within(self._clock, _HOLD_S, session.talk.paused.wait())
        except TimeoutError:
            return

    def _ended(self, session: Session, outcome: Outcome) -> None:
        session.outcome = outcome
        if outcome in (Outcome.EXPIRED, Outcome.CANCELED):
            self._remove(session)
        if outcome is Outcome.EXPIRED:
            self._remember_expired(session)
        session.talk.end()
        if session.talk.is_left:
            self._tell_end(session)
        if session.id in self._sessions:
            forgetting = self._forget(session)
            session.forgetting = self._component.tasks.spawn(forgetting, "result of a command")

    def _tell_end(self, session: Session) -> None:
        said = [said for _, said in session.talk.notes]
        if session.outcome is Outcome.FAILED:
            said.append(FAILED)
        if session.outcome is Outcome.CANCELED:
            said.append(tr("Cancelled."))
        if said:
            self._component.console.say(session.talk.user, joined(said, "\n"))

    async def _forget(self, session: Session) -> None:
        """A result that nobody fetches."""
        await self._clock.sleep(ANSWER_LIMIT_S)
        session.forgetting = None
        if self._remove(session):
            self._remember_expired(session)

    def _remove(self, session: Session) -> bool:
        if self._sessions.pop(session.id, None) is None:
            return False
        if session.forgetting is not None:
            session.forgetting.cancel()
        user = session.talk.user
        if session.is_guest:
            self._component.guests.leave(user)
        self._users[user] -= 1
        if not self._users[user]:
            del self._users[user]
        return True

    def _drop(self, session: Session) -> None:
        """End a session; what it has begun on the network goes on, and is cleared away."""
        self._remove(session)
        session.talk.cancel()

    def _remember_expired(self, session: Session) -> None:
        self._expired[session.id] = None
        while len(self._expired) > _EXPIRED_KEPT:
            del self._expired[next(iter(self._expired))]

    # --- answers ---------------------------------------------------------------------------------

    def _render(self, session: Session) -> str:
        talk = session.talk
        language = self._component.language_of(talk.user)
        if session.is_running:
            if talk.stage is not None:
                return _command(
                    session, "executing", _stage(spoken(talk.stage, language)), language
                )
            said = in_language(_TOO_LATE if talk.is_left else _WAITING, language)
            waiting = forms.message(in_language(session.command.title, language), said)
            note = _note(Note.INFO, said)
            return _command(session, "executing", f"{_actions('next')}{note}{waiting}", language)
        self._remove(session)
        if session.outcome is Outcome.FAILED:
            raise Refused(errors.INTERNAL, FAILED)
        if session.outcome is Outcome.EXPIRED:
            raise _too_late()
        if session.outcome is Outcome.CANCELED:
            return _command(session, "canceled", "", language)
        notes = "".join(_note(kind, said) for kind, said in spoken(talk.notes, language))
        tables = "".join(map(forms.result, spoken(talk.tables, language)))
        return _command(session, "completed", notes + tables, language)


def _place(target: Target | None) -> Place:
    return Place.GATEWAY if target is None else target.place


def _refused(error: StanzaError, detail: str, said: str) -> Refused:
    """XEP-0050 §4.4."""
    return Refused(error, said, f"<{detail} xmlns='{disco.COMMANDS}'/>")


def _too_late() -> Refused:
    said = tr("You waited too long; please begin again.")
    return _refused(errors.NOT_ALLOWED, "session-expired", said)


def _command(session: Session, status: str, inner: str, language: str) -> str:
    node = session.command.node or session.command.name
    return (
        f"<command xmlns='{disco.COMMANDS}' node='{attribute(node)}' sessionid='{session.id}'"
        f" status='{status}'{speaking(language)}>{inner}</command>"
    )


def _stage(stage: Stage) -> str:
    actions = _actions(*stage.actions)
    if not stage.wrong:
        return actions + forms.form(stage.form, stage.values)
    # Also in the form: Converse.js shows notes only when the command has ended.
    said = " ".join(filter(None, (stage.wrong, stage.form.instructions)))
    again = forms.form(replace(stage.form, instructions=said), stage.values)
    return f"{actions}{_note(Note.ERROR, stage.wrong)}{again}"


def _actions(*allowed: str) -> str:
    """The last one is the default."""
    inner = "".join(f"<{action}/>" for action in allowed)
    return f"<actions execute='{allowed[-1]}'>{inner}</actions>"


def _note(kind: Note, said: str) -> str:
    return f"<note type='{kind.value}'>{text(said)}</note>"
