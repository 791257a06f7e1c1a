# SPDX-License-Identifier: Apache-2.0
"""How it stands with one's account, and ending it."""

from __future__ import annotations

from gateway.bridge.accounts import Account
from gateway.bridge.link import LinkState
from gateway.xmpp.console.model import Dialogue, Field, Form, Kind, Note

_GOES_ON = (
    "The network does not answer. The gateway goes on with it; send “status” later to see whether "
    "it is done."
)


def state_of(account: Account) -> str:
    """In words: how it stands with an account."""
    link = account.link
    phase = link.phase if link is not None else LinkState.STOPPED
    trouble = f" ({link.trouble})" if link is not None and link.trouble else ""
    return {
        LinkState.CONNECTING: "connecting",
        LinkState.LIVE: "connected",
        LinkState.RETRYING: f"not connected, trying again{trouble}",
        LinkState.EXPIRED: f"the login has expired{trouble}; send “login”",
        LinkState.STOPPED: "logged out; send “login”",
        LinkState.WAITING: "not connected until you are online, as you have set it",
    }[phase]


async def tell_status(talk: Dialogue) -> None:
    """The command ``status``."""
    account = talk.network.accounts.of(talk.user)
    assert account is not None
    inbound, outbound = talk.network.counts(account)
    full = "\nNothing more is fetched until less waits for you."
    talk.say(
        f"{account.remote_id}: {state_of(account)}.\n"
        f"Waiting: {inbound} to you, {outbound} to the network."
        f"{full if talk.network.is_full(account) else ''}"
    )


async def log_out(talk: Dialogue) -> None:
    """The command ``logout``."""
    account = talk.network.accounts.of(talk.user)
    assert account is not None
    try:
        warning = await talk.wait(talk.network.logins.log_out(account))
    except TimeoutError:
        talk.say(_GOES_ON, Note.WARNING)
        return
    said = (
        "You are logged out. Contacts and settings stay; send “login” to come back, "
        "or “unregister” to delete them."
    )
    talk.say(f"{said} {warning}".strip(), Note.WARNING if warning else Note.INFO)


async def unregister(talk: Dialogue) -> None:
    """The command ``unregister``."""
    account = talk.network.accounts.of(talk.user)
    assert account is not None
    sure = await talk.ask(
        Form(
            title="Unregister",
            instructions=(
                f"This ends the session of {account.remote_id} and deletes all that the gateway "
                "keeps of you."
            ),
            fields=(Field(name="sure", label="Delete my account", kind=Kind.YES_NO, default="0"),),
            last=True,
        )
    )
    if sure["sure"] != "1":
        talk.say("Nothing was changed.")
        return
    try:
        warning = await talk.wait(talk.network.logins.unregister(account))
    except TimeoutError:
        talk.say(_GOES_ON, Note.WARNING)
        return
    said = "Your account and everything that belonged to it are deleted."
    talk.say(f"{said} {warning}".strip(), Note.WARNING if warning else Note.INFO)
