# SPDX-License-Identifier: Apache-2.0
"""What admins of the gateway may do (XEP-0133)."""

from __future__ import annotations

from gateway.bridge.accounts import Account
from gateway.errors import AccountGone
from gateway.ids import UserJid
from gateway.store.accounts import AccountStatus
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
        inbound, outbound = network.counts(account)
        waiting = f"{inbound} / {outbound}"
        rows.append((account.user, account.remote_id, state_of(account), waiting))
    if rows:
        talk.show(
            Table(
                title=f"Accounts on {network.adapter.display_name}",
                columns=(
                    ("user", "XMPP user"),
                    ("remote", "Account"),
                    ("state", "State"),
                    ("waiting", "Waiting in / out"),
                ),
                rows=tuple(rows),
            )
        )
    if len(accounts) > _SHOWN:
        talk.say(f"{len(accounts)} accounts; the first {_SHOWN} are shown.", Note.WARNING)
    else:
        talk.say(f"Accounts: {len(accounts)}.")


async def end_session(talk: Dialogue) -> None:
    """The command ``end-session``."""
    answers = await talk.ask(
        Form(
            title="End a session",
            instructions=(
                "The gateway logs these users out. Their contacts and settings stay, and they "
                "may log in again."
            ),
            fields=(Field(name="accountjids", label="XMPP users", kind=Kind.JIDS),),
            last=True,
            form_type=FORM_TYPE,
        )
    )
    users = [UserJid(user) for user in answers["accountjids"].splitlines()]
    accounts = [talk.network.accounts.of(user) for user in users]
    for user, account in zip(users, accounts, strict=True):
        if account is None or account.status is AccountStatus.LOGGED_OUT:
            talk.say(f"{user} has no session here.", Note.ERROR)
        else:
            await _end(talk, account)


async def _end(talk: Dialogue, account: Account) -> None:
    try:
        warning = await talk.wait(talk.network.logins.log_out(account))
    except TimeoutError:
        talk.say(f"The gateway goes on with the log-out of {account.user}.", Note.WARNING)
        return
    except AccountGone:
        talk.say(f"{account.user} has no session here.", Note.ERROR)
        return
    talk.tell(
        account.user,
        "An admin of this gateway has ended your session. Send “login” to come back.",
    )
    said = f"The session of {account.user} has ended."
    talk.say(f"{said} {warning}".strip(), Note.WARNING if warning else Note.INFO)
