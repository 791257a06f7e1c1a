# SPDX-License-Identifier: Apache-2.0
"""Admins admit users who may not come in by themselves (REQ-211)."""

from __future__ import annotations

from gateway.ids import UserJid
from gateway.text.wording import joined, tr
from gateway.xmpp.approvals import ADMITTED, REFUSED
from gateway.xmpp.console.model import Dialogue, Field, Form, Kind, Note, Table

_SHOWN = 200
"""Rows of a table: a stanza has to stay small (REQ-105)."""


async def list_requests(talk: Dialogue) -> None:
    """The command ``requests``."""
    waiting, admitted = talk.approvals.waiting(), talk.approvals.admitted()
    rows = [(user, tr("waits")) for user in waiting]
    rows += [(user, tr("admitted")) for user in admitted]
    if rows:
        talk.show(
            Table(
                title=tr("Users whom admins have to admit"),
                columns=(("user", tr("XMPP user")), ("state", tr("State"))),
                rows=tuple(rows[:_SHOWN]),
            )
        )
    counted = tr(
        "Waiting: {waiting}. Admitted: {admitted}.", waiting=len(waiting), admitted=len(admitted)
    )
    more = tr("The first {shown} are shown.", shown=_SHOWN) if len(rows) > _SHOWN else ""
    talk.say(joined((counted, more)))


async def admit(talk: Dialogue) -> None:
    """The command ``admit``."""
    for user in await _ask(talk, tr("Admit users"), tr("They may link accounts from now on.")):
        await talk.approvals.decide(user, admitted=True)
        talk.tell(user, ADMITTED)
        talk.say(tr("{user} is admitted.", user=user))


async def dismiss(talk: Dialogue) -> None:
    """The command ``dismiss``."""
    said = tr(
        "They may not link accounts, and those that they have are "
        "disconnected. Nothing of these is deleted; “end-session” logs them "
        "out.",
    )
    for user in await _ask(talk, tr("Refuse users"), said):
        await talk.approvals.decide(user, admitted=False)
        talk.tell(user, REFUSED)
        talk.say(tr("{user} is not admitted.", user=user))


async def _ask(talk: Dialogue, title: str, instructions: str) -> list[UserJid]:
    answers = await talk.ask(
        Form(
            title=title,
            instructions=instructions,
            fields=(Field(name="users", label=tr("XMPP users"), kind=Kind.JIDS),),
            last=True,
        )
    )
    found = []
    for user in map(UserJid, answers["users"].splitlines()):
        if talk.approvals.may_ask(user):
            found.append(user)
        else:
            talk.say(
                tr("Nobody has to admit {user}: see “access” in the configuration.", user=user),
                Note.ERROR,
            )
    return found
