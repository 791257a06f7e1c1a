# SPDX-License-Identifier: Apache-2.0
"""What admins of the gateway may do (XEP-0133)."""

from __future__ import annotations

from gateway.bridge.accounts import Account
from gateway.errors import AccountGone
from gateway.ids import UserJid
from gateway.store.accounts import AccountStatus
from gateway.text.wording import joined, tr
from gateway.xmpp.console.commands.account import state_of
from gateway.xmpp.console.model import Dialogue, Field, Form, Kind, Note, Table

FORM_TYPE = "http://jabber.org/protocol/admin"
_SHOWN = 200
"""Rows of a table: a stanza has to stay small (REQ-105)."""


async def list_sessions(talk: Dialogue) -> None:
    """The command ``sessions``."""
    network = talk.network
    accounts = sorted(network.accounts, key=lambda account: account.user)
    rows = []
    for account in accounts[:_SHOWN]:
        inbound, outbound = network.traffic.counts(account)
        waiting = f"{inbound} / {outbound}"
        rows.append((account.user, account.remote_id, state_of(account), waiting))
    if rows:
        talk.show(
            Table(
                title=tr("Accounts on {display_name}", display_name=network.adapter.display_name),
                columns=(
                    ("user", tr("XMPP user")),
                    ("remote", tr("Account")),
                    ("state", tr("State")),
                    ("waiting", tr("Waiting in / out")),
                ),
                rows=tuple(rows),
            )
        )
    if len(accounts) > _SHOWN:
        talk.say(
            tr(
                "{count} accounts; the first {shown} are shown.", count=len(accounts), shown=_SHOWN
            ),
            Note.WARNING,
        )
    else:
        talk.say(tr("Accounts: {count}.", count=len(accounts)))


async def end_session(talk: Dialogue) -> None:
    """The command ``end-session``."""
    answers = await talk.ask(
        Form(
            title=tr("End a session"),
            instructions=(
                tr(
                    "The gateway logs these users out. Their contacts and "
                    "settings stay, and they may log in again.",
                )
            ),
            fields=(Field(name="accountjids", label=tr("XMPP users"), kind=Kind.JIDS),),
            last=True,
            form_type=FORM_TYPE,
        )
    )
    users = [UserJid(user) for user in answers["accountjids"].splitlines()]
    accounts = [talk.network.accounts.of(user) for user in users]
    for user, account in zip(users, accounts, strict=True):
        if account is None or account.status is AccountStatus.LOGGED_OUT:
            talk.say(tr("{user} has no session here.", user=user), Note.ERROR)
        else:
            await _end(talk, account)


async def _end(talk: Dialogue, account: Account) -> None:
    try:
        warning = await talk.wait(talk.network.logins.log_out(account))
    except TimeoutError:
        talk.say(
            tr("The gateway goes on with the log-out of {user}.", user=account.user), Note.WARNING
        )
        return
    except AccountGone:
        talk.say(tr("{user} has no session here.", user=account.user), Note.ERROR)
        return
    talk.tell(
        account.user,
        tr(
            "An admin of this gateway has ended your session. Send “login” to come back.",
        ),
    )
    said = tr("The session of {user} has ended.", user=account.user)
    talk.say(joined((said, warning)), Note.WARNING if warning else Note.INFO)
