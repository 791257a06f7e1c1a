# SPDX-License-Identifier: Apache-2.0
"""How it stands with one's account, and ending it."""

from __future__ import annotations

from datetime import UTC, datetime

from gateway.bridge.accounts import Account
from gateway.bridge.links.link import LinkState
from gateway.text.wording import Words, joined, tr
from gateway.xmpp.console.model import Dialogue, Field, Form, Kind, Note

_GOES_ON = tr(
    "The network does not answer. The gateway goes on with it; send “status” "
    "later to see whether it is done.",
)


def state_of(account: Account) -> str:
    """In words: how it stands with an account."""
    if account.is_suspended and account.gone_since is not None:
        since = datetime.fromtimestamp(account.gone_since, UTC).strftime("%Y-%m-%d")
        return tr("suspended: since {since} their server knows no such user", since=since)
    link = account.link
    phase = link.phase if link is not None else LinkState.STOPPED
    trouble = Words(" ({why})", {"why": link.trouble}) if link is not None and link.trouble else ""
    return {
        LinkState.CONNECTING: tr("connecting"),
        LinkState.LIVE: tr("connected"),
        LinkState.RETRYING: tr("not connected, trying again{trouble}", trouble=trouble),
        LinkState.EXPIRED: tr("the login has expired{trouble}; send “login”", trouble=trouble),
        LinkState.STOPPED: tr("logged out; send “login”"),
        LinkState.WAITING: tr("not connected until you are online, as you have set it"),
    }[phase]


async def tell_status(talk: Dialogue) -> None:
    """The command ``status``."""
    account = talk.account
    inbound, outbound = talk.network.traffic.counts(account)
    full = tr("Nothing more is fetched until less waits for you.")
    refused = talk.network.delivery.refused(account.user)
    state = Words("{who}: {state}.", {"who": account.remote_id, "state": state_of(account)})
    waiting = tr(
        "Waiting: {inbound} to you, {outbound} to the network.", inbound=inbound, outbound=outbound
    )
    lost = tr("Refused by your server since the gateway has started: {count}.", count=refused)
    is_full = talk.network.traffic.is_full(account)
    talk.say(joined((state, waiting, full if is_full else "", lost if refused else ""), "\n"))


async def log_out(talk: Dialogue) -> None:
    """The command ``logout``."""
    account = talk.account
    try:
        warning = await talk.wait(talk.network.logins.log_out(account))
    except TimeoutError:
        talk.say(_GOES_ON, Note.WARNING)
        return
    said = tr(
        "You are logged out. Contacts and settings stay; send “login” to "
        "come back, or “unregister” to delete them.",
    )
    talk.say(joined((said, warning)), Note.WARNING if warning else Note.INFO)


async def unregister(talk: Dialogue) -> None:
    """The command ``unregister``."""
    account = talk.network.accounts.virtual(talk.user)
    if account is None or talk.network.accounts.of(talk.user) is not None:
        account = talk.account
        instructions = tr(
            "This ends the session of {remote_id} and deletes all that the gateway keeps of you.",
            remote_id=account.remote_id,
        )
    else:
        instructions = tr(
            "You are out of all linked groups, and all that the gateway keeps of you is deleted. "
            "What you have said in groups stays there."
        )
    sure = await talk.ask(
        Form(
            title=tr("Unregister"),
            instructions=instructions,
            fields=(
                Field(name="sure", label=tr("Delete my account"), kind=Kind.YES_NO, default="0"),
            ),
            last=True,
        )
    )
    if sure["sure"] != "1":
        talk.say(tr("Nothing was changed."))
        return
    try:
        warning = await talk.wait(talk.network.logins.unregister(account))
    except TimeoutError:
        talk.say(_GOES_ON, Note.WARNING)
        return
    said = tr("Your account and everything that belonged to it are deleted.")
    talk.say(joined((said, warning)), Note.WARNING if warning else Note.INFO)
